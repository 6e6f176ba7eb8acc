//! Tells sockets what they wait for, wherever it happened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_core::grant::{Ask, Grant, State};
use countersign_core::id::{GrantId, NodeId};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{methods, rpc};
use crate::app::{Answer, App, rfc3339};
use crate::flow::{nodes, pairing};
use crate::hub::{Ending, Event, Outgoing, REVOKED, Whose, closing, instant};

/// What was told lately, so that nobody hears it twice: who committed something hears of it at once, and
/// again over the network.
#[derive(Default)]
struct Told(VecDeque<News>);

/// Of what, and what of it.
type News = (String, &'static str);

const REMEMBERED: usize = 1024;
/// Looks at the database that are under way at once.
const AT_ONCE: usize = 16;
/// Before everything is looked up again, after it could not be.
const AGAIN: Duration = Duration::from_secs(1);
/// Pairings whose end is waited for. The sweep tells of the others, later.
const ENDING: usize = 65_536;
/// Nobody is told before it is so.
const LEEWAY: Duration = Duration::from_millis(100);
/// For the calls that are under way when the server stops.
const GRACE: Duration = Duration::from_secs(10);

impl Told {
    /// Whether this is new.
    fn insert(&mut self, news: News) -> bool {
        if self.0.contains(&news) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(news);
        true
    }
}

/// Until it is told to stop; then every socket is closed.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(mut news) = app.hub.news() else { return };
    let mut told = Told::default();
    let mut pause = Duration::ZERO;
    // All have the same time, so they end in the order in which they began.
    let mut ending = VecDeque::new();
    loop {
        let (event, heard_at) = tokio::select! {
            () = stop.cancelled() => break,
            event = news.recv() => match event {
                Some(news) => news,
                None => break,
            },
            () = missed(&app, pause) => (Event::Missed, instant()),
            id = next_end(&mut ending) => (Event::Grant(id), instant()),
        };
        if let Event::Pairing(id) = event {
            if ending.len() == ENDING {
                ending.pop_front(); // The sweep tells of it.
            }
            ending.push_back((heard_at + app.config.pairing.code_ttl + LEEWAY, id));
        }
        pause = Duration::ZERO;
        if let Err(error) = tell(&app, &event, &mut told).await {
            tracing::error!(%error, %event, "sockets were not told; everything is looked up again soon");
            app.hub.miss();
            pause = AGAIN;
        }
        app.metrics.notified_after(heard_at.elapsed());
    }
    app.hub.stop(GRACE).await;
}

/// Until the time of a pairing is over.
async fn next_end(ending: &mut VecDeque<(Instant, GrantId)>) -> GrantId {
    let Some((at, id)) = ending.front().copied() else { return std::future::pending().await };
    tokio::time::sleep(at.saturating_duration_since(instant())).await;
    ending.pop_front();
    id
}

async fn missed(app: &App, pause: Duration) {
    tokio::time::sleep(pause).await;
    app.hub.missed().await;
}

async fn tell(app: &App, event: &Event, told: &mut Told) -> Answer<()> {
    match event {
        Event::Pairing(id) => {
            if app.hub.has_operators()
                && let Some(grant) = pairing::grant(app, *id).await?
            {
                requested(app, &grant, told);
            }
        }
        Event::Grant(id) => resolved(app, *id, told).await?,
        Event::Node(id, ending) => {
            close_ended(app, Whose::Device(*id), &closing(*ending)).await?;
            if *ending == Ending::Revoked
                && app.hub.has_operators()
                && let Some(listed) = nodes::by_id(app, *id).await?
                // It may be paired and revoked again.
                && told.insert((format!("{id} {:?}", listed.node.revoked_at), "revoked"))
            {
                app.hub.to_operators(resolution(app, listed.node.facts.node, "revoked"));
            }
        }
        Event::Removed(id, node) => {
            close_ended(app, Whose::Device(*id), &REVOKED).await?;
            if told.insert((id.to_string(), "removed")) {
                app.hub.to_operators(resolution(app, *node, "revoked"));
            }
        }
        Event::NodesOf(account) => close_ended(app, Whose::Account(*account), &REVOKED).await?,
        Event::Missed => {
            close_ended(app, Whose::Everybody, &REVOKED).await?;
            for id in app.hub.waiting() {
                resolved(app, id, told).await?;
            }
            if app.hub.has_operators() {
                for grant in pairing::waiting(app, app.clock.now()).await? {
                    requested(app, &grant, told);
                }
            }
        }
        Event::Client(_) | Event::Keys => {}
    }
    Ok(())
}

/// Closes the sockets whose token is good no more; one that was opened with a newer token stays.
async fn close_ended(app: &App, whose: Whose, why: &Outgoing) -> Answer<()> {
    let now = app.clock.now();
    let looks = futures_util::stream::iter(app.hub.opened_with(whose))
        .map(|(socket, token)| async move { Answer::Ok((socket, nodes::is_live(app, &token, now).await?)) })
        .buffer_unordered(AT_ONCE);
    let mut looks = std::pin::pin!(looks);
    while let Some((socket, lives)) = looks.try_next().await? {
        if !lives {
            app.hub.close(socket, why);
        }
    }
    Ok(())
}

/// Operators hear of a new pairing.
fn requested(app: &App, grant: &Grant, told: &mut Told) {
    if told.insert((grant.id.to_string(), "requested")) {
        app.hub.to_operators(rpc::notification("node.pair.requested", &methods::pending(grant, true)));
    }
}

/// Whoever waits for a pairing, and every operator, hears what became of it.
async fn resolved(app: &App, id: GrantId, told: &mut Told) -> Answer<()> {
    if !app.hub.concerns(id) {
        return Ok(());
    }
    let Some(grant) = pairing::grant(app, id).await? else { return Ok(()) };
    let now = app.clock.now();
    let Ask::Pairing(ask) = &grant.ask else { return Ok(()) };
    let Some(decision) = decision(&grant, grant.is_expired(now)) else { return Ok(()) };
    if told.insert((id.to_string(), decision)) {
        let text = resolution(app, ask.facts.node, decision);
        app.hub.to_operators(text.clone());
        app.hub.to_waiting(id, text);
    }
    Ok(())
}

fn resolution(app: &App, node: NodeId, decision: &str) -> String {
    let ts = rfc3339(app.clock.now());
    let params = json!({ "device_id": node.to_string(), "decision": decision, "ts": ts });
    rpc::notification("node.pair.resolved", &params)
}

const fn decision(grant: &Grant, expired: bool) -> Option<&'static str> {
    match &grant.state {
        State::Approved(_) | State::Redeemed { .. } => Some("approved"),
        State::Denied { .. } => Some("rejected"),
        State::Pending if expired => Some("expired"),
        State::Pending => None,
    }
}
