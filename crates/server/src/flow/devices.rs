//! The inventory: everything that was ever approved, in one list.

use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::id::FamilyId;
use countersign_core::time::Timestamp;
use serde::Serialize;

use crate::app::{Answer, App};
use crate::store::families::Listed;
use crate::store::{Committed, audit, families, grants};

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
    pub id: FamilyId,
    pub door: &'static str,
    pub user: String,
    pub client: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub last_used: Option<Timestamp>,
    /// Where it asked from.
    pub address: String,
    pub user_agent: Option<String>,
    pub status: Status,
}

fn device(listed: Listed, now: Timestamp) -> Device {
    let Listed { family, user, client_name } = listed;
    let status = match (family.ended_at, family.is_live(now)) {
        (Some(_), _) => Status::Revoked,
        (None, true) => Status::Active,
        (None, false) => Status::Expired,
    };
    Device {
        id: family.id,
        door: "oauth",
        user: user.to_string(),
        client: family.client.to_string(),
        name: client_name,
        scopes: family.scopes.iter().map(str::to_owned).collect(),
        created_at: family.created_at,
        last_used: family.last_used,
        address: family.from.address,
        user_agent: family.from.user_agent,
        status,
    }
}

pub async fn of_account(app: &App, account: &Account, now: Timestamp) -> Answer<Vec<Device>> {
    let listed = families::of_account(&app.store, account.id).await?;
    Ok(listed.into_iter().map(|listed| device(listed, now)).collect())
}

pub async fn all(app: &App, now: Timestamp) -> Answer<Vec<Device>> {
    Ok(families::all(&app.store).await?.into_iter().map(|listed| device(listed, now)).collect())
}

/// Revokes one of this person's devices. False if there is no such live device of theirs.
pub async fn revoke_own(
    app: &App,
    account: &Account,
    id: FamilyId,
    address: &str,
    now: Timestamp,
) -> Answer<bool> {
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.account = Some(account.id);
    event.family = Some(id);
    event.address = Some(address.to_owned());
    let batch = vec![families::end_own(id, account.id, now), audit::insert(event)];
    Ok(app.store.commit(batch).await?.is_done())
}

pub async fn revoke_all_own(app: &App, account: &Account, address: &str, now: Timestamp) -> Answer<()> {
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.account = Some(account.id);
    event.address = Some(address.to_owned());
    event.detail = Some("all".to_owned());
    let batch = vec![
        families::end_of_account(account.id, now),
        grants::revoke_of_account(account.id, now),
        audit::insert(event),
    ];
    let _done: Committed = app.store.commit(batch).await?;
    Ok(())
}

/// Revokes anybody's device, as an administrator does. False if there is no such live device.
pub async fn revoke(app: &App, id: FamilyId, now: Timestamp) -> Answer<bool> {
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.family = Some(id);
    event.detail = Some("by an administrator".to_owned());
    Ok(app.store.commit(vec![families::end_live(id, now), audit::insert(event)]).await?.is_done())
}
