//! Tallies of wrong attempts, compared and set, so that many at once cannot outrun a limit.

use countersign_core::limit::Tally;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    READ = "SELECT count, strikes, until_at FROM attempt WHERE bucket = ?1";
    INSERT = "INSERT INTO attempt (bucket, count, strikes, until_at, forget_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    REPLACE = "UPDATE attempt SET count = ?2, strikes = ?3, until_at = ?4, forget_at = ?5 \
               WHERE bucket = ?1 AND count = ?6 AND strikes = ?7 AND until_at = ?8";
    FORGET = "DELETE FROM attempt WHERE bucket = ?1";
    SWEEP = "DELETE FROM attempt WHERE bucket IN (SELECT bucket FROM attempt WHERE forget_at <= ?1 LIMIT ?2) AND forget_at <= ?1";
}

pub async fn read(store: &Store, bucket: &Digest) -> Result<Option<Tally>> {
    match store.row(READ, &[bucket.into()]).await? {
        Some(mut row) => Ok(Some(Tally { count: row.take()?, strikes: row.take()?, until: row.take()? })),
        None => Ok(None),
    }
}

/// Replaces `old` by `new`; a conflict if the tally is not `old` any more.
pub fn replace(bucket: &Digest, old: Option<Tally>, new: Tally, forget_at: Timestamp) -> Stmt {
    let mut args =
        vec![bucket.into(), new.count.into(), new.strikes.into(), new.until.into(), forget_at.into()];
    match old {
        None => Stmt::one(INSERT, args),
        Some(old) => {
            args.extend([old.count.into(), old.strikes.into(), old.until.into()]);
            Stmt::one(REPLACE, args)
        }
    }
}

pub fn forget(bucket: &Digest) -> Stmt {
    Stmt::any(FORGET, vec![bucket.into()])
}

pub fn sweep(now: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![now.into(), limit.into()])
}
