//! Sends what waits in the outbox: every node looks, and one at a time takes a notice for a while. What
//! does not arrive is tried again, later and later, and then kept as failed.

pub mod mail;
mod reach;
mod webhook;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::mail::Mailer;
use self::reach::Reach;
use crate::app::{Answer, App, Fault};
use crate::flow::notices::open;
use crate::issuers;
use crate::store::Stmt;
use crate::store::notices::{self, Due, Kind};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Notices that are under way to one place at once.
const AT_ONCE: u32 = 8;
/// Whoever takes longer has not answered.
const PATIENCE: Duration = Duration::from_mins(1);
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
    // A proxy would look names up by itself, past the look at where they lead.
    let reach = Reach::new(&app.config.notices.allowed_networks);
    let http = match issuers::http_client_with(|builder| builder.no_proxy().dns_resolver(reach.clone())) {
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
struct Under(Arc<Mutex<HashMap<(Kind, String), u32>>>);

/// One of them, until it is dropped.
struct One(Under, (Kind, String));

impl Under {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Kind, String), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self, kind: Kind, target: &str) -> u32 {
        AT_ONCE.saturating_sub(self.lock().get(&(kind, target.to_owned())).copied().unwrap_or_default())
    }

    fn one(&self, kind: Kind, target: &str) -> One {
        let place = (kind, target.to_owned());
        *self.lock().entry(place.clone()).or_default() += 1;
        One(self.clone(), place)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if let Some(count) = self.0.lock().get_mut(&self.1) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Takes what is due, for each place by itself: whoever is slow to answer holds up nobody else.
async fn look(app: &Arc<App>, http: &reqwest::Client, under: &Under) -> Answer<()> {
    let config = &app.config.notices;
    let hooks = config.webhooks.iter().map(|hook| (Kind::Webhook, hook.id.as_str()));
    for (kind, target) in hooks.chain(config.mail.iter().map(|_| (Kind::Mail, ""))) {
        let room = under.room(kind, target);
        if room == 0 {
            continue;
        }
        for due in notices::due(&app.store, kind, target, app.clock.now(), room).await? {
            let now = app.clock.now();
            let until = now + CLAIM;
            if app.store.commit(vec![notices::claim(&due, until)]).await?.is_done() {
                let (app, http, one) = (app.clone(), http.clone(), under.one(kind, target));
                tokio::spawn(async move {
                    send(&app, &http, &due, until, now).await;
                    drop(one);
                });
            }
        }
    }
    Ok(())
}

async fn send(app: &App, http: &reqwest::Client, due: &Due, until: Timestamp, now: Timestamp) {
    let delivered = tokio::time::timeout(PATIENCE, deliver(app, http, due, now)).await;
    let outcome = delivered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let change = settle(app, due, until, outcome, app.clock.now());
    // If it cannot be written down, it comes again, with the same id.
    if let Err(error) = app.store.commit(vec![change]).await {
        tracing::warn!(%error, "what became of a notice could not be written down");
    }
}

async fn deliver(app: &App, http: &reqwest::Client, due: &Due, now: Timestamp) -> Result<(), String> {
    let notice = open(app, due.id, &due.body).map_err(|error: Fault| error.to_string())?;
    match due.kind {
        Kind::Mail => app.mailer.send(app, due.id, &notice).await,
        Kind::Webhook => webhook::send(app, http, due, &notice, now).await,
    }
}

fn settle(app: &App, due: &Due, until: Timestamp, outcome: Result<(), String>, now: Timestamp) -> Stmt {
    let kind = due.kind.name();
    let Err(error) = outcome else {
        app.metrics.notice(kind, "arrived");
        return notices::arrived(due.id, until);
    };
    let error: String = error.chars().take(ERROR_CHARS).collect();
    let wait = usize::try_from(due.attempts).ok().and_then(|made| WAITS.get(made));
    match wait {
        Some(wait) => {
            app.metrics.notice(kind, "retried");
            tracing::warn!(kind, to = due.target, error, "a notice did not arrive, and is tried again");
            notices::later(due.id, until, now + *wait, &error)
        }
        None => {
            app.metrics.notice(kind, "failed");
            tracing::error!(kind, to = due.target, error, "a notice did not arrive, and is given up");
            notices::failed(due.id, until, now, &error)
        }
    }
}
