//! Identity providers of the operator's (OpenID Connect), with which people sign in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_core::secret::Plain;
use countersign_core::text::label;
use serde::Deserialize;

use super::TrustedIssuer;
use super::sources::Reader;

/// One of `[[upstream]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Stands in the redirect URI, `/login/upstream/<id>/callback`.
    pub id: String,
    pub issuer: String,
    pub client_id: String,
    /// Without it the client is a public one.
    #[serde(default)]
    pub client_secret: Option<Plain>,
    #[serde(default)]
    client_secret_file: Option<PathBuf>,
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// What its button says; without it the host of its issuer.
    #[serde(default)]
    pub label: Option<String>,
    #[serde(default)]
    icon_file: Option<PathBuf>,
    #[serde(skip)]
    pub icon: Option<Icon>,
    #[serde(default)]
    pub claims: Claims,
    /// Only people with a verified e-mail address of one of these. Empty: everybody.
    #[serde(default)]
    pub allowed_domains: Vec<String>,
    /// All of them must be met.
    #[serde(default)]
    pub rules: Vec<ClaimRule>,
    /// One of these must be its `acr`. They are asked for, too.
    #[serde(default)]
    pub required_acr: Vec<String>,
    /// All of these must stand in its `amr`.
    #[serde(default)]
    pub required_amr: Vec<String>,
    /// Values of `acr` that stand for two factors, as `mfa` in `amr` does.
    #[serde(default)]
    pub multi_factor_acr: Vec<String>,
}

/// Which claims say what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// The user name here; without it `subject@host`.
    pub username: Option<String>,
    pub email: String,
    pub name: String,
}

impl Default for Claims {
    fn default() -> Self {
        Self { username: None, email: "email".to_owned(), name: "name".to_owned() }
    }
}

/// A claim that must have one of these values, or hold one of them if it is a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRule {
    pub claim: String,
    pub any_of: Vec<String>,
}

/// A picture on a button, served by ourselves.
#[derive(Clone, Debug)]
pub struct Icon {
    pub kind: &'static str,
    pub bytes: Arc<[u8]>,
}

/// An icon has some kilobytes.
const ICON_BYTES: usize = 64 * 1024;

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).into()
}

impl Upstream {
    /// What its ID tokens are held against.
    pub fn trusted(&self) -> TrustedIssuer {
        TrustedIssuer {
            issuer: self.issuer.clone(),
            jwks_url: None,
            audience: self.client_id.clone(),
            subject_claim: "sub".to_owned(),
        }
    }

    fn complete(mut self) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&self.id.len()) || !self.id.bytes().all(fits) {
            return Err("its id has 1 to 32 of a-z, 0-9 and -, because it stands in a URL".to_owned());
        }
        if !TrustedIssuer::is_safe(&self.issuer) {
            return Err("the issuer is no https URL".to_owned());
        }
        if self.client_id.is_empty() {
            return Err("client_id must not be empty".to_owned());
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Err("scopes must hold openid, or it vouches for nobody".to_owned());
        }
        self.client_secret = match (self.client_secret, &self.client_secret_file) {
            (Some(_), Some(_)) => return Err("it has client_secret and client_secret_file".to_owned()),
            (None, Some(file)) => Some(Plain::new(
                std::fs::read_to_string(file)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?
                    .trim_end()
                    .to_owned(),
            )),
            (secret, None) => secret,
        };
        if !self.allowed_domains.is_empty() && self.claims.email != "email" {
            let why =
                "allowed_domains looks at the claim email, which is the one that email_verified speaks of";
            return Err(why.to_owned());
        }
        if let Some(text) = &self.label {
            self.label = Some(label(text).ok_or("its label has 1 to 100 visible characters")?);
        }
        self.icon = self.icon_file.as_deref().map(icon).transpose()?;
        Ok(self)
    }
}

fn icon(file: &Path) -> Result<Icon, String> {
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => return Err("icon_file is an .svg or a .png".to_owned()),
    };
    let bytes = std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if bytes.len() > ICON_BYTES {
        return Err(format!("icon_file has more than {ICON_BYTES} bytes"));
    }
    Ok(Icon { kind, bytes: bytes.into() })
}

/// The providers, and whether people may sign in with a password.
pub(super) fn read(read: &mut Reader<'_>, trusted: &[TrustedIssuer]) -> (Vec<Upstream>, bool) {
    let upstreams = read.identified("upstream", Upstream::complete, |upstream| &upstream.id);
    for upstream in &upstreams {
        let other = trusted.iter().find(|trusted| trusted.issuer == upstream.issuer);
        if other.is_some_and(|trusted| trusted.subject_claim != "sub") {
            let why = "cli.trusted_issuers knows people of this issuer by another claim than sub, so one could be taken for another";
            read.problem("upstream", &format!("{}: {why}", upstream.id));
        }
    }
    let passwords = read.parse("login.passwords", "true or false").unwrap_or(true);
    if !passwords && upstreams.is_empty() {
        let why = "without passwords nobody could sign in for the first time: name an identity provider in [[upstream]]";
        read.problem("login.passwords", why);
    }
    (upstreams, passwords)
}
