//! Tokens that are bound to a key (RFC 9449).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::client::TokenFormat;
use countersign_core::secret::Digest;
use countersign_server::flow::clients::ClientSettings;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::support::{DEVICE_CODE, Device, Reply, Server, server, text};
use crate::tokens::claims;
use crate::trusted_issuers::jwk;

const TOKEN: &str = "/oauth2/v1/token";

/// Somebody with a key.
struct Holder {
    key: EncodingKey,
    jwk: Jwk,
}

impl Holder {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { key, jwk: serde_json::from_value(jwk(&pair, "mine")).unwrap() }
    }

    fn thumbprint(&self) -> String {
        self.jwk.thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.jwk.clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn claims(server: &Server, method: &str, path: &str) -> Value {
        let url = server.running.app.public_url.join(path);
        json!({ "jti": uuid::Uuid::now_v7().to_string(), "htm": method, "htu": url, "iat": server.now().secs() })
    }

    fn proof(&self, server: &Server, method: &str, path: &str) -> String {
        self.sign(&Self::claims(server, method, path))
    }

    /// For a resource, with this token.
    fn with(&self, server: &Server, method: &str, path: &str, token: &str) -> String {
        let mut claims = Self::claims(server, method, path);
        claims["ath"] = json!(URL_SAFE_NO_PAD.encode(Digest::of(token).as_bytes()));
        self.sign(&claims)
    }
}

async fn post(server: &Server, path: &str, proof: Option<&str>, form: &[(&str, &str)]) -> Reply {
    let request = server.http.post(server.url(path)).form(form);
    let request = proof.iter().fold(request, |request, proof| request.header("DPoP", *proof));
    Reply::of(request.send().await.unwrap()).await
}

async fn poll(server: &Server, device: &Device, proof: Option<&str>) -> Reply {
    let form =
        [("grant_type", DEVICE_CODE), ("client_id", &device.client), ("device_code", &device.device_code)];
    post(server, TOKEN, proof, &form).await
}

async fn refresh(server: &Server, token: &str, proof: Option<&str>) -> Reply {
    let form = [("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", token)];
    post(server, TOKEN, proof, &form).await
}

async fn userinfo(server: &Server, scheme: &str, token: &str, proof: Option<&str>) -> Reply {
    let request =
        server.http.get(server.url("/oauth2/v1/userinfo")).header(AUTHORIZATION, format!("{scheme} {token}"));
    let request = proof.iter().fold(request, |request, proof| request.header("DPoP", *proof));
    Reply::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_device_code_that_is_bound_is_collected_with_its_key_alone() {
    let server = server().await;
    let (mine, other) = (Holder::new(), Holder::new());
    let device = server.ask_with("tv", &[("scope", "openid"), ("dpop_jkt", &mine.thumbprint())]).await;
    // The proof is looked at whatever the state, and after the code.
    poll(&server, &device, None).await.refused(400, "invalid_dpop_proof");
    let wrong = other.proof(&server, "POST", TOKEN);
    poll(&server, &device, Some(&wrong)).await.refused(400, "invalid_dpop_proof");
    poll(&server, &device, Some(&mine.proof(&server, "POST", TOKEN)))
        .await
        .refused(400, "authorization_pending");
    poll(&server, &device, None).await.refused(400, "invalid_dpop_proof");
    poll(&server, &device, Some(&mine.proof(&server, "POST", TOKEN))).await.refused(400, "slow_down");
    let unknown = Device { device_code: "x".repeat(43), ..device.clone() };
    poll(&server, &unknown, Some("junk")).await.refused(400, "invalid_grant");
    server.signed_in("alice").await.approve(&device).await;
    poll(&server, &device, None).await.refused(400, "invalid_dpop_proof");
    let tokens = poll(&server, &device, Some(&mine.proof(&server, "POST", TOKEN))).await.ok();
    assert_eq!(text(&tokens, "token_type"), "DPoP");
    let (_, claims) = claims(&server, text(&tokens, "access_token")).await;
    assert_eq!(claims["cnf"]["jkt"], mine.thumbprint());
    poll(&server, &device, None).await.refused(400, "invalid_grant");
    // The login is bound, too.
    let token = text(&tokens, "refresh_token");
    refresh(&server, token, None).await.refused(400, "invalid_dpop_proof");
    refresh(&server, token, Some(&other.proof(&server, "POST", TOKEN)))
        .await
        .refused(400, "invalid_dpop_proof");
    let next = refresh(&server, token, Some(&mine.proof(&server, "POST", TOKEN))).await.ok();
    assert_eq!(text(&next, "token_type"), "DPoP");
}

#[tokio::test]
async fn a_bound_token_is_good_for_whoever_shows_the_key() {
    let server = server().await;
    let api = server.api().await;
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let id = format!("{format}");
        let settings = ClientSettings { token_format: Some(format), ..ClientSettings::default() };
        server.add_client(&id, None, settings).await;
        let (mine, other) = (Holder::new(), Holder::new());
        let device = server.ask(&id, "openid").await;
        server.signed_in("alice").await.approve(&device).await;
        let tokens = poll(&server, &device, Some(&mine.proof(&server, "POST", TOKEN))).await.ok();
        let token = text(&tokens, "access_token");
        let path = "/oauth2/v1/userinfo";
        let proof = mine.with(&server, "GET", path, token);
        userinfo(&server, "DPoP", token, Some(&proof)).await.ok();
        let again = userinfo(&server, "DPoP", token, Some(&proof)).await;
        again.refused(401, "invalid_dpop_proof");
        assert!(again.headers["www-authenticate"].to_str().unwrap().starts_with("DPoP "));
        // As a bearer it is nothing, with or without a proof.
        userinfo(&server, "Bearer", token, None).await.refused(401, "invalid_token");
        let proof = mine.with(&server, "GET", path, token);
        userinfo(&server, "Bearer", token, Some(&proof)).await.refused(401, "invalid_token");
        userinfo(&server, "DPoP", token, None).await.refused(401, "invalid_dpop_proof");
        let stolen = other.with(&server, "GET", path, token);
        userinfo(&server, "DPoP", token, Some(&stolen)).await.refused(401, "invalid_token");
        let bare = mine.proof(&server, "GET", path);
        userinfo(&server, "DPoP", token, Some(&bare)).await.refused(401, "invalid_dpop_proof");
        let elsewhere = mine.with(&server, "GET", "/v1/auth/me", token);
        userinfo(&server, "DPoP", token, Some(&elsewhere)).await.refused(401, "invalid_dpop_proof");
        // Other doors hold it to the same.
        let me = async |scheme: &str, proof: Option<String>| {
            let request =
                server.http.get(server.url("/v1/auth/me")).header(AUTHORIZATION, format!("{scheme} {token}"));
            let request = proof.iter().fold(request, |request, proof| request.header("DPoP", proof.clone()));
            Reply::of(request.send().await.unwrap()).await
        };
        me("Bearer", None).await.refused(401, "unauthorized");
        me("DPoP", Some(mine.with(&server, "GET", "/v1/auth/me", token))).await.ok();
        let found = server.introspect(&api, token).await;
        assert_eq!((&found["token_type"], &found["cnf"]["jkt"]), (&json!("DPoP"), &json!(mine.thumbprint())));
    }
}

#[tokio::test]
async fn a_token_without_a_key_is_no_better_for_a_proof() {
    let server = server().await;
    let tokens = server.login("tv", "openid").await;
    let token = text(&tokens, "access_token");
    let proof = Holder::new().with(&server, "GET", "/oauth2/v1/userinfo", token);
    userinfo(&server, "DPoP", token, Some(&proof)).await.refused(401, "invalid_token");
    userinfo(&server, "Bearer", token, None).await.ok();
}

#[tokio::test]
async fn a_proof_must_be_fresh_and_of_this_very_request() {
    let server = server().await;
    let mine = Holder::new();
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.approve(&device).await;
    let with = |more: Value| {
        let mut claims = Holder::claims(&server, "POST", TOKEN);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mine.sign(&claims)
    };
    let now = server.now().secs();
    let mut bad = vec!["junk".to_owned(), "a.b.c".to_owned()];
    for more in [
        json!({ "htm": "GET" }),
        json!({ "htu": "https://other.example/oauth2/v1/token" }),
        json!({ "htu": server.running.app.public_url.join("/oauth2/v1/revoke") }),
        json!({ "iat": now - 301 }),
        json!({ "iat": now + 61 }),
        json!({ "iat": "now" }),
        json!({ "jti": "" }),
        json!({ "jti": "x".repeat(300) }),
        json!({ "jti": null }),
    ] {
        bad.push(with(more));
    }
    // Another type, no key, a secret key, a signature of somebody else's, one that anybody can make.
    let claims = Holder::claims(&server, "POST", TOKEN);
    let encode = |header: &Header, key: &EncodingKey| jsonwebtoken::encode(header, &claims, key).unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.jwk = Some(mine.jwk.clone());
    bad.push(encode(&header, &mine.key));
    header.typ = Some("dpop+jwt".to_owned());
    bad.push(encode(&header, &Holder::new().key));
    header.jwk = None;
    bad.push(encode(&header, &mine.key));
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("dpop+jwt".to_owned());
    header.jwk = Some(mine.jwk.clone());
    bad.push(encode(&header, &EncodingKey::from_secret(b"x")));
    let head = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c" } });
    bad.push(format!("{}.e30.e30", URL_SAFE_NO_PAD.encode(head.to_string())));
    for proof in &bad {
        poll(&server, &device, Some(proof)).await.refused(400, "invalid_dpop_proof");
    }
    let twice =
        server.http.post(server.url(TOKEN)).header("DPoP", with(json!({}))).header("DPoP", with(json!({})));
    let form =
        [("grant_type", DEVICE_CODE), ("client_id", "tv"), ("device_code", device.device_code.as_str())];
    Reply::of(twice.form(&form).send().await.unwrap()).await.refused(400, "invalid_dpop_proof");
    // None of that cost the device its tokens; a query in htu is no matter.
    let url = format!("{}?x=1#y", server.running.app.public_url.join(TOKEN));
    poll(&server, &device, Some(&with(json!({ "htu": url })))).await.ok();
}

#[tokio::test]
async fn one_proof_is_good_once_however_many_send_it() {
    let server = server().await;
    let mine = Holder::new();
    let proof = mine.proof(&server, "POST", TOKEN);
    let mut devices = Vec::new();
    let mut browser = server.signed_in("alice").await;
    for _ in 0..6 {
        let device = server.ask("tv", "openid").await;
        browser.approve(&device).await;
        devices.push(device);
    }
    let all = devices.iter().map(|device| poll(&server, device, Some(&proof)));
    let all = futures_util::future::join_all(all).await;
    assert_eq!(all.iter().filter(|reply| reply.status == 200).count(), 1);
    all.iter().filter(|reply| reply.status != 200).for_each(|reply| reply.refused(400, "invalid_dpop_proof"));
}

/// Whoever has no token, and whoever is refused, has nothing remembered.
#[tokio::test]
async fn proofs_of_strangers_are_not_remembered() {
    let server = Server::with(&[("rate_limit.device_codes_per_address", "2")]).await;
    let mine = Holder::new();
    for path in ["/oauth2/v1/userinfo", "/v1/auth/me", "/admin/api/v1/users"] {
        let proof = mine.with(&server, "GET", path, "x");
        let request = server.http.get(server.url(path)).header(AUTHORIZATION, "DPoP x").header("DPoP", proof);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    let device = server.ask_with("tv", &[("scope", "openid")]).await;
    let path = "/oauth2/v1/device_authorization";
    for _ in 0..5 {
        let proof = mine.proof(&server, "POST", path);
        post(&server, path, Some(&proof), &[("client_id", "tv")]).await;
    }
    // Nor of those who poll what nobody has approved.
    for _ in 0..5 {
        let proof = mine.proof(&server, "POST", TOKEN);
        assert_eq!(poll(&server, &device, Some(&proof)).await.status, 400);
    }
    assert_eq!(server.count("shown_once").await, 0);
}

#[tokio::test]
async fn a_client_may_be_held_to_it() {
    let server = server().await;
    let settings = ClientSettings { dpop_bound: Some(true), ..ClientSettings::default() };
    server.add_client("bound", None, settings).await;
    let device = server.ask("bound", "openid").await;
    server.signed_in("alice").await.approve(&device).await;
    poll(&server, &device, None).await.refused(400, "invalid_dpop_proof");
    poll(&server, &device, Some(&Holder::new().proof(&server, "POST", TOKEN))).await.ok();
}

/// A proof at the device authorization endpoint binds as `dpop_jkt` does; both must agree.
#[tokio::test]
async fn a_proof_at_the_beginning_binds() {
    let server = server().await;
    let (mine, other) = (Holder::new(), Holder::new());
    let path = "/oauth2/v1/device_authorization";
    let ask = async |holder: &Holder, jkt: &str| {
        let proof = holder.proof(&server, "POST", path);
        post(&server, path, Some(&proof), &[("client_id", "tv"), ("dpop_jkt", jkt)]).await
    };
    ask(&mine, &other.thumbprint()).await.refused(400, "invalid_dpop_proof");
    post(&server, path, None, &[("client_id", "tv"), ("dpop_jkt", "short")])
        .await
        .refused(400, "invalid_request");
    let json = ask(&mine, "").await.ok();
    let device = Device {
        client: "tv".to_owned(),
        device_code: text(&json, "device_code").to_owned(),
        user_code: text(&json, "user_code").to_owned(),
        json,
    };
    poll(&server, &device, None).await.refused(400, "invalid_dpop_proof");
    poll(&server, &device, Some(&mine.proof(&server, "POST", TOKEN)))
        .await
        .refused(400, "authorization_pending");
}
