//! Asking through a browser: codes with PKCE, pushed requests, and signing out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::audit::By;
use countersign_core::client::GrantType;
use countersign_core::secret::Digest;
use countersign_server::flow::clients::{self, ClientSettings};
use serde_json::Value;
use url::Url;

use crate::support::{Browser, Reply, Server, server, text};
use crate::tokens::claims;

const CALLBACK: &str = "http://127.0.0.1/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Digest::of(verifier).as_bytes())
}

fn app() -> ClientSettings {
    ClientSettings {
        grants: Some(vec![GrantType::AuthorizationCode, GrantType::RefreshToken]),
        redirect_uris: Some(vec![
            CALLBACK.to_owned(),
            "https://app.example/cb".to_owned(),
            "com.example.app:/cb".to_owned(),
        ]),
        post_logout_redirect_uris: Some(vec!["https://app.example/bye".to_owned()]),
        ..ClientSettings::default()
    }
}

async fn server_with_app() -> Server {
    let server = server().await;
    server.add_client("app", None, app()).await;
    server
}

fn question(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", "http://127.0.0.1:4711/callback"),
        ("scope", "openid profile"),
        ("state", "s&1"),
        ("nonce", "n-1"),
        ("code_challenge", &challenge(VERIFIER)),
        ("code_challenge_method", "S256"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for (name, value) in more {
        all.retain(|(known, _)| known != name);
        if !value.is_empty() {
            all.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    all
}

fn path(question: &[(String, String)]) -> String {
    let mut url = Url::parse("http://x/oauth2/v1/authorize").unwrap();
    url.query_pairs_mut().extend_pairs(question);
    format!("{}?{}", url.path(), url.query().unwrap())
}

fn said(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Goes there as alice and approves: where the browser goes then.
async fn approve(browser: &mut Browser<'_>, more: &[(&str, &str)]) -> String {
    browser.get(&path(&question(more))).await;
    browser.expect(200, "Connect this program?");
    browser.leave_by("decision", &[("decision", "approve"), ("own_device", "yes")]).await
}

async fn redeem(server: &Server, code: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("code", code),
        ("redirect_uri", "http://127.0.0.1:4711/callback"),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in more {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    server.post("/oauth2/v1/token", &form).await
}

#[tokio::test]
async fn a_program_gets_its_answer_through_the_browser() {
    let server = server_with_app().await;
    let mut browser = server.browser();
    // Whoever is not signed in signs in first, and is asked then.
    browser.get(&path(&question(&[]))).await;
    browser.expect(200, "Sign in");
    browser.submit("password", &[("username", "alice"), ("password", "correct horse battery")]).await;
    browser.expect(200, "Connect this program?");
    browser.expect(200, "The app wants to use your account, alice.");
    browser.expect(200, "127.0.0.1");
    // Without the tick nothing happens, here as everywhere.
    browser.submit("decision", &[("decision", "approve")]).await;
    browser.expect(422, "Tick the box");
    let url = browser.leave_by("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    assert!(url.starts_with("http://127.0.0.1:4711/callback?code="), "{url}");
    assert_eq!(said(&url, "state").as_deref(), Some("s&1"));
    assert_eq!(said(&url, "iss").as_deref(), Some(server.running.app.public_url.issuer()));
    let code = said(&url, "code").unwrap();
    let tokens = redeem(&server, &code, &[]).await.ok();
    assert_eq!(text(&tokens, "scope"), "openid profile");
    let (_, claims) = claims(&server, text(&tokens, "id_token")).await;
    assert_eq!((text(&claims, "aud"), text(&claims, "nonce")), ("app", "n-1"));
    server.refresh("app", text(&tokens, "refresh_token")).await.ok();
    // It stands in the inventory like everything else.
    browser.get("/account").await;
    browser.expect(200, "The app");
}

#[tokio::test]
async fn a_code_is_good_once_soon_and_for_who_asked() {
    let server = server_with_app().await;
    server.add_client("other", None, app()).await;
    let mut browser = server.signed_in("alice").await;
    let code = said(&approve(&mut browser, &[]).await, "code").unwrap();
    for wrong in [
        [("code_verifier", "another-verifier-another-verifier-another-v")],
        [("redirect_uri", "http://127.0.0.1:4712/callback")],
        [("client_id", "other")],
        [("code", "x")],
    ] {
        redeem(&server, &code, &wrong).await.refused(400, "invalid_grant");
    }
    // None of that ended anything: only whoever has the verifier can have had the code.
    redeem(&server, &code, &[("code_verifier", "")]).await.refused(400, "invalid_request");
    // It was named before, so it is named again.
    redeem(&server, &code, &[("redirect_uri", "")]).await.refused(400, "invalid_grant");
    redeem(&server, &code, &[("client_id", "tv")]).await.refused(400, "unauthorized_client");
    // It is no device code, and a device code is none of these.
    let form = [("grant_type", crate::support::DEVICE_CODE), ("client_id", "app"), ("device_code", &code)];
    server.post("/oauth2/v1/token", &form).await.refused(400, "unauthorized_client");
    let all = futures_util::future::join_all((0..8).map(|_| redeem(&server, &code, &[]))).await;
    let done: Vec<&Value> = all.iter().filter(|reply| reply.status == 200).map(|reply| &reply.json).collect();
    assert_eq!(done.len(), 1);
    // One of those who came later had it from somewhere else, so what came of it is ended.
    redeem(&server, &code, &[]).await.refused(400, "invalid_grant");
    server.refresh("app", text(done[0], "refresh_token")).await.refused(400, "invalid_grant");
    server.userinfo(text(done[0], "access_token")).await.refused(401, "invalid_token");
    // A minute is enough for a program.
    let late = said(&approve(&mut browser, &[]).await, "code").unwrap();
    server.pass(60);
    redeem(&server, &late, &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_no_is_told_and_nothing_comes_of_it() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    browser.get(&path(&question(&[]))).await;
    let url = browser.leave_by("decision", &[("decision", "deny")]).await;
    assert_eq!(said(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(said(&url, "state").as_deref(), Some("s&1"));
    assert_eq!(server.count("token_family").await, 0);
    // The same page again says so, and decides nothing.
    browser.get(&path(&question(&[]))).await;
    let handle = browser.path.clone();
    browser.leave_by("decision", &[("decision", "deny")]).await;
    browser.get(&handle).await;
    browser.expect(400, "expired, or was answered already");
}

/// Whoever has the code a second time may have had what came of the first time.
#[tokio::test]
async fn what_was_made_with_a_stolen_login_ends_with_it() {
    let server = server().await;
    let scopes = Some("openid devices".parse().unwrap());
    server.add_client("app", None, ClientSettings { scopes, ..app() }).await;
    let mut browser = server.signed_in("alice").await;
    let code = said(&approve(&mut browser, &[("scope", "openid devices")]).await, "code").unwrap();
    let tokens = redeem(&server, &code, &[]).await.ok();
    let token = text(&tokens, "access_token");
    let body = serde_json::json!({ "name": "made with it" });
    let made = server.v1(reqwest::Method::POST, "/v1/auth/api-keys", Some(token), Some(body)).await;
    let key = text(&made.json, "api_key");
    let me = async || server.v1(reqwest::Method::GET, "/v1/auth/me", Some(key), None).await.status;
    // Without the verifier nobody shows that they had it.
    redeem(&server, &code, &[("code_verifier", "x")]).await.refused(400, "invalid_grant");
    assert_eq!(me().await, 200);
    redeem(&server, &code, &[]).await.refused(400, "invalid_grant");
    assert_eq!(me().await, 401);
}

/// Strangers who open the page without end keep no client from asking.
#[tokio::test]
async fn questions_of_strangers_do_not_count_against_a_client() {
    let server = Server::with(&[("rate_limit.device_codes_per_client", "2")]).await;
    server.add_client("app", None, app()).await;
    let mut browser = server.signed_in("alice").await;
    for _ in 0..5 {
        browser.get(&path(&question(&[]))).await;
        browser.expect(200, "Connect this program?");
    }
    let form = question(&[]);
    let pushed = server.http.post(server.url("/oauth2/v1/par")).form(&form).send().await.unwrap();
    assert_eq!(pushed.status(), 201);
}

/// Whether the answer may go there is known before anything is sent there.
#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    for uri in [
        "https://evil.example/cb",
        "https://app.example/cb/../other",
        "https://app.example/cb?x=1",
        "https://app.example:8443/cb",
        "http://127.0.0.1.evil.example/callback",
        "http://localhost:4711/callback",
        "http://[::1]:4711/callback",
        "com.example.app:/other",
    ] {
        browser.get(&path(&question(&[("redirect_uri", uri)]))).await;
        browser.expect(400, "not registered for it");
    }
    for (name, value) in [("client_id", "nobody"), ("client_id", "tv"), ("client_id", "")] {
        browser.get(&path(&question(&[(name, value)]))).await;
        browser.expect(400, "not known");
    }
    // Several are registered, so one must be named.
    browser.get(&path(&question(&[("redirect_uri", "")]))).await;
    browser.expect(400, "not registered for it");
    let url = approve(&mut browser, &[("redirect_uri", "com.example.app:/cb")]).await;
    assert!(url.starts_with("com.example.app:/cb?code="), "{url}");
    assert_eq!(server.count("device_grant").await, 1);
}

/// What was asked before an address was taken from the client leads there no more, however far it got.
#[tokio::test]
async fn an_address_that_was_taken_from_the_client_gets_nothing_more() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    let code = said(&approve(&mut browser, &[]).await, "code").unwrap();
    let mut late = server.signed_in("alice").await;
    late.get(&path(&question(&[]))).await;
    late.expect(200, "Connect this program?");
    let (mine, by) = ("app".parse().unwrap(), By::COMMAND_LINE);
    let only = Some(vec!["https://app.example/cb".to_owned()]);
    let settings = ClientSettings { redirect_uris: only, ..ClientSettings::default() };
    let app = &server.running.app;
    clients::edit(app, &by, &mine, settings, None, server.now()).await.unwrap().unwrap();
    redeem(&server, &code, &[]).await.refused(400, "invalid_grant");
    late.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    late.expect(409, "Nothing was changed");
    late.get(&path(&question(&[]))).await;
    late.expect(400, "redirect_uri");
    assert_eq!(server.count("token_family").await, 0);
    assert_eq!(server.count("audit WHERE action = 'grant.approved'").await, 1);
    // The only one need not be named, nor then by whoever brings the code; if so, rightly.
    let url = approve(&mut late, &[("redirect_uri", "")]).await;
    let code = said(&url, "code").unwrap();
    redeem(&server, &code, &[]).await.refused(400, "invalid_grant");
    redeem(&server, &code, &[("redirect_uri", "")]).await.ok();
}

#[tokio::test]
async fn what_is_wrong_is_told_to_the_program() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJ", "invalid_request"),
        ("max_age", "soon", "invalid_request"),
        ("scope", "admin", "invalid_scope"),
        ("scope", "a\"b", "invalid_scope"),
        ("resource", "nowhere", "invalid_target"),
        ("prompt", "none", "interaction_required"),
        ("dpop_jkt", "x", "invalid_request"),
    ] {
        let url = browser.leads_to(&path(&question(&[(name, value)]))).await;
        assert!(url.starts_with("http://127.0.0.1:4711/callback?"), "{name}={value}: {url}");
        assert_eq!(said(&url, "error").as_deref(), Some(error), "{name}={value}: {url}");
        assert_eq!(said(&url, "state").as_deref(), Some("s&1"));
        assert!(said(&url, "code").is_none());
    }
    assert_eq!(server.count("device_grant").await, 0);
}

#[tokio::test]
async fn a_request_may_be_pushed_beforehand() {
    let server = server_with_app().await;
    let secret =
        server.add_client("web", Some(()), ClientSettings { par_required: Some(true), ..app() }).await;
    let web = [
        ("client_id", "web"),
        ("client_secret", secret.as_str()),
        ("redirect_uri", "https://app.example/cb"),
    ];
    let push = async |more: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = web.iter().chain(more).copied().collect();
        let form = question(&all);
        Reply::of(server.http.post(server.url("/oauth2/v1/par")).form(&form).send().await.unwrap()).await
    };
    push(&[("client_secret", "wrong")]).await.refused(400, "invalid_client");
    push(&[("redirect_uri", "https://evil.example/cb")]).await.refused(400, "invalid_request");
    push(&[("request_uri", "urn:x")]).await.refused(400, "invalid_request");
    push(&[("code_challenge", "")]).await.refused(400, "invalid_request");
    let pushed = push(&[]).await;
    assert_eq!((pushed.status, pushed.json["expires_in"].as_u64()), (201, Some(600)));
    let uri = text(&pushed.json, "request_uri").to_owned();
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"), "{uri}");
    let mut browser = server.signed_in("alice").await;
    let by = |client: &str, uri: &str| {
        let pairs = [("client_id", client), ("request_uri", uri)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        path(&pairs)
    };
    browser.get(&by("app", &uri)).await;
    browser.expect(400, "expired, or was answered already");
    browser.get(&by("web", &format!("{uri}x"))).await;
    browser.expect(400, "expired, or was answered already");
    browser.get(&by("web", &uri)).await;
    browser.expect(200, "app.example");
    // Loading the page again is no second request.
    browser.get(&by("web", &uri)).await;
    let url = browser.leave_by("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    assert!(url.starts_with("https://app.example/cb?code="), "{url}");
    let code = said(&url, "code").unwrap();
    let form = [("client_id", "web"), ("client_secret", &secret), ("redirect_uri", "https://app.example/cb")];
    redeem(&server, &code, &form).await.ok();
    browser.get(&by("web", &uri)).await;
    browser.expect(400, "expired, or was answered already");
    // This client must push.
    let url = browser
        .leads_to(&path(&question(&web[..1].iter().chain(&web[2..]).copied().collect::<Vec<_>>())))
        .await;
    assert_eq!(said(&url, "error").as_deref(), Some("invalid_request"));
    let late = push(&[]).await;
    server.pass(600);
    browser.get(&by("web", text(&late.json, "request_uri"))).await;
    browser.expect(400, "expired, or was answered already");
}

#[tokio::test]
async fn a_question_belongs_to_the_first_who_looks() {
    let server = Server::with(&[("detection.block", "true")]).await;
    server.add_client("app", None, app()).await;
    server.add_user("bob").await;
    let mut alice = server.signed_in("alice").await;
    alice.get(&path(&question(&[]))).await;
    let page = alice.path.clone();
    let mut bob = server.signed_in("bob").await;
    bob.get(&page).await;
    bob.expect(400, "expired, or was answered already");
    // A ticket is of one browser alone.
    alice.get(&path(&question(&[]))).await;
    let ticket = alice.form("decision")["ticket"].clone();
    bob.get("/device").await;
    let csrf = bob.form("user_code")["csrf_token"].clone();
    let fields =
        [("csrf_token", csrf.as_str()), ("ticket", &ticket), ("decision", "approve"), ("own_device", "yes")];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    bob.post("/device", &fields).await;
    bob.expect(409, "Enter the code again");
}

#[tokio::test]
async fn prompt_login_wants_a_fresh_sign_in_and_comes_back_to_the_question() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    server.pass(5);
    browser.get(&path(&question(&[("prompt", "login")]))).await;
    browser.expect(200, "Please sign in again");
    browser.submit("password", &[("username", "alice"), ("password", "correct horse battery")]).await;
    browser.expect(200, "Connect this program?");
    let url = browser.leave_by("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    let code = said(&url, "code").unwrap();
    redeem(&server, &code, &[]).await.ok();
}

#[tokio::test]
async fn what_was_approved_can_be_taken_back_before_and_after() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    let code = said(&approve(&mut browser, &[]).await, "code").unwrap();
    browser.get("/account").await;
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    redeem(&server, &code, &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_program_may_lead_to_signing_out() {
    let server = server_with_app().await;
    let mut browser = server.signed_in("alice").await;
    let code = said(&approve(&mut browser, &[]).await, "code").unwrap();
    let tokens = redeem(&server, &code, &[]).await.ok();
    let hint = text(&tokens, "id_token").to_owned();
    let leave = |pairs: &[(&str, &str)]| {
        let mut url = Url::parse("http://x/oauth2/v1/end_session").unwrap();
        url.query_pairs_mut().extend_pairs(pairs);
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    };
    let bye = ("post_logout_redirect_uri", "https://app.example/bye");
    // A person is asked, and nobody is sent where the client did not say beforehand.
    for wrong in [
        vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://evil.example/")],
        vec![bye],
        vec![("client_id", "tv"), bye],
        vec![("client_id", "tv"), ("id_token_hint", &hint), bye],
        vec![("id_token_hint", "junk"), bye],
    ] {
        browser.get(&leave(&wrong)).await;
        browser.expect(200, "Sign out?");
        assert!(!browser.page.contains("name=\"post_logout_redirect_uri\""), "{}", browser.page);
    }
    browser.get(&leave(&[("id_token_hint", &hint), bye, ("state", "x y")])).await;
    browser.expect(200, "Sign out?");
    let main = browser.page.split("<main").nth(1).unwrap().to_owned();
    browser.page = main;
    let url = browser.leave_by("csrf_token", &[]).await;
    assert_eq!(url, "https://app.example/bye?state=x+y");
    browser.get("/account").await;
    browser.expect(200, "Sign in");
    // Nobody is signed in any more: there is nothing to ask.
    assert!(browser.leads_to(&leave(&[("client_id", "app"), bye])).await.starts_with("/logout?"));
    let place = browser.leads_to(&leave(&[("client_id", "app"), bye])).await;
    assert_eq!(browser.leads_to(&place).await, "https://app.example/bye");
    // The program's login goes on: it is ended at the program, or under the person's devices.
    server.refresh("app", text(&tokens, "refresh_token")).await.ok();
}
