//! Signing out, also at a client's wish.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::authorize::{elsewhere, let_through};
use super::{Page, PageError, get, post, redirect, render};
use crate::app::App;
use crate::cookie;
use crate::flow::{authorize, login};
use crate::http::Form;

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage {
    page: Page,
    client: String,
    uri: String,
    state: String,
}

/// Where the browser goes afterwards, if a client may say so.
async fn afterwards(app: &App, form: &Form) -> Result<Option<String>, PageError> {
    let uri = form.one("post_logout_redirect_uri");
    Ok(authorize::after_logout(app, form.one("client_id"), uri, form.one("state")).await?)
}

/// A link to sign out asks first: only a form of ours may end a session.
pub async fn logout(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, _| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let after = afterwards(app, &query).await?;
        match (browser.account(), after) {
            (None, Some(url)) => elsewhere(&url),
            (None, None) => redirect(app, "/login?next=account&signed_out=yes"),
            (Some(_), after) => {
                let text =
                    |name: &str| query.one(name).filter(|_| after.is_some()).unwrap_or_default().to_owned();
                let shown = LogoutPage {
                    page: Page::new(app, browser),
                    client: text("client_id"),
                    uri: text("post_logout_redirect_uri"),
                    state: text("state"),
                };
                let mut response = render(StatusCode::OK, &shown)?;
                if let Some(url) = after {
                    let_through(&mut response, &url);
                }
                Ok(response)
            }
        }
    })
    .await
}

pub async fn leave(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, _, browser, form, now| {
        if let Some(account) = browser.account() {
            login::sign_out(app, browser.cookie(), account, now).await?;
        }
        let mut response = match afterwards(app, form).await? {
            Some(url) => elsewhere(&url)?,
            None => redirect(app, "/login?next=account&signed_out=yes")?,
        };
        if let Some(cookie) = cookie::bake(app, "", Some(0)) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    })
    .await
}
