//! `/account`: everything that a person has connected, and how to disconnect it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::Account;
use countersign_core::grant::{Door, State as GrantState};
use countersign_core::time::Timestamp;

use super::browser::Browser;
use super::device::{key_words, place, scope_words, who};
use super::lang::Lang;
use super::login::{Next, Provider};
use super::{Outcome, Page, PageError, date, get, redirect, render};
use crate::app::App;
use crate::flow::devices::{self, Device, Status};
use crate::flow::sessions::{self};
use crate::flow::{decide, factors, passkeys, upstream};
use crate::http::Form;
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

struct SessionLine {
    id: String,
    own: bool,
    since: String,
    address: String,
    user_agent: String,
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
    /// What was approved lately: a sentence, the grant, and what its button is called.
    lately: Vec<(String, String, String)>,
    sessions: Vec<SessionLine>,
    passwords: bool,
    /// Identity providers that the account is joined to, by id and label, and those that it could be.
    linked: Vec<(String, String)>,
    linkable: Vec<Provider>,
    said: Option<&'static str>,
}

/// Ended devices that are shown; the newest come first.
const ENDED: usize = 20;

pub async fn list(
    app: &App,
    browser: &Browser,
    account: &Account,
    status: StatusCode,
    said: Option<&'static str>,
    now: Timestamp,
) -> Outcome {
    let page = Page::new(app, browser);
    let (mut live, mut ended, mut leaked) = (Vec::new(), Vec::new(), Vec::new());
    let mut active = Vec::new();
    for device in devices::of_account(app, account, now).await? {
        if device.leaked_at.is_some() {
            leaked.push((device.name.clone(), date(&page.lang, device.leaked_at)));
        }
        match device.status {
            Status::Active => {
                active.push(device.id);
                live.push(line(app, &page.lang, device));
            }
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
    let lately = decide::lately(app, account, &active, now).await?.into_iter().map(|found| {
        let who = who(&page, &found);
        let when = match &found.grant.state {
            GrantState::Approved(approval) | GrantState::Redeemed { approval, .. } => approval.at,
            GrantState::Pending | GrantState::Denied { .. } => now,
        };
        let place = place(app, &page.lang, &found.grant.from.address);
        let values = [("client", who.clone()), ("when", date(&page.lang, Some(when))), ("address", place)];
        (page.t3("account-lately", values), found.grant.id.to_string(), page.t1("undo-one", "client", &who))
    });
    let lately = lately.collect();
    let own = browser.session.as_ref().map(|(session, _)| session.digest);
    let sessions = sessions::list(app, account.id, now).await?.into_iter().map(|one| SessionLine {
        id: URL_SAFE_NO_PAD.encode(one.digest.as_bytes()),
        own: own.is_some_and(|own| own.matches(&one.digest)),
        since: date(&page.lang, Some(one.signed_in_at)),
        address: place(app, &page.lang, &one.from.address),
        user_agent: one.from.user_agent.unwrap_or_else(|| page.t("unknown")),
    });
    let sessions = sessions.collect();
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
        lately,
        sessions,
        passwords: app.config.passwords,
        linked,
        linkable,
        said,
    };
    render(status, &shown)
}

pub async fn account(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, now| {
        let Some(account) = browser.account() else {
            return redirect(app, &Next::Account.login_path(false));
        };
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let said = match query.one("said") {
            Some("password") => Some("account-password-changed"),
            Some("totp-removed") => Some("account-totp-removed"),
            Some("passkey-removed") => Some("account-passkey-removed"),
            Some("unlinked") => Some("account-unlinked"),
            Some("not-linked") => Some("upstream-not-linked"),
            _ => None,
        };
        list(app, browser, account, StatusCode::OK, said, now).await
    })
    .await
}

/// One script of ours, which asks nobody else.
pub const WITH_SCRIPT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
