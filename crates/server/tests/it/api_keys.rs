//! API keys as resources: listed, made, rotated, reported, revoked.

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli_door::failed;
use crate::support::{server, text};

#[tokio::test]
async fn keys_are_listed_rotated_and_revoked() {
    let server = server().await;
    let token = server.access_token("openid devices").await;
    let call = async |method: Method, path: &str, body: Option<Value>| {
        server.v1(method, path, Some(&token), body).await
    };
    let bad = json!({ "expires_days": 0, "scopes": [1] });
    let reply = call(Method::POST, "/v1/auth/api-keys", Some(bad)).await;
    failed(&reply, 422, "invalid_request");
    assert_eq!(reply.json["detail"].as_array().map(Vec::len), Some(3), "{}", reply.json);
    let body = json!({ "name": "ci", "expires_days": 10, "scopes": ["read"] });
    let made = call(Method::POST, "/v1/auth/api-keys", Some(body)).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["cache-control"], "no-store");
    let (info, key) = (&made.json["key_info"], text(&made.json, "api_key").to_owned());
    assert!(key.starts_with(text(info, "key_prefix")) && text(info, "key_prefix").len() < 12);
    assert_eq!(
        (&info["is_active"], &info["last_used_at"], &info["scopes"]),
        (&json!(true), &Value::Null, &json!(["read"]))
    );
    let id = text(info, "id").to_owned();

    server.pass(60);
    server.v1(Method::GET, "/v1/auth/me", Some(&key), None).await.ok();
    let listed = call(Method::GET, "/v1/auth/api-keys", None).await.ok();
    assert_eq!(listed["total"], 1);
    assert_eq!(listed["api_keys"][0]["last_used_at"], "2027-01-15T08:01:00Z");
    // Not each use is written down, but none older than a minute is shown.
    server.pass(59);
    server.v1(Method::GET, "/v1/auth/me", Some(&key), None).await.ok();
    let devices = call(Method::GET, "/v1/auth/devices", None).await.ok();
    assert_eq!(devices[0]["last_used"], "2027-01-15T08:01:00Z");
    server.pass(1);
    server.v1(Method::GET, "/v1/auth/me", Some(&key), None).await.ok();
    let devices = call(Method::GET, "/v1/auth/devices", None).await.ok();
    assert_eq!(
        (&devices[0]["last_used"], &devices[0]["status"]),
        (&json!("2027-01-15T08:02:00Z"), &json!("active"))
    );

    let rotate = format!("/v1/auth/api-keys/{id}/rotate");
    let rotated = call(Method::POST, &rotate, Some(json!({ "overlap_seconds": 100 }))).await;
    assert_eq!(rotated.status, 201, "{}", rotated.json);
    let successor = text(&rotated.json, "api_key").to_owned();
    assert_eq!(rotated.json["key_info"]["scopes"], json!(["read"]));
    // As long a life as its predecessor was given, and one successor alone.
    assert_eq!(rotated.json["key_info"]["expires_at"], "2027-01-25T08:02:00Z");
    failed(&call(Method::POST, &rotate, Some(json!({}))).await, 409, "conflict");
    let good = async |key: &str| server.v1(Method::GET, "/v1/auth/me", Some(key), None).await.status == 200;
    server.pass(99);
    assert!(good(&key).await && good(&successor).await);
    server.pass(1);
    assert!(!good(&key).await && good(&successor).await);
    failed(&call(Method::POST, &rotate, Some(json!({}))).await, 404, "not_found");

    let id = text(&rotated.json["key_info"], "id").to_owned();
    server.add_user("bob").await;
    let bob = server.signed_in("bob").await;
    for path in
        [format!("/v1/auth/devices/{id}"), format!("/v1/auth/api-keys/{id}"), format!("/v1/devices/{id}")]
    {
        failed(&bob.v1(Method::DELETE, &path, None).await, 404, "not_found");
    }
    let revoked = call(Method::DELETE, &format!("/v1/auth/api-keys/{id}"), None).await.ok();
    assert_eq!(revoked["key_id"], id);
    assert!(!good(&successor).await);
    let devices = call(Method::GET, "/v1/auth/devices", None).await.ok();
    assert_eq!((&devices[0]["status"], &devices[1]["status"]), (&json!("revoked"), &json!("revoked")));
}

#[tokio::test]
async fn an_id_may_be_anything() {
    let server = server().await;
    let token = server.access_token("openid devices").await;
    for id in ["%ff", "%00", "..", "x".repeat(3000).as_str(), "%F0%9F%92%A9"] {
        for path in ["/v1/auth/devices/", "/v1/auth/api-keys/", "/v1/devices/"] {
            let reply = server.v1(Method::DELETE, &format!("{path}{id}"), Some(&token), None).await;
            assert!(matches!(reply.status, 404 | 405), "{path}{id}");
            assert!(
                reply.json["detail"].is_string() && reply.json["error"].is_string(),
                "{path}{id}: {}",
                reply.json
            );
        }
    }
    failed(&server.v1(Method::GET, "/v1", None, None).await, 404, "not_found");
    let mut browser = server.signed_in("alice").await;
    browser.get("/account/connect/%ff").await;
    browser.expect(404, "Page not found");
}

#[tokio::test]
async fn a_reported_key_ends_and_its_owner_is_told() {
    let server = server().await;
    let got = server.key().await;
    let key = text(&got, "api_key");
    let report =
        async |key: &str| server.post_json("/v1/auth/api-keys/report", json!({ "api_key": key })).await.ok();
    let mut altered = key.to_owned();
    altered.pop();
    let unknown = countersign_core::key::mint(&"cs".parse().unwrap(), &[9; 32]).0;
    let answers = [
        report("nonsense").await,
        report(&altered).await,
        report(unknown.reveal()).await,
        report(key).await,
        report(key).await,
    ];
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    failed(&server.v1(Method::GET, "/v1/auth/me", Some(key), None).await, 401, "unauthorized");
    assert_eq!(server.count("audit WHERE action = 'api_key.reported'").await, 1);
    let browser = server.signed_in("alice").await;
    assert!(browser.page.contains("was found where it should not be"), "{}", browser.page);
}

#[tokio::test]
async fn a_key_is_made_on_the_page_and_shown_once() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    browser.submit("name", &[("action", "make_key"), ("name", "  ")]).await;
    browser.expect(422, "A name has 1 to 100 visible characters");
    browser.submit("name", &[("action", "make_key"), ("name", "cron <b>job</b>")]).await;
    browser.expect(201, "It is shown this once");
    assert!(
        browser.page.contains("cron &#60;b&#62;job") && !browser.page.contains("<b>job"),
        "{}",
        browser.page
    );
    let key = browser.page.split("id=\"api-key\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let me = server.v1(Method::GET, "/v1/auth/me", Some(&key), None).await.ok();
    assert_eq!(me["credential"]["name"], "cron <b>job</b>");
    browser.get("/account").await;
    assert!(!browser.page.contains(&key));
}
