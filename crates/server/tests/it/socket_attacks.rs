//! The socket door and those who mean it no good: strangers, thieves, floods, and bad moments.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use countersign_core::audit::By;
use countersign_core::secret::Plain;
use countersign_server::flow::aisopod;
use countersign_server::flow::clients::{self, ClientSettings};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::socket::{
    GATEWAY, PHONE, Socket, TABLET, approve, connect, facts, open, operated, operated_with, paired,
};
use crate::support::{Server, server, text};

fn confirming(code: &str, node: &str) -> Value {
    json!({ "pairing_code": code, "device_id": node })
}

/// A socket of a visitor at another address, who says so through the proxy.
async fn from(server: &Server, address: &str) -> Socket {
    let mut socket = open(server, &[("x-forwarded-for", address)]).await.unwrap();
    assert_eq!(socket.next().await["method"], "system.welcome");
    socket
}

/// Waits until something holds that no message tells of.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn self_approval_takes_nobodys_device_away() {
    let server = Server::with(&[("pairing.approval", "self")]).await;
    let token = paired(&server, PHONE).await;
    let mut thief = connect(&server, None).await;
    let code = thief.request(PHONE).await;
    let refused = thief.error("node.pair.confirm", confirming(&code, PHONE)).await;
    assert_eq!(
        refused,
        (-32003, "This device belongs to another account and must be removed there first".to_owned())
    );
    connect(&server, Some(&token)).await.result("node.pair.list", json!({})).await;
    // Pages of other sites reach servers that their visitors reach.
    assert_eq!(open(&server, &[("origin", "https://evil.example")]).await.err(), Some(403));
    let own = server.running.app.public_url.issuer().to_owned();
    assert!(open(&server, &[("origin", own.as_str())]).await.is_ok());
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let server = Server::with(&[
        ("server.trusted_proxies", "list:127.0.0.1"),
        ("rate_limit.wrong_codes_per_address", "15"),
    ])
    .await;
    let mut phone = from(&server, "192.0.2.1").await;
    let code = phone.request(PHONE).await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    // One who knows the device, and asks from many places.
    for place in 0..10 {
        let mut thief = from(&server, &format!("198.51.100.{place}")).await;
        assert_eq!(thief.error("node.pair.confirm", confirming(wrong, PHONE)).await.0, -32003);
    }
    approve(&server, "alice", &code).await;
    let mut thief = from(&server, "198.51.100.77").await;
    let late = thief.call("node.pair.confirm", confirming(&code, PHONE)).await;
    assert_eq!(late["error"]["code"], -32002, "even the right one, from elsewhere: {late}");
    assert!(late["error"]["data"]["retry_after"].as_u64().is_some_and(|wait| wait <= 600), "{late}");
    // The device itself is not held up, nor by another connection of its own.
    let mut again = from(&server, "192.0.2.1").await;
    again.result("node.pair.confirm", confirming(&code, PHONE)).await;

    // One who tries any device, from one place.
    let mut thief = from(&server, "203.0.113.9").await;
    let mut answers = Vec::new();
    for _ in 0..16 {
        answers.push(thief.error("node.pair.confirm", confirming("123456", TABLET)).await.0);
    }
    assert_eq!((&answers[..15], answers[15]), ([-32003; 15].as_slice(), -32002));
    server.pass(1200);
    assert_eq!(thief.error("node.pair.confirm", confirming("123456", TABLET)).await.0, -32003);
}

#[tokio::test]
async fn whoever_floods_is_closed_and_a_revoked_one_at_once() {
    let server = operated().await;
    let token = paired(&server, PHONE).await;
    let (mut device, mut operator) =
        (connect(&server, Some(&token)).await, connect(&server, Some(GATEWAY)).await);
    // It never stops calling, and is closed for that it was revoked.
    let talking = tokio::spawn(async move {
        for _ in 0..600 {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "node.pair.list" }).to_string();
            if device.stream.send(Message::Text(call.into())).await.is_err() {
                break;
            }
        }
        device
    });
    assert_eq!(
        operator.result("node.pair.revoke", json!({ "device_id": PHONE })).await,
        json!({ "revoked": true })
    );
    assert_eq!(talking.await.unwrap().closed().await, 4001);
    assert_eq!(operator.told().await["params"]["decision"], "revoked");

    let mut stranger = connect(&server, None).await;
    for _ in 0..8 {
        let batch: Vec<Value> =
            (0..100).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "x" })).collect();
        if stranger.stream.send(Message::Text(Value::Array(batch).to_string().into())).await.is_err() {
            break;
        }
    }
    assert_eq!(stranger.closed().await, 1008);
    operator.result("node.pair.list", json!({})).await;
}

#[tokio::test]
async fn a_token_is_refreshed_by_whoever_still_has_it() {
    let server = Server::with(&[("pairing.token_ttl", "1h")]).await;
    let token = paired(&server, PHONE).await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(connect(&server, Some(&token)).await);
    }
    server.pass(3000);
    let mut tasks = tokio::task::JoinSet::new();
    for mut socket in sockets {
        // Who loses may be closed before it is answered.
        tasks.spawn(async move {
            socket.say(r#"{"jsonrpc":"2.0","id":1,"method":"node.pair.refresh"}"#).await;
            match socket.frame().await {
                Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
                Some(Message::Close(Some(frame))) => json!({ "closed": u16::from(frame.code) }),
                other => panic!("{other:?}"),
            }
        });
    }
    let answers: Vec<Value> = tasks.join_all().await;
    let won: Vec<&Value> = answers.iter().filter(|answer| answer["result"].is_object()).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        answers.iter().all(|answer| answer["closed"].is_null() || answer["closed"] == 4002),
        "{answers:?}"
    );
    assert_eq!(
        won[0]["result"]["expires_at"], "2027-01-15T09:50:00Z",
        "a refreshed token has its whole time"
    );
    let mut device = connect(&server, won[0]["result"]["device_token"].as_str()).await;
    assert_eq!(open(&server, &[("authorization", &format!("Bearer {token}"))]).await.err(), Some(401));
    // One whose time is over is told so when it calls.
    server.pass(3600);
    assert_eq!(device.error("node.pair.list", json!({})).await.0, -32001);
    assert_eq!(device.closed().await, 4001);
}

#[tokio::test]
async fn an_imported_token_is_good_at_once_and_from_everywhere() {
    let server = Server::with(&[("rate_limit.imported_tokens_per_address", "20")]).await;
    let (app, secret) = (&server.running.app, "imported-token-of-a-phone");
    let hash = Argon2::default()
        .hash_password_with_salt(secret.as_bytes(), b"0123456789abcdef")
        .unwrap()
        .to_string();
    let file = format!(
        "[{PHONE}]\ntoken_hash = \"{hash}\"\ndevice_name = \"Phone\"\ndevice_id = \"{PHONE}\"\n\
         scopes = [\"operator_read\"]\ncreated_at = \"2026-01-01T00:00:00Z\"\n"
    );
    aisopod::import(app, &file, &"alice".parse().unwrap(), false, server.now()).await.unwrap().unwrap();
    assert_eq!(server.count("audit WHERE action = 'node.imported'").await, 1);
    let authorization = format!("Bearer {secret}");
    let named = [("authorization", authorization.as_str()), ("x-aisopod-device-id", PHONE)];
    let first = futures_util::future::join_all((0..8).map(|_| open(&server, &named))).await;
    assert!(first.iter().all(Result::is_ok), "all of the first uses at once");
    // Others do not learn by trying, and cost no more than this.
    let wrong = [("authorization", "Bearer somebody-elses-token"), ("x-aisopod-device-id", TABLET)];
    assert_eq!(open(&server, &wrong).await.err(), Some(401));
    let other = file.replace(PHONE, TABLET);
    aisopod::import(app, &other, &"alice".parse().unwrap(), false, server.now()).await.unwrap().unwrap();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(open(&server, &wrong).await.err().unwrap());
    }
    assert!(statuses.starts_with(&[401]) && statuses.ends_with(&[503]), "{statuses:?}");
}

#[tokio::test]
async fn tokens_are_kept_for_export_where_that_is_wanted() {
    let server = Server::with(&[("pairing.token_hash", "argon2id")]).await;
    let token = paired(&server, PHONE).await;
    let (file, left_out) = aisopod::export(&server.running.app).await.unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    let table: toml::Table = file.parse().unwrap();
    let hash = table[PHONE]["token_hash"].as_str().unwrap().to_owned();
    let hasher = &server.running.app.hasher;
    assert!(hasher.verify(Plain::new(token.clone()), Some(hash.clone())).await.unwrap());
    let refreshed = connect(&server, Some(&token)).await.result("node.pair.refresh", json!({})).await;
    let (file, _) = aisopod::export(&server.running.app).await.unwrap();
    assert!(!file.contains(&hash) && !file.contains(text(&refreshed, "device_token")));
}

#[tokio::test]
async fn an_operator_may_be_a_person() {
    let server = operated().await;
    server.add_user("bob").await;
    let settings =
        ClientSettings { scopes: Some("operator.pairing".parse().unwrap()), ..ClientSettings::default() };
    server.add_client("console", None, settings).await;
    // Nobody's, by the token of the configuration.
    let (mut gateway, mut phone) = (connect(&server, Some(GATEWAY)).await, connect(&server, None).await);
    let code = phone.request(PHONE).await;
    gateway.result("node.pair.approve", json!({ "device_id": PHONE })).await;
    phone.result("node.pair.confirm", confirming(&code, PHONE)).await;
    // Bob's.
    let mut tablet = connect(&server, None).await;
    let code = tablet.request(TABLET).await;
    approve(&server, "bob", &code).await;
    tablet.result("node.pair.confirm", confirming(&code, TABLET)).await;

    let tokens = server.login("console", "operator.pairing").await;
    let access = text(&tokens, "access_token").to_owned();
    let mut alice = connect(&server, Some(&access)).await;
    for (socket, node, owner) in [(&mut phone, PHONE, Value::Null), (&mut tablet, TABLET, json!("bob"))] {
        let code = socket.request(node).await;
        alice.result("node.pair.approve", json!({ "pairing_code": code })).await;
        let got = socket.result("node.pair.confirm", confirming(&code, node)).await;
        let verified = alice.result("node.pair.verify", json!({ "device_token": got["device_token"] })).await;
        assert_eq!(verified["device"]["owner"], owner, "whose it was it stays");
    }
    // What she may, she may as long as her token lives.
    server.post("/oauth2/v1/revoke", &[("token", &access), ("client_id", "console")]).await;
    let _code = phone.request("6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c003").await;
    let mut heard = Vec::new();
    while let Some(Message::Text(text)) = alice.frame().await {
        heard.push(text.to_string());
    }
    assert!(!heard.iter().any(|text| text.contains("c003")), "{heard:?}");
}

/// A socket that is open has no more than its client may ask for now.
#[tokio::test]
async fn a_scope_that_was_taken_from_the_client_ends_its_sockets() {
    let server = operated().await;
    let scopes =
        |scopes: &str| ClientSettings { scopes: Some(scopes.parse().unwrap()), ..ClientSettings::default() };
    server.add_client("console", None, scopes("openid operator.pairing")).await;
    let tokens = server.login("console", "openid operator.pairing").await;
    let mut alice = connect(&server, Some(text(&tokens, "access_token"))).await;
    alice.result("node.pair.list", json!({})).await;
    let (id, by) = ("console".parse().unwrap(), By::COMMAND_LINE);
    let app = &server.running.app;
    clients::edit(app, &by, &id, scopes("openid"), None, server.now()).await.unwrap().unwrap();
    alice.say(r#"{"jsonrpc":"2.0","id":9,"method":"node.pair.list","params":{}}"#).await;
    assert_eq!(alice.closed().await, 4001);
}

#[tokio::test]
async fn a_node_hears_wherever_it_is_by_then() {
    let server = server().await;
    let mut phone = connect(&server, None).await;
    let code = phone.request(PHONE).await;
    drop(phone);
    let mut again = connect(&server, None).await;
    assert_eq!(
        again.error("node.pair.confirm", confirming(&code, PHONE)).await.1,
        "Pairing is awaiting approval"
    );
    approve(&server, "alice", &code).await;
    assert_eq!(again.told().await["params"]["decision"], "approved");
    // Asked for anew, the older one is over, and is said to be.
    let mut other = connect(&server, None).await;
    let newer = other.request(PHONE).await;
    assert_eq!(
        again.error("node.pair.confirm", confirming(&code, PHONE)).await.1,
        "Invalid or expired pairing code"
    );
    let newest = again.request(PHONE).await;
    assert_eq!(other.told().await["params"]["decision"], "expired");
    assert_ne!(newer, newest);
}

#[tokio::test]
async fn a_silent_peer_is_dropped_alone() {
    let server = Server::with(&[("pairing.ping_interval", "50ms"), ("pairing.pong_timeout", "2s")]).await;
    let hub = &server.running.app.hub;
    // It reads, and so answers pings without a word of its own.
    let mut lively = connect(&server, None).await;
    // It does not read, and so never answers.
    let silent = connect(&server, None).await;
    let reading = tokio::spawn(async move {
        let last = lively.frame().await;
        (lively, last)
    });
    until("the silent one is dropped", || hub.count() == 1).await;
    drop(silent);
    assert!(!reading.is_finished());
    // What stops the server is the first that it hears.
    server.running.shutdown().await;
    let (_, last) = reading.await.unwrap();
    assert!(matches!(last, Some(Message::Close(Some(frame))) if u16::from(frame.code) == 1001));
}

#[tokio::test]
async fn upgrades_and_sockets_have_an_end() {
    let server =
        Server::with(&[("rate_limit.upgrades_per_address", "12"), ("server.max_sockets", "2")]).await;
    let _open = [connect(&server, None).await, connect(&server, None).await];
    assert_eq!(open(&server, &[]).await.err(), Some(503), "of all addresses together");
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(open(&server, &[("authorization", "Bearer nonsense")]).await.err().unwrap());
    }
    assert_eq!(statuses, [[401; 9].as_slice(), &[429]].concat());
    server.pass(60);
    assert_eq!(open(&server, &[("authorization", "Bearer nonsense")]).await.err(), Some(401));
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten() {
    let server = operated_with(&[("retention.tokens", "1d")]).await;
    let token = paired(&server, PHONE).await;
    let mut device = connect(&server, Some(&token)).await;
    device.result("node.pair.revoke", json!({ "device_id": PHONE })).await;
    server.pass(86_000);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    assert_eq!(server.count("node").await, 1);
    server.pass(86_400);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    assert_eq!(server.count("node").await, 0);
}

#[tokio::test]
async fn two_devices_ask_at_once_and_neither_ends_the_other() {
    let server = Server::with(&[("server.trusted_proxies", "list:127.0.0.1")]).await;
    for round in 0..10 {
        let node = format!("6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c1{round:02}");
        let (mut one, mut two) = (from(&server, "192.0.2.1").await, from(&server, "192.0.2.2").await);
        let (first, second) = tokio::join!(
            one.call("node.pair.request", facts(&node)),
            two.call("node.pair.request", facts(&node))
        );
        let codes =
            [&first, &second].map(|answer| answer["result"]["pairing_code"].as_str().map(str::to_owned));
        assert_eq!(codes.iter().flatten().count(), 1, "{first} {second}");
    }
}

#[tokio::test]
async fn closes_are_answered_and_broken_frames_named() {
    let server = server().await;
    let mut polite = connect(&server, None).await;
    polite.stream.close(None).await.unwrap();
    assert!(matches!(polite.frame().await, Some(Message::Close(_))), "RFC 6455 §5.5.1");
    assert!(polite.frame().await.is_none());
    // A frame with a reserved bit, masked with zeros.
    let mut broken = connect(&server, None).await;
    let MaybeTlsStream::Plain(stream) = broken.stream.get_mut() else { panic!("no TLS here") };
    stream.write_all(&[0xC1, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(broken.closed().await, 1002);
    let mut binary = connect(&server, None).await;
    binary.stream.send(Message::Binary(vec![1].into())).await.unwrap();
    assert_eq!(binary.closed().await, 1003);
}

#[tokio::test]
async fn one_socket_waits_for_many_and_hears_of_every_end() {
    let server = Server::with(&[("pairing.code_ttl", "1s")]).await;
    let mut hub = connect(&server, None).await;
    hub.request(PHONE).await;
    hub.request(TABLET).await;
    server.pass(1);
    // Not by the sweep, which comes once a minute.
    let mut ended = [hub.told().await, hub.told().await].map(|told| {
        assert_eq!(told["params"]["decision"], "expired");
        text(&told["params"], "device_id").to_owned()
    });
    ended.sort();
    assert_eq!(ended, [PHONE, TABLET]);
}
