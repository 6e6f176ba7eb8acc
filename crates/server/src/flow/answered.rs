//! What is done once, however often it is asked: an answer is kept, sealed, and given again.

use std::fmt;
use std::time::Duration;

use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::{Answer, App, Fault};
use crate::store::{Committed, answered};

/// So long an answer is given again.
const KEPT: Duration = Duration::from_hours(24);
/// Whoever began and did not finish by then was cut off.
const UNDER_WAY: Duration = Duration::from_mins(1);
const PURPOSE: &str = "answer to a request";

/// An answer as it is kept; there may be a secret in it.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    pub status: u16,
    pub etag: Option<String>,
    pub body: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({}, …)", self.status)
    }
}

/// What a request with a key of its own leads to.
#[derive(Debug)]
pub enum Begun {
    /// Do it, and then [`finish`].
    First,
    /// It was done before.
    Again(Kept),
    /// Somebody is at it.
    UnderWay,
    /// The key was used for something else.
    Other,
}

pub async fn begin(app: &App, key: &Digest, request: &Digest, now: Timestamp) -> Answer<Begun> {
    let begin = answered::begin(key, request, now + UNDER_WAY, now);
    if app.store.commit(vec![begin]).await?.is_done() {
        return Ok(Begun::First);
    }
    Ok(match answered::find(&app.store, key, now).await? {
        // It ended between the two looks.
        None => Begun::UnderWay,
        Some((other, _)) if !other.matches(request) => Begun::Other,
        Some((_, None)) => Begun::UnderWay,
        Some((_, Some(sealed))) => {
            let plain = app.vault.open(PURPOSE, &sealed)?;
            Begun::Again(serde_json::from_slice(&plain).map_err(|error| Fault::Page(error.to_string()))?)
        }
    })
}

/// `now` is when it was begun.
pub async fn finish(app: &App, key: &Digest, kept: &Kept, now: Timestamp) -> Answer<()> {
    let plain = serde_json::to_vec(kept).map_err(|error| Fault::Page(error.to_string()))?;
    let sealed = app.vault.seal(PURPOSE, &plain, &app.entropy)?;
    let _kept: Committed =
        app.store.commit(vec![answered::finish(key, now + UNDER_WAY, sealed, now + KEPT)]).await?;
    Ok(())
}

/// It failed, and may be tried again.
pub async fn forget(app: &App, key: &Digest, now: Timestamp) -> Answer<()> {
    let _forgotten: Committed = app.store.commit(vec![answered::forget(key, now + UNDER_WAY)]).await?;
    Ok(())
}
