//! JWTs of issuers that the configuration names, from a real issuer on this machine.

use countersign_server::flow::accounts::UserAct;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Server, text};

/// An issuer with one key, which counts how often it is asked.
struct Issuer {
    url: String,
    key: EncodingKey,
    shared: Arc<Shared>,
}

struct Shared {
    asked: AtomicUsize,
    away: AtomicBool,
    keys: std::sync::Mutex<Value>,
}

impl Issuer {
    async fn start() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let shared = Arc::new(Shared {
            asked: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            keys: std::sync::Mutex::new(json!([jwk(&pair, "one"), { "kty": "unheard of", "kid": "odd" }])),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tenant", listener.local_addr().unwrap());
        let document = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let routes = axum::Router::new()
            .route("/tenant/.well-known/openid-configuration", get(async move || Json(document.clone())))
            .route(
                "/tenant/keys",
                get(async |State(shared): State<Arc<Shared>>| {
                    shared.asked.fetch_add(1, Ordering::SeqCst);
                    if shared.away.load(Ordering::SeqCst) {
                        return Err(StatusCode::BAD_GATEWAY);
                    }
                    Ok(Json(json!({ "keys": shared.keys.lock().unwrap().clone() })))
                }),
            )
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, key, shared }
    }

    async fn server(&self, more: &Value) -> Server {
        let mut trusted = json!({ "issuer": self.url, "audience": "acme" });
        trusted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Server::with(&[("cli.trusted_issuers", &format!("json:[{trusted}]"))]).await
    }

    fn claims(&self, server: &Server, more: &Value) -> Value {
        let now = server.now().secs();
        let mut claims =
            json!({ "iss": self.url, "aud": "acme", "sub": "Kim-1", "iat": now, "exp": now + 300 });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token(&self, server: &Server, more: &Value) -> String {
        self.sign(Some("one"), &self.claims(server, more))
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

pub fn jwk(pair: &rcgen::KeyPair, kid: &str) -> Value {
    use rcgen::PublicKeyData as _;
    // An uncompressed point: a byte, x, y.
    let point = pair.der_bytes();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig", "x": part(&point[1..33]), "y": part(&point[33..65]) })
}

async fn me(server: &Server, token: &str) -> Reply {
    server.v1(Method::GET, "/v1/auth/me", Some(token), None).await
}

#[tokio::test]
async fn a_vouched_person_approves_and_makes_codes() {
    let issuer = Issuer::start().await;
    let server = issuer.server(&json!({})).await;
    let token = issuer.token(
        &server,
        &json!({ "email": "kim@acme.example", "name": "Kim Example", "aud": ["other", "acme"] }),
    );
    let found = me(&server, &token).await.ok();
    assert_eq!(found["user"]["email"], "kim@acme.example");
    assert_eq!(found["user"]["full_name"], "Kim Example");
    assert_eq!(
        (&found["credential"]["type"], &found["credential"]["subject"]),
        (&json!("trusted_issuer"), &json!("Kim-1"))
    );
    assert_eq!(server.count("identity").await, 1);

    let device = server.ask_key(json!({})).await;
    let authorize = async |claimed: &str| {
        let body = json!({ "user_code": device.user_code, "stack_user_id": claimed, "email": "evil@example.com", "full_name": "Evil" });
        server.v1(Method::POST, "/v1/auth/device/authorize", Some(&token), Some(body)).await
    };
    authorize("somebody").await.refused(403, "forbidden");
    authorize("Kim-1").await.ok();
    let got = server.poll_key(&device).await.ok();
    assert_eq!(
        (&got["user"]["id"], &got["user"]["email"]),
        (&found["user"]["id"], &json!("kim@acme.example"))
    );
    let made = server.v1(Method::POST, "/v1/auth/dashboard-code", Some(&token), None).await.ok();
    server.verify(text(&made, "cli_code")).await.ok();
    // Both are hers, and her issuer's token shows them.
    let devices = server.v1(Method::GET, "/v1/devices", Some(&token), None).await.ok();
    assert_eq!(devices.as_array().map(Vec::len), Some(2));
    assert_eq!(server.count("identity").await, 1);
    assert_eq!(issuer.asked(), 1, "the keys were read once");
}

#[tokio::test]
async fn what_is_not_signed_by_the_issuer_for_us_is_nothing() {
    let issuer = Issuer::start().await;
    let server = issuer.server(&json!({})).await;
    let now = server.now().secs();
    let claims = |more: &Value| issuer.claims(&server, more);
    let wrong = [
        ("another audience", json!({ "aud": "other" })),
        ("no audience", json!({ "aud": null })),
        ("expired", json!({ "exp": now - 31 })),
        ("no expiry", json!({ "exp": null })),
        ("an expiry that is none", json!({ "exp": "soon" })),
        ("not yet valid", json!({ "nbf": now + 60 })),
        ("issued in the future", json!({ "iat": now + 60 })),
        ("a subject of spaces", json!({ "sub": "  " })),
        ("no subject", json!({ "sub": null })),
        ("an empty subject", json!({ "sub": "" })),
        ("a subject that is no text", json!({ "sub": 7 })),
        ("another issuer", json!({ "iss": format!("{}/", issuer.url) })),
    ];
    for (why, more) in wrong {
        let reply = me(&server, &issuer.token(&server, &more)).await;
        assert_eq!(reply.status, 401, "{why}: {}", reply.json);
    }
    let other = Issuer::start().await;
    assert_eq!(
        me(&server, &other.sign(Some("one"), &claims(&json!({})))).await.status,
        401,
        "signed by another"
    );
    assert_eq!(
        me(&server, &issuer.sign(Some("two"), &claims(&json!({})))).await.status,
        401,
        "an unknown key"
    );
    // What must be understood and is not, and what is signed for something else.
    for (name, value) in [("crit", json!(["x"])), ("crit", json!([])), ("typ", json!("logout+jwt"))] {
        let mut head = json!({ "alg": "ES256", "kid": "one", "x": 1 });
        head[name] = value;
        let text = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", text(&head), text(&claims(&json!({}))));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &issuer.key, Algorithm::ES256).unwrap();
        assert_eq!(me(&server, &format!("{message}.{signature}")).await.status, 401, "{head}");
    }
    // No signature, and one that anybody can make who knows the public key.
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned =
        format!("{}.{}.", part(&json!({ "alg": "none", "kid": "one" })), part(&claims(&json!({}))));
    assert_eq!(me(&server, &unsigned).await.status, 401);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".to_owned());
    let published = issuer.shared.keys.lock().unwrap()[0].to_string();
    let symmetric =
        jsonwebtoken::encode(&header, &claims(&json!({})), &EncodingKey::from_secret(published.as_bytes()));
    assert_eq!(me(&server, &symmetric.unwrap()).await.status, 401);
    assert_eq!(server.count("identity").await, 0);
    // A good one, and one that names no key where there is but one that fits.
    me(&server, &issuer.token(&server, &json!({}))).await.ok();
    me(&server, &issuer.sign(None, &claims(&json!({})))).await.ok();
    assert_eq!(server.count("identity").await, 1);
}

#[tokio::test]
async fn keys_are_read_again_but_not_for_everybody_who_asks() {
    let issuer = Issuer::start().await;
    let server = issuer.server(&json!({ "jwks_url": format!("{}/keys", issuer.url) })).await;
    let good = issuer.token(&server, &json!({}));
    me(&server, &good).await.ok();
    let unknown = issuer.sign(Some("unheard"), &issuer.claims(&server, &json!({})));
    for _ in 0..20 {
        assert_eq!(me(&server, &unknown).await.status, 401);
    }
    assert_eq!(issuer.asked(), 1, "it was read a moment ago");
    server.pass(10);
    for _ in 0..20 {
        assert_eq!(me(&server, &unknown).await.status, 401);
    }
    assert_eq!(issuer.asked(), 2);
    // A new key is found as soon as it is named.
    server.pass(10);
    let renamed = issuer.shared.keys.lock().unwrap()[0].clone();
    issuer.shared.keys.lock().unwrap()[0]["kid"] = json!("next");
    let rotated = issuer.sign(Some("next"), &issuer.claims(&server, &json!({})));
    me(&server, &rotated).await.ok();
    assert_eq!((me(&server, &good).await.status, issuer.asked()), (401, 3), "the old one was withdrawn");
    // An issuer that is away does not take those down whose key is known.
    issuer.shared.away.store(true, Ordering::SeqCst);
    server.pass(600);
    me(&server, &issuer.sign(Some("next"), &issuer.claims(&server, &json!({})))).await.ok();
    // But not for ever.
    server.pass(86_400);
    let late = me(&server, &issuer.sign(Some("next"), &issuer.claims(&server, &json!({})))).await;
    late.refused(503, "server_error");
    issuer.shared.away.store(false, Ordering::SeqCst);
    server.pass(10);
    issuer.shared.keys.lock().unwrap()[0] = renamed;
    me(&server, &issuer.token(&server, &json!({}))).await.ok();
}

#[tokio::test]
async fn an_address_links_nobody() {
    let issuer = Issuer::start().await;
    let server = issuer.server(&json!({})).await;
    let who = async |more: Value| me(&server, &issuer.token(&server, &more)).await.ok()["user"].clone();
    let alice =
        server.signed_in("alice").await.v1(Method::GET, "/v1/auth/me", None).await.ok()["user"].clone();
    let claims_to_be = who(json!({ "email": "Alice@Example.com" })).await;
    assert_ne!(claims_to_be["id"], alice["id"]);
    assert_eq!(claims_to_be["email"], Value::Null, "it is somebody's already");
    for not in [json!(false), json!("False"), json!("no"), json!(0)] {
        let unverified =
            who(json!({ "sub": "two", "email": "two@acme.example", "email_verified": not })).await;
        assert_eq!(unverified["email"], Value::Null);
    }
    let none = who(json!({ "sub": "three" })).await;
    assert_eq!(
        (&none["email"], &none["full_name"], &none["tier"]),
        (&Value::Null, &Value::Null, &json!("none"))
    );
    // Subjects that differ in case are two people.
    assert_ne!(who(json!({ "sub": "THREE" })).await["id"], none["id"]);
    let long = "x".repeat(200);
    assert!(text(&who(json!({ "sub": long })).await, "username").starts_with("user-"));
}

#[tokio::test]
async fn what_is_said_later_counts() {
    let issuer = Issuer::start().await;
    let server = issuer.server(&json!({ "subject_claim": "user_id" })).await;
    let kim = |more: Value| {
        let mut claims = more;
        claims["user_id"] = json!("k");
        issuer.token(&server, &claims)
    };
    let first = kim(json!({ "email": "old@acme.example", "name": "Kim" }));
    let id = me(&server, &first).await.ok()["user"]["id"].clone();
    server.pass(1);
    let user = me(&server, &kim(json!({ "email": "new@acme.example" }))).await.ok()["user"].clone();
    assert_eq!(
        (&user["id"], &user["email"], &user["full_name"]),
        (&id, &json!("new@acme.example"), &json!("Kim"))
    );
    // Whoever looked at the old address changes nothing by that.
    assert_eq!(server.number("SELECT revision FROM account WHERE email = 'new@acme.example'").await, 2);
    // An older token does not turn it back, and an address that somebody has is not taken over.
    assert_eq!(me(&server, &first).await.ok()["user"]["email"], "new@acme.example");
    server.pass(1);
    let taken = me(&server, &kim(json!({ "email": "alice@example.com" }))).await.ok();
    assert_eq!(taken["user"]["email"], Value::Null);
    // Whoever is disabled here is nobody here, whatever is said elsewhere.
    server
        .office()
        .act_on_user(text(&taken["user"], "username"), UserAct::Disable, None)
        .await
        .unwrap()
        .unwrap();
    server.pass(1);
    assert_eq!(me(&server, &kim(json!({}))).await.status, 401);
    assert_eq!(server.count("identity").await, 1);
}

#[tokio::test]
async fn many_at_once_are_one_person() {
    let issuer = Issuer::start().await;
    let server = Arc::new(issuer.server(&json!({})).await);
    let token = issuer.token(&server, &json!({ "email": "kim@acme.example" }));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (server, token) = (server.clone(), token.clone());
        tasks.spawn(async move { text(&me(&server, &token).await.ok()["user"], "id").to_owned() });
    }
    let ids: std::collections::HashSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!((ids.len(), server.count("identity").await), (1, 1));
    assert_eq!(issuer.asked(), 1);
}
