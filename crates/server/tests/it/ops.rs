//! The private listener.

use crate::support::{Server, server};

async fn ops(server: &Server, path: &str) -> (u16, String) {
    let response = server.http.get(server.ops(path)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn it_lives_and_is_ready_under_every_name() {
    let server = server().await;
    for prefix in ["", "/admin/v1", "/admin/api/v1"] {
        for path in ["/livez", "/readyz"] {
            assert_eq!(
                ops(&server, &format!("{prefix}{path}")).await,
                (200, "{\"status\":\"ok\"}".to_owned())
            );
        }
    }
    assert_eq!(server.get("/livez").await.status, 404, "the public listener knows nothing of it");
}

#[tokio::test]
async fn it_is_not_ready_without_its_schema_or_keys() {
    let server = server().await;
    server.database().run("UPDATE schema_migration SET version = version + 1000").await;
    assert_eq!(ops(&server, "/readyz").await.0, 503);
    server.database().run("UPDATE schema_migration SET version = version - 1000").await;
    server.database().run("DELETE FROM signing_key").await;
    server.pass(1);
    let (status, text) = ops(&server, "/readyz").await;
    assert!(status == 503 && text.contains("signing keys"), "{text}");
    assert_eq!(ops(&server, "/livez").await.0, 200);
}

#[tokio::test]
async fn metrics_tell_what_became_of_grants() {
    let server = server().await;
    let (one, two, three) =
        (server.ask("tv", "").await, server.ask("tv", "").await, server.ask("tv", "").await);
    let mut browser = server.signed_in("alice").await;
    server.pass(12);
    browser.approve(&one).await;
    browser.deny(&two).await;
    server.poll(&one).await.ok();
    server.pass(1800);
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    countersign_server::sweep::once(&server.running.app, server.now()).await.unwrap();
    server.poll(&three).await.refused(400, "expired_token");
    let (status, text) = ops(&server, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "countersign_grants_total{door=\"oauth\",state=\"asked\"} 3",
        "countersign_grants_total{door=\"oauth\",state=\"opened\"} 2",
        "countersign_grants_total{door=\"oauth\",state=\"approved\"} 1",
        "countersign_grants_total{door=\"oauth\",state=\"denied\"} 1",
        "countersign_grants_total{door=\"oauth\",state=\"redeemed\"} 1",
        "countersign_grants_total{door=\"oauth\",state=\"expired\"} 1",
        "countersign_approval_seconds_sum 12.0",
        "countersign_http_requests_total{method=\"POST\",route=\"/oauth2/v1/token\",status=\"400\"} 1",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

#[tokio::test]
async fn it_serves_tls_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings =
        [("server.tls.cert_file", cert.to_str().unwrap()), ("server.tls.key_file", key.to_str().unwrap())];
    let server = Server::with(&settings).await;
    let issuer = server.running.app.public_url.issuer();
    assert!(issuer.starts_with("https://localhost:"));
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let login = http.get(format!("{issuer}/login")).send().await.unwrap();
    assert_eq!(login.status().as_u16(), 200);
    assert!(login.headers()["set-cookie"].to_str().unwrap().starts_with("__Host-"));
    assert!(login.headers().contains_key("strict-transport-security"));
    assert!(server.http.get(server.url("/login")).send().await.is_err(), "plain http is not answered");
}

#[tokio::test]
async fn no_page_in_a_browser_stops_it() {
    let server = server().await;
    for (name, value) in
        [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "same-origin")]
    {
        let request = server.http.post(server.ops("/shutdown")).header(name, value);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 403, "{name}: {value}");
    }
    assert_eq!(ops(&server, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let server = server().await;
    server.database().break_table("installation", "UPDATE").await;
    assert_eq!(ops(&server, "/readyz").await.0, 503);
    server.database().mend("installation").await;
    assert_eq!(ops(&server, "/readyz").await.0, 200);
}

#[tokio::test]
async fn it_stops_when_asked() {
    let server = server().await;
    let response = server.http.post(server.ops("/shutdown")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 202);
    server.running.stopped().await;
    server.running.shutdown().await;
}
