//! Signing in with an identity provider of the operator's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;

use super::authorize::elsewhere;
use super::browser::Browser;
use super::login::{Next, go, turned};
use super::{PageError, count, get, redirect};
use crate::app::App;
use crate::flow::factors;
use crate::flow::upstream::{self, Finished, Purpose, Returned, Turned};
use crate::http::{self, Form, PathId};

/// Leads to the provider. A link, not a form: browsers let no form of ours lead elsewhere.
pub async fn begin(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let provider = app.upstreams.find(&id).ok_or(PageError::Missing)?;
        count(app, &app.upstream_sign_ins_per_address, "upstream_sign_ins_per_address", parts)?;
        let next = Next::read(&query);
        let link = match query.one("link") {
            // Only our own page in this very browser knows what must stand here: nobody is led by a link
            // into joining an identity of somebody else's to their account.
            Some(shown) if browser.is_link(app, &id, shown) => {
                if !may_link(app, browser, now).await? {
                    return redirect(app, &Next::Account.login_path(true));
                }
                true
            }
            Some(_) => return Err(PageError::Forged),
            None => false,
        };
        let purpose = Purpose {
            next: next.name().to_owned(),
            code: Plain::new(next.detail().to_owned()),
            again: link || query.one("again").is_some(),
            link,
        };
        match upstream::begin(app, provider, &Digest::of(browser.cookie()), purpose, now).await? {
            Some(url) => elsewhere(&url),
            None => turned(app, browser, &next, Turned::Unreachable),
        }
    })
    .await
}

async fn may_link(app: &App, browser: &Browser, now: Timestamp) -> Result<bool, PageError> {
    match &browser.session {
        Some((session, _)) => Ok(factors::may_change(app, session, now).await?),
        None => Ok(false),
    }
}

/// The provider sends the browser back.
pub async fn back(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let text = |name: &str| query.one(name).map(str::to_owned);
        let returned = Returned {
            browser: Digest::of(browser.cookie()),
            session: browser.session.as_ref().map(|(session, _)| session.clone()),
            state: Plain::new(text("state").unwrap_or_default()),
            code: text("code").map(Plain::new),
            error: text("error"),
            issuer: text("iss"),
            from: http::origin(parts),
        };
        let Some((purpose, finished)) = upstream::finish(app, id, returned, now).await? else {
            return redirect(app, &Next::Device { code: String::new() }.login_path(false));
        };
        let next = Next::named(&purpose.next, purpose.code.reveal());
        match finished {
            Finished::Yes(cookie) => go(app, &next.path(app), &cookie),
            Finished::Half(cookie) => go(app, &next.second_path(), &cookie),
            Finished::Linked(cookie) => go(app, &next.path(app), &cookie),
            Finished::Turned(Turned::NotLinked) => redirect(app, "/account?said=not-linked"),
            Finished::Turned(why) => turned(app, browser, &next, why),
        }
    })
    .await
}

/// The picture on its button.
pub async fn icon(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Response {
    let found = app.upstreams.find(&id).and_then(|upstream| upstream.config.icon.clone());
    let Some(icon) = found else { return super::missing(State(app), parts).await };
    let mut response = icon.bytes.to_vec().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(icon.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
