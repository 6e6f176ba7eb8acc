//! Administration over HTTP.

use countersign_core::audit::By;
use countersign_core::client::GrantType;
use countersign_server::flow::accounts::{self, Changes};
use countersign_server::flow::clients::ClientSettings;
use countersign_server::flow::figures;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Server, server, text};

pub const API: &str = "/admin/api/v1";

fn admin_scope() -> ClientSettings {
    ClientSettings { scopes: Some("openid admin".parse().unwrap()), ..ClientSettings::default() }
}

/// A server, and an administrator's token.
pub async fn office() -> (Server, String) {
    let server = server().await;
    let token = administrator(&server).await;
    (server, token)
}

async fn administrator(server: &Server) -> String {
    let changes = Changes { admin: Some(true), ..Changes::default() };
    let app = &server.running.app;
    accounts::edit(app, &By::COMMAND_LINE, &"alice".parse().unwrap(), changes, None, server.now())
        .await
        .unwrap()
        .unwrap();
    server.add_client("console", None, admin_scope()).await;
    text(&server.login("console", "openid admin").await, "access_token").to_owned()
}

pub struct Ask<'a> {
    server: &'a Server,
    token: &'a str,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Ask<'a> {
    pub fn new(server: &'a Server, token: &'a str) -> Self {
        Self { server, token, headers: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = self
            .server
            .http
            .request(method, self.server.url(&format!("{API}{path}")))
            .bearer_auth(self.token);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = body.iter().fold(request, reqwest::RequestBuilder::json);
        Reply::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.ok()
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }
}

pub trait Problem {
    fn problem(&self, status: u16, kind: &str);
}

impl Problem for Reply {
    #[track_caller]
    fn problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json["type"], format!("urn:countersign:problem:{kind}"), "{}", self.json);
        assert_eq!(self.json["status"], status);
        assert!(!text(&self.json, "title").is_empty() && !text(&self.json, "detail").is_empty());
        assert!(self.headers.contains_key("x-request-id"));
    }
}

/// Every way in that is none.
#[tokio::test]
async fn only_administrators_come_in() {
    let (server, token) = office().await;
    let get = async |token: &str| Ask::new(&server, token).send(Method::GET, "/clients", None).await;
    assert_eq!(get(&token).await.status, 200);
    // Without the scope, without being an administrator, for somebody else's API.
    let bare = server.login("console", "openid").await;
    get(text(&bare, "access_token")).await.problem(403, "forbidden");
    get("junk").await.problem(401, "unauthorized");
    let foreign =
        server.ask_with("console", &[("scope", "admin"), ("resource", "https://api.example")]).await;
    server.signed_in("alice").await.approve(&foreign).await;
    let foreign = server.poll(&foreign).await.ok();
    get(text(&foreign, "access_token")).await.problem(401, "unauthorized");
    server.add_user("bob").await;
    let device = server.ask("console", "openid admin").await;
    server.signed_in("bob").await.approve(&device).await;
    let bobs = server.poll(&device).await.ok();
    get(text(&bobs, "access_token")).await.problem(403, "forbidden");
    // A cookie is no credential here, so no page can be talked into anything.
    let browser = server.signed_in("alice").await;
    let request = server
        .http
        .get(server.url(&format!("{API}/clients")))
        .header("cookie", browser.cookie.clone().unwrap());
    Reply::of(request.send().await.unwrap()).await.problem(401, "unauthorized");
    // Whoever is no administrator any more is none at once; so is a revoked login.
    let changes = Changes { admin: Some(false), ..Changes::default() };
    let app = &server.running.app;
    accounts::edit(app, &By::COMMAND_LINE, &"alice".parse().unwrap(), changes, None, server.now())
        .await
        .unwrap()
        .unwrap();
    get(&token).await.problem(401, "unauthorized");
    // None of what they had comes back with it, nor wakes up what somebody had before.
    for name in ["alice", "bob"] {
        let changes = Changes { admin: Some(true), ..Changes::default() };
        let edited =
            accounts::edit(app, &By::COMMAND_LINE, &name.parse().unwrap(), changes, None, server.now()).await;
        edited.unwrap().unwrap();
    }
    get(&token).await.problem(401, "unauthorized");
    get(text(&bobs, "access_token")).await.problem(401, "unauthorized");
    server.refresh("console", text(&bobs, "refresh_token")).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn keys_and_clients_may_administer_if_they_were_made_for_it() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    // A key of an administrator's with the scope; one without is none.
    let mut browser = server.signed_in("alice").await;
    browser.get("/account").await;
    let mut keys = Vec::new();
    for (scopes, status) in [("admin", 200), ("other", 403)] {
        let body = json!({ "name": "automation", "scopes": scopes });
        let made = browser.v1(Method::POST, "/v1/auth/api-keys", Some(body)).await;
        assert_eq!(made.status, 201, "{}", made.json);
        let reply = Ask::new(&server, text(&made.json, "api_key")).send(Method::GET, "/keys", None).await;
        assert_eq!(reply.status, status, "{}", reply.json);
        keys.push(made.json);
    }
    // A login that may do less makes no key that may do more, nor does somebody who is no administrator.
    let login = server.access_token("openid devices").await;
    let body = json!({ "name": "more", "scopes": "admin" });
    let refused = server.v1(Method::POST, "/v1/auth/api-keys", Some(&login), Some(body.clone())).await;
    refused.refused(403, "forbidden");
    let rotate = format!("/v1/auth/api-keys/{}/rotate", text(&keys[0]["key_info"], "id"));
    server.v1(Method::POST, &rotate, Some(&login), Some(json!({}))).await.refused(403, "forbidden");
    server.add_user("bob").await;
    let mut bob = server.signed_in("bob").await;
    bob.get("/account").await;
    bob.v1(Method::POST, "/v1/auth/api-keys", Some(body)).await.refused(403, "forbidden");
    let machine = ClientSettings {
        grants: Some(vec![GrantType::ClientCredentials]),
        scopes: Some("admin".parse().unwrap()),
        ..ClientSettings::default()
    };
    let secret = server.add_client("terraform", Some(()), machine).await;
    let own = async |scope: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "terraform"),
            ("client_secret", &secret),
            ("scope", scope),
        ];
        text(&server.post("/oauth2/v1/token", &form).await.ok(), "access_token").to_owned()
    };
    Ask::new(&server, &own("").await).send(Method::GET, "/users", None).await.problem(403, "forbidden");
    let machine = own("admin").await;
    // Rows of one moment have no order.
    server.pass(1);
    let made = Ask::new(&server, &machine)
        .post("/users", json!({ "name": "carol", "password": "correct horse battery" }))
        .await;
    assert_eq!(made.status, 201, "{}", made.json);
    let trail = ask.get("/audit?action=user.added").await;
    let actors: Vec<&str> = trail["items"].as_array().unwrap().iter().map(|row| text(row, "actor")).collect();
    assert_eq!(actors.iter().filter(|actor| **actor == "client terraform").count(), 1, "{actors:?}");
    // Nobody knows who asks at the CLI door without a client, so nobody gets that scope there.
    let asked = server.v1(Method::POST, "/v1/auth/device", None, Some(json!({ "scopes": "admin" }))).await;
    asked.refused(400, "invalid_scope");
    let named = json!({ "scopes": "admin", "client_id": "console" });
    server.v1(Method::POST, "/v1/auth/device", None, Some(named)).await.refused(400, "invalid_scope");
    // What is taken from a client is taken from its tokens at once, and it cannot give it back to itself; they
    // do not sleep until somebody else does.
    let more = json!({ "scopes": ["openid", "admin"] });
    for scopes in [json!({ "scopes": ["openid"] }), more] {
        ask.send(Method::PATCH, "/clients/terraform", Some(scopes)).await.ok();
        server.pass(1);
        Ask::new(&server, &machine).send(Method::GET, "/users", None).await.problem(401, "unauthorized");
    }
    server.pass(1);
    let machine = own("admin").await;
    Ask::new(&server, &machine).get("/users").await;
    for grants in [json!({ "grants": ["device_code"] }), json!({ "grants": ["client_credentials"] })] {
        ask.send(Method::PATCH, "/clients/terraform", Some(grants)).await.ok();
        Ask::new(&server, &machine).send(Method::GET, "/users", None).await.problem(401, "unauthorized");
    }
    // Keys that administer end with being an administrator, and do not come back with it.
    for admin in [false, true] {
        let changes = Changes { admin: Some(admin), ..Changes::default() };
        let app = &server.running.app;
        accounts::edit(app, &By::COMMAND_LINE, &"alice".parse().unwrap(), changes, None, server.now())
            .await
            .unwrap()
            .unwrap();
        let key = text(&keys[0], "api_key");
        Ask::new(&server, key).send(Method::GET, "/keys", None).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_second_factor_is_demanded_where_it_is_demanded() {
    let (server, token) = office().await;
    Ask::new(&server, &token).get("/users").await;
    // It came of one factor, which is not enough any more.
    let issuer = server.running.app.public_url.issuer();
    let strict =
        server.twin(&[("login.second_factor", "administrators"), ("server.public_url", issuer)]).await;
    Ask::new(&strict, &token).send(Method::GET, "/users", None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn clients_are_made_changed_rotated_and_removed() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let new = json!({ "client_id": "tv2", "auth_method": "client_secret", "settings": { "name": "TV 2", "scopes": ["openid"], "code_ttl": "5m", "policy": { "mismatch": "deny" } } });
    let made = ask.post("/clients", new.clone()).await;
    assert_eq!((made.status, &made.headers["etag"]), (201, &"\"1\"".parse().unwrap()), "{}", made.json);
    let secret = text(&made.json, "client_secret").to_owned();
    ask.post("/clients", new).await.problem(409, "conflict");
    let seen = ask.get("/clients/tv2").await;
    assert_eq!(
        (&seen["code_ttl"], &seen["policy"]["mismatch"], seen.get("client_secret")),
        (&json!("5m"), &json!("deny"), None)
    );
    // Who has not seen the newest change changes nothing.
    let edit = async |tag: &str, name: &str| {
        let ask = Ask::new(&server, &token).with("if-match", tag);
        ask.send(Method::PATCH, "/clients/tv2", Some(json!({ "name": name }))).await
    };
    edit("\"7\"", "No").await.problem(412, "changed");
    edit("W/\"1\"", "No").await.problem(412, "changed");
    let edited = edit("\"1\"", "Better TV").await;
    assert_eq!(
        (edited.status, &edited.headers["etag"], text(&edited.json, "name")),
        (200, &"\"2\"".parse().unwrap(), "Better TV")
    );
    edit("\"1\"", "Stale").await.problem(412, "changed");
    assert_eq!(edit("*", "Any").await.status, 200);
    let reset = json!({ "reset": ["code_ttl", "policy"] });
    let reset = ask.send(Method::PATCH, "/clients/tv2", Some(reset)).await.ok();
    assert_eq!((&reset["code_ttl"], &reset["policy"]), (&Value::Null, &json!({})));
    let rotated = ask.post("/clients/tv2/rotate-secret", json!({ "overlap": "1h" })).await.ok();
    assert!(rotated["old_secret_until"].is_string());
    for secret in [secret.as_str(), text(&rotated, "client_secret")] {
        server
            .post("/oauth2/v1/device_authorization", &[("client_id", "tv2"), ("client_secret", secret)])
            .await
            .ok();
    }
    for bad in [
        json!({ "name": "" }),
        json!({ "nmae": "x" }),
        json!({ "scopes": ["a b"] }),
        json!({ "grants": ["password"] }),
        json!({ "code_ttl": "soon" }),
        json!({ "redirect_uris": ["http://evil.example"] }),
        json!({ "reset": ["everything"] }),
        json!({ "token_format": "cookie" }),
        json!({ "access_ttl": "2d" }),
        json!([]),
    ] {
        ask.send(Method::PATCH, "/clients/tv2", Some(bad)).await.problem(422, "invalid");
    }
    let gone = ask.send(Method::DELETE, "/clients/tv2", None).await;
    assert_eq!(gone.status, 204);
    for (method, path) in [
        (Method::GET, "/clients/tv2"),
        (Method::DELETE, "/clients/tv2"),
        (Method::GET, "/clients/%00"),
        (Method::GET, "/nothing"),
    ] {
        ask.send(method, path, None).await.problem(404, "not-found");
    }
    ask.send(Method::PUT, "/clients", Some(json!({}))).await.problem(405, "method");
}

#[tokio::test]
async fn people_are_made_changed_and_locked_out() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let made = ask.post("/users", json!({ "name": "Dora", "email": "dora@example.com" })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let password = text(&made.json, "password").to_owned();
    assert_eq!(text(&made.json, "name"), "dora");
    let mut browser = server.browser();
    browser.get("/login?next=account").await;
    browser.submit("password", &[("username", "dora"), ("password", &password)]).await;
    browser.expect(200, "Your devices");
    assert_eq!(ask.post("/users/dora/sign-out", json!({})).await.status, 204);
    browser.get("/account").await;
    browser.expect(200, "Sign in");
    let edited = Ask::new(&server, &token)
        .with("if-match", "\"1\"")
        .send(Method::PATCH, "/users/dora", Some(json!({ "email": "", "tier": "gold" })))
        .await
        .ok();
    assert_eq!(
        (&edited["email"], &edited["tier"], &edited["revision"]),
        (&Value::Null, &json!("gold"), &json!(2))
    );
    let stale = Ask::new(&server, &token)
        .with("if-match", "\"1\"")
        .send(Method::PATCH, "/users/dora", Some(json!({})))
        .await;
    stale.problem(412, "changed");
    assert_eq!(
        ask.post("/users/dora/password", json!({ "password": "another horse battery" })).await.status,
        204
    );
    assert!(ask.post("/users/dora/password", json!({})).await.ok()["password"].is_string());
    ask.post("/users/dora/password", json!({ "password": "short" })).await.problem(422, "invalid");
    assert_eq!(ask.post("/users/dora/disable", json!({})).await.status, 204);
    ask.post("/users/dora/disable", json!({})).await.problem(409, "conflict");
    assert_eq!(ask.get("/users/dora").await["status"], "disabled");
    assert_eq!(ask.post("/users/dora/enable", json!({})).await.status, 204);
    assert_eq!(ask.post("/users/dora/reset-factors", json!({})).await.status, 204);
    let id = ask.get("/users/dora").await["id"].as_str().unwrap().to_owned();
    assert_eq!(ask.post(&format!("/users/{id}/reset-factors"), json!({})).await.status, 204);
    ask.post("/users/nobody/reset-factors", json!({})).await.problem(404, "not-found");
    ask.post("/users/dora/enable", json!({ "really": true })).await.problem(422, "invalid");
    ask.post("/users", json!({ "name": "DORA" })).await.problem(409, "conflict");
    ask.post("/users", json!({ "name": "a b" })).await.problem(422, "invalid");
    // What was sent is not said again.
    let odd = ask.post("/users", json!({ "name": "erik", "password": 12345 })).await;
    odd.problem(422, "invalid");
    assert!(!odd.json.to_string().contains("12345"), "{}", odd.json);
    assert_eq!(ask.send(Method::DELETE, "/users/dora", None).await.status, 204);
    ask.send(Method::GET, "/users/dora", None).await.problem(404, "not-found");
}

#[tokio::test]
async fn lists_come_in_pages_that_leave_nothing_out() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    for n in 0..5 {
        server.add_user(&format!("user{n}")).await;
        server.add_client(&format!("client{n}"), None, ClientSettings::default()).await;
        server.login("tv", "openid").await;
    }
    for (path, field) in [("/users", "name"), ("/clients", "client_id"), ("/devices", "id"), ("/audit", "id")]
    {
        let whole = ask.get(&format!("{path}?limit=200")).await;
        let whole: Vec<String> =
            whole["items"].as_array().unwrap().iter().map(|item| text(item, field).to_owned()).collect();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ask.get(&format!("{path}?limit=2{cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, field).to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(whole.len() >= 6, "{path}: {whole:?}");
        assert_eq!(seen, whole, "{path}");
        ask.send(Method::GET, &format!("{path}?cursor=%21%21"), None).await.problem(422, "invalid");
        for limit in ["0", "201", "x"] {
            ask.send(Method::GET, &format!("{path}?limit={limit}"), None).await.problem(422, "invalid");
        }
    }
    assert_eq!(ask.get("/users?q=USER3").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(ask.get("/clients?q=client4").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn devices_of_all_doors_are_found_and_revoked() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let tokens = server.login("tv", "openid").await;
    server.add_user("bob").await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("bob").await.approve(&device).await;
    server.poll(&device).await.ok();
    let count =
        async |query: &str| ask.get(&format!("/devices?{query}")).await["items"].as_array().unwrap().len();
    assert_eq!(count("").await, 3);
    assert_eq!(count("user=BOB").await, 1);
    assert_eq!(count("client=tv").await, 2);
    assert_eq!(count("client=tv&user=alice&door=oauth&status=active&address=127.0.0.1&q=The+TV").await, 1);
    assert_eq!(count("door=cli").await, 0);
    assert_eq!(count("address=203.0.113.1").await, 0);
    for odd in ["door=window", "status=gone"] {
        ask.send(Method::GET, &format!("/devices?{odd}"), None).await.problem(422, "invalid");
    }
    let bobs = ask.get("/devices?user=bob").await;
    let id = text(&bobs["items"][0], "id").to_owned();
    assert_eq!(ask.send(Method::DELETE, &format!("/devices/{id}"), None).await.status, 204);
    ask.send(Method::DELETE, &format!("/devices/{id}"), None).await.problem(404, "not-found");
    ask.send(Method::DELETE, "/devices/x", None).await.problem(404, "not-found");
    assert_eq!(count("user=bob&status=active").await, 0);
    ask.post("/devices/revoke", json!({})).await.problem(422, "invalid");
    ask.post("/devices/revoke", json!({ "since": "yesterday" })).await.problem(422, "invalid");
    ask.post("/devices/revoke", json!({ "from": "home" })).await.problem(422, "invalid");
    let open = server.ask("tv", "openid").await;
    let swept = ask.post("/devices/revoke", json!({ "client": "tv" })).await.ok();
    assert_eq!((swept["revoked"].as_array().unwrap().len(), &swept["denied"]), (1, &json!(1)));
    server.refresh("tv", text(&tokens, "refresh_token")).await.refused(400, "invalid_grant");
    server.poll(&open).await.refused(400, "access_denied");
    ask.post(&format!("/devices/{id}/assign"), json!({ "owner": "bob" })).await.problem(404, "not-found");
}

/// However often it is sent, and at the same moment.
#[tokio::test]
async fn with_a_key_of_its_own_a_request_is_done_once() {
    let (server, token) = office().await;
    let keyed = |key: &str| Ask::new(&server, &token).with("idempotency-key", key.to_owned());
    let new = json!({ "client_id": "once", "auth_method": "client_secret", "settings": { "name": "Once" } });
    let (one, other) = (keyed("k1"), keyed("k1"));
    let all = futures_util::future::join_all((0..6).map(|_| one.post("/clients", new.clone()))).await;
    let made: Vec<&Reply> = all.iter().filter(|reply| reply.status == 201).collect();
    assert!(!made.is_empty());
    all.iter().filter(|reply| reply.status != 201).for_each(|reply| reply.problem(409, "under-way"));
    let again = other.post("/clients", new.clone()).await;
    assert_eq!((again.status, &again.headers["idempotent-replayed"]), (201, &"true".parse().unwrap()));
    assert_eq!((&again.json, &again.headers["etag"]), (&made[0].json, &made[0].headers["etag"]));
    assert_eq!(server.count("client WHERE id = 'once'").await, 1);
    // Another body under the same key, and somebody else's key of the same name.
    other.post("/clients", json!({ "client_id": "twice" })).await.problem(422, "key-reused");
    other.post("/clients/once/rotate-secret", json!({})).await.problem(422, "key-reused");
    // The secret stands nowhere in the clear.
    let secret = text(&again.json, "client_secret").as_bytes();
    let dump = server.database().dump().await;
    assert!(!dump.windows(secret.len()).any(|window| window == secret));
    // What failed may be tried again, and a day later a key is a new one.
    keyed("k2")
        .post("/clients", json!({ "client_id": "once", "settings": { "name": "Once" } }))
        .await
        .problem(409, "conflict");
    keyed("k2").post("/clients", json!({ "client_id": "twice", "settings": { "name": "Twice" } })).await;
    assert_eq!(server.count("client WHERE id = 'twice'").await, 1);
    server.pass(86_401);
    let token = text(&server.login("console", "admin").await, "access_token").to_owned();
    let later = Ask::new(&server, &token).with("idempotency-key", "k1").post("/clients", new).await;
    later.problem(409, "conflict");
    let long = "x".repeat(256);
    Ask::new(&server, &token)
        .with("idempotency-key", long)
        .post("/clients", json!({}))
        .await
        .problem(422, "invalid");
}

#[tokio::test]
async fn keys_the_trail_and_the_figures_are_there_to_see() {
    let (server, token) = office().await;
    let ask = Ask::new(&server, &token);
    let before = ask.get("/keys").await;
    let rotated = ask.post("/keys/rotate", json!({})).await.ok();
    assert_ne!(before, rotated);
    let trail = ask.get("/audit?action=key.rotated").await;
    assert!(text(&trail["items"][0], "actor").starts_with("administrator "));
    assert_eq!(trail["items"][0]["address"], "127.0.0.1");
    let export =
        server.http.get(server.url(&format!("{API}/audit/export?client=console"))).bearer_auth(&token);
    let lines = export.send().await.unwrap().text().await.unwrap();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() >= 3 && rows.iter().all(|row| row["client_id"] == "console"), "{lines}");
    assert_eq!(ask.get("/audit?action=audit.exported").await["items"].as_array().unwrap().len(), 1);
    countersign_server::flow::audit::seal(&server.running.app).await.unwrap();
    assert_eq!(ask.get("/audit/verify").await["intact"], true);
    for odd in ["device=x", "since=now", "user=nobody"] {
        ask.send(Method::GET, &format!("/audit?{odd}"), None).await.problem(422, "invalid");
    }
    server.login("tv", "openid").await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.deny(&device).await;
    let figures = ask.get("/figures?days=1").await;
    let funnel = &figures["funnel"];
    assert_eq!(
        (&funnel["asked"], &funnel["approved"], &funnel["redeemed"], &funnel["denied"]),
        (&json!(3), &json!(2), &json!(2), &json!(1))
    );
    let devices = json!({ "oauth": 2, "cli": 0, "socket": 0 });
    assert_eq!(figures["now"]["devices"], devices);
    assert_eq!(figures["now"]["questions"], json!({ "oauth": 0, "cli": 0, "socket": 0 }));
    assert_eq!(figures["now"]["sessions"], 3);
    assert_eq!((&figures["now"]["notices_waiting"], &figures["now"]["notices_dead"]), (&json!(0), &json!(0)));
    assert_eq!(figures["by_client"][0], json!({ "name": "console", "count": 1 }));
    assert_eq!(figures["approval"], json!([{ "seconds": 5, "count": 2 }]));
    // What one server counted is there for all, and after a restart.
    let twin = server.twin(&[]).await;
    let seen = figures::overview(&twin.running.app, server.now()).await.unwrap();
    assert_eq!(seen.funnel["redeemed"], 2);
    for odd in ["0", "91", "x"] {
        ask.send(Method::GET, &format!("/figures?days={odd}"), None).await.problem(422, "invalid");
    }
}
