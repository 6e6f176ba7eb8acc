//! What people do on `/account`: disconnect, rename and make things, and change how they sign in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{Account, Session};
use countersign_core::id::GrantId;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain};
use countersign_core::text::label;
use countersign_core::time::{Timestamp, ceil_secs};

use super::account::{WITH_SCRIPT, list};
use super::browser::Browser;
use super::factors::{PASSKEY_PATH, TOTP_PATH, new_codes, step_up};
use super::login::{Next, go};
use super::{Outcome, Page, PageError, assets, date, get, post, redirect, render};
use crate::app::App;
use crate::flow::api_keys::{self, Order};
use crate::flow::caller::{Caller, Proof};
use crate::flow::policy::Sufficient;
use crate::flow::reverse::{self, Making};
use crate::flow::sessions::{self, Changed};
use crate::flow::upstream::{self, Unlinked};
use crate::flow::{devices, factors, nodes, passkeys};
use crate::http::{self, BadForm, Form, PathId};

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    page: Page,
    script: &'static str,
    server: String,
    grant: String,
    state: Connecting,
}

/// Shows a new key, this once.
#[derive(Template)]
#[template(path = "key.html")]
struct KeyPage {
    page: Page,
    name: String,
    key: String,
    ends: String,
}

enum Connecting {
    Waiting { code: String, seconds: u64, left: String },
    Used(String),
    Over,
}

/// What a form came to.
enum Done {
    /// The page again, with a sentence.
    Said(StatusCode, &'static str),
    Gone(Response),
}

fn again(app: &App) -> Result<Done, PageError> {
    redirect(app, &Next::Account.login_path(true)).map(Done::Gone)
}

pub async fn change(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, form, now| {
        let Some((session, account)) = &browser.session else {
            return redirect(app, &Next::Account.login_path(false));
        };
        let change = Change { app, parts, browser, session, account, form, now };
        let action = form.one("action").unwrap_or_default();
        let done = match change.devices(action).await? {
            Some(done) => done,
            None => change.sign_ins(action).await?,
        };
        match done {
            Done::Said(status, said) => list(app, browser, account, status, Some(said), now).await,
            Done::Gone(response) => Ok(response),
        }
    })
    .await
}

/// One form of a signed-in person.
struct Change<'a> {
    app: &'a Arc<App>,
    parts: &'a Parts,
    browser: &'a Browser,
    session: &'a Session,
    account: &'a Account,
    form: &'a Form,
    now: Timestamp,
}

impl Change<'_> {
    /// What is about devices and keys, if it is.
    async fn devices(&self, action: &str) -> Result<Option<Done>, PageError> {
        let Self { app, parts, browser, account, form, now, .. } = *self;
        let address = http::address(parts).to_string();
        let device = form.one("device_id").and_then(|id| id.parse().ok());
        let missing = Done::Said(StatusCode::NOT_FOUND, "account-revoke-missing");
        Ok(Some(match action {
            "connect" => Done::Gone(connect(app, browser, parts, now).await?),
            "make_key" => Done::Gone(make_key(app, browser, parts, form, now).await?),
            "rename" => match (device, form.one("name").and_then(label)) {
                (_, None) => Done::Said(StatusCode::UNPROCESSABLE_ENTITY, "account-key-name-wrong"),
                (Some(id), Some(name))
                    if nodes::rename_own(app, account, id, &name, &address, now).await? =>
                {
                    Done::Said(StatusCode::OK, "account-renamed")
                }
                _ => missing,
            },
            "revoke_all" => {
                devices::revoke_all_own(app, account, &address, now).await?;
                Done::Said(StatusCode::OK, "account-revoked-all")
            }
            "revoke" => match device {
                Some(id) if devices::revoke_own(app, account, id, &address, now).await? => {
                    Done::Said(StatusCode::OK, "account-revoked")
                }
                _ => missing,
            },
            _ => return Ok(None),
        }))
    }

    /// What is about how somebody signs in.
    async fn sign_ins(&self, action: &str) -> Result<Done, PageError> {
        let Self { app, parts, browser, session, account, form, now } = *self;
        let from = http::origin(parts);
        let passkey = form.one("passkey_id").and_then(|id| id.parse().ok());
        let passkey = passkey.ok_or(PageError::Form(BadForm::Broken));
        let ok = |said| Ok(Done::Said(StatusCode::OK, said));
        match action {
            "passkey" => redirect(app, PASSKEY_PATH).map(Done::Gone),
            "totp" => redirect(app, TOTP_PATH).map(Done::Gone),
            "recovery_codes" => new_codes(app, browser, session, parts, now).await.map(Done::Gone),
            "totp_remove" => match factors::remove_totp(app, session, &from, now).await? {
                Some(cookie) => go(app, "/account?said=totp-removed", &cookie).map(Done::Gone),
                None => again(app),
            },
            "passkey_rename" => {
                let name = form
                    .one("name")
                    .and_then(label)
                    .unwrap_or_else(|| browser.lang.text("passkey-name-default"));
                let renamed = passkeys::rename(app, session, passkey?, &name, &from, now).await?;
                if renamed { ok("account-renamed") } else { again(app) }
            }
            "passkey_remove" => match passkeys::remove(app, session, passkey?, &from, now).await? {
                Some(cookie) => go(app, "/account?said=passkey-removed", &cookie).map(Done::Gone),
                None => self.last_or_again().await,
            },
            "session_end" => {
                let ended = match form.one("session_id").and_then(session_id) {
                    Some(id) => sessions::end(app, session, &id, &from, now).await?,
                    None => false,
                };
                if ended {
                    ok("account-session-ended")
                } else {
                    Ok(Done::Said(StatusCode::NOT_FOUND, "account-session-missing"))
                }
            }
            "session_end_all" if sessions::end_others(app, session, &from, now).await? => {
                ok("account-sessions-ended")
            }
            "session_end_all" => again(app),
            "password" => {
                let new = Plain::new(form.one("new_password").unwrap_or_default().to_owned());
                match sessions::change_password(app, session, account, new, &from, now).await? {
                    Changed::Done(cookie) => go(app, "/account?said=password", &cookie).map(Done::Gone),
                    Changed::Unfit => {
                        Ok(Done::Said(StatusCode::UNPROCESSABLE_ENTITY, "account-password-unfit"))
                    }
                    Changed::Refused => again(app),
                    Changed::Busy => Err(PageError::Busy),
                }
            }
            "unlink" => {
                let id = form.one("upstream_id").unwrap_or_default();
                let provider = app.upstreams.find(id).ok_or(PageError::Form(BadForm::Broken))?;
                match upstream::unlink(app, session, provider, &from, now).await? {
                    Unlinked::Yes(cookie) => go(app, "/account?said=unlinked", &cookie).map(Done::Gone),
                    Unlinked::Last => Ok(Done::Said(StatusCode::CONFLICT, "account-unlink-last")),
                    Unlinked::Refused => again(app),
                }
            }
            _ => Err(PageError::Form(BadForm::Broken)),
        }
    }

    /// Nothing was taken away: the session may not, or nothing else would be left to sign in with.
    async fn last_or_again(&self) -> Result<Done, PageError> {
        if factors::may_change(self.app, self.session, self.now).await? {
            return Ok(Done::Said(StatusCode::CONFLICT, "account-unlink-last"));
        }
        again(self.app)
    }
}

fn session_id(text: &str) -> Option<Digest> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// Makes a key that its person keeps by hand, without scopes.
async fn make_key(app: &Arc<App>, browser: &Browser, parts: &Parts, form: &Form, now: Timestamp) -> Outcome {
    let Some((session, account)) = browser.session.clone() else {
        return redirect(app, &Next::Account.login_path(false));
    };
    let Some(name) = form.one("name").and_then(label) else {
        let said = Some("account-key-name-wrong");
        return list(app, browser, &account, StatusCode::UNPROCESSABLE_ENTITY, said, now).await;
    };
    let caller = Caller { account, proof: Proof::Session(session) };
    let able = match Sufficient::check(app, &caller, &http::origin(parts), now).await? {
        Ok(able) => able,
        Err(lacking) => return step_up(app, &caller, lacking, &Next::Account).await,
    };
    let order = Order { name, scopes: Scopes::default(), lifetime: None };
    match api_keys::create(app, able, order, http::origin(parts), now).await? {
        Some((plain, key)) => {
            let page = Page::new(app, browser);
            let ends = date(&page.lang, Some(key.expires_at));
            let shown = KeyPage { page, name: key.name, key: plain.reveal().to_owned(), ends };
            render(StatusCode::CREATED, &shown)
        }
        None => redirect(app, &Next::Account.login_path(false)),
    }
}

/// *Connect a command line*: makes a code and leads to the page that shows it.
async fn connect(app: &Arc<App>, browser: &Browser, parts: &Parts, now: Timestamp) -> Outcome {
    let Some((session, account)) = browser.session.clone() else {
        return redirect(app, &Next::Account.login_path(false));
    };
    let caller = Caller { account, proof: Proof::Session(session) };
    let able = match Sufficient::check(app, &caller, &http::origin(parts), now).await? {
        Ok(able) => able,
        Err(lacking) => return step_up(app, &caller, lacking, &Next::Account).await,
    };
    match reverse::make(app, able, http::origin(parts), http::address(parts), now).await? {
        Making::Made(made) => redirect(app, &format!("/account/connect/{}", made.grant)),
        Making::TooMany(wait) => Err(PageError::Limited(wait)),
        Making::Refused => redirect(app, &Next::Account.login_path(false)),
    }
}

/// Shows a code that is typed into a command line, and what became of it.
pub async fn connecting(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Response {
    get(app, parts, async |app, _, browser, now| {
        let Some(account) = browser.account() else {
            return redirect(app, &Next::Account.login_path(false));
        };
        let id: GrantId = id.parse().map_err(|_| PageError::Missing)?;
        let status = reverse::status(app, account, id, now).await?.ok_or(PageError::Missing)?;
        let page = Page::new(app, browser);
        let state = match status {
            reverse::Status::Waiting { code, left } => {
                let seconds = ceil_secs(left);
                let left = format!("{}:{:02}", seconds / 60, seconds % 60);
                Connecting::Waiting { code: code.reveal().to_owned(), seconds, left }
            }
            reverse::Status::Used(Some(key)) => Connecting::Used(page.t3(
                "connect-used",
                [
                    ("when", date(&page.lang, Some(key.created_at))),
                    ("address", key.from.address),
                    ("program", key.from.user_agent.unwrap_or_else(|| page.t("unknown"))),
                ],
            )),
            reverse::Status::Used(None) => Connecting::Used(page.t("connect-used-ended")),
            reverse::Status::Over => Connecting::Over,
        };
        let server = app.public_url.issuer().to_owned();
        let shown = ConnectPage { page, script: assets::script_name(), server, grant: id.to_string(), state };
        let mut response = render(StatusCode::OK, &shown)?;
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, WITH_SCRIPT);
        Ok(response)
    })
    .await
}
