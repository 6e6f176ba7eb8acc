//! An API behind the guard, against the real server.

use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use countersign_guard::{Guard, Identity};
use serde_json::Value;

use crate::process::{Person, Server, add_user, ask, json, poll, run};

/// Starts an API whose one route wants the scope `deploy`, and returns its address.
async fn api(guard: &Guard) -> String {
    let hello = async |Extension(who): Extension<Identity>| {
        format!("{:?} {}", who.credential, who.username.unwrap_or_default())
    };
    let app = Router::new()
        .route("/open", get(hello).layer(guard.layer([""; 0])))
        .route("/deploy", get(hello).layer(guard.layer(["deploy"])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn call(url: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = reqwest::Client::new().get(format!("{url}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers().contains_key("www-authenticate"), matches!(status, 401 | 403));
    (status, response.text().await.unwrap())
}

async fn key(server: &Server, scopes: &str) -> Value {
    let http = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        let response = http.post(format!("{}/v1/auth/{path}", server.url)).json(&body).send().await.unwrap();
        response.json::<Value>().await.unwrap()
    };
    let asked = post("device", serde_json::json!({ "scopes": scopes })).await;
    let code = asked["user_code"].as_str().unwrap();
    Person::sign_in(&server.url, "alice").await.decide(code, "approve").await;
    post("device/token", serde_json::json!({ "device_code": asked["device_code"] })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_keys_come_through_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--set", "cli.interval=1s"]);
    add_user(folder.path(), "alice");
    let operator = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    let added = json(&operator(&["client", "add", "--id", "api", "--name", "API", "--secret", "--json"]));
    let secret = added["client_secret"].as_str().unwrap();
    let guard = Guard::new(&server.url, &server.url)
        .introspecting_as("api", secret)
        .keeping_for(Duration::from_hours(1));
    let (kept, asking) =
        (api(&guard).await, api(&guard.clone().keeping_for(Duration::ZERO).asking_always()).await);
    let elsewhere =
        api(&Guard::new(&server.url, "https://other.example").introspecting_as("api", secret)).await;

    for (token, status, words) in [
        (None, 401, "Bearer"),
        (Some("nonsense"), 401, "expired, revoked"),
        (Some("a.b.c"), 401, "expired, revoked"),
    ] {
        let (got, body) = call(&kept, "/open", token).await;
        assert!(got == status && body.contains(words), "{token:?}: {got} {body}");
    }

    let asked = ask(&server.url).await;
    Person::sign_in(&server.url, "alice").await.decide(asked["user_code"].as_str().unwrap(), "approve").await;
    let (_, tokens) = poll(&server.url, &asked).await;
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(call(&kept, "/open", Some(access)).await, (200, "AccessToken ".to_owned()));
    assert_eq!(call(&asking, "/open", Some(access)).await, (200, "AccessToken alice".to_owned()));
    assert_eq!(call(&kept, "/deploy", Some(access)).await.0, 403);
    assert_eq!(call(&elsewhere, "/open", Some(access)).await.0, 401, "it is for another API");
    for wrong in ["refresh_token", "id_token"] {
        assert_eq!(call(&asking, "/open", tokens[wrong].as_str()).await.0, 401, "{wrong}");
        assert_eq!(call(&kept, "/open", tokens[wrong].as_str()).await.0, 401, "{wrong}");
    }

    let got = key(&server, "deploy").await;
    let api_key = got["api_key"].as_str().unwrap();
    assert_eq!(call(&kept, "/deploy", Some(api_key)).await, (200, "ApiKey alice".to_owned()));
    assert_eq!(call(&asking, "/deploy", Some(api_key)).await.0, 200);
    assert_eq!(call(&kept, "/deploy", key(&server, "").await["api_key"].as_str()).await.0, 403);

    // Revoked, it ends at once where the server is asked, and later where its answer is kept.
    let id = got["key"]["id"].as_str().unwrap();
    assert!(operator(&["device", "revoke", id]).status.success());
    assert_eq!(call(&asking, "/deploy", Some(api_key)).await.0, 401);
    assert_eq!(call(&kept, "/deploy", Some(api_key)).await.0, 200);

    // Where the server is away nobody comes through whom it must be asked about.
    let url = server.url.clone();
    server.kill();
    assert_eq!(call(&asking, "/deploy", Some(api_key)).await.0, 503);
    assert_eq!(call(&kept, "/open", Some(access)).await.0, 200, "this one is verified without it");
    let fresh = api(&Guard::new(&url, &url)).await;
    assert_eq!(call(&fresh, "/open", Some(access)).await.0, 503);
}
