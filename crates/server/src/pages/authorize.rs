//! Answering a question that a browser carries: the confirm page, and the way back to the client.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::device::Visit;
use super::factors::step_up;
use super::login::Next;
use super::{Outcome, Page, PageError, ResultPage, get, redirect, render};
use crate::app::{App, Fault};
use crate::flow::authorize::{self, Refused};
use crate::flow::caller::{Caller, Proof};
use crate::flow::decide;
use crate::http::{self, Form};

/// A path of ours, and what it says when nobody can be asked.
pub async fn authorize(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let refused = query.one("refused").unwrap_or_default();
        if let Some(refused) = Refused::ALL.into_iter().find(|known| known.name() == refused) {
            return say(Page::new(app, browser), refused);
        }
        let handle = query.one("request").unwrap_or_default();
        let Some(asking) = authorize::find(app, handle, now).await? else {
            return say(Page::new(app, browser), Refused::Expired);
        };
        let next = Next::Authorize { request: handle.to_owned() };
        let Some((session, account)) = browser.session.clone() else {
            return redirect(app, &next.login_path(false));
        };
        let caller = Caller { account, proof: Proof::Session(session) };
        let address = http::address(parts);
        if decide::opened(app, &asking.found.grant, &caller.account, address, now).await? {
            return say(Page::new(app, browser), Refused::Expired);
        }
        let here = http::origin(parts);
        if let Some(lacking) = decide::lacks(app, &caller, &asking.found, &here, now).await? {
            return step_up(app, &caller, lacking, &next).await;
        }
        let visit = Visit { linked: false, app, parts, browser, caller: &caller, now };
        visit.confirm(&asking.found, "", false)
    })
    .await
}

fn say(page: Page, refused: Refused) -> Outcome {
    let text = match refused {
        Refused::Client => "authorize-refused-client",
        Refused::RedirectUri => "authorize-refused-redirect",
        Refused::Expired => "authorize-refused-expired",
    };
    let (title, text) = ("authorize-refused-title", page.t(text));
    render(StatusCode::BAD_REQUEST, &ResultPage { page, title, text, pin: None, undo: None })
}

/// Sends the browser to somebody else's address.
pub fn elsewhere(url: &str) -> Outcome {
    let location =
        HeaderValue::try_from(url).map_err(|error| PageError::Fault(Fault::Page(error.to_string())))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Where the answer goes, as people should read it.
pub fn host(redirect_uri: &str) -> String {
    let Ok(url) = Url::parse(redirect_uri) else { return redirect_uri.to_owned() };
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) => host.to_owned(),
        (scheme, _) => scheme.to_owned(),
    }
}

/// Browsers hold forms to this even where the answer leads elsewhere, so the address must be let through.
pub fn let_through(response: &mut Response, url: &str) {
    let Ok(url) = Url::parse(url) else { return };
    let source = match url.scheme() {
        "http" | "https" => url.origin().ascii_serialization(),
        scheme => format!("{scheme}:"),
    };
    let csp = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {source}; frame-ancestors 'none'; base-uri 'none'"
    );
    if let Ok(csp) = HeaderValue::try_from(csp) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
    }
}
