//! The socket door: a node asks to be paired, somebody approves, the node collects a device token.

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::account::{Account, SignIn};
use countersign_core::audit::{Action, Event as AuditEvent};
use countersign_core::code::{UserCode, draw_pairing};
use countersign_core::grant::{Approval, Ask, Grant, Origin, PairingAsk, State};
use countersign_core::id::{AccountId, DeviceId, GrantId, NodeId};
use countersign_core::limit::Rule;
use countersign_core::node::{Node, NodeFacts, READ};
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::ask::DRAWS;
use crate::limits::{self, address_key};
use crate::store::feed::{Ending, Event};
pub use crate::store::nodes::Listed;
use crate::store::{Stmt, audit, grants, nodes};
use crate::telemetry::GrantEvent;

/// Confirms with a wrong device id that a code outlives.
const WRONG_IDS: u32 = 5;
/// Pairings that wait which one list shows.
const LISTED: u32 = 200;

#[derive(Debug)]
pub struct Requested {
    pub grant: GrantId,
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
}

/// Step 1. `own` is what the same socket asked for last.
pub async fn request(
    app: &App,
    facts: NodeFacts,
    from: Origin,
    address: IpAddr,
    own: Option<GrantId>,
    now: Timestamp,
) -> Answer<Requesting> {
    if app.config.limits.enabled
        && let Err(wait) = app.pairing_codes_per_address.check(&address_key(address))
    {
        app.metrics.refused("pairing_codes_per_address");
        return Ok(Requesting::TooMany(wait));
    }
    // Nobody can end another's pairing by asking in its name.
    if let Some(older) = grants::by_node(&app.store, facts.node).await? {
        let lives = !older.is_expired(now) && !matches!(older.state, State::Denied { .. });
        if lives && own != Some(older.id) && older.from.address != from.address {
            return Ok(Requesting::Elsewhere);
        }
    }
    let expires_in = app.config.pairing.code_ttl;
    let scopes = Scopes::one(READ);
    for _ in 0..DRAWS {
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
        let batch = vec![
            grants::end_of_node(facts.node, now),
            grants::insert(&grant, &unused, &app.vault.code(&code))?,
            audit::insert(event),
            Stmt::tell(Event::Pairing(grant.id)),
        ];
        if app.store.commit(batch).await?.is_done() {
            app.metrics.grant(grant.ask.door(), GrantEvent::Asked);
            return Ok(Requesting::Requested(Requested {
                grant: grant.id,
                code: Plain::new(code.as_str().to_owned()),
                expires_at: grant.expires_at,
                expires_in,
            }));
        }
    }
    Ok(Requesting::Exhausted)
}

/// Who decides about pairings: a person, or in nobody's name an operator's token, or the node itself
/// where the configuration says that it may.
#[derive(Clone, Debug)]
pub struct Approver {
    pub account: Option<AccountId>,
    pub sign_in: SignIn,
    pub guards: Vec<Stmt>,
}

impl Approver {
    pub const fn nobody(now: Timestamp) -> Self {
        Self { account: None, sign_in: SignIn { at: now, amr: Vec::new() }, guards: Vec::new() }
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
    Waiting(Duration),
    Rejected,
    /// The device is somebody else's.
    Foreign,
}

/// Step 5. `approver` is whoever may approve by the same call.
pub async fn confirm(
    app: &App,
    typed: &str,
    node: NodeId,
    approver: Option<&Approver>,
    from: &Origin,
    now: Timestamp,
) -> Answer<Confirmed> {
    let Some(code) = UserCode::parse(typed) else { return Ok(Confirmed::Invalid) };
    // Somebody may decide or collect between the look and the commit; then look again.
    for _ in 0..4 {
        let found = grants::by_pairing_code(&app.store, &app.vault.code(&code)).await?;
        let Some(grant) = found else { return Ok(Confirmed::Invalid) };
        let Ask::Pairing(ask) = &grant.ask else { return Ok(Confirmed::Invalid) };
        if grant.is_expired(now) {
            return Ok(Confirmed::Expired);
        }
        if ask.facts.node != node {
            count_wrong(app, &grant, now).await?;
            return Ok(Confirmed::Mismatch);
        }
        let approval = match (&grant.state, approver) {
            (State::Approved(approval), _) => approval.clone(),
            (State::Denied { .. }, _) => return Ok(Confirmed::Rejected),
            (State::Redeemed { .. }, _) => return Ok(Confirmed::Invalid),
            (State::Pending, None) => return Ok(Confirmed::Waiting(grant.interval)),
            (State::Pending, Some(approver)) => match approve(app, &grant, approver, from, now).await? {
                Decided::Done => continue,
                Decided::Foreign => return Ok(Confirmed::Foreign),
                Decided::TooLate => continue,
            },
        };
        if let Some(paired) = redeem(app, &grant, ask, &approval, from, now).await? {
            return Ok(Confirmed::Paired(Box::new(paired)));
        }
    }
    Ok(Confirmed::Invalid)
}

/// Somebody who has the code and not the device: after a few of them the code ends.
async fn count_wrong(app: &App, grant: &Grant, now: Timestamp) -> Answer<()> {
    let rule = Rule { attempts: WRONG_IDS, window: app.config.pairing.code_ttl, grows: false };
    let bucket = app.vault.bucket("pairing", &grant.id.to_string());
    let counted = limits::count(&app.store, vec![(bucket, rule)], now).await?;
    let full = match counted {
        Err(_) => true,
        Ok(_) => limits::is_full(&app.store, &bucket, rule).await?,
    };
    let Ask::Pairing(ask) = &grant.ask else { return Ok(()) };
    if full {
        let batch = vec![grants::end_of_node(ask.facts.node, now), Stmt::tell(Event::Grant(grant.id))];
        let _ended = app.store.commit(batch).await?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    Done,
    /// The device is somebody else's.
    Foreign,
    TooLate,
}

/// Whether somebody may pair this device: it is new, or theirs, or they are nobody in particular.
pub async fn may_pair(app: &App, node: NodeId, account: Option<AccountId>) -> Answer<bool> {
    let known = nodes::by_node(&app.store, node).await?;
    Ok(account.is_none() || known.is_none_or(|known| known.node.owner == account))
}

/// Step 4, yes.
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
    if !may_pair(app, ask.facts.node, approver.account).await? {
        return Ok(Decided::Foreign);
    }
    let change = match approver.account {
        Some(_) => {
            let approval = Approval { by: approver.account, at: now, sign_in: approver.sign_in.clone() };
            grants::approve(grant.id, &approval)
        }
        None => grants::approve_for_nobody(grant.id, now),
    };
    decide(app, grant, change, Action::GrantApproved, approver, from, now).await
}

/// Step 4, no.
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
    let change = grants::deny(grant.id, approver.account, now);
    decide(app, grant, change, Action::GrantDenied, approver, from, now).await
}

async fn decide(
    app: &App,
    grant: &Grant,
    change: Stmt,
    action: Action,
    approver: &Approver,
    from: &Origin,
    now: Timestamp,
) -> Answer<Decided> {
    let mut event = app.event(now, action)?;
    event.account = approver.account;
    event.grant = Some(grant.id);
    event.address = Some(from.address.clone());
    let mut batch = vec![change];
    batch.extend(approver.guards.clone());
    batch.extend([audit::insert(event), Stmt::tell(Event::Grant(grant.id))]);
    if !app.store.commit(batch).await?.is_done() {
        return Ok(Decided::TooLate);
    }
    let outcome = if action == Action::GrantApproved { GrantEvent::Approved } else { GrantEvent::Denied };
    app.metrics.grant(grant.ask.door(), outcome);
    Ok(Decided::Done)
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
    let token = TokenKind::Device.mint(&app.entropy.bytes()?);
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
    let mut batch =
        vec![grants::redeem(grant.id, id, now), nodes::pair(&node, &token.digest()), audit::insert(event)];
    if known.is_some() {
        // Whatever is connected with the token before this one.
        batch.push(Stmt::tell(Event::Node(id, Ending::Refreshed)));
    }
    if !app.store.commit(batch).await?.is_done() {
        return Ok(None);
    }
    app.metrics.grant(grant.ask.door(), GrantEvent::Redeemed);
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

/// Imported tokens are of another make: of this many characters, and no JWT.
const IMPORTED_CHARS: std::ops::RangeInclusive<usize> = 16..=512;

/// The live node behind a device token. That it was used is written down, once a minute at most. A token
/// that was imported and never used here is only tried for the device that presents it.
pub async fn authenticate(
    app: &App,
    text: &str,
    named: Option<NodeId>,
    now: Timestamp,
) -> Answer<Option<Listed>> {
    let imported = IMPORTED_CHARS.contains(&text.len()) && !text.contains('.') && !text.starts_with("cs_");
    if !imported && TokenKind::recognise(text) != Some(TokenKind::Device) {
        return Ok(None);
    }
    let digest = Digest::of(text);
    let mut found = nodes::live(&app.store, &digest, now).await?;
    if let (None, true, Some(named)) = (&found, imported, named)
        && recognise_imported(app, text, &digest, named).await?
    {
        found = nodes::live(&app.store, &digest, now).await?;
    }
    let Some(mut listed) = found else { return Ok(None) };
    if listed.node.is_use_news(now) {
        // Whoever brings a good token is served also where this cannot be written down.
        match app.store.commit(vec![nodes::used(listed.node.id, now)]).await {
            Ok(_) => listed.node.last_used = Some(now),
            Err(error) => tracing::warn!(%error, "the use of a device token was not written down"),
        }
    }
    Ok(Some(listed))
}

/// Whether a token is the one that an imported device had elsewhere. Then it is found by its digest.
async fn recognise_imported(app: &App, text: &str, digest: &Digest, named: NodeId) -> Answer<bool> {
    let Some(listed) = nodes::by_node(&app.store, named).await? else { return Ok(false) };
    let Some(phc) = nodes::imported(&app.store, listed.node.id).await? else { return Ok(false) };
    if !app.hasher.verify(Plain::new(text.to_owned()), Some(phc.clone())).await? {
        return Ok(false);
    }
    let recognised = nodes::recognised(listed.node.id, digest, &phc);
    Ok(app.store.commit(vec![recognised]).await?.is_done())
}

pub async fn by_node(app: &App, node: NodeId) -> Answer<Option<Listed>> {
    Ok(nodes::by_node(&app.store, node).await?)
}

/// Whether a socket that was opened with this token may stay.
pub async fn is_live(app: &App, token: &Digest, now: Timestamp) -> Answer<bool> {
    Ok(nodes::live(&app.store, token, now).await?.is_some())
}

pub async fn all(app: &App) -> Answer<Vec<Listed>> {
    Ok(nodes::all(&app.store).await?)
}

pub async fn of_account(app: &App, account: AccountId) -> Answer<Vec<Listed>> {
    Ok(nodes::of_account(&app.store, account).await?)
}

fn event(app: &App, node: &Node, action: Action, from: &Origin, now: Timestamp) -> Answer<AuditEvent> {
    let mut event = app.event(now, action)?;
    event.account = node.owner;
    event.device = Some(node.id);
    event.address = Some(from.address.clone());
    Ok(event)
}

/// Gives a live node another token; the old one ends at once.
pub async fn refresh(app: &App, node: &Node, from: &Origin, now: Timestamp) -> Answer<Option<Plain>> {
    let token = TokenKind::Device.mint(&app.entropy.bytes()?);
    let batch = vec![
        nodes::replace(node.id, &token.digest(), now),
        audit::insert(event(app, node, Action::NodeRefreshed, from, now)?),
        Stmt::tell(Event::Node(node.id, Ending::Refreshed)),
    ];
    Ok(app.store.commit(batch).await?.is_done().then_some(token))
}

/// False if it was revoked before.
pub async fn revoke(app: &App, node: &Node, from: &Origin, now: Timestamp) -> Answer<bool> {
    let batch = vec![
        nodes::revoke(node.id, now),
        audit::insert(event(app, node, Action::NodeRevoked, from, now)?),
        Stmt::tell(Event::Node(node.id, Ending::Revoked)),
    ];
    Ok(app.store.commit(batch).await?.is_done())
}

/// Revoked and forgotten.
pub async fn remove(app: &App, node: &Node, from: &Origin, now: Timestamp) -> Answer<bool> {
    let batch = vec![
        nodes::remove(node.id),
        audit::insert(event(app, node, Action::NodeRemoved, from, now)?),
        Stmt::tell(Event::Node(node.id, Ending::Revoked)),
    ];
    Ok(app.store.commit(batch).await?.is_done())
}

/// False if it is no device of this person's.
pub async fn rename_own(
    app: &App,
    account: &Account,
    id: DeviceId,
    name: &str,
    address: &str,
    now: Timestamp,
) -> Answer<bool> {
    let mut event = app.event(now, Action::NodeRenamed)?;
    event.account = Some(account.id);
    event.device = Some(id);
    event.address = Some(address.to_owned());
    let batch = vec![nodes::rename_own(id, account.id, name), audit::insert(event)];
    Ok(app.store.commit(batch).await?.is_done())
}

pub async fn rename(app: &App, node: &Node, name: &str, from: &Origin, now: Timestamp) -> Answer<bool> {
    let batch =
        vec![nodes::rename(node.id, name), audit::insert(event(app, node, Action::NodeRenamed, from, now)?)];
    Ok(app.store.commit(batch).await?.is_done())
}
