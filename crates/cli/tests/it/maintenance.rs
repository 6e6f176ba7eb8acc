//! Backups that are taken under load and put back elsewhere; what `doctor` finds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::fleet::{Balancer, Browser, CROWD, Caller, Device, SETTINGS, live};
use crate::process::{Server, add_user, failure, json, run, schema, stdout};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_everything_that_was_answered_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap().to_string();
    drop(free);
    let own = ["--listen", &listen, "--set", "device.interval=1s"];
    let settings = [SETTINGS.as_slice(), &CROWD, &own].concat();
    add_user(folder.path(), "alice");
    let server = Server::start_on(folder.path(), &settings);
    let balancer = Arc::new(Balancer::default());
    balancer.set(vec![server.url.clone()]);
    let caller = Caller::new(&balancer);
    let person = Browser::sign_in(&caller, "alice").await;
    let mut before: Vec<Device> = Vec::new();
    for turn in 0..20 {
        before.extend(live(&person, turn).await);
    }
    let (working, turn) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let mut devices = JoinSet::new();
    for _ in 0..4 {
        let (person, working, turn) = (person.clone(), working.clone(), turn.clone());
        devices.spawn(async move {
            while working.load(Ordering::SeqCst) {
                live(&person, turn.fetch_add(1, Ordering::SeqCst)).await;
            }
        });
    }
    let command = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    for copy in ["one.db", "two.db"] {
        let said = tokio::task::block_in_place(|| stdout(&command(&["backup", copy, "--with-key"])));
        assert!(said.contains("1 people") && said.contains("two.db.key") == (copy == "two.db"), "{said}");
        balancer.until(balancer.answers() + 50).await;
    }
    for name in ["one.db", "two.db.key"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    // What comes after the backup is not in it.
    let (code, error) = failure(&command(&["restore", "two.db"]));
    assert!(code == Some(1) && error.contains("--force"), "{error}");
    let (code, error) = failure(&command(&["restore", "two.db", "--force"]));
    assert!(code == Some(1) && error.contains("stop the server first"), "{error}");
    working.store(false, Ordering::SeqCst);
    devices.join_all().await;
    server.kill();

    let moved = |args: &[&str]| run(folder.path(), &[&["--data-dir", "moved"], args].concat());
    assert!(stdout(&moved(&["restore", "two.db"])).contains("Restored moved/countersign.db"));
    assert_eq!(mode(&folder.path().join("moved")), 0o700);
    assert_eq!(mode(&folder.path().join("moved/countersign.db")), 0o600);
    assert_eq!(mode(&folder.path().join("moved/secret.key")), 0o600);
    let server = Server::start_on(folder.path(), &[settings.as_slice(), &["--data-dir", "moved"]].concat());
    for device in &mut before {
        device.check(&caller).await;
    }
    assert_eq!(*balancer.faults.lock().unwrap(), Vec::<String>::new());
    drop(server);
    // Replacing keeps what was there.
    assert!(stdout(&moved(&["restore", "one.db", "--force"])).contains("countersign.db.replaced"));
    assert!(folder.path().join("moved/countersign.db.replaced").exists());
    std::fs::write(folder.path().join("one.db.key"), [7; 32]).unwrap();
    let (code, error) = failure(&moved(&["restore", "one.db", "--force"]));
    assert!(code == Some(1) && error.contains("differs"), "{error}");
    let (code, error) = failure(&moved(&["backup", "one.db"]));
    assert!(code == Some(1) && error.contains("exists already"), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn postgres_has_its_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("database.url={}", schema().await);
    let command = |args: &[&str]| run(folder.path(), &[&["--set", &database], args].concat());
    let (code, error) = failure(&command(&["backup", "x"]));
    assert!(code == Some(1) && error.contains("pg_dump"), "{error}");
    let (code, error) = failure(&command(&["restore", "x"]));
    assert!(code == Some(1) && error.contains("pg_restore"), "{error}");
    let (code, error) = failure(&command(&["user", "list"]));
    assert!(code == Some(1) && error.contains("there is no database at postgres database"), "{error}");
    stdout(&command(&["migrate"]));
    let found = json(&command(&["doctor", "--json"]));
    let of = |what: &str| {
        let finding = found.as_array().unwrap().iter().find(|finding| finding["what"] == what);
        finding.unwrap_or_else(|| panic!("no {what} in {found}"))["health"].clone()
    };
    for what in ["database", "schema", "writes", "clock", "keys"] {
        assert_eq!(of(what), "good", "{what}: {found}");
    }
}

#[test]
fn doctor_names_what_is_wrong_and_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let command = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    assert!(stdout(&command(&["doctor"])).contains("there is none at data/countersign.db yet"));
    assert!(!data.exists(), "it changes nothing");
    stdout(&command(&["migrate"]));
    let said = stdout(&command(&["doctor"]));
    for words in
        ["good    keys", "good    schema", "nobody who could approve", "mend: countersign user add NAME"]
    {
        assert!(said.contains(words), "no {words} in {said}");
    }
    let is_broken = |args: &[&str], words: &[&str]| {
        let output = command(&[&["doctor"], args].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for words in words {
            assert!(said.contains(words), "no {words} in {said}");
        }
    };
    is_broken(&["--set", "device.code_tll=1m"], &["device.code_ttl"]);
    is_broken(&["--set", "server.trusted_proxies=[\"0.0.0.0/0\"]"], &["every visitor may choose"]);
    let set_mode = |name: &str, mode: u32| {
        std::fs::set_permissions(data.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("countersign.db", 0o644);
    is_broken(&[], &["mode 644", "mend: chmod 600 data/countersign.db"]);
    set_mode("countersign.db", 0o600);
    let key = std::fs::read(data.join("secret.key")).unwrap();
    std::fs::write(data.join("secret.key"), [7; 32]).unwrap();
    is_broken(&[], &["another key"]);
    std::fs::write(data.join("secret.key"), key).unwrap();
    let risky = ["--set", "server.public_url=https://nowhere.invalid", "--set", "ops.listen=0.0.0.0:9628"];
    let said = stdout(&command(&[&["doctor"], risky.as_slice()].concat()));
    for words in ["name the proxy's address", "can read the metrics and stop", "was not reached from here"] {
        assert!(said.contains(words), "no {words} in {said}");
    }
}
