//! Device tokens from aisopod-gateway, and back.

use std::path::Path;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;

use crate::process::{Server, add_user, failure, json, run, stdout};

const PHONE: &str = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001";
const LAPTOP: &str = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c002";
const OLD: &str = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c003";
const TOKEN: &str = "Zm9yZWlnbi10b2tlbi1vZi1hLXBob25l";

fn entry(device: &str, hash: &str, scopes: &str, more: &str) -> String {
    format!(
        "[{device}]\ntoken_hash = \"{hash}\"\ndevice_name = \"Ada's phone\"\ndevice_id = \"{device}\"\n\
         scopes = {scopes}\ncreated_at = \"2026-02-26T10:00:00.123Z\"\n{more}\n"
    )
}

fn file(folder: &Path) -> String {
    let hash =
        Argon2::default().hash_password_with_salt(TOKEN.as_bytes(), b"0123456789abcdef").unwrap().to_string();
    let text = [
        entry(PHONE, &hash, "[\"operator_read\"]", "last_used = \"2026-02-27T10:00:00Z\"\nrevoked = false"),
        entry(LAPTOP, "$argon2i$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "[]", ""),
        entry(OLD, &hash, "[\"operator.read\", \"operator_pairing\"]", "revoked = true"),
        entry("not-a-uuid", &hash, "[]", ""),
    ]
    .concat();
    std::fs::write(folder.join("tokens.toml"), &text).unwrap();
    hash
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imported_devices_go_on_working_and_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let hash = file(folder.path());
    let operator = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data"], args].concat());
    let import = ["import", "aisopod", "tokens.toml", "--owner", "alice"];
    let (code, error) = failure(&operator(&["import", "aisopod", "tokens.toml", "--owner", "nobody"]));
    assert!(code == Some(1) && error.contains("no user `nobody`"), "{error}");
    let said = stdout(&operator(&[&import[..], &["--dry-run"]].concat()));
    assert!(said.contains("2 would be imported, 0 known, 2 skipped."), "{said}");
    assert_eq!(json(&operator(&["device", "list", "--json"])), serde_json::json!([]));
    let said = stdout(&operator(&import));
    assert!(said.contains(&format!("{LAPTOP}  skipped: token_hash is not of argon2id")), "{said}");
    assert!(said.contains("not-a-uuid  skipped: device_id is no UUID"), "{said}");
    assert!(said.contains("2 imported, 0 known, 2 skipped."), "{said}");
    assert!(stdout(&operator(&import)).contains("0 imported, 2 known, 2 skipped."), "once is enough");

    let me = async |token: &str, device: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("{}/v1/auth/me", server.url)).bearer_auth(token);
        if let Some(device) = device {
            request = request.header("x-aisopod-device-id", device);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(me(TOKEN, None).await, 401, "not tried without the device's name");
    assert_eq!(me(TOKEN, Some(OLD)).await, 401, "revoked there is revoked here");
    assert_eq!(me("Zm9yZWlnbi10b2tlbi1vZi1hLXBob25m", Some(PHONE)).await, 401);
    assert_eq!(me(TOKEN, Some(PHONE)).await, 200);
    assert_eq!(me(TOKEN, None).await, 200, "after its first use the digest serves");
    let listed = json(&operator(&["device", "list", "--json"]));
    let phone = listed.as_array().unwrap().iter().find(|device| device["status"] == "active").unwrap();
    assert_eq!(
        (&phone["door"], &phone["user"], &phone["scopes"]),
        (&"socket".into(), &"alice".into(), &serde_json::json!(["operator.read"]))
    );

    let exported: toml::Table = stdout(&operator(&["export", "aisopod"])).parse().unwrap();
    assert_eq!(exported.len(), 2);
    assert_eq!(exported[PHONE]["token_hash"].as_str(), Some(hash.as_str()));
    assert_eq!(
        (exported[OLD]["revoked"].as_bool(), exported[PHONE]["revoked"].as_bool()),
        (Some(true), Some(false))
    );
    stdout(&operator(&["export", "aisopod", "--output", "out.toml"]));
    assert_eq!(
        failure(&operator(&["export", "aisopod", "--output", "out.toml"])).0,
        Some(1),
        "nothing is overwritten"
    );
    let id = phone["id"].as_str().unwrap();
    stdout(&operator(&["device", "revoke", id]));
    assert_eq!((me(TOKEN, None).await, me(TOKEN, Some(PHONE)).await), (401, 401));
}
