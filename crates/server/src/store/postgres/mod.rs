//! The networked driver: PostgreSQL, for any number of nodes.
//!
//! Reads are pipelined over a few shared connections. A commit takes a connection of its own from
//! a pool. It is repeated where the engine says that nothing happened; where a connection was lost at
//! the wrong moment, the engine is asked what became of it.
//!
//! Commits run at READ COMMITTED: each statement sees what was committed before it began. A guard on
//! the row that a statement changes is judged again once the row is locked. A guard on *other* rows is
//! not, so it says `/* FOR SHARE */`, which this driver makes real: then who changes that row waits
//! until the commit is over, and sees its work. (SERIALIZABLE would need no such care, but it takes
//! ids that follow each other in time for conflicts, and most commits would be done twice.)

mod connect;
mod error;
mod group;
mod listen;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use countersign_core::time::Timestamp;
use deadpool_postgres::{ClientWrapper, Object, Pool};
use futures_util::future::{join, join_all};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{SimpleQueryMessage, Statement};
use tokio_util::sync::CancellationToken;

use self::error::{Failure, unavailable};
use self::group::Group;
use super::feed::Feed;
use super::timing::Timings;
use super::{Committed, Opening, Result, Row, Stmt, StoreError, Value, audit, migrations};
pub use connect::Options;

/// A commit that the engine refused because of others is tried this often, and a little later each
/// time.
const TRIES: u32 = 30;
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const BEGIN_AND_TELL: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id()";
/// How long the fate of a commit is asked after whose answer was lost.
const INQUIRY: Duration = Duration::from_secs(5);
const INQUIRY_PAUSE: Duration = Duration::from_millis(50);
/// The first of the two numbers of our advisory locks; the second tells schemas apart.
const MIGRATION_LOCKS: &str = "1131378030";
const SWEEP_LOCKS: &str = "1131378031";

#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    options: Options,
    feed: Arc<Feed>,
    timings: Timings,
    inserts: Group,
    readers: Vec<Reader>,
    turn: AtomicUsize,
    writers: Pool,
    /// Whether the engine can tell what became of a transaction.
    can_tell: OnceLock<bool>,
}

/// One shared connection, made when it is needed and again when it was lost.
struct Reader {
    pool: Pool,
    client: tokio::sync::RwLock<Option<Arc<ClientWrapper>>>,
}

impl Postgres {
    /// Connects, and brings the schema to this program's version as far as `opening` allows.
    pub async fn open(options: Options, opening: Opening, now: Timestamp) -> Result<Self> {
        let readers = options.readers;
        let store = Self(Arc::new(Inner {
            readers: (0..readers)
                .map(|_| Ok(Reader { pool: options.read_pool()?, client: tokio::sync::RwLock::default() }))
                .collect::<Result<_>>()?,
            turn: AtomicUsize::new(0),
            writers: options.write_pool()?,
            can_tell: OnceLock::new(),
            feed: Arc::default(),
            timings: Timings::new("postgres", "postgresql"),
            inserts: Group::default(),
            options,
        }));
        store.migrate(opening, now).await?;
        store.0.inserts.start(&store.0);
        Ok(store)
    }

    pub fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    pub fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// Of those that write: the others are never waited for.
    pub fn pool(&self) -> super::Pool {
        let status = self.0.writers.status();
        super::Pool { size: status.size, idle: status.available, waiting: status.waiting }
    }

    pub fn listen(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        listen::run(self.0.options.clone(), self.0.feed.clone(), stop)
    }

    /// Where it is, without a password.
    pub fn place(&self) -> &str {
        self.0.options.place()
    }

    async fn migrate(&self, opening: Opening, now: Timestamp) -> Result<()> {
        let (version, applied) = migrations::bookkeeping();
        let mut client = self.0.writers.get().await.map_err(unavailable)?;
        let failed = error::failed;
        let transaction = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::ReadCommitted)
            .start()
            .await
            .map_err(failed)?;
        // Of nodes that start at once one migrates, the others wait and then find nothing to do.
        // Neither waiting for them nor copying a large table may take too long.
        let lock = format!(
            "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCKS}, hashtext(current_schema()))"
        );
        transaction.batch_execute(&lock).await.map_err(failed)?;
        let exists = "SELECT to_regclass('schema_migration') IS NOT NULL";
        let exists: bool = transaction.query_one(exists, &[]).await.map_err(failed)?.get(0);
        if !exists && opening == Opening::Existing {
            return Err(StoreError::Missing(self.place().to_owned()));
        }
        if !exists {
            transaction.batch_execute(migrations::CREATE_TABLE).await.map_err(failed)?;
        }
        let found: i64 = transaction.query_one(version, &[]).await.map_err(failed)?.get(0);
        let mut changed = false;
        for (version, sql) in migrations::pending(found, opening, self.place())? {
            transaction.batch_execute(sql).await.map_err(failed)?;
            let args: [&(dyn ToSql + Sync); 2] = [&version, &now.micros()];
            transaction.execute(&*translated(applied), &args).await.map_err(failed)?;
            changed = true;
        }
        if changed {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(())
    }

    pub async fn rows(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let reader = self.0.readers.get(turn % self.0.readers.len()).ok_or(StoreError::Closed)?;
        // Reading twice harms nobody: a connection that was lost is worth a second one.
        for again in [true, false] {
            let client = reader.client().await?;
            match tokio::time::timeout(self.0.patience(), read(&client, sql, args)).await {
                Ok(Err(error)) if again && error::is_lost(&error) => reader.forget(&client).await,
                Ok(other) => return other.map_err(error::failed)?.iter().map(row).collect(),
                // Not even a refusal came: nobody is there any more.
                Err(_) => {
                    reader.forget(&client).await;
                    return Err(no_answer());
                }
            }
        }
        Err(StoreError::Closed)
    }

    /// Goes on to the end even if nobody waits for it any more: a connection that is dropped in the
    /// middle of a transaction could not be used again.
    pub async fn commit(&self, batch: Vec<Stmt>) -> Result<Committed> {
        let batch = match self.0.inserts.take(batch) {
            Ok(answered) => return answered.await.unwrap_or(Err(StoreError::Closed)),
            Err(batch) => batch,
        };
        let inner = self.0.clone();
        let work = tokio::spawn(async move {
            let committed = inner.commit(&batch).await;
            if !matches!(committed, Ok(Committed::Conflict)) {
                // The others hear of it over the network, and this node does in a moment; but who
                // gets this answer may ask again before that.
                batch.iter().filter_map(|stmt| stmt.event.as_ref()).for_each(|event| inner.feed.tell(event));
            }
            committed
        });
        work.await.map_err(|_| StoreError::Closed)?
    }

    /// A connection that holds the sweepers' lock, unless another node's does.
    pub async fn sweeper(&self) -> Result<Option<ClientWrapper>> {
        // Out of the pool, so that the lock ends with the connection.
        let client = self.0.writers.get().await.map_err(unavailable)?;
        let client = Object::take(client);
        let lock = format!("SELECT pg_try_advisory_lock({SWEEP_LOCKS}, hashtext(current_schema()))");
        let got: bool = client.query_one(&lock, &[]).await.map_err(error::failed)?.get(0);
        Ok(got.then_some(client))
    }

    #[cfg(test)]
    pub async fn prepare(&self, sql: &'static str) -> Result<()> {
        let client = self.0.writers.get().await.map_err(unavailable)?;
        client.prepare(&translated(sql)).await.map(drop).map_err(error::failed)
    }

    pub async fn close(&self) {
        self.0.inserts.close();
        self.0.writers.close();
        for reader in &self.0.readers {
            reader.pool.close();
            *reader.client.write().await = None;
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Reader {
    async fn client(&self) -> Result<Arc<ClientWrapper>> {
        if let Some(client) = self.client.read().await.as_ref()
            && !client.is_closed()
        {
            return Ok(client.clone());
        }
        let mut place = self.client.write().await;
        // Somebody else may have connected while this one waited.
        if let Some(client) = place.as_ref()
            && !client.is_closed()
        {
            return Ok(client.clone());
        }
        let client = self.pool.get().await.map_err(unavailable)?;
        let client = Arc::new(Object::take(client));
        *place = Some(client.clone());
        Ok(client)
    }

    async fn forget(&self, lost: &Arc<ClientWrapper>) {
        let mut place = self.client.write().await;
        if place.as_ref().is_some_and(|current| Arc::ptr_eq(current, lost)) {
            *place = None;
        }
    }
}

async fn read(
    client: &ClientWrapper,
    sql: &'static str,
    args: &[Value],
) -> std::result::Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let statement = client.prepare_cached(&translated(sql)).await?;
    let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
    client.query(&statement, &args).await
}

impl Inner {
    async fn commit(&self, batch: &[Stmt]) -> Result<Committed> {
        let mut tries = 0;
        loop {
            match self.attempt(batch).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Nothing(error)) => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(error);
                    }
                    tokio::time::sleep(pause(tries)).await;
                }
                Err(Failure::Unknown { transaction: Some(id), changed, error }) => {
                    if self.inquire(&id, witness(batch), error.clone()).await? {
                        return Ok(Committed::Done { changed });
                    }
                    tries += 1;
                    if tries >= TRIES {
                        return Err(error);
                    }
                }
                Err(Failure::Conflict) => return Ok(Committed::Conflict),
                Err(Failure::Unknown { transaction: None, error, .. } | Failure::Final(error)) => {
                    return Err(error);
                }
            }
        }
    }

    /// How long an answer may take before nobody is there any more who would give it.
    fn patience(&self) -> Duration {
        self.options.statement_timeout * 2 + Duration::from_secs(1)
    }

    async fn attempt(&self, batch: &[Stmt]) -> std::result::Result<Committed, Failure> {
        let client = self.writers.get().await.map_err(|error| Failure::Final(unavailable(error)))?;
        let prepared = batch.iter().map(async |stmt| client.prepare_cached(&translated(stmt.sql)).await);
        let prepared = tokio::time::timeout(self.patience(), join_all(prepared)).await;
        let Ok(prepared) = prepared else {
            drop(Object::take(client));
            return Err(Failure::Final(no_answer()));
        };
        let prepared: std::result::Result<Vec<_>, _> = prepared.into_iter().collect();
        let prepared = prepared.map_err(|error| Failure::before(&error))?;
        if let ([stmt], [prepared]) = (batch, prepared.as_slice()) {
            // A transaction of its own: one round trip.
            return match tokio::time::timeout(self.patience(), execute(&client, stmt, prepared)).await {
                Ok(Ok(changed)) if stmt.fits(changed) => Ok(Committed::Done { changed }),
                // It names its row, so it changed one or none.
                Ok(Ok(0)) => Ok(Committed::Conflict),
                Ok(Ok(changed)) => Err(Failure::too_many(stmt, changed)),
                Ok(Err(error)) => Failure::single(&error),
                Err(_) => {
                    drop(Object::take(client));
                    Err(Failure::Unknown { transaction: None, changed: 0, error: no_answer() })
                }
            };
        }
        let can_tell = self.can_tell(&client).await?;
        let (outcome, ended) = self.transact(&client, batch, &prepared, can_tell).await;
        if !ended {
            // Still in a transaction, or nobody knows: it must not meet anybody else.
            drop(Object::take(client));
        }
        outcome
    }

    /// Runs a batch in a transaction. The second answer is whether the connection is out of it again.
    async fn transact(
        &self,
        client: &ClientWrapper,
        batch: &[Stmt],
        prepared: &[Statement],
        can_tell: bool,
    ) -> (std::result::Result<Committed, Failure>, bool) {
        // All of it is sent before the first answer is waited for.
        let start = client.simple_query(if can_tell { BEGIN_AND_TELL } else { BEGIN });
        let runs = batch.iter().zip(prepared).map(|(stmt, prepared)| execute(client, stmt, prepared));
        let runs = tokio::time::timeout(self.patience(), join(start, join_all(runs)));
        let Ok((begun, ran)) = runs.await else { return (Err(Failure::Final(no_answer())), false) };
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => return (Err(Failure::at_begin(&error)), false),
        };
        let id = begun.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        let mut total = 0;
        let mut outcome = Ok(());
        for (stmt, ran) in batch.iter().zip(ran) {
            match ran {
                Ok(_) if stmt.event.is_some() => {}
                Ok(changed) if stmt.fits(changed) => total += changed,
                Ok(_) => outcome = outcome.and(Err(Failure::Conflict)),
                // The first error is the reason; those after it only say that there was one.
                Err(error) => outcome = outcome.and(Err(Failure::before(&error))),
            }
        }
        let end = client.batch_execute(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" });
        let ended = tokio::time::timeout(self.patience(), end).await;
        match (outcome, ended) {
            (Ok(()), Ok(Ok(()))) => (Ok(Committed::Done { changed: total }), true),
            (Ok(()), Ok(Err(error))) => (Err(Failure::at_commit(&error, id, total)), false),
            (Ok(()), Err(_)) => {
                (Err(Failure::Unknown { transaction: id, changed: total, error: no_answer() }), false)
            }
            // Whatever became of ROLLBACK, nothing was committed.
            (Err(Failure::Conflict), ended) => (Ok(Committed::Conflict), matches!(ended, Ok(Ok(())))),
            (Err(failure), ended) => (Err(failure), matches!(ended, Ok(Ok(())))),
        }
    }

    /// Engines that only speak PostgreSQL's protocol may not know.
    async fn can_tell(&self, client: &ClientWrapper) -> std::result::Result<bool, Failure> {
        if let Some(can) = self.can_tell.get() {
            return Ok(*can);
        }
        let asked = client.query_one("SELECT to_regproc('pg_catalog.pg_xact_status') IS NOT NULL", &[]);
        let can = asked.await.and_then(|row| row.try_get(0)).map_err(|error| Failure::before(&error))?;
        Ok(*self.can_tell.get_or_init(|| can))
    }

    /// Whether the transaction whose `COMMIT` got no answer was committed. Its number alone is no proof:
    /// an engine that crashed before it wrote anything down gives the number to another one.
    async fn inquire(&self, id: &str, witness: Option<&Value>, lost: StoreError) -> Result<bool> {
        let asking = async {
            loop {
                if let Ok(client) = self.writers.get().await
                    && let Ok(row) = client.query_one("SELECT pg_xact_status($1::text::xid8)", &[&id]).await
                {
                    match row.try_get::<_, Option<String>>(0) {
                        Ok(Some(status)) if status == "committed" => {
                            if let Ok(found) = client.query_opt(WITNESS, &[&witness?]).await {
                                return Some(found.is_some());
                            }
                        }
                        Ok(Some(status)) if status == "aborted" => return Some(false),
                        // Its old connection may still be at it.
                        Ok(Some(_)) => {}
                        Ok(None) | Err(_) => return None,
                    }
                }
                tokio::time::sleep(INQUIRY_PAUSE).await;
            }
        };
        match tokio::time::timeout(INQUIRY, asking).await {
            Ok(Some(committed)) => Ok(committed),
            Ok(None) | Err(_) => Err(lost),
        }
    }
}

/// The row that only this batch can have written.
fn witness(batch: &[Stmt]) -> Option<&Value> {
    batch.iter().find_map(audit::witness)
}

const WITNESS: &str = "SELECT 1 FROM audit WHERE id = $1";

fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

async fn execute(
    client: &ClientWrapper,
    stmt: &Stmt,
    prepared: &Statement,
) -> std::result::Result<u64, tokio_postgres::Error> {
    client.execute_raw(prepared, &stmt.args).await
}

/// Those that met once should not meet again.
fn pause(tries: u32) -> Duration {
    // It spreads tries and keeps no secret.
    let spread = std::collections::hash_map::RandomState::new().hash_one(tries) % 7;
    Duration::from_millis(u64::from(tries.min(20)) + spread)
}

/// The text as this engine wants it: `?1` reads `$1`, and locks are real. Made once for each text.
fn translated(sql: &'static str) -> Arc<str> {
    static TEXTS: OnceLock<RwLock<HashMap<usize, Arc<str>>>> = OnceLock::new();
    let texts = TEXTS.get_or_init(RwLock::default);
    let key = sql.as_ptr().addr();
    if let Some(text) = texts.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key) {
        return text.clone();
    }
    let text: Arc<str> = sql.replace('?', "$").replace("/* FOR SHARE */", "FOR SHARE").into();
    let mut texts = texts.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    texts.entry(key).or_insert(text).clone()
}

fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let columns = row.columns().iter().enumerate().map(|(at, column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at).map(Value::from),
            Type::INT4 => row.try_get::<_, Option<i32>>(at).map(|n| n.map(i64::from).into()),
            Type::TEXT | Type::VARCHAR => row.try_get::<_, Option<String>>(at).map(Value::from),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(Value::from),
            ref other => return Err(StoreError::Corrupt(format!("a column has the type {other}"))),
        };
        value.map_err(|error| StoreError::Corrupt(error.to_string()))
    });
    Ok(Row::new(columns.collect::<Result<_>>()?))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(n) => n.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each variant checks for itself.
        true
    }

    to_sql_checked!();
}
