//! Steps 3 and 4: what people see and do, without scripts.

use countersign_server::flow::accounts::UserAct;
use std::collections::BTreeMap;

use countersign_core::account::{Session, SignIn};
use countersign_core::grant::Origin;
use countersign_core::secret::{Digest, Plain};
use countersign_server::flow::caller::{Caller, Proof};
use countersign_server::flow::{decide, login};
use countersign_server::store::{accounts as store_accounts, grants};
use reqwest::header::ORIGIN;

use crate::support::{Browser, PASSWORD, Server, server, text};

#[tokio::test]
async fn the_confirm_page_says_who_asks_for_what_and_from_where() {
    let server = server().await;
    let request = server
        .http
        .post(server.url("/oauth2/v1/device_authorization"))
        .form(&[("client_id", "tv"), ("scope", "openid email")])
        .header("user-agent", "Big TV/4.2 <b>");
    let json: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    server.pass(90);
    let mut browser = server.signed_in("alice").await;
    browser.enter(text(&json, "user_code")).await;
    for words in [
        "The tv wants to use your account, alice.",
        text(&json, "user_code"),
        "know that it is you",
        "see your e-mail address",
        "90 seconds ago",
        "127.0.0.1",
        "Big TV/4.2 &#60;b&#62;",
        "Nobody from support",
        "own_device",
    ] {
        browser.expect(200, words);
    }
}

#[tokio::test]
async fn a_code_in_the_link_is_filled_in_and_never_submitted() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.browser();
    browser.get(&format!("/device?user_code={}", device.user_code)).await;
    browser.expect(200, "Sign in");
    browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    browser.expect(200, &format!("value=\"{}\"", device.user_code));
    assert_eq!(server.count("device_grant WHERE opened_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn case_spaces_and_dashes_do_not_matter() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    let bare = device.user_code.replace('-', "").to_lowercase();
    for typed in [bare.clone(), format!(" {bare} "), bare.chars().flat_map(|symbol| [symbol, '-']).collect()]
    {
        browser.enter(&typed).await;
        browser.expect(200, "Connect this device?");
    }
}

#[tokio::test]
async fn approving_needs_the_box_and_denying_does_not() {
    let server = server().await;
    let (one, two) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    let mut browser = server.signed_in("alice").await;
    browser.enter(&one.user_code).await;
    browser.submit("decision", &[("decision", "approve")]).await;
    browser.expect(422, "Tick the box if you started this yourself.");
    server.poll(&one).await.refused(400, "authorization_pending");
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(200, "Device connected");
    browser.deny(&two).await;
    server.poll(&two).await.refused(400, "access_denied");
}

#[tokio::test]
async fn missing_unknown_expired_and_used_codes_get_the_same_words() {
    let server = server().await;
    let (used, expired) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    let mut browser = server.signed_in("alice").await;
    browser.approve(&used).await;
    let mut pages = Vec::new();
    for code in [used.user_code.as_str(), "WRNG-2222", "", "💥"] {
        let page = browser.enter(code).await;
        browser.expect(400, "This code is not right or has expired");
        pages.push(page.replace(&format!("value=\"{code}\""), ""));
    }
    server.pass(1800);
    let page = browser.enter(&expired.user_code).await;
    pages.push(page.replace(&format!("value=\"{}\"", expired.user_code), ""));
    let plain = |page: &String| page.replace("value=\"\"", "");
    assert!(pages.iter().all(|page| plain(page) == plain(&pages[0])));
}

#[tokio::test]
async fn a_late_decision_changes_nothing_and_is_no_wrong_code() {
    let server = server().await;
    let (expired, decided) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    let (mut one, mut two) = (server.signed_in("alice").await, server.signed_in("alice").await);
    let approve = [("decision", "approve"), ("own_device", "yes")];
    one.enter(&decided.user_code).await;
    two.enter(&decided.user_code).await;
    two.submit("decision", &[("decision", "deny")]).await;
    one.submit("decision", &approve).await;
    one.expect(409, "Too late");
    server.poll(&decided).await.refused(400, "access_denied");
    one.enter(&expired.user_code).await;
    server.pass(1800);
    for _ in 0..12 {
        let mut again = clone(&server, &one);
        again.submit("decision", &approve).await;
        again.expect(409, "Too late");
    }
    server.poll(&expired).await.refused(400, "expired_token");
    let fresh = server.ask("tv", "openid").await;
    one.enter(&fresh.user_code).await;
    one.expect(200, "Connect this device?");
}

fn clone<'a>(server: &'a Server, browser: &Browser<'_>) -> Browser<'a> {
    let mut copy = server.browser();
    copy.cookie.clone_from(&browser.cookie);
    copy.page.clone_from(&browser.page);
    copy
}

#[tokio::test]
async fn loading_the_result_again_says_the_same_again() {
    let server = server().await;
    let (one, two) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    let mut browser = server.signed_in("alice").await;
    for (device, decision, words) in [(&one, "approve", "Device connected"), (&two, "deny", "Request denied")]
    {
        browser.enter(&device.user_code).await;
        let filled = [("decision", decision), ("own_device", "yes")];
        let mut again = clone(&server, &browser);
        browser.submit("decision", &filled).await;
        browser.expect(200, words);
        again.submit("decision", &filled).await;
        again.expect(200, words);
    }
    server.poll(&one).await.ok();
    server.poll(&two).await.refused(400, "access_denied");
}

#[tokio::test]
async fn a_page_of_another_session_does_not_decide() {
    let server = server().await;
    server.add_user("mallory").await;
    let device = server.ask("tv", "openid").await;
    let mut mallory = server.signed_in("mallory").await;
    mallory.enter(&device.user_code).await;
    let ticket = mallory.form("decision")["ticket"].clone();
    let mut alice = server.signed_in("alice").await;
    alice.get("/device").await;
    let mut fields = alice.form("user_code");
    let action = fields.remove("action of the form").unwrap();
    for (name, value) in [("ticket", ticket.as_str()), ("decision", "approve"), ("own_device", "yes")] {
        fields.insert(name.to_owned(), value.to_owned());
    }
    alice.post(&action, &fields).await;
    alice.expect(409, "Enter the code again");
    server.poll(&device).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn a_decision_without_a_ticket_goes_by_the_code() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    browser.get("/device").await;
    let filled = [("user_code", device.user_code.as_str()), ("decision", "approve"), ("own_device", "yes")];
    browser.submit("user_code", &filled).await;
    browser.expect(200, "Device connected");
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn forms_from_elsewhere_are_refused() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    let mut fields = browser.form("decision");
    fields.remove("action of the form");
    fields
        .extend([("decision", "approve"), ("own_device", "yes")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    let cookie = browser.cookie.clone().unwrap();
    let send = async |fields: &BTreeMap<String, String>, origin: &str, cookie: &str| {
        let request = server
            .http
            .post(server.url("/device"))
            .form(fields)
            .header(ORIGIN, origin)
            .header("cookie", cookie);
        request.send().await.unwrap().status().as_u16()
    };
    let own = server.url("");
    assert_eq!(send(&fields, "https://evil.example", &cookie).await, 403);
    assert_eq!(send(&fields, "null", &cookie).await, 403);
    assert_eq!(send(&fields, &own, "countersign=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await, 403);
    let mut without = fields.clone();
    without.remove("csrf_token");
    assert_eq!(send(&without, &own, &cookie).await, 403);
    server.poll(&device).await.refused(400, "authorization_pending");
    assert_eq!(send(&fields, &own, &cookie).await, 200);
}

#[tokio::test]
async fn signing_in_gives_a_new_session_id_and_ends_the_old() {
    let server = server().await;
    let mut browser = server.browser();
    browser.get("/login").await;
    let planted = browser.cookie.clone().unwrap();
    browser.submit("password", &[("username", "ALICE"), ("password", PASSWORD)]).await;
    let first = browser.cookie.clone().unwrap();
    assert_ne!(planted, first);
    browser.get("/login?again=yes&next=account").await;
    browser.expect(200, "Please sign in again");
    browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_ne!(browser.cookie.clone().unwrap(), first);
    for dead in [planted, first] {
        let mut thief = server.browser();
        thief.cookie = Some(dead);
        thief.get("/account").await;
        thief.expect(200, "Sign in");
    }
}

#[tokio::test]
async fn cookies_are_guarded() {
    let server = server().await;
    let set = async |server: &Server| {
        let response = server.http.get(server.url("/login")).send().await.unwrap();
        response.headers()["set-cookie"].to_str().unwrap().to_owned()
    };
    let plain = set(&server).await;
    assert!(
        plain.starts_with("countersign=") && plain.contains("; Path=/; HttpOnly; SameSite=Lax"),
        "{plain}"
    );
    let https = Server::with(&[("server.public_url", "https://login.example.com")]).await;
    let secure = set(&https).await;
    assert!(secure.starts_with("__Host-countersign=") && secure.contains("; Secure"), "{secure}");
}

#[tokio::test]
async fn after_signing_in_only_our_own_pages_follow() {
    let server = server().await;
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "device%0d%0aX: y"] {
        let mut browser = server.browser();
        browser.get(&format!("/login?next={next}&user_code=%2F%2Fevil.example")).await;
        browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
        assert_eq!(browser.path, "/device");
    }
}

#[tokio::test]
async fn what_wants_a_fresh_sign_in_gets_one() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    server.pass(100);
    for extra in [("max_age", "60"), ("prompt", "login")] {
        let device = server.ask_with("tv", &[("scope", "openid"), extra]).await;
        browser.enter(&device.user_code).await;
        browser.expect(200, "Please sign in again to go on.");
        browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
        browser.submit("user_code", &[]).await;
        browser.expect(400, "not right");
        browser.enter(&device.user_code).await;
        browser.expect(200, "Connect this device?");
        browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
        browser.expect(200, "Device connected");
        server.pass(100);
    }
    // The page was opened in time and left open for too long.
    let mut fresh = server.signed_in("alice").await;
    server.pass(1);
    let device = server.ask_with("tv", &[("scope", "openid"), ("max_age", "60")]).await;
    fresh.enter(&device.user_code).await;
    server.pass(60);
    fresh.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    fresh.expect(200, "Please sign in again to go on.");
    server.poll(&device).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn max_age_zero_means_a_sign_in_after_the_question_and_can_be_met() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    server.pass(1);
    let device = server.ask_with("tv", &[("scope", "openid"), ("max_age", "0")]).await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Please sign in again to go on.");
    server.pass(1);
    let mut fresh = server.signed_in("alice").await;
    server.pass(30);
    fresh.approve(&device).await;
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn an_approval_counts_only_while_its_session_lasts() {
    let server = server().await;
    let app = &server.running.app;
    let device = server.ask("tv", "openid").await;
    let browser = server.signed_in("alice").await;
    let cookie = browser.cookie.clone().unwrap();
    let cookie = cookie.split_once('=').unwrap().1;
    let (session, account) = login::session(app, cookie, server.now()).await.unwrap().unwrap();
    let digest = Digest::of(&device.device_code);
    let grant = grants::by_device(&app.store, &digest).await.unwrap().unwrap();
    login::sign_out(app, cookie, &account, server.now()).await.unwrap();
    let decision = decide::Decision::Approve;
    let from = Origin::default();
    let caller = Caller { account, proof: Proof::Session(session) };
    let found = decide::Found { grant: Box::new(grant), client: None, replaces: None };
    let decided = decide::decide(app, &caller, found, decision, &from, server.now()).await.unwrap();
    assert!(matches!(decided, decide::Decided::TooLate), "{decided:?}");
    server.poll(&device).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_starts_no_session() {
    let server = server().await;
    let app = &server.running.app;
    let name = "alice".parse().unwrap();
    let (account, checked) = store_accounts::by_name(&app.store, &name).await.unwrap().unwrap();
    let checked = checked.unwrap();
    let now = server.now();
    let session = |cookie: &str| Session {
        digest: Digest::of(cookie),
        account: account.id,
        sign_in: SignIn { at: now, amr: Vec::new() },
        expires_at: now + std::time::Duration::from_mins(1),
    };
    let start = async |cookie: &str| {
        let stmt = store_accounts::start_session(&session(cookie), false, &checked, &Origin::default());
        app.store.commit(vec![stmt]).await.unwrap().is_done()
    };
    assert!(start("before").await);
    let new = Plain::new("another password".to_owned());
    server.office().set_password("alice", Some(new), None).await.unwrap().unwrap();
    assert!(!start("after").await);
}

#[tokio::test]
async fn everybody_who_opens_a_question_stands_in_the_audit_trail() {
    let server = server().await;
    server.add_user("bob").await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.enter(&device.user_code).await;
    server.signed_in("bob").await.enter(&device.user_code).await;
    assert_eq!(server.count("audit WHERE action = 'grant.opened'").await, 2);
    let opened =
        "SELECT COUNT(*) FROM (SELECT DISTINCT account_id FROM audit WHERE action = 'grant.opened') AS a";
    assert_eq!(server.number(opened).await, 2);
}

#[tokio::test]
async fn what_a_device_says_of_the_account_is_no_place_for_a_message() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    for hint in ["support said: press Approve now", &"x".repeat(65), "al\u{202e}ice"] {
        let device = server.ask_with("tv", &[("scope", "openid"), ("login_hint", hint)]).await;
        let page = browser.enter(&device.user_code).await;
        browser.expect(200, "The device asked for another account, but you are signed in as");
        assert!(!page.contains(hint), "{page}");
    }
}

#[tokio::test]
async fn the_page_warns_when_the_device_named_somebody_else() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    let hinted = async |browser: &mut Browser<'_>, hint: &str| {
        let device = server.ask_with("tv", &[("scope", "openid"), ("login_hint", hint)]).await;
        browser.enter(&device.user_code).await.contains("you are signed in as")
    };
    assert!(hinted(&mut browser, "bob").await);
    assert!(!hinted(&mut browser, "alice").await);
    assert!(!hinted(&mut browser, "Alice@example.com").await);
}

#[tokio::test]
async fn the_account_page_lists_and_disconnects() {
    let server = server().await;
    let secret = server.api().await;
    server.add_user("mallory").await;
    let one = server.login("tv", "openid").await;
    server.pass(1);
    let two = server.login("tv", "openid").await;
    let active = async |tokens: &serde_json::Value| {
        server.introspect(&secret, text(tokens, "access_token")).await["active"] == true
    };
    let mut alice = server.signed_in("alice").await;
    assert_eq!(alice.get("/account").await.matches("<h2>The tv</h2>").count(), 2);
    let id = alice.form("device_id")["device_id"].clone();

    let mut mallory = server.signed_in("mallory").await;
    let mut fields =
        BTreeMap::from([("action".to_owned(), "revoke".to_owned()), ("device_id".to_owned(), id)]);
    mallory.get("/login?again=yes").await;
    fields.insert("csrf_token".to_owned(), mallory.form("password")["csrf_token"].clone());
    mallory.post("/account", &fields).await;
    mallory.expect(404, "This device is not connected any more.");
    assert!(active(&one).await && active(&two).await);

    alice.submit("device_id", &[("action", "revoke")]).await;
    alice.expect(200, "The device is disconnected.");
    assert!(active(&one).await && !active(&two).await, "the newest stood first");
    server.refresh("tv", text(&two, "refresh_token")).await.refused(400, "invalid_grant");
    let three = server.login("tv", "openid").await;
    alice.get("/account").await;
    let csrf = alice.form("device_id")["csrf_token"].clone();
    let all =
        BTreeMap::from([("action".to_owned(), "revoke_all".to_owned()), ("csrf_token".to_owned(), csrf)]);
    alice.post("/account", &all).await;
    alice.expect(200, "Everything is disconnected.");
    assert!(!active(&one).await && !active(&three).await);
}

#[tokio::test]
async fn nobody_undoes_what_somebody_else_approved() {
    let server = server().await;
    server.add_user("mallory").await;
    let device = server.ask("tv", "openid").await;
    let mut alice = server.signed_in("alice").await;
    alice.approve(&device).await;
    let grant = alice.form("undo")["grant"].clone();
    let mut mallory = server.signed_in("mallory").await;
    mallory.get("/device").await;
    let csrf = mallory.form("user_code")["csrf_token"].clone();
    let fields = [("undo", "undo"), ("grant", grant.as_str()), ("csrf_token", csrf.as_str())];
    let fields: BTreeMap<String, String> =
        fields.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    mallory.post("/device", &fields).await;
    mallory.expect(404, "Nothing to undo");
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn signing_out_ends_the_session_at_the_server() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    let cookie = browser.cookie.clone();
    browser.get("/logout").await;
    browser.expect(200, "Sign out?");
    browser.submit("csrf_token", &[]).await;
    browser.expect(200, "You are signed out.");
    browser.cookie = cookie;
    browser.get("/account").await;
    browser.expect(200, "Sign in");
}

#[tokio::test]
async fn sessions_end_by_themselves_and_with_the_account() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    server.pass(12 * 3600);
    browser.get("/account").await;
    browser.expect(200, "Sign in");
    let mut browser = server.signed_in("alice").await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    browser.get("/account").await;
    browser.expect(200, "Sign in");
    browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    browser.expect(401, "The user name or the password is not right.");
}

#[tokio::test]
async fn a_path_in_the_public_url_stands_before_every_route() {
    let server = Server::with(&[("server.public_url", "http://localhost:8628/auth/")]).await;
    let discovery = server.get("/auth/.well-known/openid-configuration").await.ok();
    assert_eq!(text(&discovery, "token_endpoint"), "http://localhost:8628/auth/oauth2/v1/token");
    assert_eq!(server.get("/.well-known/oauth-authorization-server/auth").await.ok(), discovery);
    assert_eq!(server.get("/login").await.status, 404);
    let login = server.get("/auth/login").await;
    assert_eq!(login.status, 200);
    assert!(login.json.as_str().unwrap().contains("action=\"/auth/login\""));
}

#[tokio::test]
async fn the_page_for_codes_may_stand_elsewhere() {
    let server =
        Server::with(&[("device.verification_path", "/activate"), ("device.user_code", "digits-9")]).await;
    let device = server.ask("tv", "openid").await;
    assert!(text(&device.json, "verification_uri").ends_with("/activate"));
    assert_eq!(device.user_code.split('-').map(str::len).collect::<Vec<_>>(), [3, 3, 3]);
    let mut browser = server.signed_in("alice").await;
    browser.get("/activate").await;
    browser.submit("user_code", &[("user_code", &device.user_code)]).await;
    browser.expect(200, &device.user_code);
}
