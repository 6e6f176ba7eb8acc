//! Administering people.

use countersign_core::account::{Account, PASSWORD_BYTES, Username};
use countersign_core::audit::Action;
use countersign_core::id::AccountId;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::login;
use crate::password;
use crate::store::feed::Event;
use crate::store::{
    Committed, Stmt, accounts, api_keys, attempts, audit, factors, families, grants, nodes, passkeys,
};

#[derive(Debug)]
pub struct NewAccount {
    pub name: Username,
    pub email: Option<String>,
    pub full_name: Option<String>,
    pub tier: Option<String>,
    pub admin: bool,
    pub password: Plain,
}

/// Why nothing was changed; each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    #[error("there is a user `{0}` already; choose another name")]
    Taken(String),
    #[error("there is no user `{0}`; `countersign user list` shows those that exist")]
    Unknown(String),
    #[error("the password is too short or too long: use 8 to 1024 bytes")]
    Password,
    #[error("user `{0}` is {1} already")]
    Already(String, &'static str),
}

pub async fn add(app: &App, new: NewAccount, now: Timestamp) -> Answer<Result<Account, AccountRefusal>> {
    if !PASSWORD_BYTES.contains(&new.password.reveal().len()) {
        return Ok(Err(AccountRefusal::Password));
    }
    let account = Account {
        id: AccountId::new(now, app.entropy.id()?),
        name: new.name,
        email: new.email.filter(|email| !email.is_empty()),
        full_name: new.full_name.filter(|name| !name.is_empty()),
        tier: new.tier.filter(|tier| !tier.is_empty()).unwrap_or_else(|| "none".to_owned()),
        admin: new.admin,
        created_at: now,
        disabled_at: None,
    };
    let hash = password::hash(new.password.reveal().as_bytes(), &app.entropy)?;
    let mut event = app.event(now, Action::UserAdded)?;
    event.account = Some(account.id);
    match app.store.commit(vec![accounts::insert(&account, &hash), audit::insert(event)]).await? {
        Committed::Done { .. } => Ok(Ok(account)),
        Committed::Conflict => Ok(Err(AccountRefusal::Taken(account.name.to_string()))),
    }
}

pub async fn list(app: &App) -> Answer<Vec<Account>> {
    Ok(accounts::list(&app.store).await?)
}

/// A new password ends every browser's session, and the wait after too many wrong ones; devices stay
/// connected.
pub async fn set_password(
    app: &App,
    name: &Username,
    password: &Plain,
    now: Timestamp,
) -> Answer<Result<(), AccountRefusal>> {
    if !PASSWORD_BYTES.contains(&password.reveal().len()) {
        return Ok(Err(AccountRefusal::Password));
    }
    let hash = password::hash(password.reveal().as_bytes(), &app.entropy)?;
    let change = |account: &Account| {
        vec![
            accounts::set_password(account.id, &hash),
            accounts::end_sessions(account.id),
            attempts::forget(&login::name_bucket(app, Some(&account.name))),
        ]
    };
    administer(app, name, Action::UserPassword, "changed", change, now).await
}

/// Ends sessions and devices, and denies for good what was approved and not collected.
pub async fn disable(app: &App, name: &Username, now: Timestamp) -> Answer<Result<(), AccountRefusal>> {
    let change = |account: &Account| {
        vec![
            accounts::disable(account.id, now),
            accounts::end_sessions(account.id),
            families::end_of_account(account.id, now),
            api_keys::revoke_of_account(account.id, now),
            nodes::revoke_of_account(account.id, now),
            Stmt::tell(Event::NodesOf(account.id)),
            grants::revoke_of_account(account.id, now),
        ]
    };
    administer(app, name, Action::UserDisabled, "disabled", change, now).await
}

pub async fn enable(app: &App, name: &Username, now: Timestamp) -> Answer<Result<(), AccountRefusal>> {
    let change = |account: &Account| {
        let bucket = login::name_bucket(app, Some(&account.name));
        vec![accounts::enable(account.id), attempts::forget(&bucket)]
    };
    administer(app, name, Action::UserEnabled, "enabled", change, now).await
}

pub async fn remove(app: &App, name: &Username, now: Timestamp) -> Answer<Result<(), AccountRefusal>> {
    let change = |account: &Account| {
        vec![
            accounts::remove(account.id),
            accounts::end_sessions(account.id),
            accounts::forget_identities(account.id),
            factors::remove_totp(account.id),
            factors::remove_recovery(account.id),
            passkeys::remove_of_account(account.id),
            families::remove_of_account(account.id),
            api_keys::remove_of_account(account.id),
            nodes::remove_of_account(account.id),
            Stmt::tell(Event::NodesOf(account.id)),
            grants::revoke_of_account(account.id, now),
        ]
    };
    administer(app, name, Action::UserRemoved, "removed", change, now).await
}

async fn administer(
    app: &App,
    name: &Username,
    action: Action,
    already: &'static str,
    change: impl FnOnce(&Account) -> Vec<Stmt>,
    now: Timestamp,
) -> Answer<Result<(), AccountRefusal>> {
    let found = match accounts::by_name(&app.store, name).await? {
        Some((account, _)) => Some(account),
        // Names that an issuer's subjects give are long; an id will do, too.
        None => match name.as_str().parse() {
            Ok(id) => accounts::by_id(&app.store, id).await?,
            Err(_) => None,
        },
    };
    let Some(account) = found else { return Ok(Err(AccountRefusal::Unknown(name.to_string()))) };
    let mut event = app.event(now, action)?;
    event.account = Some(account.id);
    let mut batch = change(&account);
    batch.push(audit::insert(event));
    match app.store.commit(batch).await? {
        Committed::Done { .. } => Ok(Ok(())),
        Committed::Conflict => Ok(Err(AccountRefusal::Already(name.to_string(), already))),
    }
}
