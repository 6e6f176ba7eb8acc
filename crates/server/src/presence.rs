//! Servers that share a database tell each other which nodes are connected to them.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::id::ServerId;
use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::app::{Answer, App};
use crate::store::{Committed, Store, presence};

const BEAT: Duration = Duration::from_secs(3);
/// A server that was silent for so long has nobody connected.
const SILENT: Duration = Duration::from_secs(10);

/// Until it is told to stop; then nobody is connected here.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    if matches!(app.store, Store::Sqlite(_)) {
        return; // There is no other.
    }
    let server = match app.entropy.id() {
        Ok(id) => ServerId::new(app.clock.now(), id),
        Err(error) => return tracing::error!(%error, "others will not know who is connected here"),
    };
    loop {
        if let Err(error) = beat(&app, server, app.clock.now()).await {
            tracing::warn!(%error, "who is connected to other servers is not known for the moment");
            app.hub.set_elsewhere(Vec::new());
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(BEAT) => {}
        }
    }
    if let Err(error) = app.store.commit(vec![presence::leave(server)]).await {
        tracing::debug!(%error, "others will notice by the silence");
    }
}

async fn beat(app: &App, server: ServerId, now: Timestamp) -> Answer<()> {
    let own = app.hub.connected();
    let batch = vec![presence::beat(server, &own, now), presence::forget(now - SILENT * 6)];
    let _done: Committed = app.store.commit(batch).await?;
    app.hub.set_elsewhere(presence::others(&app.store, server, now - SILENT).await?);
    Ok(())
}
