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
    schema_at(&url, &url).await
}

async fn schema_at(reached_by: &str, url: &str) -> postgres::Options {
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
    let url = format!("{reached_by}?options=-csearch_path%3D{name}");
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

/// As `disable` and `redeem` do: who locks somebody out ends what they have, and who gives them
/// something looks whether they may have it. Nothing must slip between the two.
async fn guards_that_look_at_other_rows_hold(store: Store) {
    let store = std::sync::Arc::new(store);
    let shut = "UPDATE installation SET value = ?2 WHERE key = ?1 AND value <> ?2";
    let end = "UPDATE installation SET value = ?2 WHERE key LIKE ?1 || '%' AND key <> ?1";
    let give = "INSERT INTO installation (key, value) SELECT CAST(?1 AS TEXT), value FROM installation \
                WHERE key = ?2 AND value <> ?3 /* FOR SHARE */";
    for round in 0..40 {
        let owner = format!("owner {round:02}");
        assert!(store.commit(vec![put(&owner)]).await.unwrap().is_done());
        let mut tasks = tokio::task::JoinSet::new();
        for thing in 0..4 {
            let (store, owner) = (store.clone(), owner.clone());
            tasks.spawn(async move {
                let args = vec![format!("{owner} thing {thing}").into(), owner.into(), vec![9_u8].into()];
                let _given =
                    store.commit(vec![Stmt::one(give, args), put(&format!("note {round} {thing}"))]).await;
            });
        }
        let (shutting, shut_owner) = (store.clone(), owner.clone());
        tasks.spawn(async move {
            let args = || vec![shut_owner.as_str().into(), vec![9_u8].into()];
            let batch = vec![Stmt::one(shut, args()), Stmt::any(end, args())];
            assert!(shutting.commit(batch).await.unwrap().is_done());
        });
        tasks.join_all().await;
        let open = format!("SELECT COUNT(*) FROM installation WHERE key LIKE '{owner}%' AND value <> ?1");
        let open: &'static str = Box::leak(open.into_boxed_str());
        let open: i64 = store.row(open, &[vec![9_u8].into()]).await.unwrap().unwrap().take().unwrap();
        assert_eq!(open, 0, "round {round}: something was given to somebody who is locked out");
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

/// Forwards connections to the cluster, and cuts all of them when told.
struct Proxy {
    port: u16,
    cut: tokio::sync::broadcast::Sender<()>,
}

impl Proxy {
    async fn start(target: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, _) = tokio::sync::broadcast::channel(4);
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let mut outer = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Self { port, cut }
    }
}

/// Connections are cut at any moment, also while a commit is under way. What was answered must hold:
/// done is done, once; a conflict among keys that nobody else writes would be our own write seen twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn what_was_answered_holds_while_connections_are_cut() {
    let url = std::env::var("COUNTERSIGN_TEST_POSTGRES").unwrap();
    let target: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(target).await;
    let options = schema_at(&url.replace(&format!(":{target}/"), &format!(":{}/", proxy.port)), &url).await;
    let location = Location::Postgres(Box::new(options));
    let store = std::sync::Arc::new(Store::open(&location, Opening::Create, NOW).await.unwrap());
    let working = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let (store, working) = (store.clone(), working.clone());
        workers.spawn(async move {
            let (mut done, mut failed) = (Vec::new(), 0);
            for n in 0.. {
                if !working.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let key = format!("{worker} {n}");
                match store.commit(vec![put(&key), put(&format!("{key} too"))]).await {
                    Ok(Committed::Done { changed: 2 }) => done.push(key),
                    Err(StoreError::Unavailable(_)) => failed += 1,
                    other => panic!("{other:?}"),
                }
            }
            (done, failed)
        });
    }
    for _ in 0..40 {
        // So that something happens between two cuts, whatever the machine is doing.
        let before = count(&store).await;
        while count(&store).await < before + 40 {
            tokio::task::yield_now().await;
        }
        proxy.cut.send(()).unwrap();
    }
    working.store(false, std::sync::atomic::Ordering::Relaxed);
    let (mut done, mut failed) = (0, 0);
    for (keys, lost) in workers.join_all().await {
        for key in &keys {
            assert!(
                installation::read(&store, key).await.unwrap().is_some(),
                "{key} was answered and is gone"
            );
        }
        done += keys.len();
        failed += lost;
    }
    let stored = usize::try_from(count(&store).await).unwrap();
    assert!(
        stored >= 2 * done && stored <= 2 * (done + failed),
        "{stored} rows, {done} done, {failed} failed"
    );
    assert!(done > 100, "{done} done, {failed} failed");
}
