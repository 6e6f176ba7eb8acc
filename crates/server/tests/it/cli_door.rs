//! The CLI door over HTTP, forward and reverse.

use countersign_server::flow::accounts::UserAct;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, ORIGIN};
use serde_json::{Value, json};

use crate::support::{Browser, Device, Reply, Server, server, text};

impl Server {
    pub async fn v1(&self, method: Method, path: &str, bearer: Option<&str>, body: Option<Value>) -> Reply {
        let mut request = self.http.request(method, self.url(path));
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Reply::of(request.send().await.unwrap()).await
    }

    pub async fn post_json(&self, path: &str, body: Value) -> Reply {
        self.v1(Method::POST, path, None, Some(body)).await
    }

    pub async fn ask_key(&self, body: Value) -> Device {
        let json = self.post_json("/v1/auth/device", body).await.ok();
        Device {
            client: String::new(),
            device_code: text(&json, "device_code").to_owned(),
            user_code: text(&json, "user_code").to_owned(),
            json,
        }
    }

    pub async fn poll_key(&self, device: &Device) -> Reply {
        self.post_json("/v1/auth/device/token", json!({ "device_code": device.device_code })).await
    }

    pub async fn verify(&self, code: &str) -> Reply {
        self.post_json("/v1/auth/cli-verify", json!({ "cli_code": code })).await
    }

    /// An API key of alice's.
    pub async fn key(&self) -> Value {
        let device = self.ask_key(json!({})).await;
        self.signed_in("alice").await.approve(&device).await;
        self.poll_key(&device).await.ok()
    }

    /// An access token of alice's with this scope.
    pub async fn access_token(&self, scope: &str) -> String {
        let settings = countersign_server::flow::clients::ClientSettings {
            scopes: Some("openid email profile devices".parse().unwrap()),
            ..Default::default()
        };
        self.add_client("dashboard", None, settings).await;
        text(&self.login("dashboard", scope).await, "access_token").to_owned()
    }
}

impl Browser<'_> {
    /// A call with the session's cookie and form token.
    pub async fn v1(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let csrf = self.form("action")["csrf_token"].clone();
        let mut request = self.server().http.request(method, self.server().url(path));
        request = request.header(COOKIE, self.cookie.clone().unwrap()).header("x-csrf-token", csrf);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Reply::of(request.send().await.unwrap()).await
    }
}

#[track_caller]
pub fn failed(reply: &Reply, status: u16, error: &str) {
    reply.refused(status, error);
    let detail = &reply.json["detail"];
    let said = match detail {
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => fields["error"] == error && fields["message"].is_string(),
        Value::Array(issues) => {
            issues.iter().all(|issue| issue["loc"][0] == "body" && issue["msg"].is_string())
        }
        _ => false,
    };
    assert!(said, "{detail}");
}

#[tokio::test]
async fn forward_ends_in_a_key_once() {
    let server = server().await;
    let device = server.ask_key(json!({ "name": "build server", "scopes": "deploy read" })).await;
    let json = &device.json;
    assert_eq!((json["expires_in"].as_u64(), json["interval"].as_u64()), (Some(900), Some(5)));
    let page = text(json, "verification_url");
    assert!(page.ends_with("/device") && page == text(json, "verification_uri"));
    assert_eq!(text(json, "verification_uri_complete"), format!("{page}?user_code={}", device.user_code));
    failed(&server.poll_key(&device).await, 400, "authorization_pending");
    let early = server.poll_key(&device).await;
    failed(&early, 400, "slow_down");
    assert_eq!(
        (early.json["interval"].as_u64(), early.json["detail"]["interval"].as_u64()),
        (Some(10), Some(10))
    );

    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "A command line wants an API key for your account");
    for words in ["build server", "365 days", "deploy", "127.0.0.1"] {
        assert!(browser.page.contains(words), "no {words} in {}", browser.page);
    }
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(200, "Device connected");

    let got = server.poll_key(&device).await.ok();
    let key = text(&got, "api_key");
    assert!(key.starts_with("cs_sk_") && key.len() == 6 + 43, "{key}");
    assert_eq!(got["key"]["name"], "build server");
    assert_eq!(got["key"]["expires_at"], "2028-01-15T08:00:00Z");
    assert_eq!(got["user"]["email"], "alice@example.com");
    assert_eq!(got["user"]["tier"], "none");
    let again = server.poll_key(&device).await;
    failed(&again, 400, "invalid_grant");
    assert!(again.json["detail"].is_string(), "the published client stops polling only then");

    let me = server.v1(Method::GET, "/v1/auth/me", Some(key), None).await.ok();
    assert_eq!(me["user"]["id"], got["user"]["id"]);
    assert_eq!(me["credential"]["scopes"], json!(["deploy", "read"]));
    let secret = server.api().await;
    let found = server.introspect(&secret, key).await;
    assert_eq!(
        (&found["active"], &found["scope"], &found["username"]),
        (&json!(true), &json!("deploy read"), &json!("alice"))
    );
}

#[tokio::test]
async fn every_poll_says_what_happened() {
    let server = server().await;
    failed(
        &server.post_json("/v1/auth/device/token", json!({ "device_code": "never" })).await,
        404,
        "not_found",
    );
    let denied = server.ask_key(json!({})).await;
    server.signed_in("alice").await.deny(&denied).await;
    let said = server.poll_key(&denied).await;
    failed(&said, 400, "access_denied");
    assert!(said.json["detail"].is_string());
    let late = server.ask_key(json!({})).await;
    server.pass(900);
    let said = server.poll_key(&late).await;
    failed(&said, 400, "expired_token");
    assert_eq!(said.json["detail"]["error"], "expired_token");
}

#[tokio::test]
async fn a_client_limits_what_may_be_asked_for() {
    let server = server().await;
    let settings = countersign_server::flow::clients::ClientSettings {
        name: Some("Acme tool".to_owned()),
        scopes: Some("read write".parse().unwrap()),
        ..Default::default()
    };
    server.add_client("acme", None, settings).await;
    server.api().await;
    let ask = async |body: Value| server.post_json("/v1/auth/device", body).await;
    failed(&ask(json!({ "client_id": "nobody" })).await, 400, "invalid_client");
    failed(&ask(json!({ "client_id": "api" })).await, 400, "invalid_client");
    failed(&ask(json!({ "client_id": "acme", "scopes": ["read", "admin"] })).await, 400, "invalid_scope");
    let device = server.ask_key(json!({ "client_id": "acme", "scopes": ["read"] })).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Acme tool wants an API key");
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    let got = server.poll_key(&device).await.ok();
    // What is removed takes its keys along.
    server.office().remove_client("acme", None).await.unwrap().unwrap();
    failed(&server.v1(Method::GET, "/v1/auth/me", got["api_key"].as_str(), None).await, 401, "unauthorized");
}

#[tokio::test]
async fn bodies_are_judged_as_the_published_clients_expect() {
    let server = server().await;
    let url = server.url("/v1/auth/device/token");
    let send = async |kind: &str, body: &str| {
        let request = server.http.post(&url).header("content-type", kind).body(body.to_owned());
        Reply::of(request.send().await.unwrap()).await
    };
    for (body, kind) in [
        ("{}", "missing"),
        ("", "missing"),
        (r#"{"device_code": 7}"#, "string_type"),
        (r#"{"device_code": null}"#, "string_type"),
        ("{", "json_invalid"),
        ("[]", "model_attributes_type"),
        (r#""text""#, "model_attributes_type"),
    ] {
        let reply = send("application/json", body).await;
        failed(&reply, 422, "invalid_request");
        assert_eq!(reply.json["detail"][0]["type"], kind, "{body}: {}", reply.json);
    }
    failed(&send("text/plain", "device_code=x").await, 415, "invalid_request");
    failed(&send("application/json", &"x".repeat(70_000)).await, 413, "invalid_request");
    failed(&send("application/json; charset=utf-8", r#"{"device_code":"x"}"#).await, 404, "not_found");
    failed(&server.v1(Method::GET, "/v1/auth/device", None, None).await, 405, "invalid_request");
    failed(&server.v1(Method::GET, "/v1/nothing", None, None).await, 404, "not_found");
    // Nothing at all is a question, too, as the published client asks it.
    Reply::of(server.http.post(server.url("/v1/auth/device")).send().await.unwrap()).await.ok();
    let bad = json!({ "name": 7, "scopes": {}, "client_id": [] });
    let reply = server.post_json("/v1/auth/device", bad).await;
    failed(&reply, 422, "invalid_request");
    assert_eq!(reply.json["detail"].as_array().map(Vec::len), Some(3));
    failed(
        &server.post_json("/v1/auth/device", json!({ "name": "a\u{202e}b" })).await,
        422,
        "invalid_request",
    );
}

#[tokio::test]
async fn codes_of_one_door_do_nothing_at_another() {
    let server = server().await;
    let (tokens, key) = (server.ask("tv", "openid").await, server.ask_key(json!({})).await);
    // Device codes.
    failed(&server.poll_key(&tokens).await, 404, "not_found");
    server.poll_as("tv", &key).await.refused(400, "invalid_grant");
    // User codes: the page takes both, the API of this door its own alone.
    let token = server.access_token("openid devices").await;
    let authorize = async |code: &str| {
        let body = Some(json!({ "user_code": code }));
        server.v1(Method::POST, "/v1/auth/device/authorize", Some(&token), body).await
    };
    failed(&authorize(&tokens.user_code).await, 404, "not_found");
    // Reverse codes, in the box and in the API; user codes on a command line.
    let mut browser = server.signed_in("alice").await;
    let made = browser.v1(Method::POST, "/v1/auth/dashboard-code", None).await.ok();
    let reverse = text(&made, "cli_code");
    browser.enter(reverse).await;
    browser.expect(400, "This code is not right");
    failed(&authorize(reverse).await, 404, "not_found");
    failed(&server.verify(&key.user_code).await, 404, "not_found");
    failed(&server.verify(&tokens.user_code).await, 404, "not_found");
    // Each was counted as wrong.
    assert_eq!(server.count("audit WHERE action = 'code.wrong'").await, 3);
    assert_eq!(server.count("audit WHERE action = 'reverse_code.wrong'").await, 2);
    assert_eq!(server.verify(&reverse.to_lowercase()).await.status, 200);
    authorize(&key.user_code).await.ok();
    failed(&authorize(&key.user_code).await, 404, "not_found");
    server.poll_key(&key).await.ok();
}

#[tokio::test]
async fn reverse_ends_in_a_key_once() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    browser.submit("action", &[("action", "connect")]).await;
    browser.expect(200, "Type this into your command line");
    let page = browser.path.clone();
    let code = browser.page.split("shown-code\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(browser.page.contains(&format!("--code {code}")) && code.len() == 6, "{}", browser.page);
    assert!(browser.page.contains("15:00"));
    server.pass(60);
    browser.get(&page).await;
    browser.expect(200, "14:00");
    let (first, second) = code.split_at(3);
    let got = server.verify(&format!(" {}-{second} ", first.to_lowercase())).await.ok();
    assert_eq!(got["key"]["name"], "CLI (Dashboard Code)");
    assert_eq!(got["user"]["email"], "alice@example.com");
    let again = server.verify(&code).await;
    failed(&again, 400, "invalid_request");
    assert!(again.json["detail"].is_string());
    browser.get(&page).await;
    browser.expect(200, "Command line connected");
    assert!(browser.page.contains("127.0.0.1"));
    // Nobody else learns of it.
    server.add_user("bob").await;
    let mut bob = server.signed_in("bob").await;
    bob.get(&page).await;
    bob.expect(404, "Page not found");
    // This wasn't me.
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    failed(&server.v1(Method::GET, "/v1/auth/me", got["api_key"].as_str(), None).await, 401, "unauthorized");
    // Expired, it is as unknown as any.
    let made = browser_code(&server).await;
    server.pass(900);
    failed(&server.verify(&made).await, 404, "not_found");
}

async fn browser_code(server: &Server) -> String {
    let browser = server.signed_in("alice").await;
    let made = browser.v1(Method::POST, "/v1/auth/dashboard-code", None).await.ok();
    assert_eq!(made["expires_in"], 900);
    assert!(text(&made, "message").contains(text(&made, "cli_code")));
    text(&made, "cli_code").to_owned()
}

#[tokio::test]
async fn a_person_has_five_reverse_codes_and_may_withdraw_one() {
    let server = server().await;
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(browser_code(&server).await);
        server.pass(1);
    }
    failed(&server.verify(&codes[0]).await, 404, "not_found");
    for code in &codes[1..] {
        server.verify(code).await.ok();
    }
    let mut browser = server.signed_in("alice").await;
    browser.submit("action", &[("action", "connect")]).await;
    let code = browser.page.split("shown-code\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let page = browser.path.clone();
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    failed(&server.verify(&code).await, 404, "not_found");
    browser.get(&page).await;
    browser.expect(200, "This code has ended");
}

#[tokio::test]
async fn wrong_reverse_codes_are_limited_and_then_the_right_one_is_refused_too() {
    let server = server().await;
    let code = browser_code(&server).await;
    for wrong in ["AAAAAA", "aaaaaa", "x", "", "ÄÖÜ%&/"] {
        failed(&server.verify(wrong).await, 404, "not_found");
    }
    let limited = server.verify(&code).await;
    failed(&limited, 429, "rate_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    server.pass(60);
    server.verify(&code).await.ok();
}

#[tokio::test]
async fn of_many_at_once_one_gets_a_key() {
    let limits =
        [("rate_limit.wrong_reverse_codes_per_address", "1000"), ("rate_limit.wrong_reverse_codes", "1000")];
    let server = std::sync::Arc::new(Server::with(&limits).await);
    let code = browser_code(&server).await;
    let device = server.ask_key(json!({})).await;
    server.signed_in("alice").await.approve(&device).await;
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..128 {
        let (server, code, device) = (server.clone(), code.clone(), device.clone());
        tasks.spawn(async move {
            if at % 2 == 0 {
                server.verify(&code).await.status
            } else {
                server.poll_key(&device).await.status
            }
        });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 400)), "{statuses:?}");
    assert_eq!(server.count("api_key").await, 2);
}

#[tokio::test]
async fn who_may_call_what() {
    let server = server().await;
    let key = server.key().await;
    let (key, id) = (text(&key, "api_key").to_owned(), text(&key["key"], "id").to_owned());
    let weak = server.access_token("openid").await;
    let strong = text(&server.login("dashboard", "openid devices").await, "access_token").to_owned();
    let browser = server.signed_in("alice").await;
    let new = || Some(json!({ "name": "ci" }));
    let code = || Some(json!({ "user_code": "ABCD-EFGH" }));
    // (what, body, API key, token without the scope, token with it, session)
    let calls: [(Method, String, Option<Value>, [u16; 4]); 10] = [
        (Method::GET, "/v1/auth/me".into(), None, [200, 200, 200, 200]),
        (Method::GET, "/v1/auth/devices".into(), None, [200, 403, 200, 200]),
        (Method::GET, "/v1/auth/api-keys".into(), None, [200, 403, 200, 200]),
        (Method::GET, "/v1/devices".into(), None, [403, 403, 200, 200]),
        (Method::POST, "/v1/auth/api-keys".into(), new(), [403, 403, 201, 201]),
        (Method::POST, "/v1/auth/dashboard-code".into(), None, [403, 403, 200, 200]),
        (Method::POST, "/v1/auth/device/authorize".into(), code(), [403, 403, 404, 404]),
        (Method::POST, format!("/v1/auth/api-keys/{id}/rotate"), Some(json!({})), [403, 403, 201, 409]),
        (Method::DELETE, "/v1/devices/nonsense".into(), None, [403, 403, 404, 404]),
        (
            Method::DELETE,
            "/v1/auth/api-keys/0197b0d2-7c9c-7d4e-8f5a-0123456789ab".into(),
            None,
            [404, 403, 404, 404],
        ),
    ];
    for (method, path, body, expected) in calls {
        let mut got = Vec::new();
        for token in [&key, &weak, &strong] {
            got.push(server.v1(method.clone(), &path, Some(token), body.clone()).await.status);
        }
        got.push(browser.v1(method.clone(), &path, body).await.status);
        assert_eq!(got, expected, "{method} {path}");
    }
    // A key may revoke itself and nothing else.
    let other = text(&server.key().await["key"], "id").to_owned();
    let revoke =
        async |id: &str| server.v1(Method::DELETE, &format!("/v1/auth/devices/{id}"), Some(&key), None).await;
    failed(&revoke(&other).await, 403, "forbidden");
    assert_eq!(revoke(&id).await.status, 204);
    failed(&revoke(&id).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_session_needs_its_form_token_and_our_origin() {
    let server = server().await;
    let browser = server.signed_in("alice").await;
    let cookie = browser.cookie.clone().unwrap();
    let csrf = browser.form("action")["csrf_token"].clone();
    let call = async |headers: &[(&str, &str)]| {
        let mut request = server.http.post(server.url("/v1/auth/dashboard-code")).header(COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.send().await.unwrap()).await
    };
    failed(&call(&[]).await, 401, "unauthorized");
    failed(&call(&[("x-csrf-token", "AAAA")]).await, 403, "forbidden");
    failed(
        &call(&[("x-csrf-token", &csrf), (ORIGIN.as_str(), "https://evil.example")]).await,
        403,
        "forbidden",
    );
    failed(
        &call(&[("x-csrf-token", &csrf), (AUTHORIZATION.as_str(), "Basic YTpi")]).await,
        401,
        "unauthorized",
    );
    failed(
        &call(&[("x-csrf-token", &csrf), (AUTHORIZATION.as_str(), "Bearer user_123")]).await,
        401,
        "unauthorized",
    );
    call(&[("x-csrf-token", &csrf)]).await.ok();
}

#[tokio::test]
async fn a_claimed_name_must_be_the_callers() {
    let server = server().await;
    let token = server.access_token("openid devices").await;
    let me = server.v1(Method::GET, "/v1/auth/me", Some(&token), None).await.ok();
    let device = server.ask_key(json!({})).await;
    let authorize = async |claimed: &str| {
        let body =
            json!({ "user_code": device.user_code, "stack_user_id": claimed, "email": "x@evil.example" });
        server.v1(Method::POST, "/v1/auth/device/authorize", Some(&token), Some(body)).await
    };
    failed(&authorize("somebody-else").await, 403, "forbidden");
    failed(&authorize("").await, 403, "forbidden");
    let approved = authorize(text(&me["user"], "id")).await.ok();
    assert_eq!(approved["user_code"], device.user_code);
    assert_eq!(server.poll_key(&device).await.ok()["user"]["email"], "alice@example.com");
}

#[tokio::test]
async fn the_confirm_page_does_not_promise_a_longer_life_than_is_true() {
    for (ttl, words) in [("90s", "90 seconds"), ("3h", "3 hours"), ("36h", "36 hours"), ("50h", "2 days")] {
        let server = Server::with(&[("cli.key_ttl", ttl)]).await;
        let device = server.ask_key(json!({})).await;
        let mut browser = server.signed_in("alice").await;
        browser.enter(&device.user_code).await;
        browser.expect(200, words);
    }
}

#[tokio::test]
async fn the_inventory_holds_every_door() {
    let server = server().await;
    let token = server.access_token("openid devices").await;
    server.pass(1);
    let key = server.key().await;
    let list = async || server.v1(Method::GET, "/v1/devices", Some(&token), None).await.ok();
    let devices = list().await;
    let doors: Vec<&str> = devices.as_array().unwrap().iter().map(|device| text(device, "door")).collect();
    assert_eq!(doors, ["cli", "oauth"]);
    assert_eq!(
        (&devices[0]["place"], &devices[0]["client"], &devices[0]["status"]),
        (&json!("127.0.0.1"), &Value::Null, &json!("active"))
    );
    let id = text(&key["key"], "id");
    let path = format!("/v1/devices/{id}");
    assert_eq!(server.v1(Method::DELETE, &path, Some(&token), None).await.status, 204);
    failed(&server.v1(Method::DELETE, &path, Some(&token), None).await, 404, "not_found");
    assert_eq!(list().await[0]["status"], "revoked");
    // The page, too.
    server.key().await;
    let mut browser = server.signed_in("alice").await;
    assert!(browser.page.contains("API key") && browser.page.contains("CLI (Device Authorization)"));
    browser.submit("device_id", &[("action", "revoke")]).await;
    browser.expect(200, "The device is disconnected");
    assert_eq!(server.count("api_key WHERE revoked_at IS NULL").await, 0);
}

#[tokio::test]
async fn whoever_is_disabled_has_no_keys_and_no_codes() {
    let server = server().await;
    let got = server.key().await;
    let code = browser_code(&server).await;
    let approved = server.ask_key(json!({})).await;
    server.signed_in("alice").await.approve(&approved).await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    failed(&server.v1(Method::GET, "/v1/auth/me", got["api_key"].as_str(), None).await, 401, "unauthorized");
    failed(&server.verify(&code).await, 404, "not_found");
    failed(&server.poll_key(&approved).await, 400, "access_denied");
    server.office().act_on_user("alice", UserAct::Enable, None).await.unwrap().unwrap();
    failed(&server.v1(Method::GET, "/v1/auth/me", got["api_key"].as_str(), None).await, 401, "unauthorized");
    failed(&server.verify(&code).await, 404, "not_found");
    failed(&server.poll_key(&approved).await, 400, "access_denied");
}

#[tokio::test]
async fn a_failure_on_the_way_leaves_the_code_good() {
    let server = server().await;
    let code = browser_code(&server).await;
    let device = server.ask_key(json!({})).await;
    server.signed_in("alice").await.approve(&device).await;
    server.database().break_table("api_key", "INSERT").await;
    let broken = server.verify(&code).await;
    failed(&broken, 500, "server_error");
    assert!(!broken.json.to_string().contains("injected"), "{}", broken.json);
    failed(&server.poll_key(&device).await, 500, "server_error");
    server.database().mend("api_key").await;
    server.verify(&code).await.ok();
    server.poll_key(&device).await.ok();
}

#[tokio::test]
async fn no_key_and_no_code_stands_in_the_database() {
    let server = server().await;
    let code = browser_code(&server).await;
    let got = server.key().await;
    let key = text(&got, "api_key");
    let dump = server.database().dump().await;
    for secret in [key, key.strip_prefix("cs_sk_").unwrap(), code.as_str()] {
        assert!(!dump.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    assert!(dump.windows(9).any(|window| window == b"CLI (Devi"), "the dump shows what is stored");
}

#[tokio::test]
async fn what_a_login_made_ends_with_the_approval_that_is_taken_back() {
    let server = server().await;
    let settings = countersign_server::flow::clients::ClientSettings {
        scopes: Some("openid devices".parse().unwrap()),
        ..Default::default()
    };
    server.add_client("dashboard", None, settings).await;
    let device = server.ask("dashboard", "openid devices").await;
    let mut alice = server.signed_in("alice").await;
    alice.approve(&device).await;
    let token = text(&server.poll(&device).await.ok(), "access_token").to_owned();
    let call = async |path: &str, body: Value| server.v1(Method::POST, path, Some(&token), Some(body)).await;
    let made = call("/v1/auth/api-keys", json!({ "name": "spawn" })).await;
    let used = call("/v1/auth/dashboard-code", json!({})).await.ok();
    let reverse = server.verify(text(&used, "cli_code")).await.ok();
    let unused = call("/v1/auth/dashboard-code", json!({})).await.ok();
    let (collected, open) = (server.ask_key(json!({})).await, server.ask_key(json!({})).await);
    for asked in [&collected, &open] {
        call("/v1/auth/device/authorize", json!({ "user_code": asked.user_code })).await.ok();
    }
    let forward = server.poll_key(&collected).await.ok();
    // One that its person made on the page is none of it.
    let own = server.key().await;
    alice.submit("undo", &[("undo", "undo")]).await;
    alice.expect(200, "Undone");
    for key in [&made.json, &reverse, &forward] {
        let me = server.v1(Method::GET, "/v1/auth/me", Some(text(key, "api_key")), None).await;
        assert_eq!(me.status, 401, "{}", me.json);
    }
    failed(&server.verify(text(&unused, "cli_code")).await, 404, "not_found");
    failed(&server.poll_key(&open).await, 400, "access_denied");
    server.v1(Method::GET, "/v1/auth/me", Some(text(&own, "api_key")), None).await.ok();
}
