//! Settings of the CLI door.

use std::time::Duration;

use countersign_core::code::REVERSE_LENGTH;
use countersign_core::key::KeyPrefix;
use serde::Deserialize;
use url::Url;

use super::public_url::is_loopback;
use super::sources::Reader;

#[derive(Clone, Debug)]
pub struct Cli {
    pub code_ttl: Duration,
    pub interval: Duration,
    pub key_ttl: Duration,
    pub key_prefix: KeyPrefix,
    /// Where people are sent to, if not to our own page.
    pub verification_url: Option<String>,
    pub trusted_issuers: Vec<TrustedIssuer>,
    pub reverse_code_length: usize,
}

/// Whose JWTs count as a signed-in person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// `iss`, to the letter.
    pub issuer: String,
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// What `aud` must hold.
    pub audience: String,
    #[serde(default = "sub")]
    pub subject_claim: String,
}

fn sub() -> String {
    "sub".to_owned()
}

impl TrustedIssuer {
    /// Whether keys may be read from there: whoever can change them on the way is anybody they like.
    pub fn is_safe(url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_loopback(&url),
            _ => false,
        })
    }

    fn wrong(&self) -> Option<&'static str> {
        if !Self::is_safe(&self.issuer) {
            return Some("the issuer is no https URL");
        }
        if self.jwks_url.as_ref().is_some_and(|url| !Self::is_safe(url)) {
            return Some("jwks_url is no https URL");
        }
        (self.audience.is_empty() || self.subject_claim.is_empty())
            .then_some("audience and subject_claim must not be empty: without an audience every token of this issuer would do")
    }
}

impl Cli {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let length = read.count("cli.reverse_code_length") as usize;
        if !REVERSE_LENGTH.contains(&length) {
            read.problem("cli.reverse_code_length", "expected a number from 6 to 12");
        }
        let verification_url = read.optional("cli.verification_url");
        let web = |url: &String| {
            Url::parse(url).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
            })
        };
        if verification_url.as_ref().is_some_and(|url| !web(url)) {
            read.problem("cli.verification_url", "expected an http or https URL without query and fragment");
        }
        let key_prefix = match read.text("cli.key_prefix").parse() {
            Ok(prefix) => Some(prefix),
            Err(bad) => {
                let bad: countersign_core::key::BadKeyPrefix = bad;
                read.problem("cli.key_prefix", &bad.to_string());
                None
            }
        };
        let trusted_issuers: Vec<TrustedIssuer> = read.tables("cli.trusted_issuers");
        for (at, trusted) in trusted_issuers.iter().enumerate() {
            if let Some(why) = trusted.wrong() {
                read.problem("cli.trusted_issuers", &format!("{}: {why}", trusted.issuer));
            }
            if trusted_issuers.iter().take(at).any(|other| other.issuer == trusted.issuer) {
                read.problem("cli.trusted_issuers", &format!("{} stands there twice", trusted.issuer));
            }
        }
        Self {
            code_ttl: read.seconds("cli.code_ttl", 1..=86_400),
            interval: read.seconds("cli.interval", 1..=300),
            key_ttl: read.seconds("cli.key_ttl", 1..=86_400 * 3_660),
            key_prefix: key_prefix.unwrap_or_else(KeyPrefix::usual),
            verification_url,
            trusted_issuers,
            reverse_code_length: length,
        }
    }
}
