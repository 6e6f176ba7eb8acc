//! Step 2: what a poll hears, in the order of the interface.

use std::sync::Arc;

use countersign_core::client::GrantType;
use tokio::task::JoinSet;

use crate::support::{DEVICE_CODE, only, server, text};

#[tokio::test]
async fn the_answer_to_an_ask_has_every_field() {
    let server = server().await;
    let json = server.ask("tv", "openid").await.json;
    assert_eq!(text(&json, "device_code").len(), 43);
    let code = text(&json, "user_code");
    assert!(code.len() == 9 && code.chars().nth(4) == Some('-'), "{code}");
    let issuer = server.running.app.public_url.issuer();
    assert_eq!(text(&json, "verification_uri"), format!("{issuer}/device"));
    assert_eq!(text(&json, "verification_uri_complete"), format!("{issuer}/device?user_code={code}"));
    assert_eq!((json["expires_in"].as_u64(), json["interval"].as_u64()), (Some(1800), Some(5)));
}

#[tokio::test]
async fn the_first_poll_is_pending_and_one_too_soon_is_told_to_slow_down() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    server.poll(&device).await.refused(400, "authorization_pending");
    let refused = server.poll(&device).await;
    refused.refused(400, "slow_down");
    assert_eq!(refused.json["interval"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_polls_at_once_one_is_in_time() {
    let server = Arc::new(server().await);
    let device = server.ask("tv", "openid").await;
    let mut polls = JoinSet::new();
    for _ in 0..32 {
        let (server, device) = (server.clone(), device.clone());
        polls.spawn(async move { text(&server.poll(&device).await.json, "error").to_owned() });
    }
    let heard = polls.join_all().await;
    let count = |error: &str| heard.iter().filter(|heard| *heard == error).count();
    assert_eq!((count("authorization_pending"), count("slow_down")), (1, 31), "{heard:?}");
}

#[tokio::test]
async fn refused_polls_do_not_move_the_clock() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    server.poll(&device).await.refused(400, "authorization_pending");
    for _ in 0..4 {
        server.pass(1);
        server.poll(&device).await.refused(400, "slow_down");
    }
    server.pass(1);
    server.poll(&device).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn a_denied_code_is_denied_also_after_it_expired() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.deny(&device).await;
    server.poll(&device).await.refused(400, "access_denied");
    server.poll(&device).await.refused(400, "access_denied");
    server.pass(1800);
    server.poll(&device).await.refused(400, "access_denied");
}

#[tokio::test]
async fn a_code_expires_whatever_was_decided() {
    let server = server().await;
    let (pending, approved) = (server.ask("tv", "openid").await, server.ask("tv", "openid").await);
    server.signed_in("alice").await.approve(&approved).await;
    server.pass(1800);
    server.poll(&pending).await.refused(400, "expired_token");
    server.poll(&approved).await.refused(400, "expired_token");
}

#[tokio::test]
async fn an_approved_code_is_handed_over_however_impatient_the_client() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    server.poll(&device).await.refused(400, "authorization_pending");
    server.signed_in("alice").await.approve(&device).await;
    server.poll(&device).await.ok();
    server.poll(&device).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn an_unknown_code_is_invalid() {
    let server = server().await;
    let mut device = server.ask("tv", "openid").await;
    device.device_code = "A".repeat(43);
    server.poll(&device).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn another_clients_code_is_invalid_whatever_its_state() {
    let server = server().await;
    server.add_client("foreign", None, only(GrantType::DeviceCode)).await;
    let mut browser = server.signed_in("alice").await;
    let device = server.ask("tv", "openid").await;
    let foreign = async || server.poll_as("foreign", &device).await.refused(400, "invalid_grant");
    foreign().await;
    browser.approve(&device).await;
    foreign().await;
    server.poll(&device).await.ok();
    foreign().await;
    let denied = server.ask("tv", "openid").await;
    browser.deny(&denied).await;
    server.poll_as("foreign", &denied).await.refused(400, "invalid_grant");
    let expired = server.ask("tv", "openid").await;
    server.pass(1800);
    server.poll_as("foreign", &expired).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn what_is_missing_is_said_before_who_is_asking() {
    let server = server().await;
    let post = async |form: &[(&str, &str)]| server.post("/oauth2/v1/token", form).await;
    post(&[]).await.refused(400, "invalid_request");
    post(&[("grant_type", "password")]).await.refused(400, "unsupported_grant_type");
    post(&[("grant_type", DEVICE_CODE), ("client_id", "nobody")]).await.refused(400, "invalid_request");
    post(&[("grant_type", DEVICE_CODE), ("device_code", "x")]).await.refused(400, "invalid_request");
    post(&[("grant_type", DEVICE_CODE), ("device_code", ""), ("client_id", "tv")])
        .await
        .refused(400, "invalid_request");
    let unknown = [("grant_type", DEVICE_CODE), ("device_code", "x"), ("client_id", "nobody")];
    post(&unknown).await.refused(400, "invalid_client");
}

#[tokio::test]
async fn a_client_without_the_grant_hears_so_after_it_was_authenticated() {
    let server = server().await;
    server.add_client("refresher", None, only(GrantType::RefreshToken)).await;
    let ask = server.post("/oauth2/v1/device_authorization", &[("client_id", "refresher")]).await;
    ask.refused(400, "unauthorized_client");
    let form = [("grant_type", DEVICE_CODE), ("device_code", "x"), ("client_id", "refresher")];
    server.post("/oauth2/v1/token", &form).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn a_client_may_have_its_own_pace_and_lifetime() {
    let server = server().await;
    let settings = countersign_server::flow::clients::ClientSettings {
        code_ttl: Some(std::time::Duration::from_mins(1)),
        interval: Some(std::time::Duration::from_secs(1)),
        ..Default::default()
    };
    server.add_client("quick", None, settings).await;
    let device = server.ask("quick", "openid").await;
    assert_eq!((device.json["expires_in"].as_u64(), device.json["interval"].as_u64()), (Some(60), Some(1)));
    server.poll(&device).await.refused(400, "authorization_pending");
    server.pass(1);
    server.poll(&device).await.refused(400, "authorization_pending");
    server.pass(59);
    server.poll(&device).await.refused(400, "expired_token");
}

#[tokio::test]
async fn what_is_asked_for_is_checked_when_it_is_asked() {
    let server = server().await;
    let ask = async |extra: &[(&str, &str)]| {
        let mut form = vec![("client_id", "tv")];
        form.extend(extra);
        server.post("/oauth2/v1/device_authorization", &form).await
    };
    ask(&[("scope", "openid admin")]).await.refused(400, "invalid_scope");
    ask(&[("scope", "open\"id")]).await.refused(400, "invalid_scope");
    ask(&[("resource", "not a uri")]).await.refused(400, "invalid_target");
    ask(&[("max_age", "soon")]).await.refused(400, "invalid_request");
    ask(&[("nonce", &"n".repeat(513))]).await.refused(400, "invalid_request");
    ask(&[("unknown", "parameter")]).await.ok();
    ask(&[("scope", "")]).await.ok();
}
