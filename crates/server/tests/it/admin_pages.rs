//! The pages for administrators, form by form. (How they look is tried in `tests/browser`.)

use countersign_core::audit::By;
use countersign_server::flow::accounts::{self, Changes};

use crate::notices::HOOK;
use crate::support::{Browser, PASSWORD, Server, server};

async fn promote(server: &Server, name: &str) {
    let changes = Changes { admin: Some(true), ..Changes::default() };
    let (app, name) = (&server.running.app, name.parse().unwrap());
    let edited = accounts::edit(app, &By::COMMAND_LINE, &name, changes, None, server.now());
    edited.await.unwrap().unwrap();
}

/// A server, with alice as an administrator; she signs in with [`Server::signed_in`].
async fn office() -> Server {
    let server = server().await;
    promote(&server, "alice").await;
    server
}

/// The form with this action, sent with these fields.
async fn press(browser: &mut Browser<'_>, action: &str, filled: &[(&str, &str)]) {
    let field = format!("action\" value=\"{action}");
    let mut all = vec![("action", action)];
    all.extend(filled);
    browser.submit(&field, &all).await;
}

#[tokio::test]
async fn only_administrators_see_them() {
    let server = office().await;
    server.add_user("bob").await;
    let pages = [
        "/admin",
        "/admin/clients",
        "/admin/users",
        "/admin/devices",
        "/admin/keys",
        "/admin/audit",
        "/admin/notices",
        "/admin/users/alice",
        "/admin/clients/tv",
        "/admin/audit/export",
    ];
    let mut bob = server.signed_in("bob").await;
    let mut alice = server.signed_in("alice").await;
    for page in pages {
        bob.get(page).await;
        bob.expect(404, "Page not found");
        alice.get(page).await;
        alice.expect(200, "");
    }
    bob.get("/account").await;
    let csrf = bob.form("action")["csrf_token"].clone();
    let fields = [("csrf_token", csrf.as_str()), ("action", "disable")];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    bob.post("/admin/users/alice", &fields).await;
    bob.expect(404, "Page not found");
}

/// Whoever follows a link to a page sees that page after signing in, and none of somebody else's.
#[tokio::test]
async fn the_way_to_a_page_leads_past_the_sign_in() {
    let server = office().await;
    let sign_in = [("username", "alice"), ("password", PASSWORD)];
    for page in ["/admin", "/admin?days=1", "/admin/users/alice", "/admin/audit?action=a%2Bb&user=alice"] {
        let mut browser = server.browser();
        browser.get(page).await;
        browser.expect(200, "Sign in");
        browser.submit("password", &sign_in).await;
        assert_eq!((browser.status.as_u16(), browser.path.as_str()), (200, page));
    }
    for odd in [
        "//evil.example",
        "https://evil.example",
        "/../account",
        "x",
        "/%2e%2e/account",
        "/x/.%2E/../../account",
        "/\\evil",
    ] {
        let mut browser = server.browser();
        let odd: String = url::form_urlencoded::byte_serialize(odd.as_bytes()).collect();
        browser.get(&format!("/login?next=admin&request={odd}")).await;
        browser.submit("password", &sign_in).await;
        // As a browser reads it.
        let read = url::Url::parse(&server.url(&browser.path)).unwrap();
        assert!(read.path() == "/admin" || read.path().starts_with("/admin/"), "{odd}: {read}");
    }
}

#[tokio::test]
async fn a_second_factor_comes_first_where_it_is_demanded() {
    let server = Server::with(&[("login.second_factor", "administrators")]).await;
    let mut alice = server.signed_in("alice").await;
    promote(&server, "alice").await;
    alice.get("/admin").await;
    alice.expect(200, "Set up an authenticator app");
}

#[tokio::test]
async fn the_overview_says_how_things_stand_now() {
    let server = Server::with(&[HOOK]).await;
    promote(&server, "alice").await;
    server.login("tv", "openid").await;
    server.ask("tv", "openid").await;
    server.key().await;
    server
        .database()
        .run("UPDATE outbox SET failed_at = 1 WHERE id IN (SELECT id FROM outbox LIMIT 1)")
        .await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/admin").await;
    for (what, count) in [
        ("Questions that wait for somebody", 1),
        ("<a href=\"/admin/devices\">Devices by OAuth</a>", 1),
        ("<a href=\"/admin/devices\">Devices of command lines</a>", 1),
        ("<a href=\"/admin/devices\">Devices by socket</a>", 0),
        ("Browsers that are signed in", 3),
        ("<a href=\"/admin/notices\">Notices on their way</a>", 1),
        ("<a href=\"/admin/notices\">Notices that were given up</a>", 1),
    ] {
        alice.expect(200, &format!("<dt>{what}</dt><dd>{count}</dd>"));
    }
    // It is in what the script takes anew.
    let live = alice.page.split_once("data-live").unwrap().1;
    assert!(live.contains("Notices on their way"));
}

#[tokio::test]
async fn clients_are_made_changed_rotated_and_removed() {
    let server = office().await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/admin/clients/new").await;
    let filled = [
        ("client_id", "web"),
        ("name", "Web <b>app</b>"),
        ("auth_method", "client_secret"),
        ("grant_device_code", "yes"),
        ("redirect_uris", "https://web.example/cb\nhttp://127.0.0.1/cb"),
        ("code_ttl", "5m"),
        ("policy", "mismatch = \"deny\""),
        ("token_format", "jwt"),
        ("id_token_alg", "ES256"),
    ];
    let bad: Vec<(&str, &str)> = filled
        .iter()
        .map(|(name, value)| (*name, if *name == "code_ttl" { "soon" } else { *value }))
        .collect();
    press(&mut alice, "add", &bad).await;
    // What was typed is still there.
    alice.expect(422, "is not a duration");
    alice.expect(422, "https://web.example/cb");
    press(&mut alice, "add", &filled).await;
    alice.expect(201, "It is shown this once");
    assert!(
        alice.page.contains("Web &#60;b&#62;app&#60;/b&#62;") && !alice.page.contains("<b>app"),
        "{}",
        alice.page
    );
    let secret =
        |page: &str| page.split("client-secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let old = secret(&alice.page);
    let ask = async |secret: &str| {
        let form = [("client_id", "web"), ("client_secret", secret)];
        server.post("/oauth2/v1/device_authorization", &form).await.status
    };
    assert_eq!(ask(&old).await, 200);
    alice.get("/admin/clients?q=web").await;
    alice.expect(200, "/admin/clients/web");
    alice.get("/admin/clients/web").await;
    let stale = alice.page.clone();
    press(&mut alice, "rotate", &[("overlap", "1h")]).await;
    alice.expect(200, "There is a new secret");
    assert_eq!((ask(&old).await, ask(&secret(&alice.page)).await), (200, 200));
    // A page that was opened before somebody else's change changes nothing.
    alice.page = stale;
    press(
        &mut alice,
        "save",
        &[
            ("name", "Stale"),
            ("token_format", "jwt"),
            ("id_token_alg", "ES256"),
            ("grant_device_code", "yes"),
        ],
    )
    .await;
    alice.expect(409, "changed by somebody else");
    alice.get("/admin/clients/web").await;
    press(
        &mut alice,
        "save",
        &[
            ("name", "Better"),
            ("token_format", "opaque"),
            ("id_token_alg", "ES256"),
            ("grant_device_code", "yes"),
        ],
    )
    .await;
    alice.expect(200, "Saved.");
    // What was left empty is as configured again.
    assert!(!alice.page.contains("value=\"5m\"") && !alice.page.contains("web.example"), "{}", alice.page);
    press(&mut alice, "remove", &[("sure", "wrong")]).await;
    alice.expect(422, "Nothing was removed");
    press(&mut alice, "remove", &[("sure", "web")]).await;
    assert_eq!(alice.path, "/admin/clients");
    alice.get("/admin/clients/web").await;
    alice.expect(404, "Page not found");
}

#[tokio::test]
async fn people_are_added_changed_and_locked_out() {
    let server = office().await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/admin/users/new").await;
    press(&mut alice, "add", &[("name", "a b")]).await;
    alice.expect(422, "a user name has 1 to 64 characters");
    press(&mut alice, "add", &[("name", "dora"), ("email", "dora@example.com")]).await;
    alice.expect(201, "It is shown this once");
    let password =
        |page: &str| page.split("new-password\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let first = password(&alice.page);
    let mut dora = server.browser();
    dora.get("/login?next=account").await;
    dora.submit("password", &[("username", "dora"), ("password", &first)]).await;
    dora.expect(200, "Your devices");
    alice.get("/admin/users/dora").await;
    press(&mut alice, "sign_out", &[]).await;
    alice.expect(200, "signed out everywhere");
    dora.get("/account").await;
    dora.expect(200, "Sign in");
    press(&mut alice, "password", &[]).await;
    assert_ne!(password(&alice.page), first);
    press(&mut alice, "reset_factors", &[]).await;
    alice.expect(200, "with their password alone");
    press(&mut alice, "disable", &[]).await;
    alice.expect(200, "They are locked out.");
    press(&mut alice, "enable", &[]).await;
    alice.expect(200, "They may sign in again.");
    press(&mut alice, "save", &[("tier", "gold"), ("admin", "yes")]).await;
    alice.expect(200, "Saved.");
    // Nobody locks themselves out.
    alice.get("/admin/users/alice").await;
    press(&mut alice, "save", &[("tier", "none")]).await;
    alice.expect(409, "nobody locks themself out");
    assert_eq!(server.count("audit WHERE action = 'user.edited' AND actor LIKE 'administrator %' AND address = '127.0.0.1'").await, 1);
}

#[tokio::test]
async fn devices_keys_and_the_trail_are_there() {
    let server = office().await;
    let tokens = server.login("tv", "openid").await;
    server.login("tv", "openid").await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/admin").await;
    alice.expect(200, "<svg class=\"plot\"");
    alice.expect(200, "Asked 2, Opened 2, Approved 2, Connected 2");
    alice.get("/admin/devices?client=tv&status=active").await;
    assert_eq!(alice.page.matches("Disconnect The tv").count(), 2, "{}", alice.page);
    press(&mut alice, "revoke", &[]).await;
    assert_eq!(alice.page.matches("Disconnect The tv").count(), 1, "it is the same search: {}", alice.path);
    press(&mut alice, "sweep", &[("from", "home")]).await;
    alice.expect(200, "is not a network");
    press(&mut alice, "sweep", &[]).await;
    alice.expect(200, "say what is revoked");
    press(&mut alice, "sweep", &[("client", "tv")]).await;
    alice.expect(200, "Disconnected: 1.");
    server.refresh("tv", tokens["refresh_token"].as_str().unwrap()).await.refused(400, "invalid_grant");
    alice.get("/admin/devices?door=window").await;
    alice.expect(422, "is no door");
    alice.get("/admin/keys").await;
    server.pass(60);
    press(&mut alice, "rotate", &[]).await;
    alice.expect(200, "The keys are rotated.");
    press(&mut alice, "rotate", &[]).await;
    assert!(alice.page.contains("within the last five minutes"), "{}", alice.page);
    server.pass(301);
    press(&mut alice, "rotate", &[]).await;
    alice.expect(200, "The keys are rotated.");
    alice.get("/admin/audit?action=grant&client=tv").await;
    alice.expect(200, "grant.redeemed");
    assert!(!alice.page.contains("key.rotated"));
    alice.get("/admin/audit?user=nobody").await;
    alice.expect(422, "there is no user `nobody`");
    let lines = alice.get("/admin/audit/export?action=key.rotated").await;
    assert_eq!(lines.lines().count(), 2);
    // So many that one page is not enough.
    for _ in 0..20 {
        server.login("tv", "openid").await;
    }
    alice.get("/admin/audit?action=grant").await;
    alice.expect(200, "rel=\"next\"");
    let next = alice
        .page
        .split("rel=\"next\"")
        .next()
        .unwrap()
        .rsplit("href=\"")
        .next()
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let next = next.replace("&#38;", "&").replace("&amp;", "&");
    alice.get(&next).await;
    alice.expect(200, "grant.");
}

/// What did not arrive is shown, and sent again by hand.
#[tokio::test]
async fn notices_that_were_given_up_are_sent_again() {
    let server = Server::with(&[HOOK]).await;
    promote(&server, "alice").await;
    server.login("tv", "openid").await;
    server.database().run("UPDATE outbox SET failed_at = 1, attempts = 9, error = 'it answered 500'").await;
    let mut alice = server.signed_in("alice").await;
    alice.get("/admin/notices").await;
    alice.expect(200, "it answered 500");
    alice.expect(200, "device.connected");
    press(&mut alice, "replay", &[]).await;
    alice.expect(200, "It is sent again.");
    assert_eq!(server.count("outbox WHERE failed_at IS NULL").await, 1);
    assert_eq!(server.count("audit WHERE action = 'notice.replayed'").await, 1);
}

/// This machine is none that a webhook reaches, unless the operator says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_do_not_reach_private_addresses() {
    let server = Server::with(&[HOOK]).await;
    server.login("tv", "openid").await;
    // The background task looks every second of the real time; this waits for what it writes.
    let tried = "outbox WHERE attempts > 0 AND error LIKE '%webhooks.allowed_networks%'";
    let waiting = async {
        while server.count(tried).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it is tried and refused");
}
