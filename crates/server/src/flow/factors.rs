//! Second factors: an authenticator app (RFC 6238), and codes on paper for when it is lost.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::account::{Account, Session};
use countersign_core::audit::{Action, Event};
use countersign_core::code::{CodeStyle, UserCode};
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::limit::Rule;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use totp_rs::{Algorithm, Builder, Secret, Totp, TotpError};
use tracing::instrument;

use crate::app::{Answer, App, Fault, uncancelled};
use crate::limits::{self, address_key};
use crate::store::accounts::Ways;
use crate::store::{Committed, Stmt, accounts, audit, factors, passkeys};
use crate::telemetry::trace::TRACE;

/// Seconds of a step (RFC 6238 §5.2 recommends 30), and how many to either side a clock may be off.
const STEP: u64 = 30;
const SKEW: i64 = 1;
const DIGITS: u8 = 6;
/// Bytes of the key (RFC 4226 §4 recommends 160 bits).
const KEY_BYTES: usize = 20;
const RECOVERY_CODES: usize = 10;
const RECOVERY: CodeStyle = CodeStyle::Unambiguous10;
/// A half sign-in that nobody completes ends.
pub const HALF: Duration = Duration::from_mins(10);

impl From<TotpError> for Fault {
    fn from(error: TotpError) -> Self {
        Self::Page(format!("no authenticator code can be made: {error}"))
    }
}

/// What somebody can show beside their password.
#[derive(Clone, Copy, Debug, Default)]
pub struct Factors {
    /// Since when there is an authenticator app.
    pub totp: Option<Timestamp>,
    pub passkeys: i64,
    pub recovery_left: i64,
}

impl Factors {
    pub const fn any(&self) -> bool {
        self.totp.is_some() || self.passkeys > 0
    }
}

pub async fn of(app: &App, account: AccountId) -> Answer<Factors> {
    let totp = factors::totp(&app.store, account).await?.and_then(|totp| totp.confirmed_at);
    let recovery_left = factors::recovery_left(&app.store, account).await?;
    let passkeys = passkeys::count(&app.store, account).await?;
    Ok(Factors { totp, passkeys, recovery_left })
}

/// With what people sign in here.
pub fn ways(app: &App) -> Ways {
    Ways {
        passwords: app.config.passwords,
        passkeys: app.passkeys.is_possible(),
        issuers: app.config.upstreams.iter().map(|upstream| upstream.issuer.clone()).collect(),
    }
}

/// Whether a session may change what its person signs in with: a stolen one, or one that showed less
/// than there is by now, may not.
pub async fn may_change(app: &App, session: &Session, now: Timestamp) -> Answer<bool> {
    let fresh = now.since(session.sign_in.at) <= app.config.fresh_for;
    let strong = session.sign_in.is_multi_factor() || !of(app, session.account).await?.any();
    Ok(fresh && strong)
}

/// What an authenticator app is told.
#[derive(Debug)]
pub struct Enrolment {
    /// Base32, for typing.
    pub secret: Plain,
    /// `otpauth://`, for a QR code.
    pub uri: Plain,
}

fn purpose(account: AccountId) -> String {
    format!("totp {account}")
}

fn key(app: &App, account: &Account, sealed: &[u8]) -> Answer<Totp> {
    let secret = app.vault.open(&purpose(account.id), sealed)?;
    // A colon separates issuer and account in the URI.
    let plain = |text: &str| text.replace(':', " ");
    Ok(Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_step_duration(STEP)
        .with_skew(0)
        .with_secret(Secret::from(secret.to_vec()))
        .with_account_name(plain(account.name.as_str()))
        .with_issuer(Some(plain(app.public_url.host())))
        .build()?)
}

fn step_of(now: Timestamp) -> i64 {
    now.secs() / STEP.cast_signed()
}

/// The step whose code this is, if it is one that may be used now.
fn matching(totp: &Totp, typed: &str, last: i64, now: Timestamp) -> Option<i64> {
    let current = step_of(now);
    (current - SKEW..=current + SKEW).filter(|step| *step > last).find(|step| {
        let Ok(start) = u64::try_from(step * STEP.cast_signed()) else { return false };
        let expected = totp.generate(start).to_string();
        Digest::of(&expected).matches(&Digest::of(typed))
    })
}

/// Begins to set up an authenticator app, or goes on with it. `None` if there is one already.
#[instrument(target = TRACE, name = "factors.begin_totp", skip_all)]
pub async fn begin_totp(
    app: &App,
    session: &Session,
    account: &Account,
    now: Timestamp,
) -> Answer<Option<Enrolment>> {
    let sealed = match factors::totp(&app.store, account.id).await? {
        Some(totp) if totp.confirmed_at.is_some() => return Ok(None),
        Some(totp) if now.since(totp.created_at) < HALF && totp.session.matches(&session.digest) => {
            totp.sealed
        }
        _ => {
            let random = app.entropy.bytes()?;
            let key = random.get(..KEY_BYTES).unwrap_or(&random);
            let sealed = app.vault.seal(&purpose(account.id), key, &app.entropy)?;
            let begun = factors::begin_totp(account.id, sealed.clone(), &session.digest, now);
            if !app.store.commit(vec![begun]).await?.is_done() {
                return Ok(None);
            }
            sealed
        }
    };
    let totp = key(app, account, &sealed)?;
    let secret = app.vault.open(&purpose(account.id), &sealed)?;
    let secret = Plain::new(Secret::from(secret.to_vec()).to_base32());
    Ok(Some(Enrolment { secret, uri: Plain::new(totp.to_url()?) }))
}

#[derive(Debug)]
pub enum Confirmed {
    /// It counts from now on. The codes are shown this once; the session has another cookie.
    Done {
        codes: Vec<Plain>,
        cookie: Plain,
    },
    Wrong,
    Limited(Duration),
    /// Nothing was begun, or the session may not.
    Refused,
}

/// A code shows that the app was set up right.
#[instrument(target = TRACE, name = "factors.confirm_totp", skip_all)]
pub async fn confirm_totp(
    app: &Arc<App>,
    session: Session,
    account: Account,
    typed: String,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Confirmed> {
    let app = app.clone();
    uncancelled(async move {
        let begun = factors::totp(&app.store, account.id).await?;
        let begun = begun.filter(|totp| {
            let own = totp.session.matches(&session.digest);
            own && totp.confirmed_at.is_none() && now.since(totp.created_at) < HALF
        });
        let (Some(begun), true) = (begun, may_change(&app, &session, now).await?) else {
            return Ok(Confirmed::Refused);
        };
        let counted = match limits::count(&app.store, rules(&app, account.id, address), now).await? {
            Ok(counted) => counted,
            Err(wait) => return Ok(Confirmed::Limited(wait)),
        };
        let code = UserCode::parse(&typed);
        let totp = key(&app, &account, &begun.sealed)?;
        let step = code.and_then(|code| matching(&totp, code.as_str(), begun.last_step, now));
        let Some(step) = step else { return Ok(Confirmed::Wrong) };
        limits::give_back(&app.store, counted).await?;
        // Who has a passkey has recovery codes.
        let first = !of(&app, account.id).await?.any();
        let (codes, made) = if first { recovery(&app, account.id)? } else { (Vec::new(), Vec::new()) };
        let cookie = Plain::from_entropy(&app.entropy.bytes()?);
        let mut batch = vec![
            // First: whoever signs in at this moment is either seen here or sees what is done here.
            accounts::hold(account.id),
            accounts::session_holds(&session.digest, now),
            factors::confirm_totp(account.id, &begun, step, now),
            // Its sign-in showed both by now; others of theirs did not.
            accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in.clone().and("otp")),
            accounts::end_other_sessions(account.id, &cookie.digest()),
        ];
        batch.extend(made);
        batch.push(audit::insert(event(&app, account.id, Action::TotpEnrolled, &from, now)?));
        let done = app.store.commit(batch).await?.is_done();
        Ok(if done { Confirmed::Done { codes, cookie } } else { Confirmed::Refused })
    })
    .await
}

fn draw_recovery(app: &App, account: AccountId) -> Answer<(Vec<Plain>, Vec<Digest>)> {
    let (mut codes, mut macs) = (Vec::new(), Vec::new());
    while codes.len() < RECOVERY_CODES {
        let Some(code) = RECOVERY.draw(&app.entropy.bytes_64()?) else { continue };
        let mac = app.vault.recovery(account, &code);
        codes.push(Plain::new(RECOVERY.show(&code)));
        macs.push(mac);
    }
    Ok((codes, macs))
}

/// New recovery codes, and what puts them in the place of the old ones.
pub fn recovery(app: &App, account: AccountId) -> Answer<(Vec<Plain>, Vec<Stmt>)> {
    let (codes, macs) = draw_recovery(app, account)?;
    Ok((codes, factors::replace_recovery(account, &macs)))
}

pub fn event(app: &App, account: AccountId, action: Action, from: &Origin, now: Timestamp) -> Answer<Event> {
    let mut event = app.event(now, action)?;
    event.account = Some(account);
    event.address = Some(from.address.clone());
    Ok(event)
}

/// Takes the app away. The session goes on under another cookie; `None` if it may not.
#[instrument(target = TRACE, name = "factors.remove_totp", skip_all)]
pub async fn remove_totp(
    app: &App,
    session: &Session,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Plain>> {
    if !may_change(app, session, now).await? {
        return Ok(None);
    }
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let batch = vec![
        accounts::hold(session.account),
        accounts::session_holds(&session.digest, now),
        factors::remove_totp(session.account),
        accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in),
        accounts::end_other_sessions(session.account, &cookie.digest()),
        audit::insert(event(app, session.account, Action::TotpRemoved, from, now)?),
    ];
    Ok(app.store.commit(batch).await?.is_done().then_some(cookie))
}

/// Ten new codes in the place of the old ones; `None` if the session may not.
#[instrument(target = TRACE, name = "factors.new_recovery_codes", skip_all)]
pub async fn new_recovery_codes(
    app: &App,
    session: &Session,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Vec<Plain>>> {
    if !may_change(app, session, now).await? || !of(app, session.account).await?.any() {
        return Ok(None);
    }
    let (codes, made) = recovery(app, session.account)?;
    let mut batch = vec![
        accounts::hold(session.account),
        accounts::session_holds(&session.digest, now),
        accounts::end_other_sessions(session.account, &session.digest),
    ];
    batch.extend(made);
    batch.push(audit::insert(event(app, session.account, Action::RecoveryCodesMade, from, now)?));
    Ok(app.store.commit(batch).await?.is_done().then_some(codes))
}

fn rules(app: &App, account: AccountId, address: IpAddr) -> Vec<(Digest, Rule)> {
    let limits = &app.config.limits;
    if !limits.enabled {
        return Vec::new();
    }
    vec![
        // Only whoever has the password can use these up.
        (app.vault.bucket("second factor", &account.to_string()), limits.wrong_passwords_per_account),
        (app.vault.bucket("password address", &address_key(address)), limits.wrong_passwords_per_address),
    ]
}

#[derive(Debug)]
pub enum Completed {
    /// The value of the session's cookie, which only the browser keeps.
    Yes(Plain),
    Wrong,
    Limited(Duration),
    /// There is no half sign-in, or it took too long.
    Over,
}

/// Completes a half sign-in with a code of the app or a recovery code, to the end even if the visitor
/// hangs up.
#[instrument(target = TRACE, name = "factors.complete", skip_all)]
pub async fn complete(
    app: &Arc<App>,
    cookie: Digest,
    typed: String,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Completed> {
    let app = app.clone();
    uncancelled(async move {
        let Some((half, account)) = accounts::half_session(&app.store, &cookie, now).await? else {
            return Ok(Completed::Over);
        };
        let counted = match limits::count(&app.store, rules(&app, account.id, address), now).await? {
            Ok(counted) => counted,
            Err(wait) => {
                app.metrics.refused("wrong_second_factors");
                return Ok(Completed::Limited(wait));
            }
        };
        if let Some((proof, action)) = proof(&app, &account, &typed, now).await? {
            // A new id: one that was planted before is worth nothing after.
            let cookie = Plain::from_entropy(&app.entropy.bytes()?);
            let session = Session {
                digest: cookie.digest(),
                account: account.id,
                // As old as its first factor.
                sign_in: half.sign_in.and("otp"),
                expires_at: now + app.config.session_ttl,
            };
            let batch = vec![
                proof,
                accounts::complete_session(&half.digest, &session),
                audit::insert(event(&app, account.id, action, &from, now)?),
            ];
            if app.store.commit(batch).await?.is_done() {
                limits::give_back(&app.store, counted).await?;
                return Ok(Completed::Yes(cookie));
            }
        }
        let mut event = event(&app, account.id, Action::SignInFailed, &from, now)?;
        event.detail = Some("second factor".to_owned());
        let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
        Ok(Completed::Wrong)
    })
    .await
}

/// What must hold for what was typed to be a factor of this person's, if it can be one.
async fn proof(app: &App, account: &Account, typed: &str, now: Timestamp) -> Answer<Option<(Stmt, Action)>> {
    let Some(code) = UserCode::parse(typed) else { return Ok(None) };
    if code.as_str().len() != usize::from(DIGITS) {
        let mac = app.vault.recovery(account.id, &code);
        return Ok(Some((factors::use_recovery(account.id, &mac, now), Action::RecoveryCodeUsed)));
    }
    let totp = factors::totp(&app.store, account.id).await?.filter(|totp| totp.confirmed_at.is_some());
    let Some(totp) = totp else { return Ok(None) };
    let step = matching(&key(app, account, &totp.sealed)?, code.as_str(), totp.last_step, now);
    Ok(step.map(|step| (factors::accept_step(account.id, step), Action::SignInSucceeded)))
}
