//! Tells sockets what they wait for, wherever it happened.

use std::collections::VecDeque;
use std::sync::Arc;

use countersign_core::grant::{Ask, Grant, State};
use countersign_core::id::{DeviceId, GrantId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{methods, rpc};
use crate::app::{Answer, App, rfc3339};
use crate::flow::pairing;
use crate::hub::{Event, Outgoing, REVOKED, closing};

/// What was told lately, so that nobody hears it twice: who committed something hears of it at once, and
/// again over the network.
#[derive(Default)]
struct Told(VecDeque<(GrantId, &'static str)>);

const REMEMBERED: usize = 1024;

impl Told {
    /// Whether this is new.
    fn insert(&mut self, grant: GrantId, what: &'static str) -> bool {
        if self.0.contains(&(grant, what)) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((grant, what));
        true
    }
}

/// Until it is told to stop; then every socket is closed.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(mut news) = app.hub.news() else { return };
    let mut told = Told::default();
    loop {
        let (event, heard_at) = tokio::select! {
            () = stop.cancelled() => break,
            event = news.recv() => match event {
                Some(news) => news,
                None => break,
            },
        };
        if let Err(error) = tell(&app, &event, &mut told).await {
            tracing::error!(%error, %event, "sockets were not told");
        }
        app.metrics.notified_after(heard_at.elapsed());
    }
    app.hub.close_all();
}

async fn tell(app: &App, event: &Event, told: &mut Told) -> Answer<()> {
    match event {
        Event::Pairing(id) => {
            if app.hub.concerns(*id)
                && let Some(grant) = pairing::grant(app, *id).await?
                && told.insert(*id, "requested")
            {
                let item = methods::pending(&grant, true);
                app.hub.to_operators(&rpc::notification("node.pair.requested", &item));
            }
        }
        Event::Grant(id) => resolved(app, *id, told).await?,
        Event::Node(id, ending) => close_ended(app, Some(*id), &closing(*ending)).await?,
        Event::Missed => {
            for id in app.hub.waiting() {
                resolved(app, id, told).await?;
            }
            close_ended(app, None, &REVOKED).await?;
        }
        Event::Client(_) | Event::Keys => {}
    }
    Ok(())
}

/// Closes the sockets whose token is good no more; one that was opened with a newer token stays.
async fn close_ended(app: &App, device: Option<DeviceId>, why: &Outgoing) -> Answer<()> {
    let now = app.clock.now();
    for (socket, token) in app.hub.opened_with(device) {
        if !pairing::is_live(app, &token, now).await? {
            app.hub.close(socket, why.clone());
        }
    }
    Ok(())
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
    if told.insert(id, decision) {
        let node = ask.facts.node.to_string();
        let params = json!({ "device_id": node, "decision": decision, "ts": rfc3339(now) });
        let text = rpc::notification("node.pair.resolved", &params);
        app.hub.to_operators(&text);
        app.hub.to_waiting(id, &text);
    }
    Ok(())
}

const fn decision(grant: &Grant, expired: bool) -> Option<&'static str> {
    match &grant.state {
        State::Approved(_) | State::Redeemed { .. } => Some("approved"),
        State::Denied { .. } => Some("rejected"),
        State::Pending if expired => Some("expired"),
        State::Pending => None,
    }
}
