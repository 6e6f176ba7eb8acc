//! Schema changes: numbered, run in order, each in one transaction, never edited once released.

use super::{Opening, Result, Store, StoreError, statements};

/// Every migration; the version is the position, from 1 on.
pub const MIGRATIONS: [&str; 7] = [
    include_str!("../../migrations/0001_oauth_door.sql"),
    include_str!("../../migrations/0002_cli_door.sql"),
    include_str!("../../migrations/0003_socket_door.sql"),
    include_str!("../../migrations/0004_factors.sql"),
    include_str!("../../migrations/0005_policy.sql"),
    include_str!("../../migrations/0006_notices.sql"),
    include_str!("../../migrations/0007_operations.sql"),
];

/// What this program needs.
#[expect(clippy::cast_possible_wrap, reason = "there are few migrations")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

pub const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)";

statements! {
    VERSION = "SELECT COALESCE(MAX(version), 0) FROM schema_migration";
    APPLIED = "INSERT INTO schema_migration (version, applied_at) VALUES (?1, ?2)";
}

/// The texts that a driver needs to bring a schema up to date.
pub const fn bookkeeping() -> (&'static str, &'static str) {
    (VERSION, APPLIED)
}

/// What is still to be run on a database of version `found`.
pub fn pending(
    found: i64,
    opening: Opening,
    place: &str,
) -> Result<impl Iterator<Item = (i64, &'static str)>> {
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { found, known: SCHEMA_VERSION });
    }
    if found == 0 && opening == Opening::Existing {
        return Err(StoreError::Missing(place.to_owned()));
    }
    // A database of version 0 is one that was made a moment ago.
    if found < SCHEMA_VERSION && found > 0 && opening != Opening::Migrate {
        return Err(StoreError::OlderSchema { found, known: SCHEMA_VERSION });
    }
    Ok((1..).zip(MIGRATIONS).filter(move |(version, _)| *version > found))
}

pub async fn version(store: &Store) -> Result<i64> {
    match store.row(VERSION, &[]).await? {
        Some(mut row) => row.take(),
        None => Ok(0),
    }
}
