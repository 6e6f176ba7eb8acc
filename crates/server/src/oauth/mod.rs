//! The OAuth door: RFC 8628 with OpenID Connect.

mod authorize;
pub mod client;
pub mod error;
mod logout;
pub mod metadata;
mod question;
mod register;
mod token;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use countersign_core::grant::Thumbprint;
use countersign_core::scope::INTROSPECT;
use countersign_core::time::Timestamp;
use serde_json::{Value, json};

pub use self::authorize::{authorize, push};
use self::client::authenticate;
use self::error::OAuthError;
pub use self::logout::end_session;
pub use self::question::device_authorization;
pub use self::register::{change, look, register, unregister};
pub use self::token::token;
use crate::app::App;
use crate::dpop::{self, Presented};
use crate::flow::access::{self, Bearer, Introspected, Revoked};
use crate::flow::nodes::Named;
use crate::flow::tokens;
use crate::http::{self, Form};

type Outcome = Result<Response, OAuthError>;

/// The clock is read after this: who sends slowly must not be judged by the time at which they began.
async fn form(request: Request) -> Result<(Parts, Form), OAuthError> {
    Form::read(request).await.map_err(|(_, bad)| OAuthError::Body(bad))
}

/// Answers with codes or tokens are never stored on the way (RFC 6749 §5.1).
fn no_store(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn required<'a>(form: &'a Form, name: &'static str) -> Result<&'a str, OAuthError> {
    form.one(name).ok_or_else(|| OAuthError::InvalidRequest(format!("{name} is missing")))
}

/// RFC 7662. A confidential client asks, or a bearer of the scope `introspect`.
pub async fn introspect(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let asker = match bearer(&app, &parts, now)? {
        Some(_) if form.one("client_secret").or(form.one("client_assertion")).is_some() => {
            return Err(client::two_ways());
        }
        Some(shown) => {
            let _bearer = own_access(&app, &shown, INTROSPECT, now).await?;
            None
        }
        None => {
            let client = authenticate(&app, &parts.headers, &form, now).await?;
            if !client.authentication.is_confidential() {
                return Err(OAuthError::UnauthorizedClient("introspection is for confidential clients"));
            }
            Some(client.id.clone())
        }
    };
    let token = required(&form, "token")?;
    let said = form.one("device_id").and_then(|id| id.parse().ok());
    let said = said.map(|node| Named { node, address: http::address(&parts) });
    let device = said.or_else(|| http::named_device(&parts));
    let found = access::introspect(&app, asker.as_ref(), token, device, now).await?;
    Ok(no_store(Json(introspection(&app, found))))
}

fn introspection(app: &App, found: Introspected) -> Value {
    match found {
        Introspected::Inactive => json!({ "active": false }),
        Introspected::Access(access) => {
            let claims = json!({
                "active": true,
                "token_type": token_type(access.jkt.as_ref()),
                "iss": app.public_url.issuer(),
                "sub": access.account.to_string(),
                "username": access.owner.name.as_str(),
                "client_id": access.client.as_str(),
                "scope": access.scopes.to_string(),
                "aud": one_or_many(access.audience),
                "exp": access.expires_at.secs(),
                "iat": access.issued_at.secs(),
                "jti": access.id.to_string(),
                "sid": access.family.to_string(),
            });
            http::with(claims, "cnf", confirmation(access.jkt.as_ref()))
        }
        Introspected::Client(facts, client) => {
            let claims = json!({
                "active": true,
                "token_type": token_type(facts.jkt.as_ref()),
                "iss": app.public_url.issuer(),
                "sub": client.as_str(),
                "client_id": client.as_str(),
                "scope": facts.scopes.to_string(),
                "aud": one_or_many(facts.audience),
                "exp": facts.expires_at.secs(),
                "iat": facts.issued_at.secs(),
                "jti": facts.id.to_string(),
            });
            http::with(claims, "cnf", confirmation(facts.jkt.as_ref()))
        }
        Introspected::Key(key, username) => {
            let mut claims = json!({
                "active": true,
                "token_type": "api_key",
                "iss": app.public_url.issuer(),
                "sub": key.account.to_string(),
                "username": username.as_str(),
                "exp": key.expires_at.secs(),
                "iat": key.created_at.secs(),
                "jti": key.id.to_string(),
                "name": key.name,
            });
            if let Some(claims) = claims.as_object_mut() {
                claims.extend(key.client.map(|client| ("client_id".to_owned(), json!(client.as_str()))));
                // RFC 6749 §3.3 knows no empty scope.
                let scope = Some(key.scopes.to_string()).filter(|scope| !scope.is_empty());
                claims.extend(scope.map(|scope| ("scope".to_owned(), json!(scope))));
            }
            claims
        }
        Introspected::Node(node, username) => {
            let mut claims = json!({
                "active": true,
                "token_type": "device_token",
                "iss": app.public_url.issuer(),
                "scope": node.scopes.to_string(),
                "iat": node.paired_at.secs(),
                "jti": node.id.to_string(),
                "device_id": node.facts.node.to_string(),
                "name": node.facts.name,
            });
            if let Some(claims) = claims.as_object_mut() {
                claims.extend(node.owner.map(|owner| ("sub".to_owned(), json!(owner.to_string()))));
                claims.extend(username.map(|name| ("username".to_owned(), json!(name.as_str()))));
                claims.extend(node.expires_at.map(|end| ("exp".to_owned(), json!(end.secs()))));
            }
            claims
        }
        Introspected::Refresh { family, username, expires_at } => json!({
            "active": true,
            "token_type": "refresh_token",
            "iss": app.public_url.issuer(),
            "sub": family.account.to_string(),
            "username": username,
            "client_id": family.client.as_str(),
            "scope": family.scopes.to_string(),
            "exp": expires_at.secs(),
            "sid": family.id.to_string(),
        }),
    }
}

fn token_type(jkt: Option<&Thumbprint>) -> &'static str {
    if jkt.is_some() { "DPoP" } else { "Bearer" }
}

fn confirmation(jkt: Option<&Thumbprint>) -> Option<Value> {
    jkt.map(|jkt| json!({ "jkt": jkt.as_str() }))
}

fn one_or_many(mut list: Vec<String>) -> Value {
    if list.len() == 1 { json!(list.pop()) } else { json!(list) }
}

/// RFC 7009.
pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let client = authenticate(&app, &parts.headers, &form, now).await?;
    let token = required(&form, "token")?;
    match access::revoke(&app, &client, token, now).await? {
        Revoked::Done => Ok(no_store(Json(json!({})))),
        Revoked::NotYours => Err(OAuthError::UnauthorizedClient("this token was issued to another client")),
    }
}

/// What a request presents at a resource of ours, if it presents a token.
fn bearer(app: &App, parts: &Parts, now: Timestamp) -> Result<Option<Presented>, OAuthError> {
    let Some(credentials) = client::credentials(&parts.headers)? else { return Ok(None) };
    dpop::presented(app, parts, &credentials, http::BEARER, now).map_err(OAuthError::UnprovenToken)
}

/// A live access token that is meant for us, has this scope, and was shown with the key that it is bound
/// to.
async fn own_access(
    app: &App,
    shown: &Presented,
    scope: &'static str,
    now: Timestamp,
) -> Result<Bearer, OAuthError> {
    let found = access::bearer(app, shown.token.reveal(), now).await?.filter(|found| found.is_for(app));
    let found = found.ok_or(OAuthError::InvalidToken)?;
    if found.jkt() != shown.key.as_ref().map(|key| &key.thumbprint) {
        return Err(OAuthError::InvalidToken);
    }
    if !dpop::holds(app, found.jkt(), shown.key.as_ref()).await? {
        return Err(OAuthError::UnprovenToken("this proof was shown before".to_owned()));
    }
    if found.scopes().contains(scope) { Ok(found) } else { Err(OAuthError::InsufficientScope(scope)) }
}

/// OIDC Core §5.3.
pub async fn userinfo(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let shown = bearer(&app, &parts, now)?.ok_or(OAuthError::NoToken)?;
    let Bearer::Person(access) = own_access(&app, &shown, "openid", now).await? else {
        return Err(OAuthError::InvalidToken);
    };
    let mut claims = tokens::about(&access.owner, &access.scopes);
    claims.insert("sub".to_owned(), json!(access.account.to_string()));
    Ok(no_store(Json(claims)))
}
