//! What may be shown once: its digest is kept until it would not be good any more.

use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    SHOW = "INSERT INTO shown_once (digest, until_at) VALUES (?1, ?2)";
    SWEEP = "DELETE FROM shown_once WHERE digest IN (SELECT digest FROM shown_once WHERE until_at <= ?1 LIMIT ?2)";
}

/// Something that was shown, and until when it is good.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub digest: Digest,
    pub until: Timestamp,
}

/// Whether this is the first time.
pub async fn show(store: &Store, shown: &Shown) -> Result<bool> {
    let first = store.commit(vec![Stmt::one(SHOW, vec![shown.digest.into(), shown.until.into()])]).await?;
    Ok(first.is_done())
}

pub fn sweep(now: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![now.into(), limit.into()])
}
