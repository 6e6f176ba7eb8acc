//! Guessing and flooding, and what stops them.

use countersign_core::grant::Origin;
use countersign_core::secret::{Digest, Plain};
use countersign_server::flow::login::{self, Credentials};
use reqwest::StatusCode;

use crate::support::{PASSWORD, Server, server};

const ASK: &str = "/oauth2/v1/device_authorization";

#[tokio::test]
async fn an_address_may_ask_for_so_many_codes_a_minute() {
    let server = Server::with(&[("rate_limit.device_codes_per_address", "5")]).await;
    let ask = async || server.post(ASK, &[("client_id", "tv")]).await;
    for _ in 0..5 {
        ask().await.ok();
    }
    let refused = ask().await;
    refused.refused(429, "slow_down");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    server.pass(wait);
    ask().await.ok();
}

#[tokio::test]
async fn a_client_may_ask_for_so_many_codes_a_minute_from_wherever() {
    let settings =
        [("rate_limit.device_codes_per_client", "3"), ("server.trusted_proxies", "list:127.0.0.1")];
    let server = Server::with(&settings).await;
    let ask = async |client: &str, address: &str| {
        let request = server
            .http
            .post(server.url(ASK))
            .form(&[("client_id", client)])
            .header("x-forwarded-for", address);
        request.send().await.unwrap().status()
    };
    for n in 0..3 {
        assert_eq!(ask("tv", &format!("192.0.2.{n}")).await, StatusCode::OK);
    }
    assert_eq!(ask("tv", "192.0.2.9").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("countersign-cli", "192.0.2.9").await, StatusCode::OK);
}

#[tokio::test]
async fn after_ten_wrong_codes_the_right_one_is_refused_too() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    for n in 0..10 {
        browser.enter(&format!("WRNG-222{}", n % 8 + 2)).await;
        browser.expect(400, "This code is not right or has expired");
    }
    browser.enter(&device.user_code).await;
    browser.expect(429, "Too many attempts");
    server.poll(&device).await.refused(400, "authorization_pending");
    // Another session of the same person is the same guesser.
    let mut second = server.signed_in("alice").await;
    second.enter(&device.user_code).await;
    second.expect(429, "Please wait 10 minutes");
    server.pass(600);
    second.enter(&device.user_code).await;
    second.expect(200, "Connect this device?");
}

#[tokio::test]
async fn an_address_is_limited_across_accounts_and_restarts() {
    let server = server().await;
    for name in ["bob", "carol", "dave"] {
        server.add_user(name).await;
    }
    for name in ["bob", "carol", "dave"] {
        let mut browser = server.signed_in(name).await;
        for _ in 0..10 {
            browser.enter("WRNG-2222").await;
        }
    }
    let server = server.restart().await;
    let mut fresh = server.signed_in("alice").await;
    fresh.enter("WRNG-2222").await;
    fresh.expect(429, "Too many attempts");
}

#[tokio::test]
async fn right_codes_do_not_buy_more_guesses() {
    let server = server().await;
    let mut browser = server.signed_in("alice").await;
    for _ in 0..9 {
        browser.enter("WRNG-2222").await;
        browser.expect(400, "not right");
        let own = server.ask("tv", "openid").await;
        browser.enter(&own.user_code).await;
        browser.expect(200, "Connect this device?");
    }
    browser.enter("WRNG-2222").await;
    browser.expect(400, "not right");
    browser.enter("WRNG-2222").await;
    browser.expect(429, "Too many attempts");
}

#[tokio::test]
async fn wrong_passwords_are_limited_alike_for_real_and_invented_names() {
    let server = server().await;
    for name in ["alice", "nobody"] {
        let mut browser = server.browser();
        browser.get("/login").await;
        for _ in 0..10 {
            browser.submit("password", &[("username", name), ("password", "wrong password")]).await;
            browser.expect(401, "The user name or the password is not right.");
        }
        let at_limit = browser.submit("password", &[("username", name), ("password", PASSWORD)]).await;
        browser.expect(429, "Please wait 15 minutes");
        assert!(!at_limit.contains(name));
        browser.get("/login").await;
    }
    server.pass(900);
    server.signed_in("alice").await;
}

#[tokio::test]
async fn a_new_password_ends_the_wait_of_its_owner() {
    let server = server().await;
    let mut browser = server.browser();
    browser.get("/login").await;
    for _ in 0..10 {
        browser.submit("password", &[("username", "alice"), ("password", "wrong password")]).await;
    }
    browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    browser.expect(429, "Too many attempts");
    let password = Plain::new(PASSWORD.to_owned());
    server.office().set_password("alice", Some(password), None).await.unwrap().unwrap();
    server.signed_in("alice").await;
}

#[tokio::test]
async fn a_visitor_who_hangs_up_is_not_counted_as_wrong() {
    let server = server().await;
    let app = &server.running.app;
    for round in 1..=2 {
        for _ in 0..9 {
            let credentials = Credentials {
                name: "alice".to_owned(),
                password: Plain::new(PASSWORD.to_owned()),
                known: None,
            };
            let (old, from, address) = (Digest::of("none"), Origin::default(), [127, 0, 0, 1].into());
            let mut sign_in = Box::pin(login::sign_in(app, credentials, old, from, address, server.now()));
            // Polled once, then given up, like a request whose connection is gone.
            assert!(poll_once(&mut sign_in).await.is_none());
        }
        tokio::time::timeout(std::time::Duration::from_secs(30), async {
            while server.count("browser_session").await < 9 * round {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("they go on without their visitor");
    }
    server.signed_in("alice").await;
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let settings = [("rate_limit.enabled", "false"), ("rate_limit.device_codes_per_address", "1")];
    let server = Server::with(&settings).await;
    let mut browser = server.signed_in("alice").await;
    for _ in 0..12 {
        server.ask("tv", "openid").await;
        browser.enter("WRNG-2222").await;
        browser.expect(400, "not right");
    }
}

#[tokio::test]
async fn whoever_signed_in_before_is_not_kept_out_by_others() {
    let server = server().await;
    let mut own = server.signed_in("alice").await;
    assert!(own.known.is_some());
    own.get("/logout").await;
    own.submit("csrf_token", &[]).await;
    let mut stranger = server.browser();
    for _ in 0..11 {
        stranger.get("/login").await;
        stranger.submit("password", &[("username", "alice"), ("password", "wrong password")]).await;
    }
    assert_eq!(stranger.status, 429, "{}", stranger.page);
    // Also with the right password, as long as it is not known.
    stranger.get("/login").await;
    stranger.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(stranger.status, 429);
    own.get("/login?next=account").await;
    own.submit("password", &[("username", "Alice"), ("password", PASSWORD)]).await;
    own.expect(200, "Your devices");
    // Being known is for one name, cannot be made up, and is no way to guess for ever.
    server.add_user("bob").await;
    let mut bob = server.signed_in("bob").await;
    bob.cookie.clone_from(&stranger.cookie);
    bob.get("/login").await;
    bob.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(bob.status, 429, "{}", bob.page);
    stranger.known = own.known.as_ref().map(|known| format!("{known}A"));
    stranger.get("/login").await;
    stranger.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(stranger.status, 429);
    // Another password makes it a stranger as well.
    let password = Plain::new("another password".to_owned());
    server.office().set_password("alice", Some(password), None).await.unwrap().unwrap();
    for _ in 0..11 {
        stranger.get("/login").await;
        stranger.submit("password", &[("username", "alice"), ("password", "wrong password")]).await;
    }
    own.get("/login").await;
    own.submit("password", &[("username", "alice"), ("password", "another password")]).await;
    assert_eq!(own.status, 429);
    server.pass(3600);
    own.get("/login?next=account").await;
    own.submit("password", &[("username", "alice"), ("password", "another password")]).await;
    own.expect(200, "Your devices");
    stranger.known.clone_from(&own.known);
    for _ in 0..10 {
        stranger.get("/login").await;
        stranger.submit("password", &[("username", "alice"), ("password", "wrong password")]).await;
        stranger.expect(401, "is not right");
    }
    stranger.get("/login").await;
    stranger.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(stranger.status, 429);
}
