//! The browser behind a request: its one cookie, its session, its language, and whether a form
//! really came from one of our pages.

use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{Account, Session};
use countersign_core::id::GrantId;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;

use super::PageError;
use super::lang::Lang;
use crate::app::{Answer, App};
use crate::cookie;
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
    /// Where it is, or would be after a form.
    pub path: String,
}

impl Browser {
    pub async fn load(app: &App, parts: &Parts, now: Timestamp) -> Answer<Self> {
        let chosen = cookie::read_language(app, &parts.headers).and_then(Lang::named);
        let lang = chosen.unwrap_or_else(|| Lang::negotiate(&parts.headers));
        let path = if parts.method == Method::GET {
            parts.uri.path_and_query().map_or("/", PathAndQuery::as_str)
        } else {
            parts.uri.path()
        };
        let path = path.to_owned();
        match cookie::read(app, &parts.headers) {
            Some(value) => {
                let session = login::session(app, value, now).await?;
                Ok(Self { cookie: Plain::new(value.to_owned()), fresh: false, session, lang, path })
            }
            None => Ok(Self {
                cookie: Plain::from_entropy(&app.entropy.bytes()?),
                fresh: true,
                session: None,
                lang,
                path,
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
        cookie::csrf(app, self.cookie())
    }

    /// Shows that this browser found this grant by its code.
    pub fn ticket(&self, app: &App, grant: GrantId) -> String {
        format!("{grant}.{}", URL_SAFE_NO_PAD.encode(app.vault.ticket(self.cookie(), grant).as_bytes()))
    }

    /// Stands in the link that joins an identity of this provider to the account of this browser.
    pub fn link(&self, app: &App, upstream: &str) -> String {
        URL_SAFE_NO_PAD.encode(app.vault.link(self.cookie(), upstream).as_bytes())
    }

    pub fn is_link(&self, app: &App, upstream: &str, shown: &str) -> bool {
        cookie::matches(shown, &app.vault.link(self.cookie(), upstream))
    }

    pub fn read_ticket(&self, app: &App, ticket: &str) -> Option<GrantId> {
        let (grant, mac) = ticket.split_once('.')?;
        let grant: GrantId = grant.parse().ok()?;
        cookie::matches(mac, &app.vault.ticket(self.cookie(), grant)).then_some(grant)
    }

    /// Refuses a form that did not come from one of our pages in this browser.
    pub fn check(&self, app: &App, parts: &Parts, form: &Form) -> Result<(), PageError> {
        let own = cookie::is_own_origin(app, &parts.headers);
        let token = form.one("csrf_token").unwrap_or_default();
        if own && !self.fresh && cookie::is_csrf(app, self.cookie(), token) {
            Ok(())
        } else {
            Err(PageError::Forged)
        }
    }

    /// The header that gives the browser its cookie, if it has none yet.
    pub fn set_cookie(&self, app: &App) -> Option<HeaderValue> {
        self.fresh.then(|| cookie::bake(app, self.cookie.reveal(), None)).flatten()
    }
}
