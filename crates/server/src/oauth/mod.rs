//! The OAuth door: RFC 8628 with OpenID Connect.

pub mod client;
pub mod error;
pub mod metadata;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use countersign_core::client::{Client, GrantType};
use countersign_core::code::Pin;
use countersign_core::grant::TokensOptions;
use countersign_core::scope::{INTROSPECT, Scopes};
use countersign_core::secret::Plain;
use countersign_core::time::{Timestamp, ceil_secs};
use countersign_core::wire::{DeviceAuthorization, TokenResponse};
use serde_json::{Value, json};

use self::client::{authenticate, bearer};
use self::error::OAuthError;
use crate::app::App;
use crate::flow::ask::{self, AskRefusal, TokensQuestion};
use crate::flow::collect::{self, Polled};
use crate::flow::nodes::Named;
use crate::flow::pin::Typed;
use crate::flow::tokens::{self, Introspected, Refreshed, Revoked, TokenSet};
use crate::http::{self, Form};

type Outcome = Result<Response, OAuthError>;

/// Texts that a client adds to its question are bounded.
const TEXT_BYTES: usize = 512;
const RESOURCES: usize = 8;
const RESOURCE_BYTES: usize = 2048;

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

fn scopes(form: &Form) -> Result<Option<Scopes>, OAuthError> {
    form.one("scope").map(|text| text.parse().map_err(OAuthError::BadScope)).transpose()
}

/// Each resource once (RFC 8707 §2), and no more of them than anybody needs.
fn resources(form: &Form) -> Result<Vec<String>, OAuthError> {
    let mut resources: Vec<String> = Vec::new();
    let mut bytes = 0;
    for resource in form.many("resource") {
        bytes += resource.len();
        if resources.len() == RESOURCES || bytes > RESOURCE_BYTES {
            let why =
                format!("more than {RESOURCES} resources, or {RESOURCE_BYTES} bytes of them, were asked for");
            return Err(OAuthError::InvalidRequest(why));
        }
        if !resources.iter().any(|known| known == resource) {
            resources.push(resource.to_owned());
        }
    }
    Ok(resources)
}

/// Step 1 (RFC 8628 §3.1).
pub async fn device_authorization(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let client = authenticate(&app, &parts.headers, &form).await?;
    if !client.may_use(GrantType::DeviceCode) {
        return Err(OAuthError::UnauthorizedClient("this client may not use the device flow"));
    }
    let question = TokensQuestion { scopes: scopes(&form)?.unwrap_or_default(), options: options(&form)? };
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let asked =
        ask::tokens(&app, &client, question, from, address, now).await?.map_err(|refusal| match refusal {
            AskRefusal::Scope(scope) => OAuthError::InvalidScope(scope),
            AskRefusal::Target(target) => OAuthError::InvalidTarget(target),
            AskRefusal::Denied => OAuthError::AccessDenied,
            AskRefusal::TooMany(wait) => OAuthError::TooManyCodes(wait),
        })?;
    let verification_uri = app.public_url.join(&app.config.device.verification_path);
    let complete = asked
        .linkable
        .then(|| Plain::new(format!("{verification_uri}?user_code={}", asked.user_code.reveal())));
    Ok(no_store(Json(DeviceAuthorization {
        device_code: asked.device_code,
        user_code: asked.user_code,
        verification_uri,
        verification_uri_complete: complete,
        expires_in: ceil_secs(asked.expires_in),
        interval: ceil_secs(asked.interval),
    })))
}

/// What OIDC Core §3.1.2.1 and RFC 8707 §2 let a client add.
fn options(form: &Form) -> Result<TokensOptions, OAuthError> {
    let text = |name: &'static str| match form.one(name) {
        Some(text) if text.len() > TEXT_BYTES => {
            Err(OAuthError::InvalidRequest(format!("{name} is longer than {TEXT_BYTES} bytes")))
        }
        other => Ok(other.map(str::to_owned)),
    };
    let max_age = match form.one("max_age") {
        Some(seconds) => Some(seconds.parse().map_err(|_| {
            OAuthError::InvalidRequest("max_age must be a whole number of seconds".to_owned())
        })?),
        None => None,
    };
    Ok(TokensOptions {
        nonce: text("nonce")?,
        max_age,
        prompt_login: form.one("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "login")),
        acr_values: text("acr_values")?
            .map_or_else(Vec::new, |values| values.split(' ').map(str::to_owned).collect()),
        login_hint: text("login_hint")?,
        resources: resources(form)?,
    })
}

/// Steps 2, 5 and 6 (RFC 8628 §3.4, RFC 6749 §6).
pub async fn token(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let grant = required(&form, "grant_type")?;
    let grant =
        GrantType::ALL.iter().find(|known| known.name() == grant).ok_or(OAuthError::UnsupportedGrantType)?;
    let secret = match grant {
        GrantType::DeviceCode => required(&form, "device_code")?,
        GrantType::RefreshToken => required(&form, "refresh_token")?,
    };
    let client = authenticate(&app, &parts.headers, &form).await?;
    if !client.may_use(*grant) {
        return Err(OAuthError::UnauthorizedClient("this client may not use this grant type"));
    }
    let resources = resources(&form)?;
    let tokens = match grant {
        GrantType::DeviceCode => {
            poll(&app, &client, secret, &resources, pin(&form, &parts)?.as_ref(), now).await?
        }
        GrantType::RefreshToken => refresh(&app, &client, secret, scopes(&form)?, &resources, now).await?,
    };
    Ok(no_store(Json(TokenResponse {
        access_token: tokens.access,
        token_type: "Bearer".to_owned(),
        expires_in: tokens.expires_in.as_secs(),
        refresh_token: tokens.refresh,
        id_token: tokens.id_token,
        scope: tokens.scopes.to_string(),
    })))
}

/// What the person saw after Approve, where the policy wants it typed on the device.
fn pin(form: &Form, parts: &Parts) -> Result<Option<Typed>, OAuthError> {
    let bad =
        |_| OAuthError::InvalidRequest("initiation_pin is the two digits that the browser shows".to_owned());
    let pin = form.one("initiation_pin").map(|pin| pin.parse::<Pin>().map_err(bad)).transpose()?;
    Ok(pin.map(|pin| Typed { pin, from: http::origin(parts) }))
}

async fn poll(
    app: &App,
    client: &Arc<Client>,
    device_code: &str,
    resources: &[String],
    pin: Option<&Typed>,
    now: Timestamp,
) -> Result<Box<TokenSet>, OAuthError> {
    match collect::poll_tokens(app, client, device_code, resources, pin, now).await? {
        Polled::Collected(tokens) => Ok(tokens),
        Polled::Wait => Err(OAuthError::AuthorizationPending),
        Polled::WaitForPin => Err(OAuthError::PinRequired),
        Polled::SlowDown(interval) => Err(OAuthError::SlowDown(interval)),
        Polled::Denied => Err(OAuthError::AccessDenied),
        Polled::Expired => Err(OAuthError::ExpiredToken),
        Polled::Spent | Polled::Unknown => {
            Err(OAuthError::InvalidGrant("the device code is not valid for this client, or was redeemed"))
        }
        Polled::Target(target) => Err(OAuthError::InvalidTarget(target)),
    }
}

async fn refresh(
    app: &App,
    client: &Client,
    token: &str,
    scopes: Option<Scopes>,
    resources: &[String],
    now: Timestamp,
) -> Result<Box<TokenSet>, OAuthError> {
    match tokens::refresh(app, client, token, scopes, resources, now).await? {
        Refreshed::Tokens(tokens) => Ok(tokens),
        Refreshed::Invalid => Err(OAuthError::InvalidGrant("the refresh token is not valid for this client")),
        Refreshed::Scope(scope) => Err(OAuthError::InvalidScope(scope)),
        Refreshed::Target(target) => Err(OAuthError::InvalidTarget(target)),
    }
}

/// RFC 7662. A confidential client asks, or a bearer of the scope `introspect`.
pub async fn introspect(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let asker = match bearer(&parts.headers)? {
        Some(_) if form.one("client_secret").or(form.one("client_assertion")).is_some() => {
            return Err(client::two_ways());
        }
        Some(token) => {
            let _access = own_access(&app, &token, INTROSPECT, now).await?;
            None
        }
        None => {
            let client = authenticate(&app, &parts.headers, &form).await?;
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
    let found = tokens::introspect(&app, asker.as_ref(), token, device, now).await?;
    Ok(no_store(Json(introspection(&app, found))))
}

fn introspection(app: &App, found: Introspected) -> Value {
    match found {
        Introspected::Inactive => json!({ "active": false }),
        Introspected::Access(access) => json!({
            "active": true,
            "token_type": "Bearer",
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
        }),
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

fn one_or_many(mut list: Vec<String>) -> Value {
    if list.len() == 1 { json!(list.pop()) } else { json!(list) }
}

/// RFC 7009.
pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let client = authenticate(&app, &parts.headers, &form).await?;
    let token = required(&form, "token")?;
    match tokens::revoke(&app, &client, token, now).await? {
        Revoked::Done => Ok(no_store(Json(json!({})))),
        Revoked::NotYours => Err(OAuthError::UnauthorizedClient("this token was issued to another client")),
    }
}

/// A live access token that is meant for us and has this scope.
async fn own_access(
    app: &App,
    token: &Plain,
    scope: &'static str,
    now: Timestamp,
) -> Result<tokens::Access, OAuthError> {
    let access = tokens::access(app, token.reveal(), now).await?.ok_or(OAuthError::InvalidToken)?;
    // A token for somebody else's API is none for ours.
    if !access.audience.iter().any(|audience| audience == app.public_url.issuer()) {
        return Err(OAuthError::InvalidToken);
    }
    if access.scopes.contains(scope) { Ok(access) } else { Err(OAuthError::InsufficientScope(scope)) }
}

/// OIDC Core §5.3.
pub async fn userinfo(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let token = bearer(&parts.headers)?.ok_or(OAuthError::NoToken)?;
    let access = own_access(&app, &token, "openid", now).await?;
    let mut claims = json!({ "sub": access.account.to_string() });
    if let Some(claims) = claims.as_object_mut() {
        if access.scopes.contains("profile") {
            claims.insert("preferred_username".to_owned(), json!(access.owner.name.as_str()));
            claims.extend(access.owner.full_name.map(|name| ("name".to_owned(), json!(name))));
        }
        if let Some(email) = access.owner.email.filter(|_| access.scopes.contains("email")) {
            claims.insert("email".to_owned(), json!(email));
            // Whoever added the user typed it; nobody was asked.
            claims.insert("email_verified".to_owned(), json!(false));
        }
    }
    Ok(no_store(Json(claims)))
}
