//! Signing in with an identity provider of the operator's. An account belongs to issuer and subject; an
//! e-mail address leads nowhere.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::{Account, Session, SignIn};
use countersign_core::audit::Action;
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use countersign_core::wire;
use serde::{Deserialize, Serialize};
use tracing::instrument;

use crate::app::{Answer, App, Fault, uncancelled};
use crate::flow::{caller, factors};
use crate::issuers::{Unverified, Vouched};
use crate::store::{Committed, accounts, audit, challenges};
use crate::telemetry::trace::TRACE;
use crate::upstream::{Admission, Asking, Upstream};

/// How long somebody may be away at the provider.
const PATIENCE: Duration = Duration::from_mins(15);
/// A browser is at one provider at a time.
const KIND: &str = "upstream";
/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// What is wanted of a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purpose {
    /// Where to go afterwards, as the pages spell it.
    pub next: String,
    /// The user code that the person came with.
    #[serde(serialize_with = "wire::reveal")]
    pub code: Plain,
    /// Only a fresh sign-in will do.
    pub again: bool,
    /// Whose account the identity is to be joined to, instead of signing in.
    pub link: bool,
}

/// What this browser was sent away with. Sealed: there are a nonce, a verifier and a user code in it.
#[derive(Serialize, Deserialize)]
struct Away {
    upstream: String,
    /// When it was sent away, in microseconds.
    began: i64,
    #[serde(serialize_with = "wire::reveal")]
    state: Plain,
    #[serde(serialize_with = "wire::reveal")]
    nonce: Plain,
    #[serde(serialize_with = "wire::reveal")]
    verifier: Plain,
    purpose: Purpose,
}

impl Away {
    fn asking<'a>(&'a self, redirect_uri: &'a str) -> Asking<'a> {
        let Self { state, nonce, verifier, purpose, .. } = self;
        Asking { redirect_uri, state, nonce, verifier, again: purpose.again }
    }
}

/// What the provider must have registered.
pub fn redirect_uri(app: &App, id: &str) -> String {
    app.public_url.join(&format!("/login/upstream/{id}/callback"))
}

fn odd(error: impl std::fmt::Display) -> Fault {
    Fault::Page(format!("identity providers: {error}"))
}

/// Where the browser goes; `None` if the provider cannot be asked now.
#[instrument(target = TRACE, name = "upstream.begin", skip_all)]
pub async fn begin(
    app: &App,
    upstream: &Upstream,
    browser: &Digest,
    purpose: Purpose,
    now: Timestamp,
) -> Answer<Option<String>> {
    let away = Away {
        upstream: upstream.config.id.clone(),
        began: now.micros(),
        state: Plain::from_entropy(&app.entropy.bytes()?),
        nonce: Plain::from_entropy(&app.entropy.bytes()?),
        verifier: Plain::from_entropy(&app.entropy.bytes()?),
        purpose,
    };
    let redirect_uri = redirect_uri(app, &upstream.config.id);
    let url = match upstream.authorize(&away.asking(&redirect_uri), now).await {
        Ok(url) => url,
        Err(Unverified::Bad(why) | Unverified::Unreachable(why)) => {
            tracing::warn!(upstream = upstream.config.id, why, "nobody can sign in with it now");
            return Ok(None);
        }
    };
    let json = serde_json::to_vec(&away).map_err(odd)?;
    let sealed = URL_SAFE_NO_PAD.encode(app.vault.seal(KIND, &json, &app.entropy)?);
    let _asked: Committed =
        app.store.commit(vec![challenges::ask(browser, KIND, &sealed, now + PATIENCE)]).await?;
    Ok(Some(url.into()))
}

/// What the provider sends the browser back with.
#[derive(Debug)]
pub struct Returned {
    pub browser: Digest,
    /// The session of this browser, if it has one.
    pub session: Option<Session>,
    pub state: Plain,
    pub code: Option<Plain>,
    pub error: Option<String>,
    pub issuer: Option<String>,
    pub from: Origin,
}

/// Why somebody did not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// They, or the provider, said no.
    Cancelled,
    /// What came back is not good.
    Wrong,
    /// The configuration admits others.
    NotAllowed,
    /// They signed in with less than is wanted.
    TooWeak,
    /// A fresh sign-in was asked for, and there was none, or nobody says so.
    NotFresh,
    Unreachable,
    /// The identity is somebody else's, or the session may not.
    NotLinked,
}

#[derive(Debug)]
pub enum Finished {
    /// The value of the session's cookie, which only the browser keeps.
    Yes(Plain),
    /// A second factor is wanted.
    Half(Plain),
    /// The session goes on under another cookie.
    Linked(Plain),
    Turned(Turned),
}

/// To the end even if the visitor hangs up. `None`: this browser was not sent to this provider, or too
/// long ago.
#[instrument(target = TRACE, name = "upstream.finish", skip_all)]
pub async fn finish(
    app: &Arc<App>,
    id: String,
    returned: Returned,
    now: Timestamp,
) -> Answer<Option<(Purpose, Finished)>> {
    let app = app.clone();
    uncancelled(async move { end(&app, &id, &returned, now).await }).await
}

async fn end(
    app: &App,
    id: &str,
    returned: &Returned,
    now: Timestamp,
) -> Answer<Option<(Purpose, Finished)>> {
    let browser = &returned.browser;
    let Some(upstream) = app.upstreams.find(id) else { return Ok(None) };
    let Some(kept) = challenges::asked(&app.store, browser, KIND, now).await? else { return Ok(None) };
    let sealed = URL_SAFE_NO_PAD.decode(&kept).map_err(odd)?;
    let away: Away = serde_json::from_slice(&app.vault.open(KIND, &sealed)?).map_err(odd)?;
    // Somebody else's answer must not use up what this browser waits for.
    let own = away.upstream == id && away.state.digest().matches(&returned.state.digest());
    if !own || !app.store.commit(vec![challenges::answered(browser, KIND, &kept)]).await?.is_done() {
        return Ok(None);
    }
    let (finished, why) = judge(app, upstream, &away, returned, now).await?;
    if let Finished::Turned(_) = &finished {
        let mut event = app.event(now, Action::SignInFailed)?;
        event.account =
            returned.session.as_ref().filter(|_| away.purpose.link).map(|session| session.account);
        event.address = Some(returned.from.address.clone());
        event.detail = Some(format!("upstream {id}: {why}"));
        let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
    }
    Ok(Some((away.purpose, finished)))
}

/// What it comes to, and why, for the audit trail.
async fn judge(
    app: &App,
    upstream: &Upstream,
    away: &Away,
    returned: &Returned,
    now: Timestamp,
) -> Answer<(Finished, String)> {
    let id = upstream.config.id.as_str();
    let turned = |turned: Turned, why: &str| Ok((Finished::Turned(turned), why.to_owned()));
    let code = match (&returned.code, &returned.error) {
        (Some(code), None) => code,
        (_, Some(error)) => {
            let error: String = error.escape_debug().take(64).collect();
            return turned(Turned::Cancelled, &format!("it said {error}"));
        }
        (None, None) => return turned(Turned::Wrong, "neither code nor error"),
    };
    let redirect_uri = redirect_uri(app, id);
    let asking = away.asking(&redirect_uri);
    let admission = match upstream.exchange(code.reveal(), returned.issuer.as_deref(), &asking, now).await {
        Ok(claims) => upstream.admit(&claims, now),
        Err(error) => Err(error),
    };
    let vouched = match admission {
        Ok(Admission::Admitted(vouched)) => vouched,
        Ok(Admission::Refused(why)) => return turned(Turned::NotAllowed, &why),
        Ok(Admission::TooWeak) => return turned(Turned::TooWeak, "acr or amr is not what is required"),
        Err(Unverified::Bad(why)) => {
            tracing::warn!(upstream = id, why, "what an identity provider sent is not good");
            return turned(Turned::Wrong, &why);
        }
        Err(Unverified::Unreachable(why)) => {
            tracing::warn!(upstream = id, why, "an identity provider cannot be asked");
            return turned(Turned::Unreachable, &why);
        }
    };
    let began = Timestamp::from_micros(away.began);
    if away.purpose.again && vouched.sign_in.at + LEEWAY < began {
        return turned(Turned::NotFresh, "the sign-in there is not a fresh one");
    }
    let who = format!("subject {}", vouched.subject);
    if away.purpose.link {
        return Ok((link(app, &vouched, returned, now).await?, who));
    }
    match caller::vouched_for(app, &vouched, now).await? {
        Some(account) if account.is_enabled() => {
            Ok((start(app, upstream, &account, vouched, returned, now).await?, who))
        }
        Some(_) => turned(Turned::NotAllowed, &format!("{who} is disabled")),
        None => turned(Turned::NotAllowed, &who),
    }
}

/// A factor of ours is wanted beside the provider's, unless it checked two itself.
async fn start(
    app: &App,
    upstream: &Upstream,
    account: &Account,
    vouched: Vouched,
    returned: &Returned,
    now: Timestamp,
) -> Answer<Finished> {
    let sign_in: SignIn = vouched.sign_in;
    let half = !sign_in.is_multi_factor() && factors::of(app, account.id).await?.any();
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let expires_at = now + if half { factors::HALF } else { app.config.session_ttl };
    let session = Session { digest: cookie.digest(), account: account.id, sign_in, expires_at };
    let action = if half { Action::UpstreamRight } else { Action::SignInSucceeded };
    let mut event = factors::event(app, account.id, action, &returned.from, now)?;
    event.detail = Some(format!("upstream {}", upstream.config.id));
    let batch = vec![
        // First, so that a factor which is being added at this moment is seen by the next statement.
        accounts::hold(account.id),
        accounts::start_vouched(&session, half, &returned.from, now),
        accounts::end_session(&returned.browser),
        audit::insert(event),
    ];
    Ok(match (app.store.commit(batch).await?, half) {
        (Committed::Done { .. }, true) => Finished::Half(cookie),
        (Committed::Done { .. }, false) => Finished::Yes(cookie),
        // Disabled in this very moment, or given a factor.
        (Committed::Conflict, _) => Finished::Turned(Turned::Wrong),
    })
}

/// Joins an identity to the account of whoever is signed in.
async fn link(app: &App, vouched: &Vouched, returned: &Returned, now: Timestamp) -> Answer<Finished> {
    let Some(session) = &returned.session else { return Ok(Finished::Turned(Turned::NotLinked)) };
    if !factors::may_change(app, session, now).await? {
        return Ok(Finished::Turned(Turned::NotLinked));
    }
    let mut event = factors::event(app, session.account, Action::IdentityLinked, &returned.from, now)?;
    event.detail = Some(vouched.issuer.clone());
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let batch = vec![
        accounts::hold(session.account),
        accounts::session_holds(&session.digest, now),
        accounts::join(&vouched.issuer, &vouched.subject, session.account, vouched.said_at, now),
        accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in),
        accounts::end_other_sessions(session.account, &cookie.digest()),
        audit::insert(event),
    ];
    let done = app.store.commit(batch).await?.is_done();
    Ok(if done { Finished::Linked(cookie) } else { Finished::Turned(Turned::NotLinked) })
}

/// The providers that somebody's account is joined to, in the order of the configuration.
pub async fn linked(app: &App, account: AccountId) -> Answer<Vec<&Upstream>> {
    let issuers = accounts::issuers_of(&app.store, account).await?;
    Ok(app.upstreams.iter().filter(|upstream| issuers.contains(&upstream.config.issuer)).collect())
}

#[derive(Debug)]
pub enum Unlinked {
    /// The session goes on under another cookie.
    Yes(Plain),
    /// Nothing else would be left to sign in with.
    Last,
    /// The session may not.
    Refused,
}

/// Takes an identity away from an account.
pub async fn unlink(
    app: &App,
    session: &Session,
    upstream: &Upstream,
    from: &Origin,
    now: Timestamp,
) -> Answer<Unlinked> {
    if !factors::may_change(app, session, now).await? {
        return Ok(Unlinked::Refused);
    }
    let mut event = factors::event(app, session.account, Action::IdentityUnlinked, from, now)?;
    event.detail = Some(upstream.config.issuer.clone());
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let batch = vec![
        accounts::hold(session.account),
        accounts::session_holds(&session.digest, now),
        accounts::forget_identity(session.account, &upstream.config.issuer),
        accounts::keeps_a_way(session.account, &factors::ways(app)),
        accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in),
        accounts::end_other_sessions(session.account, &cookie.digest()),
        audit::insert(event),
    ];
    Ok(if app.store.commit(batch).await?.is_done() { Unlinked::Yes(cookie) } else { Unlinked::Last })
}
