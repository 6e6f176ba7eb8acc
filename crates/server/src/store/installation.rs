//! Facts about this installation.

use super::{Result, Stmt, Store, statements};

statements! {
    READ = "SELECT value FROM installation WHERE key = ?1";
    TOUCH = "UPDATE installation SET value = value WHERE key = ?1";
    REPLACE = "UPDATE installation SET value = ?3 WHERE key = ?1 AND value = ?2";
    INSERT = "INSERT INTO installation (key, value) VALUES (?1, ?2)";
}

/// The fingerprint of the key that seals this database's secrets.
pub const KEY_FINGERPRINT: &str = "key_fingerprint";
/// Set once the client that exists from the start was made, so that removing it is for good.
pub const CLI_CLIENT_MADE: &str = "cli_client_made";

pub async fn read(store: &Store, key: &str) -> Result<Option<Vec<u8>>> {
    store.row(READ, &[key.into()]).await?.map(|mut row| row.take()).transpose()
}

/// A write that changes nothing; a conflict where there is nothing to change.
pub fn touch() -> Stmt {
    Stmt::one(TOUCH, vec![KEY_FINGERPRINT.into()])
}

/// Conflicts unless it is what it was.
pub fn replace(key: &str, from: &[u8], to: &[u8]) -> Stmt {
    Stmt::one(REPLACE, vec![key.into(), from.into(), to.into()])
}

/// Conflicts if it is set.
pub fn insert(key: &str, value: &[u8]) -> Stmt {
    Stmt::one(INSERT, vec![key.into(), value.into()])
}
