//! API keys: listed, made, rotated, revoked, reported.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::id::DeviceId;
use countersign_core::key::Key;
use countersign_core::scope::{ADMIN, Scopes};
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;

use super::answers::{KeyAsDevice, KeyInfo, Keys, MadeKey, RevokedKey, Said};
use super::error::ApiError;
use super::json::Body;
use super::{Outcome, lacking, no_store, ok, person, reader};
use crate::app::App;
use crate::flow::api_keys::{self, Order};
use crate::flow::caller::Caller;
use crate::flow::policy::Sufficient;
use crate::http::{self, PathId};
use crate::limits::address_key;

const DAY: Duration = Duration::from_hours(24);
/// A key that somebody orders lasts ten years at most.
const DAYS: std::ops::RangeInclusive<u64> = 1..=3650;
/// A key and its successor are both good for a month at most.
const OVERLAP_SECONDS: std::ops::RangeInclusive<u64> = 0..=30 * 86_400;

/// The caller's keys, as the published clients list them.
pub async fn list_keys_as_devices(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let caller = reader(&app, &parts, now).await?;
    let keys = api_keys::of_account(&app, &caller.account).await?;
    Ok(ok(keys.into_iter().map(|key| KeyAsDevice::of(key, now)).collect::<Vec<_>>()))
}

/// A live key of the caller's; a key that calls may only name itself.
async fn own_key(app: &App, caller: &Caller, id: &str, now: Timestamp) -> Result<Key, ApiError> {
    let missing = ApiError::NotFound("there is no such key of yours");
    let Ok(id) = id.parse::<DeviceId>() else { return Err(missing) };
    let key = api_keys::find(app, id).await?.filter(|key| key.account == caller.account.id);
    let Some(key) = key.filter(|key| key.is_live(now)) else { return Err(missing) };
    if caller.is_signed_in() || caller.device() == Some(id) {
        Ok(key)
    } else {
        Err(ApiError::Forbidden("an API key may revoke itself alone; a person must sign in"))
    }
}

async fn revoke(app: &App, parts: &Parts, id: &str) -> Result<Key, ApiError> {
    let now = app.clock.now();
    let caller = reader(app, parts, now).await?;
    let key = own_key(app, &caller, id, now).await?;
    if api_keys::revoke(app, &key, Some(&http::origin(parts)), now).await? {
        Ok(key)
    } else {
        Err(ApiError::NotFound("there is no such key of yours"))
    }
}

pub async fn revoke_key_as_device(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Outcome {
    revoke(&app, &parts, &id).await?;
    Ok(no_store(StatusCode::NO_CONTENT))
}

pub async fn revoke_key(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Outcome {
    let key = revoke(&app, &parts, &id).await?;
    Ok(ok(RevokedKey { message: "API key revoked successfully", key_id: key.id.to_string() }))
}

pub async fn list_keys(State(app): State<Arc<App>>, parts: Parts) -> Outcome {
    let now = app.clock.now();
    let caller = reader(&app, &parts, now).await?;
    let keys = api_keys::of_account(&app, &caller.account).await?;
    let api_keys: Vec<KeyInfo> = keys.iter().map(|key| KeyInfo::of(key, now)).collect();
    Ok(ok(Keys { total: api_keys.len(), api_keys }))
}

fn made(api_key: Plain, key: &Key, now: Timestamp) -> Response {
    let body = MadeKey {
        api_key,
        key_info: KeyInfo::of(key, now),
        message: "API key created successfully. Save it securely - it won't be shown again!",
    };
    no_store((StatusCode::CREATED, Json(body)))
}

pub async fn create_key(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    let order = Order {
        name: body.required_label("name"),
        scopes: body.scopes("scopes"),
        lifetime: body.number("expires_days", DAYS).and_then(days),
    };
    body.finish()?;
    may_have(&caller, &order.scopes)?;
    within_limits(&app, &caller.account.id.to_string())?;
    let able = Sufficient::check(&app, &caller, &http::origin(&parts), now).await?.map_err(lacking)?;
    let created = api_keys::create(&app, able, order, http::origin(&parts), now).await?;
    let (plain, key) = created.ok_or(ApiError::Unauthorized("you are not signed in any more"))?;
    Ok(made(plain, &key, now))
}

fn may_have(caller: &Caller, scopes: &Scopes) -> Result<(), ApiError> {
    if scopes.contains(ADMIN) && !caller.may_hand_on_admin() {
        let why = "a key with the scope admin is made by an administrator who signed in here, or with a token that has that scope";
        return Err(ApiError::Forbidden(why));
    }
    Ok(())
}

fn days(days: u64) -> Option<Duration> {
    Some(DAY * u32::try_from(days).ok()?)
}

/// Keys are made and reported as often as codes are asked for, at most.
fn within_limits(app: &App, key: &str) -> Result<(), ApiError> {
    if !app.config.limits.enabled {
        return Ok(());
    }
    app.codes_per_address.check(key).map_err(|wait| {
        app.metrics.refused("api_keys");
        ApiError::Limited(wait)
    })
}

/// A successor with the same name and scopes; the old key goes on for a while.
pub async fn rotate_key(State(app): State<Arc<App>>, PathId(id): PathId, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let caller = person(&app, &parts, now).await?;
    let overlap = body.number("overlap_seconds", OVERLAP_SECONDS).map_or(DAY, Duration::from_secs);
    let lifetime = body.number("expires_days", DAYS).and_then(days);
    body.finish()?;
    within_limits(&app, &caller.account.id.to_string())?;
    let key = own_key(&app, &caller, &id, now).await?;
    may_have(&caller, &key.scopes)?;
    let able = Sufficient::check(&app, &caller, &http::origin(&parts), now).await?.map_err(lacking)?;
    match api_keys::rotate(&app, able, key, overlap, lifetime, http::origin(&parts), now).await? {
        Some((plain, key)) => Ok(made(plain, &key, now)),
        None => Err(ApiError::Conflict("this key has a successor already, or has ended; rotate that one")),
    }
}

/// For those who find a key where it should not be. Everybody hears the same.
pub async fn report_key(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, mut body) = Body::read(request).await?;
    let now = app.clock.now();
    let text = body.required("api_key");
    body.finish()?;
    within_limits(&app, &address_key(http::address(&parts)))?;
    api_keys::report(&app, text.trim(), &http::origin(&parts), now).await?;
    let message =
        "Thank you. If this is a live key of this server, it is revoked now, and its owner is told.";
    Ok(ok(Said { message }))
}
