//! What an error of PostgreSQL means for a commit: did it happen, may it be tried again?

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::{Committed, Stmt, StoreError};

/// Why an attempt to commit did not end well.
#[derive(Debug)]
pub enum Failure {
    /// Nothing happened for certain, and another try may succeed.
    Nothing(StoreError),
    /// The connection was lost while the engine committed.
    Unknown { transaction: Option<String>, changed: u64, error: StoreError },
    /// A unique value was met twice: nothing happened.
    Conflict,
    /// Nothing happened, and nothing else would if it were tried again.
    Final(StoreError),
}

impl Failure {
    /// An error before `COMMIT` was sent.
    pub fn before(error: &Error) -> Self {
        match error.code() {
            Some(code) if is_unique_violation(code) => Self::Conflict,
            Some(code) if is_transient(code) => Self::Nothing(failed_ref(error)),
            _ if is_lost(error) => Self::Nothing(failed_ref(error)),
            _ => Self::Final(failed_ref(error)),
        }
    }

    /// An error as the answer to `BEGIN`. If that was cancelled, what followed it was no transaction.
    pub fn at_begin(error: &Error) -> Self {
        if error.code().is_some_and(|code| *code == SqlState::QUERY_CANCELED) {
            return Self::Final(failed_ref(error));
        }
        Self::before(error)
    }

    /// An error as the answer to `COMMIT`, or none.
    pub fn at_commit(error: &Error, transaction: Option<String>, changed: u64) -> Self {
        match error.code() {
            Some(code) if is_transient(code) => Self::Nothing(failed_ref(error)),
            Some(code) if is_unique_violation(code) => Self::Conflict,
            _ if is_lost(error) => Self::Unknown { transaction, changed, error: failed_ref(error) },
            _ => Self::Final(failed_ref(error)),
        }
    }

    /// An error of a statement that is a transaction of its own.
    pub fn single(error: &Error) -> Result<Committed, Self> {
        match Self::at_commit(error, None, 0) {
            Self::Conflict => Ok(Committed::Conflict),
            other => Err(other),
        }
    }

    pub fn too_many(stmt: &Stmt, changed: u64) -> Self {
        let text = format!("a guarded statement changed {changed} rows: {}", stmt.sql);
        Self::Final(StoreError::Database(text))
    }
}

fn is_unique_violation(code: &SqlState) -> bool {
    *code == SqlState::UNIQUE_VIOLATION
}

/// Others were in the way: the engine rolled back.
fn is_transient(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}

/// The connection is gone, or the engine is about to go.
pub fn is_lost(error: &Error) -> bool {
    let going = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_FAILURE,
        SqlState::CONNECTION_EXCEPTION,
        SqlState::CONNECTION_DOES_NOT_EXIST,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::IDLE_SESSION_TIMEOUT,
    ];
    match error.code() {
        Some(code) => going.contains(code),
        // Without a code it is no answer of the engine's: it did not get there or did not come back.
        None => {
            error.is_closed()
                || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        }
    }
}

fn failed_ref(error: &Error) -> StoreError {
    let text = match error.as_db_error() {
        // Its detail may repeat values.
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    };
    let timed_out = error.code().is_some_and(|code| *code == SqlState::QUERY_CANCELED);
    if is_lost(error) || timed_out { StoreError::Unavailable(text) } else { StoreError::Database(text) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
pub fn failed(error: Error) -> StoreError {
    failed_ref(&error)
}

/// No connection is to be had.
pub fn unavailable(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => StoreError::Unavailable(match failed(error) {
            StoreError::Unavailable(text) | StoreError::Database(text) => text,
            other => other.to_string(),
        }),
        PoolError::Closed => StoreError::Closed,
        other => StoreError::Unavailable(other.to_string()),
    }
}
