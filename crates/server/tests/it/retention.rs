//! What has had its time goes, and nothing else.

use countersign_server::sweep;

use crate::support::{Server, text};

async fn sweep(server: &Server) {
    sweep::once(&server.running.app, server.now()).await.unwrap();
}

const DAY: u64 = 86_400;

#[tokio::test]
async fn ended_grants_go_after_their_retention_in_bounded_batches() {
    let server = Server::with(&[("retention.grants", "1d"), ("retention.batch", "2")]).await;
    for _ in 0..7 {
        server.ask("tv", "openid").await;
    }
    sweep(&server).await;
    assert_eq!(server.count("device_grant").await, 7);
    server.pass(1800);
    sweep(&server).await;
    assert_eq!(server.count("device_grant WHERE expired_at IS NOT NULL AND code_mac IS NULL").await, 7);
    server.pass(DAY);
    sweep(&server).await;
    assert_eq!(server.count("device_grant").await, 0);
}

#[tokio::test]
async fn a_question_that_nobody_looked_at_goes_after_an_hour() {
    let server = Server::with(&[("retention.grants", "7d")]).await;
    let (opened, unopened) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    server.signed_in("alice").await.enter(&opened.user_code).await;
    server.pass(1800 + 3599);
    sweep(&server).await;
    server.poll(&unopened).await.refused(400, "expired_token");
    server.pass(1);
    sweep(&server).await;
    server.poll(&unopened).await.refused(400, "invalid_grant");
    server.poll(&opened).await.refused(400, "expired_token");
}

#[tokio::test]
async fn live_logins_stay_and_ended_ones_go() {
    let server = Server::with(&[("retention.tokens", "2d")]).await;
    let kept = server.login("tv", "openid").await;
    let ended = server.login("tv", "openid").await;
    server
        .post("/oauth2/v1/revoke", &[("client_id", "tv"), ("token", text(&ended, "refresh_token"))])
        .await
        .ok();
    server.pass(2 * DAY - 1);
    sweep(&server).await;
    assert_eq!(server.count("token_family").await, 2);
    server.pass(1);
    sweep(&server).await;
    assert_eq!(server.count("token_family").await, 1);
    server.refresh("tv", text(&kept, "refresh_token")).await.ok();
}

#[tokio::test]
async fn sessions_tallies_tokens_and_audit_rows_go() {
    let server = Server::with(&[("retention.audit", "3d")]).await;
    let mut browser = server.signed_in("alice").await;
    browser.enter("WRNG-2222").await;
    let tokens = server.login("tv", "openid").await;
    server
        .post("/oauth2/v1/revoke", &[("client_id", "tv"), ("token", text(&tokens, "access_token"))])
        .await
        .ok();
    for table in ["browser_session", "attempt", "revoked_token", "audit"] {
        assert!(server.count(table).await > 0, "{table}");
    }
    server.pass(4 * DAY);
    sweep(&server).await;
    for table in ["browser_session", "attempt", "revoked_token", "audit"] {
        assert_eq!(server.count(table).await, 0, "{table}");
    }
}

/// The task of the running server does the same, at its interval.
#[tokio::test]
async fn the_background_task_sweeps_by_itself_and_stops_with_the_server() {
    let server = Server::with(&[("retention.interval", "100ms"), ("retention.grants", "1d")]).await;
    server.ask("tv", "openid").await;
    server.pass(2 * DAY);
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while server.count("device_grant").await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("swept");
    server.running.shutdown().await;
}
