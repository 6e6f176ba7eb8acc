//! `/account`: everything that a person has connected, and how to disconnect it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::account::Account;
use countersign_core::scope::Scopes;
use countersign_core::time::Timestamp;

use super::browser::Browser;
use super::device::scope_words;
use super::lang::Lang;
use super::login::Next;
use super::{Outcome, Page, PageError, date, get, post, redirect, render};
use crate::app::App;
use crate::flow::devices::{self, Device, Status};
use crate::http::{self, BadForm};

struct Line {
    id: String,
    name: String,
    created: String,
    used: String,
    address: String,
    user_agent: String,
    scopes: String,
    status: &'static str,
}

fn line(lang: &Lang, device: Device) -> Line {
    let scopes = Scopes::from_names(&device.scopes).unwrap_or_default();
    Line {
        id: device.id.to_string(),
        created: date(lang, Some(device.created_at)),
        used: date(lang, device.last_used),
        address: device.address,
        user_agent: device.user_agent.unwrap_or_else(|| lang.text("unknown")),
        scopes: scope_words(lang, &scopes).join(", "),
        name: device.name,
        status: match device.status {
            Status::Active => "status-active",
            Status::Expired => "status-expired",
            Status::Revoked => "status-revoked",
        },
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    page: Page,
    live: Vec<Line>,
    ended: Vec<Line>,
    said: Option<&'static str>,
}

/// Ended devices that are shown; the newest come first.
const ENDED: usize = 20;

async fn list(
    app: &App,
    browser: &Browser,
    account: &Account,
    status: StatusCode,
    said: Option<&'static str>,
    now: Timestamp,
) -> Outcome {
    let page = Page::new(app, browser);
    let (mut live, mut ended) = (Vec::new(), Vec::new());
    for device in devices::of_account(app, account, now).await? {
        match device.status {
            Status::Active => live.push(line(&page.lang, device)),
            Status::Expired | Status::Revoked if ended.len() < ENDED => ended.push(line(&page.lang, device)),
            Status::Expired | Status::Revoked => {}
        }
    }
    render(status, &AccountPage { page, live, ended, said })
}

pub async fn account(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, _, browser, now| match browser.account() {
        Some(account) => list(app, browser, account, StatusCode::OK, None, now).await,
        None => redirect(app, &Next::Account.login_path(false)),
    })
    .await
}

pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, form, now| {
        let Some(account) = browser.account() else {
            return redirect(app, &Next::Account.login_path(false));
        };
        let address = http::address(parts).to_string();
        let (status, said) = match form.one("action") {
            Some("revoke_all") => {
                devices::revoke_all_own(app, account, &address, now).await?;
                (StatusCode::OK, "account-revoked-all")
            }
            Some("revoke") => {
                let id = form.one("device_id").and_then(|id| id.parse().ok());
                let revoked = match id {
                    Some(id) => devices::revoke_own(app, account, id, &address, now).await?,
                    None => false,
                };
                if revoked {
                    (StatusCode::OK, "account-revoked")
                } else {
                    (StatusCode::NOT_FOUND, "account-revoke-missing")
                }
            }
            _ => return Err(PageError::Form(BadForm::Broken)),
        };
        list(app, browser, account, status, Some(said), now).await
    })
    .await
}
