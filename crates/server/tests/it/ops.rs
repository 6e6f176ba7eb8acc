//! The private listener.

use crate::notices::HOOK;
use crate::support::{Database, Server, server};

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
        "countersign_http_request_seconds_count{method=\"POST\",route=\"/oauth2/v1/token\"} 2",
        "countersign_http_requests_total{method=\"POST\",route=\"/oauth2/v1/token\",status=\"400\"} 1",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

/// The value of one series, as it is exported.
#[track_caller]
fn value(text: &str, series: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).to_owned()
}

#[tokio::test]
async fn series_exist_before_anything_happens() {
    let server = server().await;
    let (_, text) = ops(&server, "/metrics").await;
    let version = env!("CARGO_PKG_VERSION");
    for series in [
        "countersign_refused_by_limit_total{limit=\"registrations\"}",
        "countersign_refused_by_policy_total{setting=\"scope_cap\"}",
        "countersign_suspicions_total{kind=\"code_of_others\"}",
        "countersign_notices_total{kind=\"mail\",outcome=\"failed\"}",
        "countersign_pairings_refused_total{reason=\"unknown_code\"}",
    ] {
        assert_eq!(value(&text, series), "0", "{series}");
    }
    assert_eq!(value(&text, &format!("countersign_build_info{{version=\"{version}\"}}")), "1");
    assert_eq!(value(&text, "countersign_start_time_seconds"), "1800000000.0");
    assert_eq!(value(&text, "countersign_ready"), "1.0");
    let engine = if matches!(server.database(), Database::Sqlite(_)) { "sqlite" } else { "postgres" };
    for kind in ["read", "write", "commit"] {
        let series = format!("countersign_store_seconds_count{{store=\"{engine}\",kind=\"{kind}\"}}");
        assert!(value(&text, &series).parse::<u64>().unwrap() > 0, "{series}");
    }
    assert!(value(&text, "countersign_store_pool_size").parse::<u64>().unwrap() > 0);
    assert_eq!(value(&text, "countersign_store_pool_waiting"), "0");
}

#[tokio::test]
async fn gauges_tell_how_things_stand_on_all_nodes() {
    let server = Server::with(&[HOOK]).await;
    let gauge = async |series: &str| value(&ops(&server, "/metrics").await.1, series);
    assert_eq!(gauge("countersign_grants_live{door=\"oauth\"}").await, "0.0");
    server.login("tv", "openid").await;
    server.ask("tv", "").await;
    server.key().await;
    let kept = "what was just read is not read again";
    assert_eq!(gauge("countersign_devices_active{door=\"oauth\"}").await, "0.0", "{kept}");
    server.pass(5);
    assert_eq!(gauge("countersign_devices_active{door=\"oauth\"}").await, "1.0");
    assert_eq!(gauge("countersign_devices_active{door=\"cli\"}").await, "1.0");
    assert_eq!(gauge("countersign_devices_active{door=\"socket\"}").await, "0.0");
    assert_eq!(gauge("countersign_grants_live{door=\"oauth\"}").await, "1.0", "what was decided is not live");
    assert_eq!(gauge("countersign_sessions_open").await, "2.0");
    assert_eq!(gauge("countersign_notices_waiting").await, "2.0");
    server
        .database()
        .run("UPDATE outbox SET failed_at = 1 WHERE id IN (SELECT id FROM outbox LIMIT 1)")
        .await;
    server.pass(5);
    assert_eq!(gauge("countersign_notices_waiting").await, "1.0");
    assert_eq!(gauge("countersign_notices_dead").await, "1.0");
    server.pass(1800);
    assert_eq!(gauge("countersign_grants_live{door=\"oauth\"}").await, "0.0", "its time is over");
}

#[tokio::test]
async fn without_its_database_a_scrape_says_what_is_known() {
    let server = server().await;
    server.database().run("ALTER TABLE outbox RENAME TO elsewhere").await;
    server.database().break_table("installation", "UPDATE").await;
    let (status, text) = ops(&server, "/metrics").await;
    assert_eq!(status, 200);
    assert_eq!(value(&text, "countersign_ready"), "0.0");
    assert_eq!(value(&text, "countersign_notices_dead"), "NaN");
    assert_eq!(value(&text, "countersign_grants_total{door=\"oauth\",state=\"asked\"}"), "0");
    server.database().run("ALTER TABLE elsewhere RENAME TO outbox").await;
    server.database().mend("installation").await;
    server.pass(5);
    let (_, text) = ops(&server, "/metrics").await;
    assert_eq!(value(&text, "countersign_ready"), "1.0");
    assert_eq!(value(&text, "countersign_notices_dead"), "0.0");
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
    // A renewed one is read without a restart; one that cannot be used changes nothing.
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let renewed = || {
        reqwest::Client::builder()
            .tls_certs_only([root.clone()])
            .build()
            .unwrap()
            .get(format!("{issuer}/login"))
    };
    assert!(renewed().send().await.is_err());
    std::fs::write(&cert, made.cert.pem()).unwrap();
    server.running.reload();
    assert!(renewed().send().await.is_err(), "the key is another's");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    server.running.reload();
    assert_eq!(renewed().send().await.unwrap().status().as_u16(), 200);
    std::fs::write(&cert, "junk").unwrap();
    server.running.reload();
    assert_eq!(renewed().send().await.unwrap().status().as_u16(), 200);
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

/// DNS rebinding: a page's own name leads to this machine since a moment ago.
#[tokio::test]
async fn it_answers_to_no_name_that_it_does_not_have() {
    let server = server().await;
    for (host, status) in [
        ("evil.example", 403),
        ("127.0.0.1.evil.example:9628", 403),
        ("evil.example.", 403),
        ("a b", 403),
        ("localhost", 200),
        ("LOCALHOST:9628", 200),
        ("127.0.0.1:9628", 200),
        ("[::1]:9628", 200),
        ("[::ffff:127.0.0.1]:9628", 200),
        ("countersign", 200),
    ] {
        let request = server.http.get(server.ops("/metrics")).header("host", host);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{host}");
    }
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
