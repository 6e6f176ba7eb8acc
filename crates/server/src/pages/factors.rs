//! Setting up, and giving up, what people sign in with beside their password.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::account::{Account, Session};
use countersign_core::secret::{Digest, Plain};
use countersign_core::text::label;
use countersign_core::time::Timestamp;
use qrcode::{Color, EcLevel, QrCode};

use super::account::WITH_SCRIPT;
use super::assets;
use super::browser::Browser;
use super::login::{Next, go, plausible, with_cookie};
use super::{Outcome, Page, PageError, get, post, redirect, render};
use crate::app::{App, Fault};
use crate::cookie;
use crate::flow::caller::Caller;
use crate::flow::factors::{self, Confirmed, Enrolment};
use crate::flow::passkeys::{self, Answered, Registered};
use crate::flow::policy::Lacking;
use crate::http::{self, Form};

pub const TOTP_PATH: &str = "/account/totp";
pub const PASSKEY_PATH: &str = "/account/passkey";

#[derive(Template)]
#[template(path = "totp.html")]
struct TotpPage<'a> {
    page: Page,
    /// Modules along a side, quiet zone included, and the dark ones as a path.
    size: usize,
    modules: String,
    uri: &'a str,
    secret: String,
    code: &'a str,
    demanded: bool,
    wrong: bool,
}

#[derive(Template)]
#[template(path = "recovery.html")]
struct RecoveryPage {
    page: Page,
    codes: Vec<String>,
    next: String,
}

/// Light modules around the code (ISO/IEC 18004).
const QUIET: usize = 4;

/// A QR code as an SVG path.
fn qr(text: &str) -> Result<(usize, String), PageError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| PageError::Fault(Fault::Page(error.to_string())))?;
    let width = code.width();
    let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
    let modules = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET));
    Ok((width + 2 * QUIET, modules.collect()))
}

/// The secret in groups, as people type it.
fn grouped(secret: &str) -> String {
    let symbols: Vec<char> = secret.chars().collect();
    symbols.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn show(
    app: &App,
    browser: &Browser,
    account: &Account,
    enrolment: &Enrolment,
    code: &str,
    wrong: bool,
) -> Outcome {
    let (size, modules) = qr(enrolment.uri.reveal())?;
    let shown = TotpPage {
        page: Page::new(app, browser),
        size,
        modules,
        uri: enrolment.uri.reveal(),
        secret: grouped(enrolment.secret.reveal()),
        code,
        demanded: app.config.second_factor.is_demanded_of(account),
        wrong,
    };
    render(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &shown)
}

/// Shows a key to an authenticator app.
pub async fn totp(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let code = plausible(query.one("user_code").unwrap_or_default());
        let next = Next::Totp { code: code.clone() };
        let Some((session, account)) = &browser.session else {
            return redirect(app, &next.login_path(false));
        };
        if !factors::may_change(app, session, now).await? {
            return redirect(app, &next.login_path(true));
        }
        match factors::begin_totp(app, session, account, now).await? {
            Some(enrolment) => show(app, browser, account, &enrolment, &code, false),
            None => redirect(app, &Next::Account.path(app)),
        }
    })
    .await
}

/// A code of the app shows that it was set up right.
pub async fn enrol(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, sent, now| {
        let code = plausible(sent.one("user_code").unwrap_or_default());
        let next = Next::Totp { code: code.clone() };
        let Some((session, account)) = browser.session.clone() else {
            return redirect(app, &next.login_path(false));
        };
        let typed = sent.one("totp").unwrap_or_default().to_owned();
        let (from, address) = (http::origin(parts), http::address(parts));
        match factors::confirm_totp(app, session.clone(), account.clone(), typed, from, address, now).await? {
            Confirmed::Done { codes, cookie } => {
                if codes.is_empty() {
                    return go(app, &Next::Account.path(app), &cookie);
                }
                let next = if code.is_empty() { Next::Account } else { Next::Device { code } };
                recovery(app, browser, &codes, &next, Some(&cookie))
            }
            Confirmed::Wrong => match factors::begin_totp(app, &session, &account, now).await? {
                Some(enrolment) => show(app, browser, &account, &enrolment, &code, true),
                None => redirect(app, &Next::Account.path(app)),
            },
            Confirmed::Limited(wait) => Err(PageError::Limited(wait)),
            Confirmed::Refused => redirect(app, &next.login_path(true)),
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "passkey.html")]
struct PasskeyPage {
    page: Page,
    script: &'static str,
    options: String,
    wrong: bool,
}

/// A page with the script that asks the browser for a passkey.
pub fn with_script(status: StatusCode, template: &impl Template) -> Outcome {
    let mut response = render(status, template)?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, WITH_SCRIPT);
    Ok(response)
}

async fn show_passkey(
    app: &App,
    browser: &Browser,
    account: &Account,
    wrong: bool,
    now: Timestamp,
) -> Outcome {
    let begun = passkeys::begin_registration(app, account, &Digest::of(browser.cookie()), now).await?;
    let Some(options) = begun else { return redirect(app, &Next::Account.path(app)) };
    let script = assets::passkey_name();
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    with_script(status, &PasskeyPage { page: Page::new(app, browser), script, options, wrong })
}

/// Has the browser make a passkey.
pub async fn passkey(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, _, browser, now| {
        let Some((session, account)) = &browser.session else {
            return redirect(app, &Next::Passkey.login_path(false));
        };
        if !factors::may_change(app, session, now).await? {
            return redirect(app, &Next::Passkey.login_path(true));
        }
        show_passkey(app, browser, account, false, now).await
    })
    .await
}

pub async fn add_passkey(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, sent, now| {
        let Some((session, account)) = &browser.session else {
            return redirect(app, &Next::Passkey.login_path(false));
        };
        let name =
            sent.one("name").and_then(label).unwrap_or_else(|| browser.lang.text("passkey-name-default"));
        let answered = answered(browser, sent, parts);
        match passkeys::finish_registration(app, session.clone(), name, answered, now).await? {
            Registered::Done { codes, cookie } if codes.is_empty() => {
                go(app, &Next::Account.path(app), &cookie)
            }
            Registered::Done { codes, cookie } => {
                recovery(app, browser, &codes, &Next::Account, Some(&cookie))
            }
            Registered::Wrong => show_passkey(app, browser, account, true, now).await,
            Registered::Refused => redirect(app, &Next::Passkey.login_path(true)),
        }
    })
    .await
}

/// What the browser says to what it was asked.
pub fn answered(browser: &Browser, sent: &Form, parts: &Parts) -> Answered {
    Answered {
        browser: Digest::of(browser.cookie()),
        credential: sent.one("credential").unwrap_or_default().to_owned(),
        from: http::origin(parts),
    }
}

/// `cookie` is the session's new one, if it has one.
fn recovery(app: &App, browser: &Browser, codes: &[Plain], next: &Next, cookie: Option<&Plain>) -> Outcome {
    let mut page = Page::new(app, browser);
    if let Some(cookie) = cookie {
        page.csrf = cookie::csrf(app, cookie.reveal());
    }
    let codes = codes.iter().map(|code| code.reveal().to_owned()).collect();
    let response = render(StatusCode::CREATED, &RecoveryPage { page, codes, next: next.path(app) })?;
    Ok(match cookie {
        Some(cookie) => with_cookie(app, response, cookie),
        None => response,
    })
}

/// From `/account`: other recovery codes.
pub async fn new_codes(
    app: &App,
    browser: &Browser,
    session: &Session,
    parts: &Parts,
    now: Timestamp,
) -> Outcome {
    match factors::new_recovery_codes(app, session, &http::origin(parts), now).await? {
        Some(codes) => recovery(app, browser, &codes, &Next::Account, None),
        None => redirect(app, &Next::Account.login_path(true)),
    }
}

/// Where somebody goes whose sign-in is not enough: to sign in anew, or to set up what they would sign in
/// with.
pub async fn step_up(app: &App, caller: &Caller, lacking: Lacking, next: &Next) -> Outcome {
    let enrolled = factors::of(app, caller.account.id).await?.any();
    match lacking {
        Lacking::SecondFactor if !enrolled => {
            redirect(app, &Next::Totp { code: next.code().to_owned() }.path(app))
        }
        Lacking::SecondFactor | Lacking::Freshness => redirect(app, &next.login_path(true)),
    }
}
