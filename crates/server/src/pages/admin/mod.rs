//! `/admin`: for administrators. These pages speak English alone.

mod clients;
mod filters;
mod lists;
mod overview;
mod plot;
mod users;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::account::{Account, Session};
use countersign_core::audit::{Actor, By};
use countersign_core::time::Timestamp;

pub use self::clients::{change_client, client, make_client, new_client};
pub use self::lists::{audit, clients, devices, export, keys, notices, replay, revoke, rotate, users};
pub use self::overview::overview;
pub use self::users::{change_user, make_user, new_user, user};
use super::browser::Browser;
use super::factors::step_up;
use super::login::Next;
use super::{Outcome, PageError, assets, redirect};
use crate::app::App;
use crate::flow::caller::{Caller, Proof};
use crate::flow::office::{Office, Refused};
use crate::flow::policy::Lacking;
use crate::http::{self, Form};

/// What stands around every page of the administration.
#[derive(Debug)]
struct Page {
    base: String,
    style: &'static str,
    csrf: String,
    path: String,
}

const TABS: [(&str, &str); 7] = [
    ("/admin", "Overview"),
    ("/admin/clients", "Clients"),
    ("/admin/users", "People"),
    ("/admin/devices", "Devices"),
    ("/admin/keys", "Signing keys"),
    ("/admin/audit", "Audit trail"),
    ("/admin/notices", "Notices"),
];

impl Page {
    /// Each with whether this page is below it.
    fn tabs(&self) -> [(&'static str, &'static str, bool); 7] {
        TABS.map(|(path, name)| (path, name, self.is_at(path)))
    }

    fn is_at(&self, path: &str) -> bool {
        let bare = self.path.split('?').next().unwrap_or_default();
        let bare = bare.strip_prefix(self.base.as_str()).unwrap_or(bare);
        bare == path
            || (path != "/admin" && bare.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// A sentence above the page.
struct Said {
    text: String,
    wrong: bool,
}

impl Said {
    #[expect(clippy::unnecessary_wraps, reason = "a page may have nothing to say")]
    fn done(text: impl Into<String>) -> Option<Self> {
        Some(Self { text: text.into(), wrong: false })
    }

    #[expect(clippy::unnecessary_wraps, reason = "a page may have nothing to say")]
    fn wrong(text: impl Into<String>) -> Option<Self> {
        Some(Self { text: text.into(), wrong: true })
    }
}

/// The status of a page that says why something was not done.
const fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Missing(_) => StatusCode::NOT_FOUND,
        Refused::Conflict(_) | Refused::Changed(_) => StatusCode::CONFLICT,
    }
}

/// One request of an administrator's.
struct Desk<'a> {
    app: &'a Arc<App>,
    parts: &'a Parts,
    browser: &'a Browser,
    account: &'a Account,
    now: Timestamp,
}

impl Desk<'_> {
    fn page(&self) -> Page {
        Page {
            base: self.app.public_url.base_path().to_owned(),
            style: assets::style_name(),
            csrf: self.browser.csrf(self.app),
            path: self.browser.path.clone(),
        }
    }

    fn by(&self) -> By {
        let address = Some(http::address(self.parts).to_string());
        By { actor: Actor::Administrator(self.account.id), address }
    }

    fn office(&self) -> Office<'_> {
        Office { app: self.app, by: self.by(), now: self.now }
    }

    fn query(&self) -> Result<Form, PageError> {
        Form::parse(self.parts.uri.query().unwrap_or_default()).map_err(PageError::Form)
    }
}

/// Who may not see these pages goes where they may, or sees that there is nothing.
async fn admitted<'a>(
    app: &App,
    browser: &'a Browser,
) -> Result<Result<(&'a Session, &'a Account), Response>, PageError> {
    let Some((session, account)) = &browser.session else {
        return redirect(app, &wanted(browser).login_path(false)).map(Err);
    };
    if !account.admin {
        return Err(PageError::Missing);
    }
    if app.config.second_factor.is_demanded_of(account) && !session.sign_in.is_multi_factor() {
        let caller = Caller { account: account.clone(), proof: Proof::Session(session.clone()) };
        return step_up(app, &caller, Lacking::SecondFactor, &wanted(browser)).await.map(Err);
    }
    Ok(Ok((session, account)))
}

/// The page that this browser wanted to see.
fn wanted(browser: &Browser) -> Next {
    Next::admin(browser.path.strip_prefix("/admin").unwrap_or_default())
}

async fn get<F>(app: Arc<App>, parts: Parts, inner: F) -> Response
where
    F: AsyncFnOnce(Desk<'_>) -> Outcome,
{
    super::get(app, parts, async |app, parts, browser, now| match admitted(app, browser).await? {
        Ok((_, account)) => inner(Desk { app, parts, browser, account, now }).await,
        Err(elsewhere) => Ok(elsewhere),
    })
    .await
}

async fn post<F>(app: Arc<App>, request: Request, inner: F) -> Response
where
    F: AsyncFnOnce(Desk<'_>, &Form) -> Outcome,
{
    super::post(app, request, async |app, parts, browser, form, now| match admitted(app, browser).await? {
        Ok((_, account)) => inner(Desk { app, parts, browser, account, now }, form).await,
        Err(elsewhere) => Ok(elsewhere),
    })
    .await
}
