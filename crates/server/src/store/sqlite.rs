//! The embedded driver: SQLite in WAL mode.
//!
//! One thread writes. It drains its queue into one transaction, a savepoint for each batch, and
//! answers after the `fsync`: many commits share one. Readers are connections of their own and
//! wait for nobody.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_core::time::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, TransactionBehavior, ffi};
use tokio::sync::oneshot;

use super::feed::{self, Event, Feed};
use super::timing::Timings;
use super::{Committed, Opening, Pool, Result, Row, Stmt, StoreError, Value, migrations};

/// How long one process waits for another's write, such as a command's while the server runs.
const BUSY: Duration = Duration::from_secs(10);
/// Batches that share one commit, at most.
const GROUP: usize = 512;
/// How often it is looked whether another process wrote.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// Writes that may wait; further callers wait for a place.
const QUEUE: usize = 4096;
/// Idle read connections that are kept.
const READERS: usize = 16;

pub struct Sqlite {
    path: String,
    feed: Arc<Feed>,
    timings: Timings,
    readers: Mutex<Vec<Connection>>,
    /// Connections that somebody reads with.
    reading: AtomicUsize,
    /// Batches that the writer has not taken yet.
    waiting: Arc<AtomicUsize>,
    writer: Mutex<Option<(SyncSender<Job>, std::thread::JoinHandle<()>)>>,
}

struct Job {
    batch: Vec<Stmt>,
    answer: oneshot::Sender<Result<Committed>>,
}

impl Sqlite {
    /// Opens the database at `path`; one that is made has mode 0600.
    pub fn open(path: &Path, opening: Opening, now: Timestamp) -> Result<Self> {
        let failed = |why: String| StoreError::Path { path: path.display().to_string(), why };
        if opening == Opening::Existing && !path.exists() {
            return Err(StoreError::Missing(path.display().to_string()));
        }
        create_private(path).map_err(|error| failed(error.to_string()))?;
        let path = path.to_str().ok_or_else(|| failed("the path is not UTF-8".to_owned()))?.to_owned();
        let mut connection = connect(&path)?;
        migrate(&mut connection, opening, now)?;
        let (feed, waiting) = (Arc::<Feed>::default(), Arc::<AtomicUsize>::default());
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let (feed, waiting) = (feed.clone(), waiting.clone());
                move || write(&mut connection, &jobs, &feed, &waiting)
            })
            .map_err(|error| StoreError::Database(error.to_string()))?;
        Ok(Self {
            path,
            feed,
            timings: Timings::new("sqlite", "sqlite"),
            readers: Mutex::new(Vec::new()),
            reading: AtomicUsize::new(0),
            waiting,
            writer: Mutex::new(Some((queue, thread))),
        })
    }

    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    pub const fn timings(&self) -> &Timings {
        &self.timings
    }

    pub fn pool(&self) -> Pool {
        let idle = lock(&self.readers).len();
        Pool {
            size: idle + self.reading.load(Ordering::Relaxed),
            idle,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    pub fn rows(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        self.reading.fetch_add(1, Ordering::Relaxed);
        let rows = self.read(sql, args);
        self.reading.fetch_sub(1, Ordering::Relaxed);
        rows
    }

    fn read(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => reader(&self.path)?,
        };
        let rows = query(&connection, sql, args)?;
        let mut readers = lock(&self.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        Ok(rows)
    }

    pub async fn commit(&self, batch: Vec<Stmt>) -> Result<Committed> {
        let (answer, answered) = oneshot::channel();
        let queue = lock(&self.writer).as_ref().map(|(queue, _)| queue.clone()).ok_or(StoreError::Closed)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(
            std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job),
        ) = queue.try_send(Job { batch, answer })
        {
            // The queue is full: wait for a place without holding up this thread's other work.
            tokio::task::spawn_blocking(move || queue.send(job))
                .await
                .map_err(|_| StoreError::Closed)?
                .map_err(|_| StoreError::Closed)?;
        }
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    #[cfg(test)]
    pub fn prepare(&self, sql: &str) -> Result<()> {
        connect(&self.path)?.prepare(sql).map(drop).map_err(failed)
    }

    pub async fn close(&self) {
        let writer = lock(&self.writer).take();
        if let Some((queue, thread)) = writer {
            drop(queue);
            // The thread ends when the last sender is gone; its own panics were logged as such.
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the store's writer ended badly");
            }
        }
        lock(&self.readers).clear();
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What these locks guard is whole at every moment, also after a panic elsewhere.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The file must never exist with wider permissions, not even for a moment.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn connect(path: &str) -> Result<Connection> {
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Otherwise many statements are planned anew whenever other values are bound to them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")
        .map_err(failed)?;
    Ok(connection)
}

fn reader(path: &str) -> Result<Connection> {
    let connection = connect(path)?;
    connection.execute_batch("PRAGMA query_only = ON").map_err(failed)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, opening: Opening, now: Timestamp) -> Result<()> {
    let (version, applied) = migrations::bookkeeping();
    // One process migrates, the others wait for it and then find nothing to do.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute_batch(migrations::CREATE_TABLE).map_err(failed)?;
    let found = transaction.query_row(version, [], |row| row.get(0)).map_err(failed)?;
    let place = transaction.path().unwrap_or_default().to_owned();
    for (version, sql) in migrations::pending(found, opening, &place)? {
        transaction.execute_batch(sql).map_err(failed)?;
        transaction.execute(applied, [version, now.micros()]).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn query(connection: &Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let width = statement.column_count();
    let mut found = statement.query(rusqlite::params_from_iter(args)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let columns: Result<Vec<Value>> =
            (0..width).map(|at| row.get_ref(at).map_err(failed).and_then(value)).collect();
        rows.push(Row::new(columns?));
    }
    Ok(rows)
}

fn value(column: ValueRef<'_>) -> Result<Value> {
    match column {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(n) => Ok(Value::Int(n)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Text(text) => String::from_utf8(text.to_vec())
            .map(Value::Text)
            .map_err(|_| StoreError::Corrupt("text is not UTF-8".to_owned())),
        ValueRef::Real(_) => Err(StoreError::Corrupt("a column holds a fraction".to_owned())),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(n) => ValueRef::Integer(*n),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The writer's life: one round is one transaction. Between rounds it looks whether another process,
/// such as a command of an administrator, wrote.
fn write(connection: &mut Connection, jobs: &Receiver<Job>, news: &Feed, waiting: &AtomicUsize) {
    let mut version = None;
    loop {
        let first = jobs.recv_timeout(LOOK);
        let looked_at = feed::now();
        match connection.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)) {
            Ok(found) => {
                if version.replace(found).is_some_and(|known| known != found) {
                    news.tell(&Event::Missed);
                }
                news.heard_all_before(looked_at);
            }
            // Then what is remembered is soon not fresh any more.
            Err(error) => tracing::error!(%error, "cannot see whether others wrote"),
        }
        let first = match first {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut round = vec![first];
        round.extend(std::iter::from_fn(|| jobs.try_recv().ok()).take(GROUP - 1));
        waiting.fetch_sub(round.len(), Ordering::Relaxed);
        let outcomes = group(connection, &round);
        for (at, job) in round.into_iter().enumerate() {
            let outcome = match &outcomes {
                Ok(outcomes) => outcomes.get(at).cloned().unwrap_or(Err(StoreError::Closed)),
                Err(error) => Err(error.clone()),
            };
            if outcome.as_ref().is_ok_and(|outcome| outcome.is_done()) {
                job.batch.iter().filter_map(|stmt| stmt.event.as_ref()).for_each(|event| news.tell(event));
            }
            // Nobody waits any more: the caller has gone, and the commit stands all the same.
            drop(job.answer.send(outcome));
        }
    }
}

/// Runs the batches in one transaction and commits it. An error here fails every batch, and then
/// none of them happened.
fn group(connection: &mut Connection, round: &[Job]) -> Result<Vec<Result<Committed>>> {
    let mut transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let mut outcomes = Vec::with_capacity(round.len());
    for job in round {
        let savepoint = transaction.savepoint().map_err(failed)?;
        let outcome = run(&savepoint, &job.batch);
        if outcome.as_ref().is_ok_and(|outcome| outcome.is_done()) {
            savepoint.commit().map_err(failed)?;
        } else {
            // Dropped without a commit, it rolls back; finish() says whether that worked.
            savepoint.finish().map_err(failed)?;
        }
        outcomes.push(outcome);
    }
    transaction.commit().map_err(failed)?;
    Ok(outcomes)
}

fn run(connection: &Connection, batch: &[Stmt]) -> Result<Committed> {
    let mut total = 0;
    for stmt in batch.iter().filter(|stmt| stmt.event.is_none()) {
        let mut prepared = connection.prepare_cached(stmt.sql).map_err(failed)?;
        let changed = match prepared.execute(rusqlite::params_from_iter(&stmt.args)) {
            Ok(changed) => changed as u64,
            Err(error) if is_unique_violation(&error) => return Ok(Committed::Conflict),
            Err(error) => return Err(failed(error)),
        };
        if !stmt.fits(changed) {
            return Ok(Committed::Conflict);
        }
        total += changed;
    }
    Ok(Committed::Done { changed: total })
}

fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(ffi::Error { code: ErrorCode::ConstraintViolation, extended_code }, _)
            if matches!(*extended_code, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Database(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SCHEMA_VERSION, Store};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::Sqlite(Sqlite::open(&folder.path().join("test.db"), Opening::Migrate, NOW).unwrap())
    }

    const COUNT: &str = "SELECT COUNT(*) FROM installation";

    async fn count(store: &Store) -> i64 {
        store.row(COUNT, &[]).await.unwrap().unwrap().take().unwrap()
    }

    #[tokio::test]
    async fn readers_do_not_wait_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let other = Connection::open(folder.path().join("test.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE; INSERT INTO installation VALUES ('x', x'00')").unwrap();
        assert_eq!(count(&store).await, 0, "a write that is under way is neither seen nor waited for");
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(count(&store).await, 1);
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        drop(Sqlite::open(&path, Opening::Migrate, NOW).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.execute("INSERT INTO schema_migration VALUES (999, 0)", []).unwrap();
        let error = Sqlite::open(&path, Opening::Migrate, NOW).unwrap_err().to_string();
        assert!(error.contains("999") && error.contains("newer"), "{error}");
    }

    #[test]
    fn an_old_or_missing_database_is_made_and_changed_only_by_who_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let missing = Sqlite::open(&path, Opening::Existing, NOW).unwrap_err();
        assert!(matches!(missing, StoreError::Missing(_)) && !path.exists());
        drop(Sqlite::open(&path, Opening::Create, NOW).unwrap());
        drop(Sqlite::open(&path, Opening::Existing, NOW).unwrap());
        // As a program sees it that knows one more migration than the database has.
        let older = migrations::pending(SCHEMA_VERSION - 1, Opening::Migrate, "x").map(Iterator::count);
        assert_eq!(older.unwrap(), 1);
        for opening in [Opening::Create, Opening::Existing] {
            let refused = migrations::pending(SCHEMA_VERSION - 1, opening, "x").map(Iterator::count);
            assert_eq!(refused.is_err(), SCHEMA_VERSION > 1, "{opening:?}");
        }
    }

    /// Every schema that was ever released lies in `tests/schemas`, with a row in it.
    #[tokio::test]
    async fn every_released_schema_is_brought_up_to_date() {
        let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
        let mut tried = 0;
        for entry in std::fs::read_dir(schemas).unwrap() {
            let dump = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("test.db");
            Connection::open(&path).unwrap().execute_batch(&dump).unwrap();
            let store = store(&folder);
            store.ready().await.unwrap();
            let fresh = tempfile::tempdir().unwrap();
            Sqlite::open(&fresh.path().join("test.db"), Opening::Migrate, NOW).unwrap();
            assert_eq!(schema(&path), schema(&fresh.path().join("test.db")));
            assert_eq!(count(&store).await, 1, "the row that the dump holds is kept");
            tried += 1;
        }
        assert!(tried >= 1);
    }

    fn schema(path: &Path) -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn files_are_private_from_the_start() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let _store = Sqlite::open(&path, Opening::Migrate, NOW).unwrap();
        for name in ["test.db", "test.db-wal", "test.db-shm"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
