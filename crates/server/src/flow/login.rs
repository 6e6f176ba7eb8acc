//! Signing in with a browser.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{Account, Session, SignIn, Username, is_password};
use countersign_core::audit::Action;
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, Fault, uncancelled};
use crate::cookie;
use crate::flow::factors;
use crate::limits::{self, address_key};
use crate::password::PasswordError;
use crate::store::{Committed, Stmt, accounts, attempts, audit};
use crate::telemetry::trace::TRACE;

#[derive(Debug)]
pub enum SignedIn {
    /// The value of the session's cookie, which only the browser keeps; and by what the browser is known
    /// from now on, unless it was before.
    Yes {
        cookie: Plain,
        known: Option<Plain>,
    },
    /// The password is right; a second factor is wanted.
    Half {
        cookie: Plain,
        known: Option<Plain>,
    },
    /// No such name, wrong password, disabled: one answer, in the same time.
    Wrong,
    Limited(Duration),
    Busy,
    /// Nobody signs in with a password here.
    Off,
}

#[derive(Debug)]
pub struct Credentials {
    pub name: String,
    pub password: Plain,
    /// What this browser is known by.
    pub known: Option<Plain>,
}

/// What counts the wrong passwords for one name.
pub fn name_bucket(app: &App, name: Option<&Username>) -> Digest {
    app.vault.bucket("password name", name.map_or("", Username::as_str))
}

/// By what a browser is known in which this person signed in with this password.
fn known_by(app: &App, account: &Account, hash: &str) -> Answer<Plain> {
    let nonce = Plain::from_entropy(&app.entropy.bytes()?);
    let mac = URL_SAFE_NO_PAD.encode(app.vault.known(account.id, hash, nonce.reveal()).as_bytes());
    Ok(Plain::new(format!("{}.{mac}", nonce.reveal())))
}

/// What counts the wrong passwords of a browser in which that person signed in before, in the place of
/// what counts those for the name. So nobody who tries a name from elsewhere keeps its person out.
fn known_bucket(
    app: &App,
    found: Option<&(Account, Option<String>)>,
    known: Option<&Plain>,
) -> Option<Digest> {
    let (nonce, mac) = known?.reveal().split_once('.')?;
    let (account, hash) = found?;
    // Another password makes every browser a stranger.
    cookie::matches(mac, &app.vault.known(account.id, hash.as_deref()?, nonce))
        .then(|| app.vault.bucket("password known", nonce))
}

/// Checks a password, to the end even if the visitor hangs up. `old` is the session that the browser
/// brought along; it ends.
#[instrument(target = TRACE, name = "login.sign_in", skip_all)]
pub async fn sign_in(
    app: &Arc<App>,
    credentials: Credentials,
    old: Digest,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<SignedIn> {
    if !app.config.passwords {
        return Ok(SignedIn::Off);
    }
    let app = app.clone();
    uncancelled(async move { check(&app, credentials, &old, &from, address, now).await }).await
}

async fn check(
    app: &App,
    credentials: Credentials,
    old: &Digest,
    from: &Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<SignedIn> {
    let name = credentials.name.parse::<Username>().ok();
    let found = match &name {
        Some(name) => accounts::by_name(&app.store, name).await?,
        None => None,
    };
    let known = known_bucket(app, found.as_ref(), credentials.known.as_ref());
    let is_known = known.is_some();
    let bucket = known.unwrap_or_else(|| name_bucket(app, name.as_ref()));
    let mut rules = Vec::new();
    if app.config.limits.enabled {
        rules.push((bucket, app.config.limits.wrong_passwords_per_account));
        let address = app.vault.bucket("password address", &address_key(address));
        rules.push((address, app.config.limits.wrong_passwords_per_address));
    }
    let counted = match limits::count(&app.store, rules, now).await? {
        Ok(counted) => counted,
        Err(wait) => {
            app.metrics.refused("wrong_passwords");
            return Ok(SignedIn::Limited(wait));
        }
    };
    let usable = is_password(credentials.password.reveal());
    let hash = found.as_ref().filter(|_| usable).and_then(|(_, hash)| hash.clone());
    let password = if usable { credentials.password } else { Plain::new(String::new()) };
    let right = match app.hasher.verify(password, hash.clone()).await {
        Ok(right) => right,
        Err(PasswordError::Busy) => {
            limits::give_back(&app.store, counted).await?;
            return Ok(SignedIn::Busy);
        }
        Err(error) => return Err(Fault::Password(error)),
    };
    let account = found.map(|(account, _)| account);
    let tried = account.as_ref().map(|account| account.id);
    let right = account.filter(|account| right && account.is_enabled()).zip(hash);
    let Some((account, hash)) = right else {
        let mut event = app.event(now, Action::SignInFailed)?;
        event.account = tried;
        event.address = Some(from.address.clone());
        let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
        return Ok(SignedIn::Wrong);
    };
    limits::give_back(&app.store, counted).await?;
    let forget = attempts::forget(&bucket);
    let Some((cookie, half)) = start_session(app, &account, &hash, old, from, forget, now).await? else {
        return Ok(SignedIn::Wrong);
    };
    let known = if is_known { None } else { Some(known_by(app, &account, &hash)?) };
    Ok(if half { SignedIn::Half { cookie, known } } else { SignedIn::Yes { cookie, known } })
}

/// The cookie of the session, and whether it is a half one. `None` if the person was disabled, removed or
/// given another password in this very moment.
async fn start_session(
    app: &App,
    account: &Account,
    checked: &str,
    old: &Digest,
    from: &Origin,
    forget: Stmt,
    now: Timestamp,
) -> Answer<Option<(Plain, bool)>> {
    // A new id at every sign-in: one that was planted before is worth nothing after.
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let half = factors::of(app, account.id).await?.any();
    let session = Session {
        digest: cookie.digest(),
        account: account.id,
        sign_in: SignIn { at: now, amr: vec!["pwd".to_owned()] },
        expires_at: now + if half { factors::HALF } else { app.config.session_ttl },
    };
    let action = if half { Action::PasswordRight } else { Action::SignInSucceeded };
    let mut event = app.event(now, action)?;
    event.account = Some(account.id);
    event.address = Some(from.address.clone());
    let batch = vec![
        // First, so that a factor which is being added at this moment is seen by the next statement.
        accounts::hold(account.id),
        accounts::start_session(&session, half, checked, from),
        accounts::end_session(old),
        forget,
        audit::insert(event),
    ];
    Ok(app.store.commit(batch).await?.is_done().then_some((cookie, half)))
}

/// Who is signed in with this cookie.
#[instrument(target = TRACE, name = "login.session", skip_all)]
pub async fn session(app: &App, cookie: &str, now: Timestamp) -> Answer<Option<(Session, Account)>> {
    Ok(accounts::session(&app.store, &Digest::of(cookie), now).await?)
}

/// Whose password this browser has shown, and has yet to show a second factor.
pub async fn half(app: &App, cookie: &str, now: Timestamp) -> Answer<Option<AccountId>> {
    let half = accounts::half_session(&app.store, &Digest::of(cookie), now).await?;
    Ok(half.map(|(_, account)| account.id))
}

#[instrument(target = TRACE, name = "login.sign_out", skip_all)]
pub async fn sign_out(app: &App, cookie: &str, account: &Account, now: Timestamp) -> Answer<()> {
    let mut event = app.event(now, Action::SignedOut)?;
    event.account = Some(account.id);
    let batch = vec![accounts::end_session(&Digest::of(cookie)), audit::insert(event)];
    let _ended: Committed = app.store.commit(batch).await?;
    Ok(())
}
