//! Identity providers that say what they should not, and browsers that bring back what is not theirs.
//! (How a real provider and a real browser get on with us is tried in `tests/browser`.)

use countersign_server::flow::accounts::UserAct;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_core::secret::Digest;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Browser, PASSWORD, Server};
use crate::trusted_issuers::jwk;

/// A provider whose ID tokens say what a test wants.
struct Provider {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    key: EncodingKey,
    /// In the place of what an honest one would say.
    lies: Mutex<Value>,
    claims: Mutex<Value>,
    userinfo: Mutex<Value>,
    token_status: Mutex<StatusCode>,
    exchanges: Mutex<Vec<HashMap<String, String>>>,
    header: Mutex<Header>,
}

impl Provider {
    async fn start() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let keys = json!({ "keys": [jwk(&pair, "one")] });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".to_owned());
        let shared = Arc::new(Shared {
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
            lies: Mutex::new(json!({})),
            claims: Mutex::new(json!({})),
            userinfo: Mutex::new(json!({})),
            token_status: Mutex::new(StatusCode::OK),
            exchanges: Mutex::default(),
            header: Mutex::new(header),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/authorize?tenant=1"),
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"),
            "authorization_response_iss_parameter_supported": true,
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(document.clone())))
            .route("/keys", get(async move || Json(keys.clone())))
            .route("/token", post(token))
            .route(
                "/userinfo",
                get(async |State(it): State<Arc<Shared>>| Json(it.userinfo.lock().unwrap().clone())),
            )
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared }
    }

    async fn server(&self, more: &Value, settings: &[(&str, &str)]) -> Server {
        let mut upstream = json!({ "id": "corp", "issuer": self.url, "client_id": "us", "client_secret": "s:e c", "label": "Corp" });
        upstream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let upstream = format!("json:[{upstream}]");
        Server::with(&[&[("upstream", upstream.as_str())], settings].concat()).await
    }

    /// What the next ID token says, of somebody who signed in just now.
    fn says(&self, server: &Server, nonce: &str, lies: &Value) {
        let now = server.now().secs();
        *self.shared.claims.lock().unwrap() = json!({
            "iss": self.url, "aud": "us", "sub": "Kim-1", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "kim@corp.example", "email_verified": true, "name": "Kim", "auth_time": now,
        });
        *self.shared.lies.lock().unwrap() = lies.clone();
    }

    /// Goes there and comes back.
    async fn sign_in(&self, server: &Server, browser: &mut Browser<'_>, lies: &Value) -> String {
        let asked = leave(browser, "/login/upstream/corp?next=account").await;
        self.says(server, &asked["nonce"], lies);
        self.come_back(browser, &asked["state"]).await
    }

    async fn come_back(&self, browser: &mut Browser<'_>, state: &str) -> String {
        let path = format!("/login/upstream/corp/callback?code=42&state={state}&iss={}", self.url);
        browser.get(&path).await
    }
}

/// The token endpoint.
async fn token(State(it): State<Arc<Shared>>, headers: HeaderMap, form: String) -> axum::response::Response {
    let mut kept: HashMap<String, String> =
        url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let basic = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    kept.insert("authorization".to_owned(), basic.to_owned());
    it.exchanges.lock().unwrap().push(kept);
    let status = *it.token_status.lock().unwrap();
    if status != StatusCode::OK {
        return (status, Json(json!({ "error": "invalid_grant" }))).into_response();
    }
    let mut claims = it.claims.lock().unwrap().clone();
    for (name, value) in it.lies.lock().unwrap().as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    let token = jsonwebtoken::encode(&it.header.lock().unwrap(), &claims, &it.key).unwrap();
    Json(json!({ "access_token": "at", "token_type": "Bearer", "id_token": token })).into_response()
}

/// Where the browser is sent, as the query of that address.
async fn leave(browser: &mut Browser<'_>, path: &str) -> HashMap<String, String> {
    let location = browser.leads_to(path).await;
    let url = url::Url::parse(&location).unwrap();
    url.query_pairs().into_owned().collect()
}

const WRONG: &str = "What came back could not be used";

#[tokio::test]
async fn what_is_asked_for_is_what_the_standard_says() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({ "required_acr": ["gold", "silver"] }), &[]).await;
    let mut browser = server.browser();
    browser.get("/login").await;
    browser.expect(200, "Sign in with Corp");
    let asked = leave(&mut browser, "/login/upstream/corp?next=account&again=yes").await;
    for (name, value) in [
        ("tenant", "1"),
        ("response_type", "code"),
        ("client_id", "us"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("acr_values", "gold silver"),
        ("prompt", "login"),
        ("max_age", "0"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert!(asked["redirect_uri"].ends_with("/login/upstream/corp/callback"));
    provider.says(&server, &asked["nonce"], &json!({ "acr": "silver" }));
    provider.come_back(&mut browser, &asked["state"]).await;
    browser.expect(200, "Your devices");
    let exchange = provider.shared.exchanges.lock().unwrap()[0].clone();
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(&exchange["code_verifier"]).as_bytes());
    assert_eq!(challenge, asked["code_challenge"]);
    assert_eq!((&*exchange["redirect_uri"], &*exchange["code"]), (&*asked["redirect_uri"], "42"));
    assert_eq!(exchange["authorization"], format!("Basic {}", STANDARD.encode("us:s%3Ae+c")));
    // Neither the nonce nor the verifier stood in the database in the clear.
    leave(&mut browser, "/login/upstream/corp?next=device&user_code=ABCD2345").await;
    let dump = String::from_utf8_lossy(&server.database().dump().await).into_owned();
    assert!(!dump.contains("verifier") && !dump.contains("ABCD2345"));
}

#[tokio::test]
async fn what_is_not_right_lets_nobody_in() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[]).await;
    let now = server.now().secs();
    for lies in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "them" }),
        json!({ "aud": ["us", "them"], "azp": "them" }),
        json!({ "aud": ["us", "them"] }),
        json!({ "iss": "https://corp.example" }),
        json!({ "exp": now - 60 }),
        json!({ "exp": null }),
        json!({ "iat": now + 3600 }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
    ] {
        let mut browser = server.browser();
        provider.sign_in(&server, &mut browser, &lies).await;
        browser.expect(401, WRONG);
    }
    // Somebody's userinfo is not everybody's.
    *provider.shared.userinfo.lock().unwrap() = json!({ "sub": "Eve", "email": "eve@corp.example" });
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({ "email": null })).await;
    browser.expect(401, WRONG);
    // What only looks like a signature.
    let mut forged = Header::new(Algorithm::ES256);
    forged.kid = Some("another".to_owned());
    *provider.shared.header.lock().unwrap() = forged;
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    browser.expect(401, WRONG);
    *provider.shared.token_status.lock().unwrap() = StatusCode::BAD_REQUEST;
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    browser.expect(401, WRONG);
    *provider.shared.token_status.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    browser.expect(502, "It cannot be reached right now");
    assert_eq!(server.count("browser_session").await, 0);
    assert_eq!(server.count("identity").await, 0);
}

#[tokio::test]
async fn an_answer_is_good_once_in_the_browser_that_asked() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[]).await;
    let (mut browser, mut other) = (server.browser(), server.browser());
    let asked = leave(&mut browser, "/login/upstream/corp?next=account").await;
    provider.says(&server, &asked["nonce"], &json!({}));
    // Another browser, with and without a question of its own.
    provider.come_back(&mut other, &asked["state"]).await;
    other.expect(200, "Sign in");
    leave(&mut other, "/login/upstream/corp?next=account").await;
    provider.come_back(&mut other, &asked["state"]).await;
    other.expect(200, "Sign in");
    // Of another issuer (RFC 9207), or of nobody in particular.
    for (state, iss) in [("x", provider.url.as_str()), (&asked["state"], "https://evil.example")] {
        let path = format!("/login/upstream/corp/callback?code=42&state={state}&iss={iss}");
        browser.get(&path).await;
        assert!(!browser.page.contains("Your devices"), "{}", browser.page);
    }
    let asked = leave(&mut browser, "/login/upstream/corp?next=account").await;
    browser.get(&format!("/login/upstream/corp/callback?code=42&state={}", asked["state"])).await;
    browser.expect(401, WRONG);
    let asked = leave(&mut browser, "/login/upstream/corp?next=account").await;
    provider.says(&server, &asked["nonce"], &json!({}));
    provider.come_back(&mut browser, &asked["state"]).await;
    browser.expect(200, "Your devices");
    // Again, and late.
    let mut copy = server.browser();
    copy.cookie = browser.cookie.clone();
    browser.cookie = None;
    provider.come_back(&mut browser, &asked["state"]).await;
    browser.expect(200, "Sign in");
    let asked = leave(&mut browser, "/login/upstream/corp?next=account").await;
    provider.says(&server, &asked["nonce"], &json!({}));
    server.pass(15 * 60);
    provider.come_back(&mut browser, &asked["state"]).await;
    browser.expect(200, "Sign in");
}

#[tokio::test]
async fn an_address_leads_to_nobodys_account() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({ "claims": { "username": "preferred_username" } }), &[]).await;
    let mut browser = server.browser();
    let lies = json!({ "email": "alice@example.com", "preferred_username": "alice" });
    provider.sign_in(&server, &mut browser, &lies).await;
    browser.expect(200, "Your devices");
    assert!(!browser.page.contains("Signed in as alice\""), "{}", browser.page);
    assert_eq!(server.count("account").await, 2);
    assert_eq!(server.count("account WHERE email = 'alice@example.com'").await, 1);
    // A free name is taken; the same person keeps it, whatever they are called later.
    let mut kim = server.browser();
    provider.sign_in(&server, &mut kim, &json!({ "sub": "Kim-2", "preferred_username": "kim" })).await;
    kim.expect(200, "Signed in as kim");
    let mut again = server.browser();
    provider.sign_in(&server, &mut again, &json!({ "sub": "Kim-2", "preferred_username": "root" })).await;
    again.expect(200, "Signed in as kim");
}

#[tokio::test]
async fn our_own_second_factor_is_wanted_beside_one_factor_of_theirs() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({ "multi_factor_acr": ["gold"] }), &[]).await;
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    crate::factors::enrolled(&mut browser).await;
    let mut half = server.browser();
    provider.sign_in(&server, &mut half, &json!({ "amr": ["pwd"] })).await;
    half.expect(200, "One more step");
    half.get("/account").await;
    half.expect(200, "Sign in");
    for strong in [json!({ "amr": ["pwd", "mfa"] }), json!({ "acr": "gold" })] {
        let mut whole = server.browser();
        provider.sign_in(&server, &mut whole, &strong).await;
        whole.expect(200, "Your devices");
    }
    let server = provider.server(&json!({}), &[("login.second_factor", "everybody")]).await;
    let mut weak = server.browser();
    provider.sign_in(&server, &mut weak, &json!({})).await;
    let device = server.ask("tv", "openid").await;
    weak.enter(&device.user_code).await;
    weak.expect(200, "Set up an authenticator app");
    let mut strong = server.browser();
    provider.sign_in(&server, &mut strong, &json!({ "amr": ["hwk", "mfa"] })).await;
    strong.approve(&device).await;
}

#[tokio::test]
async fn an_old_sign_in_there_is_an_old_one_here() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[("approval.max_age", "5m")]).await;
    let mut browser = server.browser();
    let hour = json!({ "auth_time": server.now().secs() - 3600 });
    provider.sign_in(&server, &mut browser, &hour).await;
    browser.expect(200, "Your devices");
    let device = server.ask("tv", "openid").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Please sign in again");
    assert!(browser.page.contains("again=yes"), "{}", browser.page);
    provider.sign_in(&server, &mut browser, &json!({})).await;
    browser.approve(&device).await;
}

#[tokio::test]
async fn nobody_is_led_into_adding_somebody_elses_identity() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[]).await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/login/upstream/corp?next=account&link=yes").await;
    alice.expect(403, "Please try again");
    let mut mallory = server.signed_in("alice").await;
    let link = |page: &str| {
        page.split_once("&amp;link=")
            .or(page.split_once("&#38;link="))
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let stolen = link(&mallory.get("/account").await);
    let own = link(&alice.get("/account").await);
    assert_ne!(stolen, own);
    alice.get(&format!("/login/upstream/corp?next=account&link={stolen}")).await;
    alice.expect(403, "Please try again");
    // A session that is old, as a stolen one may be, adds nothing.
    server.pass(601);
    alice.get(&format!("/login/upstream/corp?next=account&link={own}")).await;
    alice.expect(200, "Please sign in again");
    let mut fresh = server.signed_in("alice").await;
    let own = link(&fresh.get("/account").await);
    let asked = leave(&mut fresh, &format!("/login/upstream/corp?next=account&link={own}")).await;
    assert_eq!(asked["prompt"], "login");
    provider.says(&server, &asked["nonce"], &json!({}));
    provider.come_back(&mut fresh, &asked["state"]).await;
    fresh.expect(200, "You can sign in with Corp");
    let mut back = server.browser();
    provider.sign_in(&server, &mut back, &json!({})).await;
    back.expect(200, "Signed in as alice");
    // It belongs to one account.
    server.add_user("bob").await;
    let mut bob = server.signed_in("bob").await;
    let own = link(&bob.get("/account").await);
    let asked = leave(&mut bob, &format!("/login/upstream/corp?next=account&link={own}")).await;
    provider.says(&server, &asked["nonce"], &json!({}));
    provider.come_back(&mut bob, &asked["state"]).await;
    bob.expect(200, "It could not be added");
}

#[tokio::test]
async fn a_disabled_person_stays_out() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({ "claims": { "username": "name" } }), &[]).await;
    let mut browser = server.browser();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    server.office().act_on_user("Kim", UserAct::Disable, None).await.unwrap().unwrap();
    provider.sign_in(&server, &mut browser, &json!({})).await;
    browser.expect(401, "Your account there may not be used here");
}

#[tokio::test]
async fn sign_ins_that_begin_are_counted() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[("rate_limit.upstream_sign_ins_per_address", "3")]).await;
    let mut browser = server.browser();
    for _ in 0..3 {
        leave(&mut browser, "/login/upstream/corp").await;
    }
    browser.get("/login/upstream/corp").await;
    browser.expect(429, "Too many attempts");
    assert_eq!(server.count("challenge").await, 1, "a browser is away once");
    server.pass(15 * 60);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    assert_eq!(server.count("challenge").await, 0);
}

#[tokio::test]
async fn without_passwords_none_is_taken() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[("login.passwords", "false")]).await;
    let mut browser = server.browser();
    browser.get("/login").await;
    assert!(!browser.page.contains("name=\"password\""), "{}", browser.page);
    browser.get("/login/passkey").await;
    let mut fields = browser.form("credential");
    fields.remove("action of the form");
    fields.extend([("username", "alice"), ("password", PASSWORD)].map(|(n, v)| (n.to_owned(), v.to_owned())));
    browser.post("/login", &fields).await;
    assert_eq!(browser.status, 403);
    assert_eq!(server.count("browser_session").await, 0);
}

#[tokio::test]
async fn an_address_is_verified_by_whoever_says_it() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({ "allowed_domains": ["good.example"] }), &[]).await;
    let try_in = async |lies: Value, userinfo: Value| {
        *provider.shared.userinfo.lock().unwrap() = userinfo;
        let mut browser = server.browser();
        provider.sign_in(&server, &mut browser, &lies).await;
        browser.status.as_u16()
    };
    let said =
        |email: &str, verified: bool| json!({ "sub": "Kim-1", "email": email, "email_verified": verified });
    let silent = json!({ "email": "z@good.example", "email_verified": null });
    assert_eq!(try_in(silent.clone(), said("other@evil.example", true)).await, 401);
    assert_eq!(try_in(silent.clone(), said("z@good.example", false)).await, 401);
    let denied = json!({ "email": "z@good.example", "email_verified": false });
    assert_eq!(try_in(denied, said("z@good.example", true)).await, 401);
    for odd in
        ["a@evil.example,b@good.example", "x@evil.example@good.example", "\"a@evil.example\"@good.example"]
    {
        assert_eq!(try_in(json!({ "email": odd }), json!({ "sub": "Kim-1" })).await, 401, "{odd}");
    }
    assert_eq!(server.count("account WHERE email LIKE '%good.example'").await, 0);
    assert_eq!(try_in(silent, said("z@good.example", true)).await, 200);
}

#[tokio::test]
async fn a_sign_in_that_should_be_fresh_must_be() {
    let provider = Provider::start().await;
    let server = provider.server(&json!({}), &[]).await;
    let mut browser = server.browser();
    for stale in [json!({ "auth_time": server.now().secs() - 120 }), json!({ "auth_time": null })] {
        let asked = leave(&mut browser, "/login/upstream/corp?next=account&again=yes").await;
        provider.says(&server, &asked["nonce"], &stale);
        provider.come_back(&mut browser, &asked["state"]).await;
        browser.expect(401, "You were not asked there who you are");
    }
    // Without a time it is good for signing in, and for nothing that must be fresh.
    provider.sign_in(&server, &mut browser, &json!({ "auth_time": null })).await;
    browser.expect(200, "Your devices");
    browser.get("/account/totp").await;
    browser.expect(200, "Please sign in again");
}
