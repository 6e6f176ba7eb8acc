//! The CLI door: login that ends in an API key, and what a signed-in person does with keys and devices.

pub mod answers;
pub mod error;
mod json;
pub mod keys;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::client::{Client, GrantType};
use countersign_core::code::Pin;
use countersign_core::secret::Plain;
use countersign_core::time::{Timestamp, ceil_secs};
use serde::Serialize;
use serde_json::{Value, json};

use self::answers::{Approved, Codes, Connected, DashboardCode, KeyFacts, Person};
use self::error::ApiError;
use self::json::Body;
use crate::app::{App, rfc3339};
use crate::flow::ask::{self, AskRefusal, KeyQuestion};
use crate::flow::caller::{self, Caller, Presented, Proof, Stranger};
use crate::flow::clients;
use crate::flow::collect::{self, Collected, Polled};
use crate::flow::decide::{self, CodeBox, Decided, Decision, Opened};
use crate::flow::devices;
use crate::flow::pin::Typed;
use crate::flow::policy::{Lacking, Sufficient};
use crate::flow::reverse::{self, Making, Verified};
use crate::http::PathId;
use crate::{cookie, dpop, http};

type Outcome = Result<Response, ApiError>;

/// What a key is called that nobody named.
const KEY_NAME: &str = "CLI (Device Authorization)";
const CSRF_HEADER: &str = "x-csrf-token";

fn no_store(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn ok(body: impl Serialize) -> Response {
    no_store(Json(body))
}

/// Whoever brings a credential of any door.
async fn anybody(app: &App, parts: &Parts, now: Timestamp) -> Result<Caller, ApiError> {
    let repeated = |_| ApiError::InvalidRequest("the Authorization header is repeated");
    if let Some(credentials) = http::authorization(&parts.headers).map_err(repeated)? {
        let shown = dpop::presented(app, parts, &credentials, http::BEARER, now);
        let shown = shown
            .map_err(ApiError::Unproven)?
            .ok_or(ApiError::Unauthorized("send the credential as `Authorization: Bearer …`"))?;
        let device = http::named_device(parts);
        let presented = Presented { token: &shown.token, device, key: shown.key.as_ref() };
        return caller::by_bearer(app, presented, now).await?.map_err(|stranger| match stranger {
            Stranger::Invalid => ApiError::Unauthorized("the credential is expired, revoked or unknown"),
            Stranger::Unreachable => ApiError::Unreachable,
        });
    }
    let (cookie, token) = (cookie::read(app, &parts.headers), parts.headers.get(CSRF_HEADER));
    let (Some(cookie), Some(token)) = (cookie, token) else {
        return Err(ApiError::Unauthorized(
            "sign in: `Authorization: Bearer …`, or the session cookie with X-CSRF-Token",
        ));
    };
    let caller = caller::by_cookie(app, cookie, now).await?;
    let caller = caller.ok_or(ApiError::Unauthorized("the session has ended; sign in again"))?;
    let token = token.to_str().unwrap_or_default();
    if cookie::is_own_origin(app, &parts.headers) && cookie::is_csrf(app, cookie, token) {
        Ok(caller)
    } else {
        let why = "the request must come from a page of this server, with the csrf_token of a form of this session as X-CSRF-Token";
        Err(ApiError::Forbidden(why))
    }
}

/// Somebody who may see what is theirs: a person, or a key of theirs.
async fn reader(app: &App, parts: &Parts, now: Timestamp) -> Result<Caller, ApiError> {
    let caller = anybody(app, parts, now).await?;
    match &caller.proof {
        Proof::Token(_) if !caller.is_signed_in() => {
            Err(ApiError::Forbidden("the access token lacks the scope devices"))
        }
        Proof::Node(_) => Err(ApiError::Forbidden("a device token may not do this; a person must sign in")),
        _ => Ok(caller),
    }
}

/// A person: who may approve, make and revoke.
async fn person(app: &App, parts: &Parts, now: Timestamp) -> Result<Caller, ApiError> {
    let caller = reader(app, parts, now).await?;
    if caller.is_signed_in() {
        Ok(caller)
    } else {
        Err(ApiError::Forbidden("an API key may not do this; a person must sign in"))
    }
}

fn collected(collected: Collected) -> Response {
    let Collected { plain, key, owner } = collected;
    ok(answers::Collected {
        api_key: plain,
        user: Person::of(&owner),
        key: KeyFacts { id: key.id.to_string(), name: key.name, expires_at: rfc3339(key.expires_at) },
    })
}

/// Step 1, forward: a command line asks.
pub async fn device(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let client = body.optional("client_id");
    let question = KeyQuestion {
        name: body.label("name").unwrap_or_else(|| KEY_NAME.to_owned()),
        scopes: body.scopes("scopes"),
    };
    body.finish()?;
    let client = match client {
        Some(id) => Some(public_client(&app, &id).await?),
        None => None,
    };
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let asked = ask::key(&app, client.as_deref(), question, from, address, now).await?;
    let asked = asked.map_err(|refusal| match refusal {
        AskRefusal::Scope(scope) | AskRefusal::Target(scope) => ApiError::InvalidScope(scope),
        AskRefusal::Denied => ApiError::Denied,
        AskRefusal::TooMany(wait) => ApiError::Limited(wait),
    })?;
    let page = app.config.cli.verification_url.clone();
    let page = page.unwrap_or_else(|| app.public_url.join(&app.config.device.verification_path));
    // Clients expect the field.
    let complete =
        if asked.linkable { format!("{page}?user_code={}", asked.user_code.reveal()) } else { page.clone() };
    Ok(ok(Codes {
        device_code: asked.device_code,
        user_code: asked.user_code,
        verification_url: page.clone(),
        verification_uri: page,
        verification_uri_complete: Plain::new(complete),
        expires_in: ceil_secs(asked.expires_in),
        interval: ceil_secs(asked.interval),
    }))
}

/// Nobody proves anything here, so a client that could prove who it is may not be named.
async fn public_client(app: &App, id: &str) -> Result<Arc<Client>, ApiError> {
    let client = match id.parse() {
        Ok(id) => clients::known(app, &id).await?,
        Err(_) => None,
    };
    client
        .filter(|client| !client.authentication.is_confidential() && client.may_use(GrantType::DeviceCode))
        .ok_or(ApiError::InvalidClient)
}

const BAD_PIN: &str = "initiation_pin is the two digits that the browser shows after Approve";

/// Steps 2 and 5, forward: it polls and collects.
pub async fn token(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let device_code = body.required("device_code");
    let pin = body.optional("initiation_pin");
    body.finish()?;
    let pin = pin.map(|pin| pin.parse::<Pin>()).transpose().map_err(|_| ApiError::InvalidRequest(BAD_PIN))?;
    let pin = pin.map(|pin| Typed { pin, from: http::origin(&parts) });
    match collect::poll_key(&app, &device_code, pin.as_ref(), now).await? {
        Polled::Collected(key) => Ok(collected(*key)),
        Polled::Wait => Err(ApiError::Pending),
        Polled::WaitForPin => Err(ApiError::PinRequired),
        Polled::SlowDown(interval) => Err(ApiError::SlowDown(interval)),
        // The last two are of the OAuth door.
        Polled::Denied | Polled::Target(_) | Polled::Unproven(_) => Err(ApiError::Denied),
        Polled::Expired => Err(ApiError::Expired),
        Polled::Spent => Err(ApiError::Spent),
        Polled::Unknown => Err(ApiError::NotFound("there is no such device code")),
    }
}

/// Steps 3 and 4, for pages that are not ours: a signed-in person approves.
pub async fn authorize(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    let typed = body.required("user_code");
    let claimed = body.optional("stack_user_id");
    // What somebody says of themselves is read for its type alone: only what was verified counts.
    let _said = (body.optional("email"), body.optional("full_name"));
    body.finish()?;
    if claimed.is_some_and(|claimed| !caller.is_called(&claimed)) {
        return Err(ApiError::Forbidden("stack_user_id is not who is signed in"));
    }
    let unknown = ApiError::NotFound("there is no such code, or it has ended");
    let address = http::address(&parts);
    let opened = decide::open(&app, &caller.account, address, &typed, CodeBox::CommandLine, now).await?;
    let found = match opened {
        Opened::Found(found) => found,
        Opened::Wrong => return Err(unknown),
        Opened::Limited(wait) => return Err(ApiError::Limited(wait)),
    };
    let from = http::origin(&parts);
    match decide::decide(&app, &caller, found, Decision::Approve, &from, now).await? {
        Decided::Approved { pin } => Ok(ok(Approved {
            message: "Device authorized successfully",
            user_code: typed,
            initiation_pin: pin.map(|pin| Plain::new(pin.reveal().to_owned())),
        })),
        Decided::SignInTooOld => Err(lacking(Lacking::Freshness)),
        Decided::SignInTooWeak => Err(lacking(Lacking::SecondFactor)),
        Decided::Elsewhere => Err(ApiError::Forbidden("it was asked for from another network than yours")),
        Decided::TooLate | Decided::Foreign | Decided::Denied => Err(unknown),
    }
}

/// Step 1, reverse: a signed-in person has a code shown.
pub async fn dashboard_code(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, body) = Body::read(request).await?;
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    body.finish()?;
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let able = Sufficient::check(&app, &caller, &from, now).await?.map_err(lacking)?;
    let made = match reverse::make(&app, able, from, address, now).await? {
        Making::Made(made) => made,
        Making::TooMany(wait) => return Err(ApiError::Limited(wait)),
        Making::Refused => return Err(ApiError::Unauthorized("you are not signed in any more")),
    };
    let (server, code) = (app.public_url.issuer(), made.code.reveal());
    Ok(ok(DashboardCode {
        message: format!("Enter this code in your CLI: countersign login --server {server} --code {code}"),
        expires_in: ceil_secs(made.expires_in),
        cli_code: made.code,
    }))
}

/// Step 5, reverse: it is typed into a command line.
pub async fn verify(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let typed = body.required("cli_code");
    body.finish()?;
    match reverse::verify(&app, &typed, http::origin(&parts), http::address(&parts), now).await? {
        Verified::Key(key) => Ok(collected(*key)),
        Verified::Denied => Err(ApiError::Denied),
        Verified::Unknown => Err(ApiError::NotFound("there is no such code, or it has expired")),
        Verified::Used => Err(ApiError::Used),
        Verified::Limited(wait) => Err(ApiError::Limited(wait)),
    }
}

fn lacking(lacking: Lacking) -> ApiError {
    ApiError::SignIn(match lacking {
        Lacking::Freshness => "sign in again: this takes a fresher sign-in",
        Lacking::SecondFactor => "sign in with a second factor: this takes two",
    })
}

/// Who somebody is, by whatever they have.
pub async fn me(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let caller = anybody(&app, &parts, now).await?;
    let mut user = json!(Person::of(&caller.account));
    if let Some(user) = user.as_object_mut() {
        user.insert("username".to_owned(), json!(caller.account.name.as_str()));
        user.insert("created_at".to_owned(), json!(rfc3339(caller.account.created_at)));
        // An access token tells what its scopes say, and no more.
        if let Proof::Token(access) = &caller.proof
            && !caller.is_signed_in()
        {
            for (scope, claims) in [("email", &["email"][..]), ("profile", &["full_name", "username"])] {
                for claim in claims.iter().filter(|_| !access.scopes.contains(scope)) {
                    user.insert((*claim).to_owned(), Value::Null);
                }
            }
        }
    }
    Ok(ok(json!({ "user": user, "credential": credential(&caller) })))
}

fn credential(caller: &Caller) -> Value {
    match &caller.proof {
        Proof::Session(session) => json!({
            "type": "session",
            "expires_at": rfc3339(session.expires_at),
        }),
        Proof::Token(access) => json!({
            "type": "access_token",
            "door": "oauth",
            "id": access.family.to_string(),
            "client": access.client.as_str(),
            "scopes": access.scopes.iter().collect::<Vec<_>>(),
            "expires_at": rfc3339(access.expires_at),
        }),
        Proof::Vouched { issuer, subject, .. } => json!({
            "type": "trusted_issuer",
            "issuer": issuer,
            "subject": subject,
        }),
        Proof::Node(node) => json!({
            "type": "device_token",
            "door": "socket",
            "id": node.id.to_string(),
            "device_id": node.facts.node.to_string(),
            "name": node.facts.name,
            "scopes": node.scopes.iter().collect::<Vec<_>>(),
            "expires_at": node.expires_at.map(rfc3339),
        }),
        Proof::Key(key) => json!({
            "type": "api_key",
            "door": "cli",
            "id": key.id.to_string(),
            "name": key.name,
            "client": key.client.as_ref().map(ToString::to_string),
            "scopes": key.scopes.iter().collect::<Vec<_>>(),
            "expires_at": rfc3339(key.expires_at),
        }),
    }
}

/// Everything that the caller ever approved, whichever door it came through.
pub async fn list_devices(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    let devices = devices::of_account(&app, &caller.account, now).await?;
    Ok(ok(devices.into_iter().map(Connected::of).collect::<Vec<_>>()))
}

pub async fn revoke_device(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    let address = http::address(&parts).to_string();
    let revoked = match id.parse() {
        Ok(id) => devices::revoke_own(&app, &caller.account, id, &address, now).await?,
        Err(_) => false,
    };
    if revoked {
        Ok(no_store(StatusCode::NO_CONTENT))
    } else {
        Err(ApiError::NotFound("there is no such device of yours"))
    }
}

/// What is not there.
pub fn missing() -> Response {
    ApiError::NotFound("there is nothing at this address").into_response()
}

/// Another method than those that are there.
pub fn method_not_allowed() -> Response {
    ApiError::Method.into_response()
}
