//! The store: two verbs, `rows` and `commit`. Writes are data, so that one SQL text serves every
//! driver and many writes can share one commit.
//!
//! Every transition is a guarded statement that says how many rows it expects to change. If one
//! of a batch changes another number, or meets a unique value twice, nothing of that batch
//! happened and the answer is [`Committed::Conflict`].

pub mod accounts;
pub mod answered;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod backup;
pub mod challenges;
pub mod clients;
#[cfg(test)]
pub(crate) mod contract;
pub mod doctor;
pub mod factors;
pub mod families;
pub mod feed;
pub mod figures;
pub mod grants;
pub mod installation;
pub mod keys;
mod migrations;
pub mod nodes;
pub mod notices;
pub mod once;
pub mod passkeys;
pub mod postgres;
pub mod presence;
pub mod search;
mod sqlite;
pub mod standing;
pub mod timing;
mod value;

pub use migrations::SCHEMA_VERSION;
pub use postgres::Postgres;
pub use sqlite::Sqlite;
pub use value::{Row, Value};

use std::path::PathBuf;
use std::sync::Arc;

use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::feed::{Event, Feed};
use self::timing::Timings;

/// One write: a statement, its arguments, and how many rows it must change.
#[derive(Clone, Debug)]
pub struct Stmt {
    pub sql: &'static str,
    pub args: Vec<Value>,
    pub expect: Option<u64>,
    /// What is told once the batch is committed; then this is no write of its own.
    pub event: Option<Event>,
}

/// How an engine with a network tells its nodes.
const TELL: &str = "SELECT pg_notify('countersign.' || current_schema(), ?1)";

impl Stmt {
    /// A write that may change any number of rows.
    pub const fn any(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: None, event: None }
    }

    /// A guarded transition: it changes one row or the batch is a conflict.
    pub const fn one(sql: &'static str, args: Vec<Value>) -> Self {
        Self { sql, args, expect: Some(1), event: None }
    }

    /// No write, but news for every node.
    pub fn tell(event: Event) -> Self {
        Self { sql: TELL, args: vec![event.to_string().into()], expect: None, event: Some(event) }
    }

    /// Whether it may change so many rows.
    pub fn fits(&self, changed: u64) -> bool {
        self.expect.is_none_or(|expected| expected == changed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing happened"]
pub enum Committed {
    /// How many rows all statements of the batch changed.
    Done {
        changed: u64,
    },
    Conflict,
}

impl Committed {
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// Why the store could not answer. The texts are for the log, never for a caller.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(String),
    /// It does not answer now, and will again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
    #[error(
        "the database has schema version {found}, which is newer than this program's ({known}): run the newer countersign"
    )]
    NewerSchema { found: i64, known: i64 },
    #[error(
        "the database has schema version {found} and this program needs {known}: bring it up to date with `countersign migrate`, or by starting the server"
    )]
    OlderSchema { found: i64, known: i64 },
    #[error("there is no database at {0}; `countersign serve` and `countersign migrate` make one")]
    Missing(String),
    #[error("the store is closed")]
    Closed,
    #[error("cannot use {path}: {why}")]
    Path { path: String, why: String },
}

impl StoreError {
    /// What a trace says of it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Unavailable(_) => "unavailable",
            Self::Corrupt(_) => "corrupt",
            Self::NewerSchema { .. } => "newer_schema",
            Self::OlderSchema { .. } => "older_schema",
            Self::Missing(_) => "missing",
            Self::Closed => "closed",
            Self::Path { .. } => "path",
        }
    }
}

/// The connections of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Open ones: of SQLite those that read, of PostgreSQL those that write.
    pub size: usize,
    /// Open, and nobody uses them.
    pub idle: usize,
    /// Who waits: for SQLite's writer, for a connection to PostgreSQL.
    pub waiting: usize,
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What opening a database may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Make it where there is none, bring it up to date where it is old.
    Migrate,
    /// Make it where there is none. An old one may be in use by an old server, so it stays as it is.
    Create,
    /// Neither.
    Existing,
}

/// The database, whichever it is.
#[derive(Debug)]
pub enum Store {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// The right to sweep: a connection that holds a lock.
pub struct Sweeper {
    _connection: Option<deadpool_postgres::ClientWrapper>,
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sweeper")
    }
}

/// Which database, and how to reach it.
#[derive(Clone, Debug)]
pub enum Location {
    Sqlite(PathBuf),
    Postgres(Box<postgres::Options>),
}

impl Store {
    /// Opens the database, and makes or changes it as far as `opening` allows.
    pub async fn open(location: &Location, opening: Opening, now: Timestamp) -> Result<Self> {
        match location {
            Location::Sqlite(path) => Ok(Self::Sqlite(Sqlite::open(path, opening, now)?)),
            Location::Postgres(options) => {
                Ok(Self::Postgres(Postgres::open((**options).clone(), opening, now).await?))
            }
        }
    }

    /// Reads. Never waits for writers.
    pub async fn rows(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let timing = self.timings().reading(sql);
        let reading = async {
            match self {
                Self::Sqlite(sqlite) => sqlite.rows(sql, args),
                Self::Postgres(postgres) => postgres.rows(sql, args).await,
            }
        };
        let outcome = reading.instrument(timing.span.clone()).await;
        timing.end(outcome)
    }

    /// Reads at most one row.
    pub async fn row(&self, sql: &'static str, args: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Writes all of `batch` or nothing, and answers once it is on the disk.
    pub async fn commit(&self, batch: Vec<Stmt>) -> Result<Committed> {
        let timing = self.timings().committing(&batch);
        let committing = async {
            match self {
                Self::Sqlite(sqlite) => sqlite.commit(batch).await,
                Self::Postgres(postgres) => postgres.commit(batch).await,
            }
        };
        let outcome = committing.instrument(timing.span.clone()).await;
        timing.end(outcome)
    }

    /// How long it takes.
    pub fn timings(&self) -> &Timings {
        match self {
            Self::Sqlite(sqlite) => sqlite.timings(),
            Self::Postgres(postgres) => postgres.timings(),
        }
    }

    /// Its connections, at this moment.
    pub fn pool(&self) -> Pool {
        match self {
            Self::Sqlite(sqlite) => sqlite.pool(),
            Self::Postgres(postgres) => postgres.pool(),
        }
    }

    /// Has the engine read a statement, without running it.
    #[cfg(test)]
    async fn prepare(&self, sql: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.prepare(sql),
            Self::Postgres(postgres) => postgres.prepare(sql).await,
        }
    }

    /// Whether the database takes writes and has this program's schema.
    pub async fn ready(&self) -> Result<()> {
        let found = migrations::version(self).await?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Database(format!("schema version {found}, expected {SCHEMA_VERSION}")));
        }
        if self.commit(vec![installation::touch()]).await?.is_done() {
            Ok(())
        } else {
            Err(StoreError::Database("it was never set up".to_owned()))
        }
    }

    /// Where events arrive.
    pub fn feed(&self) -> &Arc<Feed> {
        match self {
            Self::Sqlite(sqlite) => sqlite.feed(),
            Self::Postgres(postgres) => postgres.feed(),
        }
    }

    /// Waits until a server that runs on the same file must have seen what was written.
    pub async fn settled(&self) {
        match self {
            Self::Sqlite(_) => tokio::time::sleep(sqlite::LOOK * 2).await,
            // It was told.
            Self::Postgres(_) => {}
        }
    }

    /// Hears what other nodes tell, until it is told to stop.
    pub fn listen(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let listening = match self {
            // Its writer hears everything.
            Self::Sqlite(_) => None,
            Self::Postgres(postgres) => Some(postgres.listen(stop)),
        };
        async {
            if let Some(listening) = listening {
                listening.await;
            }
        }
    }

    /// Takes the place of the one node that sweeps, if nobody has it. It is free again once the answer
    /// is dropped, however its holder ends.
    pub async fn sweeper(&self) -> Result<Option<Sweeper>> {
        match self {
            // One process serves a file.
            Self::Sqlite(_) => Ok(Some(Sweeper { _connection: None })),
            Self::Postgres(postgres) => {
                let connection = postgres.sweeper().await?;
                Ok(connection.map(|connection| Sweeper { _connection: Some(connection) }))
            }
        }
    }

    /// Finishes what is queued and ends the driver's threads.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// Declares SQL texts and the list of all of them, which a test prepares on every engine.
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(const $name: &str = $sql;)*

        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
use statements;

pub(crate) fn all_statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        accounts::STATEMENTS,
        answered::STATEMENTS,
        api_keys::STATEMENTS,
        attempts::STATEMENTS,
        audit::STATEMENTS,
        challenges::STATEMENTS,
        clients::STATEMENTS,
        doctor::STATEMENTS,
        factors::STATEMENTS,
        families::STATEMENTS,
        figures::STATEMENTS,
        grants::STATEMENTS,
        installation::STATEMENTS,
        keys::STATEMENTS,
        migrations::STATEMENTS,
        nodes::STATEMENTS,
        notices::STATEMENTS,
        once::STATEMENTS,
        passkeys::STATEMENTS,
        presence::STATEMENTS,
        standing::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
