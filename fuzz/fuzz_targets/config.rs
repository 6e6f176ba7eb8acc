//! Configuration: TOML, the environment and flags. An input is a file; lines after `===` are
//! `NAME=VALUE` for the environment, lines after a second one `key=value` for flags. Whatever comes: no
//! panic; what is refused names a key; what is shown reads back to the same, and shows no secret.

#![no_main]

use countersign_server::config::{Config, PublicUrl, SETTINGS, Sources, Value, reference};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Stands in values that are secret, and must not be shown.
const MARKER: &str = "Zk3vQ9xM1pT7wB5nL2cY8dR4";

fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
}

fn check_url(url: &PublicUrl) {
    let again = PublicUrl::parse(url.issuer()).expect("an issuer that is none");
    assert_eq!(again, *url);
    let base = url.base_path();
    assert!(base.is_empty() || (base.starts_with('/') && !base.ends_with('/')), "{base}");
    assert_eq!(url.join("/x"), format!("{}/x", url.issuer()));
    if base.is_empty() {
        assert!(url.is_own_origin(url.issuer()), "{url:?}");
    }
}

fuzz_target!(|text: &str| -> Corpus {
    // Files are not what is tried here, and some of a system never end.
    if text.contains("_file") || text.contains("_FILE") {
        return Corpus::Reject;
    }
    let mut parts = text.splitn(3, "\n===\n");
    let mut sources = Sources::default();
    let read = sources.text(parts.next().unwrap_or_default(), "fuzz.toml");
    if let Err(problem) = &read {
        assert!(!problem.to_string().contains(MARKER), "{problem}");
    }
    sources.environment(pairs(parts.next().unwrap_or_default()));
    for (key, value) in pairs(parts.next().unwrap_or_default()) {
        let list = SETTINGS.iter().any(|setting| setting.key == key && setting.list);
        let value = if list { Value::list(&value) } else { Some(Value::One(value)) };
        value.into_iter().for_each(|value| sources.put(&key, value, "a flag"));
    }
    let shown = sources.shown();
    assert_eq!(shown.len(), SETTINGS.len());
    for (key, value, origin) in &shown {
        let setting = SETTINGS.iter().find(|setting| setting.key == *key).expect("a key of ours");
        let hidden = !setting.secret || value == "(hidden)" || origin == "default";
        assert!(hidden, "{key} is shown");
    }
    match Config::from_sources(&sources) {
        Ok(config) => {
            config.public_url.iter().for_each(check_url);
            check_url(&config.public_url(config.listen));
            // What it reads once, it reads again.
            assert_eq!(format!("{config:?}"), format!("{:?}", Config::from_sources(&sources).unwrap()));
            assert!(!format!("{config:?}").contains(MARKER), "a secret in {config:?}");
        }
        Err(problems) => {
            assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                assert!(!problem.origin.is_empty() && !problem.why.is_empty(), "{problem}");
            }
        }
    }
    if text.len() == 1 {
        assert!(reference().lines().count() > SETTINGS.len());
    }
    Corpus::Keep
});
