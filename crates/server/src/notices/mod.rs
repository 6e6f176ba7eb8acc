//! Sends what waits in the outbox: every node looks, and one at a time takes a notice for a while. What
//! does not arrive is tried again, later and later, and then kept as failed.

mod mail;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::mail::Mailer;
use crate::app::{Answer, App, Fault};
use crate::flow::notices::open;
use crate::issuers;
use crate::store::notices::{self, Due, Kind};
use crate::store::{Committed, Stmt};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Notices that one look takes.
const BATCH: u32 = 20;
/// A node that took one and went away has lost it after so long.
const CLAIM: Duration = Duration::from_mins(2);
/// Waits after each attempt that failed; after the last one nobody tries any more.
const WAITS: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
];
/// Of what went wrong, so much is kept.
const ERROR_CHARS: usize = 300;

/// Sends until it is told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    if !app.config.notices.any() {
        return;
    }
    let http = match issuers::http_client() {
        Ok(http) => http,
        Err(why) => {
            tracing::error!(why, "no notice can be sent");
            return;
        }
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = look(&app, &http).await {
            tracing::error!(%error, "notices wait; the next look tries again");
        }
    }
}

async fn look(app: &App, http: &reqwest::Client) -> Answer<()> {
    for due in notices::due(&app.store, app.clock.now(), BATCH).await? {
        let now = app.clock.now();
        if !app.store.commit(vec![notices::claim(&due, now + CLAIM)]).await?.is_done() {
            continue;
        }
        let outcome = deliver(app, http, &due, now).await;
        let change = settle(app, &due, outcome, app.clock.now());
        let _settled: Committed = app.store.commit(vec![change]).await?;
    }
    Ok(())
}

async fn deliver(app: &App, http: &reqwest::Client, due: &Due, now: Timestamp) -> Result<(), String> {
    let notice = open(app, due.id, &due.body).map_err(|error: Fault| error.to_string())?;
    match due.kind {
        Kind::Mail => app.mailer.send(app, &notice).await,
        Kind::Webhook => webhook::send(app, http, due, &notice, now).await,
    }
}

fn settle(app: &App, due: &Due, outcome: Result<(), String>, now: Timestamp) -> Stmt {
    let kind = due.kind.name();
    let Err(error) = outcome else {
        app.metrics.notice(kind, "arrived");
        return notices::arrived(due.id);
    };
    let error: String = error.chars().take(ERROR_CHARS).collect();
    let wait = usize::try_from(due.attempts).ok().and_then(|made| WAITS.get(made));
    match wait {
        Some(wait) => {
            app.metrics.notice(kind, "retried");
            tracing::warn!(kind, target = due.target, error, "a notice did not arrive, and is tried again");
            notices::later(due.id, now + *wait, &error)
        }
        None => {
            app.metrics.notice(kind, "failed");
            tracing::error!(kind, target = due.target, error, "a notice did not arrive, and is given up");
            notices::failed(due.id, now, &error)
        }
    }
}
