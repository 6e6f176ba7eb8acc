//! Asking through a browser (RFC 6749 §4.1 with RFC 7636, RFC 8252 and RFC 9207), directly or pushed
//! beforehand (RFC 9126). The question is checked and kept here; a page asks the person.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_core::client::{Client, GrantType};
use countersign_core::grant::CodeOptions;
use countersign_core::time::{Timestamp, ceil_secs};
use serde_json::json;

use super::client::authenticate;
use super::error::OAuthError;
use super::question::{TEXT_BYTES, bind, options, refused, scopes};
use super::{Outcome, form, no_store};
use crate::app::{App, Fault};
use crate::dpop::Proof;
use crate::flow::ask::{self, TokensQuestion};
use crate::flow::authorize::{self, Refused};
use crate::flow::clients;
use crate::http::{self, Form};

pub const PUSH: &str = "/oauth2/v1/par";
/// What stands before the handle of a question that was pushed (RFC 9126 §2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// What is asked, but for where the answer goes.
fn question(form: &Form, redirect_uri: &str) -> Result<TokensQuestion, OAuthError> {
    if form.one("response_type") != Some("code") {
        return Err(OAuthError::UnsupportedResponseType);
    }
    let invalid = |why: &str| OAuthError::InvalidRequest(why.to_owned());
    if form.one("response_mode").is_some_and(|mode| mode != "query") {
        return Err(invalid("response_mode must be query"));
    }
    if form.one("request").is_some() {
        return Err(invalid("request objects are not supported; push the request to the PAR endpoint"));
    }
    let challenge = form.one("code_challenge").ok_or_else(|| invalid("code_challenge is missing (PKCE)"))?;
    if form.one("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let symbol = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if challenge.len() != 43 || !challenge.bytes().all(symbol) {
        return Err(invalid("code_challenge is no SHA-256 in base64url"));
    }
    if form.one("state").is_some_and(|state| state.len() > TEXT_BYTES) {
        return Err(OAuthError::InvalidRequest(format!("state is longer than {TEXT_BYTES} bytes")));
    }
    if form.one("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return Err(OAuthError::InteractionRequired);
    }
    let code = CodeOptions {
        named: form.one("redirect_uri").is_some(),
        redirect_uri: redirect_uri.to_owned(),
        challenge: challenge.to_owned(),
        state: form.one("state").map(str::to_owned),
    };
    let mut options = options(form)?;
    options.code = Some(code);
    Ok(TokensQuestion { scopes: scopes(form)?.unwrap_or_default(), options })
}

/// Where the answer goes, if the client may have it sent there; the only one that is registered, where
/// none is named (RFC 6749 §3.1.2.3).
fn redirect_uri(client: &Client, form: &Form) -> Option<String> {
    match (form.one("redirect_uri"), client.details.redirect_uris.as_slice()) {
        (Some(uri), _) => client.may_redirect(uri).then(|| uri.to_owned()),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

/// RFC 9126: a client asks beforehand, and the browser brings a reference alone.
pub async fn push(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let client = authenticate(&app, &parts.headers, &form, now).await?;
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::UnauthorizedClient("this client may not use authorization codes"));
    }
    if form.one("request_uri").is_some() {
        return Err(OAuthError::InvalidRequest("request_uri makes no sense here".to_owned()));
    }
    let uri = redirect_uri(&client, &form);
    let uri = uri.ok_or_else(|| OAuthError::InvalidRequest("redirect_uri is not registered".to_owned()))?;
    let mut question = question(&form, &uri)?;
    let mut proof = Proof::of(&parts.headers, "POST", app.public_url.join(PUSH));
    bind(&mut question.options, &mut proof, now)?;
    let proved = client.authentication.is_confidential();
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let asked = ask::code(&app, &client, question, proved, from, address, now).await?.map_err(refused)?;
    let body = json!({
        "request_uri": format!("{REQUEST_URI}{}", authorize::handle(&app, asked.grant)),
        "expires_in": ceil_secs(asked.expires_in),
    });
    Ok(no_store((StatusCode::CREATED, Json(body))))
}

/// The browser comes with a question, and is led to the page that asks.
pub async fn authorize(State(app): State<Arc<App>>, request: Request) -> Result<Response, Response> {
    let (parts, form) = if request.method() == Method::POST {
        form(request).await.map_err(axum::response::IntoResponse::into_response)?
    } else {
        let (parts, _) = request.into_parts();
        let read = Form::parse(parts.uri.query().unwrap_or_default());
        let form = read.map_err(|bad| OAuthError::Body(bad).into_response())?;
        (parts, form)
    };
    let now = app.clock.now();
    let failed = |fault: Fault| OAuthError::Fault(fault).into_response();
    let place = match ask(&app, &parts, &form, now).await.map_err(failed)? {
        Ok(place) => place,
        Err(refused) => authorize::refused_path(refused).to_owned(),
    };
    let location =
        if place.starts_with('/') { format!("{}{place}", app.public_url.base_path()) } else { place };
    let location = HeaderValue::try_from(location).map_err(|_| StatusCode::BAD_REQUEST.into_response())?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Where the browser goes: to our page, or back to the client with what is wrong.
async fn ask(
    app: &App,
    parts: &Parts,
    form: &Form,
    now: Timestamp,
) -> Result<Result<String, Refused>, Fault> {
    let client = match form.one("client_id").and_then(|id| id.parse().ok()) {
        Some(id) => clients::known(app, &id).await?,
        None => None,
    };
    let Some(client) = client.filter(|client| client.may_use(GrantType::AuthorizationCode)) else {
        return Ok(Err(Refused::Client));
    };
    if let Some(request_uri) = form.one("request_uri") {
        let handle = request_uri.strip_prefix(REQUEST_URI).unwrap_or_default();
        let found = authorize::find(app, handle, now).await?;
        return Ok(match found.filter(|found| found.client.id == client.id) {
            Some(_) => Ok(authorize::path(handle)),
            None => Err(Refused::Expired),
        });
    }
    let Some(uri) = redirect_uri(&client, form) else { return Ok(Err(Refused::RedirectUri)) };
    let state = form.one("state").filter(|state| state.len() <= TEXT_BYTES);
    let back = |error: &OAuthError| {
        let said = [("error", error.code().to_owned()), ("error_description", error.description())];
        authorize::back(app, &uri, state, said).ok_or(Refused::RedirectUri)
    };
    if client.details.par_required {
        let why = "this client must push its requests to the PAR endpoint".to_owned();
        return Ok(back(&OAuthError::InvalidRequest(why)));
    }
    let question = match question(form, &uri) {
        Ok(question) => question,
        Err(error) => return Ok(back(&error)),
    };
    let (from, address) = (http::origin(parts), http::address(parts));
    Ok(match ask::code(app, &client, question, false, from, address, now).await? {
        Ok(asked) => Ok(authorize::path(&authorize::handle(app, asked.grant))),
        Err(refusal) => match refused(refusal) {
            // RFC 6749 §4.1.2.1 has no word for too many.
            OAuthError::TooManyCodes(_) => {
                let said = [
                    ("error", "temporarily_unavailable".to_owned()),
                    ("error_description", "too many requests; try again in a minute".to_owned()),
                ];
                authorize::back(app, &uri, state, said).ok_or(Refused::RedirectUri)
            }
            error => back(&error),
        },
    })
}
