//! Step 5: collected exactly once, or not at all.

use countersign_server::flow::accounts::UserAct;
use std::sync::Arc;

use countersign_server::flow::clients;
use tokio::task::JoinSet;

use crate::support::{Device, Server, server, text};

async fn approved(server: &Server) -> Device {
    let device = server.ask("tv", "openid offline_access").await;
    server.signed_in("alice").await.approve(&device).await;
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_concurrent_polls_one_gets_tokens() {
    let server = Arc::new(server().await);
    let device = approved(&server).await;
    let mut polls = JoinSet::new();
    for _ in 0..64 {
        let (server, device) = (server.clone(), device.clone());
        polls.spawn(async move {
            let reply = server.poll(&device).await;
            if reply.status == 200 {
                return true;
            }
            reply.refused(400, "invalid_grant");
            false
        });
    }
    let winners = polls.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(winners, 1);
    let left = (server.count("token_family").await, server.count("refresh_token").await);
    assert_eq!(left, (1, 1), "what the losers made is gone");
}

#[tokio::test]
async fn a_failure_while_committing_leaves_the_code_redeemable() {
    let server = server().await;
    let device = approved(&server).await;
    server.database().break_table("refresh_token", "INSERT").await;
    let failed = server.poll(&device).await;
    failed.refused(500, "server_error");
    assert!(!failed.json.to_string().contains("injected"), "no SQL text in answers: {}", failed.json);
    server.database().mend("refresh_token").await;
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn a_failure_while_signing_leaves_the_code_redeemable() {
    let server = server().await;
    let device = approved(&server).await;
    server.database().run("CREATE TABLE kept AS SELECT * FROM signing_key; DELETE FROM signing_key").await;
    server.pass(1);
    server.poll(&device).await.refused(500, "server_error");
    server.database().run("INSERT INTO signing_key SELECT * FROM kept").await;
    server.pass(1);
    server.poll(&device).await.ok();
}

#[tokio::test]
async fn a_user_who_is_disabled_after_approving_gives_nothing_for_good() {
    let server = server().await;
    let device = approved(&server).await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    server.poll(&device).await.refused(400, "access_denied");
    server.office().act_on_user("alice", UserAct::Enable, None).await.unwrap().unwrap();
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn a_user_who_is_removed_after_approving_gives_nothing() {
    let server = server().await;
    let device = approved(&server).await;
    server.office().act_on_user("alice", UserAct::Remove, None).await.unwrap().unwrap();
    server.poll(&device).await.refused(400, "access_denied");
}

/// The row says disabled, but nothing else was done: the statement that redeems looks itself.
#[tokio::test]
async fn the_guard_in_the_database_stands_by_itself() {
    let server = server().await;
    let device = approved(&server).await;
    server.database().run("UPDATE account SET disabled_at = 1").await;
    server.poll(&device).await.refused(400, "access_denied");
    server.database().run("UPDATE account SET disabled_at = NULL").await;
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn a_client_that_is_removed_after_the_approval_gets_nothing() {
    let server = server().await;
    let device = approved(&server).await;
    server.office().remove_client("tv", None).await.unwrap().unwrap();
    server.poll(&device).await.refused(400, "invalid_client");
    server.add_client("tv", None, clients::ClientSettings::default()).await;
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn an_approval_that_is_undone_gives_nothing() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.signed_in("alice").await;
    browser.approve(&device).await;
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn undoing_after_the_device_collected_revokes_what_it_got() {
    let server = server().await;
    let secret = server.api().await;
    let device = server.ask("tv", "openid offline_access").await;
    let mut browser = server.signed_in("alice").await;
    browser.approve(&device).await;
    let tokens = server.poll(&device).await.ok();
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await["active"], true);
    browser.submit("undo", &[("undo", "undo")]).await;
    browser.expect(200, "Undone");
    assert_eq!(server.introspect(&secret, text(&tokens, "access_token")).await["active"], false);
    server.refresh("tv", text(&tokens, "refresh_token")).await.refused(400, "invalid_grant");
    server.userinfo(text(&tokens, "access_token")).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_restart_keeps_every_answer() {
    let server = server().await;
    let secret = server.api().await;
    let (pending, ready) = (server.ask("tv", "openid").await, approved(&server).await);
    let tokens = server.login("tv", "openid offline_access").await;
    let server = server.restart().await;
    server.poll(&pending).await.refused(400, "authorization_pending");
    server.poll(&ready).await.ok();
    server.poll(&ready).await.refused(400, "invalid_grant");
    // Another port is another issuer here, so the token itself is judged by its family.
    server.refresh("tv", text(&tokens, "refresh_token")).await.ok();
    let refreshed = server.introspect(&secret, text(&tokens, "refresh_token")).await;
    assert_eq!(refreshed["active"], false);
}
