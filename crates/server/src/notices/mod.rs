//! Sends what waits in the outbox: every node looks, and one at a time takes a notice for a while. What
//! does not arrive is tried again, later and later, and then kept as failed.

mod mail;
mod webhook;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::mail::Mailer;
use crate::app::{Answer, App, Fault};
use crate::flow::notices::open;
use crate::issuers;
use crate::store::Stmt;
use crate::store::notices::{self, Due, Kind};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Notices that one look takes.
const BATCH: u32 = 500;
/// Notices that are under way to one place at once.
const AT_ONCE: usize = 8;
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
    let under = Under::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = look(&app, &http, &under).await {
            tracing::error!(%error, "notices wait; the next look tries again");
        }
    }
}

/// What is on its way now, by where to.
#[derive(Clone, Default)]
struct Under(Arc<Mutex<HashMap<(Kind, String), usize>>>);

impl Under {
    fn change(&self, due: &Due, change: impl FnOnce(&mut usize)) -> usize {
        let mut under = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under.entry((due.kind, due.target.clone())).or_default();
        change(count);
        *count
    }
}

/// Takes what is due; whoever is slow to answer holds up only what is for them.
async fn look(app: &Arc<App>, http: &reqwest::Client, under: &Under) -> Answer<()> {
    for due in notices::due(&app.store, app.clock.now(), BATCH).await? {
        let now = app.clock.now();
        if under.change(&due, |_| ()) >= AT_ONCE
            || !app.store.commit(vec![notices::claim(&due, now + CLAIM)]).await?.is_done()
        {
            continue;
        }
        under.change(&due, |count| *count += 1);
        let (app, http, under) = (app.clone(), http.clone(), under.clone());
        tokio::spawn(async move {
            let outcome = deliver(&app, &http, &due, now).await;
            let change = settle(&app, &due, outcome, app.clock.now());
            // If it cannot be written down, it comes again, with the same id.
            if let Err(error) = app.store.commit(vec![change]).await {
                tracing::warn!(%error, "what became of a notice could not be written down");
            }
            under.change(&due, |count| *count -= 1);
        });
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
