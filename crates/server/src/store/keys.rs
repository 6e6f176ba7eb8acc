//! Signing keys, sealed.

use countersign_core::client::SigningAlg;
use countersign_core::time::Timestamp;

use super::value::parsed;
use super::{Result, Row, Stmt, Store, statements};

statements! {
    LIST = "SELECT id, alg, sealed, created_at, active_at, retired_at FROM signing_key ORDER BY created_at, id";
    INSERT = "INSERT INTO signing_key (id, alg, sealed, created_at, active_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    ACTIVATE = "UPDATE signing_key SET active_at = ?2 WHERE id = ?1 AND active_at IS NULL";
    RETIRE = "UPDATE signing_key SET retired_at = ?2 WHERE id = ?1 AND active_at IS NOT NULL AND retired_at IS NULL";
    SWEEP = "DELETE FROM signing_key WHERE retired_at <= ?1";
}

#[derive(Clone, Debug)]
pub struct StoredKey {
    pub id: String,
    pub alg: SigningAlg,
    /// The PKCS #8 document under the server's key.
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    pub active_at: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
}

fn read(mut row: Row) -> Result<StoredKey> {
    let id = row.take()?;
    let alg: String = row.take()?;
    Ok(StoredKey {
        id,
        alg: parsed(&alg)?,
        sealed: row.take()?,
        created_at: row.take()?,
        active_at: row.take()?,
        retired_at: row.take()?,
    })
}

pub async fn list(store: &Store) -> Result<Vec<StoredKey>> {
    store.rows(LIST, &[]).await?.into_iter().map(read).collect()
}

pub fn insert(key: &StoredKey) -> Stmt {
    let args = vec![
        (&key.id).into(),
        key.alg.name().into(),
        key.sealed.clone().into(),
        key.created_at.into(),
        key.active_at.into(),
    ];
    Stmt::one(INSERT, args)
}

pub fn activate(id: &str, now: Timestamp) -> Stmt {
    Stmt::one(ACTIVATE, vec![id.into(), now.into()])
}

pub fn retire(id: &str, now: Timestamp) -> Stmt {
    Stmt::one(RETIRE, vec![id.into(), now.into()])
}

pub fn sweep(retired_before: Timestamp) -> Stmt {
    Stmt::any(SWEEP, vec![retired_before.into()])
}
