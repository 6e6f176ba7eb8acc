//! What browsers were asked, or sent away with, until they answer, once.

use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    ASK = "INSERT INTO challenge (browser, kind, state, expires_at) VALUES (?1, ?2, ?3, ?4) \
           ON CONFLICT (browser, kind) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at";
    ASKED = "SELECT state FROM challenge WHERE browser = ?1 AND kind = ?2 AND expires_at > ?3";
    ANSWERED = "DELETE FROM challenge WHERE browser = ?1 AND kind = ?2 AND state = ?3";
    SWEEP = "DELETE FROM challenge WHERE expires_at IN \
             (SELECT expires_at FROM challenge WHERE expires_at <= ?1 LIMIT ?2)";
}

/// Takes the place of what this browser was asked before.
pub fn ask(browser: &Digest, kind: &str, state: &str, until: Timestamp) -> Stmt {
    Stmt::one(ASK, vec![browser.into(), kind.into(), state.into(), until.into()])
}

pub async fn asked(store: &Store, browser: &Digest, kind: &str, now: Timestamp) -> Result<Option<String>> {
    let row = store.row(ASKED, &[browser.into(), kind.into(), now.into()]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// A conflict if it was answered before.
pub fn answered(browser: &Digest, kind: &str, state: &str) -> Stmt {
    Stmt::one(ANSWERED, vec![browser.into(), kind.into(), state.into()])
}

pub fn sweep(now: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![now.into(), limit.into()])
}
