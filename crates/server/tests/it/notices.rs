//! Notices of new devices and the links in them; what looks like fishing. (Real mail and real webhooks are
//! tried in `tests/browser`.)

use countersign_server::flow::notices;
use countersign_server::store::notices::{Kind, due};
use serde_json::{Value, json};

use crate::policy::{PROXY, elsewhere};
use crate::support::{PASSWORD, Server, text};

/// Nobody is there: what is sent waits.
pub const HOOK: (&str, &str) = (
    "webhooks.endpoints",
    r#"json:[{"id":"ops","url":"http://127.0.0.1:9/","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]"#,
);

impl Server {
    /// What waits to be sent, oldest first.
    async fn waiting(&self) -> Vec<Value> {
        let app = &self.running.app;
        let later = self.now() + std::time::Duration::from_hours(24);
        let mut waiting = due(&app.store, Kind::Webhook, "ops", later, 100).await.unwrap();
        waiting.sort_by_key(|due| due.id);
        let open =
            |due: &countersign_server::store::notices::Due| notices::open(app, due.id, &due.body).unwrap();
        waiting.iter().map(|due| serde_json::to_value(open(due)).unwrap()).collect()
    }

    /// The path of the link in the newest notice.
    async fn link(&self) -> String {
        let newest = self.waiting().await.pop().unwrap();
        let url = text(&newest["data"], "revoke_url").to_owned();
        url.split_once("/revoke/").map(|(_, token)| format!("/revoke/{token}")).unwrap()
    }
}

#[tokio::test]
async fn each_new_device_of_each_door_is_told_of() {
    let server = Server::with(&[HOOK]).await;
    server.login("tv", "openid").await;
    server.key().await;
    let mut browser = server.signed_in("alice").await;
    let made =
        browser.v1(reqwest::Method::POST, "/v1/auth/api-keys", Some(json!({ "name": "by hand" }))).await;
    assert_eq!(made.status, 201);
    let mut phone = crate::socket::connect(&server, None).await;
    let code = phone.request(crate::socket::PHONE).await;
    browser.enter(&code).await;
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    phone
        .result("node.pair.confirm", json!({ "pairing_code": code, "device_id": crate::socket::PHONE }))
        .await;
    let told = server.waiting().await;
    let doors: Vec<(&str, &str)> = told
        .iter()
        .map(|notice| (text(&notice["data"], "door"), text(&notice["data"], "username")))
        .collect();
    for (door, count) in [("oauth", 1), ("cli", 2), ("socket", 1)] {
        assert_eq!(doors.iter().filter(|told| **told == (door, "alice")).count(), count, "{doors:?}");
    }
    assert!(told.iter().all(|notice| notice["type"] == "device.connected"));
    assert_eq!(server.count("revoke_link").await, 4);
    // Nothing of it stands in the database in the clear.
    let dump = String::from_utf8_lossy(&server.database().dump().await).into_owned();
    assert!(!dump.contains("revoke_url") && !dump.contains("/revoke/"));
}

#[tokio::test]
async fn what_did_not_happen_is_not_told() {
    let server = Server::with(&[HOOK]).await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.approve(&device).await;
    server.database().break_table("outbox", "INSERT").await;
    assert_eq!(server.poll(&device).await.status, 500);
    assert_eq!(server.count("token_family").await, 0, "told and done are one commit");
    server.database().mend("outbox").await;
    server.poll(&device).await.ok();
    assert_eq!(server.waiting().await.len(), 1);
    let server = Server::with(&[HOOK, ("notices.new_device", "false")]).await;
    server.login("tv", "openid").await;
    assert!(server.waiting().await.is_empty());
}

#[tokio::test]
async fn a_link_disconnects_its_device_once() {
    let server = Server::with(&[HOOK]).await;
    let tokens = server.login("tv", "openid").await;
    let link = server.link().await;
    let other = server.login("tv", "openid").await;
    let mut anybody = server.browser();
    anybody.get(&link).await;
    anybody.expect(200, "Disconnect this device?");
    server.userinfo(text(&tokens, "access_token")).await.ok();
    // Not by a form of somebody else's, nor from another browser's page.
    let mut fields = anybody.form("action");
    fields.remove("action of the form");
    let mut stranger = server.browser();
    stranger.get("/login").await;
    stranger.post(&link, &fields).await;
    stranger.expect(403, "Please try again");
    anybody.submit("action", &[("action", "revoke")]).await;
    anybody.expect(200, "Disconnected");
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.status, 401);
    server.userinfo(text(&other, "access_token")).await.ok();
    anybody.get(&link).await;
    anybody.expect(404, "Nothing to disconnect");
    let detail = "audit WHERE action = 'device.revoked' AND detail = 'by the link of a notice'";
    assert_eq!(server.count(detail).await, 1);
}

#[tokio::test]
async fn a_link_that_is_forged_late_or_used_by_many_does_nothing_more() {
    let server = Server::with(&[HOOK, ("notices.link_ttl", "1h")]).await;
    let tokens = server.login("tv", "openid").await;
    let link = server.link().await;
    let (id, mac) = link.rsplit_once('.').unwrap();
    let mut browser = server.browser();
    for forged in
        [id.to_owned(), format!("{id}."), format!("{id}.{}", "A".repeat(mac.len())), "/revoke/x".to_owned()]
    {
        browser.get(&forged).await;
        browser.expect(404, "Nothing to disconnect");
    }
    // Many at once are one.
    let mut browsers = Vec::new();
    for _ in 0..6 {
        let mut browser = server.browser();
        browser.get(&link).await;
        browsers.push(browser);
    }
    let clicks = browsers.iter_mut().map(|browser| browser.submit("action", &[("action", "revoke")]));
    futures_util::future::join_all(clicks).await;
    assert_eq!(browsers.iter().filter(|browser| browser.page.contains("Disconnected")).count(), 1);
    assert_eq!(server.userinfo(text(&tokens, "access_token")).await.status, 401);
    // Late. (Ids of one moment have no order.)
    server.pass(1);
    let tokens = server.login("tv", "openid").await;
    let link = server.link().await;
    browser.get(&link).await;
    server.pass(3600);
    browser.submit("action", &[("action", "revoke")]).await;
    browser.expect(404, "Nothing to disconnect");
    server.refresh("tv", text(&tokens, "refresh_token")).await.ok();
}

#[tokio::test]
async fn what_does_not_arrive_is_tried_again_and_then_kept_as_failed() {
    let server = Server::with(&[HOOK]).await;
    server.login("tv", "openid").await;
    let app = &server.running.app;
    let mut attempts = 0;
    // The server looks each second; the waits between two attempts are moved by hand.
    while server.count("outbox WHERE failed_at IS NULL").await > 0 {
        let made = server.number("SELECT MAX(attempts) FROM outbox").await;
        assert!(made >= attempts && made <= 9, "{made}");
        attempts = made;
        if server.number("SELECT COUNT(*) FROM outbox WHERE error IS NOT NULL AND failed_at IS NULL").await
            > 0
        {
            server.pass(25 * 3600);
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(server.number("SELECT MAX(attempts) FROM outbox").await, 9);
    assert!(
        app.metrics
            .render()
            .unwrap()
            .contains("countersign_notices_total{kind=\"webhook\",outcome=\"failed\"} 1")
    );
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter()
        .filter(|notice| notice["type"] == "suspicion")
        .map(|notice| text(&notice["data"], "kind"))
        .collect()
}

#[tokio::test]
async fn fishing_is_noticed() {
    let settings = [
        HOOK,
        PROXY,
        ("detection.asks_per_address", "5"),
        ("detection.denials_per_client", "2"),
        ("notices.new_device", "false"),
    ];
    let server = Server::with(&settings).await;
    server.add_user("bob").await;
    // A second person enters a code.
    let device = server.ask("tv", "openid").await;
    let (mut alice, mut bob) = (server.signed_in("alice").await, server.signed_in("bob").await);
    alice.enter(&device.user_code).await;
    alice.enter(&device.user_code).await;
    assert_eq!(kinds(&server.waiting().await), Vec::<&str>::new());
    bob.enter(&device.user_code).await;
    bob.expect(200, "Connect this device?");
    assert_eq!(kinds(&server.waiting().await), ["code_of_others"]);
    // Somebody approves from elsewhere.
    let far = elsewhere(&server).await;
    alice.enter(&far.user_code).await;
    alice.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    // People deny.
    for _ in 0..4 {
        let device = server.ask("tv", "openid").await;
        alice.enter(&device.user_code).await;
        alice.submit("decision", &[("decision", "deny")]).await;
        alice.expect(200, "Request denied");
    }
    // One address asks and asks; it is told of once a minute.
    for _ in 0..4 {
        server.ask("tv", "openid").await;
    }
    let told = server.waiting().await;
    let mut kinds = kinds(&told);
    kinds.sort_unstable();
    assert_eq!(kinds, ["code_of_others", "far_approval", "many_asks", "many_denials"]);
    assert_eq!(server.count("audit WHERE action = 'suspicion'").await, 4);
}

#[tokio::test]
async fn fishing_can_be_stopped() {
    let block = ("detection.block", "true");
    let server = Server::with(&[block]).await;
    server.add_user("bob").await;
    let device = server.ask("tv", "openid").await;
    let (mut alice, mut bob) = (server.signed_in("alice").await, server.signed_in("bob").await);
    alice.enter(&device.user_code).await;
    bob.enter(&device.user_code).await;
    bob.expect(400, "not right or has expired");
    server.poll(&device).await.refused(400, "access_denied");
    let server = Server::with(&[block, ("detection.asks_per_address", "2")]).await;
    server.ask("tv", "openid").await;
    server.ask_key(json!({})).await;
    server
        .post("/oauth2/v1/device_authorization", &[("client_id", "tv")])
        .await
        .refused(400, "access_denied");
    server.post_json("/v1/auth/device", json!({})).await.refused(400, "access_denied");
    server.pass(60);
    server.ask("tv", "openid").await;
    let server = Server::with(&[block, ("detection.denials_per_client", "1")]).await;
    let mut alice = server.signed_in("alice").await;
    for _ in 0..2 {
        let device = server.ask("tv", "openid").await;
        alice.enter(&device.user_code).await;
        alice.submit("decision", &[("decision", "deny")]).await;
        if server.count("audit WHERE action = 'suspicion'").await > 0 {
            break;
        }
    }
    server
        .post("/oauth2/v1/device_authorization", &[("client_id", "tv")])
        .await
        .refused(400, "access_denied");
    server.pass(3600);
    server.ask("tv", "openid").await;
}

#[tokio::test]
async fn people_see_and_end_where_they_are_signed_in() {
    let server = Server::with(&[]).await;
    server.add_user("bob").await;
    let mut alice = server.signed_in("alice").await;
    let mut stolen = server.signed_in("alice").await;
    let mut bob = server.signed_in("bob").await;
    alice.get("/account").await;
    assert_eq!(alice.page.matches("this browser").count(), 1, "{}", alice.page);
    let id = alice
        .page
        .split_once("name=\"session_id\" value=\"")
        .unwrap()
        .1
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    // Somebody else's is none.
    bob.get("/account").await;
    bob.submit("new_password", &[("action", "session_end"), ("session_id", &id)]).await;
    bob.expect(404, "not signed in any more");
    alice.submit("session_id", &[("action", "session_end")]).await;
    alice.expect(200, "That browser is signed out");
    stolen.get("/account").await;
    stolen.expect(200, "Sign in");
    bob.get("/account").await;
    bob.expect(200, "Your devices");
}

#[tokio::test]
async fn a_password_is_changed_after_a_fresh_sign_in() {
    let server = Server::with(&[]).await;
    let mut other = server.signed_in("alice").await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/account").await;
    let change = [("action", "password"), ("new_password", "another good password")];
    server.pass(601);
    alice.submit("new_password", &change).await;
    alice.expect(200, "Please sign in again");
    alice.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    alice.submit("new_password", &[("action", "password"), ("new_password", "short")]).await;
    alice.expect(422, "at least 8 characters");
    alice.submit("new_password", &change).await;
    alice.expect(200, "Your password is changed");
    other.get("/account").await;
    other.expect(200, "Sign in");
    other.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    other.expect(401, "not right");
    other.submit("password", &[("username", "alice"), ("password", "another good password")]).await;
    other.expect(200, "Your devices");
}

#[tokio::test]
async fn a_language_is_kept_and_leads_nowhere_else() {
    let server = Server::with(&[]).await;
    let mut browser = server.browser();
    browser.get("/login?next=account").await;
    browser.submit("lang", &[("lang", "ar")]).await;
    assert_eq!(browser.path, "/login?next=account");
    let chosen = browser.language.clone().unwrap();
    assert!(chosen.ends_with("=ar") && browser.page.contains("dir=\"rtl\""), "{chosen} {}", browser.page);
    for back in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"] {
        browser.get("/login").await;
        browser.submit("lang", &[("lang", "de"), ("back", back)]).await;
        assert!(browser.path.starts_with("/login"), "{back}: {}", browser.path);
    }
    browser.submit("lang", &[("lang", "tlh")]).await;
    assert_eq!(browser.status, 400);
}
