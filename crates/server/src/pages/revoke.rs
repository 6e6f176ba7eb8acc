//! The link of a notice: disconnects one device, once, for whoever has it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use super::device::place;
use super::{Outcome, Page, ResultPage, get, post, render};
use crate::app::App;
use crate::flow::notices;
use crate::http::{self, PathId};
use crate::pages::browser::Browser;

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    page: Page,
    token: String,
    lead: String,
    address: String,
    user_agent: String,
    connected: String,
}

fn ended(app: &App, browser: &Browser) -> Outcome {
    let page = Page::new(app, browser);
    let text = page.t("revoke-ended-text");
    let title = "revoke-ended-title";
    render(StatusCode::NOT_FOUND, &ResultPage { page, title, text, pin: None, undo: None })
}

/// Asks first: mail programs open links by themselves.
pub async fn ask(State(app): State<Arc<App>>, PathId(token): PathId, parts: Parts) -> Response {
    get(app, parts, async |app, _, browser, now| {
        let Some((_, account, device)) = notices::linked(app, &token, now).await? else {
            return ended(app, browser);
        };
        let page = Page::new(app, browser);
        let name = account.name.to_string();
        let shown = RevokePage {
            lead: page.t2("revoke-lead", "device", &device.name, "name", &name),
            address: place(app, &page.lang, &device.from.address),
            user_agent: device.from.user_agent.unwrap_or_else(|| page.t("unknown")),
            connected: super::date(&page.lang, Some(device.created_at)),
            token,
            page,
        };
        render(StatusCode::OK, &shown)
    })
    .await
}

pub async fn follow(State(app): State<Arc<App>>, PathId(token): PathId, request: Request) -> Response {
    post(app, request, async |app, parts, browser, _, now| {
        if !notices::follow(app, &token, &http::origin(parts), now).await? {
            return ended(app, browser);
        }
        let page = Page::new(app, browser);
        let text = page.t("undone-text");
        render(StatusCode::OK, &ResultPage { page, title: "revoke-done-title", text, pin: None, undo: None })
    })
    .await
}
