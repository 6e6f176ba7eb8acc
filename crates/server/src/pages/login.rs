//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use countersign_core::code::UserCode;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;

use super::assets;
use super::browser::Browser;
use super::factors::{PASSKEY_PATH, TOTP_PATH, answered, with_script};
use super::{Outcome, Page, PageError, count, get, is_own_path, post, redirect, render};
use crate::app::App;
use crate::cookie;
use crate::flow::factors::{self, Completed};
use crate::flow::login::{self, Credentials, SignedIn};
use crate::flow::upstream::Turned;
use crate::flow::{authorize, passkeys};
use crate::http::{self, Form};
use crate::upstream::Upstream;

/// Where to go after signing in: one of our own pages, never an address from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Device {
        code: String,
    },
    Account,
    /// Setting up an authenticator app; the code is what the person came for.
    Totp {
        code: String,
    },
    /// Adding a passkey.
    Passkey,
    /// Answering a question that this browser carries.
    Authorize {
        request: String,
    },
    /// A page for administrators: what follows `/admin`.
    Admin {
        page: String,
    },
}

impl Next {
    pub fn read(form: &Form) -> Self {
        let name = form.one("next").unwrap_or_default();
        let detail = form.one(if matches!(name, "authorize" | "admin") { "request" } else { "user_code" });
        Self::named(name, detail.unwrap_or_default())
    }

    /// `detail` is the code, the request or the page that belongs to it.
    pub fn named(name: &str, detail: &str) -> Self {
        let code = plausible(detail);
        match name {
            "account" => Self::Account,
            "admin" => Self::admin(detail),
            "totp" => Self::Totp { code },
            "passkey" => Self::Passkey,
            "authorize" if is_handle(detail) => Self::Authorize { request: detail.to_owned() },
            _ => Self::Device { code },
        }
    }

    /// `page` follows `/admin`; what leads out of there does not count.
    pub fn admin(page: &str) -> Self {
        // As a browser reads it: of dots there are several spellings.
        let read = url::Url::parse(&format!("http://localhost/admin{page}")).ok();
        let inside = read.is_some_and(|url| url.path() == "/admin" || url.path().starts_with("/admin/"));
        let fits = inside && page.len() <= PAGE_BYTES && is_own_path(&format!("/admin{page}"));
        Self::Admin { page: if fits { page.to_owned() } else { String::new() } }
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Device { .. } => "device",
            Self::Account => "account",
            Self::Totp { .. } => "totp",
            Self::Passkey => "passkey",
            Self::Authorize { .. } => "authorize",
            Self::Admin { .. } => "admin",
        }
    }

    /// The code that somebody came with.
    pub fn code(&self) -> &str {
        match self {
            Self::Device { code } | Self::Totp { code } => code,
            Self::Account | Self::Passkey | Self::Authorize { .. } | Self::Admin { .. } => "",
        }
    }

    /// The question that this browser carries, or the page that it wants.
    pub fn request(&self) -> &str {
        match self {
            Self::Authorize { request } => request,
            Self::Admin { page } => page,
            _ => "",
        }
    }

    /// Whichever of the two it has.
    pub fn detail(&self) -> &str {
        match self {
            Self::Authorize { .. } | Self::Admin { .. } => self.request(),
            other => other.code(),
        }
    }

    pub fn path(&self, app: &App) -> String {
        match self {
            Self::Account => "/account".to_owned(),
            Self::Admin { page } => format!("/admin{page}"),
            Self::Passkey => PASSKEY_PATH.to_owned(),
            Self::Totp { code } if code.is_empty() => TOTP_PATH.to_owned(),
            Self::Totp { code } => format!("{TOTP_PATH}?user_code={code}"),
            Self::Device { code } if code.is_empty() => app.config.device.verification_path.clone(),
            Self::Device { code } => format!("{}?user_code={code}", app.config.device.verification_path),
            Self::Authorize { request } => authorize::path(request),
        }
    }

    /// The sign-in page that leads there.
    pub fn login_path(&self, again: bool) -> String {
        let again = if again { "&again=yes" } else { "" };
        format!("/login?{}{again}", self.query())
    }

    /// The page for a second factor, which leads there.
    pub fn second_path(&self) -> String {
        format!("/login/second?{}", self.query())
    }

    fn passkey_path(&self) -> String {
        format!("/login/passkey?{}", self.query())
    }

    pub fn query(&self) -> String {
        match self {
            Self::Authorize { request } => format!("next={}&request={request}", self.name()),
            Self::Admin { page } if !page.is_empty() => {
                let page: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
                format!("next={}&request={page}", self.name())
            }
            other => match other.code() {
                "" => format!("next={}", self.name()),
                code => format!("next={}&user_code={code}", self.name()),
            },
        }
    }
}

/// No page of ours is called with more.
const PAGE_BYTES: usize = 500;

/// Whether it looks like a handle of ours.
fn is_handle(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A code as it may stand in a URL of ours: what can be one, in its bare form; else nothing.
pub fn plausible(typed: &str) -> String {
    UserCode::parse(typed).map_or_else(String::new, |code| code.as_str().to_owned())
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    page: Page,
    next: &'a str,
    code: &'a str,
    request: &'a str,
    username: String,
    notice: Notice,
    passwords: bool,
    providers: Vec<Provider>,
    /// Where one signs in with a passkey.
    passkey: Option<String>,
}

/// What stands above the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    None,
    Lead,
    Again,
    SignedOut,
    Wrong,
    /// A provider let nobody in.
    Turned(Turned),
}

/// A button that leads to an identity provider.
pub struct Provider {
    pub label: String,
    pub path: String,
    pub icon: Option<String>,
}

impl Provider {
    pub fn new(upstream: &Upstream, query: &str) -> Self {
        let path = format!("/login/upstream/{}", upstream.config.id);
        Self {
            label: upstream.label(),
            icon: upstream.config.icon.as_ref().map(|_| format!("{path}/icon")),
            path: format!("{path}?{query}"),
        }
    }
}

pub async fn login(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, show).await
}

async fn show(app: &Arc<App>, parts: &Parts, browser: &Browser, _: Timestamp) -> Outcome {
    let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
    let next = Next::read(&query);
    let again = query.one("again").is_some();
    let username = match browser.account() {
        Some(_) if !again => return redirect(app, &next.path(app)),
        account => account.map_or_else(String::new, |account| account.name.to_string()),
    };
    let notice = match next {
        _ if again => Notice::Again,
        _ if query.one("signed_out").is_some() => Notice::SignedOut,
        Next::Device { .. } => Notice::Lead,
        Next::Account | Next::Totp { .. } | Next::Passkey | Next::Authorize { .. } | Next::Admin { .. } => {
            Notice::None
        }
    };
    form(app, browser, &next, StatusCode::OK, username, notice)
}

/// The page again, after a provider let nobody in.
pub fn turned(app: &App, browser: &Browser, next: &Next, turned: Turned) -> Outcome {
    let status = match turned {
        Turned::Unreachable => StatusCode::BAD_GATEWAY,
        Turned::Cancelled
        | Turned::Wrong
        | Turned::NotAllowed
        | Turned::TooWeak
        | Turned::NotFresh
        | Turned::NotLinked => StatusCode::UNAUTHORIZED,
    };
    form(app, browser, next, status, String::new(), Notice::Turned(turned))
}

fn form(
    app: &App,
    browser: &Browser,
    next: &Next,
    status: StatusCode,
    username: String,
    notice: Notice,
) -> Outcome {
    let (page, name, code) = (Page::new(app, browser), next.name(), next.code());
    let request = next.request();
    let passkey = app.passkeys.is_possible().then(|| next.passkey_path());
    let again = if notice == Notice::Again { "&again=yes" } else { "" };
    let query = format!("{}{again}", next.query());
    let providers = app.upstreams.iter().map(|upstream| Provider::new(upstream, &query)).collect();
    let passwords = app.config.passwords;
    render(
        status,
        &LoginPage { page, next: name, code, request, username, notice, passwords, providers, passkey },
    )
}

pub async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, sent, now| {
        let next = Next::read(sent);
        let username = sent.one("username").unwrap_or_default().to_owned();
        let credentials = Credentials {
            name: username.clone(),
            password: Plain::new(sent.one("password").unwrap_or_default().to_owned()),
            known: cookie::read_known(app, &parts.headers).map(|known| Plain::new(known.to_owned())),
        };
        let (from, address) = (http::origin(parts), http::address(parts));
        match login::sign_in(app, credentials, Digest::of(browser.cookie()), from, address, now).await? {
            SignedIn::Yes { cookie, known } => Ok(be_known(app, known, go(app, &next.path(app), &cookie)?)),
            SignedIn::Half { cookie, known } => {
                Ok(be_known(app, known, go(app, &next.second_path(), &cookie)?))
            }
            SignedIn::Wrong => form(app, browser, &next, StatusCode::UNAUTHORIZED, username, Notice::Wrong),
            SignedIn::Limited(wait) => Err(PageError::Limited(wait)),
            SignedIn::Busy => Err(PageError::Busy),
            SignedIn::Off => form(app, browser, &next, StatusCode::FORBIDDEN, String::new(), Notice::None),
        }
    })
    .await
}

/// The next time, wrong passwords from elsewhere do not keep this browser out.
fn be_known(app: &App, known: Option<Plain>, mut response: Response) -> Response {
    if let Some(known) = known.and_then(|known| cookie::bake_known(app, known.reveal())) {
        response.headers_mut().append(header::SET_COOKIE, known);
    }
    response
}

/// Goes on with a new cookie.
pub fn go(app: &App, path: &str, cookie: &Plain) -> Outcome {
    Ok(with_cookie(app, redirect(app, path)?, cookie))
}

pub fn with_cookie(app: &App, mut response: Response, cookie: &Plain) -> Response {
    if let Some(cookie) = cookie::bake(app, cookie.reveal(), Some(app.config.session_ttl.as_secs())) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[derive(Template)]
#[template(path = "second.html")]
struct SecondPage<'a> {
    page: Page,
    next: &'a str,
    code: &'a str,
    request: &'a str,
    wrong: bool,
    /// What a browser is asked for one with, if there is one.
    passkey: Option<String>,
    script: &'static str,
}

async fn show_second(app: &App, browser: &Browser, next: &Next, wrong: bool, now: Timestamp) -> Outcome {
    let Some(account) = login::half(app, browser.cookie(), now).await? else {
        return redirect(app, &next.login_path(false));
    };
    let passkey = passkeys::begin_second(app, account, &Digest::of(browser.cookie()), now).await?;
    let (page, name, code) = (Page::new(app, browser), next.name(), next.code());
    let request = next.request();
    let script = assets::passkey_name();
    let status = if wrong { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    with_script(status, &SecondPage { page, next: name, code, request, wrong, passkey, script })
}

#[derive(Template)]
#[template(path = "passkey-login.html")]
struct PasskeyLoginPage<'a> {
    page: Page,
    next: &'a str,
    code: &'a str,
    request: &'a str,
    options: String,
    password: String,
    script: &'static str,
    wrong: bool,
}

/// Asking and answering both write something down, whoever comes.
async fn show_passkey(app: &App, browser: &Browser, next: &Next, wrong: bool, now: Timestamp) -> Outcome {
    let begun = passkeys::begin_sign_in(app, &Digest::of(browser.cookie()), now).await?;
    let Some(options) = begun else { return redirect(app, &next.login_path(false)) };
    let (page, name, code) = (Page::new(app, browser), next.name(), next.code());
    let request = next.request();
    let (password, script) = (next.login_path(false), assets::passkey_name());
    let status = if wrong { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    with_script(
        status,
        &PasskeyLoginPage { page, next: name, code, request, options, password, script, wrong },
    )
}

/// For whoever signs in without a password.
pub async fn passkey(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        count(app, &app.passkeys_per_address, "passkeys_per_address", parts)?;
        show_passkey(app, browser, &Next::read(&query), false, now).await
    })
    .await
}

/// The browser answers, with a password before or without.
pub async fn use_passkey(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, sent, now| {
        let next = Next::read(sent);
        count(app, &app.passkeys_per_address, "passkeys_per_address", parts)?;
        let half = sent.one("second").is_some() && login::half(app, browser.cookie(), now).await?.is_some();
        match passkeys::sign_in(app, answered(browser, sent, parts), half, now).await? {
            Completed::Yes(cookie) => go(app, &next.path(app), &cookie),
            Completed::Wrong if half => show_second(app, browser, &next, true, now).await,
            Completed::Wrong => show_passkey(app, browser, &next, true, now).await,
            Completed::Limited(wait) => Err(PageError::Limited(wait)),
            Completed::Over => redirect(app, &next.login_path(false)),
        }
    })
    .await
}

/// For whoever has shown a password and has yet to show something else.
pub async fn second(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        show_second(app, browser, &Next::read(&query), false, now).await
    })
    .await
}

pub async fn complete(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, sent, now| {
        let next = Next::read(sent);
        let typed = sent.one("totp").unwrap_or_default().to_owned();
        let (from, address) = (http::origin(parts), http::address(parts));
        match factors::complete(app, Digest::of(browser.cookie()), typed, from, address, now).await? {
            Completed::Yes(cookie) => go(app, &next.path(app), &cookie),
            Completed::Wrong => show_second(app, browser, &next, true, now).await,
            Completed::Limited(wait) => Err(PageError::Limited(wait)),
            Completed::Over => redirect(app, &next.login_path(false)),
        }
    })
    .await
}
