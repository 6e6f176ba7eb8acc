//! What `doctor` asks of a database.

use countersign_core::time::Timestamp;

use super::{Result, Store, statements};

statements! {
    NEWEST_AUDIT = "SELECT MAX(at) FROM audit";
}

/// When the newest row of the audit trail was written.
pub async fn newest_audit(store: &Store) -> Result<Option<Timestamp>> {
    match store.row(NEWEST_AUDIT, &[]).await? {
        Some(mut row) => row.take(),
        None => Ok(None),
    }
}

/// The clock of the machine that the database runs on, if that may be another one.
pub async fn engine_time(store: &Store) -> Result<Option<Timestamp>> {
    let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
    match store {
        Store::Sqlite(_) => Ok(None),
        Store::Postgres(_) => store.row(now, &[]).await?.map(|mut row| row.take()).transpose(),
    }
}
