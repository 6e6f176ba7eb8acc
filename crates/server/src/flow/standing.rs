//! How things stand now: what waits, what is connected. Who looks often reads what was just read.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::admin::Standing;
use countersign_core::time::Timestamp;
use tokio::sync::Mutex;

use crate::app::{Answer, App, uncancelled};
use crate::store;

/// How long what was read is used again.
const FRESH: Duration = Duration::from_secs(5);
/// Where reading takes long, it is done that much more seldom than it takes.
const SHARE: u32 = 20;

/// What was read last.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    standing: Standing,
    until: Timestamp,
}

/// As of some seconds ago, at most. One reads, the others wait for what comes of it; it is read to the end
/// also if nobody waits any more, or else it would be begun anew each time.
pub async fn now(app: &Arc<App>) -> Answer<Standing> {
    let app = app.clone();
    uncancelled(async move { latest(&app).await }).await
}

async fn latest(app: &App) -> Answer<Standing> {
    let mut latest = app.standing.0.lock().await;
    let begun = app.clock.now();
    if let Some(kept) = latest.as_ref().filter(|kept| begun < kept.until) {
        return Ok(kept.standing.clone());
    }
    let standing = store::standing::read(&app.store, begun).await?;
    let ended = app.clock.now();
    let until = ended + FRESH.max(ended.since(begun) * SHARE);
    *latest = Some(Kept { standing: standing.clone(), until });
    Ok(standing)
}
