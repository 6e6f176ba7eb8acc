//! API keys.

use countersign_core::account::{Account, Username};
use countersign_core::client::ClientId;
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, DeviceId, GrantId};
use countersign_core::key::{Key, USE_PRECISION};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::accounts::{self, account_columns};
use super::search::Search;
use super::{Result, Row, Stmt, Store, statements};

macro_rules! select {
    ($($rest:expr),*) => {
        concat!(
            "SELECT k.id, k.account_id, k.client_id, k.grant_id, k.name, k.shown, k.scopes, k.address, k.user_agent, \
             k.created_at, k.last_used, k.expires_at, k.revoked_at, k.leaked_at",
            $($rest),*
        )
    };
}

statements! {
    LIVE = select!(", ", account_columns!(), " FROM api_key AS k JOIN account ON account.id = k.account_id \
           WHERE k.digest = ?1 AND k.revoked_at IS NULL AND k.expires_at > ?2 AND account.disabled_at IS NULL");
    BY_ID = select!(" FROM api_key AS k WHERE k.id = ?1");
    BY_DIGEST = select!(" FROM api_key AS k WHERE k.digest = ?1");
    OF_ACCOUNT = select!(", account.name, client.name FROM api_key AS k JOIN account ON account.id = k.account_id \
                 LEFT JOIN client ON client.id = k.client_id WHERE k.account_id = ?1 ORDER BY k.created_at DESC, k.id DESC");
    ALL = select!(", account.name, client.name FROM api_key AS k JOIN account ON account.id = k.account_id \
          LEFT JOIN client ON client.id = k.client_id ORDER BY k.created_at DESC, k.id DESC");
    PAGE = select!(", account.name, client.name FROM api_key AS k JOIN account ON account.id = k.account_id \
           LEFT JOIN client ON client.id = k.client_id \
           WHERE (CAST(?1 AS BYTEA) IS NULL OR k.id < ?1) AND (CAST(?2 AS TEXT) IS NULL OR account.name = ?2) \
           AND (CAST(?3 AS TEXT) IS NULL OR k.client_id = ?3) AND (CAST(?4 AS TEXT) IS NULL OR k.address = ?4) \
           AND (CAST(?5 AS TEXT) IS NULL OR lower(k.name) LIKE lower(?5) ESCAPE '!') \
           AND (CAST(?6 AS BIGINT) IS NULL OR (k.revoked_at IS NULL AND k.expires_at > ?6)) ORDER BY k.id DESC LIMIT ?7");
    MADE_WITH = "UPDATE api_key SET made_with = ?2 WHERE id = ?1";
    INHERIT = "UPDATE api_key SET made_with = (SELECT device_grant.made_with FROM device_grant WHERE device_grant.id = ?2) WHERE id = ?1";
    INHERIT_OF_KEY = "UPDATE api_key SET made_with = (SELECT old.made_with FROM api_key AS old WHERE old.id = ?2) WHERE id = ?1";
    REVOKE_ADMIN = "UPDATE api_key SET revoked_at = ?2 WHERE account_id = ?1 AND revoked_at IS NULL AND ' ' || scopes || ' ' LIKE '% admin %'";
    REVOKE_ADMIN_OF_CLIENT = "UPDATE api_key SET revoked_at = ?2 WHERE revoked_at IS NULL AND ' ' || scopes || ' ' LIKE '% admin %' \
                              AND (client_id = ?1 OR made_with IN (SELECT id FROM token_family WHERE client_id = ?1))";
    REVOKE_MADE_WITH_CLIENT = "UPDATE api_key SET revoked_at = ?2 WHERE revoked_at IS NULL AND made_with IN (SELECT id FROM token_family WHERE client_id = ?1)";
    REVOKE_MADE_WITH = "UPDATE api_key SET revoked_at = ?2 WHERE made_with = ?1 AND revoked_at IS NULL";
    INSERT = "INSERT INTO api_key (id, digest, account_id, client_id, grant_id, name, shown, scopes, address, user_agent, \
              created_at, expires_at) SELECT ?1, ?2, account.id, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 \
              FROM account WHERE account.id = ?3 AND account.disabled_at IS NULL \
              AND (CAST(?4 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM client WHERE client.id = ?4 /* FOR SHARE */)) /* FOR SHARE */";
    USED = "UPDATE api_key SET last_used = ?2 WHERE id = ?1 AND revoked_at IS NULL AND (last_used IS NULL OR last_used <= ?3)";
    SUCCEED = "UPDATE api_key SET expires_at = ?3, successor_id = ?5 \
               WHERE id = ?1 AND account_id = ?2 AND revoked_at IS NULL AND successor_id IS NULL AND expires_at > ?4";
    REVOKE = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL AND expires_at > ?2";
    REVOKE_OWN = "UPDATE api_key SET revoked_at = ?3 WHERE id = ?1 AND account_id = ?2 AND revoked_at IS NULL AND expires_at > ?3";
    REPORT = "UPDATE api_key SET revoked_at = ?2, leaked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    REVOKE_OF_ACCOUNT = "UPDATE api_key SET revoked_at = ?2 WHERE account_id = ?1 AND revoked_at IS NULL";
    REVOKE_OF_CLIENT = "UPDATE api_key SET revoked_at = ?2 WHERE client_id = ?1 AND revoked_at IS NULL";
    REMOVE_OF_ACCOUNT = "DELETE FROM api_key WHERE account_id = ?1";
    SWEEP_EXPIRED = "DELETE FROM api_key WHERE id IN (SELECT id FROM api_key WHERE expires_at <= ?1 LIMIT ?2)";
    SWEEP_REVOKED = "DELETE FROM api_key WHERE id IN (SELECT id FROM api_key WHERE revoked_at <= ?1 LIMIT ?2)";
}

fn read(row: &mut Row) -> Result<Key> {
    Ok(Key {
        id: row.take()?,
        account: row.take()?,
        client: row.take()?,
        grant: row.take()?,
        name: row.take()?,
        start: row.take()?,
        scopes: row.take()?,
        from: Origin { address: row.take()?, user_agent: row.take()? },
        created_at: row.take()?,
        last_used: row.take()?,
        expires_at: row.take()?,
        revoked_at: row.take()?,
        leaked_at: row.take()?,
    })
}

/// A key that is good at this moment, with its enabled owner.
pub async fn live(store: &Store, digest: &Digest, now: Timestamp) -> Result<Option<(Key, Account)>> {
    let Some(mut row) = store.row(LIVE, &[digest.into(), now.into()]).await? else { return Ok(None) };
    Ok(Some((read(&mut row)?, accounts::read(&mut row)?)))
}

pub async fn by_id(store: &Store, id: DeviceId) -> Result<Option<Key>> {
    store.row(BY_ID, &[id.into()]).await?.map(|mut row| read(&mut row)).transpose()
}

pub async fn by_digest(store: &Store, digest: &Digest) -> Result<Option<Key>> {
    store.row(BY_DIGEST, &[digest.into()]).await?.map(|mut row| read(&mut row)).transpose()
}

/// A key as it stands in the inventory.
#[derive(Clone, Debug)]
pub struct Listed {
    pub key: Key,
    pub user: Username,
    /// The name of the client that asked for it, if one did and is still known.
    pub client_name: Option<String>,
}

fn listed(mut row: Row) -> Result<Listed> {
    Ok(Listed { key: read(&mut row)?, user: row.take()?, client_name: row.take()? })
}

/// Newest first.
pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<Listed>> {
    store.rows(OF_ACCOUNT, &[account.into()]).await?.into_iter().map(listed).collect()
}

/// Those that somebody looks for.
pub async fn page(store: &Store, search: &Search, limit: u32) -> Result<Vec<Listed>> {
    store.rows(PAGE, &search.args(limit)).await?.into_iter().map(listed).collect()
}

pub async fn all(store: &Store) -> Result<Vec<Listed>> {
    store.rows(ALL, &[]).await?.into_iter().map(listed).collect()
}

/// Conflicts if its owner was disabled or removed meanwhile, or its client removed.
pub fn insert(key: &Key, digest: &Digest) -> Stmt {
    Stmt::one(
        INSERT,
        vec![
            key.id.into(),
            digest.into(),
            key.account.into(),
            key.client.as_ref().into(),
            key.grant.into(),
            (&key.name).into(),
            (&key.start).into(),
            (&key.scopes).into(),
            (&key.from.address).into(),
            key.from.user_agent.as_deref().into(),
            key.created_at.into(),
            key.expires_at.into(),
        ],
    )
}

/// Nothing happens if a use was written down a moment ago.
pub fn used(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::any(USED, vec![id.into(), now.into(), (now - USE_PRECISION).into()])
}

/// Gives a live key of this person's a successor, and has it end at `at`; a conflict for any other, and
/// for one that has a successor.
pub fn succeed(id: DeviceId, account: AccountId, successor: DeviceId, at: Timestamp, now: Timestamp) -> Stmt {
    Stmt::one(SUCCEED, vec![id.into(), account.into(), at.into(), now.into(), successor.into()])
}

/// A conflict unless it is live.
pub fn revoke(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(REVOKE, vec![id.into(), now.into()])
}

/// A conflict unless it is live and this person's.
pub fn revoke_own(id: DeviceId, account: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(REVOKE_OWN, vec![id.into(), account.into(), now.into()])
}

/// Revokes a key that somebody found where it should not be; a conflict if it was revoked before.
pub fn report(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(REPORT, vec![id.into(), now.into()])
}

/// This key was made with that login.
pub fn made_with(key: DeviceId, login: DeviceId) -> Stmt {
    Stmt::one(MADE_WITH, vec![key.into(), login.into()])
}

/// With whatever login the question was answered that it is the answer to.
pub fn inherit(key: DeviceId, grant: GrantId) -> Stmt {
    Stmt::one(INHERIT, vec![key.into(), grant.into()])
}

/// With whatever login its predecessor was made.
pub fn inherit_of_key(key: DeviceId, old: DeviceId) -> Stmt {
    Stmt::one(INHERIT_OF_KEY, vec![key.into(), old.into()])
}

pub fn revoke_made_with_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_MADE_WITH_CLIENT, vec![client.into(), now.into()])
}

/// Keys that administer, and were got or made with this client.
pub fn revoke_admin_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_ADMIN_OF_CLIENT, vec![client.into(), now.into()])
}

/// Keys of this person's that administer.
pub fn revoke_admin(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_ADMIN, vec![account.into(), now.into()])
}

pub fn revoke_made_with(login: DeviceId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_MADE_WITH, vec![login.into(), now.into()])
}

pub fn revoke_of_account(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_OF_ACCOUNT, vec![account.into(), now.into()])
}

pub fn revoke_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_OF_CLIENT, vec![client.into(), now.into()])
}

pub fn remove_of_account(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_OF_ACCOUNT, vec![account.into()])
}

/// Bounded deletions of keys that ended before `before`.
pub fn sweep(before: Timestamp, limit: u32) -> [Stmt; 2] {
    [SWEEP_EXPIRED, SWEEP_REVOKED].map(|sql| Stmt::any(sql, vec![before.into(), limit.into()]))
}
