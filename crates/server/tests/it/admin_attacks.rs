//! What administrators are led into, and what outlives what they did.

use std::time::Duration;

use countersign_core::client::GrantType;
use countersign_server::flow::clients::ClientSettings;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::admin_api::{API, Ask, Problem as _, office};
use crate::support::{Server, text};

async fn own_token(server: &Server, secret: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", secret),
        ("scope", "admin"),
    ];
    text(&server.post("/oauth2/v1/token", &form).await.ok(), "access_token").to_owned()
}

/// The name comes back, and what was issued to its bearer before does not.
#[tokio::test]
async fn tokens_of_a_removed_client_stay_dead_when_its_id_is_used_again() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    for format in ["jwt", "opaque"] {
        let robot = json!({ "client_id": "robot", "auth_method": "client_secret", "settings": { "name": "Robot", "grants": ["client_credentials"], "scopes": ["admin"], "token_format": format } });
        let made = ask.post("/clients", robot.clone()).await;
        let old = own_token(&server, text(&made.json, "client_secret")).await;
        Ask::new(&server, &old).get("/users").await;
        ask.send(Method::DELETE, "/clients/robot", None).await;
        Ask::new(&server, &old).send(Method::GET, "/users", None).await.problem(401, "unauthorized");
        // In the same second.
        server.running.app.clock.advance(Duration::from_millis(1));
        let again = ask.post("/clients", robot).await;
        assert_eq!(again.status, 201, "{}", again.json);
        Ask::new(&server, &old).send(Method::GET, "/users", None).await.problem(401, "unauthorized");
        let new = own_token(&server, text(&again.json, "client_secret")).await;
        Ask::new(&server, &new).get("/users").await;
        ask.send(Method::DELETE, "/clients/robot", None).await;
    }
}

/// A client that was added where the clock is ahead gets tokens that are good.
#[tokio::test]
async fn a_client_of_the_next_second_gets_tokens_that_are_good() {
    let (server, _) = office().await;
    let settings = ClientSettings {
        grants: Some(vec![GrantType::ClientCredentials]),
        scopes: Some("admin".parse().unwrap()),
        ..ClientSettings::default()
    };
    let secret = server.add_client("robot", Some(()), settings).await;
    server.database().run("UPDATE client SET created_at = created_at + 900000 WHERE id = 'robot'").await;
    let server = server.restart().await;
    let token = own_token(&server, &secret).await;
    Ask::new(&server, &token).get("/users").await;
}

#[tokio::test]
async fn nobody_is_called_like_somebody_elses_id_or_page() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let alice = ask.get("/users/alice").await;
    let id = text(&alice, "id");
    for name in [id, &id.to_uppercase(), &id.replace('-', ""), ".", "..", "new", "a/b"] {
        ask.post("/users", json!({ "name": name })).await.problem(422, "invalid");
    }
    assert_eq!(text(&ask.get(&format!("/users/{id}")).await, "name"), "alice");
    for id in [".", "..", "new"] {
        let new = json!({ "client_id": id, "settings": { "name": "Nobody" } });
        ask.post("/clients", new).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn what_people_are_called_holds_nothing_that_is_not_seen() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let long = "x".repeat(2000);
    for bad in [
        json!({ "full_name": "\u{1b}]0;owned\u{7}" }),
        json!({ "full_name": long }),
        json!({ "tier": "gold\rsilver" }),
        json!({ "email": "a@b.example\r\nBcc: x@y.example" }),
        json!({ "email": "x" }),
        json!({ "email": "@" }),
        json!({ "email": "a@b.example,d@e.example" }),
        json!({ "email": "<a@b.example>" }),
        json!({ "full_name": "a\u{202e}b" }),
    ] {
        ask.send(Method::PATCH, "/users/alice", Some(bad.clone())).await.problem(422, "invalid");
        let mut new = bad;
        new["name"] = json!("mallory");
        ask.post("/users", new).await.problem(422, "invalid");
    }
    // No form takes it, so nobody could sign in with it.
    let nul = json!({ "password": "correct\0horse battery" });
    ask.post("/users/alice/password", nul).await.problem(422, "invalid");
}

#[tokio::test]
async fn a_field_is_said_once() {
    let (server, token) = office().await;
    let twice = r#"{"name": "eve", "admin": false, "admin": true}"#;
    let request = server.http.post(server.url(&format!("{API}/users"))).bearer_auth(&token);
    let reply = request.header("content-type", "application/json").body(twice).send().await.unwrap();
    assert_eq!(reply.status(), 422);
    assert!(reply.text().await.unwrap().contains("admin stands there twice"));
    assert_eq!(server.count("account WHERE name = 'eve'").await, 0);
}

/// What an administrator looked at is what is changed: who was disabled meanwhile is somebody else.
#[tokio::test]
async fn whatever_changes_a_person_changes_their_etag() {
    let (server, token) = office().await;
    server.add_user("bob").await;
    let ask = Ask::new(&server, &token);
    for act in ["disable", "enable"] {
        let seen = format!("\"{}\"", ask.get("/users/bob").await["revision"]);
        assert_eq!(ask.post(&format!("/users/bob/{act}"), json!({})).await.status, 204);
        let promote = Some(json!({ "admin": true }));
        let late = Ask::new(&server, &token).with("if-match", &seen);
        late.send(Method::PATCH, "/users/bob", promote).await.problem(412, "changed");
    }
}

/// Also what ends or locks out is done only to what was looked at.
#[tokio::test]
async fn what_changed_since_it_was_looked_at_is_left_alone() {
    let (server, token) = office().await;
    server.add_user("bob").await;
    server.add_client("kiosk", None, ClientSettings::default()).await;
    let with = |tag: &str| Ask::new(&server, &token).with("if-match", tag);
    let acts = ["sign-out", "reset-factors", "password", "disable", "enable"];
    for stale in ["\"7\"", "W/\"1\"", "\"+1\"", "\"01\""] {
        for act in acts {
            with(stale).post(&format!("/users/bob/{act}"), json!({})).await.problem(412, "changed");
        }
        for path in ["/users/bob", "/clients/kiosk"] {
            with(stale).send(Method::DELETE, path, None).await.problem(412, "changed");
        }
    }
    assert_eq!(
        server.count("audit WHERE action IN ('user.disabled', 'user.signed_out', 'client.removed')").await,
        0
    );
    for act in acts {
        let seen = format!("\"{}\"", with("*").get("/users/bob").await["revision"]);
        let done = with(&seen).post(&format!("/users/bob/{act}"), json!({})).await;
        assert!(matches!(done.status, 200 | 204), "{act}: {}", done.json);
    }
    let seen = format!("\"{}\"", with("*").get("/users/bob").await["revision"]);
    for (path, seen) in [("/users/bob", seen.as_str()), ("/clients/kiosk", "\"1\"")] {
        assert_eq!(with(seen).send(Method::DELETE, path, None).await.status, 204);
        with(seen).send(Method::DELETE, path, None).await.problem(404, "not-found");
    }
}

/// Nobody gets a login back that administered, by giving its client the scope back.
#[tokio::test]
async fn logins_end_with_the_scope_of_their_client() {
    let (server, token) = office().await;
    let settings =
        ClientSettings { scopes: Some("openid admin".parse().unwrap()), ..ClientSettings::default() };
    server.add_client("laptop", None, settings).await;
    let ask = Ask::new(&server, &token);
    let login = server.login("laptop", "openid admin").await;
    let plain = server.login("laptop", "openid").await;
    let waits = server.ask("laptop", "openid admin").await;
    server.signed_in("alice").await.approve(&waits).await;
    for scopes in [json!(["openid"]), json!(["openid", "admin"])] {
        ask.send(Method::PATCH, "/clients/laptop", Some(json!({ "scopes": scopes }))).await.ok();
        let old = Ask::new(&server, text(&login, "access_token"));
        old.send(Method::GET, "/keys", None).await.problem(401, "unauthorized");
        server.refresh("laptop", text(&login, "refresh_token")).await.refused(400, "invalid_grant");
        server.poll(&waits).await.refused(400, "access_denied");
    }
    server.refresh("laptop", text(&plain, "refresh_token")).await.ok();
}

/// Who mistypes a filter is not given everything, and the place in one list is none in another.
#[tokio::test]
async fn what_is_asked_of_lists_is_said_right() {
    let (server, token) = office().await;
    server.add_user("bob").await;
    let ask = Ask::new(&server, &token);
    for path in [
        "/clients?limt=2",
        "/users?Q=x",
        "/devices?usr=a",
        "/audit?actoin=grant",
        "/figures?day=1",
        "/keys?q=x",
        "/notices?status=failed",
        "/devices?address=10.0.0.0/8",
    ] {
        ask.send(Method::GET, path, None).await.problem(422, "invalid");
    }
    ask.send(Method::GET, "/audit/export?actoin=grant", None).await.problem(422, "invalid");
    let next = text(&ask.get("/users?limit=1").await, "next").to_owned();
    assert_eq!(ask.get(&format!("/users?limit=1&cursor={next}")).await["items"][0]["name"], "bob");
    // As well as NUL, which no database takes, after each list's mark.
    for cursor in [next.as_str(), "AAAA", "YwBh", "dQBh", "ZABh"] {
        for list in ["clients", "devices", "users"] {
            let path = format!("/{list}?cursor={cursor}");
            if (list, cursor) != ("users", &next) {
                ask.send(Method::GET, &path, None).await.problem(422, "invalid");
            }
        }
    }
}

/// Whoever administers alone could not be let in again by anybody.
#[tokio::test]
async fn nobody_locks_themself_out() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    ask.post("/users/alice/disable", json!({})).await.problem(409, "conflict");
    ask.send(Method::DELETE, "/users/alice", None).await.problem(409, "conflict");
    let demote = Some(json!({ "admin": false }));
    ask.send(Method::PATCH, "/users/alice", demote).await.problem(409, "conflict");
    assert_eq!(ask.get("/users/alice").await["status"], "enabled");
}

/// What is as it was is no change: nobody else's `ETag` goes stale.
#[tokio::test]
async fn nothing_comes_of_a_change_that_changes_nothing() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let edits = async || server.count("audit WHERE action IN ('user.edited', 'client.edited')").await;
    let earlier = edits().await;
    for (path, same) in [("/users/alice", json!({ "admin": true })), ("/clients/console", json!({}))] {
        let before = ask.get(path).await;
        assert_eq!(ask.send(Method::PATCH, path, Some(same)).await.ok(), before);
    }
    assert_eq!(edits().await, earlier);
}

/// A key stands for one request of one caller: with what it saw, and of who it is.
#[tokio::test]
async fn an_idempotency_key_is_of_one_request_of_one_caller() {
    let (server, token) = office().await;
    server.add_client("kiosk", Some(()), ClientSettings::default()).await;
    let rotate = async |seen: &str| {
        let ask = Ask::new(&server, &token).with("idempotency-key", "one").with("if-match", seen);
        ask.post("/clients/kiosk/rotate-secret", json!({})).await
    };
    let first = rotate("\"1\"").await.ok();
    assert_eq!(rotate("\"1\"").await.ok(), first);
    rotate("\"2\"").await.problem(422, "key-reused");
    let request = server.http.post(server.url(&format!("{API}/users/alice/sign-out"))).bearer_auth(&token);
    let twice = request.header("idempotency-key", "a").header("idempotency-key", "b").send().await.unwrap();
    assert_eq!(twice.status(), 422);
    // Whoever is called so later is another, and is not told what was answered before.
    let machine = || ClientSettings {
        grants: Some(vec![GrantType::ClientCredentials]),
        scopes: Some("admin".parse().unwrap()),
        ..ClientSettings::default()
    };
    let mut told = Vec::new();
    for _ in 0..2 {
        let secret = server.add_client("robot", Some(()), machine()).await;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "robot"),
            ("client_secret", &secret),
            ("scope", "admin"),
        ];
        let own = server.post("/oauth2/v1/token", &form).await.ok();
        let ask = Ask::new(&server, text(&own, "access_token")).with("idempotency-key", "mine");
        told.push(ask.post("/users/alice/password", json!({})).await.ok());
        server.office().remove_client("robot", None).await.unwrap().unwrap();
        server.pass(1);
    }
    assert_ne!(told[0], told[1]);
}

/// Of a change and a removal at once, each of what was looked at, one is done.
#[tokio::test]
async fn a_removal_and_a_change_at_once_are_one() {
    let (server, token) = office().await;
    for round in 0..8 {
        let id = format!("kiosk{round}");
        server.add_client(&id, None, ClientSettings::default()).await;
        let path = format!("/clients/{id}");
        let ask = Ask::new(&server, &token).with("if-match", "\"1\"");
        let (removed, changed) = futures_util::join!(
            ask.send(Method::DELETE, &path, None),
            ask.send(Method::PATCH, &path, Some(json!({ "name": "Changed" }))),
        );
        assert!(
            matches!((removed.status, changed.status), (204, 404) | (412, 200)),
            "{} {}",
            removed.status,
            changed.status
        );
    }
}

/// Without a precondition the last one wins, and nobody is turned away.
#[tokio::test]
async fn many_who_change_the_same_thing_at_once_all_do() {
    let (server, token) = office().await;
    let ask = &Ask::new(&server, &token);
    let change = async |number: u32| {
        let user = json!({ "full_name": format!("Alice {number}") });
        let client = json!({ "name": format!("Console {number}") });
        let user = ask.send(Method::PATCH, "/users/alice", Some(user)).await;
        let client = ask.send(Method::PATCH, "/clients/console", Some(client)).await;
        (user.status, client.status)
    };
    let all = futures_util::future::join_all((0..16).map(change)).await;
    assert!(all.iter().all(|found| *found == (200, 200)), "{all:?}");
}

/// What somebody approved who was no administrator does not wait for them to become one.
#[tokio::test]
async fn an_approval_from_before_administers_nothing_after() {
    let (server, token) = office().await;
    server.add_user("mallory").await;
    let device = server.ask("console", "openid admin").await;
    server.signed_in("mallory").await.approve(&device).await;
    let promote = json!({ "admin": true });
    Ask::new(&server, &token).send(Method::PATCH, "/users/mallory", Some(promote)).await.ok();
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn searches_take_words_as_they_stand() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    for (name, full_name) in [("a_b", "100 % Ärger!"), ("axb", "Nobody")] {
        assert_eq!(ask.post("/users", json!({ "name": name, "full_name": full_name })).await.status, 201);
    }
    let found = async |words: &str| -> Vec<String> {
        let found = ask.get(&format!("/users?q={words}")).await;
        found["items"].as_array().unwrap().iter().map(|user| text(user, "name").to_owned()).collect()
    };
    assert_eq!(found("a_b").await, ["a_b"]);
    assert_eq!(found("A_B").await, ["a_b"]);
    assert_eq!(found("%25").await, ["a_b"]);
    assert_eq!(found("%C3%84rger!").await, ["a_b"]);
    assert_eq!(found("%5C").await, Vec::<String>::new());
    assert_eq!(ask.get("/clients?q=_").await["items"], json!([]));
    assert_eq!(ask.get("/devices?q=%25").await["items"], json!([]));
    assert_eq!(ask.get("/audit?action=%25").await["items"], json!([]));
    assert_eq!(ask.get("/audit?action=user_added").await["items"], json!([]));
}

#[tokio::test]
async fn the_trail_of_somebody_who_is_gone_is_found_by_their_id() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let made = ask.post("/users", json!({ "name": "gone" })).await;
    let id = text(&made.json, "id").to_owned();
    server.pass(1);
    ask.send(Method::DELETE, "/users/gone", None).await;
    let trail = ask.get(&format!("/audit?user={id}")).await;
    let actions: Vec<&str> =
        trail["items"].as_array().unwrap().iter().map(|row| text(row, "action")).collect();
    assert_eq!(actions, ["user.removed", "user.added"]);
    for nothing in ["user=gone", "address=bogus", "address=10.0.0.0/8", "since=yesterday", "client=a%20b"] {
        ask.send(Method::GET, &format!("/audit?{nothing}"), None).await.problem(422, "invalid");
        ask.send(Method::GET, &format!("/audit/export?{nothing}"), None).await.problem(422, "invalid");
    }
}

/// Somebody who hangs up at once has what they asked for done all the same, and may ask again for the answer.
#[tokio::test]
async fn what_was_begun_is_done_when_nobody_waits_for_it() {
    let (server, token) = office().await;
    let body = json!({ "name": "left" }).to_string();
    let head = format!(
        "POST {API}/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nIdempotency-Key: left\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = tokio::net::TcpStream::connect(server.running.address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    drop(connection);
    let ask = Ask::new(&server, &token).with("idempotency-key", "left");
    let answer: Value = loop {
        let again = ask.post("/users", json!({ "name": "left" })).await;
        if again.status == 201 {
            break again.json;
        }
        again.problem(409, "under-way");
        tokio::task::yield_now().await;
    };
    assert_eq!(text(&answer, "name"), "left");
    assert_eq!(
        server
            .count("audit WHERE action = 'user.added' AND actor IS NOT NULL AND actor <> 'command line'")
            .await,
        1
    );
}
