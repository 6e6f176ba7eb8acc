//! Paired nodes.

use countersign_core::account::Username;
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, DeviceId, NodeId};
use countersign_core::key::USE_PRECISION;
use countersign_core::node::{Node, NodeFacts};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::search::Search;
use super::{Result, Row, Stmt, Store, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT n.id, n.node_id, n.name, n.kind, n.version, n.account_id, n.scopes, n.address, n.user_agent, \
             n.paired_at, n.last_used, n.expires_at, n.revoked_at, account.name \
             FROM node AS n LEFT JOIN account ON account.id = n.account_id ",
            $rest
        )
    };
}

macro_rules! pair {
    ($owner:literal) => {
        concat!(
            "INSERT INTO node (id, node_id, account_id, digest, phc, name, kind, version, scopes, address, user_agent, paired_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
             ON CONFLICT (node_id) DO UPDATE SET digest = excluded.digest, phc = excluded.phc, name = excluded.name, kind = excluded.kind, \
             version = excluded.version, scopes = excluded.scopes, address = excluded.address, user_agent = excluded.user_agent, \
             paired_at = excluded.paired_at, expires_at = excluded.expires_at, last_used = NULL, revoked_at = NULL",
            $owner
        )
    };
}

statements! {
    LIVE = select!("WHERE n.digest = ?1 AND n.revoked_at IS NULL AND (n.expires_at IS NULL OR n.expires_at > ?2) \
           AND (n.account_id IS NULL OR (account.id IS NOT NULL AND account.disabled_at IS NULL))");
    BY_ID = select!("WHERE n.id = ?1");
    BY_NODE = select!("WHERE n.node_id = ?1");
    OF_ACCOUNT = select!("WHERE n.account_id = ?1 ORDER BY n.paired_at DESC, n.id DESC");
    ALL = select!("ORDER BY n.paired_at DESC, n.id DESC");
    PAGE = select!("WHERE (CAST(?1 AS BYTEA) IS NULL OR n.id < ?1) AND (CAST(?2 AS TEXT) IS NULL OR account.name = ?2) \
           AND CAST(?3 AS TEXT) IS NULL AND (CAST(?4 AS TEXT) IS NULL OR n.address = ?4) \
           AND (CAST(?5 AS TEXT) IS NULL OR lower(n.name) LIKE lower(?5) ESCAPE '!') \
           AND (CAST(?6 AS BIGINT) IS NULL OR (n.revoked_at IS NULL AND (n.expires_at IS NULL OR n.expires_at > ?6))) \
           ORDER BY n.id DESC LIMIT ?7");
    PAIR_OWN = pair!(" WHERE node.account_id = excluded.account_id");
    PAIR_NOBODYS = pair!(" WHERE node.account_id IS NULL");
    IMPORTED = "SELECT phc FROM node WHERE id = ?1 AND phc IS NOT NULL AND digest IS NULL AND revoked_at IS NULL";
    PHCS = "SELECT id, phc FROM node WHERE phc IS NOT NULL";
    RECOGNISED = "UPDATE node SET digest = ?2 WHERE id = ?1 AND phc = ?3 AND digest IS NULL AND revoked_at IS NULL";
    IMPORT = "INSERT INTO node (id, node_id, account_id, phc, name, kind, version, scopes, address, paired_at, last_used, revoked_at) \
              SELECT ?1, ?2, account.id, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM account WHERE account.id = ?3 /* FOR SHARE */";
    REPLACE = "UPDATE node SET digest = ?2, phc = ?3, expires_at = ?4, last_used = ?5 \
               WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?5)";
    REPLACE_SHOWN = "UPDATE node SET digest = ?2, phc = ?3, expires_at = ?4, last_used = ?5 \
                     WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?5) AND digest = ?6";
    ASSIGN = "UPDATE node SET account_id = ?2 WHERE id = ?1 AND account_id IS NULL AND revoked_at IS NULL";
    RENAME = "UPDATE node SET name = ?2 WHERE id = ?1";
    RENAME_OWN = "UPDATE node SET name = ?3 WHERE id = ?1 AND account_id = ?2";
    USED = "UPDATE node SET last_used = ?2 WHERE id = ?1 AND revoked_at IS NULL AND (last_used IS NULL OR last_used <= ?3)";
    REVOKE = "UPDATE node SET revoked_at = ?2, digest = NULL WHERE id = ?1 AND revoked_at IS NULL";
    REVOKE_OWN = "UPDATE node SET revoked_at = ?3, digest = NULL WHERE id = ?1 AND account_id = ?2 AND revoked_at IS NULL";
    REVOKE_OF_ACCOUNT = "UPDATE node SET revoked_at = ?2, digest = NULL WHERE account_id = ?1 AND revoked_at IS NULL";
    SWEEP_EXPIRED = "DELETE FROM node WHERE id IN (SELECT id FROM node WHERE expires_at IS NOT NULL AND expires_at <= ?1 LIMIT ?2)";
    SWEEP_REVOKED = "DELETE FROM node WHERE id IN (SELECT id FROM node WHERE revoked_at IS NOT NULL AND revoked_at <= ?1 LIMIT ?2)";
    REMOVE = "DELETE FROM node WHERE id = ?1";
    REMOVE_OF_ACCOUNT = "DELETE FROM node WHERE account_id = ?1";
}

/// A node, and what its owner is called, if it has one.
#[derive(Clone, Debug)]
pub struct Listed {
    pub node: Node,
    pub user: Option<Username>,
}

fn read(mut row: Row) -> Result<Listed> {
    let node = Node {
        id: row.take()?,
        facts: NodeFacts { node: row.take()?, name: row.take()?, kind: row.take()?, version: row.take()? },
        owner: row.take()?,
        scopes: row.take()?,
        from: Origin { address: row.take()?, user_agent: row.take()? },
        paired_at: row.take()?,
        last_used: row.take()?,
        expires_at: row.take()?,
        revoked_at: row.take()?,
    };
    Ok(Listed { node, user: row.take()? })
}

async fn one(store: &Store, sql: &'static str, args: &[Value]) -> Result<Option<Listed>> {
    store.row(sql, args).await?.map(read).transpose()
}

/// The node behind a token that is good at this moment.
pub async fn live(store: &Store, digest: &Digest, now: Timestamp) -> Result<Option<Listed>> {
    one(store, LIVE, &[digest.into(), now.into()]).await
}

pub async fn by_node(store: &Store, node: NodeId) -> Result<Option<Listed>> {
    one(store, BY_NODE, &[node.into()]).await
}

pub async fn by_id(store: &Store, id: DeviceId) -> Result<Option<Listed>> {
    one(store, BY_ID, &[id.into()]).await
}

/// Newest first.
pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<Listed>> {
    store.rows(OF_ACCOUNT, &[account.into()]).await?.into_iter().map(read).collect()
}

/// Those that somebody looks for.
pub async fn page(store: &Store, search: &Search, limit: u32) -> Result<Vec<Listed>> {
    store.rows(PAGE, &search.args(limit)).await?.into_iter().map(read).collect()
}

pub async fn all(store: &Store) -> Result<Vec<Listed>> {
    store.rows(ALL, &[]).await?.into_iter().map(read).collect()
}

/// Pairs a node, again if it was before: then its row stays, and its old token ends. A conflict if it was
/// somebody else's.
pub fn pair(node: &Node, digest: &Digest, phc: Option<&str>) -> Stmt {
    let sql = if node.owner.is_some() { PAIR_OWN } else { PAIR_NOBODYS };
    Stmt::one(
        sql,
        vec![
            node.id.into(),
            node.facts.node.into(),
            node.owner.into(),
            digest.into(),
            phc.into(),
            (&node.facts.name).into(),
            node.facts.kind.name().into(),
            (&node.facts.version).into(),
            (&node.scopes).into(),
            (&node.from.address).into(),
            node.from.user_agent.as_deref().into(),
            node.paired_at.into(),
            node.expires_at.into(),
        ],
    )
}

/// The argon2id hash that an imported node is known by, until it was used.
pub async fn imported(store: &Store, id: DeviceId) -> Result<Option<String>> {
    store.row(IMPORTED, &[id.into()]).await?.map(|mut row| row.take()).transpose()
}

/// The argon2id hash of every node that has one.
pub async fn phcs(store: &Store) -> Result<Vec<(DeviceId, String)>> {
    let rows = store.rows(PHCS, &[]).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// From now on this node is found by its token's digest; a conflict if its token is another by now.
pub fn recognised(id: DeviceId, digest: &Digest, phc: &str) -> Stmt {
    Stmt::one(RECOGNISED, vec![id.into(), digest.into(), phc.into()])
}

/// A node from elsewhere, with the hash of its token; a conflict if it is here.
pub fn import(node: &Node, phc: &str) -> Stmt {
    Stmt::one(
        IMPORT,
        vec![
            node.id.into(),
            node.facts.node.into(),
            node.owner.into(),
            phc.into(),
            (&node.facts.name).into(),
            node.facts.kind.name().into(),
            (&node.facts.version).into(),
            (&node.scopes).into(),
            (&node.from.address).into(),
            node.paired_at.into(),
            node.last_used.into(),
            node.revoked_at.into(),
        ],
    )
}

/// Gives a live node another token; a conflict for any other, and where the token that is shown is not
/// the one that it has.
pub fn replace(
    id: DeviceId,
    shown: Option<&Digest>,
    digest: &Digest,
    phc: Option<&str>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Stmt {
    let mut args = vec![id.into(), digest.into(), phc.into(), expires_at.into(), now.into()];
    args.extend(shown.map(Into::into));
    Stmt::one(if shown.is_some() { REPLACE_SHOWN } else { REPLACE }, args)
}

/// A conflict if it is somebody's, or was revoked.
pub fn assign(id: DeviceId, account: AccountId) -> Stmt {
    Stmt::one(ASSIGN, vec![id.into(), account.into()])
}

pub fn rename(id: DeviceId, name: &str) -> Stmt {
    Stmt::one(RENAME, vec![id.into(), name.into()])
}

/// A conflict unless it is this person's.
pub fn rename_own(id: DeviceId, account: AccountId, name: &str) -> Stmt {
    Stmt::one(RENAME_OWN, vec![id.into(), account.into(), name.into()])
}

/// Nothing happens if a use was written down a moment ago.
pub fn used(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::any(USED, vec![id.into(), now.into(), (now - USE_PRECISION).into()])
}

/// A conflict if it was revoked before.
pub fn revoke(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(REVOKE, vec![id.into(), now.into()])
}

/// A conflict unless it is this person's and was not revoked before.
pub fn revoke_own(id: DeviceId, account: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(REVOKE_OWN, vec![id.into(), account.into(), now.into()])
}

pub fn revoke_of_account(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_OF_ACCOUNT, vec![account.into(), now.into()])
}

/// Deletes what ended before.
pub fn sweep(before: Timestamp, limit: u32) -> [Stmt; 2] {
    [SWEEP_EXPIRED, SWEEP_REVOKED].map(|sql| Stmt::any(sql, vec![before.into(), limit.into()]))
}

pub fn remove(id: DeviceId) -> Stmt {
    Stmt::one(REMOVE, vec![id.into()])
}

pub fn remove_of_account(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_OF_ACCOUNT, vec![account.into()])
}
