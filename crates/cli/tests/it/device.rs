//! What devices do: demo, login, whoami, token, logout.

use std::io::Read as _;
use std::path::Path;

use crate::process::{PASSWORD, Person, Server, add_user, code_of, countersign, failure, json, run, stdout};

#[test]
fn the_demo_walks_the_whole_way_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["demo", "--approve"]);
    let said = stdout(&output);
    assert!(said.contains("access token   verified") && said.contains("ID token       verified"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing behind");
}

/// Runs `login`, decides with the code that it shows, and returns what it said at the end.
async fn login(folder: &Path, server: &Server, decision: &str) -> std::process::Output {
    let mut child = countersign(folder)
        .args(["login", "--server", &server.url, "--credentials", "kept/credentials.json"])
        .spawn()
        .unwrap();
    let (code, mut lines) = code_of(&mut child);
    Person::sign_in(&server.url, "alice").await.decide(&code, decision).await;
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = rest;
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_logs_in_is_known_refreshes_and_logs_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--set", "tokens.access_ttl=20s"]);
    add_user(folder.path(), "alice");
    let said = stdout(&login(folder.path(), &server, "approve").await);
    assert!(said.contains("as alice") && said.contains("kept/credentials.json"), "{said}");
    let file = folder.path().join("kept/credentials.json");
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let run =
        |args: &[&str]| run(folder.path(), &[args, &["--credentials", "kept/credentials.json"]].concat());
    assert!(stdout(&run(&["whoami"])).starts_with("alice (a@example.com) at http://localhost:"));
    assert_eq!(json(&run(&["whoami", "--json"]))["preferred_username"], "alice");
    // With 20 seconds to live it counts as stale, so every call rotates the refresh token.
    let (one, two) = (stdout(&run(&["token"])), stdout(&run(&["token"])));
    assert!(one.matches('.').count() == 2 && one != two);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(stdout(&run(&["logout"])).contains("Logged out"));
    assert_eq!(failure(&run(&["whoami"])).0, Some(1));
    assert!(failure(&run(&["token"])).1.contains("hint: run `countersign login"));
    std::fs::write(&file, kept).unwrap();
    let (code, error) = failure(&run(&["token"]));
    assert!(code == Some(1) && error.contains("invalid_grant"), "the server forgot it too: {error}");
    let devices =
        json(&crate::process::run(folder.path(), &["--data-dir", "data", "device", "list", "--json"]));
    let device = &devices[0];
    assert_eq!(
        (&device["door"], &device["user"], &device["status"]),
        (&"oauth".into(), &"alice".into(), &"revoked".into())
    );
}

/// A machine with a browser: what opens it says through a pipe where it was sent.
fn with_browser(folder: &Path, args: &[&str]) -> std::process::Command {
    use std::os::unix::fs::PermissionsExt as _;
    let (bin, pipe) = (folder.join("bin"), folder.join("opened"));
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        let opener = bin.join("xdg-open");
        std::fs::write(&opener, format!("#!/bin/sh\nprintf %s \"$1\" > '{}'\n", pipe.display())).unwrap();
        std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    }
    let mut command = countersign(folder);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.args(args).env("DISPLAY", ":0").env("PATH", path).env_remove("SSH_CONNECTION");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_a_browser_the_login_goes_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let args = ["login", "--server", &server.url, "--credentials", "kept/credentials.json"];
    for (decision, code) in [("deny", Some(3)), ("approve", Some(0))] {
        let mut child = with_browser(folder.path(), &args).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
        // What it says comes after the browser was opened.
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert!(line.contains("Your browser was opened"), "{line}");
        let opened = std::fs::read_to_string(folder.path().join("opened")).unwrap();
        let back = Person::sign_in(&server.url, "alice").await.answer(&opened, decision).await;
        assert!(back.starts_with("http://127.0.0.1:"), "{back}");
        // Somebody else's answer is none.
        let stray = reqwest::get(back.replace("state=", "state=x")).await.unwrap();
        assert_eq!(stray.status(), 404);
        let page = reqwest::get(&back).await.unwrap().text().await.unwrap();
        assert!(page.contains("You can close this window"), "{page}");
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), code, "{rest}");
    }
    let who = run(folder.path(), &["whoami", "--credentials", "kept/credentials.json"]);
    assert!(stdout(&who).starts_with("alice "));
    // A client without the grant, and whoever says so, gets a code.
    let operator = |args: &[&str]| stdout(&run(folder.path(), &[&["--data-dir", "data"], args].concat()));
    operator(&["client", "add", "--id", "plain", "--name", "Plain", "--public"]);
    for more in [["--client-id", "plain"], ["--device", "--scope=openid"]] {
        let mut child = with_browser(folder.path(), &[args.as_slice(), &more].concat()).spawn().unwrap();
        let (code, _) = code_of(&mut child);
        assert_eq!(code.len(), 9);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_can_be_forgotten_whatever_became_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    stdout(&login(folder.path(), &server, "approve").await);
    let operator = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    let device =
        |args: &[&str]| run(folder.path(), &[args, &["--credentials", "kept/credentials.json"]].concat());
    // The server does not know the client any more: there is nothing left to revoke.
    let kept = std::fs::read_to_string(folder.path().join("kept/credentials.json")).unwrap();
    stdout(&operator(&["client", "remove", "countersign-cli"]));
    assert!(stdout(&device(&["logout"])).contains("Logged out"));
    // The server is gone: nothing is forgotten unless that is what was asked for.
    std::fs::write(folder.path().join("kept/credentials.json"), &kept).unwrap();
    drop(server);
    let (code, error) = failure(&device(&["logout"]));
    assert!(code == Some(1) && error.contains("--local"), "{error}");
    assert!(stdout(&device(&["logout", "--local"])).contains("still honours it"));
    assert!(failure(&device(&["logout", "--local"])).1.contains("not logged in"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_disconnects_a_device_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    stdout(&login(folder.path(), &server, "approve").await);
    let operator = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    let id = json(&operator(&["device", "list", "--json"]))[0]["id"].as_str().unwrap().to_owned();
    assert!(stdout(&operator(&["device", "revoke", &id])).contains("Disconnected"));
    assert_eq!(failure(&operator(&["device", "revoke", &id])).0, Some(1));
    let (code, error) = failure(&run(folder.path(), &["whoami", "--credentials", "kept/credentials.json"]));
    assert!(code == Some(1) && error.contains("invalid_token") && error.contains("hint:"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_is_exit_code_3_and_an_expiry_4() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let (code, error) = failure(&login(folder.path(), &server, "deny").await);
    assert!(code == Some(3) && error.contains("denied"), "{error}");
    let args =
        ["--data-dir", "data", "client", "add", "--id", "brief", "--name", "Brief", "--code-ttl", "1s"];
    stdout(&run(folder.path(), &args));
    let (code, error) =
        failure(&run(folder.path(), &["login", "--server", &server.url, "--client-id", "brief"]));
    assert!(code == Some(4) && error.contains("expired") && error.contains("hint:"), "{error}");
    let (code, error) =
        failure(&run(folder.path(), &["login", "--server", &server.url, "--client-id", "nobody"]));
    assert!(code == Some(1) && error.contains("invalid_client"), "{error}");
    let (code, error) = failure(&run(folder.path(), &["login", "--server", "http://127.0.0.1:1"]));
    assert!(code == Some(1) && error.contains("cannot reach"), "{error}");
    let (code, error) = failure(&run(folder.path(), &["login", "--server", "http://192.0.2.1"]));
    assert!(code == Some(1) && error.contains("plain http"), "{error}");
    let other_name = server.url.replace("localhost", "127.0.0.1");
    let (code, error) = failure(&run(folder.path(), &["login", "--server", &other_name]));
    assert!(code == Some(1) && error.contains("it calls itself"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_stands_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--set", "log.level=trace"]);
    add_user(folder.path(), "alice");
    let asked = crate::process::ask(&server.url).await;
    let mut person = Person::sign_in(&server.url, "alice").await;
    person.decide(asked["user_code"].as_str().unwrap(), "approve").await;
    let (_, tokens) = crate::process::poll(&server.url, &asked).await;
    let (_, more) = crate::process::refresh(&server.url, tokens["refresh_token"].as_str().unwrap()).await;
    let link = reqwest::get(asked["verification_uri_complete"].as_str().unwrap()).await.unwrap();
    assert!(link.status().is_success());
    let cookie = person.cookie.split_once('=').unwrap().1.to_owned();
    let mut secrets = vec![PASSWORD.to_owned(), cookie];
    for (json, fields) in [
        (&asked, &["device_code", "user_code"][..]),
        (&tokens, &["access_token", "refresh_token", "id_token"]),
        (&more, &["access_token", "refresh_token", "id_token"]),
    ] {
        secrets.extend(fields.iter().map(|field| json[field].as_str().unwrap().to_owned()));
    }
    secrets.push(asked["user_code"].as_str().unwrap().replace('-', ""));
    let kept = ["--credentials", "kept/pairing.json"];
    let pair = [&["pair", "--server", &server.url, "--name", "Phone"], &kept[..]].concat();
    let mut child = countersign(folder.path()).args(pair).spawn().unwrap();
    let (code, mut rest) = code_of(&mut child);
    person.decide(&code, "approve").await;
    rest.read_to_end(&mut Vec::new()).unwrap();
    stdout(&child.wait_with_output().unwrap());
    // Six digits may stand in a time; the token stands nowhere.
    secrets.push(stdout(&run(folder.path(), &[&["token"], &kept[..]].concat())).trim().to_owned());
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0));
    assert!(log.contains("/oauth2/v1/token") && log.contains("\"status\":200"), "it does log: {log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} stands in the log");
    }
}
