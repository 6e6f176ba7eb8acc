//! The browser behind a request: its one cookie, its session, its language, and whether a form
//! really came from one of our pages.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{Account, Session};
use countersign_core::id::GrantId;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;

use super::PageError;
use super::lang::Lang;
use crate::app::{Answer, App};
use crate::flow::login;
use crate::http::Form;

#[derive(Debug)]
pub struct Browser {
    /// A random value, known to the browser alone. Signed in, its digest is the session's id.
    cookie: Plain,
    /// It is new and must be sent along.
    fresh: bool,
    pub session: Option<(Session, Account)>,
    pub lang: Lang,
}

impl Browser {
    pub async fn load(app: &App, parts: &Parts, now: Timestamp) -> Answer<Self> {
        let lang = Lang::negotiate(&parts.headers);
        match cookie(&parts.headers, cookie_name(app)) {
            Some(value) => {
                let session = login::session(app, value, now).await?;
                Ok(Self { cookie: Plain::new(value.to_owned()), fresh: false, session, lang })
            }
            None => Ok(Self {
                cookie: Plain::from_entropy(&app.entropy.bytes()?),
                fresh: true,
                session: None,
                lang,
            }),
        }
    }

    pub fn account(&self) -> Option<&Account> {
        self.session.as_ref().map(|(_, account)| account)
    }

    /// The cookie that the browser brought along.
    pub fn cookie(&self) -> &str {
        self.cookie.reveal()
    }

    pub fn csrf(&self, app: &App) -> String {
        URL_SAFE_NO_PAD.encode(app.vault.csrf(self.cookie()).as_bytes())
    }

    /// Shows that this browser found this grant by its code.
    pub fn ticket(&self, app: &App, grant: GrantId) -> String {
        format!("{grant}.{}", URL_SAFE_NO_PAD.encode(app.vault.ticket(self.cookie(), grant).as_bytes()))
    }

    pub fn read_ticket(&self, app: &App, ticket: &str) -> Option<GrantId> {
        let (grant, mac) = ticket.split_once('.')?;
        let grant: GrantId = grant.parse().ok()?;
        matches(mac, &app.vault.ticket(self.cookie(), grant)).then_some(grant)
    }

    /// Refuses a form that did not come from one of our pages in this browser.
    pub fn check(&self, app: &App, parts: &Parts, form: &Form) -> Result<(), PageError> {
        let own = match parts.headers.get(header::ORIGIN) {
            Some(origin) => origin.to_str().is_ok_and(|origin| app.public_url.is_own_origin(origin)),
            // No browser of the last years leaves it out; scripts do, and still need the token.
            None => true,
        };
        let token = form.one("csrf_token").unwrap_or_default();
        if own && !self.fresh && matches(token, &app.vault.csrf(self.cookie())) {
            Ok(())
        } else {
            Err(PageError::Forged)
        }
    }

    /// The header that gives the browser its cookie, if it has none yet.
    pub fn set_cookie(&self, app: &App) -> Option<HeaderValue> {
        self.fresh.then(|| bake(app, self.cookie.reveal(), None)).flatten()
    }
}

fn matches(given: &str, expected: &Digest) -> bool {
    let bytes: Option<[u8; 32]> = URL_SAFE_NO_PAD.decode(given).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.is_some_and(|bytes| Digest::from_bytes(bytes).matches(expected))
}

/// With `__Host-` no other host, not even a sibling, can plant the cookie.
fn cookie_name(app: &App) -> &'static str {
    if app.public_url.is_https() { "__Host-countersign" } else { "countersign" }
}

/// A `Set-Cookie` header. Without `seconds` the cookie ends with the browser.
pub fn bake(app: &App, value: &str, seconds: Option<u64>) -> Option<HeaderValue> {
    let secure = if app.public_url.is_https() { "; Secure" } else { "" };
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", cookie_name(app));
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
        .filter(|value| {
            value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}
