//! Clients that act for themselves, and clients that prove who they are by signing.

use countersign_core::audit::By;
use countersign_core::client::{GrantType, TokenFormat};
use countersign_core::scope::Scopes;
use countersign_server::flow::clients::{self, ClientRefusal, ClientSettings, Proving};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Server, server, text};
use crate::tokens::claims;
use crate::trusted_issuers::jwk;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn for_itself() -> ClientSettings {
    ClientSettings {
        grants: Some(vec![GrantType::ClientCredentials]),
        scopes: Some("read write introspect".parse::<Scopes>().unwrap()),
        ..ClientSettings::default()
    }
}

async fn own(server: &Server, secret: &str, more: &[(&str, &str)]) -> Reply {
    let mut form =
        vec![("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", secret)];
    form.extend(more);
    server.post("/oauth2/v1/token", &form).await
}

#[tokio::test]
async fn a_client_gets_a_token_of_its_own_and_nothing_of_a_person() {
    let server = server().await;
    let secret = server.add_client("job", Some(()), for_itself()).await;
    let api = server.api().await;
    let got = own(&server, &secret, &[("scope", "read")]).await.ok();
    assert_eq!((text(&got, "token_type"), text(&got, "scope")), ("Bearer", "read"));
    assert!(got.get("refresh_token").is_none() && got.get("id_token").is_none());
    let token = text(&got, "access_token");
    let (_, claims) = claims(&server, token).await;
    assert_eq!((text(&claims, "sub"), text(&claims, "client_id")), ("job", "job"));
    assert!(claims.get("sid").is_none() && claims.get("auth_time").is_none());
    let found = server.introspect(&api, token).await;
    assert_eq!(
        (&found["active"], &found["sub"], &found["username"]),
        (&json!(true), &json!("job"), &Value::Null)
    );
    // It is nobody's: not at userinfo, not at the CLI door, not in the inventory.
    server.userinfo(token).await.refused(403, "insufficient_scope");
    server.v1(Method::GET, "/v1/auth/me", Some(token), None).await.refused(401, "unauthorized");
    assert_eq!(server.count("token_family").await, 0);
    own(&server, &secret, &[("scope", "openid")]).await.refused(400, "invalid_scope");
    own(&server, &secret, &[("scope", "other")]).await.refused(400, "invalid_scope");
    own(&server, "wrong", &[]).await.refused(400, "invalid_client");
    assert_eq!(server.count("audit WHERE action = 'token.issued'").await, 1);
}

#[tokio::test]
async fn it_ends_with_revocation_and_with_its_client() {
    let server = server().await;
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let settings = ClientSettings { token_format: Some(format), ..for_itself() };
        let secret = server.add_client("job", Some(()), settings.clone()).await;
        let api = server.add_client("api", Some(()), ClientSettings::default()).await;
        let first = own(&server, &secret, &[]).await.ok();
        let second = own(&server, &secret, &[]).await.ok();
        let (first, second) = (text(&first, "access_token"), text(&second, "access_token"));
        let revoke = async |client: &str, secret: &str| {
            let form = [("client_id", client), ("client_secret", secret), ("token", first)];
            server.post("/oauth2/v1/revoke", &form).await
        };
        revoke("api", &api).await.refused(400, "unauthorized_client");
        assert_eq!(server.introspect(&api, first).await["active"], true);
        revoke("job", &secret).await.ok();
        assert_eq!(server.introspect(&api, first).await["active"], false);
        assert_eq!(server.introspect(&api, second).await["active"], true);
        server.pass(5);
        server.office().remove_client("job", None).await.unwrap().unwrap();
        assert_eq!(server.introspect(&api, second).await["active"], false);
        // Whoever is called so later is another.
        server.pass(5);
        server.add_client("job", Some(()), settings).await;
        assert_eq!(server.introspect(&api, second).await["active"], false);
        for id in ["job", "api"] {
            server.office().remove_client(id, None).await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn it_is_for_clients_that_prove_who_they_are() {
    let server = server().await;
    let app = &server.running.app;
    let settings = ClientSettings { name: Some("Job".to_owned()), ..for_itself() };
    let added = clients::add(
        app,
        &By::COMMAND_LINE,
        "job".parse().unwrap(),
        Proving::Nothing,
        settings,
        server.now(),
    );
    assert_eq!(added.await.unwrap().map(|_| ()), Err(ClientRefusal::Unproven));
    // A client without the grant hears so.
    let secret = server.add_client("job", Some(()), ClientSettings::default()).await;
    own(&server, &secret, &[]).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn an_old_secret_goes_on_for_as_long_as_was_said() {
    let server = server().await;
    let old = server.add_client("job", Some(()), for_itself()).await;
    let (app, id) = (&server.running.app, "job".parse().unwrap());
    let hour = std::time::Duration::from_hours(1);
    let (_, new) =
        clients::rotate_secret(app, &By::COMMAND_LINE, &id, hour, None, server.now()).await.unwrap().unwrap();
    own(&server, &old, &[]).await.ok();
    own(&server, new.reveal(), &[]).await.ok();
    server.pass(3600);
    own(&server, &old, &[]).await.refused(400, "invalid_client");
    own(&server, new.reveal(), &[]).await.ok();
    // A second rotation ends the one before, whatever it was promised.
    let (_, third) =
        clients::rotate_secret(app, &By::COMMAND_LINE, &id, hour, None, server.now()).await.unwrap().unwrap();
    let none = std::time::Duration::ZERO;
    let (_, last) =
        clients::rotate_secret(app, &By::COMMAND_LINE, &id, none, None, server.now()).await.unwrap().unwrap();
    own(&server, new.reveal(), &[]).await.refused(400, "invalid_client");
    own(&server, third.reveal(), &[]).await.refused(400, "invalid_client");
    own(&server, last.reveal(), &[]).await.ok();
}

/// A client with a key, and what it signs with.
struct Signing {
    key: EncodingKey,
}

impl Signing {
    async fn client(server: &Server) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let jwks = json!({ "keys": [jwk(&pair, "one")] }).to_string();
        let settings = ClientSettings { name: Some("Job".to_owned()), jwks: Some(jwks), ..for_itself() };
        let app = &server.running.app;
        let added = clients::add(
            app,
            &By::COMMAND_LINE,
            "job".parse().unwrap(),
            Proving::Keys,
            settings,
            server.now(),
        );
        let (_, secret) = added.await.unwrap().unwrap();
        assert!(secret.is_none());
        Self { key }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    fn claims(server: &Server, jti: &str) -> Value {
        let (now, aud) = (server.now().secs(), server.running.app.public_url.issuer());
        json!({ "iss": "job", "sub": "job", "aud": aud, "jti": jti, "iat": now, "exp": now + 60 })
    }
}

async fn asserted(server: &Server, assertion: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion),
    ];
    form.extend(more);
    server.post("/oauth2/v1/token", &form).await
}

#[tokio::test]
async fn a_client_proves_who_it_is_by_signing_once() {
    let server = server().await;
    let client = Signing::client(&server).await;
    let assertion = client.sign(&Signing::claims(&server, "1"));
    // Of many at once one is the first.
    let all = futures_util::future::join_all((0..8).map(|_| asserted(&server, &assertion, &[]))).await;
    assert_eq!(all.iter().filter(|reply| reply.status == 200).count(), 1);
    all.iter().filter(|reply| reply.status != 200).for_each(|reply| reply.refused(400, "invalid_client"));
    server.pass(30);
    asserted(&server, &assertion, &[]).await.refused(400, "invalid_client");
    asserted(&server, &client.sign(&Signing::claims(&server, "2")), &[("client_id", "job")]).await.ok();
    // Swept, but not before it would not be good any more.
    server.pass(3600);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    assert_eq!(server.count("shown_once").await, 0);
    asserted(&server, &assertion, &[]).await.refused(400, "invalid_client");
}

#[tokio::test]
async fn what_a_client_signs_must_be_meant_for_us_and_be_fresh() {
    let server = server().await;
    let client = Signing::client(&server).await;
    let now = server.now().secs();
    let token_url = server.running.app.public_url.join("/oauth2/v1/token");
    let issuer = server.running.app.public_url.issuer();
    let with = |jti: &str, more: Value| {
        let mut claims = Signing::claims(&server, jti);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.sign(&claims)
    };
    for (jti, good) in [
        ("a", json!({ "aud": token_url })),
        ("b", json!({ "aud": ["x", issuer] })),
        ("c", json!({ "nbf": now })),
    ] {
        asserted(&server, &with(jti, good), &[]).await.ok();
    }
    for (jti, bad) in [
        ("d", json!({ "aud": "https://other.example" })),
        ("e", json!({ "iss": "tv" })),
        ("f", json!({ "sub": "tv" })),
        ("g", json!({ "exp": now - 31 })),
        ("h", json!({ "exp": now + 7200 })),
        ("i", json!({ "exp": null })),
        ("j", json!({ "nbf": now + 60 })),
        ("k", json!({ "iat": now + 60 })),
        ("", json!({})),
        ("l", json!({ "jti": null })),
    ] {
        asserted(&server, &with(jti, bad.clone()), &[]).await.refused(400, "invalid_client");
    }
    // Another key, another client, no signature, a signature that anybody can make.
    let other = EncodingKey::from_ec_der(&rcgen::KeyPair::generate().unwrap().serialize_der());
    let forged = Signing { key: other }.sign(&Signing::claims(&server, "m"));
    asserted(&server, &forged, &[]).await.refused(400, "invalid_client");
    let good = client.sign(&Signing::claims(&server, "n"));
    asserted(&server, &good, &[("client_id", "tv")]).await.refused(400, "invalid_client");
    asserted(&server, &good, &[("client_secret", "x")]).await.refused(400, "invalid_request");
    let parts: Vec<&str> = good.split('.').collect();
    asserted(&server, &format!("eyJhbGciOiJub25lIn0.{}.", parts[1]), &[])
        .await
        .refused(400, "invalid_client");
    let hmac = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &Signing::claims(&server, "o"),
        &EncodingKey::from_secret(b"x"),
    );
    asserted(&server, &hmac.unwrap(), &[]).await.refused(400, "invalid_client");
    asserted(&server, "x", &[]).await.refused(400, "invalid_client");
    // A secret is none of its ways.
    own(&server, "secret", &[]).await.refused(400, "invalid_client");
    own(&server, "", &[]).await.refused(400, "invalid_client");
}

#[tokio::test]
async fn keys_that_do_not_do_are_named() {
    let server = server().await;
    let pair = rcgen::KeyPair::generate().unwrap();
    let good = jwk(&pair, "one");
    let mut secret = good.clone();
    secret["d"] = json!("x");
    let weak = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "w" });
    for (jwks, said) in [
        ("{".to_owned(), "no JSON"),
        (json!({ "keys": [] }).to_string(), "0 of them"),
        (json!({ "keys": [secret] }).to_string(), "a secret key"),
        (json!({ "keys": [good, good] }).to_string(), "one kid"),
        (json!({ "keys": [weak] }).to_string(), "fewer than 2048 bits"),
        (json!({ "keys": [{ "kty": "oct", "k": "AA" }] }).to_string(), "a secret key"),
        (String::new(), "no JSON"),
    ] {
        let settings = ClientSettings { name: Some("Job".to_owned()), jwks: Some(jwks), ..for_itself() };
        let app = &server.running.app;
        let added = clients::add(
            app,
            &By::COMMAND_LINE,
            "job".parse().unwrap(),
            Proving::Keys,
            settings,
            server.now(),
        );
        let refused = added.await.unwrap().map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn lifetimes_are_a_clients_own() {
    let server = server().await;
    let minutes = |minutes| Some(std::time::Duration::from_mins(minutes));
    let settings = ClientSettings {
        access_ttl: minutes(2),
        refresh_ttl: minutes(10),
        refresh_idle_ttl: minutes(5),
        ..ClientSettings::default()
    };
    server.add_client("short", None, settings).await;
    let tokens = server.login("short", "openid").await;
    assert_eq!(tokens["expires_in"], 120);
    let other = server.login("tv", "openid").await;
    assert_eq!(other["expires_in"], 3600);
    server.pass(301);
    server.refresh("short", text(&tokens, "refresh_token")).await.refused(400, "invalid_grant");
    let mut tokens = server.login("short", "openid").await;
    for _ in 0..2 {
        server.pass(290);
        tokens = server.refresh("short", text(&tokens, "refresh_token")).await.ok();
    }
    assert_eq!(tokens["expires_in"], 20, "no token outlives its login");
    server.pass(21);
    server.refresh("short", text(&tokens, "refresh_token")).await.refused(400, "invalid_grant");
}
