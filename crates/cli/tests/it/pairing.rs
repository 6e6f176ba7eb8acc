//! The node's side of pairing, with our own command.

use std::io::Read as _;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::process::{Person, Server, add_user, code_of, countersign, failure, json, run, stdout};

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
    let (code, mut lines) = code_of(&mut child);
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
    let (code, mut lines) = code_of(&mut child);
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

/// One call of an operator's.
async fn called(server: &Server, token: &str, method: &str, params: serde_json::Value) -> serde_json::Value {
    let mut socket = connected(server, token).await;
    let call = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    socket.send(Message::Text(call.to_string().into())).await.unwrap();
    loop {
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("closed") };
        let mut answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        if answer["id"] == 1 {
            return answer["result"].take();
        }
    }
}

async fn connected(server: &Server, token: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let address = server.url.replace("http://", "ws://");
    let mut request = format!("{address}/ws").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// Servers know who is connected to the others, and of a device that is nobody's an operator may say
/// whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run it with scripts/with-postgres"]
async fn who_is_connected_to_one_server_is_online_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("database.url={}", crate::process::schema().await);
    let operator = "gateway-token-of-the-operator";
    let tokens = format!(
        r#"pairing.gateway_tokens=[{{"token":"{operator}","role":"operator","scopes":["operator.pairing"]}}]"#
    );
    let unlimited = "rate_limit.enabled=false";
    let node = || Server::start(folder.path(), &["--set", &database, "--set", &tokens, "--set", unlimited]);
    let (near, far) = (node(), node());
    crate::process::add_user_at(folder.path(), &["--set", &database], "alice");
    let id = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001";
    let facts = serde_json::json!({ "device_name": "Phone", "device_type": "ios", "client_version": "1", "device_id": id });
    let asked = called(&near, operator, "node.pair.request", facts).await;
    let confirm = serde_json::json!({ "pairing_code": asked["pairing_code"], "device_id": id });
    let got = called(&near, operator, "node.pair.confirm", confirm).await;
    let token = got["device_token"].as_str().unwrap().to_owned();

    let mut device = connected(&near, &token).await;
    let line = async || {
        let listed = called(&far, operator, "node.pair.list", serde_json::json!({})).await;
        listed["paired"][0].clone()
    };
    let until = async |online: bool| {
        let seen = async { while line().await["online"] != online {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), seen)
            .await
            .expect("it was not seen in time");
    };
    until(true).await;

    assert_eq!(line().await["owner"], serde_json::Value::Null);
    let at =
        |args: &[&str]| run(folder.path(), &[&["--data-dir", "data", "--set", &database], args].concat());
    let listed = json(&at(&["device", "list", "--json"]));
    let device_id = listed[0]["id"].as_str().unwrap();
    assert_eq!(failure(&at(&["device", "assign", device_id, "--owner", "nobody"])).0, Some(1));
    stdout(&at(&["device", "assign", device_id, "--owner", "alice"]));
    assert_eq!(failure(&at(&["device", "assign", device_id, "--owner", "alice"])).0, Some(1));
    assert_eq!(line().await["owner"], "alice");
    // Her devices end with her, also those that were opened as nobody's.
    stdout(&at(&["user", "disable", "alice"]));
    let closed = async {
        loop {
            match device.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                Some(Ok(_)) => {}
                _ => return 1006,
            }
        }
    };
    assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(5), closed).await.unwrap(), 4001);
    drop(near);
    until(false).await;
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
