//! Retention: what has had its time is deleted in the background, in bounded batches.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::grant::Door;
use countersign_core::id::GrantId;
use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::app::{Answer, App};
use crate::flow::audit;
use crate::store::feed::Event;
use crate::store::{
    Committed, Stmt, accounts, answered, api_keys, attempts, challenges, families, figures, grants, keys,
    nodes, notices, once,
};
use crate::telemetry::GrantEvent;

/// A question that nobody ever looked at tells nobody anything: this long after it ran out it goes,
/// so that whoever asks without end does not fill the disk.
const UNOPENED: Duration = Duration::from_hours(1);

/// Sweeps until it is told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(app.config.retention.interval) => {}
        }
        let now = app.clock.now();
        forget(&app, now);
        let swept = match app.store.sweeper().await {
            Ok(Some(_sweeper)) => once(&app, now).await.map(drop),
            // Another node is at it.
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = swept {
            tracing::error!(%error, "a sweep failed; the next one tries again");
        }
    }
}

/// Frees the codes of pairings whose time is over, at an interval of their own.
pub async fn codes(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(app.config.pairing.cleanup_interval) => {}
        }
        if let Err(error) = commit(&app, grants::free_codes(app.clock.now())).await {
            tracing::error!(%error, "pairing codes were not freed; the next sweep tries again");
        }
    }
}

/// What this node alone remembers.
fn forget(app: &App, now: Timestamp) {
    app.pending.sweep(now);
    app.codes_per_address.sweep();
    app.codes_per_client.sweep();
    app.pairing_codes_per_address.sweep();
    app.upgrades_per_address.sweep();
    app.imported_tokens_per_address.sweep();
    app.passkeys_per_address.sweep();
    app.upstream_sign_ins_per_address.sweep();
    app.asks_seen.sweep();
    app.told_of.sweep();
    app.password_changes.sweep();
}

/// One sweep: everything that is due at `now`, one bounded batch after the other.
pub async fn once(app: &App, now: Timestamp) -> Answer<u64> {
    let expired = expire(app, now).await;
    let retention = &app.config.retention;
    let batch = retention.batch;
    let [unopened, grants] = grants::sweep(now - UNOPENED, now - retention.grants, batch);
    let [refresh, access, revoked, ended] = families::sweep(now, now - retention.tokens, batch);
    let [expired_keys, revoked_keys] = api_keys::sweep(now - retention.tokens, batch);
    let [expired_nodes, revoked_nodes] = nodes::sweep(now - retention.tokens, batch);
    let due = [
        expired_nodes,
        revoked_nodes,
        unopened,
        grants,
        accounts::sweep_sessions(now, batch),
        attempts::sweep(now, batch),
        challenges::sweep(now, batch),
        once::sweep(now, batch),
        answered::sweep(now, batch),
        figures::sweep(now - retention.figures, batch),
        notices::sweep(now - retention.audit, batch),
        notices::sweep_links(now, batch),
        refresh,
        access,
        revoked,
        ended,
        expired_keys,
        revoked_keys,
    ];
    let mut rows = commit(app, keys::sweep(now - app.signer.overlap())).await?;
    // What is not sealed is not forgotten.
    let trail = match audit::seal(app).await {
        Ok(_sealed) => audit::sweep(app, now - retention.audit, batch).await,
        Err(error) => Err(error),
    };
    rows += *trail.as_ref().unwrap_or(&0);
    for deletion in due {
        rows += drain(app, deletion, batch).await?;
    }
    app.metrics.swept(rows);
    // What cannot be marked, or a trail that somebody changed, must not keep the rest from being deleted.
    trail.and(expired).map(|()| rows)
}

/// Repeats a bounded deletion until it finds less than a full batch.
async fn drain(app: &App, deletion: Stmt, batch: u32) -> Answer<u64> {
    let mut rows = 0;
    loop {
        let changed = commit(app, deletion.clone()).await?;
        rows += changed;
        if changed < u64::from(batch) {
            return Ok(rows);
        }
    }
}

async fn commit(app: &App, stmt: Stmt) -> Answer<u64> {
    match app.store.commit(vec![stmt]).await? {
        Committed::Done { changed } => Ok(changed),
        Committed::Conflict => Ok(0),
    }
}

/// Marks what ran out, which counts it and frees its code.
async fn expire(app: &App, now: Timestamp) -> Answer<()> {
    loop {
        let since = now - app.config.retention.grants;
        let due = grants::to_expire(&app.store, now, since, app.config.retention.batch).await?;
        let last = due.len() < app.config.retention.batch as usize;
        for (_, door) in mark(app, due, now).await? {
            app.metrics.grant(door, GrantEvent::Expired, None);
        }
        if last {
            return Ok(());
        }
    }
}

async fn mark(app: &App, due: Vec<(GrantId, Door)>, now: Timestamp) -> Answer<Vec<(GrantId, Door)>> {
    let mut all: Vec<Stmt> = due.iter().map(|(id, _)| grants::mark_expired(*id, now)).collect();
    let sockets = due.iter().filter(|(_, door)| *door == Door::Socket);
    all.extend(sockets.map(|(id, _)| Stmt::tell(Event::Grant(*id))));
    if app.store.commit(all).await?.is_done() {
        return Ok(due);
    }
    // Somebody else marked one of them: then one by one.
    let mut marked = Vec::new();
    for (id, door) in due {
        let mut one = vec![grants::mark_expired(id, now)];
        if door == Door::Socket {
            one.push(Stmt::tell(Event::Grant(id)));
        }
        if app.store.commit(one).await?.is_done() {
            marked.push((id, door));
        }
    }
    Ok(marked)
}
