//! The handlers: each parses, calls the office, and prints.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_core::admin::{
    Assignment, ClientChange, Counted, Figures, Hour, Items, MadePassword, NewClient, NewPassword, NewUser,
    NoticeView, Page, Rotation, SweepRequest, UserChange, Within,
};
use countersign_core::id::AuditId;
use serde::Deserialize;

use super::problem::Problem;
use super::{Call, Outcome, answer, done, limit, nothing, tagged, with_body};
use crate::app::{App, rfc3339};
use crate::flow::accounts::UserAct;
use crate::flow::audit::{self, Asked, Filter};
use crate::flow::office::{DeviceQuery, Refused};
use crate::flow::{figures, notices, standing};
use crate::http::{Form, PathId};

type Application = State<Arc<App>>;

const SEARCH: [&str; 3] = ["q", "cursor", "limit"];
/// What of the audit trail is wanted.
const TRAIL: [&str; 7] = ["action", "user", "client", "device", "address", "since", "until"];

/// No body, or an empty object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub fn missing() -> Response {
    Problem::Missing.into_response()
}

pub fn method_not_allowed() -> Response {
    Problem::Method.into_response()
}

pub async fn clients(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&SEARCH)?;
    let page = call.office().clients(query.one("cursor"), query.one("q"), limit(&query)?).await?;
    Ok(answer(StatusCode::OK, &done(page)?))
}

pub async fn client(State(app): Application, PathId(id): PathId, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let client = done(call.office().client(&id).await?)?;
    Ok(tagged(answer(StatusCode::OK, &client), client.revision))
}

pub async fn add_client(State(app): Application, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, new: NewClient| {
        let client = done(call.office().add_client(new).await?)?;
        Ok(tagged(answer(StatusCode::CREATED, &client), client.revision))
    })
    .await
}

pub async fn edit_client(State(app): Application, PathId(id): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, change: ClientChange| {
        let client = done(call.office().edit_client(&id, change, call.seen()?).await?)?;
        Ok(tagged(answer(StatusCode::OK, &client), client.revision))
    })
    .await
}

pub async fn rotate_secret(State(app): Application, PathId(id): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, rotation: Rotation| {
        let client = done(call.office().rotate_secret(&id, rotation, call.seen()?).await?)?;
        Ok(tagged(answer(StatusCode::OK, &client), client.revision))
    })
    .await
}

pub async fn remove_client(State(app): Application, PathId(id): PathId, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    done(call.office().remove_client(&id, call.seen()?).await?)?;
    Ok(nothing())
}

pub async fn users(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&SEARCH)?;
    let page = call.office().users(query.one("cursor"), query.one("q"), limit(&query)?).await?;
    Ok(answer(StatusCode::OK, &done(page)?))
}

pub async fn user(State(app): Application, PathId(name): PathId, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let user = done(call.office().user(&name).await?)?;
    Ok(tagged(answer(StatusCode::OK, &user), user.revision))
}

pub async fn add_user(State(app): Application, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, new: NewUser| {
        let user = done(call.office().add_user(new).await?)?;
        Ok(tagged(answer(StatusCode::CREATED, &user), user.revision))
    })
    .await
}

pub async fn edit_user(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, change: UserChange| {
        let user = done(call.office().edit_user(&name, change, call.seen()?).await?)?;
        Ok(tagged(answer(StatusCode::OK, &user), user.revision))
    })
    .await
}

pub async fn password(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, new: NewPassword| {
        let made = done(call.office().set_password(&name, new.password, call.seen()?).await?)?;
        Ok(match made {
            Some(made) => answer(StatusCode::OK, &MadePassword { password: made }),
            None => nothing(),
        })
    })
    .await
}

async fn act(app: Arc<App>, name: String, request: Request, act: UserAct) -> Outcome {
    with_body(app, request, async |call: Call, Nothing {}| {
        done(call.office().act_on_user(&name, act, call.seen()?).await?)?;
        Ok(nothing())
    })
    .await
}

pub async fn disable(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    act(app, name, request, UserAct::Disable).await
}

pub async fn enable(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    act(app, name, request, UserAct::Enable).await
}

pub async fn sign_out(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    act(app, name, request, UserAct::SignOut).await
}

pub async fn reset_factors(State(app): Application, PathId(name): PathId, request: Request) -> Outcome {
    act(app, name, request, UserAct::ResetFactors).await
}

pub async fn remove_user(State(app): Application, PathId(name): PathId, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    done(call.office().act_on_user(&name, UserAct::Remove, call.seen()?).await?)?;
    Ok(nothing())
}

pub async fn devices(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&["user", "client", "address", "q", "door", "status", "cursor", "limit"])?;
    let text = |name: &str| query.one(name).map(str::to_owned);
    let active = match query.one("status") {
        None => false,
        Some("active") => true,
        Some(_) => return Err(Problem::Invalid("status may be active, or left out".to_owned())),
    };
    let wanted = DeviceQuery {
        user: text("user"),
        client: text("client"),
        address: text("address"),
        words: text("q"),
        door: text("door"),
        active,
    };
    let page = call.office().devices(query.one("cursor"), wanted, limit(&query)?).await?;
    Ok(answer(StatusCode::OK, &done(page)?))
}

pub async fn revoke_device(State(app): Application, PathId(id): PathId, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    done(call.office().revoke_device(&id).await?)?;
    Ok(nothing())
}

pub async fn sweep(State(app): Application, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, wanted: SweepRequest| {
        let swept = done(call.office().sweep(wanted).await?)?;
        Ok(answer(StatusCode::OK, &swept))
    })
    .await
}

pub async fn assign(State(app): Application, PathId(id): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, to: Assignment| {
        done(call.office().assign(&id, &to.owner).await?)?;
        Ok(nothing())
    })
    .await
}

pub async fn keys(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    call.query(&[])?;
    Ok(answer(StatusCode::OK, &Items { items: call.office().keys().await? }))
}

pub async fn rotate_keys(State(app): Application, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, Nothing {}| {
        let keys = done(call.office().rotate_keys().await?)?;
        Ok(answer(StatusCode::OK, &Items { items: keys }))
    })
    .await
}

async fn filter(call: &Call, query: &Form) -> Result<Filter, Problem> {
    let asked = Asked::of(|name| query.one(name).map(str::to_owned));
    asked.filter(&call.app).await?.map_err(Problem::Invalid)
}

pub async fn audit(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&[&TRAIL[..], &["cursor", "limit"]].concat())?;
    let (filter, limit) = (filter(&call, &query).await?, limit(&query)?);
    let before = query.one("cursor").map(str::parse::<AuditId>).transpose();
    let before = before.map_err(|_| Problem::Invalid("this cursor is none of ours".to_owned()))?;
    let mut entries = audit::list(&call.app, &filter, before, limit + 1).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| more).map(|last| last.stored.id.to_string());
    let items = entries.iter().map(audit::Entry::view).collect();
    Ok(answer(StatusCode::OK, &Page { items, next }))
}

/// Everything that fits, as lines of JSON, the newest first.
pub async fn export_audit(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&TRAIL)?;
    let filter = filter(&call, &query).await?;
    audit::exported(&call.app, &call.by, call.now).await?;
    let mut response = audit::lines(call.app, filter).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let name = HeaderValue::from_static("attachment; filename=\"countersign-audit.jsonl\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

pub async fn verify_audit(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    call.query(&[])?;
    Ok(answer(StatusCode::OK, &audit::verify(&call.app).await?.view()))
}

/// Notices that are shown.
const NOTICES: u32 = 200;

/// What did not arrive, yet or for good.
pub async fn notices(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    call.query(&[])?;
    let view = |notice: notices::Waiting| NoticeView {
        id: notice.id.to_string(),
        event: notice.event,
        kind: notice.kind,
        target: notice.target,
        created_at: rfc3339(notice.created_at),
        attempts: notice.attempts,
        status: if notice.failed { "failed" } else { "waiting" }.to_owned(),
        error: notice.error,
    };
    let all = notices::waiting(&call.app, NOTICES).await?;
    Ok(answer(StatusCode::OK, &Items { items: all.into_iter().map(view).collect() }))
}

pub async fn replay_notice(State(app): Application, PathId(id): PathId, request: Request) -> Outcome {
    with_body(app, request, async |call: Call, Nothing {}| {
        let done = match id.parse() {
            Ok(id) => notices::replay(&call.app, &call.by, id, call.now).await?,
            Err(_) => false,
        };
        let missing = || Refused::Missing("there is no notice of this id that was given up".to_owned());
        if done { Ok(nothing()) } else { Err(Problem::Refused(missing())) }
    })
    .await
}

/// Days of figures, at most.
const DAYS: std::ops::RangeInclusive<u32> = 1..=90;

pub async fn figures(State(app): Application, parts: Parts) -> Outcome {
    let call = Call::of(app, parts).await?;
    let query = call.query(&["days"])?;
    let days = match query.one("days").map(str::parse::<u32>) {
        None => 7,
        Some(Ok(days)) if DAYS.contains(&days) => days,
        Some(_) => return Err(Problem::Invalid("days is a number from 1 to 90".to_owned())),
    };
    let since = call.now - Duration::from_hours(24) * days;
    let found = figures::overview(&call.app, since).await?;
    let counted = |pairs: Vec<(String, i64)>| {
        pairs.into_iter().map(|(name, count)| Counted { name, count }).collect::<Vec<_>>()
    };
    let within = |(seconds, count)| Within { seconds, count };
    let hour = |(hour, doors)| Hour { hour: rfc3339(hour), doors };
    let body = Figures {
        since: rfc3339(since),
        now: standing::now(&call.app).await?,
        funnel: found.funnel,
        approval: found.approval.into_iter().map(within).collect(),
        slower: found.slower,
        logins: found.logins.into_iter().map(hour).collect(),
        by_client: counted(found.by_client),
        refused: counted(found.refused),
    };
    Ok(answer(StatusCode::OK, &body))
}
