//! Passkeys.

use countersign_core::id::{AccountId, PasskeyId};
use countersign_core::time::Timestamp;

use super::{Result, Row, Stmt, Store, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, account_id, credential, name, created_at, last_used FROM passkey ", $rest)
    };
}

statements! {
    OF_ACCOUNT = select!("WHERE account_id = ?1 ORDER BY created_at, id");
    BY_CREDENTIAL = select!("WHERE credential_id = ?1");
    COUNT = "SELECT COUNT(*) FROM passkey WHERE account_id = ?1";
    INSERT = "INSERT INTO passkey (id, account_id, credential_id, credential, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    USED = "UPDATE passkey SET credential = ?3, last_used = ?4 WHERE id = ?1 AND credential = ?2";
    RENAME_OWN = "UPDATE passkey SET name = ?3 WHERE id = ?1 AND account_id = ?2";
    REMOVE_OWN = "DELETE FROM passkey WHERE id = ?1 AND account_id = ?2";
    REMOVE_OF_ACCOUNT = "DELETE FROM passkey WHERE account_id = ?1";
}

#[derive(Clone, Debug)]
pub struct StoredPasskey {
    pub id: PasskeyId,
    pub account: AccountId,
    pub credential: String,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used: Option<Timestamp>,
}

fn read(mut row: Row) -> Result<StoredPasskey> {
    Ok(StoredPasskey {
        id: row.take()?,
        account: row.take()?,
        credential: row.take()?,
        name: row.take()?,
        created_at: row.take()?,
        last_used: row.take()?,
    })
}

pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<StoredPasskey>> {
    store.rows(OF_ACCOUNT, &[account.into()]).await?.into_iter().map(read).collect()
}

pub async fn by_credential(store: &Store, credential: &[u8]) -> Result<Option<StoredPasskey>> {
    store.row(BY_CREDENTIAL, &[Value::from(credential.to_vec())]).await?.map(read).transpose()
}

pub async fn count(store: &Store, account: AccountId) -> Result<i64> {
    let row = store.row(COUNT, &[account.into()]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

/// A conflict if the credential is somebody's.
pub fn insert(passkey: &StoredPasskey, credential_id: &[u8]) -> Stmt {
    let args = vec![
        passkey.id.into(),
        passkey.account.into(),
        credential_id.to_vec().into(),
        (&passkey.credential).into(),
        (&passkey.name).into(),
        passkey.created_at.into(),
    ];
    Stmt::one(INSERT, args)
}

/// A conflict if it was removed, or its counter moved on, since it was read.
pub fn used(passkey: &StoredPasskey, credential: &str, now: Timestamp) -> Stmt {
    Stmt::one(USED, vec![passkey.id.into(), (&passkey.credential).into(), credential.into(), now.into()])
}

/// A conflict unless it is this person's.
pub fn rename_own(id: PasskeyId, account: AccountId, name: &str) -> Stmt {
    Stmt::one(RENAME_OWN, vec![id.into(), account.into(), name.into()])
}

/// A conflict unless it is this person's.
pub fn remove_own(id: PasskeyId, account: AccountId) -> Stmt {
    Stmt::one(REMOVE_OWN, vec![id.into(), account.into()])
}

pub fn remove_of_account(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_OF_ACCOUNT, vec![account.into()])
}
