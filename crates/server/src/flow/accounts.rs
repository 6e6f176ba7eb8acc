//! Administering people.

use countersign_core::account::{Account, Username, is_password};
use countersign_core::audit::{Action, By};
use countersign_core::id::AccountId;
use countersign_core::secret::Plain;
use countersign_core::text::label;
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::login;
use crate::notices::mail::is_address;
use crate::password;
use crate::store::feed::Event;
use crate::store::{
    Committed, Stmt, accounts, api_keys, attempts, audit, factors, families, grants, nodes, passkeys,
};

/// Of those who change one thing at once, so many find their turn.
const LOOKS: usize = 64;

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
    #[error(
        "nobody can be called `{0}`: names that look like an id, that have a slash in them, and `new`, `.` and `..` lead elsewhere; choose another name"
    )]
    Name(String),
    #[error(
        "an e-mail address is one such as alice@example.com, full name and tier have at most 100 visible characters"
    )]
    Facts,
    #[error("the password is too short or too long: use 8 to 1024 bytes, and no NUL")]
    Password,
    #[error("user `{0}` is {1} already")]
    Already(String, &'static str),
    #[error("user `{0}` was changed by somebody else meanwhile; look again, then change it")]
    Changed(String),
}

pub async fn add(
    app: &App,
    by: &By,
    new: NewAccount,
    now: Timestamp,
) -> Answer<Result<Account, AccountRefusal>> {
    if !is_password(new.password.reveal()) {
        return Ok(Err(AccountRefusal::Password));
    }
    if !new.name.stands_in_links() {
        return Ok(Err(AccountRefusal::Name(new.name.to_string())));
    }
    let facts = Changes { email: new.email, full_name: new.full_name, tier: new.tier, admin: None };
    if !facts.fit() {
        return Ok(Err(AccountRefusal::Facts));
    }
    let account = Account {
        id: AccountId::new(now, app.entropy.id()?),
        name: new.name,
        email: facts.email.filter(|email| !email.is_empty()),
        full_name: facts.full_name.filter(|name| !name.is_empty()),
        tier: facts.tier.filter(|tier| !tier.is_empty()).unwrap_or_else(|| "none".to_owned()),
        admin: new.admin,
        created_at: now,
        disabled_at: None,
        revision: 1,
    };
    let hash = password::hash(new.password.reveal().as_bytes(), &app.entropy)?;
    let mut event = app.event(now, Action::UserAdded)?.by(by);
    event.account = Some(account.id);
    match app.store.commit(vec![accounts::insert(&account, &hash), audit::insert(event)]).await? {
        Committed::Done { .. } => Ok(Ok(account)),
        Committed::Conflict => Ok(Err(AccountRefusal::Taken(account.name.to_string()))),
    }
}

/// Those after this name; `words` stand in name, e-mail address or full name.
pub async fn page(app: &App, after: Option<&str>, words: Option<&str>, limit: u32) -> Answer<Vec<Account>> {
    Ok(accounts::page(&app.store, after, words, limit).await?)
}

/// Somebody by their name, or their id: names that an issuer's subjects give are long.
pub async fn find(app: &App, name: &Username) -> Answer<Option<Account>> {
    if let Some((account, _)) = accounts::by_name(&app.store, name).await? {
        return Ok(Some(account));
    }
    match name.as_str().parse() {
        Ok(id) => Ok(accounts::by_id(&app.store, id).await?),
        Err(_) => Ok(None),
    }
}

/// What an administrator changes of somebody. `None` leaves what is; an empty text takes it away.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub email: Option<String>,
    pub full_name: Option<String>,
    pub tier: Option<String>,
    pub admin: Option<bool>,
}

impl Changes {
    fn fit(&self) -> bool {
        let fits = |text: &Option<String>, is_good: fn(&str) -> bool| {
            text.as_deref().is_none_or(|text| text.is_empty() || is_good(text))
        };
        let is_label = |text: &str| label(text).is_some();
        fits(&self.email, is_address) && fits(&self.full_name, is_label) && fits(&self.tier, is_label)
    }
}

/// `seen` is the revision that whoever changes it has seen; without it any will do.
pub async fn edit(
    app: &App,
    by: &By,
    name: &Username,
    changes: Changes,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<Account, AccountRefusal>> {
    if !changes.fit() {
        return Ok(Err(AccountRefusal::Facts));
    }
    for _ in 0..LOOKS {
        let Some(mut account) = find(app, name).await? else {
            return Ok(Err(AccountRefusal::Unknown(name.to_string())));
        };
        if seen.is_some_and(|seen| seen != account.revision) {
            break;
        }
        let before = account.clone();
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(email) = changes.email.clone() {
            account.email = some(email);
        }
        if let Some(full_name) = changes.full_name.clone() {
            account.full_name = some(full_name);
        }
        if let Some(tier) = changes.tier.clone() {
            account.tier = some(tier).unwrap_or_else(|| "none".to_owned());
        }
        let admin = changes.admin.unwrap_or(account.admin);
        let promoted = admin != account.admin;
        account.admin = admin;
        if account == before {
            return Ok(Ok(account));
        }
        let mut event = app.event(now, Action::UserEdited)?.by(by);
        event.account = Some(account.id);
        event.detail = promoted.then(|| if admin { "administrator" } else { "no administrator" }.to_owned());
        let mut batch = vec![accounts::update(&account, now), audit::insert(event)];
        if promoted {
            // None of them was made by an administrator, or sleeps until somebody is one again; nor does what
            // was approved and not collected yet.
            batch.extend([
                grants::revoke_of_account(account.id, now),
                api_keys::revoke_admin(account.id, now),
                families::end_admin(account.id, now),
            ]);
        }
        if app.store.commit(batch).await?.is_done() {
            account.revision += 1;
            return Ok(Ok(account));
        }
    }
    Ok(Err(AccountRefusal::Changed(name.to_string())))
}

pub async fn list(app: &App) -> Answer<Vec<Account>> {
    Ok(accounts::list(&app.store).await?)
}

/// A new password ends every browser's session, and the wait after too many wrong ones; devices stay
/// connected.
pub async fn set_password(
    app: &App,
    by: &By,
    name: &Username,
    password: &Plain,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<(), AccountRefusal>> {
    if !is_password(password.reveal()) {
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
    administer(app, by, name, Action::UserPassword, change, seen, now).await
}

/// What an administrator does to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserAct {
    /// Ends sessions and devices, and denies for good what was approved and not collected.
    Disable,
    Enable,
    /// Ends every browser's session; devices stay connected.
    SignOut,
    /// Takes the second factors and passkeys of somebody who lost them, and ends their sessions.
    ResetFactors,
    Remove,
}

impl UserAct {
    const fn action(self) -> Action {
        match self {
            Self::Disable => Action::UserDisabled,
            Self::Enable => Action::UserEnabled,
            Self::SignOut => Action::UserSignedOut,
            Self::ResetFactors => Action::FactorsReset,
            Self::Remove => Action::UserRemoved,
        }
    }

    fn statements(self, app: &App, account: &Account, now: Timestamp) -> Vec<Stmt> {
        let id = account.id;
        match self {
            Self::Disable => vec![
                accounts::disable(id, now),
                accounts::end_sessions(id),
                families::end_of_account(id, now),
                api_keys::revoke_of_account(id, now),
                nodes::revoke_of_account(id, now),
                Stmt::tell(Event::NodesOf(id)),
                grants::revoke_of_account(id, now),
            ],
            Self::Enable => {
                vec![accounts::enable(id), attempts::forget(&login::name_bucket(app, Some(&account.name)))]
            }
            Self::SignOut => vec![accounts::hold(id), accounts::end_sessions(id)],
            Self::ResetFactors => vec![
                factors::remove_totp(id),
                factors::remove_recovery(id),
                passkeys::remove_of_account(id),
                accounts::end_sessions(id),
            ],
            Self::Remove => vec![
                accounts::remove(id),
                accounts::end_sessions(id),
                accounts::forget_identities(id),
                factors::remove_totp(id),
                factors::remove_recovery(id),
                passkeys::remove_of_account(id),
                families::remove_of_account(id),
                api_keys::remove_of_account(id),
                nodes::remove_of_account(id),
                Stmt::tell(Event::NodesOf(id)),
                grants::revoke_of_account(id, now),
            ],
        }
    }
}

/// `seen` as with [`edit`].
pub async fn act(
    app: &App,
    by: &By,
    name: &Username,
    act: UserAct,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<(), AccountRefusal>> {
    let change = |account: &Account| act.statements(app, account, now);
    administer(app, by, name, act.action(), change, seen, now).await
}

async fn administer(
    app: &App,
    by: &By,
    name: &Username,
    action: Action,
    change: impl FnOnce(&Account) -> Vec<Stmt>,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<(), AccountRefusal>> {
    let unknown = || Ok(Err(AccountRefusal::Unknown(name.to_string())));
    let Some(account) = find(app, name).await? else { return unknown() };
    let mut event = app.event(now, action)?.by(by);
    event.account = Some(account.id);
    let mut batch: Vec<Stmt> = seen.into_iter().map(|seen| accounts::unchanged(account.id, seen)).collect();
    batch.extend(change(&account));
    batch.push(audit::insert(event));
    if app.store.commit(batch).await?.is_done() {
        return Ok(Ok(()));
    }
    let Some(account) = accounts::by_id(&app.store, account.id).await? else { return unknown() };
    Ok(Err(if seen.is_some_and(|seen| seen != account.revision) {
        AccountRefusal::Changed(name.to_string())
    } else {
        AccountRefusal::Already(name.to_string(), if account.is_enabled() { "enabled" } else { "disabled" })
    }))
}
