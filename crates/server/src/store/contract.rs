//! What every driver must keep, tried on each of them.

use countersign_core::time::Timestamp;

use super::{Committed, Location, Opening, Stmt, Store, StoreError, Value, all_statements, installation};
use super::{SCHEMA_VERSION, postgres};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

const PUT: &str = "INSERT INTO installation (key, value) VALUES (?1, ?2)";
const CHANGE: &str = "UPDATE installation SET value = ?2 WHERE key = ?1";
const COUNT: &str = "SELECT COUNT(*) FROM installation";

fn put(key: &str) -> Stmt {
    Stmt::one(PUT, vec![key.into(), vec![1_u8].into()])
}

async fn count(store: &Store) -> i64 {
    store.row(COUNT, &[]).await.unwrap().unwrap().take().unwrap()
}

/// A new, empty database, and what must outlive it.
pub(crate) async fn sqlite() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("test.db"));
    (Store::open(&location, Opening::Create, NOW).await.unwrap(), folder)
}

/// A schema of its own in the cluster that `scripts/with-postgres` started.
pub(crate) async fn schema() -> postgres::Options {
    let url = std::env::var("COUNTERSIGN_TEST_POSTGRES").expect("run this with scripts/with-postgres");
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
    let url = format!("{url}?options=-csearch_path%3D{name}");
    postgres::Options::parse(&countersign_core::secret::Plain::new(url)).unwrap()
}

async fn postgres() -> (Store, ()) {
    let location = Location::Postgres(Box::new(schema().await));
    (Store::open(&location, Opening::Create, NOW).await.unwrap(), ())
}

macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (store, _folder) = super::sqlite().await;
                super::$name(store).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
            async fn $name() {
                let (store, ()) = super::postgres().await;
                super::$name(store).await;
            })*
        }
    };
}

on_each_engine! {
    every_statement_prepares,
    values_come_back_as_they_went_in,
    a_conflict_leaves_nothing_of_its_batch,
    an_error_is_no_conflict_and_harms_no_neighbour,
    of_many_writers_of_one_key_one_wins,
    many_who_add_to_one_number_lose_nothing,
    guards_that_look_at_other_rows_hold,
    it_is_ready_once_it_was_set_up,
    a_closed_store_says_so,
}

async fn every_statement_prepares(store: Store) {
    let mut seen = 0;
    for (name, sql) in all_statements() {
        store.prepare(sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        seen += 1;
    }
    assert!(seen > 40, "the list holds {seen} statements only");
}

async fn values_come_back_as_they_went_in(store: Store) {
    let odd = "ä \u{1F600} 'quoted' ?1 $1";
    let values: [Value; 3] = [odd.into(), i64::MIN.into(), Value::Null];
    let read = "SELECT ?1, CAST(?2 AS BIGINT), CAST(?3 AS TEXT)";
    let mut row = store.row(read, &values).await.unwrap().unwrap();
    assert_eq!(row.take::<String>().unwrap(), odd);
    assert_eq!(row.take::<i64>().unwrap(), i64::MIN);
    assert_eq!(row.take::<Option<String>>().unwrap(), None);
    let bytes: Vec<u8> = (0..=255).collect();
    assert!(store.commit(vec![installation::insert("bytes", &bytes)]).await.unwrap().is_done());
    assert_eq!(installation::read(&store, "bytes").await.unwrap(), Some(bytes));
}

async fn a_conflict_leaves_nothing_of_its_batch(store: Store) {
    assert_eq!(store.commit(vec![put("a")]).await.unwrap(), Committed::Done { changed: 1 });
    assert_eq!(store.commit(vec![put("a")]).await.unwrap(), Committed::Conflict);
    assert_eq!(store.commit(vec![put("b"), put("a")]).await.unwrap(), Committed::Conflict);
    let absent = Stmt::one(CHANGE, vec!["zzz".into(), vec![2_u8].into()]);
    assert_eq!(store.commit(vec![absent.clone()]).await.unwrap(), Committed::Conflict);
    assert_eq!(store.commit(vec![put("c"), absent, put("d")]).await.unwrap(), Committed::Conflict);
    assert_eq!(count(&store).await, 1);
    assert_eq!(store.commit(vec![put("b"), put("c")]).await.unwrap(), Committed::Done { changed: 2 });
}

async fn an_error_is_no_conflict_and_harms_no_neighbour(store: Store) {
    let broken = || Stmt::any(PUT, vec![Value::Null, Value::Null]);
    let (bad, good) = tokio::join!(store.commit(vec![put("a"), broken()]), store.commit(vec![put("b")]));
    assert!(matches!(bad, Err(StoreError::Database(_))), "{bad:?}");
    assert_eq!(good.unwrap(), Committed::Done { changed: 1 });
    assert!(matches!(store.commit(vec![broken()]).await, Err(StoreError::Database(_))));
    assert_eq!(count(&store).await, 1);
}

async fn of_many_writers_of_one_key_one_wins(store: Store) {
    let store = std::sync::Arc::new(store);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        tasks.spawn(async move { store.commit(vec![put(&format!("own {n}")), put("same")]).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_done()).count(), 1);
    assert_eq!(count(&store).await, 2);
}

/// Compare and set, as the tallies do it.
async fn many_who_add_to_one_number_lose_nothing(store: Store) {
    let store = std::sync::Arc::new(store);
    assert!(store.commit(vec![installation::insert("n", &[0])]).await.unwrap().is_done());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        tasks.spawn(async move {
            let swap = "UPDATE installation SET value = ?2 WHERE key = 'n' AND value = ?1";
            loop {
                let old = installation::read(&store, "n").await.unwrap().unwrap();
                let new = vec![old[0] + 1];
                if store.commit(vec![Stmt::one(swap, vec![old.into(), new.into()])]).await.unwrap().is_done()
                {
                    return;
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(installation::read(&store, "n").await.unwrap(), Some(vec![20]));
}

/// Each may happen while the other has not: where guards see only what was committed before, both do.
async fn guards_that_look_at_other_rows_hold(store: Store) {
    let store = std::sync::Arc::new(store);
    for round in 0..20 {
        let mut tasks = tokio::task::JoinSet::new();
        for (mine, other) in [("a", "b"), ("b", "a")] {
            let store = store.clone();
            let (mine, other) = (format!("{mine}{round}"), format!("{other}{round}"));
            let unless = "INSERT INTO installation (key, value) SELECT CAST(?1 AS TEXT), ?2 \
                          WHERE NOT EXISTS (SELECT 1 FROM installation WHERE key = ?3)";
            let stmt = Stmt::one(unless, vec![mine.into(), vec![1_u8].into(), other.into()]);
            tasks.spawn(async move {
                store
                    .commit(vec![stmt, put(&format!("also {mine}", mine = uuid::Uuid::now_v7()))])
                    .await
                    .unwrap()
            });
        }
        let done = tasks.join_all().await.into_iter().filter(|outcome| outcome.is_done()).count();
        assert_eq!(done, 1, "round {round}");
    }
}

async fn it_is_ready_once_it_was_set_up(store: Store) {
    assert!(matches!(store.ready().await, Err(StoreError::Database(_))));
    let mark = installation::insert(installation::KEY_FINGERPRINT, &[1]);
    assert!(store.commit(vec![mark]).await.unwrap().is_done());
    store.ready().await.unwrap();
}

async fn a_closed_store_says_so(store: Store) {
    assert_eq!(store.commit(vec![put("a")]).await.unwrap(), Committed::Done { changed: 1 });
    store.close().await;
    assert!(matches!(store.commit(vec![put("b")]).await, Err(StoreError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn ten_nodes_that_start_at_once_migrate_once() {
    let location = Location::Postgres(Box::new(schema().await));
    let missing = Store::open(&location, Opening::Existing, NOW).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let location = location.clone();
        nodes.spawn(async move { Store::open(&location, Opening::Migrate, NOW).await.unwrap() });
    }
    let nodes = nodes.join_all().await;
    let applied = "SELECT COUNT(*) FROM schema_migration";
    let applied: i64 = nodes[0].row(applied, &[]).await.unwrap().unwrap().take().unwrap();
    assert_eq!(applied, SCHEMA_VERSION);
    Store::open(&location, Opening::Existing, NOW).await.unwrap();
    let newer = "INSERT INTO schema_migration (version, applied_at) VALUES (999, 0)";
    assert!(nodes[0].commit(vec![Stmt::any(newer, vec![])]).await.unwrap().is_done());
    let error = Store::open(&location, Opening::Migrate, NOW).await.unwrap_err().to_string();
    assert!(error.contains("999") && error.contains("newer"), "{error}");
}
