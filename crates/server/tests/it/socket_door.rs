//! The socket door: pairing over a real WebSocket.

use countersign_server::flow::accounts::UserAct;
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::socket::{GATEWAY, PHONE, connect, facts, open, operated, paired};
use crate::support::{Server, server, text};

#[tokio::test]
async fn a_phone_pairs_when_its_person_approves() {
    let server = server().await;
    let mut phone = connect(&server, None).await;
    let asked = phone.result("node.pair.request", facts(PHONE)).await;
    let code = text(&asked, "pairing_code").to_owned();
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    assert_eq!(asked["expires_in"], 300);
    assert_eq!(asked["expires_at"], "2027-01-15T08:05:00Z");
    assert!(text(&asked, "verification_uri").ends_with("/device"));
    let confirm = json!({ "pairing_code": code, "device_id": PHONE.to_uppercase() });
    let waiting = phone.call("node.pair.confirm", confirm.clone()).await;
    assert_eq!(waiting["error"]["message"], "Pairing is awaiting approval");
    assert_eq!(waiting["error"]["data"], json!({ "status": "pending", "interval": 5 }));

    let mut browser = server.signed_in("alice").await;
    browser.enter(&format!("{} {}", code.split_at(3).0, code.split_at(3).1)).await;
    browser.expect(200, "wants to be paired with your account");
    for words in ["Ada&#39;s phone", "ios", "1.4.2", PHONE, "127.0.0.1"] {
        assert!(browser.page.contains(words), "no {words} in {}", browser.page);
    }
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(200, "Device connected");
    let told = phone.told().await;
    assert_eq!(told["method"], "node.pair.resolved");
    assert_eq!(
        (&told["params"]["decision"], &told["params"]["device_id"]),
        (&json!("approved"), &json!(PHONE))
    );

    let got = phone.result("node.pair.confirm", confirm.clone()).await;
    assert_eq!(got["scopes"], json!(["operator.read"]));
    let token = text(&got, "device_token");
    assert!(token.starts_with("cs_dt_"));
    assert_eq!(
        phone.error("node.pair.confirm", confirm).await,
        (-32003, "Invalid or expired pairing code".to_owned())
    );

    // It is in the inventory, and good everywhere.
    let mut connected = connect(&server, Some(token)).await;
    let listed = connected.result("node.pair.list", json!({})).await;
    let line = &listed["paired"][0];
    assert_eq!(
        (&line["device_id"], &line["owner"], &line["online"], &line["revoked"]),
        (&json!(PHONE), &json!("alice"), &json!(true), &json!(false))
    );
    browser.get("/account").await;
    assert!(browser.page.contains("online") && browser.page.contains(PHONE), "{}", browser.page);
    browser.submit("device_id", &[("action", "rename"), ("name", "Kitchen <b>tablet</b>")]).await;
    browser.expect(200, "The new name is saved");
    assert!(browser.page.contains("Kitchen &#60;b&#62;tablet") && !browser.page.contains("<b>tablet"));
    let metrics = server.http.get(server.ops("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("countersign_sockets_open 2"), "{metrics}");
    assert!(metrics.contains("countersign_grants_total{door=\"socket\",state=\"redeemed\"} 1"), "{metrics}");
    let secret = server.api().await;
    let found = server.introspect(&secret, token).await;
    assert_eq!(
        (&found["active"], &found["token_type"], &found["device_id"], &found["username"]),
        (&json!(true), &json!("device_token"), &json!(PHONE), &json!("alice"))
    );
    let me = server.v1(reqwest::Method::GET, "/v1/auth/me", Some(token), None).await.ok();
    assert_eq!(me["credential"]["type"], "device_token");
    // Disconnected on the page, it is closed at once.
    browser.submit("device_id", &[("action", "revoke")]).await;
    browser.expect(200, "The device is disconnected");
    assert_eq!(connected.closed().await, 4001);
    assert_eq!(open(&server, &[("authorization", &format!("DeviceToken {token}"))]).await.err(), Some(401));
    assert_eq!(server.introspect(&secret, token).await, json!({ "active": false }));
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_words_that_clients_know() {
    let server = server().await;
    let mut phone = connect(&server, None).await;
    let mut with = async |changes: Value| {
        let mut params = facts(PHONE);
        for (name, value) in changes.as_object().unwrap() {
            params[name] = value.clone();
        }
        phone.error("node.pair.request", params).await
    };
    assert_eq!(
        with(json!({ "device_type": "windows" })).await,
        (-32602, "Invalid device_type: 'windows'. Must be 'ios', 'android', or 'desktop'".to_owned())
    );
    assert_eq!(
        with(json!({ "device_id": "x" })).await,
        (-32602, "Invalid device_id: 'x'. Must be a valid UUID string".to_owned())
    );
    assert_eq!(with(json!({ "device_name": 7 })).await.0, -32602);
    assert_eq!(with(json!({ "device_name": "a\u{202e}b" })).await.0, -32602);
    assert_eq!(phone.error("node.pair.request", json!({})).await, (-32602, "Missing parameters".to_owned()));
    assert_eq!(phone.error("node.pair.list", json!({})).await.0, -32001);
    assert_eq!(phone.error("node.nothing", json!({})).await.0, -32001, "strangers are told nothing");
    let confirm = json!({ "pairing_code": "000000", "device_id": PHONE });
    assert_eq!(
        phone.error("node.pair.confirm", confirm).await,
        (-32003, "Invalid or expired pairing code".to_owned())
    );
    let code = phone.request(PHONE).await;
    let other = json!({ "pairing_code": code, "device_id": "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c002" });
    for _ in 0..5 {
        assert_eq!(
            phone.error("node.pair.confirm", other.clone()).await.1,
            "Device ID does not match pairing request"
        );
    }
    let own = json!({ "pairing_code": code, "device_id": PHONE });
    assert_eq!(
        phone.error("node.pair.confirm", own).await.1,
        "Invalid or expired pairing code",
        "five wrong ones end it"
    );
    let code = phone.request(PHONE).await;
    server.pass(300);
    let late = json!({ "pairing_code": code, "device_id": PHONE });
    assert_eq!(phone.error("node.pair.confirm", late).await.1, "Pairing code has expired");
    // Frames that are no calls harm nobody.
    for (frame, code) in
        [("{", -32700), ("[]", -32600), ("7", -32600), (r#"{"jsonrpc":"2.0","id":1}"#, -32600)]
    {
        phone.say(frame).await;
        assert_eq!(phone.next().await["error"]["code"], code, "{frame}");
    }
    phone.say(r#"{"jsonrpc":"2.0","method":"node.pair.list"}"#).await;
    phone.say(r#"[{"jsonrpc":"2.0","method":"x","id":"a"},{"jsonrpc":"2.0","method":"y"},1]"#).await;
    let batch = phone.next().await;
    assert_eq!(batch.as_array().map(Vec::len), Some(2), "{batch}");
    assert_eq!(batch[0]["id"], "a");
}

#[tokio::test]
async fn an_operator_hears_approves_and_rejects() {
    let server = operated().await;
    let mut operator = connect(&server, Some(GATEWAY)).await;
    let mut phone = connect(&server, None).await;
    let code = phone.request(PHONE).await;
    let told = operator.told().await;
    assert_eq!(
        (&told["method"], &told["params"]["device_id"]),
        (&json!("node.pair.requested"), &json!(PHONE))
    );
    assert_eq!(told["params"]["address"], "127.0.0.1");
    assert!(!told.to_string().contains(&code), "codes never");
    let listed = operator.result("node.pair.list", json!({})).await;
    assert_eq!(listed["pending"].as_array().map(Vec::len), Some(1));

    let rejected = operator.result("node.pair.reject", json!({ "device_id": PHONE })).await;
    assert_eq!(rejected, json!({ "rejected": true, "device_id": PHONE }));
    assert_eq!(phone.told().await["params"]["decision"], "rejected");
    assert_eq!(operator.told().await["params"]["decision"], "rejected");
    let confirm = json!({ "pairing_code": code, "device_id": PHONE });
    let answer = phone.call("node.pair.confirm", confirm).await;
    assert_eq!(
        (&answer["error"]["message"], &answer["error"]["data"]["status"]),
        (&json!("Pairing was rejected"), &json!("rejected"))
    );

    let code = phone.request(PHONE).await;
    operator.result("node.pair.approve", json!({ "pairing_code": code })).await;
    assert_eq!(phone.told().await["params"]["decision"], "approved");
    let confirm = json!({ "pairing_code": code, "device_id": PHONE });
    let token = text(&phone.result("node.pair.confirm", confirm).await, "device_token").to_owned();
    let mut connected = connect(&server, Some(&token)).await;
    // Nobody's device; an operator verifies, refreshes and revokes it.
    let verified = operator.result("node.pair.verify", json!({ "device_token": token })).await;
    assert_eq!((&verified["ok"], &verified["device"]["owner"]), (&json!(true), &Value::Null));
    assert_eq!(connected.error("node.pair.approve", json!({ "device_id": PHONE })).await.0, -32001);
    let refreshed = connected.result("node.pair.refresh", json!({})).await;
    assert_eq!(connected.closed().await, 4002, "the reply came first");
    assert_eq!(
        operator.result("node.pair.verify", json!({ "device_token": token })).await,
        json!({ "ok": false })
    );
    let mut connected = connect(&server, refreshed["device_token"].as_str()).await;
    let renamed =
        connected.result("node.pair.rename", json!({ "device_id": PHONE, "device_name": "Kitchen" })).await;
    assert_eq!(renamed["device_name"], "Kitchen");
    let unknown = json!({ "device_id": "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c009" });
    assert_eq!(connected.result("node.pair.revoke", unknown).await, json!({ "revoked": false }));
    assert_eq!(
        connected.result("node.pair.remove", json!({ "device_id": PHONE })).await,
        json!({ "removed": true })
    );
    assert_eq!(connected.closed().await, 4001);
    assert_eq!(server.count("node").await, 0);
    // The operator confirms by itself, and gets the token.
    let code = phone.request(PHONE).await;
    let confirm = json!({ "pairing_code": code, "device_id": PHONE });
    let got = operator.result("node.pair.confirm", confirm).await;
    assert!(text(&got, "device_token").starts_with("cs_dt_"));
}

#[tokio::test]
async fn pairing_again_keeps_the_owner() {
    let server = operated().await;
    let first = paired(&server, PHONE).await;
    let mut connected = connect(&server, Some(&first)).await;
    let mut phone = connect(&server, None).await;
    let code = phone.request(PHONE).await;
    // Somebody else may not take it over.
    server.add_user("bob").await;
    let mut bob = server.signed_in("bob").await;
    bob.enter(&code).await;
    bob.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    bob.expect(409, "belongs to another account");
    let mut alice = server.signed_in("alice").await;
    alice.enter(&code).await;
    alice.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    alice.expect(200, "Device connected");
    // The old token is good until the new one is there.
    connected.result("node.pair.list", json!({})).await;
    let confirm = json!({ "pairing_code": code, "device_id": PHONE });
    phone.result("node.pair.confirm", confirm).await;
    assert_eq!(connected.closed().await, 4002);
    assert_eq!(server.count("node").await, 1);
    // An operator pairs it anew, and it stays alice's.
    let mut operator = connect(&server, Some(GATEWAY)).await;
    let code = phone.request(PHONE).await;
    operator.result("node.pair.confirm", json!({ "pairing_code": code, "device_id": PHONE })).await;
    let listed = operator.result("node.pair.list", json!({})).await;
    assert_eq!(
        (&listed["paired"][0]["owner"], listed["paired"].as_array().map(Vec::len)),
        (&json!("alice"), Some(1))
    );
    // A disabled owner's devices are closed.
    let token = paired(&server, "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c00a").await;
    let mut connected = connect(&server, Some(&token)).await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    assert_eq!(connected.closed().await, 4001);
}

#[tokio::test]
async fn sixteen_at_once_get_one_token() {
    let server = std::sync::Arc::new(server().await);
    let mut phone = connect(&server, None).await;
    let code = phone.request(PHONE).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&code).await;
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (server, code) = (server.clone(), code.clone());
        tasks.spawn(async move {
            let mut socket = connect(&server, None).await;
            let params = json!({ "pairing_code": code, "device_id": PHONE });
            socket.call("node.pair.confirm", params).await["result"].is_object()
        });
    }
    let got = tasks.join_all().await.into_iter().filter(|got| *got).count();
    assert_eq!((got, server.count("node").await), (1, 1));
}

#[tokio::test]
async fn self_approval_is_for_those_who_want_it() {
    let server = Server::with(&[("pairing.approval", "self"), ("pairing.token_ttl", "1h")]).await;
    let mut phone = connect(&server, None).await;
    let code = phone.request(PHONE).await;
    let got = phone.result("node.pair.confirm", json!({ "pairing_code": code, "device_id": PHONE })).await;
    let token = text(&got, "device_token");
    connect(&server, Some(token)).await.result("node.pair.list", json!({})).await;
    server.pass(3600);
    assert_eq!(open(&server, &[("authorization", &format!("Bearer {token}"))]).await.err(), Some(401));
}

#[tokio::test]
async fn upgrades_are_judged_before_anything_is_said() {
    let server = Server::with(&[("rate_limit.sockets_per_address", "3")]).await;
    let refused = open(&server, &[("authorization", "Bearer nonsense")]).await.err();
    assert_eq!(
        (refused, open(&server, &[("authorization", "Basic YTpi")]).await.err()),
        (Some(401), Some(401))
    );
    assert_eq!(server.get("/ws").await.status, 426);
    for (version, welcome) in [
        ("1.0", true),
        ("1.1", false),
        ("2.0", false),
        ("1", false),
        ("", false),
        ("1.0.0", false),
        ("+1.0", false),
    ] {
        let mut socket = open(&server, &[("x-aisopod-protocol-version", version)]).await.unwrap();
        let first = socket.next().await;
        if welcome {
            assert_eq!(first["method"], "system.welcome", "{version}");
            assert_eq!(first["params"]["protocol_version"], "1.0");
        } else {
            assert_eq!((&first["error"]["code"], &first["id"]), (&json!(-32010), &Value::Null), "{version}");
            assert_eq!(first["error"]["data"]["server_version"], "1.0");
            socket.closed().await;
        }
    }
    let _open = [connect(&server, None).await, connect(&server, None).await];
    let mut third = None;
    // The place of a socket that was closed comes free a moment later.
    while third.is_none() {
        third = open(&server, &[]).await.ok();
    }
    assert_eq!(open(&server, &[]).await.err(), Some(429));
}

#[tokio::test]
async fn a_socket_has_so_many_calls_and_frames_are_bounded() {
    let server = operated().await;
    let mut operator = connect(&server, Some(GATEWAY)).await;
    let calls: Vec<Value> =
        (0..100).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "node.pair.list" })).collect();
    operator.say(&Value::Array(calls).to_string()).await;
    let answers = operator.next().await;
    let limited =
        answers.as_array().unwrap().iter().filter(|answer| answer["error"]["code"] == -32002).count();
    assert!((30..=40).contains(&limited), "{limited}");
    let mut phone = connect(&server, None).await;
    let long = "x".repeat(300 * 1024);
    drop(phone.stream.send(Message::Text(long.into())).await);
    phone.closed().await;
    // The others go on.
    operator.stream.send(Message::Ping(vec![1].into())).await.unwrap();
    connect(&server, None).await.request(PHONE).await;
}
