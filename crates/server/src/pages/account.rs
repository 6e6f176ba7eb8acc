//! `/account`: everything that a person has connected, and how to disconnect it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use countersign_core::account::Account;
use countersign_core::grant::Door;
use countersign_core::id::GrantId;
use countersign_core::scope::Scopes;
use countersign_core::text::label;
use countersign_core::time::{Timestamp, ceil_secs};

use super::browser::Browser;
use super::device::{key_words, place, scope_words};
use super::factors::{PASSKEY_PATH, TOTP_PATH, new_codes, step_up};
use super::lang::Lang;
use super::login::{Next, Provider};
use super::{Outcome, Page, PageError, assets, date, get, post, redirect, render};
use crate::app::App;
use crate::flow::api_keys::{self, Order};
use crate::flow::caller::{Caller, Proof};
use crate::flow::devices::{self, Device, Status};
use crate::flow::policy::Sufficient;
use crate::flow::reverse::{self, Making};
use crate::flow::{factors, nodes, passkeys, upstream};
use crate::http::{self, BadForm, Form, PathId};
use crate::upstream::Upstream;

struct Line {
    id: String,
    name: String,
    is_key: bool,
    expires: String,
    /// What kind of node it is, and what it calls itself.
    node: Option<String>,
    online: bool,
    created: String,
    used: String,
    address: String,
    user_agent: String,
    scopes: String,
    status: &'static str,
}

fn line(app: &App, lang: &Lang, device: Device) -> Line {
    let is_key = device.door == Door::Cli;
    let scopes = if is_key { key_words(lang, &device.scopes) } else { scope_words(lang, &device.scopes) };
    Line {
        id: device.id.to_string(),
        is_key,
        expires: device.expires_at.map_or_else(|| lang.text("account-endless"), |at| date(lang, Some(at))),
        node: device.node.map(|(kind, node)| format!("{kind}, {node}")),
        online: device.online,
        created: date(lang, Some(device.created_at)),
        used: device.last_used.map_or_else(|| lang.text("account-never"), |at| date(lang, Some(at))),
        address: place(app, lang, &device.from.address),
        user_agent: device.from.user_agent.unwrap_or_else(|| lang.text("unknown")),
        scopes: scopes.join(", "),
        name: device.name,
        status: match device.status {
            Status::Active => "status-active",
            Status::Expired => "status-expired",
            Status::Revoked => "status-revoked",
        },
    }
}

struct PasskeyLine {
    id: String,
    name: String,
    created: String,
    used: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    page: Page,
    live: Vec<Line>,
    ended: Vec<Line>,
    /// Names of keys that were reported, and when.
    leaked: Vec<(String, String)>,
    /// Since when there is an authenticator app, and how many recovery codes are left.
    totp: Option<String>,
    passkeys: Vec<PasskeyLine>,
    /// Unless there is nothing beside the password.
    recovery: Option<String>,
    passkeys_possible: bool,
    /// Identity providers that the account is joined to, by id and label, and those that it could be.
    linked: Vec<(String, String)>,
    linkable: Vec<Provider>,
    said: Option<&'static str>,
}

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
    let (mut live, mut ended, mut leaked) = (Vec::new(), Vec::new(), Vec::new());
    for device in devices::of_account(app, account, now).await? {
        if device.leaked_at.is_some() {
            leaked.push((device.name.clone(), date(&page.lang, device.leaked_at)));
        }
        match device.status {
            Status::Active => live.push(line(app, &page.lang, device)),
            Status::Expired | Status::Revoked if ended.len() < ENDED => {
                ended.push(line(app, &page.lang, device));
            }
            Status::Expired | Status::Revoked => {}
        }
    }
    let factors = factors::of(app, account.id).await?;
    let totp = factors.totp.map(|since| page.t1("account-totp-on", "when", &date(&page.lang, Some(since))));
    let left = page.lang.count("account-recovery-left", factors.recovery_left.unsigned_abs());
    let recovery = factors.any().then_some(left);
    let passkeys = passkeys::list(app, account.id).await?.into_iter().map(|passkey| PasskeyLine {
        id: passkey.id.to_string(),
        name: passkey.name,
        created: date(&page.lang, Some(passkey.created_at)),
        used: passkey.last_used.map_or_else(|| page.t("account-never"), |at| date(&page.lang, Some(at))),
    });
    let passkeys = passkeys.collect();
    let passkeys_possible = app.passkeys.is_possible();
    let joined = upstream::linked(app, account.id).await?;
    let is_joined = |upstream: &Upstream| joined.iter().any(|one| one.config.id == upstream.config.id);
    let link = |upstream: &Upstream| {
        let query = format!("next=account&link={}", browser.link(app, &upstream.config.id));
        Provider::new(upstream, &query)
    };
    let linkable = app.upstreams.iter().filter(|upstream| !is_joined(upstream)).map(link).collect();
    let linked = joined.iter().map(|one| (one.config.id.clone(), one.label())).collect();
    let shown = AccountPage {
        page,
        live,
        ended,
        leaked,
        totp,
        passkeys,
        recovery,
        passkeys_possible,
        linked,
        linkable,
        said,
    };
    render(status, &shown)
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
        let Some((session, account)) = &browser.session else {
            return redirect(app, &Next::Account.login_path(false));
        };
        let address = http::address(parts).to_string();
        let passkey = form.one("passkey_id").and_then(|id| id.parse().ok());
        let (status, said) = match form.one("action") {
            Some("passkey") => return redirect(app, PASSKEY_PATH),
            Some("passkey_rename") => {
                let id = passkey.ok_or(PageError::Form(BadForm::Broken))?;
                let name = form.one("name").and_then(label).unwrap_or_else(|| "Passkey".to_owned());
                if !passkeys::rename(app, session, id, &name, &http::origin(parts), now).await? {
                    return redirect(app, &Next::Account.login_path(true));
                }
                (StatusCode::OK, "account-renamed")
            }
            Some("passkey_remove") => {
                let id = passkey.ok_or(PageError::Form(BadForm::Broken))?;
                if !passkeys::remove(app, session, id, &http::origin(parts), now).await? {
                    return redirect(app, &Next::Account.login_path(true));
                }
                (StatusCode::OK, "account-passkey-removed")
            }
            Some("unlink") => {
                let id = form.one("upstream_id").unwrap_or_default();
                let provider = app.upstreams.find(id).ok_or(PageError::Form(BadForm::Broken))?;
                if upstream::unlink(app, session, provider, &http::origin(parts), now).await? {
                    (StatusCode::OK, "account-unlinked")
                } else if factors::may_change(app, session, now).await? {
                    (StatusCode::CONFLICT, "account-unlink-last")
                } else {
                    return redirect(app, &Next::Account.login_path(true));
                }
            }
            Some("connect") => return connect(app, browser, parts, now).await,
            Some("totp") => return redirect(app, TOTP_PATH),
            Some("recovery_codes") => return new_codes(app, browser, session, parts, now).await,
            Some("totp_remove") => {
                if !factors::remove_totp(app, session, &http::origin(parts), now).await? {
                    return redirect(app, &Next::Account.login_path(true));
                }
                (StatusCode::OK, "account-totp-removed")
            }
            Some("make_key") => return make_key(app, browser, parts, form, now).await,
            Some("rename") => {
                let id = form.one("device_id").and_then(|id| id.parse().ok());
                match (id, form.one("name").and_then(label)) {
                    (_, None) => (StatusCode::UNPROCESSABLE_ENTITY, "account-key-name-wrong"),
                    (Some(id), Some(name))
                        if nodes::rename_own(app, account, id, &name, &address, now).await? =>
                    {
                        (StatusCode::OK, "account-renamed")
                    }
                    _ => (StatusCode::NOT_FOUND, "account-revoke-missing"),
                }
            }
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
    let able = match Sufficient::check(app, &caller, now) {
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
    let able = match Sufficient::check(app, &caller, now) {
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

/// One script of ours, which asks nobody else.
pub const WITH_SCRIPT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
