//! What the tokens say, and what others are told about them.

use countersign_core::audit::By;
use countersign_core::client::{GrantType, SigningAlg, TokenFormat};
use countersign_server::flow::clients::{self, ClientSettings};
use countersign_server::flow::keys;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode_header};
use serde_json::{Value, json};

use crate::support::{Reply, Server, server, text};

/// The claims, after the signature was verified with the published keys.
pub async fn claims(server: &Server, token: &str) -> (jsonwebtoken::Header, Value) {
    let keys: JwkSet = serde_json::from_value(server.get("/oauth2/v1/jwks").await.ok()).unwrap();
    let header = decode_header(token).unwrap();
    let jwk = keys.find(header.kid.as_ref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(header.alg);
    // The tests' clock is not the one that this library reads.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let data =
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();
    (header, data.claims)
}

#[tokio::test]
async fn an_access_token_is_an_rfc_9068_jwt() {
    let server = server().await;
    let tokens = server.login("tv", "openid profile").await;
    assert_eq!((text(&tokens, "token_type"), tokens["expires_in"].as_u64()), ("Bearer", Some(3600)));
    let (header, claims) = claims(&server, text(&tokens, "access_token")).await;
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), jsonwebtoken::Algorithm::ES256));
    let issuer = server.running.app.public_url.issuer();
    let now = server.now().secs();
    assert_eq!((text(&claims, "iss"), text(&claims, "aud")), (issuer, issuer));
    assert_eq!((text(&claims, "client_id"), text(&claims, "scope")), ("tv", "openid profile"));
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(now), Some(now + 3600)));
    assert!(claims["jti"].is_string() && claims["sub"].is_string());
}

#[tokio::test]
async fn an_id_token_says_how_and_when_the_person_signed_in() {
    let server = server().await;
    let device = server.ask_with("tv", &[("scope", "openid"), ("nonce", "n-0S6")]).await;
    let signed_in_at = server.now().secs();
    let mut browser = server.signed_in("alice").await;
    server.pass(7);
    browser.approve(&device).await;
    let tokens = server.poll(&device).await.ok();
    let (_, claims) = claims(&server, text(&tokens, "id_token")).await;
    assert_eq!((text(&claims, "aud"), text(&claims, "nonce")), ("tv", "n-0S6"));
    assert_eq!((claims["auth_time"].as_i64(), &claims["amr"]), (Some(signed_in_at), &json!(["pwd"])));
    assert!(claims["sid"].is_string());
    let refreshed = server.refresh("tv", text(&tokens, "refresh_token")).await.ok();
    let (_, later) = self::claims(&server, text(&refreshed, "id_token")).await;
    assert_eq!(
        (later.get("nonce"), &later["sid"], &later["auth_time"]),
        (None, &claims["sid"], &claims["auth_time"])
    );
}

#[tokio::test]
async fn without_openid_there_is_no_id_token_and_without_scopes_a_plain_one() {
    let server = server().await;
    let tokens = server.login("tv", "").await;
    assert_eq!((tokens.get("id_token"), text(&tokens, "scope")), (None, ""));
    assert!(tokens["refresh_token"].is_string(), "offline_access is not needed for it");
    server.userinfo(text(&tokens, "access_token")).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn a_client_chooses_the_signature_of_its_id_tokens() {
    let server = server().await;
    let settings = ClientSettings { id_token_alg: Some(SigningAlg::Rs256), ..ClientSettings::default() };
    server.add_client("rsa", None, settings).await;
    let tokens = server.login("rsa", "openid").await;
    let (header, _) = claims(&server, text(&tokens, "id_token")).await;
    assert_eq!(header.alg, jsonwebtoken::Algorithm::RS256);
}

#[tokio::test]
async fn access_tokens_may_be_signed_with_any_of_the_algorithms() {
    for (name, alg) in [("RS256", jsonwebtoken::Algorithm::RS256), ("EdDSA", jsonwebtoken::Algorithm::EdDSA)]
    {
        let server = Server::with(&[("tokens.signing_alg", name)]).await;
        let tokens = server.login("tv", "openid").await;
        assert_eq!(claims(&server, text(&tokens, "access_token")).await.0.alg, alg);
        server.userinfo(text(&tokens, "access_token")).await.ok();
    }
}

#[tokio::test]
async fn resources_become_the_audience() {
    let server = server().await;
    let secret = server.api().await;
    let one = "https://api.example/one";
    let two = "https://api.example/two";
    let device = server.ask_with("tv", &[("scope", "openid"), ("resource", one), ("resource", two)]).await;
    server.signed_in("alice").await.approve(&device).await;
    let narrow = |resource| {
        [
            ("grant_type", crate::support::DEVICE_CODE),
            ("client_id", "tv"),
            ("device_code", device.device_code.as_str()),
            ("resource", resource),
        ]
    };
    let post = async |form: [(&str, &str); 4]| server.post("/oauth2/v1/token", &form).await;
    post(narrow("https://elsewhere.example")).await.refused(400, "invalid_target");
    let tokens = post(narrow(two)).await.ok();
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await["aud"], two);
    server.userinfo(text(&tokens, "access_token")).await.refused(401, "invalid_token");
    let both = server.refresh("tv", text(&tokens, "refresh_token")).await.ok();
    assert_eq!(server.introspect(&secret, text(&both, "access_token")).await["aud"], json!([one, two]));
}

#[tokio::test]
async fn a_client_with_registered_resources_gets_only_those() {
    let server = server().await;
    let settings = ClientSettings {
        resources: Some(vec!["https://api.example".to_owned()]),
        ..ClientSettings::default()
    };
    server.add_client("bound", None, settings).await;
    let ask = async |resource: &str| {
        server
            .post("/oauth2/v1/device_authorization", &[("client_id", "bound"), ("resource", resource)])
            .await
    };
    ask("https://api.example").await.ok();
    ask("https://other.example").await.refused(400, "invalid_target");
}

#[tokio::test]
async fn a_client_that_was_given_less_gets_less() {
    let server = server().await;
    let one = "https://api.example/one";
    let device = server.ask_with("tv", &[("scope", "openid profile"), ("resource", one)]).await;
    let connected = server.login("tv", "openid profile email").await;
    server.signed_in("alice").await.approve(&device).await;
    let edit = async |settings: ClientSettings| {
        let id = "tv".parse().unwrap();
        clients::edit(&server.running.app, &By::COMMAND_LINE, &id, settings, None, server.now())
            .await
            .unwrap()
            .unwrap();
    };
    edit(ClientSettings { scopes: Some("openid".parse().unwrap()), ..ClientSettings::default() }).await;
    let refreshed = server.refresh("tv", text(&connected, "refresh_token")).await.ok();
    assert_eq!(text(&refreshed, "scope"), "openid");
    edit(ClientSettings {
        resources: Some(vec!["https://api.example/two".to_owned()]),
        ..ClientSettings::default()
    })
    .await;
    server.poll(&device).await.refused(400, "invalid_target");
    edit(ClientSettings { resources: Some(vec![one.to_owned()]), ..ClientSettings::default() }).await;
    assert_eq!(text(&server.poll(&device).await.ok(), "scope"), "openid");
}

#[tokio::test]
async fn a_client_may_choose_a_signature_that_was_not_used_before() {
    let server = server().await;
    let settings = ClientSettings { id_token_alg: Some(SigningAlg::EdDsa), ..ClientSettings::default() };
    server.add_client("ed", None, settings).await;
    server.pass(1);
    let tokens = server.login("ed", "openid").await;
    let (header, _) = claims(&server, text(&tokens, "id_token")).await;
    assert_eq!(header.alg, jsonwebtoken::Algorithm::EdDSA);
}

#[tokio::test]
async fn opaque_access_tokens_work_alike() {
    let server = server().await;
    let secret = server.api().await;
    let settings = ClientSettings { token_format: Some(TokenFormat::Opaque), ..ClientSettings::default() };
    server.add_client("opaque", None, settings).await;
    let tokens = server.login("opaque", "openid email").await;
    let access = text(&tokens, "access_token");
    assert!(access.starts_with("cs_at_") && !access.contains('.'));
    let found = server.introspect(&secret, access).await;
    assert_eq!((found["active"].as_bool(), text(&found, "client_id")), (Some(true), "opaque"));
    let dump = server.database().dump().await;
    assert!(
        !dump.windows(access.len()).any(|window| window == access.as_bytes()),
        "only its digest is stored"
    );
    server.post("/oauth2/v1/revoke", &[("client_id", "opaque"), ("token", access)]).await.ok();
    assert_eq!(server.introspect(&secret, access).await, json!({ "active": false }));
}

#[tokio::test]
async fn introspection_tells_confidential_clients_and_nobody_else() {
    let server = server().await;
    let secret = server.api().await;
    let tokens = server.login("tv", "openid profile").await;
    let found = server.introspect(&secret, text(&tokens, "access_token")).await;
    assert_eq!((text(&found, "username"), text(&found, "client_id")), ("alice", "tv"));
    assert_eq!(text(&found, "scope"), "openid profile");
    assert_eq!(server.introspect(&secret, text(&tokens, "id_token")).await, json!({ "active": false }));
    assert_eq!(server.introspect(&secret, text(&tokens, "refresh_token")).await, json!({ "active": false }));
    assert_eq!(server.introspect(&secret, "junk").await, json!({ "active": false }));
    let public = [("client_id", "tv"), ("token", text(&tokens, "access_token"))];
    server.post("/oauth2/v1/introspect", &public).await.refused(400, "unauthorized_client");
    server.pass(3600);
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await, json!({ "active": false }));
}

#[tokio::test]
async fn a_confidential_client_sees_its_own_refresh_token() {
    let server = server().await;
    let secret = server.api().await;
    let form = [("client_id", "api"), ("client_secret", secret.as_str()), ("scope", "openid")];
    let asked = server.post("/oauth2/v1/device_authorization", &form).await.ok();
    let device = crate::support::Device {
        client: "api".to_owned(),
        device_code: text(&asked, "device_code").to_owned(),
        user_code: text(&asked, "user_code").to_owned(),
        json: asked,
    };
    server.signed_in("alice").await.approve(&device).await;
    let form = [
        ("grant_type", crate::support::DEVICE_CODE),
        ("client_id", "api"),
        ("client_secret", &secret),
        ("device_code", &device.device_code),
    ];
    let tokens = server.post("/oauth2/v1/token", &form).await.ok();
    let found = server.introspect(&secret, text(&tokens, "refresh_token")).await;
    assert_eq!((found["active"].as_bool(), text(&found, "token_type")), (Some(true), "refresh_token"));
}

#[tokio::test]
async fn a_bearer_with_the_scope_may_introspect() {
    let server = server().await;
    let scopes = Some("openid introspect".parse().unwrap());
    server.add_client("checker", None, ClientSettings { scopes, ..ClientSettings::default() }).await;
    let tokens = server.login("tv", "openid").await;
    let ask = async |bearer: &str| {
        let form = [("token", text(&tokens, "access_token"))];
        let request = server.http.post(server.url("/oauth2/v1/introspect")).form(&form).bearer_auth(bearer);
        Reply::of(request.send().await.unwrap()).await
    };
    let checker = server.login("checker", "introspect").await;
    assert_eq!(ask(text(&checker, "access_token")).await.ok()["active"], true);
    ask(text(&tokens, "access_token")).await.refused(403, "insufficient_scope");
    ask("junk").await.refused(401, "invalid_token");
    let both = [("token", "x"), ("client_id", "tv"), ("client_secret", "x")];
    let request = server.http.post(server.url("/oauth2/v1/introspect")).form(&both);
    let request = request.bearer_auth(text(&checker, "access_token"));
    Reply::of(request.send().await.unwrap()).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn userinfo_tells_what_the_scopes_allow() {
    let server = server().await;
    let few = server.login("tv", "openid").await;
    let (_, bare) = claims(&server, text(&few, "id_token")).await;
    assert!(["name", "preferred_username", "email"].iter().all(|claim| bare.get(claim).is_none()), "{bare}");
    let few = server.userinfo(text(&few, "access_token")).await.ok();
    assert_eq!(few.as_object().unwrap().len(), 1, "{few}");
    let login = server.login("tv", "openid profile email").await;
    let again = server.refresh("tv", text(&login, "refresh_token")).await.ok();
    let more = server.userinfo(text(&again, "access_token")).await.ok();
    for tokens in [&login, &again] {
        let (_, told) = claims(&server, text(tokens, "id_token")).await;
        assert!(more.as_object().unwrap().iter().all(|(name, value)| told[name] == *value), "{told}");
    }
    assert_eq!((text(&more, "preferred_username"), text(&more, "name")), ("alice", "alice Example"));
    assert_eq!((text(&more, "email"), &more["email_verified"]), ("alice@example.com", &json!(false)));
    assert_eq!(few["sub"], more["sub"]);
    let challenge = server.get("/oauth2/v1/userinfo").await;
    challenge.refused(401, "invalid_request");
    assert!(challenge.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
}

#[tokio::test]
async fn an_access_token_is_revoked_alone_and_a_refresh_token_takes_all_along() {
    let server = server().await;
    let secret = server.api().await;
    let tokens = server.login("tv", "openid").await;
    let revoke = async |client: &str, token: &str| {
        server.post("/oauth2/v1/revoke", &[("client_id", client), ("token", token)]).await
    };
    server.add_client("other", None, ClientSettings::default()).await;
    revoke("other", text(&tokens, "access_token")).await.refused(400, "unauthorized_client");
    revoke("other", text(&tokens, "refresh_token")).await.refused(400, "unauthorized_client");
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await["active"], true);
    revoke("tv", text(&tokens, "access_token")).await.ok();
    revoke("tv", text(&tokens, "access_token")).await.ok();
    revoke("tv", "junk").await.ok();
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await["active"], false);
    let next = server.refresh("tv", text(&tokens, "refresh_token")).await.ok();
    revoke("tv", text(&next, "refresh_token")).await.ok();
    assert_eq!(server.introspect(&secret, text(&next, "access_token")).await["active"], false);
    server.refresh("tv", text(&next, "refresh_token")).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn keys_rotate_with_overlap() {
    let server = server().await;
    let secret = server.api().await;
    let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
    let old = server.login("tv", "openid").await;
    let published = async || -> Vec<String> {
        let keys = server.get("/.well-known/jwks.json").await.ok();
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "kid").to_owned()).collect()
    };
    let before = published().await;
    assert_eq!(before.len(), 4, "current and next of ES256 and RS256");
    assert!(keys::rotate(&server.running.app, &By::COMMAND_LINE, server.now()).await.unwrap());
    server.pass(1);
    let new = server.login("tv", "openid").await;
    let (old_kid, new_kid) = (kid(text(&old, "access_token")), kid(text(&new, "access_token")));
    assert_ne!(old_kid, new_kid);
    assert!(before.contains(&new_kid), "it was published before it signed");
    assert!(published().await.contains(&old_kid));
    assert_eq!(server.introspect(&secret, text(&old, "access_token")).await["active"], true);
    server.pass(24 * 3600);
    assert!(published().await.contains(&old_kid), "a client's tokens may live for a day");
    server.pass(3600);
    assert!(!published().await.contains(&old_kid), "everything that it signed has expired");
}

#[tokio::test]
async fn discovery_lists_what_works() {
    let server = server().await;
    let oidc = server.get("/.well-known/openid-configuration").await.ok();
    assert_eq!(oidc, server.get("/.well-known/oauth-authorization-server").await.ok());
    let issuer = server.running.app.public_url.issuer();
    assert_eq!(text(&oidc, "issuer"), issuer);
    for (name, value) in oidc.as_object().unwrap() {
        let Some(url) = value.as_str().filter(|_| name.ends_with("_endpoint") || name == "jwks_uri") else {
            continue;
        };
        let path = url.strip_prefix(issuer).expect("every endpoint is ours");
        let reply = server.get(path).await;
        assert!(matches!(reply.status, 200 | 303 | 401 | 405), "{name}: {}", reply.status);
    }
    let list = |name: &str| {
        oidc[name].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>()
    };
    let grants = [crate::support::DEVICE_CODE, "refresh_token", "authorization_code", "client_credentials"];
    assert_eq!(list("grant_types_supported"), grants);
    assert_eq!(
        list("token_endpoint_auth_methods_supported"),
        ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
    );
    assert_eq!(list("id_token_signing_alg_values_supported"), ["ES256", "RS256"]);
    assert_eq!(list("code_challenge_methods_supported"), ["S256"]);
    assert!(list("dpop_signing_alg_values_supported").contains(&"ES256"));
    assert!(oidc.get("registration_endpoint").is_none());
}

#[tokio::test]
async fn nothing_that_grants_anything_stands_in_the_database() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let browser = server.signed_in("alice").await;
    let cookie = browser.cookie.clone().unwrap();
    let tokens = server.login("tv", "openid").await;
    let issued = [
        device.device_code.as_str(),
        device.user_code.as_str(),
        &device.user_code.replace('-', ""),
        cookie.split_once('=').unwrap().1,
        crate::support::PASSWORD,
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
        text(&tokens, "id_token"),
        "BEGIN PRIVATE KEY",
    ];
    let dump = server.database().dump().await;
    assert!(dump.len() > 1000);
    for secret in issued {
        let hexadecimal = secret.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        for form in [secret, &hexadecimal] {
            let found = dump.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{secret} is stored");
        }
    }
}

#[tokio::test]
async fn a_token_for_another_api_does_not_introspect() {
    let server = server().await;
    let settings =
        || ClientSettings { scopes: Some("introspect".parse().unwrap()), ..ClientSettings::default() };
    server.add_client("watcher", None, settings()).await;
    let introspect = async |token: &str| {
        let request = server.http.post(server.url("/oauth2/v1/introspect")).bearer_auth(token);
        Reply::of(request.form(&[("token", token)]).send().await.unwrap()).await
    };
    let own = server.login("watcher", "introspect").await;
    assert_eq!(introspect(text(&own, "access_token")).await.ok()["active"], true);
    let extra = [("scope", "introspect"), ("resource", "https://api.example")];
    let device = server.ask_with("watcher", &extra).await;
    server.signed_in("alice").await.approve(&device).await;
    let foreign = server.poll(&device).await.ok();
    introspect(text(&foreign, "access_token")).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn revoking_all_that_a_device_has_disconnects_it() {
    let server = server().await;
    server.add_client("plain", None, crate::support::only(GrantType::DeviceCode)).await;
    let tokens = server.login("plain", "openid").await;
    let token = text(&tokens, "access_token");
    server.post("/oauth2/v1/revoke", &[("client_id", "plain"), ("token", token)]).await.ok();
    assert_eq!(server.count("token_family WHERE ended_at IS NULL").await, 0);
    server.userinfo(token).await.refused(401, "invalid_token");
}
