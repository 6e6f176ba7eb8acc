//! The node's side of pairing, with our own command.

use std::io::{BufRead as _, BufReader, Read as _};

use crate::process::{Person, Server, add_user, countersign, failure, json, run, stdout};

const CREDENTIALS: &str = "kept/credentials.json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_pairs_also_when_the_server_goes_away_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let address = server.url.rsplit_once(':').map(|(_, port)| format!("127.0.0.1:{port}")).unwrap();
    let mut child = countersign(folder.path())
        .args(["pair", "--server", &server.url, "--name", "Build machine", "--credentials", CREDENTIALS])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let code = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "pair ended early");
        if let Some((_, code)) = line.split_once("and enter ") {
            break code.trim().to_owned();
        }
    };
    assert_eq!(code.len(), 6);
    // It is gone, and comes back; only then somebody approves.
    server.kill();
    let server = Server::start_on(folder.path(), &["--listen", &address]);
    Person::sign_in(&server.url, "alice").await.decide(&code, "approve").await;
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = rest;
    let said = stdout(&output);
    assert!(said.contains("Paired “Build machine”") && said.contains(CREDENTIALS), "{said}");

    let run = |args: &[&str]| run(folder.path(), &[args, &["--credentials", CREDENTIALS]].concat());
    assert!(stdout(&run(&["whoami"])).starts_with("alice (a@example.com) at http://localhost:"));
    assert_eq!(json(&run(&["whoami", "--json"]))["credential"]["type"], "device_token");
    let token = stdout(&run(&["token"]));
    assert!(token.starts_with("cs_dt_"));
    // What was answered outlives the server.
    server.kill();
    let server = Server::start_on(folder.path(), &["--listen", &address]);
    assert!(stdout(&run(&["whoami"])).starts_with("alice"));
    let listed =
        json(&crate::process::run(folder.path(), &["--data-dir", "data", "device", "list", "--json"]));
    assert_eq!((&listed[0]["door"], &listed[0]["name"]), (&"socket".into(), &"Build machine".into()));
    assert!(stdout(&run(&["logout"])).contains("Logged out"));
    let me = reqwest::Client::new().get(format!("{}/v1/auth/me", server.url)).bearer_auth(token.trim());
    assert_eq!(me.send().await.unwrap().status(), 401);
}

/// Whoever waits on one node hears of what happens on another, long before it would ask again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn an_approval_crosses_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("database.url={}", crate::process::schema().await);
    let node = || Server::start(folder.path(), &["--set", &database]);
    let (near, far) = (node(), node());
    crate::process::add_user_at(folder.path(), &["--set", &database], "alice");
    let mut child = countersign(folder.path())
        .args([
            "pair",
            "--server",
            &near.url,
            "--name",
            "Phone",
            "--type",
            "ios",
            "--credentials",
            CREDENTIALS,
        ])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let code = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "pair ended early");
        if let Some((_, code)) = line.split_once("and enter ") {
            break code.trim().to_owned();
        }
    };
    let mut person = Person::sign_in(&far.url, "alice").await;
    person.decide(&code, "approve").await;
    #[expect(clippy::disallowed_methods, reason = "it measures time")]
    let approved = std::time::Instant::now();
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).unwrap();
    assert!(stdout(&child.wait_with_output().unwrap()).contains("Paired"));
    let took = approved.elapsed();
    println!("approved on one node, paired on the other after {} ms", took.as_millis());
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    // Revoked on one node, its token is refused on the other.
    let token = stdout(&run(folder.path(), &["token", "--credentials", CREDENTIALS]));
    let me = async |server: &Server| {
        let request =
            reqwest::Client::new().get(format!("{}/v1/auth/me", server.url)).bearer_auth(token.trim());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((me(&near).await, me(&far).await), (200, 200));
    stdout(&run(folder.path(), &["logout", "--credentials", CREDENTIALS]));
    assert_eq!((me(&near).await, me(&far).await), (401, 401));
}

#[test]
fn what_is_no_device_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let args =
        ["pair", "--server", &server.url, "--name", "x", "--type", "toaster", "--credentials", CREDENTIALS];
    let (code, error) = failure(&run(folder.path(), &args));
    assert!(code == Some(1) && error.contains("Must be 'ios', 'android', or 'desktop'"), "{error}");
}
