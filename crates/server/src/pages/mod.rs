//! The pages that people see: server-rendered, without scripts, in their language.

mod account;
pub mod admin;
mod assets;
mod authorize;
mod browser;
mod changes;
mod device;
mod factors;
mod lang;
mod login;
mod logout;
mod revoke;
mod upstream;

use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use countersign_core::time::{Timestamp, ceil_secs};
use fluent_templates::fluent_bundle::FluentValue;
use std::sync::Arc;

pub use self::account::account;
pub use self::assets::{asset, style_name};
pub use self::authorize::authorize;
use self::browser::Browser;
pub use self::changes::{change, connecting};
pub use self::device::place;
pub use self::device::{device, enter};
pub use self::factors::{add_passkey, enrol, passkey as new_passkey, totp};
pub use self::lang::{LANGUAGES, Lang};
pub use self::login::{complete, login, passkey, second, sign_in, use_passkey};
pub use self::logout::{leave, logout};
pub use self::revoke::{ask, follow};
pub use self::upstream::{back, begin, icon};
use crate::app::{App, Fault};
use crate::cookie;
use crate::http::{self, BadForm, Form, RequestIdOf};
use crate::limits::{self, PerMinute};

/// What every page shows around its own content.
#[derive(Debug)]
struct Page {
    lang: Lang,
    base: String,
    style: &'static str,
    verification_path: String,
    csrf: String,
    name: Option<String>,
    path: String,
}

impl Page {
    fn new(app: &App, browser: &Browser) -> Self {
        Self {
            lang: browser.lang.clone(),
            base: app.public_url.base_path().to_owned(),
            style: style_name(),
            verification_path: app.config.device.verification_path.clone(),
            csrf: browser.csrf(app),
            name: browser.account().map(|account| account.name.to_string()),
            path: browser.path.clone(),
        }
    }

    fn languages(&self) -> Vec<(&'static str, &'static str, bool)> {
        self.lang.all()
    }

    fn t(&self, key: &str) -> String {
        self.lang.text(key)
    }

    fn t1(&self, key: &str, name: &'static str, value: &str) -> String {
        self.lang.text_with(key, &[(name, FluentValue::from(value))])
    }

    fn t2(&self, key: &str, name: &'static str, value: &str, other: &'static str, second: &str) -> String {
        self.lang.text_with(key, &[(name, FluentValue::from(value)), (other, FluentValue::from(second))])
    }

    fn t3(&self, key: &str, values: [(&'static str, String); 3]) -> String {
        self.lang.text_with(key, &values.map(|(name, value)| (name, FluentValue::from(value))))
    }
}

/// What a page says when it cannot do what was asked.
#[derive(Debug)]
enum PageError {
    Form(BadForm),
    /// The form did not come from one of our pages.
    Forged,
    Limited(Duration),
    Busy,
    Missing,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for PageError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

type Outcome = Result<Response, PageError>;

/// A sentence under a heading, with a way back.
#[derive(Template)]
#[template(path = "result.html")]
struct ResultPage<'a> {
    page: Page,
    title: &'a str,
    text: String,
    /// What must be typed on the device.
    pin: Option<String>,
    undo: Option<String>,
}

/// A GET handler's frame: loads the browser, runs `inner`, turns errors into pages.
async fn get<F>(app: Arc<App>, parts: Parts, inner: F) -> Response
where
    F: AsyncFnOnce(&Arc<App>, &Parts, &Browser, Timestamp) -> Outcome,
{
    let now = app.clock.now();
    match Browser::load(&app, &parts, now).await {
        Ok(browser) => {
            let outcome = inner(&app, &parts, &browser, now).await;
            finish(&app, &parts, &browser, outcome)
        }
        Err(fault) => broken(&fault),
    }
}

/// A POST handler's frame: the same, with a form that was checked to be ours.
async fn post<F>(app: Arc<App>, request: Request, inner: F) -> Response
where
    F: AsyncFnOnce(&Arc<App>, &Parts, &Browser, &Form, Timestamp) -> Outcome,
{
    let (parts, form) = match Form::read(request).await {
        Ok((parts, form)) => (parts, Ok(form)),
        Err((parts, bad)) => (parts, Err(bad)),
    };
    // After the body: who sends slowly must not be judged by the time at which they began.
    let now = app.clock.now();
    let browser = match Browser::load(&app, &parts, now).await {
        Ok(browser) => browser,
        Err(fault) => return broken(&fault),
    };
    let outcome = match form.map_err(PageError::Form) {
        Ok(form) => match browser.check(&app, &parts, &form) {
            Ok(()) => inner(&app, &parts, &browser, &form, now).await,
            Err(forged) => Err(forged),
        },
        Err(bad) => Err(bad),
    };
    finish(&app, &parts, &browser, outcome)
}

fn finish(app: &App, parts: &Parts, browser: &Browser, outcome: Outcome) -> Response {
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => error_page(app, parts, browser, &error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = browser.set_cookie(app)
        && !headers.contains_key(header::SET_COOKIE)
    {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// When not even the browser's session can be looked up.
fn broken(fault: &Fault) -> Response {
    tracing::error!(error = %fault, "a page failed");
    if fault.is_passing() {
        let wait = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, wait, "Not available for the moment. Please try again.")
            .into_response();
    }
    (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here. Please try again.").into_response()
}

fn render(status: StatusCode, template: &impl Template) -> Outcome {
    let html = template.render().map_err(|error| PageError::Fault(Fault::Page(error.to_string())))?;
    Ok((status, Html(html)).into_response())
}

fn error_page(app: &App, parts: &Parts, browser: &Browser, error: &PageError) -> Response {
    let page = Page::new(app, browser);
    let (status, title, text) = match error {
        PageError::Form(bad) => {
            let status = match bad {
                BadForm::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BadForm::TooSlow => StatusCode::REQUEST_TIMEOUT,
                BadForm::Broken | BadForm::ContentType(_) | BadForm::Encoding | BadForm::Repeated(_) => {
                    StatusCode::BAD_REQUEST
                }
            };
            (status, "error-form-title", page.t1("error-form-text", "why", &bad.to_string()))
        }
        PageError::Forged => (StatusCode::FORBIDDEN, "error-forged-title", page.t("error-forged-text")),
        PageError::Limited(wait) => {
            (StatusCode::TOO_MANY_REQUESTS, "error-limited-title", wait_words(&page, *wait))
        }
        PageError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "error-busy-title", page.t("error-busy-text")),
        PageError::Missing => (StatusCode::NOT_FOUND, "error-missing-title", page.t("error-missing-text")),
        PageError::Fault(fault) if fault.is_passing() => {
            tracing::error!(error = %fault, "a page failed");
            (StatusCode::SERVICE_UNAVAILABLE, "error-away-title", page.t("error-away-text"))
        }
        PageError::Fault(fault) => {
            tracing::error!(error = %fault, "a page failed");
            let id = parts.extensions.get::<RequestIdOf>().map_or_else(String::new, |id| id.0.to_string());
            (StatusCode::INTERNAL_SERVER_ERROR, "error-fault-title", page.t1("error-fault-text", "id", &id))
        }
    };
    let wait = match error {
        PageError::Limited(wait) => Some(ceil_secs(*wait)),
        PageError::Busy => Some(5),
        PageError::Fault(fault) if fault.is_passing() => Some(1),
        PageError::Form(_) | PageError::Forged | PageError::Missing | PageError::Fault(_) => None,
    };
    let rendered = render(status, &ResultPage { page, title, text, pin: None, undo: None });
    let mut response = rendered.unwrap_or_else(|_| status.into_response());
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn wait_words(page: &Page, wait: Duration) -> String {
    match ceil_secs(wait) {
        seconds @ 0..=90 => page.lang.count("error-limited-text", seconds),
        seconds => page.lang.count("error-limited-minutes", seconds.div_ceil(60)),
    }
}

/// Counts one sign-in that this address begins.
fn count(app: &App, limit: &PerMinute, name: &'static str, parts: &Parts) -> Result<(), PageError> {
    if !app.config.limits.enabled {
        return Ok(());
    }
    limit.check(&limits::address_key(http::address(parts))).map_err(|wait| {
        app.metrics.refused(name);
        PageError::Limited(wait)
    })
}

/// `303 See Other` to one of our own paths.
fn redirect(app: &App, path: &str) -> Outcome {
    let target = format!("{}{path}", app.public_url.base_path());
    let location =
        HeaderValue::try_from(target).map_err(|error| PageError::Fault(Fault::Page(error.to_string())))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn date(lang: &Lang, at: Option<Timestamp>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_microsecond(at.micros()).ok());
    at.map_or_else(|| lang.text("unknown"), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Another language, from now on, and back to where somebody was.
pub async fn language(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, _, _, sent, _| {
        let lang = sent.one("lang").and_then(Lang::named).ok_or(PageError::Form(BadForm::Broken))?;
        let back = sent.one("back").filter(|back| is_own_path(back)).unwrap_or("/account");
        let mut response = redirect(app, back)?;
        if let Some(cookie) = cookie::bake_language(app, &lang.code()) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    })
    .await
}

/// A path here, and nowhere else.
fn is_own_path(path: &str) -> bool {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    path.starts_with('/') && !path.starts_with("//") && plain && path.len() <= 1024
}

/// `/`: most people who get here hold a device with a code.
pub async fn home(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, _, _, _| redirect(app, &app.config.device.verification_path)).await
}

pub async fn missing(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |_, _, _, _| Err(PageError::Missing)).await
}
