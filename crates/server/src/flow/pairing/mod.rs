//! The socket door: a node asks to be paired, somebody approves, the node collects a device token.

mod guesses;

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::account::SignIn;
use countersign_core::audit::Action;
use countersign_core::code::{UserCode, draw_pairing};
use countersign_core::grant::{Approval, Ask, Grant, Origin, PairingAsk, State};
use countersign_core::id::{AccountId, DeviceId, GrantId, NodeId};
use countersign_core::node::{Node, NodeFacts, READ};
use countersign_core::scope::Scopes;
use countersign_core::secret::{Plain, TokenKind};
use countersign_core::time::Timestamp;
use tracing::instrument;

use self::guesses::{count_wrong, guesses};
use crate::app::{Answer, App};
use crate::flow::ask::DRAWS;
use crate::flow::detect;
use crate::flow::notices::{self, NewDevice};
use crate::flow::pin::{self, Checked, Typed};
use crate::flow::policy::{Objection, Ruling};
use crate::hub::SocketId;
use crate::limits::address_key;
use crate::store::feed::{Ending, Event};
use crate::store::{Stmt, accounts, audit, grants, nodes};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// Pairings that wait which one list shows.
const LISTED: u32 = 200;

#[derive(Debug)]
pub struct Requested {
    pub code: Plain,
    pub expires_at: Timestamp,
    pub expires_in: Duration,
}

#[derive(Debug)]
pub enum Requesting {
    Requested(Requested),
    /// Somebody else asks for this device at the moment.
    Elsewhere,
    TooMany(Duration),
    /// Too many codes are live.
    Exhausted,
    /// Devices may not ask from there.
    Denied,
}

/// Step 1. The socket hears what becomes of it.
#[instrument(target = TRACE, name = "pairing.request", skip_all)]
pub async fn request(
    app: &App,
    facts: NodeFacts,
    from: Origin,
    address: IpAddr,
    socket: SocketId,
    now: Timestamp,
) -> Answer<Requesting> {
    if app.config.limits.enabled
        && let Err(wait) = app.pairing_codes_per_address.check(&address_key(address))
    {
        app.metrics.refused("pairing_codes_per_address");
        return Ok(Requesting::TooMany(wait));
    }
    let expires_in = app.config.approval.lifetime(app.config.pairing.code_ttl);
    let scopes = Scopes::one(READ);
    if !app.config.approval.may_ask(address) {
        let (action, why) = (Action::GrantRefused, "allowed_requester_cidrs");
        let objection = Objection { action, why, grant: None, client: None, account: None, from: &from };
        objection.note(app, now).await?;
        return Ok(Requesting::Denied);
    }
    if detect::asks(app, &from.address, &address_key(address), now).await? {
        app.metrics.refused("detection");
        return Ok(Requesting::Denied);
    }
    for _ in 0..DRAWS {
        // Nobody can end another's pairing by asking in its name.
        let older = grants::by_node(&app.store, facts.node).await?;
        if let Some(older) = &older {
            let lives = !older.is_expired(now) && !matches!(older.state, State::Denied { .. });
            let own = older.from.address == from.address || app.hub.waits_for(socket, older.id);
            if lives && !own {
                return Ok(Requesting::Elsewhere);
            }
        }
        let Some(code) = draw_pairing(&app.entropy.bytes_64()?) else { continue };
        let grant = Grant {
            id: GrantId::new(now, app.entropy.id()?),
            ask: Ask::Pairing(PairingAsk { facts: facts.clone(), scopes: scopes.clone() }),
            from: from.clone(),
            asked_at: now,
            expires_at: now + expires_in,
            interval: app.config.device.interval,
            opened_at: None,
            state: State::Pending,
        };
        // Nothing is polled with it: the code and the device's id are what collects.
        let unused = Plain::from_entropy(&app.entropy.bytes()?).digest();
        let mut event = app.event(now, Action::PairingRequested)?;
        event.grant = Some(grant.id);
        event.address = Some(from.address.clone());
        // If yet another was asked for meanwhile, the node has two, which is a conflict.
        let mut batch = Vec::new();
        if let Some(older) = &older {
            batch.extend([grants::end_pairing(older.id, now), Stmt::tell(Event::Grant(older.id))]);
        }
        batch.extend([
            grants::insert(&grant, &unused, Some(&app.vault.code(&code)))?,
            audit::insert(event),
            Stmt::tell(Event::Pairing(grant.id)),
        ]);
        // Before the commit: it may be decided the moment that it can be seen.
        app.hub.wait_for(socket, grant.id);
        if app.store.commit(batch).await?.is_done() {
            app.metrics.grant(grant.ask.door(), GrantEvent::Asked, grant.client());
            return Ok(Requesting::Requested(Requested {
                code: Plain::new(code.as_str().to_owned()),
                expires_at: grant.expires_at,
                expires_in,
            }));
        }
        app.hub.forget(socket, grant.id);
    }
    Ok(Requesting::Exhausted)
}

/// By what right somebody approves over a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Any device. One that is somebody's stays theirs.
    Operator,
    /// The node itself, where the configuration says that it may: only what is nobody's.
    Itself,
}

/// Who decides about pairings over a socket.
#[derive(Clone, Debug)]
pub struct Approver {
    pub authority: Authority,
    /// The person, if it is one.
    pub account: Option<AccountId>,
    pub sign_in: SignIn,
    pub guards: Vec<Stmt>,
    /// For the audit trail, where it is no person.
    pub role: Option<String>,
}

impl Approver {
    pub const fn nobody(authority: Authority, role: Option<String>, now: Timestamp) -> Self {
        let sign_in = SignIn { at: now, amr: Vec::new() };
        Self { authority, account: None, sign_in, guards: Vec::new(), role }
    }
}

#[derive(Debug)]
pub struct Paired {
    pub token: Plain,
    pub node: Node,
}

#[derive(Debug)]
pub enum Confirmed {
    Paired(Box<Paired>),
    Invalid,
    Expired,
    Mismatch,
    /// `pin`: somebody approved, and the PIN that they see must be typed on the device.
    Waiting {
        grant: GrantId,
        interval: Duration,
        pin: bool,
    },
    Rejected,
    /// The device is somebody else's.
    Foreign,
    /// The policy does not let this person approve from where they are.
    Elsewhere,
    /// Too many wrong ones.
    TooMany(Duration),
}

/// Who confirms, with what, and from where.
#[derive(Clone, Debug)]
pub struct Confirming<'a> {
    pub typed: &'a str,
    pub node: NodeId,
    /// What the person saw after Approve.
    pub pin: Option<&'a Typed>,
    /// Who approves by the same call.
    pub approver: Option<&'a Approver>,
    pub from: &'a Origin,
    pub address: IpAddr,
    pub socket: SocketId,
}

/// Step 5.
#[instrument(target = TRACE, name = "pairing.confirm", skip_all)]
pub async fn confirm(app: &App, confirming: &Confirming<'_>, now: Timestamp) -> Answer<Confirmed> {
    let Confirming { typed, node, pin, approver, from, .. } = *confirming;
    let Some(code) = UserCode::parse(typed) else { return Ok(Confirmed::Invalid) };
    if let Some(wait) = guesses(app, confirming).wait(app, now).await? {
        app.metrics.refused("wrong_pairing_codes");
        return Ok(Confirmed::TooMany(wait));
    }
    // Whoever approves by this very call is who collects, and needs no PIN from themselves.
    let mut own = false;
    // Somebody may decide or collect between the look and the commit; then look again.
    for _ in 0..4 {
        let found = grants::by_pairing_code(&app.store, &app.vault.code(&code)).await?;
        let pairing = found.as_ref().and_then(|grant| match &grant.ask {
            Ask::Pairing(ask) => Some((grant, ask)),
            Ask::Tokens(_) | Ask::Key(_) => None,
        });
        let Some((grant, ask)) = pairing else {
            guesses(app, confirming).count(app, now).await?;
            return Ok(Confirmed::Invalid);
        };
        if grant.is_expired(now) {
            return Ok(Confirmed::Expired);
        }
        if ask.facts.node != node {
            guesses(app, confirming).count(app, now).await?;
            count_wrong(app, grant, now).await?;
            return Ok(Confirmed::Mismatch);
        }
        let elsewhere = grant.from.address != from.address && !app.hub.waits_for(confirming.socket, grant.id);
        if elsewhere && let Some(wait) = guesses(app, confirming).of_device(app, now).await? {
            app.metrics.refused("wrong_pairing_codes");
            return Ok(Confirmed::TooMany(wait));
        }
        let approval = match (&grant.state, approver) {
            (State::Approved(approval), _) => approval.clone(),
            (State::Denied { .. }, _) => return Ok(Confirmed::Rejected),
            (State::Redeemed { .. }, _) => return Ok(Confirmed::Invalid),
            (State::Pending, None) => {
                return Ok(waiting_for(grant, false));
            }
            (State::Pending, Some(approver)) => match approve(app, grant, approver, from, now).await? {
                Decided::Foreign => return Ok(Confirmed::Foreign),
                Decided::Elsewhere => return Ok(Confirmed::Elsewhere),
                Decided::Done { .. } => {
                    own = true;
                    continue;
                }
                Decided::TooLate => continue,
            },
        };
        let checked = if own { Checked::Fits } else { pin::check(app, grant, &approval, pin, now).await? };
        match checked {
            Checked::Fits => {}
            Checked::Wrong => return Ok(waiting_for(grant, true)),
            Checked::Denied => return Ok(Confirmed::Rejected),
            Checked::Again => continue,
        }
        let paired = redeem(app, grant, ask, &approval, from, now).await;
        pin::give_back(app, &approval, grant, own || matches!(paired, Ok(Some(_)))).await;
        if let Some(paired) = paired? {
            return Ok(Confirmed::Paired(Box::new(paired)));
        }
    }
    Ok(Confirmed::Invalid)
}

const fn waiting_for(grant: &Grant, pin: bool) -> Confirmed {
    Confirmed::Waiting { grant: grant.id, interval: grant.interval, pin }
}

#[derive(Debug)]
pub enum Decided {
    /// `pin` must be typed on the device.
    Done {
        pin: Option<Plain>,
    },
    /// The device is somebody else's.
    Foreign,
    /// It asked from another network than the person's, and the policy says no, or wants a fresh sign-in.
    Elsewhere,
    TooLate,
}

/// Whether a person may pair this device: it is new, or theirs.
pub async fn may_pair(app: &App, node: NodeId, account: AccountId) -> Answer<bool> {
    let known = nodes::by_node(&app.store, node).await?;
    Ok(known.is_none_or(|known| known.node.owner == Some(account)))
}

/// Step 4, yes.
#[instrument(target = TRACE, name = "pairing.approve", skip_all)]
pub async fn approve(
    app: &App,
    grant: &Grant,
    approver: &Approver,
    from: &Origin,
    now: Timestamp,
) -> Answer<Decided> {
    let Ask::Pairing(ask) = &grant.ask else { return Ok(Decided::TooLate) };
    if grant.undecided(now).is_err() {
        return Ok(Decided::TooLate);
    }
    let ruling = approver.account.map(|_| Ruling::new(app, None, &grant.from, from));
    if let Some(ruling) = &ruling {
        let stale = approver.sign_in.at < grant.asked_at;
        if ruling.is_denied() || (ruling.wants_again() && stale) {
            let objection = Objection::to(grant, Action::GrantRefused, "mismatch", from);
            Objection { account: approver.account, ..objection }.note(app, now).await?;
            return Ok(Decided::Elsewhere);
        }
    }
    let known = nodes::by_node(&app.store, ask.facts.node).await?;
    let owner = match (known.map(|known| known.node.owner), approver.authority) {
        (None, _) => approver.account,
        (Some(owner), Authority::Operator) => owner,
        (Some(None), Authority::Itself) => None,
        (Some(Some(_)), Authority::Itself) => return Ok(Decided::Foreign),
    };
    let pin_tries = ruling.as_ref().and_then(Ruling::pin_tries);
    let change = match owner {
        Some(_) => {
            let approval = Approval { by: owner, at: now, sign_in: approver.sign_in.clone(), pin_tries };
            grants::approve(grant.id, &approval)
        }
        None => grants::approve_for_nobody(grant.id, pin_tries, now),
    };
    let detail = ruling.as_ref().and_then(Ruling::detail);
    let pin = pin_tries.map(|_| Plain::new(app.vault.pin(grant.id)));
    let change = Change { write: change, action: Action::GrantApproved, detail };
    let decided = decide(app, grant, change, approver, from, now).await?;
    Ok(if decided { Decided::Done { pin } } else { Decided::TooLate })
}

/// Step 4, no.
#[instrument(target = TRACE, name = "pairing.reject", skip_all)]
pub async fn reject(
    app: &App,
    grant: &Grant,
    approver: &Approver,
    from: &Origin,
    now: Timestamp,
) -> Answer<Decided> {
    if grant.undecided(now).is_err() {
        return Ok(Decided::TooLate);
    }
    let write = grants::deny(grant.id, approver.account, now);
    let change = Change { write, action: Action::GrantDenied, detail: None };
    let decided = decide(app, grant, change, approver, from, now).await?;
    Ok(if decided { Decided::Done { pin: None } } else { Decided::TooLate })
}

struct Change {
    write: Stmt,
    action: Action,
    detail: Option<String>,
}

async fn decide(
    app: &App,
    grant: &Grant,
    change: Change,
    approver: &Approver,
    from: &Origin,
    now: Timestamp,
) -> Answer<bool> {
    let Change { write, action, detail } = change;
    let mut event = app.event(now, action)?;
    event.account = approver.account;
    event.grant = Some(grant.id);
    event.address = Some(from.address.clone());
    event.detail = approver.role.clone().or(detail);
    let mut batch = vec![write];
    batch.extend(approver.guards.clone());
    batch.extend([audit::insert(event), Stmt::tell(Event::Grant(grant.id))]);
    if !app.store.commit(batch).await?.is_done() {
        return Ok(false);
    }
    let outcome = if action == Action::GrantApproved { GrantEvent::Approved } else { GrantEvent::Denied };
    app.metrics.grant(grant.ask.door(), outcome, grant.client());
    Ok(true)
}

/// A device token, and the argon2id hash to export it with, if there shall be one.
pub async fn mint(app: &App) -> Answer<(Plain, Option<String>)> {
    let token = TokenKind::Device.mint(&app.entropy.bytes()?);
    if !app.config.pairing.argon2id {
        return Ok((token, None));
    }
    let phc = app.hasher.hash(token.clone(), &app.entropy).await?;
    Ok((token, Some(phc)))
}

async fn redeem(
    app: &App,
    grant: &Grant,
    ask: &PairingAsk,
    approval: &Approval,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Paired>> {
    let known = nodes::by_node(&app.store, ask.facts.node).await?;
    let id = match &known {
        Some(known) => known.node.id,
        None => DeviceId::new(now, app.entropy.id()?),
    };
    let (token, phc) = mint(app).await?;
    let node = Node {
        id,
        facts: ask.facts.clone(),
        owner: approval.by,
        scopes: ask.scopes.clone(),
        from: from.clone(),
        paired_at: now,
        last_used: None,
        expires_at: app.config.pairing.token_ttl.map(|ttl| now + ttl),
        revoked_at: None,
    };
    let mut event = app.event(now, Action::GrantRedeemed)?;
    event.account = approval.by;
    event.grant = Some(grant.id);
    event.device = Some(id);
    event.address = Some(from.address.clone());
    let mut batch = vec![
        grants::redeem(grant.id, id, now),
        nodes::pair(&node, &token.digest(), phc.as_deref()),
        audit::insert(event),
    ];
    let owner = match node.owner {
        Some(owner) => accounts::by_id(&app.store, owner).await?,
        None => None,
    };
    if let Some(owner) = &owner {
        let (door, name) = (grant.ask.door(), node.facts.name.as_str());
        let new = NewDevice { id, door, name, client: None, owner, from };
        batch.extend(notices::new_device(app, &new, now)?);
    }
    if known.is_some() {
        // Whatever is connected with the token before this one.
        batch.push(Stmt::tell(Event::Node(id, Ending::Refreshed)));
    }
    if !app.store.commit(batch).await?.is_done() {
        return Ok(None);
    }
    app.metrics.grant(grant.ask.door(), GrantEvent::Redeemed, grant.client());
    Ok(Some(Paired { token, node }))
}

/// The pairing that a code or a device's id means, if somebody can still decide about it.
pub async fn find(
    app: &App,
    code: Option<&str>,
    node: Option<NodeId>,
    now: Timestamp,
) -> Answer<Option<Grant>> {
    let found = match (code.map(UserCode::parse), node) {
        (Some(Some(code)), _) => grants::by_pairing_code(&app.store, &app.vault.code(&code)).await?,
        (None, Some(node)) => grants::by_node(&app.store, node).await?,
        (Some(None), _) | (None, None) => None,
    };
    let fits = |grant: &Grant| match &grant.ask {
        Ask::Pairing(ask) => node.is_none_or(|node| node == ask.facts.node) && grant.undecided(now).is_ok(),
        Ask::Tokens(_) | Ask::Key(_) => false,
    };
    Ok(found.filter(fits))
}

pub async fn waiting(app: &App, now: Timestamp) -> Answer<Vec<Grant>> {
    Ok(grants::pairings(&app.store, now, LISTED).await?)
}

pub async fn grant(app: &App, id: GrantId) -> Answer<Option<Grant>> {
    Ok(grants::by_id(&app.store, id).await?)
}
