//! Who is asking (RFC 6749 §2.3).

use countersign_core::audit::By;
use countersign_core::client::AuthMethod;
use countersign_server::flow::clients::{self, ClientSettings, Proving};
use reqwest::header::AUTHORIZATION;

use crate::support::{Reply, Server, server};

const ASK: &str = "/oauth2/v1/device_authorization";

async fn with_header(server: &Server, header: &str, form: &[(&str, &str)]) -> Reply {
    Reply::of(
        server.http.post(server.url(ASK)).header(AUTHORIZATION, header).form(form).send().await.unwrap(),
    )
    .await
}

async fn basic(server: &Server, id: &str, secret: &str, form: &[(&str, &str)]) -> Reply {
    let request = server.http.post(server.url(ASK)).basic_auth(id, Some(secret)).form(form);
    Reply::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_confidential_client_may_use_basic_or_post() {
    let server = server().await;
    let secret = server.api().await;
    basic(&server, "api", &secret, &[]).await.ok();
    basic(&server, "api", &secret, &[("client_id", "api")]).await.ok();
    server.post(ASK, &[("client_id", "api"), ("client_secret", &secret)]).await.ok();
}

#[tokio::test]
async fn a_wrong_secret_is_401_with_a_challenge_over_http_and_400_in_the_body() {
    let server = server().await;
    server.api().await;
    let refused = basic(&server, "api", "wrong", &[]).await;
    refused.refused(401, "invalid_client");
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    server
        .post(ASK, &[("client_id", "api"), ("client_secret", "wrong")])
        .await
        .refused(400, "invalid_client");
    server.post(ASK, &[("client_id", "api")]).await.refused(400, "invalid_client");
    basic(&server, "nobody", "x", &[]).await.refused(401, "invalid_client");
    with_header(&server, "Bearer abc", &[("client_id", "tv")]).await.refused(401, "invalid_client");
    with_header(&server, "Basic !!!", &[]).await.refused(401, "invalid_client");
    with_header(&server, "Basic", &[]).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn two_ways_at_once_are_an_invalid_request() {
    let server = server().await;
    let secret = server.api().await;
    basic(&server, "api", &secret, &[("client_secret", &secret)]).await.refused(400, "invalid_request");
    basic(&server, "api", &secret, &[("client_assertion", "x")]).await.refused(400, "invalid_request");
    basic(&server, "api", &secret, &[("client_id", "tv")]).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_public_client_is_known_by_its_id_also_with_basic_and_no_secret() {
    let server = server().await;
    server.post(ASK, &[("client_id", "tv")]).await.ok();
    server.post(ASK, &[("client_id", "tv"), ("client_secret", "")]).await.ok();
    basic(&server, "tv", "", &[]).await.ok();
    basic(&server, "tv", "secret", &[]).await.refused(401, "invalid_client");
    server.post(ASK, &[("client_id", "tv"), ("client_secret", "x")]).await.refused(400, "invalid_client");
}

#[tokio::test]
async fn basic_credentials_are_form_encoded() {
    let server = server().await;
    server.add_client("my:tv/app+1", None, ClientSettings::default()).await;
    basic(&server, "my%3Atv%2Fapp%2B1", "", &[]).await.ok();
}

#[tokio::test]
async fn a_client_may_be_held_to_one_way() {
    let server = server().await;
    let name = Some("Only post".to_owned());
    let settings = ClientSettings { name, ..ClientSettings::default() };
    let app = &server.running.app;
    let added = clients::add(
        app,
        &By::COMMAND_LINE,
        "post".parse().unwrap(),
        Proving::Secret(Some(AuthMethod::Post)),
        settings,
        server.now(),
    );
    let secret = added.await.unwrap().unwrap().1.unwrap();
    basic(&server, "post", secret.reveal(), &[]).await.refused(401, "invalid_client");
    server.post(ASK, &[("client_id", "post"), ("client_secret", secret.reveal())]).await.ok();
}

#[tokio::test]
async fn a_rotated_secret_replaces_the_old_one() {
    let server = server().await;
    let old = server.api().await;
    let rotated = clients::rotate_secret(
        &server.running.app,
        &By::COMMAND_LINE,
        &"api".parse().unwrap(),
        std::time::Duration::ZERO,
        None,
        server.now(),
    )
    .await;
    let (_, new) = rotated.unwrap().unwrap();
    basic(&server, "api", &old, &[]).await.refused(401, "invalid_client");
    basic(&server, "api", new.reveal(), &[]).await.ok();
}

#[tokio::test]
async fn an_edit_that_began_before_a_rotation_does_not_bring_the_old_secret_back() {
    let server = server().await;
    let app = &server.running.app;
    let old = server.api().await;
    let id = "api".parse().unwrap();
    let stale = clients::find(app, &id).await.unwrap().unwrap();
    let (_, new) =
        clients::rotate_secret(app, &By::COMMAND_LINE, &id, std::time::Duration::ZERO, None, server.now())
            .await
            .unwrap()
            .unwrap();
    let edit = countersign_server::store::clients::update(&stale).unwrap();
    assert!(!app.store.commit(vec![edit]).await.unwrap().is_done());
    basic(&server, "api", &old, &[]).await.refused(401, "invalid_client");
    basic(&server, "api", new.reveal(), &[]).await.ok();
}

#[tokio::test]
async fn the_command_lines_client_exists_from_the_start_until_it_is_removed() {
    let server = server().await;
    server.post(ASK, &[("client_id", "countersign-cli"), ("scope", "openid")]).await.ok();
    server.office().remove_client("countersign-cli", None).await.unwrap().unwrap();
    let server = server.restart().await;
    server.post(ASK, &[("client_id", "countersign-cli")]).await.refused(400, "invalid_client");
}
