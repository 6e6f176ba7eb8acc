//! Countries and network operators, and what the policy makes of them; one policy for all, another for
//! single clients.

use std::path::Path;

use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::json;

use crate::policy::{PROXY, elsewhere};
use crate::support::{Device, Server, text};

/// A file in which 203.0.113.0/24 is in Brazil, 198.51.100.0/24 in Norway with the operator of 127.0.0.0/8.
fn geoip(folder: &Path) -> String {
    #[derive(serde::Serialize)]
    struct Record {
        country: serde_json::Value,
        autonomous_system_number: u32,
    }
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V4;
    database.metadata.binary_format_major_version = 2;
    "Test".clone_into(&mut database.metadata.database_type);
    database.metadata.build_epoch = 1;
    database.metadata.description.insert("en".to_owned(), "Places of tests".to_owned());
    let country = |code: &str, english: &str, german: &str, asn: u32| Record {
        country: json!({ "iso_code": code, "names": { "en": english, "de": german } }),
        autonomous_system_number: asn,
    };
    for (network, record) in [
        ("203.0.113.0/24", country("BR", "Brazil", "Brasilien", 64_500)),
        ("198.51.100.0/24", country("NO", "Norway", "Norwegen", 64_501)),
        ("127.0.0.0/8", country("NO", "Norway", "Norwegen", 64_501)),
    ] {
        let record = database.insert_value(record).unwrap();
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), record);
    }
    let path = folder.join("places.mmdb");
    database.write_to(std::fs::File::create(&path).unwrap()).unwrap();
    path.display().to_string()
}

async fn ask_from(server: &Server, address: &str, client: &str) -> reqwest::Response {
    let request = server.http.post(server.url("/oauth2/v1/device_authorization"));
    request.form(&[("client_id", client)]).header("x-forwarded-for", address).send().await.unwrap()
}

#[tokio::test]
async fn people_are_told_from_which_country_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = geoip(folder.path());
    let server = Server::with(&[PROXY, ("approval.geoip_file", &file)]).await;
    let mut browser = server.signed_in("alice").await;
    let far = elsewhere(&server).await;
    browser.enter(&far.user_code).await;
    browser.expect(200, "This was asked for from Brazil, and you are in Norway.");
    browser.expect(200, "203.0.113.7 · Brazil");
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(200, "Device connected");
    let said = "audit WHERE action = 'grant.approved' AND detail = 'asked for from BR, approved from NO'";
    assert_eq!(server.count(said).await, 1);
    server.poll(&far).await.ok();
    browser.get("/account").await;
    browser.expect(200, "203.0.113.7 · Brazil");
    // Another network of the same operator in the same country is the same place.
    let near: serde_json::Value = ask_from(&server, "198.51.100.9", "tv").await.json().await.unwrap();
    browser.enter(text(&near, "user_code")).await;
    browser.expect(200, "198.51.100.9 · Norway");
    assert!(!browser.page.contains("another network"), "{}", browser.page);
}

#[tokio::test]
async fn a_file_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.mmdb");
    std::fs::write(&path, "GeoLite2, but not really").unwrap();
    let error = countersign_server_error(&path).await;
    assert!(error.contains("approval.geoip_file") && error.contains("places.mmdb"), "{error}");
}

async fn countersign_server_error(file: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = countersign_server::config::Sources::default();
    let one = |text: &str| countersign_server::config::Value::One(text.to_owned());
    sources.put("data_dir", one(&folder.path().display().to_string()), "test");
    for key in ["server.listen", "ops.listen"] {
        sources.put(key, one("127.0.0.1:0"), "test");
    }
    sources.put("approval.geoip_file", one(&file.display().to_string()), "test");
    let config = countersign_server::config::Config::from_sources(&sources).unwrap();
    let clock = countersign_server::world::Clock::System;
    let entropy = countersign_server::world::Entropy::Os;
    countersign_server::serve::start(config, clock, entropy).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_client_has_its_own_policy() {
    let server = Server::with(&[PROXY, ("approval.max_age", "1h")]).await;
    server
        .add_client_with(
            "strict",
            r#"
            max_age = "1m"
            mismatch = "deny"
            complete_uri = false
            code_ttl = "2m"
            scope_cap = ["openid"]
            allowed_requester_cidrs = ["127.0.0.1", "203.0.113.0/24"]
            "#,
        )
        .await;
    let mut browser = server.signed_in("alice").await;
    let device = server.ask("strict", "openid profile").await;
    assert_eq!(device.json["expires_in"], json!(120));
    assert!(device.json.get("verification_uri_complete").is_none(), "{}", device.json);
    let narrowed = "audit WHERE action = 'grant.narrowed' AND detail = 'approval.scope_cap'";
    assert_eq!(server.count(narrowed).await, 1);
    // A link that somebody made by hand does not do.
    browser.get(&format!("/device?user_code={}", device.user_code)).await;
    browser.submit("user_code", &[("user_code", &device.user_code)]).await;
    browser.expect(200, "For this device, links do not work");
    assert!(!browser.page.contains(&device.user_code), "{}", browser.page);
    browser.approve(&device).await;
    assert_eq!(server.poll(&device).await.ok()["scope"], json!("openid"));
    // Elsewhere.
    let answer = ask_from(&server, "192.0.2.1", "strict").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(ask_from(&server, "192.0.2.1", "tv").await.status(), 200);
    let far: serde_json::Value = ask_from(&server, "203.0.113.7", "strict").await.json().await.unwrap();
    browser.enter(text(&far, "user_code")).await;
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(409, "Nothing was connected");
    // Its sign-ins grow old sooner.
    server.pass(61);
    let (near, usual) = (server.ask("strict", "openid").await, server.ask("tv", "openid").await);
    browser.enter(&near.user_code).await;
    browser.expect(200, "Please sign in again");
    let stepped = "audit WHERE action = 'grant.stepped_up' AND detail = 'approval.max_age'";
    assert_eq!(server.count(stepped).await, 1);
    browser.approve(&usual).await;
}

#[tokio::test]
async fn a_client_may_demand_two_factors() {
    let server = Server::with(&[]).await;
    server.add_client_with("vault", "acr = \"multi-factor\"").await;
    let mut browser = server.signed_in("alice").await;
    let device = server.ask("vault", "openid").await;
    browser.enter(&device.user_code).await;
    browser.expect(200, "Set up an authenticator app");
    // The API knows no way around it.
    let key = server.ask_key(json!({ "client_id": "vault" })).await;
    browser.get("/account").await;
    let body = json!({ "user_code": key.user_code });
    let refused = browser.v1(reqwest::Method::POST, "/v1/auth/device/authorize", Some(body)).await;
    refused.refused(403, "insufficient_user_authentication");
    let usual = server.ask("tv", "openid").await;
    browser.approve(&usual).await;
    server.poll(&device).await.refused(400, "authorization_pending");
}

#[tokio::test]
async fn nobody_gets_more_than_the_cap() {
    let server = Server::with(&[("approval.scope_cap", "list:openid,devices")]).await;
    let device: Device = server.ask("tv", "openid profile email").await;
    let mut browser = server.signed_in("alice").await;
    browser.enter(&device.user_code).await;
    assert!(!browser.page.contains("see your e-mail address"), "{}", browser.page);
    browser.approve(&server.ask("tv", "openid").await).await;
    browser.approve(&device).await;
    assert_eq!(server.poll(&device).await.ok()["scope"], json!("openid"));
    let key = server.ask_key(json!({ "scopes": ["devices", "deploy"] })).await;
    browser.approve(&key).await;
    let got = server.poll_key(&key).await.ok();
    let key = text(&got, "api_key");
    let me = server.v1(reqwest::Method::GET, "/v1/auth/me", Some(key), None).await.ok();
    assert_eq!(me["credential"]["scopes"], json!(["devices"]), "{me}");
    browser.get("/account").await;
    let body = json!({ "name": "ci", "scopes": ["deploy"] });
    let made = browser.v1(reqwest::Method::POST, "/v1/auth/api-keys", Some(body)).await;
    assert_eq!(made.json["key_info"]["scopes"], json!([]), "{}", made.json);
}
