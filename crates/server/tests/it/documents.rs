//! What the documents point at is there.

use std::path::Path;

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../../docs/security.md")).unwrap();
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")).collect();
    assert!(named.len() > 25, "{named:?}");
    for (file, test) in named {
        let source = std::fs::read_to_string(root.join(format!("tests/it/{file}.rs"))).unwrap();
        assert!(source.contains(&format!("fn {test}(")), "there is no {file}::{test}");
    }
}

#[test]
fn every_setting_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../../docs/security.md")).unwrap();
    let sections = [
        "approval.",
        "detection.",
        "notices.",
        "login.",
        "rate_limit.",
        "tokens.",
        "device.",
        "cli.",
        "pairing.",
    ];
    for code in text.split('`').skip(1).step_by(2) {
        let key = code.split(' ').next().unwrap();
        if sections.iter().any(|section| key.starts_with(section)) && !key.ends_with(['*', '.']) {
            let known = countersign_server::config::SETTINGS.iter().any(|setting| setting.key == key);
            assert!(known || key == "device.connected" || key == "device.revoked", "there is no {key}");
        }
    }
}
