//! Rounds of load with `kill -9` at any moment: every answer that somebody got still holds.
//!
//! `COUNTERSIGN_CRASH_ROUNDS` says how many rounds; `scripts/crash-test` runs the long mode.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::fleet::{Balancer, Browser, CROWD, Caller, Device, SETTINGS, live};
use crate::process::{Server, add_user_at, schema};

const DEVICES_AT_ONCE: usize = 8;
/// Devices of earlier rounds that are looked at again in each.
const LOOKED_AT_AGAIN: usize = 20;

fn rounds() -> usize {
    std::env::var("COUNTERSIGN_CRASH_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_crash_takes_an_answer_back_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    crash_again_and_again("SQLite", folder.path(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn no_crash_takes_an_answer_back_on_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("database.url={}", schema().await);
    crash_again_and_again("PostgreSQL", folder.path(), &["--set", &database]).await;
}

async fn crash_again_and_again(engine: &str, folder: &Path, settings: &[&str]) {
    add_user_at(folder, settings, "alice");
    // The same address each time: it is the issuer of the tokens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap().to_string();
    drop(free);
    let own = ["--listen", &listen, "--set", "device.interval=1s"];
    let settings = [settings, &SETTINGS, &CROWD, &own].concat();
    let mut old: Vec<Device> = Vec::new();
    let (mut answers, mut crashes) = (0, 0);
    let mut browser = None;
    for round in 0..rounds() {
        let server = Server::start_on(folder, &settings);
        let balancer = Arc::new(Balancer::default());
        balancer.set(vec![server.url.clone()]);
        let caller = Caller::new(&balancer);
        // The session of the first round must last as well.
        let person = match browser.take() {
            None => Browser::sign_in(&caller, "alice").await,
            Some(person) => Browser::moved(person, &caller),
        };
        let again = old.len().saturating_sub(LOOKED_AT_AGAIN);
        for device in old.iter_mut().skip(again) {
            device.check(&caller).await;
        }
        let (working, turn) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(round)));
        let mut devices = JoinSet::new();
        for _ in 0..DEVICES_AT_ONCE {
            let (person, working, turn) = (person.clone(), working.clone(), turn.clone());
            devices.spawn(async move {
                let mut lived = Vec::new();
                while working.load(Ordering::SeqCst) {
                    lived.extend(live(&person, turn.fetch_add(1, Ordering::SeqCst)).await);
                }
                lived
            });
        }
        // Anywhere from the first answers to some hundred.
        let more = 1 + usize::try_from(RandomState::new().hash_one(round) % 300).unwrap();
        balancer.until(balancer.answers() + more).await;
        server.kill();
        working.store(false, Ordering::SeqCst);
        balancer.set(Vec::new());
        crashes += 1;
        old.extend(devices.join_all().await.into_iter().flatten());
        answers += balancer.answers();
        assert_eq!(*balancer.faults.lock().unwrap(), Vec::<String>::new());
        browser = Some(person);
    }
    let server = Server::start_on(folder, &settings);
    let balancer = Arc::new(Balancer::default());
    balancer.set(vec![server.url.clone()]);
    let caller = Caller::new(&balancer);
    for device in &mut old {
        device.check(&caller).await;
    }
    println!("{engine}: {crashes} crashes, {answers} answers, {} devices: every answer holds", old.len());
    assert!(old.len() >= rounds(), "{} devices", old.len());
}
