//! The administration over HTTP: `/admin/api/v1`. JSON in and out; what goes wrong is told as RFC 9457
//! has it.

mod problem;
mod rest;

pub use self::rest::{
    add_client, add_user, assign, audit, client, clients, devices, disable, edit_client, edit_user, enable,
    export_audit, figures, keys, method_not_allowed, missing, notices, password, remove_client, remove_user,
    replay_notice, reset_factors, revoke_device, rotate_keys, rotate_secret, sign_out, sweep, user, users,
    verify_audit,
};

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::audit::{Actor, By};
use countersign_core::scope::ADMIN;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use self::problem::Problem;
use crate::app::App;
use crate::dpop;
use crate::flow::access::{self, Bearer};
use crate::flow::answered::{self, Begun, Kept};
use crate::flow::caller::{self, Presented, Proof};
use crate::flow::clients;
use crate::flow::office::{Office, Refused};
use crate::http::{self, Form};

type Outcome = Result<Response, Problem>;

const JSON: &str = "application/json";
/// A key of an administrator's choice, that a request is done once with.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const KEY_BYTES: usize = 255;
/// Items of a page, unless asked otherwise.
const LIMIT: u32 = 50;

/// Who administers: by an access token with the scope `admin`, of an administrator's or of a client
/// itself, or by an API key of an administrator's with that scope.
async fn administrator(app: &App, parts: &Parts, now: Timestamp) -> Result<By, Problem> {
    let repeated = |_| Problem::Invalid("the Authorization header is repeated".to_owned());
    let credentials = http::authorization(&parts.headers).map_err(repeated)?.ok_or(Problem::Stranger)?;
    let shown = dpop::presented(app, parts, &credentials, http::BEARER, now);
    let shown = shown.map_err(|_| Problem::Stranger)?.ok_or(Problem::Stranger)?;
    let by = |actor| By { actor, address: Some(http::address(parts).to_string()) };
    let text = shown.token.reveal();
    if let Some(Bearer::Client(facts, client)) = access::bearer(app, text, now).await? {
        let found = Bearer::Client(facts, client.clone());
        return if !found.is_for(app) || !dpop::holds(app, found.jkt(), shown.key.as_ref()).await? {
            Err(Problem::Stranger)
        } else if found.scopes().contains(ADMIN) {
            Ok(by(Actor::Client(client)))
        } else {
            Err(Problem::Forbidden("the access token lacks the scope admin"))
        };
    }
    let presented = Presented { token: &shown.token, device: None, key: shown.key.as_ref() };
    let caller = caller::by_bearer(app, presented, now).await?.map_err(|_| Problem::Stranger)?;
    let scopes = match &caller.proof {
        Proof::Token(access) => &access.scopes,
        Proof::Key(key) => &key.scopes,
        Proof::Session(_) | Proof::Vouched { .. } | Proof::Node(_) => return Err(Problem::Stranger),
    };
    if !scopes.contains(ADMIN) {
        return Err(Problem::Forbidden("the credential lacks the scope admin"));
    }
    if !caller.account.admin {
        return Err(Problem::Forbidden("its owner is no administrator"));
    }
    // An API key is made by whoever had shown two factors, where two are demanded.
    let weak = matches!(&caller.proof, Proof::Token(access) if !access.sign_in.is_multi_factor());
    if weak && app.config.second_factor.is_demanded_of(&caller.account) {
        return Err(Problem::Forbidden("an administrator signs in with a second factor here: log in again"));
    }
    Ok(by(Actor::Administrator(caller.account.id)))
}

/// One request of an administrator's.
struct Call {
    app: Arc<App>,
    parts: Parts,
    by: By,
    now: Timestamp,
}

impl Call {
    /// Of a request without a body.
    async fn of(app: Arc<App>, parts: Parts) -> Result<Self, Problem> {
        let now = app.clock.now();
        let by = administrator(&app, &parts, now).await?;
        Ok(Self { app, parts, by, now })
    }

    fn office(&self) -> Office<'_> {
        Office { app: &self.app, by: self.by.clone(), now: self.now }
    }

    /// Whoever mistypes a filter must not be given everything.
    fn query(&self, known: &[&str]) -> Result<Form, Problem> {
        let form = Form::parse(self.parts.uri.query().unwrap_or_default())
            .map_err(|bad| Problem::Invalid(bad.to_string()))?;
        match form.unknown(known) {
            Some(name) => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(Problem::Invalid(format!("there is no parameter `{name}`; known: {known}")))
            }
            None => Ok(form),
        }
    }

    /// The revision that an edit is of, if it says one (RFC 9110 §13.1.1).
    fn seen(&self) -> Result<Option<u32>, Problem> {
        let mut values = self.parts.headers.get_all(header::IF_MATCH).iter();
        let text = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => return Err(Problem::Invalid("If-Match is repeated".to_owned())),
        };
        if text == "*" {
            return Ok(None);
        }
        let quoted = text.trim_start_matches("W/");
        if quoted.len() < 2 || !quoted.starts_with('"') || !quoted.ends_with('"') || quoted.contains(',') {
            let told = "If-Match holds one ETag as it was given, in quotes, such as \"3\"; or *";
            return Err(Problem::Invalid(told.to_owned()));
        }
        // Compared to the letter; a tag that is none of ours matches nothing.
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let ours = |bare: &str| bare.parse::<u32>().ok().filter(|revision| revision.to_string() == bare);
        Ok(Some(bare.and_then(ours).unwrap_or(u32::MAX)))
    }
}

/// How many items of a page are wanted.
fn limit(query: &Form) -> Result<u32, Problem> {
    match query.one("limit") {
        None => Ok(LIMIT),
        Some(text) => match text.parse::<u32>() {
            Ok(limit @ 1..=crate::flow::office::PAGE) => Ok(limit),
            _ => Err(Problem::Invalid(format!("limit is a number from 1 to {}", crate::flow::office::PAGE))),
        },
    }
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn nothing() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// With the tag that an edit names.
fn tagged(mut response: Response, revision: u32) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A request with a body of JSON, which may be left out where everything in it may.
async fn with_body<T, F>(app: Arc<App>, request: Request, run: F) -> Outcome
where
    T: DeserializeOwned,
    F: AsyncFnOnce(Call, T) -> Outcome,
{
    let (parts, bytes) = http::bytes(request).await;
    let bytes = bytes.map_err(Problem::Body)?;
    let call = Call::of(app, parts).await?;
    let once = idempotency(&call, &bytes).await?;
    if let Some((key, wanted)) = &once {
        match answered::begin(&call.app, key, wanted, call.now).await? {
            Begun::First => {}
            Begun::Again(kept) => return Ok(replay(kept)),
            Begun::UnderWay => return Err(Problem::UnderWay),
            Begun::Other => return Err(Problem::OtherRequest),
        }
    }
    let (app, now) = (call.app.clone(), call.now);
    let outcome = match body::<T>(&call.parts, &bytes) {
        Ok(body) => run(call, body).await,
        Err(problem) => Err(problem),
    };
    let Some((key, _)) = once else { return outcome };
    match outcome {
        Ok(response) => keep(&app, &key, response, now).await,
        Err(problem) => {
            answered::forget(&app, &key, now).await?;
            Err(problem)
        }
    }
}

fn body<T: DeserializeOwned>(parts: &Parts, bytes: &Bytes) -> Result<T, Problem> {
    let read: Result<Fields, _> = if bytes.is_empty() {
        Ok(Fields::default())
    } else {
        if http::content_type(&parts.headers).is_none_or(|essence| !essence.eq_ignore_ascii_case(JSON)) {
            return Err(Problem::Body(http::BadForm::ContentType(JSON)));
        }
        serde_json::from_slice(bytes)
    };
    // A list would do for an object otherwise, its items taken for fields.
    let read = read.and_then(|Fields(object)| serde_json::from_value(Value::Object(object)));
    read.map_err(|error| Problem::Invalid(format!("the body does not fit: {}", bare(&error))))
}

/// An object in which no field stands twice: of two, somebody else may have meant the other.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Self, A::Error> {
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            if self.0.contains_key(&name) {
                return Err(A::Error::custom(format!("{name} stands there twice")));
            }
            self.0.insert(name, value);
        }
        Ok(self)
    }
}

/// What serde says, without what was sent: there may be a password in it.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once("invalid type: ").or_else(|| text.split_once("invalid value: ")) {
        Some((_, rest)) => match rest.split_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "a value is of another type".to_owned(),
        },
        None => text,
    }
}

/// The key that a request is done once with, and what it asks for; both are this administrator's own.
async fn idempotency(call: &Call, bytes: &Bytes) -> Result<Option<(Digest, Digest)>, Problem> {
    let mut keys = call.parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(Problem::Invalid("Idempotency-Key is repeated".to_owned()));
    }
    let visible =
        |key: &&str| (1..=KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(key) = key.to_str().ok().filter(visible) else {
        let told = format!("Idempotency-Key has 1 to {KEY_BYTES} characters of ASCII, and no spaces");
        return Err(Problem::Invalid(told));
    };
    if call.parts.method != Method::POST {
        return Ok(None);
    }
    // A client that was registered anew is another.
    let since = match &call.by.actor {
        Actor::Client(id) => clients::known(&call.app, id).await?.map(|client| client.created_at.micros()),
        _ => None,
    };
    let key = Digest::of(&format!("{} {} {key}", call.by.actor, since.unwrap_or_default()));
    let body = crate::flow::audit::hex(&Digest::of(&String::from_utf8_lossy(bytes)));
    let seen: Vec<_> = call.parts.headers.get_all(header::IF_MATCH).iter().collect();
    let wanted = format!("{} {seen:?} {body}", call.parts.uri);
    Ok(Some((key, Digest::of(&wanted))))
}

async fn keep(app: &App, key: &Digest, response: Response, now: Timestamp) -> Outcome {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    let bytes = bytes.map_err(|error| crate::app::Fault::Page(error.to_string()))?;
    let etag = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let kept = Kept { status: parts.status.as_u16(), etag, body: text };
    answered::finish(app, key, &kept, now).await?;
    Ok(Response::from_parts(parts, bytes.into()))
}

fn replay(kept: Kept) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    if status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_TYPE);
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    if let Some(tag) = kept.etag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn done<T>(done: Result<T, Refused>) -> Result<T, Problem> {
    done.map_err(Problem::Refused)
}
