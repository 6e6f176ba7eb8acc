//! Paired nodes: whose token it is, and what becomes of them.

use std::net::IpAddr;

use countersign_core::account::{Account, Username};
use countersign_core::audit::{Action, By, Event as AuditEvent};
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, DeviceId, NodeId};
use countersign_core::node::Node;
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::flow::pairing::mint;
use crate::limits::address_key;
use crate::password::PasswordError;
use crate::store::feed::{Ending, Event};
pub use crate::store::nodes::Listed;
use crate::store::{Stmt, accounts, audit, nodes};
use crate::telemetry::trace::TRACE;

/// Imported tokens are of another make: of this many characters, and no JWT.
const IMPORTED_CHARS: std::ops::RangeInclusive<usize> = 16..=512;

/// The device whose imported token it may be, as whoever presents it says, and where they are.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub node: NodeId,
    pub address: IpAddr,
}

/// The live node behind a device token. That it was used is written down, once a minute at most. A token
/// that was imported and never used here is only tried for the device that presents it.
#[instrument(target = TRACE, name = "nodes.authenticate", skip_all)]
pub async fn authenticate(
    app: &App,
    text: &str,
    named: Option<Named>,
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
async fn recognise_imported(app: &App, text: &str, digest: &Digest, named: Named) -> Answer<bool> {
    let Some(listed) = nodes::by_node(&app.store, named.node).await? else { return Ok(false) };
    let Some(phc) = nodes::imported(&app.store, listed.node.id).await? else { return Ok(false) };
    // Trying one costs as much as a password.
    if app.config.limits.enabled
        && app.imported_tokens_per_address.check(&address_key(named.address)).is_err()
    {
        app.metrics.refused("imported_tokens_per_address");
        return Err(PasswordError::Busy.into());
    }
    if !app.hasher.verify(Plain::new(text.to_owned()), Some(phc.clone())).await? {
        return Ok(false);
    }
    let recognised = nodes::recognised(listed.node.id, digest, &phc);
    // A conflict if it was recognised elsewhere at the same moment: then it is live as well.
    let _committed = app.store.commit(vec![recognised]).await?;
    Ok(true)
}

pub async fn by_node(app: &App, node: NodeId) -> Answer<Option<Listed>> {
    Ok(nodes::by_node(&app.store, node).await?)
}

pub async fn by_id(app: &App, id: DeviceId) -> Answer<Option<Listed>> {
    Ok(nodes::by_id(&app.store, id).await?)
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

/// Who changes a node.
#[derive(Clone, Debug)]
pub struct Actor {
    pub account: Option<AccountId>,
    /// For the audit trail, where it is no person.
    pub role: Option<String>,
    pub from: Origin,
}

fn event(app: &App, node: &Node, action: Action, actor: &Actor, now: Timestamp) -> Answer<AuditEvent> {
    let mut event = app.event(now, action)?;
    event.account = actor.account;
    event.device = Some(node.id);
    event.address = Some(actor.from.address.clone());
    event.detail.clone_from(&actor.role);
    Ok(event)
}

/// Gives a live node another token; the old one ends at once. A node that does so itself shows the
/// token that it has.
#[instrument(target = TRACE, name = "nodes.refresh", skip_all)]
pub async fn refresh(
    app: &App,
    node: &Node,
    shown: Option<&Digest>,
    actor: &Actor,
    now: Timestamp,
) -> Answer<Option<Refreshed>> {
    let (token, phc) = mint(app).await?;
    let expires_at = app.config.pairing.token_ttl.map(|ttl| now + ttl);
    let batch = vec![
        nodes::replace(node.id, shown, &token.digest(), phc.as_deref(), expires_at, now),
        audit::insert(event(app, node, Action::NodeRefreshed, actor, now)?),
        Stmt::tell(Event::Node(node.id, Ending::Refreshed)),
    ];
    Ok(app.store.commit(batch).await?.is_done().then_some(Refreshed { token, expires_at }))
}

#[derive(Debug)]
pub struct Refreshed {
    pub token: Plain,
    pub expires_at: Option<Timestamp>,
}

/// False if it was revoked before.
#[instrument(target = TRACE, name = "nodes.revoke", skip_all)]
pub async fn revoke(app: &App, node: &Node, actor: &Actor, now: Timestamp) -> Answer<bool> {
    let batch = vec![
        nodes::revoke(node.id, now),
        audit::insert(event(app, node, Action::NodeRevoked, actor, now)?),
        Stmt::tell(Event::Node(node.id, Ending::Revoked)),
    ];
    Ok(app.store.commit(batch).await?.is_done())
}

/// Revoked and forgotten.
#[instrument(target = TRACE, name = "nodes.remove", skip_all)]
pub async fn remove(app: &App, node: &Node, actor: &Actor, now: Timestamp) -> Answer<bool> {
    let batch = vec![
        nodes::remove(node.id),
        audit::insert(event(app, node, Action::NodeRemoved, actor, now)?),
        Stmt::tell(Event::Removed(node.id, node.facts.node)),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    Done,
    NoDevice,
    NoUser,
}

/// Gives a node that is nobody's to somebody.
#[instrument(target = TRACE, name = "nodes.assign", skip_all)]
pub async fn assign(app: &App, by: &By, id: DeviceId, owner: &Username, now: Timestamp) -> Answer<Assigned> {
    let found = accounts::by_name(&app.store, owner).await?;
    let Some((account, _)) = found.filter(|(account, _)| account.is_enabled()) else {
        return Ok(Assigned::NoUser);
    };
    let mut event = app.event(now, Action::NodeAssigned)?.by(by);
    event.account = Some(account.id);
    event.device = Some(id);
    let batch = vec![accounts::hold(account.id), nodes::assign(id, account.id), audit::insert(event)];
    let done = app.store.commit(batch).await?.is_done();
    Ok(if done { Assigned::Done } else { Assigned::NoDevice })
}

pub async fn rename(app: &App, node: &Node, name: &str, actor: &Actor, now: Timestamp) -> Answer<bool> {
    let event = event(app, node, Action::NodeRenamed, actor, now)?;
    Ok(app.store.commit(vec![nodes::rename(node.id, name), audit::insert(event)]).await?.is_done())
}
