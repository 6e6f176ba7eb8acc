//! Second factors: what counts, what does not, and who may change them.

use countersign_core::secret::Plain;
use countersign_server::flow::accounts::UserAct;
use reqwest::Method;
use serde_json::json;
use totp_rs::{Builder, Secret};

use crate::support::{Browser, PASSWORD, Server, server, text};
use crate::tokens::claims;

/// The secret that the page shows.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"totp-secret\">").unwrap_or_else(|| panic!("no secret in {page}"));
    rest.split('<').next().unwrap().replace(' ', "")
}

/// What an authenticator app shows now.
fn shows(server: &Server, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(server.now().secs().unsigned_abs()).to_string()
}

fn recovery_codes(page: &str) -> Vec<String> {
    let codes = page.split("class=\"recovery-code\">").skip(1);
    codes.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

/// Sets an app up; the secret, and the recovery codes.
pub async fn enrolled(browser: &mut Browser<'_>) -> (String, Vec<String>) {
    browser.get("/account/totp").await;
    browser.expect(200, "Set up an authenticator app");
    let secret = secret(&browser.page);
    let code = shows(browser.server(), &secret);
    browser.submit("totp", &[("totp", &code)]).await;
    browser.expect(201, "Your recovery codes");
    (secret, recovery_codes(&browser.page))
}

/// As far as the password leads.
async fn half<'a>(server: &'a Server, name: &str) -> Browser<'a> {
    let mut browser = server.browser();
    browser.get("/login?next=account").await;
    browser.submit("password", &[("username", name), ("password", PASSWORD)]).await;
    browser.expect(200, "One more step");
    browser
}

#[tokio::test]
async fn an_app_counts_once_it_has_shown_a_code() {
    let server = server().await;
    let mut elsewhere = server.signed_in("alice").await;
    let mut browser = server.signed_in("alice").await;
    browser.expect(200, "keeps others out even if they find your password");
    browser.submit("name", &[("action", "totp")]).await;
    browser.expect(200, "Set up an authenticator app");
    let first = secret(&browser.page);
    assert_eq!(first.len(), 32, "160 bits");
    assert!(browser.page.contains("otpauth://totp/"), "{}", browser.page);
    browser.submit("totp", &[("totp", "000000")]).await;
    browser.expect(422, "This code is not right");
    assert_eq!(secret(&browser.page), first, "the same, while it is being set up");
    // Nothing counts until then.
    server.signed_in("alice").await;

    let (secret, codes) = enrolled(&mut browser).await;
    assert_eq!((secret, codes.len()), (first.clone(), 10));
    assert!(codes.iter().all(|code| code.len() == 11 && code.as_bytes()[5] == b'-'), "{codes:?}");
    // This browser showed both by now; others did not, and are signed out.
    browser.get("/account").await;
    browser.expect(200, "There is an authenticator app since");
    elsewhere.get("/account").await;
    elsewhere.expect(200, "Sign in");
    for stored in [first.as_bytes(), codes[0].as_bytes(), codes[0].replace('-', "").as_bytes()] {
        assert!(!server.database().dump().await.windows(stored.len()).any(|window| window == stored));
    }
}

#[tokio::test]
async fn a_password_alone_is_half_a_sign_in() {
    let server = server().await;
    let (secret, codes) = enrolled(&mut server.signed_in("alice").await).await;
    let mut browser = half(&server, "alice").await;
    for path in ["/account", "/device", "/account/totp", "/logout"] {
        browser.get(path).await;
        browser.expect(200, "Sign in");
    }
    let (name, value) = browser.cookie.as_deref().unwrap().split_once('=').unwrap();
    let me = server.http.get(server.url("/v1/auth/me")).header("cookie", format!("{name}={value}"));
    assert_eq!(me.send().await.unwrap().status(), 401);

    // The code that set it up was used by that; so was every code once it signed somebody in.
    browser.get("/login/second?next=account").await;
    browser.submit("totp", &[("totp", &shows(&server, &secret))]).await;
    browser.expect(401, "was used before");
    server.pass(30);
    let code = shows(&server, &secret);
    browser.submit("totp", &[("totp", &code)]).await;
    browser.expect(200, "Your devices");
    let mut second = half(&server, "alice").await;
    second.submit("totp", &[("totp", &code)]).await;
    second.expect(401, "was used before");
    // As people type it.
    second.submit("totp", &[("totp", &codes[0].to_lowercase().replace('-', " "))]).await;
    second.expect(200, "9 recovery codes are left");
    let mut third = half(&server, "alice").await;
    third.submit("totp", &[("totp", &codes[0])]).await;
    third.expect(401, "was used before");
    // It is told how somebody signed in.
    let device = server.ask("tv", "openid").await;
    second.approve(&device).await;
    let tokens = server.poll(&device).await.ok();
    let (_, claims) = claims(&server, text(&tokens, "id_token")).await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!("multi-factor")));
    // And a half one ends.
    server.pass(600);
    third.submit("totp", &[("totp", &codes[1])]).await;
    third.expect(200, "Sign in");
    assert_eq!(server.count("audit WHERE action = 'recovery_code.used'").await, 1);
}

#[tokio::test]
async fn one_code_signs_one_in_however_many_try() {
    let server = server().await;
    let (secret, codes) = enrolled(&mut server.signed_in("alice").await).await;
    server.pass(30);
    for code in [shows(&server, &secret), codes[3].clone()] {
        let mut browsers = Vec::new();
        for _ in 0..8 {
            browsers.push(half(&server, "alice").await);
        }
        let tries = browsers.iter_mut().map(async |browser| {
            browser.submit("totp", &[("totp", &code)]).await;
            browser.page.contains("Your devices")
        });
        let signed_in = futures_util::future::join_all(tries).await.into_iter().filter(|in_| *in_).count();
        assert_eq!(signed_in, 1, "{code}");
    }
}

#[tokio::test]
async fn a_stolen_session_changes_nothing() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    server.pass(601);
    browser.get("/account/totp").await;
    browser.expect(200, "Please sign in again");
    // One in which it was begun while it was fresh.
    let mut begun = server.signed_in("alice").await;
    begun.get("/account/totp").await;
    let code = shows(&server, &secret(&begun.page));
    server.pass(599);
    let form = begun.form("totp");
    server.pass(2);
    let mut fields = form;
    fields.insert("totp".to_owned(), code);
    let action = fields.remove("action of the form").unwrap();
    begun.post(&action, &fields).await;
    begun.expect(200, "Please sign in again");
    assert_eq!(server.count("totp WHERE confirmed_at IS NOT NULL").await, 0);

    let mut browser = server.signed_in("alice").await;
    let (secret, codes) = enrolled(&mut browser).await;
    server.pass(601);
    for action in ["totp_remove", "recovery_codes"] {
        browser.get("/account").await;
        browser.submit("name", &[("action", action)]).await;
        browser.expect(200, "Please sign in again");
    }
    let mut fresh = half(&server, "alice").await;
    fresh.submit("totp", &[("totp", &shows(&server, &secret))]).await;
    fresh.submit("name", &[("action", "recovery_codes")]).await;
    fresh.expect(201, "Your recovery codes");
    let newer = recovery_codes(&fresh.page);
    let mut old = half(&server, "alice").await;
    old.submit("totp", &[("totp", &codes[0])]).await;
    old.expect(401, "This code is not right");
    old.submit("totp", &[("totp", &newer[0])]).await;
    old.expect(200, "Your devices");
    old.submit("name", &[("action", "totp_remove")]).await;
    old.expect(200, "The authenticator app is off");
    server.signed_in("alice").await;
}

#[tokio::test]
async fn where_everybody_needs_two_nobody_goes_around_it() {
    let server = Server::with(&[("login.second_factor", "everybody")]).await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    for action in ["connect", "make_key"] {
        browser.get("/account").await;
        browser.submit("name", &[("action", action), ("name", "key")]).await;
        browser.expect(200, "Your account needs a second factor");
    }
    browser.enter(&device.user_code).await;
    browser.expect(200, "Your account needs a second factor");
    assert!(server.poll(&device).await.json["error"] == "authorization_pending");
    // Nor by the API, with the browser's session.
    browser.get("/account").await;
    for (path, body) in [
        ("/v1/auth/dashboard-code", json!({})),
        ("/v1/auth/api-keys", json!({ "name": "key" })),
        ("/v1/auth/device/authorize", json!({ "user_code": server.ask_key(json!({})).await.user_code })),
    ] {
        browser.v1(Method::POST, path, Some(body)).await.refused(403, "insufficient_user_authentication");
    }
    browser.enter(&device.user_code).await;
    // Setting one up leads back to what the person came for.
    let code = shows(&server, &secret(&browser.page));
    browser.submit("totp", &[("totp", &code)]).await;
    browser.expect(201, &format!("/device?user_code={}", device.user_code.replace('-', "")));
    browser.approve(&device).await;
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn a_device_may_ask_for_two_and_a_policy_for_freshness() {
    let server = Server::with(&[("approval.max_age", "5m")]).await;
    let device = server.ask_with("tv", &[("acr_values", "multi-factor")]).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Set up an authenticator app");
    let plain = server.ask("tv", "openid").await;
    browser.enter(&plain.user_code).await;
    browser.expect(200, "Connect this device?");
    server.pass(301);
    let later = server.ask("tv", "openid").await;
    browser.enter(&later.user_code).await;
    browser.expect(200, "Please sign in again");
}

#[tokio::test]
async fn second_factors_are_not_guessed() {
    let server = server().await;
    let (secret, _) = enrolled(&mut server.signed_in("alice").await).await;
    server.pass(30);
    let mut browser = half(&server, "alice").await;
    let right = shows(&server, &secret);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..10 {
        browser.submit("totp", &[("totp", wrong)]).await;
        browser.expect(401, "This code is not right");
    }
    browser.submit("totp", &[("totp", &right)]).await;
    assert_eq!(browser.status, 429, "{}", browser.page);
    // Only this one, and only beyond the password: nobody else is locked out by it.
    server.add_user("bob").await;
    server.signed_in("bob").await;
    half(&server, "alice").await;
}

#[tokio::test]
async fn an_administrator_resets_what_was_lost() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    enrolled(&mut browser).await;
    server.office().act_on_user("alice", UserAct::ResetFactors, None).await.unwrap().unwrap();
    browser.get("/account").await;
    browser.expect(200, "Sign in");
    server.signed_in("alice").await;
    // A new password ends half sign-ins too.
    enrolled(&mut server.signed_in("alice").await).await;
    let mut browser = half(&server, "alice").await;
    let password = Plain::new("another password".to_owned());
    server.office().set_password("alice", Some(password), None).await.unwrap().unwrap();
    browser.submit("totp", &[("totp", "000000")]).await;
    browser.expect(200, "Sign in");
}

#[tokio::test]
async fn passkeys_are_begun_so_often_and_answered_by_browsers() {
    let server = Server::with(&[("rate_limit.passkeys_per_address", "5")]).await;
    let mut browser = server.browser();
    for _ in 0..5 {
        browser.get("/login/passkey?next=account").await;
        browser.expect(200, "Use a passkey");
    }
    for nonsense in ["", "{}", "[]", "null", "{\"id\":\"AA\",\"rawId\":\"AA\",\"type\":\"public-key\"}"] {
        let form = browser.form("credential");
        let mut fields = form.clone();
        let action = fields.remove("action of the form").unwrap();
        fields.insert("credential".to_owned(), nonsense.to_owned());
        let request = server.http.post(server.url(&action)).form(&fields);
        let request =
            request.header("cookie", browser.cookie.clone().unwrap()).header("origin", server.url(""));
        // It is wrong, and what would be asked anew is one too many.
        assert_eq!(request.send().await.unwrap().status(), 429, "{nonsense}");
    }
    server.pass(60);
    browser.get("/login/passkey?next=account").await;
    browser.expect(200, "Use a passkey");
    assert_eq!(server.count("challenge").await, 1, "one for each browser");
    server.pass(301);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    assert_eq!(server.count("challenge").await, 0);
    // A stale session adds none.
    let mut person = server.signed_in("alice").await;
    person.get("/account/passkey").await;
    person.expect(200, "Add a passkey");
    server.pass(601);
    person.get("/account/passkey").await;
    person.expect(200, "Please sign in again");
    // There is no domain that a passkey could belong to.
    let bare = Server::with(&[("server.public_url", "http://127.0.0.1:8628")]).await;
    let mut browser = bare.browser();
    browser.get("/login").await;
    assert!(!browser.page.contains("passkey"), "{}", browser.page);
}

#[tokio::test]
async fn a_copy_of_the_old_cookie_is_worth_nothing_afterwards() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    let mut thief = server.browser();
    thief.cookie.clone_from(&browser.cookie);
    enrolled(&mut browser).await;
    thief.get("/account").await;
    thief.expect(200, "Sign in");
    // The page that came with the new cookie has forms that fit to it.
    browser.submit("csrf_token", &[]).await;
    browser.expect(200, "You are signed out");
}

#[tokio::test]
async fn what_one_session_sets_up_no_other_sees() {
    let server = server().await;
    let (mut thief, mut own) = (server.signed_in("alice").await, server.signed_in("alice").await);
    thief.get("/account/totp").await;
    let seen = secret(&thief.page);
    own.get("/account/totp").await;
    assert_ne!(secret(&own.page), seen);
    // The newer one counts; the older page leads to a key of its own.
    thief.submit("totp", &[("totp", &shows(&server, &seen))]).await;
    thief.expect(200, "Please sign in again");
    let code = shows(&server, &secret(&own.page));
    own.submit("totp", &[("totp", &code)]).await;
    own.expect(201, "Your recovery codes");
}
