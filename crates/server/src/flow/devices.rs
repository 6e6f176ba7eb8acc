//! The inventory: everything that was ever approved, in one list.

use std::net::IpAddr;

use countersign_core::account::Account;
use countersign_core::audit::{Action, By, Event};
use countersign_core::grant::{Door, Origin};
use countersign_core::id::{AccountId, DeviceId, NodeId};
use countersign_core::node::NodeKind;
use countersign_core::scope::Scopes;
use countersign_core::time::Timestamp;
use ipnet::IpNet;
use serde::Serialize;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::store::feed::{Ending, Event as News};
pub use crate::store::search::Search;
use crate::store::{Committed, Stmt, accounts, api_keys, audit, families, grants, nodes};
use crate::telemetry::trace::TRACE;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    Expired,
    Revoked,
}

impl Status {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// One credential of one door.
#[derive(Clone, Debug)]
pub struct Device {
    pub id: DeviceId,
    pub door: Door,
    pub user: String,
    pub client: Option<String>,
    pub name: String,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    pub last_used: Option<Timestamp>,
    /// None: it lasts until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Where it asked from.
    pub from: Origin,
    pub status: Status,
    /// Somebody found it where it should not be.
    pub leaked_at: Option<Timestamp>,
    /// What a paired node says it is.
    pub node: Option<(NodeKind, NodeId)>,
    /// Connected to this very server at this moment.
    pub online: bool,
}

const fn status(ended_at: Option<Timestamp>, is_live: bool) -> Status {
    match (ended_at, is_live) {
        (Some(_), _) => Status::Revoked,
        (None, true) => Status::Active,
        (None, false) => Status::Expired,
    }
}

fn of_family(listed: families::Listed, now: Timestamp) -> Device {
    let families::Listed { family, user, client_name } = listed;
    Device {
        id: family.id,
        door: Door::OAuth,
        user: user.to_string(),
        status: status(family.ended_at, family.is_live(now)),
        client: Some(family.client.to_string()),
        name: client_name,
        scopes: family.scopes,
        created_at: family.created_at,
        last_used: family.last_used,
        expires_at: Some(family.expires_at),
        from: family.from,
        leaked_at: None,
        node: None,
        online: false,
    }
}

fn of_key(listed: api_keys::Listed, now: Timestamp) -> Device {
    let api_keys::Listed { key, user, .. } = listed;
    Device {
        id: key.id,
        door: Door::Cli,
        user: user.to_string(),
        status: status(key.revoked_at, key.is_live(now)),
        client: key.client.map(|client| client.to_string()),
        name: key.name,
        scopes: key.scopes,
        created_at: key.created_at,
        last_used: key.last_used,
        expires_at: Some(key.expires_at),
        from: key.from,
        leaked_at: key.leaked_at,
        node: None,
        online: false,
    }
}

fn of_node(app: &App, listed: nodes::Listed, now: Timestamp) -> Device {
    let nodes::Listed { node, user } = listed;
    Device {
        id: node.id,
        door: Door::Socket,
        user: user.map_or_else(|| "-".to_owned(), |user| user.to_string()),
        status: status(node.revoked_at, node.is_live(now)),
        client: None,
        name: node.facts.name,
        scopes: node.scopes,
        created_at: node.paired_at,
        last_used: node.last_used,
        expires_at: node.expires_at,
        from: node.from,
        leaked_at: None,
        node: Some((node.facts.kind, node.facts.node)),
        online: app.hub.is_online(node.id),
    }
}

/// Newest first, whichever door they came through.
fn together(
    app: &App,
    families: Vec<families::Listed>,
    keys: Vec<api_keys::Listed>,
    nodes: Vec<nodes::Listed>,
    now: Timestamp,
) -> Vec<Device> {
    let families = families.into_iter().map(|listed| of_family(listed, now));
    let keys = keys.into_iter().map(|listed| of_key(listed, now));
    let nodes = nodes.into_iter().map(|listed| of_node(app, listed, now));
    let mut devices: Vec<Device> = families.chain(keys).chain(nodes).collect();
    devices.sort_by_key(|device| std::cmp::Reverse((device.created_at, device.id)));
    devices
}

#[instrument(target = TRACE, name = "devices.of_account", skip_all)]
pub async fn of_account(app: &App, account: &Account, now: Timestamp) -> Answer<Vec<Device>> {
    let families = families::of_account(&app.store, account.id).await?;
    let keys = api_keys::of_account(&app.store, account.id).await?;
    Ok(together(app, families, keys, nodes::of_account(&app.store, account.id).await?, now))
}

/// One page of what an administrator looks for, by the order of ids; at most `limit` of them. `door` is
/// the only one, if one is named.
#[instrument(target = TRACE, name = "devices.search", skip_all)]
pub async fn search(
    app: &App,
    search: &Search,
    door: Option<Door>,
    limit: u32,
    now: Timestamp,
) -> Answer<Vec<Device>> {
    let wanted = |one: Door| door.is_none_or(|door| door == one);
    let mut found = Vec::new();
    if wanted(Door::OAuth) {
        let page = families::page(&app.store, search, limit).await?;
        found.extend(page.into_iter().map(|listed| of_family(listed, now)));
    }
    if wanted(Door::Cli) {
        let page = api_keys::page(&app.store, search, limit).await?;
        found.extend(page.into_iter().map(|listed| of_key(listed, now)));
    }
    if wanted(Door::Socket) {
        let page = nodes::page(&app.store, search, limit).await?;
        found.extend(page.into_iter().map(|listed| of_node(app, listed, now)));
    }
    found.sort_by_key(|device| std::cmp::Reverse(device.id));
    found.truncate(limit as usize);
    Ok(found)
}

pub async fn all(app: &App, now: Timestamp) -> Answer<Vec<Device>> {
    let families = families::all(&app.store).await?;
    let keys = api_keys::all(&app.store).await?;
    Ok(together(app, families, keys, nodes::all(&app.store).await?, now))
}

/// Revokes one of this person's devices. False if there is no such live device of theirs.
#[instrument(target = TRACE, name = "devices.revoke_own", skip_all)]
pub async fn revoke_own(
    app: &App,
    account: &Account,
    id: DeviceId,
    address: &str,
    now: Timestamp,
) -> Answer<bool> {
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.account = Some(account.id);
    event.device = Some(id);
    event.address = Some(address.to_owned());
    first(app, id, revocations(id, account.id, now).map(|change| vec![change]), &event).await
}

/// What revokes a device of this person's: an id is one of one kind, so one of them applies.
pub fn revocations(id: DeviceId, account: AccountId, now: Timestamp) -> [Stmt; 3] {
    [
        families::end_own(id, account, now),
        api_keys::revoke_own(id, account, now),
        nodes::revoke_own(id, account, now),
    ]
}

/// What ends everything that was made, and answers everything that was approved, in its person's name
/// with a login that was never theirs.
pub fn offspring(login: DeviceId, now: Timestamp) -> [Stmt; 2] {
    [api_keys::revoke_made_with(login, now), grants::deny_made_with(login, now)]
}

/// Closes its sockets, if it has any.
pub fn closing(id: DeviceId) -> Stmt {
    Stmt::tell(News::Node(id, Ending::Revoked))
}

/// An id is one of one kind: whichever of the changes applies is done.
async fn first(app: &App, id: DeviceId, changes: [Vec<Stmt>; 3], event: &Event) -> Answer<bool> {
    for mut batch in changes {
        batch.extend([audit::insert(event.clone()), closing(id)]);
        if app.store.commit(batch).await?.is_done() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[instrument(target = TRACE, name = "devices.revoke_all_own", skip_all)]
pub async fn revoke_all_own(app: &App, account: &Account, address: &str, now: Timestamp) -> Answer<()> {
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.account = Some(account.id);
    event.address = Some(address.to_owned());
    event.detail = Some("all".to_owned());
    let batch = vec![
        // First, so that what is being collected at this moment is either seen here or refused there.
        accounts::hold(account.id),
        families::end_of_account(account.id, now),
        api_keys::revoke_of_account(account.id, now),
        nodes::revoke_of_account(account.id, now),
        Stmt::tell(News::NodesOf(account.id)),
        grants::revoke_of_account(account.id, now),
        audit::insert(event),
    ];
    let _done: Committed = app.store.commit(batch).await?;
    Ok(())
}

/// What an administrator takes back at once: everything that fits all of these.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Where it was asked for from.
    pub network: Option<IpNet>,
    pub client: Option<String>,
    /// When it was connected, or asked for: from the one to before the other.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Sweep {
    fn fits(&self, from: &Origin, client: Option<&str>, at: Timestamp) -> bool {
        let address = from.address.parse::<IpAddr>().map(|address| address.to_canonical());
        self.network.is_none_or(|network| address.is_ok_and(|address| network.contains(&address)))
            && self.client.as_deref().is_none_or(|wanted| client == Some(wanted))
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at < until)
    }
}

/// Ends everything that fits: what is still asked for or was not collected is denied for good, what is
/// connected is revoked. Says what was revoked, and how many questions were denied.
pub async fn revoke_where(app: &App, by: &By, sweep: &Sweep, now: Timestamp) -> Answer<(Vec<Device>, usize)> {
    // Questions first: what is collected meanwhile is a device by the second look.
    let mut denied = 0;
    for grant in grants::live_ones(&app.store, now).await? {
        let client = grant.client().map(ToString::to_string);
        if !sweep.fits(&grant.from, client.as_deref(), grant.asked_at) {
            continue;
        }
        let mut event = app.event(now, Action::GrantDenied)?.by(by);
        event.grant = Some(grant.id);
        event.client = grant.client().cloned();
        let batch = vec![grants::end(grant.id, now), audit::insert(event), Stmt::tell(News::Grant(grant.id))];
        denied += usize::from(app.store.commit(batch).await?.is_done());
    }
    let mut revoked = Vec::new();
    for device in all(app, now).await? {
        let fits = sweep.fits(&device.from, device.client.as_deref(), device.created_at);
        if fits && device.status == Status::Active && revoke(app, by, device.id, now).await? {
            revoked.push(device);
        }
    }
    Ok((revoked, denied))
}

/// Revokes anybody's device, as an administrator does. False if there is no such live device.
#[instrument(target = TRACE, name = "devices.revoke", skip_all)]
pub async fn revoke(app: &App, by: &By, id: DeviceId, now: Timestamp) -> Answer<bool> {
    let mut event = app.event(now, Action::DeviceRevoked)?.by(by);
    event.device = Some(id);
    let any = [families::end_live(id, now), api_keys::revoke(id, now), nodes::revoke(id, now)];
    // Who does this means that it should never have been.
    let [keys, questions] = offspring(id, now);
    let any = any.map(|change| vec![change, keys.clone(), questions.clone()]);
    first(app, id, any, &event).await
}
