//! Clients that register themselves (RFC 7591) and change themselves (RFC 7592), where the operator
//! gave out a token for that.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use countersign_core::client::{Authentication, Client};
use countersign_core::secret::Plain;
use serde_json::{Value, json};

use super::error::OAuthError;
use super::{Outcome, client, no_store};
use crate::app::App;
use crate::flow::clients::ClientRefusal;
use crate::flow::register::{self, Metadata, Registering};
use crate::http::{self, BadForm, PathId};

pub const REGISTER: &str = "/oauth2/v1/register";

/// The token that a request brings along.
fn token(app: &App, parts: &Parts) -> Result<Plain, OAuthError> {
    if app.config.registration.is_none() {
        return Err(OAuthError::Missing);
    }
    let credentials = client::credentials(&parts.headers)?.ok_or(OAuthError::NoToken)?;
    http::credential(&credentials, http::BEARER).ok_or(OAuthError::NoToken)
}

async fn metadata(request: Request) -> Result<(Parts, Result<Metadata, OAuthError>), OAuthError> {
    let (parts, bytes) = http::bytes(request).await;
    let bytes = bytes.map_err(OAuthError::Body)?;
    let json = http::content_type(&parts.headers);
    if json.is_none_or(|essence| !essence.eq_ignore_ascii_case("application/json")) {
        return Err(OAuthError::Body(BadForm::ContentType("application/json")));
    }
    let read = serde_json::from_slice(&bytes);
    Ok((parts, read.map_err(|error| OAuthError::InvalidMetadata(format!("the body does not fit: {error}")))))
}

fn refused(refusal: ClientRefusal) -> OAuthError {
    match refusal {
        ClientRefusal::RedirectUri(_) | ClientRefusal::NoRedirectUri => {
            OAuthError::InvalidRedirectUri(refusal.to_string())
        }
        other => OAuthError::InvalidMetadata(other.to_string()),
    }
}

pub async fn register(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, metadata) = metadata(request).await?;
    let now = app.clock.now();
    let token = token(&app, &parts)?;
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let done = match register::add(&app, &token, metadata, &from, address, now).await? {
        Registering::Stranger => return Err(OAuthError::InvalidToken),
        Registering::TooMany(wait) => return Err(OAuthError::TooManyCodes(wait)),
        Registering::Bad(error) => return Err(*error),
        Registering::Refused(refusal) => return Err(refused(refusal)),
        Registering::Done(done) => done,
    };
    let body = shown(&app, &done.client, done.secret.as_ref(), Some(&done.token));
    Ok(no_store((StatusCode::CREATED, Json(body))))
}

/// The client that this token is of, if it is the one that the path names.
async fn own(app: &App, parts: &Parts, id: &str) -> Result<Client, OAuthError> {
    let token = token(app, parts)?;
    register::own(app, id, &token).await?.ok_or(OAuthError::InvalidToken)
}

pub async fn look(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Outcome {
    let client = own(&app, &parts, &id).await?;
    Ok(no_store(Json(shown(&app, &client, None, Some(&token(&app, &parts)?)))))
}

pub async fn change(State(app): State<Arc<App>>, PathId(id): PathId, request: Request) -> Outcome {
    let (parts, metadata) = metadata(request).await?;
    let now = app.clock.now();
    let token = token(&app, &parts)?;
    let client = register::own(&app, &id, &token).await?.ok_or(OAuthError::InvalidToken)?;
    let metadata = metadata?;
    if metadata.client_id.as_deref() != Some(client.id.as_str()) {
        return Err(OAuthError::InvalidMetadata("client_id must be the client's own".to_owned()));
    }
    let from = http::origin(&parts);
    let changed = register::change(&app, client, &token, metadata, &from, now).await?;
    let changed = changed.ok_or(OAuthError::InvalidToken)?.map_err(refused)?;
    Ok(no_store(Json(shown(&app, &changed, None, Some(&token)))))
}

pub async fn unregister(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let client = own(&app, &parts, &id).await?;
    register::remove(&app, &client, &http::origin(&parts), now).await?;
    let response: Response = StatusCode::NO_CONTENT.into_response();
    Ok(no_store(response))
}

/// RFC 7591 §3.2.1.
fn shown(app: &App, client: &Client, secret: Option<&Plain>, token: Option<&Plain>) -> Value {
    let grants: Vec<&str> = client.grants.iter().map(|grant| grant.name()).collect();
    let method = client.authentication.methods().first().map_or("none", |method| method.name());
    let mut body = json!({
        "client_id": client.id.as_str(),
        "client_id_issued_at": client.created_at.secs(),
        "client_name": client.name,
        "redirect_uris": client.details.redirect_uris,
        "post_logout_redirect_uris": client.details.post_logout_redirect_uris,
        "grant_types": grants,
        "response_types": if client.details.redirect_uris.is_empty() { vec![] } else { vec!["code"] },
        "token_endpoint_auth_method": method,
        "scope": client.scopes.to_string(),
        "id_token_signed_response_alg": client.id_token_alg.name(),
        "dpop_bound_access_tokens": client.details.dpop_bound,
        "require_pushed_authorization_requests": client.details.par_required,
        "registration_client_uri": app.public_url.join(&format!("{REGISTER}/{}", client.id)),
    });
    if let Some(body) = body.as_object_mut() {
        if let Authentication::Keys { jwks } = &client.authentication {
            let jwks: Option<Value> = serde_json::from_str(jwks).ok();
            body.extend(jwks.map(|jwks| ("jwks".to_owned(), jwks)));
        }
        if let Some(secret) = secret {
            body.insert("client_secret".to_owned(), json!(secret.reveal()));
            body.insert("client_secret_expires_at".to_owned(), json!(0));
        }
        body.extend(token.map(|token| ("registration_access_token".to_owned(), json!(token.reveal()))));
    }
    body
}
