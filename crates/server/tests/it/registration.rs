//! Clients that register themselves (RFC 7591) and change themselves (RFC 7592).

use countersign_core::audit::By;
use countersign_server::flow::clients::{self, ClientSettings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Server, server, text};

const TOKEN: &str = "initial-token-of-this-test-0123456789";

async fn open() -> Server {
    Server::with(&[("registration.initial_access_token", TOKEN)]).await
}

async fn call(server: &Server, method: Method, path: &str, token: Option<&str>, body: &Value) -> Reply {
    let request = server.http.request(method, server.url(path)).json(body);
    let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    Reply::of(request.send().await.unwrap()).await
}

async fn register(server: &Server, body: &Value) -> Reply {
    call(server, Method::POST, "/oauth2/v1/register", Some(TOKEN), body).await
}

fn metadata() -> Value {
    json!({
        "client_name": "Blinds",
        "redirect_uris": ["http://127.0.0.1/cb"],
        "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "scope": "openid",
        "logo_uri": "https://ignored.example/x.png",
    })
}

#[tokio::test]
async fn it_is_off_unless_the_operator_says_otherwise() {
    let server = server().await;
    register(&server, &metadata()).await.refused(404, "not_found");
    let discovery = server.get("/.well-known/openid-configuration").await.ok();
    assert!(discovery.get("registration_endpoint").is_none());
    let discovery = open().await.get("/.well-known/openid-configuration").await.ok();
    assert!(text(&discovery, "registration_endpoint").ends_with("/oauth2/v1/register"));
}

#[tokio::test]
async fn a_client_registers_itself_and_logs_in() {
    let server = open().await;
    let reply = register(&server, &metadata()).await;
    assert_eq!(reply.status, 201, "{}", reply.json);
    let id = text(&reply.json, "client_id");
    assert!(reply.json.get("client_secret").is_none());
    let tokens = server.login(id, "openid").await;
    server.refresh(id, text(&tokens, "refresh_token")).await.ok();
    assert_eq!(server.count("audit WHERE action = 'client.registered'").await, 1);
    // One with a secret proves who it is with it.
    let reply = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (id, secret) = (text(&reply.json, "client_id"), text(&reply.json, "client_secret"));
    assert_eq!(reply.json["client_secret_expires_at"], 0);
    assert_eq!(reply.json["grant_types"], json!(["authorization_code"]));
    let revoke = server.http.post(server.url("/oauth2/v1/revoke")).form(&[("token", "x")]);
    Reply::of(revoke.basic_auth(id, Some(secret)).send().await.unwrap()).await.ok();
}

#[tokio::test]
async fn what_does_not_do_is_named() {
    let server = open().await;
    call(&server, Method::POST, "/oauth2/v1/register", None, &metadata())
        .await
        .refused(401, "invalid_request");
    call(&server, Method::POST, "/oauth2/v1/register", Some("wrong"), &metadata())
        .await
        .refused(401, "invalid_token");
    for (change, error) in [
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [], "grant_types": ["authorization_code"] }), "invalid_redirect_uri"),
        (json!({ "scope": "openid admin" }), "invalid_client_metadata"),
        (json!({ "scope": "devices" }), "invalid_client_metadata"),
        (json!({ "grant_types": ["password"] }), "invalid_client_metadata"),
        (json!({ "grant_types": ["client_credentials"] }), "invalid_client_metadata"),
        (json!({ "response_types": ["token"] }), "invalid_client_metadata"),
        (json!({ "token_endpoint_auth_method": "tls_client_auth" }), "invalid_client_metadata"),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "invalid_client_metadata"),
        (json!({ "jwks_uri": "https://app.example/jwks" }), "invalid_client_metadata"),
        (json!({ "client_name": "\u{202e}evil" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": "x" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": vec!["https://app.example/cb"; 60] }), "invalid_redirect_uri"),
    ] {
        let mut body = metadata();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        register(&server, &body).await.refused(400, error);
    }
    assert_eq!(server.count("client WHERE id LIKE 'dcr-%'").await, 0);
}

#[tokio::test]
async fn a_client_changes_itself_and_nobody_else() {
    let server = open().await;
    let mine = register(&server, &metadata()).await.json;
    let other = register(&server, &metadata()).await.json;
    let token = text(&mine, "registration_access_token");
    let path = format!("/oauth2/v1/register/{}", text(&mine, "client_id"));
    assert!(text(&mine, "registration_client_uri").ends_with(&path));
    let seen = call(&server, Method::GET, &path, Some(token), &json!({})).await.ok();
    assert_eq!((text(&seen, "client_name"), text(&seen, "registration_access_token")), ("Blinds", token));
    let theirs = format!("/oauth2/v1/register/{}", text(&other, "client_id"));
    for (path, token) in [
        (theirs.as_str(), token),
        (&path, TOKEN),
        (&path, "x"),
        ("/oauth2/v1/register/tv", token),
        ("/oauth2/v1/register/none", token),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            call(&server, method, path, Some(token), &metadata()).await.refused(401, "invalid_token");
        }
    }
    let mut changed = metadata();
    changed["client_name"] = json!("Better blinds");
    call(&server, Method::PUT, &path, Some(token), &changed).await.refused(400, "invalid_client_metadata");
    changed["client_id"] = mine["client_id"].clone();
    changed["token_endpoint_auth_method"] = json!("client_secret_post");
    call(&server, Method::PUT, &path, Some(token), &changed).await.refused(400, "invalid_client_metadata");
    changed["token_endpoint_auth_method"] = json!("none");
    changed["client_secret"] = json!("one of my own");
    call(&server, Method::PUT, &path, Some(token), &changed).await.refused(400, "invalid_client_metadata");
    changed.as_object_mut().unwrap().remove("client_secret");
    let seen = call(&server, Method::PUT, &path, Some(token), &changed).await.ok();
    assert_eq!(text(&seen, "client_name"), "Better blinds");
    let tokens = server.login(text(&mine, "client_id"), "openid").await;
    let gone = call(&server, Method::DELETE, &path, Some(token), &json!({})).await;
    assert_eq!(gone.status, 204);
    server
        .refresh(text(&mine, "client_id"), text(&tokens, "refresh_token"))
        .await
        .refused(400, "invalid_client");
    call(&server, Method::GET, &path, Some(token), &json!({})).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn what_an_administrator_decided_is_not_undone_by_the_client() {
    let server = open().await;
    let app = &server.running.app;
    // Also what was saved as it was is theirs from then on.
    for dpop_bound in [Some(true), None] {
        let mine = register(&server, &metadata()).await.json;
        let id = text(&mine, "client_id").parse().unwrap();
        let settings = ClientSettings { dpop_bound, ..ClientSettings::default() };
        clients::edit(app, &By::COMMAND_LINE, &id, settings, None, server.now()).await.unwrap().unwrap();
        let path = format!("/oauth2/v1/register/{id}");
        let token = text(&mine, "registration_access_token");
        call(&server, Method::PUT, &path, Some(token), &metadata()).await.refused(401, "invalid_token");
    }
}

/// Nor by what the client said before, and what is carried out after.
#[tokio::test]
async fn a_change_that_was_under_way_does_not_undo_it_either() {
    let server = open().await;
    for _ in 0..4 {
        let mine = register(&server, &metadata()).await.json;
        let id = text(&mine, "client_id").parse().unwrap();
        let (path, token) = (format!("/oauth2/v1/register/{id}"), text(&mine, "registration_access_token"));
        let mut own = metadata();
        own["client_id"] = mine["client_id"].clone();
        let changes = (0..32).map(|_| call(&server, Method::PUT, &path, Some(token), &own));
        let app = &server.running.app;
        let settings = ClientSettings { dpop_bound: Some(true), ..ClientSettings::default() };
        let decision = clients::edit(app, &By::COMMAND_LINE, &id, settings, None, server.now());
        let (replies, edited) = futures_util::join!(futures_util::future::join_all(changes), decision);
        assert!(edited.unwrap().unwrap().details.dpop_bound);
        assert!(replies.iter().all(|reply| [200, 401].contains(&reply.status)));
        assert!(clients::find(app, &id).await.unwrap().unwrap().details.dpop_bound);
    }
}

#[tokio::test]
async fn no_scope_at_all_is_not_every_scope() {
    let settings = [("registration.initial_access_token", TOKEN), ("registration.scopes", "list:openid")];
    let server = Server::with(&settings).await;
    let mut body = metadata();
    body["scope"] = json!("");
    let made = register(&server, &body).await.json;
    assert_eq!(made["scope"], "openid");
    let form = [("client_id", text(&made, "client_id")), ("scope", "openid email")];
    server.post("/oauth2/v1/device_authorization", &form).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn guesses_at_the_token_are_limited() {
    let server = Server::with(&[
        ("registration.initial_access_token", TOKEN),
        ("rate_limit.device_codes_per_address", "3"),
    ])
    .await;
    for _ in 0..3 {
        let guess = call(&server, Method::POST, "/oauth2/v1/register", Some("guess"), &metadata()).await;
        guess.refused(401, "invalid_token");
    }
    let limited = register(&server, &metadata()).await;
    limited.refused(429, "slow_down");
    assert!(limited.headers.contains_key("retry-after"));
}
