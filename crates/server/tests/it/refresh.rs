//! Step 6: refresh tokens rotate, and a stolen one gives itself away.

use countersign_server::flow::accounts::UserAct;
use std::sync::Arc;

use countersign_server::flow::clients::ClientSettings;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{server, text};

const DAY: u64 = 86_400;

fn refresh_token(tokens: &Value) -> &str {
    text(tokens, "refresh_token")
}

#[tokio::test]
async fn every_refresh_gives_a_new_token_and_spends_the_old() {
    let server = server().await;
    let first = server.login("tv", "openid offline_access").await;
    let second = server.refresh("tv", refresh_token(&first)).await.ok();
    assert_ne!(refresh_token(&first), refresh_token(&second));
    assert!(second["id_token"].is_string());
    let third = server.refresh("tv", refresh_token(&second)).await.ok();
    assert_eq!(text(&third, "scope"), "openid offline_access");
}

#[tokio::test]
async fn a_spent_token_that_comes_back_ends_the_family() {
    let server = server().await;
    let secret = server.api().await;
    let first = server.login("tv", "openid").await;
    let second = server.refresh("tv", refresh_token(&first)).await.ok();
    server.pass(10);
    server.refresh("tv", refresh_token(&first)).await.refused(400, "invalid_grant");
    server.refresh("tv", refresh_token(&second)).await.refused(400, "invalid_grant");
    assert_eq!(server.introspect(&secret, text(&second, "access_token")).await["active"], false);
}

#[tokio::test]
async fn a_lost_answer_may_be_fetched_again_within_the_grace() {
    let server = server().await;
    let first = server.login("tv", "openid").await;
    server.refresh("tv", refresh_token(&first)).await.ok();
    server.pass(9);
    let again = server.refresh("tv", refresh_token(&first)).await.ok();
    let next = server.refresh("tv", refresh_token(&again)).await.ok();
    server.refresh("tv", refresh_token(&next)).await.ok();
}

#[tokio::test]
async fn a_twin_is_worth_nothing_once_the_other_was_used() {
    let server = server().await;
    let first = server.login("tv", "openid").await;
    let kept = server.refresh("tv", refresh_token(&first)).await.ok();
    let stolen = server.refresh("tv", refresh_token(&first)).await.ok();
    server.pass(3600);
    let next = server.refresh("tv", refresh_token(&kept)).await.ok();
    server.pass(3600);
    server.refresh("tv", refresh_token(&stolen)).await.refused(400, "invalid_grant");
    server.refresh("tv", refresh_token(&next)).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn the_grace_ends_when_the_successor_is_used() {
    let server = server().await;
    let first = server.login("tv", "openid").await;
    let second = server.refresh("tv", refresh_token(&first)).await.ok();
    let third = server.refresh("tv", refresh_token(&second)).await.ok();
    server.refresh("tv", refresh_token(&first)).await.refused(400, "invalid_grant");
    server.refresh("tv", refresh_token(&third)).await.refused(400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_one_token_at_once_all_get_a_working_successor() {
    let server = Arc::new(server().await);
    let first = server.login("tv", "openid").await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (server, token) = (server.clone(), refresh_token(&first).to_owned());
        tasks.spawn(async move { server.refresh("tv", &token).await.ok() });
    }
    let successors = tasks.join_all().await;
    // Using one spends its twins: only one line goes on.
    let next = server.refresh("tv", refresh_token(&successors[3])).await.ok();
    server.refresh("tv", refresh_token(&successors[5])).await.refused(400, "invalid_grant");
    // Two have tokens of one line, and one of them may be a thief: it ends.
    server.refresh("tv", refresh_token(&next)).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn another_clients_token_is_invalid_and_harms_nothing() {
    let server = server().await;
    server.add_client("other", None, ClientSettings::default()).await;
    let tokens = server.login("tv", "openid").await;
    server.refresh("other", refresh_token(&tokens)).await.refused(400, "invalid_grant");
    server.refresh("tv", refresh_token(&tokens)).await.ok();
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_never_for_more() {
    let server = server().await;
    let tokens = server.login("tv", "openid profile").await;
    let ask = async |token: &str, scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "tv"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        server.post("/oauth2/v1/token", &form).await
    };
    ask(refresh_token(&tokens), "openid email").await.refused(400, "invalid_scope");
    let less = ask(refresh_token(&tokens), "profile").await.ok();
    assert_eq!((text(&less, "scope"), less.get("id_token")), ("profile", None));
    let whole = server.refresh("tv", refresh_token(&less)).await.ok();
    assert_eq!(text(&whole, "scope"), "openid profile", "what was approved is not forgotten");
}

#[tokio::test]
async fn an_idle_token_and_an_old_family_end() {
    let server = server().await;
    let idle = server.login("tv", "openid").await;
    let mut busy = server.login("tv", "openid").await;
    server.pass(14 * DAY - 1);
    busy = server.refresh("tv", refresh_token(&busy)).await.ok();
    server.pass(1);
    server.refresh("tv", refresh_token(&idle)).await.refused(400, "invalid_grant");
    server.pass(13 * DAY);
    busy = server.refresh("tv", refresh_token(&busy)).await.ok();
    server.pass(3 * DAY);
    server.refresh("tv", refresh_token(&busy)).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_disabled_users_tokens_end_and_stay_ended() {
    let server = server().await;
    let secret = server.api().await;
    let tokens = server.login("tv", "openid").await;
    server.office().act_on_user("alice", UserAct::Disable, None).await.unwrap().unwrap();
    let inactive =
        async || server.introspect(&secret, text(&tokens, "access_token")).await["active"] == false;
    assert!(inactive().await);
    server.refresh("tv", refresh_token(&tokens)).await.refused(400, "invalid_grant");
    server.office().act_on_user("alice", UserAct::Enable, None).await.unwrap().unwrap();
    assert!(inactive().await);
    server.refresh("tv", refresh_token(&tokens)).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn junk_is_refused() {
    let server = server().await;
    for junk in ["x", "cs_rt_", &format!("cs_rt_{}", "0".repeat(49)), "cs_at_x"] {
        server.refresh("tv", junk).await.refused(400, "invalid_grant");
    }
}
