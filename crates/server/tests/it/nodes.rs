//! Two servers on one database: what is counted is counted once for both.

use crate::factors::enrolled;
use crate::support::{Browser, PASSWORD, Server};

/// As far as the password leads.
async fn half(server: &Server) -> Browser<'_> {
    let mut browser = server.browser();
    browser.get("/login?next=account").await;
    browser.submit("password", &[("username", "alice"), ("password", PASSWORD)]).await;
    browser
}

#[tokio::test]
async fn wrong_codes_passwords_and_factors_are_counted_over_all_servers() {
    let one = Server::with(&[]).await;
    let two = one.twin(&[]).await;
    // User codes: ten for an account.
    let (mut here, mut there) = (one.signed_in("alice").await, two.signed_in("alice").await);
    for _ in 0..5 {
        here.enter("ABCD-2345").await;
        there.enter("ABCD-2345").await;
        assert_eq!((here.status.as_u16(), there.status.as_u16()), (400, 400));
    }
    here.enter("ABCD-2345").await;
    here.expect(429, "Too many attempts");
    there.enter("ABCD-2345").await;
    there.expect(429, "Too many attempts");
    // Second factors: ten for an account.
    enrolled(&mut one.signed_in("alice").await).await;
    let (mut here, mut there) = (half(&one).await, half(&two).await);
    for _ in 0..5 {
        here.submit("totp", &[("totp", "000000")]).await;
        there.submit("totp", &[("totp", "000000")]).await;
        assert_eq!((here.status.as_u16(), there.status.as_u16()), (401, 401));
    }
    for browser in [&mut here, &mut there] {
        browser.submit("totp", &[("totp", "000000")]).await;
        browser.expect(429, "Too many attempts");
    }
    // Passwords: ten for a name.
    one.add_user("bob").await;
    let (mut here, mut there) = (one.browser(), two.browser());
    for browser in [&mut here, &mut there] {
        browser.get("/login").await;
    }
    let wrong = [("username", "bob"), ("password", "not the password")];
    for _ in 0..5 {
        here.submit("password", &wrong).await;
        there.submit("password", &wrong).await;
        assert_eq!((here.status.as_u16(), there.status.as_u16()), (401, 401));
    }
    there.submit("password", &[("username", "bob"), ("password", PASSWORD)]).await;
    there.expect(429, "Too many attempts");
}

#[tokio::test]
async fn a_pin_has_three_tries_over_all_servers() {
    let settings = [("approval.initiation_check", "pin")];
    let one = Server::with(&settings).await;
    let two = one.twin(&settings).await;
    let device = one.ask("tv", "openid").await;
    let pin = two.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    let wrong = format!("{:02}", (pin.parse::<u32>().unwrap() + 1) % 100);
    one.poll_with(&device, &wrong).await.refused(400, "authorization_pending");
    two.poll_with(&device, &wrong).await.refused(400, "authorization_pending");
    one.poll_with(&device, &wrong).await.refused(400, "access_denied");
    two.poll_with(&device, &pin).await.refused(400, "access_denied");
    let device = two.ask("tv", "openid").await;
    let pin = one.signed_in("alice").await.approve_for_pin(&device.user_code).await;
    let both = futures_util::future::join(one.poll_with(&device, &pin), two.poll_with(&device, &pin)).await;
    let got = [both.0, both.1].iter().filter(|reply| reply.status == 200).count();
    assert_eq!(got, 1);
}

#[tokio::test]
async fn a_notice_is_sent_by_one_of_them() {
    let hook = crate::notices::HOOK;
    let one = Server::with(&[hook]).await;
    let two = one.twin(&[hook]).await;
    one.login("tv", "openid").await;
    // Both look each second, and nobody is there to take it.
    while one.count("outbox WHERE attempts > 0 AND error IS NOT NULL").await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(one.number("SELECT MAX(attempts) FROM outbox").await, 1);
    let told = |server: &Server| {
        let metrics = server.running.app.metrics.render().unwrap();
        metrics.contains("countersign_notices_total{kind=\"webhook\",outcome=\"retried\"} 1")
    };
    assert!(told(&one) != told(&two), "one of them tried it");
}
