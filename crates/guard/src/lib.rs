//! Protects an API with Countersign: a request comes through if it brings an access token or an API key
//! that is good, and for enough.
//!
//! ```no_run
//! # async fn example() -> Result<(), countersign_guard::Error> {
//! use axum::routing::get;
//! use axum::{Extension, Router};
//! use countersign_guard::{Guard, Identity};
//!
//! let guard = Guard::new("https://login.example.com", "https://api.example.com")
//!     .introspecting_as("api", std::env::var("API_SECRET").unwrap_or_default());
//! let app: Router = Router::new()
//!     .route("/deploy", get(async |Extension(who): Extension<Identity>| format!("Hello {}", who.subject)))
//!     .layer(guard.layer(["deploy"]));
//! # Ok(())
//! # }
//! ```
//!
//! Access tokens that are JWTs are verified here, with the keys that the server publishes: no call, but a
//! token that was revoked stays good until it expires (an hour, unless the operator says otherwise).
//! [`Guard::asking_always`] changes that. API keys and opaque tokens are asked about, and the answer is
//! kept for [`Guard::keeping_for`]: so long a revoked one may still come through.
//!
//! Where the server cannot be asked, nobody comes through (503).

mod layer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use countersign_client::Error;
use countersign_client::{Introspection, Plain, Provider, Verifier};
pub use layer::{GuardLayer, Guarded};
use serde_json::Value;

/// Keys are read anew when they are as old as this.
const FRESH: Duration = Duration::from_mins(10);
/// And when an unknown one is named, but no more often than this.
const BETWEEN_READS: Duration = Duration::from_secs(10);
/// Keys that cannot be read anew still count for so long.
const STALE: Duration = Duration::from_hours(24);
/// Answers that are kept, at most.
const KEPT: usize = 10_000;
/// A refusal is kept for less time: a key may have been made a moment ago.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// What was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    AccessToken,
    ApiKey,
}

/// Who calls; handlers find it in the request's extensions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identity {
    pub credential: Credential,
    /// The person's id at the server, which never changes.
    pub subject: String,
    /// What the person is called; a JWT does not say.
    pub username: Option<String>,
    /// The client that asked for the credential, if one did.
    pub client_id: Option<String>,
    pub scopes: Vec<String>,
    /// Everything that the token or the server says.
    pub claims: Value,
}

/// Why somebody does not come through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("send an access token or an API key as `Authorization: Bearer …`")]
    Missing,
    #[error("the credential is expired, revoked or not meant for this API")]
    Invalid,
    #[error("the credential lacks the scope {0}")]
    Scope(String),
    #[error("the credential cannot be checked now; try again")]
    Unavailable(#[source] Error),
}

/// Knows one server, and checks what callers present for one API.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Clone)]
struct Options {
    issuer: String,
    audience: String,
    client: Option<(String, Plain)>,
    always_ask: bool,
    keep: Duration,
}

struct Inner {
    options: Options,
    keys: tokio::sync::Mutex<Option<Keys>>,
    /// By the digest of what was asked about.
    answers: Mutex<Answers>,
}

type Answers = HashMap<[u8; 32], Answer>;

/// What the server said, and until when that counts.
#[derive(Clone)]
struct Answer {
    identity: Option<Arc<Identity>>,
    until: Instant,
}

struct Keys {
    provider: Provider,
    verifier: Arc<Verifier>,
    read_at: Instant,
    tried_at: Instant,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("issuer", &self.0.options.issuer)
            .field("audience", &self.0.options.audience)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// For the API called `audience`, which takes what the server with the public URL `issuer` gave.
    ///
    /// Tokens that were asked for without a `resource` are for the server itself; take them by naming
    /// its URL as the audience, too.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let options = Options {
            issuer: issuer.into().trim_end_matches('/').to_owned(),
            audience: audience.into(),
            client: None,
            always_ask: false,
            keep: Duration::from_secs(30),
        };
        Self::with(options)
    }

    fn with(options: Options) -> Self {
        Self(Arc::new(Inner { options, keys: tokio::sync::Mutex::default(), answers: Mutex::default() }))
    }

    fn changed(self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.0.options.clone();
        change(&mut options);
        Self::with(options)
    }

    /// Asks the server about API keys and opaque tokens as this confidential client. Without it they are
    /// refused.
    #[must_use]
    pub fn introspecting_as(self, client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        let client = (client_id.into(), Plain::new(secret.into()));
        self.changed(|options| options.client = Some(client))
    }

    /// Asks about JWTs, too, so that revoking them means now.
    #[must_use]
    pub fn asking_always(self) -> Self {
        self.changed(|options| options.always_ask = true)
    }

    /// How long the server's answers are kept; 30 seconds unless said otherwise.
    #[must_use]
    pub fn keeping_for(self, keep: Duration) -> Self {
        self.changed(|options| options.keep = keep)
    }

    /// A layer that lets those through who have all of these scopes.
    pub fn layer<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> GuardLayer {
        GuardLayer::new(self.clone(), scopes.into_iter().map(Into::into).collect())
    }

    /// Checks the value of an `Authorization` header, for those who need no layer.
    ///
    /// # Errors
    /// [`Refusal`], with what to answer.
    pub async fn check(
        &self,
        authorization: Option<&str>,
        scopes: &[String],
    ) -> Result<Arc<Identity>, Refusal> {
        let (scheme, token) =
            authorization.and_then(|value| value.split_once(' ')).ok_or(Refusal::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(Refusal::Missing);
        }
        let token = Plain::new(token.trim().to_owned());
        let is_jwt = token.reveal().split('.').count() == 3;
        let identity = if is_jwt && !self.0.options.always_ask {
            Arc::new(self.verify(&token).await?)
        } else {
            self.ask(&token).await?
        };
        match scopes.iter().find(|scope| !identity.scopes.contains(scope)) {
            Some(missing) => Err(Refusal::Scope(missing.clone())),
            None => Ok(identity),
        }
    }

    async fn verify(&self, token: &Plain) -> Result<Identity, Refusal> {
        let (_, mut verifier) = self.server(false).await?;
        if !verifier.knows(token) {
            // The server may have a new key.
            verifier = self.server(true).await?.1;
        }
        let claims = verifier.access_token(token, &self.0.options.audience).map_err(|error| {
            tracing::debug!(%error, "an access token was refused");
            Refusal::Invalid
        })?;
        identity(Credential::AccessToken, claims).ok_or(Refusal::Invalid)
    }

    /// The server, and its keys as of a moment ago; `anew` if there should be others.
    async fn server(&self, anew: bool) -> Result<(Provider, Arc<Verifier>), Refusal> {
        let mut keys = self.0.keys.lock().await;
        let Some(known) = keys.as_mut() else {
            let provider = Provider::discover(&self.0.options.issuer).await.map_err(Refusal::Unavailable)?;
            let verifier = Arc::new(provider.verifier().await.map_err(Refusal::Unavailable)?);
            let (read_at, tried_at) = (now(), now());
            *keys = Some(Keys { provider: provider.clone(), verifier: verifier.clone(), read_at, tried_at });
            return Ok((provider, verifier));
        };
        let due = anew || known.read_at.elapsed() >= FRESH;
        if due && known.tried_at.elapsed() >= BETWEEN_READS {
            known.tried_at = now();
            match known.provider.verifier().await {
                Ok(verifier) => {
                    known.verifier = Arc::new(verifier);
                    known.read_at = now();
                }
                // Who can be verified without the server is not turned away because it is away.
                Err(error) if known.read_at.elapsed() < STALE => {
                    tracing::warn!(%error, "the keys cannot be read anew");
                }
                Err(error) => return Err(Refusal::Unavailable(error)),
            }
        }
        Ok((known.provider.clone(), known.verifier.clone()))
    }

    /// Asks the server about a token, unless it was asked a moment ago.
    async fn ask(&self, token: &Plain) -> Result<Arc<Identity>, Refusal> {
        let Some((client_id, secret)) = &self.0.options.client else { return Err(Refusal::Invalid) };
        let digest = *token.digest().as_bytes();
        let known = self.answers().get(&digest).filter(|answer| now() < answer.until).cloned();
        if let Some(answer) = known {
            return answer.identity.ok_or(Refusal::Invalid);
        }
        let (provider, _) = self.server(false).await?;
        let found = provider.introspect(client_id, secret, token).await.map_err(Refusal::Unavailable)?;
        let identity = self.introspected(found).map(Arc::new);
        let keep =
            if identity.is_some() { self.0.options.keep } else { REFUSED_FOR.min(self.0.options.keep) };
        let mut answers = self.answers();
        if answers.len() >= KEPT {
            answers.retain(|_, answer| now() < answer.until);
        }
        if answers.len() < KEPT {
            answers.insert(digest, Answer { identity: identity.clone(), until: now() + keep });
        }
        identity.ok_or(Refusal::Invalid)
    }

    fn introspected(&self, found: Introspection) -> Option<Identity> {
        let claims = found.active_claims()?;
        let kind = claims.get("token_type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "api_key" => identity(Credential::ApiKey, claims),
            kind if kind.eq_ignore_ascii_case("bearer") => {
                let wanted = Value::from(self.0.options.audience.as_str());
                let ours = match claims.get("aud") {
                    Some(Value::Array(all)) => all.contains(&wanted),
                    Some(one) => *one == wanted,
                    None => false,
                };
                identity(Credential::AccessToken, claims).filter(|_| ours)
            }
            // A refresh token is no credential for an API.
            _ => None,
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None for what is bound to a key, too: whoever presents it as a bearer has not shown that they have it.
fn identity(credential: Credential, claims: Value) -> Option<Identity> {
    if claims.get("cnf").is_some() {
        return None;
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Identity {
        credential,
        subject: text("sub")?,
        username: text("username"),
        client_id: text("client_id"),
        scopes: text("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        claims,
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place where this crate reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_to_a_key_is_no_bearer_token() {
        let claims = |more: &str| serde_json::from_str(&format!(r#"{{"sub":"x"{more}}}"#)).unwrap();
        assert!(identity(Credential::AccessToken, claims("")).is_some());
        assert!(identity(Credential::AccessToken, claims(r#","cnf":{"jkt":"y"}"#)).is_none());
    }
}
