//! What the operator demands of approvals.

use serde_json::json;

use crate::socket;
use crate::support::{Browser, Device, Server, text};

pub const PROXY: (&str, &str) = ("server.trusted_proxies", "list:127.0.0.1");

/// A device on the network of somebody else, as the proxy says.
pub async fn elsewhere(server: &Server) -> Device {
    let request = server.http.post(server.url("/oauth2/v1/device_authorization"));
    let request =
        request.form(&[("client_id", "tv"), ("scope", "openid")]).header("x-forwarded-for", "203.0.113.7");
    let json: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    Device {
        client: "tv".to_owned(),
        device_code: text(&json, "device_code").to_owned(),
        user_code: text(&json, "user_code").to_owned(),
        json,
    }
}

async fn decide(browser: &mut Browser<'_>) {
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
}

#[tokio::test]
async fn people_are_told_that_a_device_asks_from_elsewhere() {
    let server = Server::with(&[PROXY]).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&elsewhere(&server).await.user_code).await;
    browser.expect(200, "from 203.0.113.7, and you are at 127.0.0.1");
    decide(&mut browser).await;
    browser.expect(200, "Device connected");
    assert_eq!(
        server
            .count("audit WHERE action = 'grant.approved' AND detail = 'asked for from another network'")
            .await,
        1
    );
    let near = server.ask("tv", "openid").await;
    browser.enter(&near.user_code).await;
    assert!(!browser.page.contains("another network"), "{}", browser.page);
    let server = Server::with(&[PROXY, ("approval.mismatch", "off")]).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&elsewhere(&server).await.user_code).await;
    browser.expect(200, "Connect this device?");
    assert!(!browser.page.contains("another network"), "{}", browser.page);
}

#[tokio::test]
async fn a_device_elsewhere_takes_a_fresh_sign_in_or_is_denied() {
    let server = Server::with(&[PROXY, ("approval.mismatch", "step_up")]).await;
    let mut browser = server.signed_in("alice").await;
    server.pass(1);
    let device = elsewhere(&server).await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Please sign in again");
    server.pass(1);
    let mut fresh = server.signed_in("alice").await;
    fresh.approve(&device).await;

    let server = Server::with(&[PROXY, ("approval.mismatch", "deny")]).await;
    let mut browser = server.signed_in("alice").await;
    let device = elsewhere(&server).await;
    browser.enter(&device.user_code).await;
    decide(&mut browser).await;
    browser.expect(409, "Nothing was connected");
    server.poll(&device).await.refused(400, "authorization_pending");
    assert_eq!(
        server.count("audit WHERE action = 'grant.refused' AND detail = 'approval.mismatch'").await,
        1
    );
    // The same through the API.
    browser.get("/account").await;
    let key = server.http.post(server.url("/v1/auth/device")).header("x-forwarded-for", "203.0.113.7");
    let key: serde_json::Value = key.json(&json!({})).send().await.unwrap().json().await.unwrap();
    let body = json!({ "user_code": key["user_code"] });
    let answer = browser.v1(reqwest::Method::POST, "/v1/auth/device/authorize", Some(body)).await;
    answer.refused(403, "forbidden");
    // Denying is always possible.
    browser.enter(&device.user_code).await;
    browser.submit("decision", &[("decision", "deny")]).await;
    browser.expect(200, "Request denied");
}

#[tokio::test]
async fn who_may_ask_is_the_operators_choice() {
    let server =
        Server::with(&[PROXY, ("approval.allowed_requester_cidrs", "list:127.0.0.0/8,198.51.100.0/24")])
            .await;
    server.ask("tv", "openid").await;
    for (path, status) in [("/oauth2/v1/device_authorization", 400), ("/v1/auth/device", 400)] {
        let request = server.http.post(server.url(path)).header("x-forwarded-for", "203.0.113.7");
        let request = match status {
            _ if path.starts_with("/v1") => request.json(&json!({})),
            _ => request.form(&[("client_id", "tv")]),
        };
        let answer = request.send().await.unwrap();
        let got = answer.status().as_u16();
        let said: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((got, text(&said, "error")), (status, "access_denied"), "{path}: {said}");
    }
    assert_eq!(server.count("audit WHERE action = 'grant.refused'").await, 2);
}

#[tokio::test]
async fn codes_are_typed_where_links_are_not_wanted() {
    let server = Server::with(&[("approval.complete_uri", "false")]).await;
    let device = server.ask("tv", "openid").await;
    assert!(device.json.get("verification_uri_complete").is_none(), "{}", device.json);
    let key = server.ask_key(json!({})).await;
    assert_eq!(key.json["verification_uri_complete"], key.json["verification_uri"]);
    let mut browser = server.signed_in("alice").await;
    browser.get(&format!("/device?user_code={}", device.user_code)).await;
    browser.submit("user_code", &[("user_code", &device.user_code)]).await;
    browser.expect(200, "For this device, links do not work");
    assert!(!browser.page.contains(&device.user_code), "{}", browser.page);
    let noted = "audit WHERE action = 'grant.refused' AND detail = 'approval.complete_uri'";
    assert_eq!(server.count(noted).await, 1);
    browser.approve(&device).await;
}

#[tokio::test]
async fn a_link_is_told_from_a_code_that_was_typed() {
    let server = Server::with(&[]).await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    browser.get(&format!("/device?user_code={}", device.user_code)).await;
    browser.submit("user_code", &[("user_code", &device.user_code)]).await;
    browser.expect(200, "You did not type this code");
    // Also once more, without the tick.
    browser.submit("decision", &[("decision", "approve")]).await;
    browser.expect(422, "You did not type this code");
    browser.enter(&device.user_code).await;
    browser.expect(200, "Did somebody send you this code or this link?");
    assert!(!browser.page.contains("You did not type this code"), "{}", browser.page);
}

#[tokio::test]
async fn other_doors_keep_to_the_policy_too() {
    let tokens =
        r#"json:[{"token":"gateway-token-of-the-operator","role":"operator","scopes":["operator.pairing"]}]"#;
    let server = Server::with(&[
        PROXY,
        ("login.second_factor", "everybody"),
        ("approval.allowed_requester_cidrs", "list:127.0.0.0/8"),
        ("pairing.gateway_tokens", tokens),
    ])
    .await;
    let mut far = socket::open(&server, &[("x-forwarded-for", "203.0.113.7")]).await.unwrap();
    far.next().await;
    let refused = far.error("node.pair.request", socket::facts(socket::PHONE)).await;
    assert_eq!(refused, (-32003, "Devices may not ask from this network".to_owned()));
    let code = server.http.post(server.url("/v1/auth/cli-verify")).header("x-forwarded-for", "203.0.113.7");
    let code = code.json(&json!({ "cli_code": "ABC234" })).send().await.unwrap();
    assert_eq!(code.status(), 400);

    // An operator with one factor makes no credential of anybody's device.
    let mut phone = socket::connect(&server, None).await;
    let code = phone.request(socket::PHONE).await;
    let mut gateway = socket::connect(&server, Some(socket::GATEWAY)).await;
    gateway.result("node.pair.approve", json!({ "pairing_code": code })).await;
    phone.result("node.pair.confirm", json!({ "pairing_code": code, "device_id": socket::PHONE })).await;
    gateway.result("node.pair.refresh", json!({ "device_id": socket::PHONE })).await;
}

#[tokio::test]
async fn a_sign_in_grows_old_also_after_the_question() {
    let server = Server::with(&[("approval.max_age", "1m")]).await;
    let device = server.ask("tv", "openid").await;
    server.pass(1);
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Connect this device?");
    server.pass(61);
    decide(&mut browser).await;
    browser.expect(200, "Please sign in again");
    server.poll(&device).await.refused(400, "authorization_pending");
}
