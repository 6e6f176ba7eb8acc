//! Answers to requests that must be done once, however often they are sent.

use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Row, Stmt, Store, statements};

statements! {
    BEGIN = "INSERT INTO answered (digest, request, expires_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (digest) DO UPDATE SET request = excluded.request, answer = NULL, expires_at = excluded.expires_at \
             WHERE answered.expires_at <= ?4";
    FINISH = "UPDATE answered SET answer = ?2, expires_at = ?3 WHERE digest = ?1 AND answer IS NULL AND expires_at = ?4";
    FORGET = "DELETE FROM answered WHERE digest = ?1 AND answer IS NULL AND expires_at = ?2";
    FIND = "SELECT request, answer FROM answered WHERE digest = ?1 AND expires_at > ?2";
    SWEEP = "DELETE FROM answered WHERE digest IN (SELECT digest FROM answered WHERE expires_at <= ?1 LIMIT ?2)";
}

/// A conflict if somebody began before and it still counts.
pub fn begin(key: &Digest, request: &Digest, until: Timestamp, now: Timestamp) -> Stmt {
    Stmt::one(BEGIN, vec![key.into(), request.into(), until.into(), now.into()])
}

/// `claim` is the time until which it was begun: somebody who took longer has lost it to who began after.
pub fn finish(key: &Digest, claim: Timestamp, answer: Vec<u8>, until: Timestamp) -> Stmt {
    Stmt::any(FINISH, vec![key.into(), answer.into(), until.into(), claim.into()])
}

/// Nothing came of it: it may be tried again.
pub fn forget(key: &Digest, claim: Timestamp) -> Stmt {
    Stmt::any(FORGET, vec![key.into(), claim.into()])
}

/// What was asked with this key, and what was answered, if it was.
pub async fn find(store: &Store, key: &Digest, now: Timestamp) -> Result<Option<(Digest, Option<Vec<u8>>)>> {
    let read = |mut row: Row| Ok((row.take()?, row.take()?));
    store.row(FIND, &[key.into(), now.into()]).await?.map(read).transpose()
}

pub fn sweep(now: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![now.into(), limit.into()])
}
