//! What operators type.

use crate::process::{Server, add_user, failure, json, run, run_with_input, stdout};

fn data(args: &[&str]) -> Vec<&'static str> {
    let args: Vec<&'static str> =
        args.iter().map(|arg| &*Box::leak((*arg).to_owned().into_boxed_str())).collect();
    [vec!["--data-dir", "data"], args].concat()
}

#[test]
fn people_are_added_listed_locked_out_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| run(folder.path(), &data(args));
    let made =
        json(&run(&["user", "add", "Bob", "--full-name", "Bob B", "--tier", "pro", "--admin", "--json"]));
    assert_eq!((&made["name"], &made["tier"], &made["admin"]), (&"bob".into(), &"pro".into(), &true.into()));
    assert!(made["password"].as_str().is_some_and(|password| password.len() == 20), "{made}");
    assert!(add_user(folder.path(), "alice").get("password").is_none());
    let (code, error) = failure(&run(&["user", "add", "BOB"]));
    assert!(code == Some(1) && error.contains("there is a user `bob` already"), "{error}");
    let (code, error) = failure(&run(&["user", "add", "two words"]));
    assert!(code == Some(2) && error.contains("hint:"), "{error}");
    let short =
        run_with_input(folder.path(), &data(&["user", "password", "bob", "--password-stdin"]), "short\n");
    assert!(failure(&short).1.contains("8 to 1024"));
    stdout(&run(&["user", "disable", "bob"]));
    assert_eq!(failure(&run(&["user", "disable", "bob"])).0, Some(1));
    let all = json(&run(&["user", "list", "--json"]));
    assert_eq!((&all[0]["name"], &all[1]["status"]), (&"alice".into(), &"disabled".into()));
    assert!(stdout(&run(&["user", "list"])).contains("bob"));
    stdout(&run(&["user", "enable", "bob"]));
    stdout(&run(&["user", "remove", "bob"]));
    let (code, error) = failure(&run(&["user", "remove", "bob"]));
    assert!(code == Some(1) && error.contains("no user `bob`"), "{error}");
}

#[test]
fn clients_are_added_shown_edited_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| run(folder.path(), &data(args));
    let add = [
        "client", "add", "--id", "api", "--name", "API", "--secret", "--scope", "openid", "--scope", "a b",
        "--json",
    ];
    let added = json(&run(&add));
    assert_eq!(added["client_id"], "api");
    assert!(added["client_secret"].as_str().is_some_and(|secret| secret.starts_with("cs_cs_")));
    assert_eq!(added["scopes"], serde_json::json!(["openid", "a", "b"]));
    assert!(json(&run(&["client", "show", "api", "--json"])).get("client_secret").is_none());
    let rotated = json(&run(&["client", "rotate-secret", "api", "--json"]));
    assert_ne!(rotated["client_secret"], added["client_secret"]);
    let edited = json(&run(&[
        "client",
        "edit",
        "api",
        "--name",
        "New",
        "--code-ttl",
        "5m",
        "--grant",
        "device_code",
        "--json",
    ]));
    assert_eq!((&edited["name"], &edited["code_ttl"]), (&"New".into(), &"5m".into()));
    assert_eq!(edited["grants"], serde_json::json!(["urn:ietf:params:oauth:grant-type:device_code"]));
    let reset =
        ["client", "edit", "api", "--reset", "code-ttl", "--reset", "grant", "--reset", "scope", "--json"];
    let reset = json(&run(&reset));
    assert_eq!((&reset["name"], &reset["code_ttl"]), (&"New".into(), &serde_json::Value::Null));
    assert_eq!((reset["grants"].as_array().unwrap().len(), &reset["scopes"]), (2, &serde_json::json!([])));
    let ids: Vec<_> = json(&run(&["client", "list", "--json"]))
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["client_id"].clone())
        .collect();
    assert_eq!(ids, ["api", "countersign-cli"]);
    stdout(&run(&["client", "remove", "api"]));
    for (args, code, words) in [
        (vec!["client", "show", "api"], 1, "no client `api`"),
        (vec!["client", "rotate-secret", "countersign-cli"], 1, "no secret"),
        (vec!["client", "add", "--id", "x", "--name", "X", "--grant", "password"], 2, "device_code"),
        (vec!["client", "add", "--id", "x", "--name", "X", "--resource", "nope"], 2, "absolute URI"),
        (vec!["client", "add", "--id", "x"], 2, "a client has a name"),
        (vec!["client", "add", "--id", "x", "--name", "X", "--secret", "--public"], 2, "cannot be used with"),
        (vec!["client", "add", "--id", "x", "--name", "X", "--interval", "1500ms"], 2, "whole seconds"),
    ] {
        let (got, error) = failure(&run(&args));
        assert!(got == Some(code) && error.contains(words), "{args:?}: {got:?} {error}");
    }
}

#[test]
fn keys_are_listed_and_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| run(folder.path(), &data(args));
    stdout(&run(&["migrate"]));
    let before = json(&run(&["key", "list", "--json"]));
    assert_eq!(before.as_array().unwrap().len(), 4);
    let after = json(&run(&["key", "rotate", "--json"]));
    let stages = |alg: &str| {
        let keys = after.as_array().unwrap().iter().filter(|key| key["alg"] == alg);
        let mut stages: Vec<_> = keys.map(|key| key["stage"].as_str().unwrap().to_owned()).collect();
        stages.sort();
        stages
    };
    assert_eq!(
        (stages("ES256"), stages("RS256")),
        (stages("RS256"), ["current", "next", "retired"].iter().map(ToString::to_string).collect())
    );
}

#[test]
fn the_configuration_is_shown_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("countersign.toml"), "[device]\ncode_ttl = \"7m\"\n").unwrap();
    std::fs::write(folder.path().join("other.toml"), "[device]\ncode_tll = \"7m\"\n").unwrap();
    let run = |args: &[&str]| run(folder.path(), args);
    assert!(stdout(&run(&["config", "check"])).contains("good"));
    let shown = json(&run(&["config", "show", "--json"]));
    let ttl = shown.as_array().unwrap().iter().find(|row| row["key"] == "device.code_ttl").unwrap();
    assert_eq!((&ttl["value"], &ttl["origin"]), (&"7m".into(), &"countersign.toml".into()));
    for args in [["--config", "other.toml", "config", "check"], ["config", "check", "--config", "other.toml"]]
    {
        let (code, error) = failure(&run(&args));
        assert!(code == Some(2) && error.contains("did you mean device.code_ttl?"), "{error}");
    }
    let (code, error) =
        failure(&run(&["config", "check", "--set", "server.public_url=http://login.example.com"]));
    assert!(code == Some(2) && error.contains("plain http is refused"), "{error}");
    let (code, error) = failure(&run(&["serve", "--config", "missing.toml"]));
    assert!(code == Some(2) && error.contains("missing.toml"), "{error}");
}

#[test]
fn the_key_may_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let with_key = |key: &str| {
        let mut command = crate::process::countersign(folder.path());
        command.args(["--data-dir", "data", "migrate"]).env("COUNTERSIGN_SECRET_KEY", key).output().unwrap()
    };
    stdout(&with_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    assert!(!folder.path().join("data/secret.key").exists());
    let (code, error) = failure(&with_key("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="));
    assert!(code == Some(1) && error.contains("another key than COUNTERSIGN_SECRET_KEY"), "{error}");
    let (code, error) = failure(&with_key("too short"));
    assert!(code == Some(1) && error.contains("32 bytes in base64"), "{error}");
    let (code, error) = failure(&run(folder.path(), &data(&["key", "list"])));
    assert!(code == Some(1) && error.contains("is missing"), "{error}");
    // Or from a file that somebody else mounts, whatever its mode.
    let mounted = folder.path().join("mounted");
    std::fs::write(&mounted, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    std::fs::set_permissions(&mounted, std::os::unix::fs::PermissionsExt::from_mode(0o440)).unwrap();
    let with_file = |file: &str, key: Option<&str>| {
        let mut command = crate::process::countersign(folder.path());
        command.args(["--data-dir", "data", "migrate"]).env("COUNTERSIGN_SECRET_KEY_FILE", file);
        command.envs(key.map(|key| ("COUNTERSIGN_SECRET_KEY", key))).output().unwrap()
    };
    stdout(&with_file("mounted", None));
    let (code, error) = failure(&with_file("mounted", Some("AAEC")));
    assert!(code == Some(1) && error.contains("leave one of them out"), "{error}");
    let (code, error) = failure(&with_file("nowhere", None));
    assert!(code == Some(1) && error.contains("COUNTERSIGN_SECRET_KEY_FILE (nowhere)"), "{error}");
    std::fs::write(&mounted, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap();
    let (code, error) = failure(&with_file("mounted", None));
    assert!(code == Some(1) && error.contains("another key than COUNTERSIGN_SECRET_KEY_FILE"), "{error}");
}

#[test]
fn a_mistyped_folder_does_not_become_an_installation() {
    let folder = tempfile::tempdir().unwrap();
    for args in [["user", "list"], ["client", "list"], ["device", "list"], ["key", "rotate"]] {
        let (code, error) = failure(&run(folder.path(), &data(&args)));
        assert!(code == Some(1) && error.contains("there is no database at data/countersign.db"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn completions_and_manual_come_out() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(folder.path(), &["completions", shell])).contains("countersign"));
    }
    assert!(stdout(&run(folder.path(), &["man"])).contains(".TH countersign"));
    assert_eq!(failure(&run(folder.path(), &["nonsense"])).0, Some(2));
    assert!(stdout(&run(folder.path(), &["--data-dir", "data", "migrate"])).contains("up to date"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = crate::process::countersign(folder.path()).args(["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn what_cannot_be_served_is_said_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let taken = server.url.rsplit(':').next().unwrap().to_owned();
    let listen = format!("127.0.0.1:{taken}");
    let (code, error) = failure(&run(folder.path(), &data(&["serve", "--listen", &listen])));
    assert!(code == Some(1) && error.contains("server.listen"), "{error}");
    drop(server);
    std::fs::write(folder.path().join("data/secret.key"), [7; 32]).unwrap();
    let (code, error) = failure(&run(
        folder.path(),
        &data(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]),
    ));
    assert!(code == Some(1) && error.contains("another key"), "{error}");
    std::fs::remove_file(folder.path().join("data/secret.key")).unwrap();
    let (code, error) = failure(&run(folder.path(), &data(&["user", "list"])));
    assert!(code == Some(1) && error.contains("is missing"), "{error}");
    assert!(!folder.path().join("data/secret.key").exists(), "no other key was made in its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_came_of_one_place_is_taken_back_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--set", "server.trusted_proxies=[\"127.0.0.1\"]"]);
    add_user(folder.path(), "alice");
    let http = reqwest::Client::new();
    let ask = async |address: &str| {
        let request = http.post(format!("{}/oauth2/v1/device_authorization", server.url));
        let form = [("client_id", "countersign-cli"), ("scope", "openid")];
        let sent = request.form(&form).header("x-forwarded-for", address).send().await.unwrap();
        sent.json::<serde_json::Value>().await.unwrap()
    };
    let mut alice = crate::process::Person::sign_in(&server.url, "alice").await;
    let asked = [
        ask("203.0.113.7").await,
        ask("203.0.113.9").await,
        ask("198.51.100.1").await,
        ask("203.0.113.8").await,
    ];
    for asked in &asked[..3] {
        alice.decide(asked["user_code"].as_str().unwrap(), "approve").await;
    }
    for asked in [&asked[0], &asked[2]] {
        assert_eq!(crate::process::poll(&server.url, asked).await.0, 200);
    }
    let run = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data", "device"], args].concat());
    let said = stdout(&run(&["revoke", "--from", "203.0.113.0/24", "--client", "countersign-cli"]));
    // One was connected, one approved and not collected, one not even decided.
    assert!(said.contains("1 device disconnected, 2 open questions denied."), "{said}");
    let devices = json(&run(&["list", "--json"]));
    let active: Vec<_> =
        devices.as_array().unwrap().iter().filter(|device| device["status"] == "active").collect();
    assert_eq!(active.len(), 1, "{devices}");
    assert_eq!(crate::process::poll(&server.url, &asked[1]).await.1["error"], "access_denied");
    let (code, said) = failure(&run(&["revoke"]));
    assert!(code == Some(2) && said.contains("--from"), "{said}");
    let (code, said) = failure(&run(&["revoke", "--since", "yesterday"]));
    assert!(code == Some(2) && said.contains("2026-01-31T08:00:00Z"), "{said}");
    let said = stdout(&run(&["revoke", "--until", "2020-01-01T00:00:00Z"]));
    assert!(said.contains("0 devices disconnected, 0 open questions denied."), "{said}");
}

#[test]
fn a_running_server_says_whether_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let ask = |listen: &str| run(folder.path(), &["--set", &format!("ops.listen={listen}"), "ready"]);
    let ops = server.ops.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(stdout(&ask(&ops)), "ready\n");
    // From every address it is asked at the nearest.
    assert_eq!(stdout(&ask(&ops.replace("127.0.0.1", "0.0.0.0"))), "ready\n");
    // Somebody else who listens there is no server.
    let public = server.url.strip_prefix("http://localhost").unwrap();
    let (code, error) = failure(&ask(&format!("127.0.0.1{public}")));
    assert!(code == Some(1) && error.contains("no Countersign"), "{error}");
    server.terminate();
    let (code, error) = failure(&ask(&ops));
    assert!(code == Some(1) && error.contains("no server answers") && error.contains("refused"), "{error}");
}
