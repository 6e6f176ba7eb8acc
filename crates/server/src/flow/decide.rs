//! Steps 3 and 4: a person enters the code, approves or denies, and may take it back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::client::Client;
use countersign_core::code::UserCode;
use countersign_core::grant::{Approval, Ask, Grant, Origin, Refusal, State, Way};
use countersign_core::id::{DeviceId, GrantId};
use countersign_core::node::Node;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, uncancelled};
use crate::flow::caller::Caller;
use crate::flow::clients::known;
use crate::flow::detect::{self, About, Suspected};
use crate::flow::policy::{Lacking, Objection, Ruling};
use crate::flow::{authorize, devices, pairing};
use crate::limits::{self, address_key};
use crate::store::feed::{Ending, Event};
use crate::store::{Committed, Stmt, api_keys, audit, families, grants, nodes};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// So long after an approval people are asked whether it was them; so many at once.
const LATELY: Duration = Duration::from_hours(24);
const FEW: usize = 5;
/// So many are looked through for those that are still there.
const LOOKED_THROUGH: u32 = 100;

/// A grant that somebody may decide about, and the client that asks, if one says that it does.
#[derive(Debug)]
pub struct Found {
    pub grant: Box<Grant>,
    pub client: Option<Arc<Client>>,
    /// The paired node whose place it would take.
    pub replaces: Option<Box<Node>>,
}

/// Which codes are taken where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeBox {
    /// The page: everything that devices show.
    Any,
    /// The API of the CLI door.
    CommandLine,
}

/// What entering a code leads to.
#[derive(Debug)]
pub enum Opened {
    Found(Found),
    /// Missing, unknown, expired and used codes are one and the same to whoever enters them.
    Wrong,
    Limited(Duration),
}

/// Step 3. `typed` counts as a wrong code unless it is right, even if the visitor hangs up before
/// that is known.
#[instrument(target = TRACE, name = "decide.open", skip_all)]
pub async fn open(
    app: &Arc<App>,
    account: &Account,
    address: IpAddr,
    typed: &str,
    taken: CodeBox,
    now: Timestamp,
) -> Answer<Opened> {
    let (app, account, typed) = (app.clone(), account.clone(), typed.to_owned());
    uncancelled(async move { look(&app, &account, address, &typed, taken, now).await }).await
}

async fn look(
    app: &App,
    account: &Account,
    address: IpAddr,
    typed: &str,
    taken: CodeBox,
    now: Timestamp,
) -> Answer<Opened> {
    let mut rules = Vec::new();
    if app.config.limits.enabled {
        rules.push((
            app.vault.bucket("code account", &account.id.to_string()),
            app.config.limits.wrong_codes_per_account,
        ));
        rules.push((
            app.vault.bucket("code address", &address_key(address)),
            app.config.limits.wrong_codes_per_address,
        ));
    }
    let counted = match limits::count(&app.store, rules, now).await? {
        Ok(counted) => counted,
        Err(wait) => {
            app.metrics.refused("wrong_codes");
            return Ok(Opened::Limited(wait));
        }
    };
    let grant = match UserCode::parse(typed) {
        Some(code) => grants::by_code(&app.store, &app.vault.code(&code), now).await?,
        None => None,
    };
    let found = match grant.filter(|grant| taken == CodeBox::Any || is_key(grant)) {
        Some(grant) => with_client(app, grant).await?,
        None => None,
    };
    let Some(found) = found else {
        let mut event = app.event(now, Action::CodeWrong)?;
        event.account = Some(account.id);
        event.address = Some(address.to_string());
        let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
        return Ok(Opened::Wrong);
    };
    limits::give_back(&app.store, counted).await?;
    if opened(app, &found.grant, account, address, now).await? {
        return Ok(Opened::Wrong);
    }
    Ok(Opened::Found(found))
}

/// Somebody looks at a question. Whether that ended it, because somebody else did before.
pub async fn opened(
    app: &App,
    grant: &Grant,
    account: &Account,
    address: IpAddr,
    now: Timestamp,
) -> Answer<bool> {
    let mut event = app.event(now, Action::GrantOpened)?;
    event.account = Some(account.id);
    event.client = grant.client().cloned();
    event.grant = Some(grant.id);
    event.address = Some(address.to_string());
    let _opened: Committed =
        app.store.commit(vec![grants::open(grant.id, account.id, now), audit::insert(event)]).await?;
    if grant.opened_at.is_none() {
        app.metrics.grant(grant.ask.door(), GrantEvent::Opened, grant.client());
    }
    // After it was written down who was first: of two at once, one is the second.
    let first = grants::opened_by(&app.store, grant.id).await?;
    Ok(first.is_some_and(|first| first != account.id)
        && second_person(app, grant, account, address, now).await?)
}

/// A second person entered a code. Whether that ended it.
async fn second_person(
    app: &App,
    grant: &Grant,
    account: &Account,
    address: IpAddr,
    now: Timestamp,
) -> Answer<bool> {
    let about = About::grant(grant, account.id, &address.to_string());
    // Once a minute is enough to be told.
    if app.told_of.check(&grant.id.to_string()).is_ok() {
        detect::note(app, Suspected::CodeOfOthers, about, now).await?;
    }
    if !app.config.detection.block {
        return Ok(false);
    }
    let batch = vec![grants::deny(grant.id, None, now), Stmt::tell(Event::Grant(grant.id))];
    if app.store.commit(batch).await?.is_done() {
        app.metrics.grant(grant.ask.door(), GrantEvent::Denied, grant.client());
    }
    Ok(true)
}

fn is_key(grant: &Grant) -> bool {
    matches!(&grant.ask, Ask::Key(ask) if ask.way == Way::Forward)
}

/// The grant with its client; none if it names one that is not known any more.
async fn with_client(app: &App, grant: Grant) -> Answer<Option<Found>> {
    let client = match grant.client() {
        Some(id) => match known(app, id).await? {
            Some(client) => Some(client),
            None => return Ok(None),
        },
        None => None,
    };
    let replaces = match &grant.ask {
        Ask::Pairing(ask) => {
            nodes::by_node(&app.store, ask.facts.node).await?.map(|listed| Box::new(listed.node))
        }
        Ask::Tokens(_) | Ask::Key(_) => None,
    };
    Ok(Some(Found { grant: Box::new(grant), client, replaces }))
}

/// The grant behind a page that was opened before.
pub async fn reopen(app: &App, id: GrantId) -> Answer<Option<Found>> {
    match grants::by_id(&app.store, id).await? {
        Some(grant) => with_client(app, grant).await,
        None => Ok(None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Deny,
}

#[derive(Debug)]
pub enum Decided {
    /// `pin` must be typed on the device.
    Approved {
        pin: Option<Plain>,
    },
    Denied,
    /// It expired or was decided meanwhile; nothing happened.
    TooLate,
    /// What was asked for, or the policy, wants a fresher sign-in; nothing happened.
    SignInTooOld,
    /// A second factor is wanted; nothing happened.
    SignInTooWeak,
    /// The device is somebody else's; nothing happened.
    Foreign,
    /// It asked from another network, which the policy forbids; nothing happened.
    Elsewhere,
}

impl Found {
    /// What the policy says of it, to whoever is here.
    pub fn ruling(&self, app: &App, here: &Origin) -> Ruling {
        // Where the answer goes back through the browser, whoever asks is where the person is.
        let through_here = authorize::code_of(&self.grant).is_some();
        let asked = if through_here { here } else { &self.grant.from };
        let ruling = Ruling::new(app, self.client.as_deref(), asked, here);
        if through_here { ruling.without_pin() } else { ruling }
    }
}

/// What this person's sign-in lacks for it, which is written down.
pub async fn lacks(
    app: &App,
    caller: &Caller,
    found: &Found,
    here: &Origin,
    now: Timestamp,
) -> Answer<Option<Lacking>> {
    let ruling = found.ruling(app, here);
    let demand = ruling.demand(app, &caller.account);
    let Err(refusal) = found.grant.accepts(&caller.sign_in(), demand, now) else { return Ok(None) };
    let (lacking, why) = match refusal {
        Refusal::SignInTooWeak => (Lacking::SecondFactor, "acr"),
        _ if demand.after_the_question => (Lacking::Freshness, "mismatch"),
        _ => (Lacking::Freshness, "max_age"),
    };
    let objection = Objection {
        account: Some(caller.account.id),
        ..Objection::to(&found.grant, Action::GrantSteppedUp, why, here)
    };
    objection.note(app, now).await?;
    Ok(Some(lacking))
}

/// Notes that a code came with a link where it must be typed.
pub async fn typed_instead(
    app: &App,
    caller: &Caller,
    found: &Found,
    here: &Origin,
    now: Timestamp,
) -> Answer<()> {
    let objection = Objection::to(&found.grant, Action::GrantRefused, "complete_uri", here);
    Objection { account: Some(caller.account.id), ..objection }.note(app, now).await
}

/// Step 4.
#[instrument(target = TRACE, name = "decide.decide", skip_all)]
pub async fn decide(
    app: &App,
    caller: &Caller,
    found: Found,
    decision: Decision,
    from: &Origin,
    now: Timestamp,
) -> Answer<Decided> {
    if found.grant.undecided(now).is_err() {
        return Ok(Decided::TooLate);
    }
    if decision == Decision::Approve {
        match lacks(app, caller, &found, from, now).await? {
            Some(Lacking::Freshness) => return Ok(Decided::SignInTooOld),
            Some(Lacking::SecondFactor) => return Ok(Decided::SignInTooWeak),
            None => {}
        }
    }
    let ruling = found.ruling(app, from);
    let suspicion = match decision {
        Decision::Approve if ruling.detail().is_some() => {
            let about = About::grant(&found.grant, caller.account.id, &found.grant.from.address);
            detect::rows(app, Suspected::FarApproval, about, now)?
        }
        Decision::Approve | Decision::Deny => Vec::new(),
    };
    let grant = *found.grant;
    let (denied, suspected) = (grant.clone(), !suspicion.is_empty());
    let (id, asked_at, client) = (grant.id, grant.asked_at, grant.client().cloned());
    let (by, door) = (caller.account.id, grant.ask.door());
    if let (Decision::Approve, Ask::Pairing(ask)) = (decision, &grant.ask)
        && !pairing::may_pair(app, ask.facts.node, by).await?
    {
        return Ok(Decided::Foreign);
    }
    if decision == Decision::Approve && ruling.is_denied() {
        let objection = Objection::to(&grant, Action::GrantRefused, "mismatch", from);
        Objection { account: Some(by), ..objection }.note(app, now).await?;
        return Ok(Decided::Elsewhere);
    }
    let pin_tries = ruling.pin_tries();
    let (change, action) = match decision {
        Decision::Approve => {
            let approval = Approval { by: Some(by), at: now, sign_in: caller.sign_in(), pin_tries };
            match grant.approve(approval.clone(), ruling.demand(app, &caller.account)) {
                Ok(_) => (grants::approve(id, &approval), Action::GrantApproved),
                Err(Refusal::SignInTooOld) => return Ok(Decided::SignInTooOld),
                Err(Refusal::SignInTooWeak) => return Ok(Decided::SignInTooWeak),
                Err(_) => return Ok(Decided::TooLate),
            }
        }
        Decision::Deny => match grant.deny(now) {
            Ok(_) => (grants::deny(id, Some(by), now), Action::GrantDenied),
            Err(_) => return Ok(Decided::TooLate),
        },
    };
    let mut event = app.event(now, action)?;
    event.detail = ruling.detail();
    event.account = Some(by);
    event.client = client;
    event.grant = Some(id);
    event.address = Some(from.address.clone());
    let mut batch = vec![change];
    batch.extend(caller.login().map(|login| grants::made_with(id, login)));
    batch.extend(caller.guards(now));
    batch.extend(suspicion);
    batch.extend([audit::insert(event), Stmt::tell(Event::Grant(id))]);
    match (app.store.commit(batch).await?, decision) {
        (Committed::Conflict, _) => Ok(Decided::TooLate),
        (Committed::Done { .. }, Decision::Approve) => {
            if suspected {
                app.metrics.suspected(Suspected::FarApproval.name());
            }
            app.metrics.grant(door, GrantEvent::Approved, denied.client());
            app.metrics.approved_after(now.since(asked_at));
            Ok(Decided::Approved { pin: pin_tries.map(|_| Plain::new(app.vault.pin(id))) })
        }
        (Committed::Done { .. }, Decision::Deny) => {
            app.metrics.grant(door, GrantEvent::Denied, denied.client());
            detect::denied(app, &denied, by, now).await?;
            Ok(Decided::Denied)
        }
    }
}

/// The PIN that the device asks for, while it may still be typed there.
pub fn pin(app: &App, grant: &Grant) -> Option<Plain> {
    match &grant.state {
        State::Approved(approval) if approval.pin_tries.is_some() => {
            Some(Plain::new(app.vault.pin(grant.id)))
        }
        State::Approved(_) | State::Pending | State::Denied { .. } | State::Redeemed { .. } => None,
    }
}

/// What this person approved lately and may still take back, the newest first. `active` are the devices
/// that they have.
pub async fn lately(app: &App, account: &Account, active: &[DeviceId], now: Timestamp) -> Answer<Vec<Found>> {
    let mut found = Vec::new();
    for grant in grants::recent(&app.store, account.id, now - LATELY, LOOKED_THROUGH).await? {
        if found.len() == FEW {
            break;
        }
        let live = match &grant.state {
            State::Approved(_) => !grant.is_expired(now),
            State::Redeemed { device, .. } => active.contains(device),
            State::Pending | State::Denied { .. } => false,
        };
        if live {
            found.extend(with_client(app, grant).await?);
        }
    }
    Ok(found)
}

/// *This wasn't me*: takes back an approval of this person's, whether the device collected or
/// not. False if there is no such approval.
#[instrument(target = TRACE, name = "decide.undo", skip_all)]
pub async fn undo(app: &App, account: &Account, id: GrantId, from: &Origin, now: Timestamp) -> Answer<bool> {
    let mut event = app.event(now, Action::GrantUndone)?;
    event.account = Some(account.id);
    event.grant = Some(id);
    event.address = Some(from.address.clone());
    // The device may collect between looking and writing; then the second look finds its family.
    for _ in 0..3 {
        let Some(grant) = grants::by_id(&app.store, id).await? else { return Ok(false) };
        let change = match &grant.state {
            State::Approved(approval) if approval.is_by(account.id) => grants::undo(id, account.id, now),
            State::Redeemed { approval, device, .. } if approval.is_by(account.id) => match &grant.ask {
                Ask::Tokens(_) => families::end_own(*device, account.id, now),
                Ask::Key(_) => api_keys::revoke_own(*device, account.id, now),
                Ask::Pairing(_) => nodes::revoke_own(*device, account.id, now),
            },
            State::Approved(_) | State::Redeemed { .. } | State::Pending | State::Denied { .. } => {
                return Ok(false);
            }
        };
        event.client = grant.client().cloned();
        let mut batch = vec![change, audit::insert(event.clone()), Stmt::tell(Event::Grant(id))];
        if let State::Redeemed { device, .. } = &grant.state {
            batch.extend(devices::offspring(*device, now));
        }
        if let (Ask::Pairing(_), State::Redeemed { device, .. }) = (&grant.ask, &grant.state) {
            batch.push(Stmt::tell(Event::Node(*device, Ending::Revoked)));
        }
        if app.store.commit(batch).await?.is_done() {
            return Ok(true);
        }
    }
    // It ended by another hand meanwhile: what the person wanted holds.
    Ok(true)
}
