//! Request initiation verification: the PIN that the browser shows is typed on the device.

use serde_json::{Value, json};

use crate::socket;
use crate::support::{Browser, Device, Reply, Server, text};

const PIN: (&str, &str) = ("approval.initiation_check", "pin");

impl Browser<'_> {
    /// Approves this code, and reads the PIN that the page shows then.
    pub async fn approve_for_pin(&mut self, code: &str) -> String {
        self.enter(code).await;
        self.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
        self.expect(200, "Now type this PIN on the device");
        shown_pin(&self.page)
    }
}

fn shown_pin(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"initiation-pin\">").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

#[track_caller]
fn waits(reply: &Reply, pin: bool) {
    reply.refused(400, "authorization_pending");
    let expected = if pin { json!(true) } else { Value::Null };
    assert_eq!(reply.json["pin_required"], expected, "{}", reply.json);
}

fn other(pin: &str) -> String {
    format!("{:02}", (pin.parse::<u32>().unwrap() + 1) % 100)
}

#[tokio::test]
async fn a_device_collects_once_its_pin_was_typed() {
    let server = Server::with(&[PIN]).await;
    let device = server.ask("tv", "openid").await;
    waits(&server.poll(&device).await, false);
    waits(&server.poll_with(&device, "00").await, false);
    let pin = server.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    server.pass(5);
    waits(&server.poll(&device).await, true);
    // The pace holds for polls without a PIN alone.
    server.poll(&device).await.refused(400, "slow_down");
    waits(&server.poll_with(&device, &other(&pin)).await, true);
    waits(&server.poll_with(&device, &other(&pin)).await, true);
    server.poll_with(&device, "4 2").await.refused(400, "invalid_request");
    let tokens = server.poll_with(&device, &format!(" {pin}")).await.ok();
    server.userinfo(text(&tokens, "access_token")).await.ok();
    server.poll_with(&device, &pin).await.refused(400, "invalid_grant");
    assert_eq!(server.count("audit WHERE action = 'grant.pin_wrong'").await, 2);
}

#[tokio::test]
async fn three_wrong_pins_deny() {
    let server = Server::with(&[PIN]).await;
    let device = server.ask("tv", "openid").await;
    let pin = server.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    waits(&server.poll_with(&device, &other(&pin)).await, true);
    waits(&server.poll_with(&device, &other(&pin)).await, true);
    server.poll_with(&device, &other(&pin)).await.refused(400, "access_denied");
    server.poll_with(&device, &pin).await.refused(400, "access_denied");
    let denied = "audit WHERE action = 'grant.denied' AND detail = 'approval.initiation_check'";
    assert_eq!(server.count(denied).await, 1);
}

#[tokio::test]
async fn all_pins_at_once_are_three_tries() {
    let server = Server::with(&[PIN]).await;
    for _ in 0..3 {
        let device = server.ask("tv", "openid").await;
        let pin = server.signed_in("alice").await.approve_for_pin(&device.user_code).await;
        let wrong: Vec<String> = (0..100).map(|n| format!("{n:02}")).filter(|n| *n != pin).collect();
        futures_util::future::join_all(wrong.iter().map(|pin| server.poll_with(&device, pin))).await;
        let tries = "SELECT COALESCE(MAX(pin_tries), 0) FROM device_grant";
        assert_eq!(server.number(tries).await, 3);
        server.poll_with(&device, &pin).await.refused(400, "access_denied");
    }
    assert_eq!(server.count("device_grant WHERE redeemed_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn of_many_polls_with_the_right_pin_one_collects() {
    let server = Server::with(&[PIN]).await;
    let device = server.ask("tv", "openid").await;
    let pin = server.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    let polls = futures_util::future::join_all((0..8).map(|_| server.poll_with(&device, &pin))).await;
    assert_eq!(polls.iter().filter(|reply| reply.status == 200).count(), 1);
    assert_eq!(server.count("token_family").await, 1);
}

#[tokio::test]
async fn a_failure_on_the_way_costs_no_try() {
    let server = Server::with(&[PIN]).await;
    let device = server.ask("tv", "openid").await;
    let pin = server.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    server.database().break_table("token_family", "INSERT").await;
    for _ in 0..4 {
        assert_eq!(server.poll_with(&device, &pin).await.status, 500);
    }
    server.database().mend("token_family").await;
    server.poll_with(&device, &pin).await.ok();
}

#[tokio::test]
async fn the_page_says_the_pin_again_and_can_take_it_back() {
    let server = Server::with(&[PIN]).await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    let confirm = browser.form("decision");
    let decided = [("decision", "approve"), ("own_device", "yes")];
    browser.submit("decision", &decided).await;
    let first = browser.page.clone();
    // Loading the page again sends its form again.
    let mut again = confirm;
    again.remove("action of the form");
    again.extend(decided.map(|(name, value)| (name.to_owned(), value.to_owned())));
    browser.post("/device", &again).await;
    assert_eq!(shown_pin(&browser.page), shown_pin(&first));
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    server.poll_with(&device, &shown_pin(&first)).await.refused(400, "access_denied");
}

#[tokio::test]
async fn the_other_doors_ask_for_it_too() {
    let tokens =
        r#"json:[{"token":"gateway-token-of-the-operator","role":"operator","scopes":["operator.pairing"]}]"#;
    let server = Server::with(&[PIN, ("pairing.gateway_tokens", tokens)]).await;
    let mut browser = server.signed_in("alice").await;
    let key = server.ask_key(json!({})).await;
    let pin = browser.approve_for_pin(&key.user_code).await;
    let poll = async |key: &Device, pin: Option<&str>| {
        let body = json!({ "device_code": key.device_code, "initiation_pin": pin });
        server.post_json("/v1/auth/device/token", body).await
    };
    waits(&poll(&key, None).await, true);
    waits(&poll(&key, Some(&other(&pin))).await, true);
    poll(&key, Some("x")).await.refused(400, "invalid_request");
    poll(&key, Some(&pin)).await.ok();
    // Whoever approves through the API is told it there.
    let key = server.ask_key(json!({})).await;
    browser.get("/account").await;
    let body = json!({ "user_code": key.user_code });
    let said = browser.v1(reqwest::Method::POST, "/v1/auth/device/authorize", Some(body)).await.ok();
    poll(&key, Some(text(&said, "initiation_pin"))).await.ok();
    // A reverse code is typed on the device already.
    let made = browser.v1(reqwest::Method::POST, "/v1/auth/dashboard-code", None).await.ok();
    server.verify(text(&made, "cli_code")).await.ok();

    let mut phone = socket::connect(&server, None).await;
    let code = phone.request(socket::PHONE).await;
    let pin = browser.approve_for_pin(&code).await;
    let confirm = |pin: Option<&str>| json!({ "pairing_code": code, "device_id": socket::PHONE, "initiation_pin": pin });
    let answer = phone.call("node.pair.confirm", confirm(None)).await;
    assert_eq!(answer["error"]["data"]["pin_required"], json!(true), "{answer}");
    phone.error("node.pair.confirm", confirm(Some(&other(&pin)))).await;
    phone.result("node.pair.confirm", confirm(Some(&pin))).await;
    // An operator's own program is no person who could be talked into something.
    let mut tablet = socket::connect(&server, None).await;
    let code = tablet.request(socket::TABLET).await;
    let mut gateway = socket::connect(&server, Some(socket::GATEWAY)).await;
    gateway.result("node.pair.approve", json!({ "pairing_code": code })).await;
    tablet.result("node.pair.confirm", json!({ "pairing_code": code, "device_id": socket::TABLET })).await;
}
