//! Which client calls (RFC 6749 §2.3).

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::client::{AuthMethod, Authentication, Client, ClientId};
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;

use super::authorize::PUSH;
use super::error::OAuthError;
use super::question::DEVICE_AUTHORIZATION;
use super::token::TOKEN;
use crate::app::App;
use crate::assertion;
use crate::flow::{clients, once};
use crate::http::{self, Form, decode};

/// What a request says of its client.
struct Presented {
    id: String,
    shown: Shown,
    /// An `Authorization` header was sent, which decides between 400 and 401.
    http: bool,
}

/// What it shows of who it is.
enum Shown {
    Nothing,
    Secret(AuthMethod, Plain),
    Assertion(Plain),
}

pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    now: Timestamp,
) -> Result<Arc<Client>, OAuthError> {
    let presented = presented(headers, form)?;
    let refused = OAuthError::InvalidClient { http: presented.http };
    let Ok(id) = presented.id.parse::<ClientId>() else { return Err(refused) };
    let Some(client) = clients::known(app, &id).await? else { return Err(refused) };
    let proven = match (&client.authentication, &presented.shown) {
        (Authentication::Keys { jwks }, Shown::Assertion(assertion)) => {
            signed(app, &client.id, jwks, assertion, now).await?
        }
        (expected, shown) => proves(expected, shown, now),
    };
    if proven { Ok(client) } else { Err(refused) }
}

fn proves(expected: &Authentication, shown: &Shown, now: Timestamp) -> bool {
    match (expected, shown) {
        (Authentication::Public, Shown::Nothing) => true,
        // oidc-agent and others send Basic with an empty secret.
        (Authentication::Public, Shown::Secret(method, secret)) => {
            *method == AuthMethod::Basic && secret.reveal().is_empty()
        }
        (Authentication::Secret { digest, only, old }, Shown::Secret(method, secret)) => {
            let shown = Digest::of(secret.reveal());
            let before = old.is_some_and(|old| now < old.until && old.digest.matches(&shown));
            only.is_none_or(|only| only == *method) && (digest.matches(&shown) || before)
        }
        (Authentication::Public, Shown::Assertion(_))
        | (Authentication::Secret { .. }, Shown::Nothing | Shown::Assertion(_))
        | (Authentication::Keys { .. }, _) => false,
    }
}

/// Whether a client signed this for us, just now, and for the first time.
async fn signed(
    app: &App,
    client: &ClientId,
    jwks: &str,
    assertion: &Plain,
    now: Timestamp,
) -> Result<bool, OAuthError> {
    // RFC 7523 §3 names the token endpoint; newer profiles want the issuer alone.
    let endpoints = ENDPOINTS.iter().map(|path| app.public_url.join(path));
    let audiences: Vec<String> = endpoints.chain([app.public_url.issuer().to_owned()]).collect();
    match assertion::verify(client, jwks, &audiences, assertion.reveal(), now) {
        Ok(shown) => Ok(once::show(app, &shown).await?),
        Err(why) => {
            tracing::debug!(%client, why, "a client assertion was refused");
            Ok(false)
        }
    }
}

/// Where clients prove who they are.
const ENDPOINTS: [&str; 5] =
    [TOKEN, PUSH, DEVICE_AUTHORIZATION, "/oauth2/v1/introspect", "/oauth2/v1/revoke"];

fn presented(headers: &HeaderMap, form: &Form) -> Result<Presented, OAuthError> {
    let basic = basic(headers)?;
    let in_body = form.one("client_secret");
    if let Some(assertion) = form.one("client_assertion") {
        if basic.is_some() || in_body.is_some() {
            return Err(two_ways());
        }
        if form.one("client_assertion_type") != Some(assertion::TYPE) {
            let why = format!("client_assertion_type must be {}", assertion::TYPE);
            return Err(OAuthError::InvalidRequest(why));
        }
        let id = form.one("client_id").map(str::to_owned).or_else(|| assertion::subject(assertion));
        let id = id.ok_or(OAuthError::InvalidClient { http: false })?;
        return Ok(Presented { id, shown: Shown::Assertion(Plain::new(assertion.to_owned())), http: false });
    }
    match (basic, in_body, form.one("client_id")) {
        (Some(_), Some(_), _) => Err(two_ways()),
        (Some((id, _)), None, Some(other)) if id != other => Err(OAuthError::InvalidRequest(
            "client_id differs from the one in the Authorization header".to_owned(),
        )),
        (Some((id, secret)), None, _) => {
            Ok(Presented { id, shown: Shown::Secret(AuthMethod::Basic, secret), http: true })
        }
        (None, _, None) => Err(OAuthError::InvalidRequest("client_id is missing".to_owned())),
        (None, secret, Some(id)) => {
            let secret = secret.map(|secret| Plain::new(secret.to_owned()));
            let shown = secret.map_or(Shown::Nothing, |secret| Shown::Secret(AuthMethod::Post, secret));
            Ok(Presented { id: id.to_owned(), shown, http: false })
        }
    }
}

pub fn two_ways() -> OAuthError {
    OAuthError::InvalidRequest("use one way of client authentication, not two".to_owned())
}

/// Id and secret of a Basic header, both form-encoded (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Plain)>, OAuthError> {
    let Some(credentials) = credentials(headers)? else { return Ok(None) };
    let refused = || OAuthError::InvalidClient { http: true };
    let (scheme, value) = credentials.split_once(' ').unwrap_or((&credentials, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let bytes = STANDARD.decode(value.trim()).map_err(|_| refused())?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    let (id, secret) = text.split_once(':').ok_or_else(refused)?;
    let id = decode(id).map_err(|_| refused())?;
    let secret = decode(secret).map_err(|_| refused())?;
    Ok(Some((id, Plain::new(secret))))
}

pub fn credentials(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let repeated = |_| OAuthError::InvalidRequest("the Authorization header is repeated".to_owned());
    http::authorization(headers).map_err(repeated)
}
