//! What looks like somebody fishing for approvals: counted, written down, told to whoever listens, and
//! stopped where the configuration says so (`detection.*`).

use std::time::Duration;

use countersign_core::audit::Action;
use countersign_core::client::ClientId;
use countersign_core::grant::Grant;
use countersign_core::id::{AccountId, GrantId};
use countersign_core::limit::Rule;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, rfc3339};
use crate::flow::notices::{self, Data, Notice};
use crate::limits;
use crate::store::{Committed, Stmt, audit};
use crate::telemetry::trace::TRACE;

/// What is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suspected {
    /// One code was entered by a second person.
    CodeOfOthers,
    /// One address asks and asks.
    ManyAsks,
    /// People deny what one client asks.
    ManyDenials,
    /// Somebody approved what was asked for from another place.
    FarApproval,
}

impl Suspected {
    pub const ALL: [Self; 4] = [Self::CodeOfOthers, Self::ManyAsks, Self::ManyDenials, Self::FarApproval];

    pub const fn name(self) -> &'static str {
        match self {
            Self::CodeOfOthers => "code_of_others",
            Self::ManyAsks => "many_asks",
            Self::ManyDenials => "many_denials",
            Self::FarApproval => "far_approval",
        }
    }
}

/// Whom and what it is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub grant: Option<GrantId>,
    pub client: Option<ClientId>,
    pub account: Option<AccountId>,
    pub address: Option<String>,
}

impl About {
    pub fn grant(grant: &Grant, account: AccountId, address: &str) -> Self {
        Self {
            grant: Some(grant.id),
            client: grant.client().cloned(),
            account: Some(account),
            address: Some(address.to_owned()),
        }
    }
}

pub const EVENT: &str = "suspicion";
const HOUR: Duration = Duration::from_hours(1);

/// What writes it down and tells of it.
pub fn rows(app: &App, suspected: Suspected, about: About, now: Timestamp) -> Answer<Vec<Stmt>> {
    let suspicion = notices::Suspicion {
        kind: suspected.name().to_owned(),
        grant_id: about.grant.map(|id| id.to_string()),
        client: about.client.as_ref().map(ToString::to_string),
        user_id: about.account.map(|id| id.to_string()),
        address: about.address.clone(),
    };
    let data = Data::Suspicion(suspicion);
    let notice = Notice { kind: EVENT.to_owned(), timestamp: rfc3339(now), data };
    let mut batch = notices::send(app, &notice, false, now)?;
    let mut event = app.event(now, Action::Suspicion)?;
    event.grant = about.grant;
    event.client = about.client;
    event.account = about.account;
    event.address = about.address;
    event.detail = Some(suspected.name().to_owned());
    batch.push(audit::insert(event));
    Ok(batch)
}

pub async fn note(app: &App, suspected: Suspected, about: About, now: Timestamp) -> Answer<()> {
    let _noted: Committed = app.store.commit(rows(app, suspected, about, now)?).await?;
    app.metrics.suspected(suspected.name());
    Ok(())
}

/// Whether this address has asked so often that it is not answered any more. Counted by each node.
#[instrument(target = TRACE, name = "detect.asks", skip_all)]
pub async fn asks(app: &App, address: &str, key: &str, now: Timestamp) -> Answer<bool> {
    if !app.config.limits.enabled || app.asks_seen.check(key).is_ok() {
        return Ok(false);
    }
    // Once a minute is enough to be told.
    if app.told_of.check(key).is_ok() {
        let about = About { address: Some(address.to_owned()), ..About::default() };
        note(app, Suspected::ManyAsks, about, now).await?;
    }
    Ok(app.config.detection.block)
}

fn denials(app: &App, client: &ClientId) -> (Digest, Rule) {
    let attempts = app.config.detection.denials_per_client;
    (app.vault.bucket("denials", client.as_str()), Rule { attempts, window: HOUR, grows: false })
}

/// Somebody denied what a client asked.
#[instrument(target = TRACE, name = "detect.denied", skip_all)]
pub async fn denied(app: &App, grant: &Grant, by: AccountId, now: Timestamp) -> Answer<()> {
    let Some(client) = grant.client() else { return Ok(()) };
    if !app.config.limits.enabled {
        return Ok(());
    }
    let counted = limits::count(&app.store, vec![denials(app, client)], now).await?;
    let full = counted.is_err() || limits::wait(&app.store, Some(denials(app, client)), now).await?.is_some();
    if full && app.told_of.check(client.as_str()).is_ok() {
        note(app, Suspected::ManyDenials, About::grant(grant, by, &grant.from.address), now).await?;
    }
    Ok(())
}

/// Whether so much of what a client asked was denied that it is not answered any more.
pub async fn is_blocked(app: &App, client: &ClientId, now: Timestamp) -> Answer<bool> {
    if !app.config.detection.block || !app.config.limits.enabled {
        return Ok(false);
    }
    Ok(limits::wait(&app.store, Some(denials(app, client)), now).await?.is_some())
}
