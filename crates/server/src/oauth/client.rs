//! Who calls: client authentication (RFC 6749 §2.3) and bearer tokens (RFC 6750 §2.1).

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::client::{AuthMethod, Authentication, Client, ClientId};
use countersign_core::secret::{Digest, Plain};

use super::error::OAuthError;
use crate::app::App;
use crate::flow::clients;
use crate::http::{self, Form, decode};

/// What a request says of its client.
struct Presented {
    id: String,
    secret: Option<(AuthMethod, Plain)>,
    /// An `Authorization` header was sent, which decides between 400 and 401.
    http: bool,
}

pub async fn authenticate(app: &App, headers: &HeaderMap, form: &Form) -> Result<Arc<Client>, OAuthError> {
    let presented = presented(headers, form)?;
    let refused = OAuthError::InvalidClient { http: presented.http };
    let Ok(id) = presented.id.parse::<ClientId>() else { return Err(refused) };
    let Some(client) = clients::known(app, &id).await? else { return Err(refused) };
    if proves(&client.authentication, presented.secret.as_ref()) { Ok(client) } else { Err(refused) }
}

fn proves(expected: &Authentication, secret: Option<&(AuthMethod, Plain)>) -> bool {
    match (expected, secret) {
        (Authentication::Public, None) => true,
        // oidc-agent and others send Basic with an empty secret.
        (Authentication::Public, Some((method, secret))) => {
            *method == AuthMethod::Basic && secret.reveal().is_empty()
        }
        (Authentication::Secret { .. }, None) => false,
        (Authentication::Secret { digest, only }, Some((method, secret))) => {
            only.is_none_or(|only| only == *method) && digest.matches(&Digest::of(secret.reveal()))
        }
    }
}

fn presented(headers: &HeaderMap, form: &Form) -> Result<Presented, OAuthError> {
    let basic = basic(headers)?;
    let in_body = form.one("client_secret");
    if form.one("client_assertion").is_some() {
        return if basic.is_some() || in_body.is_some() {
            Err(two_ways())
        } else {
            // Not offered in the discovery document.
            Err(OAuthError::InvalidClient { http: false })
        };
    }
    match (basic, in_body, form.one("client_id")) {
        (Some(_), Some(_), _) => Err(two_ways()),
        (Some((id, _)), None, Some(other)) if id != other => Err(OAuthError::InvalidRequest(
            "client_id differs from the one in the Authorization header".to_owned(),
        )),
        (Some((id, secret)), None, _) => {
            Ok(Presented { id, secret: Some((AuthMethod::Basic, secret)), http: true })
        }
        (None, _, None) => Err(OAuthError::InvalidRequest("client_id is missing".to_owned())),
        (None, secret, Some(id)) => Ok(Presented {
            id: id.to_owned(),
            secret: secret.map(|secret| (AuthMethod::Post, Plain::new(secret.to_owned()))),
            http: false,
        }),
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

fn credentials(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let repeated = |_| OAuthError::InvalidRequest("the Authorization header is repeated".to_owned());
    http::authorization(headers).map_err(repeated)
}

/// The bearer token of a request, if it sent one.
pub fn bearer(headers: &HeaderMap) -> Result<Option<Plain>, OAuthError> {
    Ok(credentials(headers)?.and_then(|credentials| http::bearer(&credentials)))
}
