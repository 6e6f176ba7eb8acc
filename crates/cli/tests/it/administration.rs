//! Administering a server from elsewhere, over HTTP, and reading its trail.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::process::{Person, Server, add_user, code_of, countersign, failure, json, run, stdout};

fn here(folder: &Path, args: &[&str]) -> Output {
    run(folder, &[&["--data-dir", "data"], args].concat())
}

/// Somewhere else: no database, only a login.
fn there(folder: &Path, server: &Server, args: &[&str]) -> Output {
    let elsewhere = folder.join("elsewhere");
    let args = [args, &["--server", &server.url]].concat();
    countersign(&elsewhere).args(args).env("COUNTERSIGN_CREDENTIALS", "kept.json").output().unwrap()
}

async fn login(folder: &Path, server: &Server, scope: &str) {
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let args = ["login", "--server", &server.url, "--client-id", "console", "--scope", scope];
    let mut child = countersign(&elsewhere).args(args).args(["--credentials", "kept.json"]).spawn().unwrap();
    let (code, _rest) = code_of(&mut child);
    Person::sign_in(&server.url, "alice").await.decide(&code, "approve").await;
    assert!(child.wait().unwrap().success());
}

async fn office() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    stdout(&crate::process::run_with_input(
        folder.path(),
        &["--data-dir", "data", "user", "add", "alice", "--admin", "--password-stdin"],
        crate::process::PASSWORD,
    ));
    let console = ["client", "add", "--id", "console", "--name", "Console", "--public"];
    let scopes = ["--scope", "openid", "--scope", "offline_access", "--scope", "admin"];
    stdout(&here(folder.path(), &[console.as_slice(), &scopes].concat()));
    login(folder.path(), &server, "openid offline_access admin").await;
    (folder, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_the_same_from_elsewhere() {
    let (folder, server) = office().await;
    let there = |args: &[&str]| there(folder.path(), &server, args);
    let made = json(&there(&["client", "add", "--id", "tv", "--name", "TV", "--secret", "--json"]));
    assert!(made["client_secret"].as_str().unwrap().starts_with("cs_cs_"));
    assert_eq!(json(&here(folder.path(), &["client", "show", "tv", "--json"])), {
        let mut bare = made.clone();
        bare.as_object_mut().unwrap().remove("client_secret");
        bare
    });
    let edited =
        there(&["client", "edit", "tv", "--code-ttl", "5m", "--redirect-uri", "https://tv.example/cb"]);
    let said = stdout(&edited);
    assert!(said.contains("live 5m") && said.contains("https://tv.example/cb"), "{said}");
    assert!(stdout(&there(&["client", "edit", "tv", "--reset", "code-ttl"])).contains("live as configured"));
    assert!(
        stdout(&there(&["client", "rotate-secret", "tv", "--overlap", "1h"]))
            .contains("Old secret    good until")
    );
    for list in [["client", "list"], ["user", "list"], ["device", "list"], ["key", "list"]] {
        let list = [list.as_slice(), &["--json"]].concat();
        assert_eq!(json(&there(&list)), json(&here(folder.path(), &list)), "{list:?}");
    }
    for (filter, count) in [
        (&["--user", "Alice", "--client", "console", "--active"][..], 1),
        (&["--from", "127.0.0.1"], 1),
        (&["--from", "203.0.113.7"], 0),
        (&["--user", "nobody"], 0),
    ] {
        let list = [&["device", "list", "--json"], filter].concat();
        assert_eq!(json(&there(&list)), json(&here(folder.path(), &list)), "{filter:?}");
        assert_eq!(json(&there(&list)).as_array().unwrap().len(), count, "{filter:?}");
    }
    let bob = json(&there(&["user", "add", "bob", "--tier", "gold", "--json"]));
    assert!(bob["password"].is_string() && bob["tier"] == "gold");
    assert!(json(&there(&["user", "password", "bob", "--json"]))["password"].is_string());
    for (place, admin) in [(true, "true"), (false, "false")] {
        let edit = ["user", "edit", "bob", "--full-name", "Bob B.", "--tier", "", "--admin", admin, "--json"];
        let bob = json(&if place { there(&edit) } else { here(folder.path(), &edit) });
        assert!(bob["full_name"] == "Bob B." && bob["tier"] == "none", "{bob}");
        assert_eq!(bob["admin"], place);
        assert_eq!(failure(&there(&["user", "edit", "nobody", "--admin", admin])).0, Some(1));
    }
    for act in ["disable", "enable", "sign-out", "reset-factors"] {
        stdout(&there(&["user", act, "bob"]));
    }
    stdout(&there(&["key", "rotate"]));
    stdout(&there(&["user", "remove", "bob"]));
    stdout(&there(&["client", "remove", "tv"]));
    // What is wrong is told as it would be here.
    let (code, error) = failure(&there(&["client", "show", "tv"]));
    assert!(code == Some(1) && error.contains("there is no client `tv`"), "{error}");
    let (_, error) = failure(&there(&["client", "edit", "console", "--redirect-uri", "http://evil.example"]));
    assert!(error.contains("is no redirect URI"), "{error}");
    // A name that would lead elsewhere leads nowhere, and a URL says nothing but where the server is.
    let (code, error) = failure(&there(&["user", "remove", ".."]));
    assert!(code == Some(1) && error.contains("cannot stand in a URL"), "{error}");
    let odd = server.url.replace("http://", "http://user:password@");
    for url in [odd, format!("{}?x=1", server.url), format!("{}#x", server.url)] {
        let asked = countersign(&folder.path().join("elsewhere"))
            .args(["user", "list", "--server", &url])
            .env("COUNTERSIGN_API_KEY", "cs_sk_x")
            .output()
            .unwrap();
        let (code, error) = failure(&asked);
        assert!(code == Some(1) && error.contains("leave out"), "{error}");
    }
    // What stands in the database from before is shown without what a terminal obeys.
    let odd = "UPDATE account SET full_name = 'a' || char(27) || '[31mb' || char(8238) WHERE name = 'alice'";
    behind_its_back(&folder.path().join("data/countersign.db"), odd);
    assert!(stdout(&there(&["user", "list"])).contains("a\u{fffd}[31mb\u{fffd}"));
    let listed = stdout(&here(folder.path(), &["user", "list", "--json"]));
    assert!(listed.contains(r"a\u001b[31mb\u202e"), "{listed}");
    // The trail says who did it; the last command takes its own login away.
    let trail = json(&here(folder.path(), &["audit", "list", "--action", "client.removed", "--json"]));
    assert!(trail[0]["actor"].as_str().unwrap().starts_with("administrator "));
    let own = json(&there(&["device", "list", "--json"]));
    let id = own[0]["id"].as_str().unwrap();
    stdout(&there(&["device", "revoke", id]));
    assert_eq!(failure(&there(&["device", "list"])).0, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_without_the_scope_hears_what_to_do() {
    let (folder, server) = office().await;
    login(folder.path(), &server, "openid offline_access").await;
    let (code, error) = failure(&there(folder.path(), &server, &["user", "list"]));
    assert!(code == Some(1) && error.contains("--scope 'openid offline_access admin'"), "{error}");
    std::fs::remove_file(folder.path().join("elsewhere/kept.json")).unwrap();
    let (code, error) = failure(&there(folder.path(), &server, &["user", "list"]));
    assert!(
        code == Some(1) && error.contains("not logged in") && error.contains("--client-id ID"),
        "{error}"
    );
    add_user(folder.path(), "bob");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_listed_exported_and_verified() {
    let (folder, server) = office().await;
    let here = |args: &[&str]| here(folder.path(), args);
    assert!(stdout(&here(&["audit", "list", "--user", "alice", "--limit", "3"])).contains("grant.redeemed"));
    let (code, error) = failure(&here(&["audit", "list", "--user", "nobody"]));
    assert!(code == Some(1) && error.contains("there is no user `nobody`"), "{error}");
    let lines = stdout(&here(&["audit", "export", "--action", "client.added"]));
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["client_id"] == "console" && row["actor"] == "command line"));
    let file = folder.path().join("trail.jsonl");
    stdout(&here(&["audit", "export", "--output", file.to_str().unwrap()]));
    assert!(std::fs::read_to_string(&file).unwrap().lines().count() >= 5);
    assert_eq!(failure(&here(&["audit", "export", "--output", file.to_str().unwrap()])).0, Some(1));
    let there = |args: &[&str]| there(folder.path(), &server, args);
    for list in [&["--limit", "3"], &["--until", "2026-01-31T00:00:00Z"], &["--user", "alice"]] {
        let list = [&["audit", "list", "--json", "--action", "client"], list.as_slice()].concat();
        assert_eq!(json(&there(&list)), json(&here(&list)), "{list:?}");
    }
    assert_eq!(stdout(&there(&["audit", "export", "--action", "client.added"])), lines);
    let other = folder.path().join("other.jsonl");
    let exported = there(&["audit", "export", "--output", other.to_str().unwrap()]);
    let rows = std::fs::read_to_string(&other).unwrap().lines().count();
    assert!(failure(&exported).1.starts_with(&format!("{rows} rows")), "{exported:?}");
    assert!(stdout(&there(&["audit", "verify"])).contains("rows stand as they were sealed"));
    assert!(failure(&there(&["audit", "list", "--user", "nobody"])).1.contains("there is no user `nobody`"));
    server.terminate();
    let verdict = json(&here(&["audit", "verify", "--json"]));
    assert_eq!(verdict["intact"], true);
    assert_eq!(verdict["unsealed"], 0, "a server seals what is there before it ends");
    behind_its_back(&folder.path().join("data/countersign.db"), "DELETE FROM audit WHERE seq = 2");
    let (code, error) = failure(&here(&["audit", "verify"]));
    assert!(code == Some(1) && error.contains("row 2 is missing"), "{error}");
}

/// Writes to a database past the server, with what every Debian has.
fn behind_its_back(file: &Path, sql: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    let done = std::process::Command::new("python3").args(["-c", program]).arg(file).arg(sql).status();
    assert!(done.unwrap().success());
}
