//! Whose tokens count as a signed-in person at the CLI door: issuers that the configuration names. Their
//! keys are read over the network, kept, and read again when an unknown one is named, but not too often.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{SignIn, Username};
use countersign_core::text::{is_hidden, label};
use countersign_core::time::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::TrustedIssuer;
use crate::jws::{self, ASYMMETRIC};
use crate::notices::mail::is_address;

/// Keys are read again when they are as old as this, so that one that was withdrawn does not count for
/// ever.
const FRESH: Duration = Duration::from_mins(10);
/// However many unknown keys are named, and whether the issuer answers or not.
const BETWEEN_READS: Duration = Duration::from_secs(10);
/// Keys that cannot be read anew still count for so long.
const STALE: Duration = Duration::from_hours(24);
const TIMEOUT: Duration = Duration::from_secs(5);
/// A key set or a discovery document has some kilobytes.
const BYTES: usize = 256 * 1024;
/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// How old a sign-in counts as whose time nobody says: older than anything that is called fresh.
const UNKNOWN: Duration = Duration::from_hours(24);
const LAST_OF_SECOND: Duration = Duration::from_micros(999_999);
/// Every issuer that is trusted.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Issuer>);

/// What a token that verified says.
#[derive(Clone, Debug)]
pub struct Vouched {
    pub issuer: String,
    pub subject: String,
    /// What to call them here, if nobody is called so.
    pub username: Option<Username>,
    /// Unless the issuer says that it was not verified.
    pub email: Option<String>,
    pub name: Option<String>,
    pub sign_in: SignIn,
    /// When it was issued.
    pub said_at: Timestamp,
}

#[derive(Debug)]
pub enum Unverified {
    /// The token is not good; the reason is for the log.
    Bad(String),
    /// There are no keys to hold it against.
    Unreachable(String),
}

#[derive(Debug)]
pub struct Issuer {
    config: TrustedIssuer,
    http: reqwest::Client,
    keys: RwLock<Keys>,
    /// Held by the one who reads the keys.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Keys {
    set: Option<Arc<JwkSet>>,
    /// Unless the configuration says where the keys are.
    discovery: Option<Arc<Discovery>>,
    read_at: Timestamp,
    tried_at: Option<Timestamp>,
}

impl Issuers {
    /// # Errors
    /// What the HTTP client says if it cannot be made.
    pub fn new(trusted: &[TrustedIssuer]) -> Result<Self, String> {
        if trusted.is_empty() {
            return Ok(Self::default());
        }
        let http = http_client()?;
        Ok(Self(trusted.iter().map(|config| Issuer::new(config.clone(), http.clone())).collect()))
    }

    /// The issuer that a token names, if it is a trusted one. Nothing is verified by that.
    pub fn of(&self, token: &str) -> Option<&Issuer> {
        #[derive(Deserialize)]
        struct Named {
            iss: String,
        }
        if self.0.is_empty() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let named: Named = serde_json::from_slice(&bytes).ok()?;
        self.0.iter().find(|issuer| issuer.config.issuer == named.iss)
    }
}

/// What asks issuers: it follows nobody elsewhere, and has little patience.
///
/// # Errors
/// What the HTTP client says if it cannot be made.
pub fn http_client() -> Result<reqwest::Client, String> {
    http_client_with(|builder| builder)
}

/// The same, with something else about it.
///
/// # Errors
/// What the HTTP client says if it cannot be made.
pub fn http_client_with(
    more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, String> {
    more(reqwest::Client::builder())
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

/// What an issuer says of itself (OpenID Connect Discovery §3).
#[derive(Clone, Debug, Deserialize)]
pub struct Discovery {
    issuer: String,
    jwks_uri: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub userinfo_endpoint: Option<String>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// What a token that verified says.
pub type Said = Map<String, Value>;

impl Issuer {
    pub fn new(config: TrustedIssuer, http: reqwest::Client) -> Self {
        Self { config, http, keys: RwLock::default(), reading: tokio::sync::Mutex::default() }
    }

    pub const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Vouched, Unverified> {
        let claims = self.claims(token, now).await?;
        self.vouched(&claims, now)
    }

    /// Where it is asked for what.
    pub async fn discovery(&self, now: Timestamp) -> Result<Arc<Discovery>, Unverified> {
        let known = self.known();
        let fresh = now.since(known.read_at) < FRESH;
        if let Some(discovery) = known.discovery.filter(|_| fresh) {
            return Ok(discovery);
        }
        let read = self.read_anew(now).await;
        let usable = now.since(read.read_at) < STALE;
        let unreachable =
            || Unverified::Unreachable(format!("{}: no discovery document", self.config.issuer));
        read.discovery.filter(|_| usable).ok_or_else(unreachable)
    }

    /// What a token says that this issuer signed for us, and that is good now.
    pub async fn claims(&self, token: &str, now: Timestamp) -> Result<Said, Unverified> {
        let bad = |why: &str| Unverified::Bad(why.to_owned());
        let header = jsonwebtoken::decode_header(token).map_err(|error| bad(&error.to_string()))?;
        // What must be understood and is not (RFC 7515 §4.1.11), and what is signed for another purpose.
        if jws::has_critical(token) || header.typ.as_deref().is_some_and(is_other_type) {
            return Err(bad("it is no token for signing in"));
        }
        if !ASYMMETRIC.contains(&header.alg) {
            return Err(bad("its algorithm is not one that only the issuer can sign with"));
        }
        let key = self.key(header.kid.as_deref(), header.alg, now).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Against our own clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| bad(&error.to_string()))?
            .claims;
        let seconds = |name: &str| seconds(&claims, name);
        let expires_at = seconds("exp")?.ok_or_else(|| bad("it never expires"))?;
        if now >= expires_at + LEEWAY {
            return Err(bad("it has expired"));
        }
        if seconds("nbf")?.is_some_and(|from| now + LEEWAY < from) {
            return Err(bad("it is not valid yet"));
        }
        if seconds("iat")?.is_some_and(|at| at > now + LEEWAY) {
            return Err(bad("it was issued in the future"));
        }
        Ok(claims)
    }

    /// Whom such a token vouches for.
    pub fn vouched(&self, claims: &Said, now: Timestamp) -> Result<Vouched, Unverified> {
        let bad = |why: &str| Unverified::Bad(why.to_owned());
        let said_at = seconds(claims, "iat")?.unwrap_or(now);
        // Somewhen in that second: its end, or a sign-in would seem older than what it was asked for. A token
        // that does not say when is of a session that may have begun long ago.
        let at = match seconds(claims, "auth_time")? {
            Some(at) => at + LAST_OF_SECOND,
            None => said_at - UNKNOWN,
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text(&self.config.subject_claim)
            .filter(|subject| {
                subject.len() <= 255 && !subject.trim().is_empty() && !subject.chars().any(is_hidden)
            })
            .ok_or_else(|| bad("it names no subject"))?;
        let verified = match claims.get("email_verified") {
            Some(Value::String(text)) => text == "true",
            Some(other) => *other == Value::Bool(true),
            None => true,
        };
        let amr = claims.get("amr").and_then(Value::as_array).into_iter().flatten();
        Ok(Vouched {
            issuer: self.config.issuer.clone(),
            subject: subject.to_owned(),
            username: None,
            email: text("email").filter(|email| is_address(email)).filter(|_| verified).map(str::to_owned),
            name: text("name").and_then(label),
            sign_in: SignIn {
                at: at.min(now),
                amr: amr.filter_map(Value::as_str).filter(word).map(str::to_owned).collect(),
            },
            said_at,
        })
    }

    /// The key that a token must be signed with.
    async fn key(
        &self,
        kid: Option<&str>,
        alg: Algorithm,
        now: Timestamp,
    ) -> Result<DecodingKey, Unverified> {
        let known = self.known();
        let fresh = known.set.is_some() && now.since(known.read_at) < FRESH;
        if let Some(jwk) = known.set.as_ref().filter(|_| fresh).and_then(|set| jws::find(set, kid, alg)) {
            return jws::usable(jwk).map_err(Unverified::Bad);
        }
        let keys = self.read_anew(now).await;
        let usable = now.since(keys.read_at) < STALE;
        let Some(set) = keys.set.filter(|_| usable) else {
            return Err(Unverified::Unreachable(format!("{}: no keys", self.config.issuer)));
        };
        jws::find(&set, kid, alg)
            .ok_or_else(|| {
                Unverified::Bad("its key is not published, or is for another algorithm".to_owned())
            })
            .and_then(|jwk| jws::usable(jwk).map_err(Unverified::Bad))
    }

    fn known(&self) -> Keys {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the keys, unless that was tried a moment ago; many at once wait for one who does.
    async fn read_anew(&self, now: Timestamp) -> Keys {
        let _one = self.reading.lock().await;
        let known = self.known();
        let lately = |at: Timestamp| now.since(at).max(at.since(now)) < BETWEEN_READS;
        if known.tried_at.is_some_and(lately) {
            return known;
        }
        let read = self.read().await;
        if let Err(why) = &read {
            tracing::warn!(issuer = self.config.issuer, why, "the keys of a trusted issuer cannot be read");
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.tried_at = Some(now);
        if let Ok((set, discovery)) = read {
            keys.set = Some(Arc::new(set));
            keys.discovery = discovery.map(Arc::new);
            keys.read_at = now;
        }
        keys.clone()
    }

    async fn read(&self) -> Result<(JwkSet, Option<Discovery>), String> {
        #[derive(Deserialize)]
        struct Published {
            keys: Vec<Value>,
        }
        let (url, discovery) = match &self.config.jwks_url {
            Some(url) => (url.clone(), None),
            None => {
                let base = self.config.issuer.trim_end_matches('/');
                let url = format!("{base}/.well-known/openid-configuration");
                let discovery: Discovery = self.get(&url).await?;
                if discovery.issuer != self.config.issuer {
                    return Err(format!("{url} is of another issuer, {}", discovery.issuer));
                }
                if !TrustedIssuer::is_safe(&discovery.jwks_uri) {
                    return Err(format!("{} would be read over plain http", discovery.jwks_uri));
                }
                (discovery.jwks_uri.clone(), Some(discovery))
            }
        };
        let published: Published = self.get(&url).await?;
        // A key of a kind that nobody here knows does not spoil the others.
        let keys = published.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok((JwkSet { keys }, discovery))
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let failed = |error: reqwest::Error| format!("{url}: {error}");
        let response = self.http.get(url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("{url} answered {}", response.status()));
        }
        json(url, response).await
    }
}

/// A body of JSON that is not too long.
pub async fn json<T: DeserializeOwned>(url: &str, mut response: reqwest::Response) -> Result<T, String> {
    let failed = |error: reqwest::Error| format!("{url}: {}", error.without_url());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BYTES {
            return Err(format!("{url} answered more than {BYTES} bytes"));
        }
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("{url}: {error}"))
}

/// Types of JWT that say something else than who somebody is, such as `logout+jwt` (RFC 8725 §3.11).
fn is_other_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    typ.ends_with("+jwt") && typ != "at+jwt"
}

fn seconds(claims: &Said, name: &str) -> Result<Option<Timestamp>, Unverified> {
    let bad = || Unverified::Bad("a time in it is not a number".to_owned());
    claims.get(name).map(|value| jws::number(value).ok_or_else(bad)).transpose()
}

/// `amr` is stored as words.
fn word(text: &&str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_graphic())
}
