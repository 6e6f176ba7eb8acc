//! Passkeys (WebAuthn): beside a password, or instead of one. They always verify who uses them, so each
//! is two factors: a thing that somebody has, and what unlocks it.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::account::{Account, Session, SignIn};
use countersign_core::audit::Action;
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, PasskeyId};
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::instrument;
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_proto::ResidentKeyRequirement;

use crate::app::{Answer, App, Fault, uncancelled};
use crate::config::PublicUrl;
use crate::flow::factors::{self, Completed};
use crate::store::passkeys::StoredPasskey;
use crate::store::{Committed, Stmt, accounts, audit, challenges, passkeys};
use crate::telemetry::trace::TRACE;

/// How long a browser has to answer.
const PATIENCE: Duration = Duration::from_mins(5);
/// One person's, at most.
const PASSKEYS: i64 = 20;
/// What is signed: kinds never stand in for each other.
const REGISTER: &str = "register";
const SECOND: &str = "second";
const SIGN_IN: &str = "sign_in";
/// RFC 8176: proof of possession of a key, and that somebody was there.
const METHODS: [&str; 2] = ["pop", "user"];

/// A sign-in that showed a passkey.
fn with_passkey(sign_in: SignIn) -> SignIn {
    METHODS.into_iter().fold(sign_in, SignIn::and)
}

/// What checks passkeys, where there can be any: they belong to a domain.
pub struct Verifier(Option<Webauthn>);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Verifier").field(&self.0.is_some()).finish()
    }
}

impl Verifier {
    pub fn new(public_url: &PublicUrl) -> Self {
        let origin = Url::parse(public_url.issuer()).ok();
        let built = origin.and_then(|origin| {
            let builder = WebauthnBuilder::new(public_url.host(), &origin).ok()?;
            builder.rp_name(public_url.host()).timeout(PATIENCE).build().ok()
        });
        Self(built)
    }

    pub const fn is_possible(&self) -> bool {
        self.0.is_some()
    }
}

fn odd(error: impl std::fmt::Display) -> Fault {
    Fault::Page(format!("passkeys: {error}"))
}

fn json(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(odd)
}

fn stored<T: DeserializeOwned>(text: &str) -> Answer<T> {
    serde_json::from_str(text).map_err(odd)
}

async fn remember(app: &App, browser: &Digest, kind: &str, state: &str, now: Timestamp) -> Answer<()> {
    let _asked: Committed =
        app.store.commit(vec![challenges::ask(browser, kind, state, now + PATIENCE)]).await?;
    Ok(())
}

pub async fn list(app: &App, account: AccountId) -> Answer<Vec<StoredPasskey>> {
    Ok(passkeys::of_account(&app.store, account).await?)
}

fn keys(all: &[StoredPasskey]) -> Answer<Vec<Passkey>> {
    all.iter().map(|passkey| stored(&passkey.credential)).collect()
}

/// What a browser makes a passkey with; `None` where there can be none, or no more.
pub async fn begin_registration(
    app: &App,
    account: &Account,
    browser: &Digest,
    now: Timestamp,
) -> Answer<Option<String>> {
    let Some(webauthn) = &app.passkeys.0 else { return Ok(None) };
    let known = list(app, account.id).await?;
    if known.len() >= usize::try_from(PASSKEYS).unwrap_or(usize::MAX) {
        return Ok(None);
    }
    let exclude = keys(&known)?.iter().map(|key| key.cred_id().clone()).collect();
    let user = Uuid::from_bytes(*account.id.as_bytes());
    let shown = account.full_name.as_deref().unwrap_or(account.name.as_str());
    let begun = webauthn
        .start_passkey_registration(user, account.name.as_str(), shown, Some(exclude))
        .map_err(odd)?;
    let (mut options, state) = begun;
    // So that it can be found without a user name.
    if let Some(selection) = &mut options.public_key.authenticator_selection {
        selection.resident_key = Some(ResidentKeyRequirement::Preferred);
    }
    remember(app, browser, REGISTER, &json(&state)?, now).await?;
    json(&options.public_key).map(Some)
}

#[derive(Debug)]
pub enum Registered {
    /// With recovery codes, if it is the first factor; they are shown this once. The session has another
    /// cookie.
    Done {
        codes: Vec<Plain>,
        cookie: Plain,
    },
    Wrong,
    /// Nothing was begun, or the session may not.
    Refused,
}

/// What a browser answers, and in which session.
#[derive(Debug)]
pub struct Answered {
    pub browser: Digest,
    /// The credential as JSON, as `PublicKeyCredential.toJSON()` writes it.
    pub credential: String,
    pub from: Origin,
}

/// To the end even if the visitor hangs up: the codes would be lost.
#[instrument(target = TRACE, name = "passkeys.finish_registration", skip_all)]
pub async fn finish_registration(
    app: &Arc<App>,
    session: Session,
    name: String,
    answered: Answered,
    now: Timestamp,
) -> Answer<Registered> {
    let app = app.clone();
    uncancelled(async move { register(&app, &session, name, &answered, now).await }).await
}

async fn register(
    app: &App,
    session: &Session,
    name: String,
    answered: &Answered,
    now: Timestamp,
) -> Answer<Registered> {
    let browser = &answered.browser;
    let asked: Option<String> = challenges::asked(&app.store, browser, REGISTER, now).await?;
    let (Some(state), Some(webauthn)) = (asked, &app.passkeys.0) else { return Ok(Registered::Refused) };
    if !factors::may_change(app, session, now).await? {
        return Ok(Registered::Refused);
    }
    let Ok(credential) = serde_json::from_str::<RegisterPublicKeyCredential>(&answered.credential) else {
        return Ok(Registered::Wrong);
    };
    let begun: PasskeyRegistration = stored(&state)?;
    let passkey = match webauthn.finish_passkey_registration(&credential, &begun) {
        Ok(passkey) => passkey,
        Err(error) => return Ok(wrong(&error, Registered::Wrong)),
    };
    let kept = StoredPasskey {
        id: PasskeyId::new(now, app.entropy.id()?),
        account: session.account,
        credential: json(&passkey)?,
        name,
        created_at: now,
        last_used: None,
    };
    let first = !factors::of(app, session.account).await?.any();
    let sign_in = with_passkey(session.sign_in.clone());
    let event = factors::event(app, session.account, Action::PasskeyAdded, &answered.from, now)?;
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let mut batch = vec![
        accounts::hold(session.account),
        accounts::session_holds(&session.digest, now),
        challenges::answered(browser, REGISTER, &state),
        passkeys::insert(&kept, passkey.cred_id().as_ref()),
        accounts::strengthen(&session.digest, &cookie.digest(), &sign_in),
        accounts::end_other_sessions(session.account, &cookie.digest()),
        audit::insert(event),
    ];
    let mut codes = Vec::new();
    if first {
        let (made, statements) = factors::recovery(app, session.account)?;
        codes = made;
        batch.extend(statements);
    }
    let done = app.store.commit(batch).await?.is_done();
    Ok(if done { Registered::Done { codes, cookie } } else { Registered::Refused })
}

fn wrong<T>(error: &WebauthnError, outcome: T) -> T {
    tracing::debug!(%error, "a passkey was refused");
    outcome
}

/// What a browser signs in with, whoever it is of; `None` where there are no passkeys.
#[instrument(target = TRACE, name = "passkeys.begin_sign_in", skip_all)]
pub async fn begin_sign_in(app: &App, browser: &Digest, now: Timestamp) -> Answer<Option<String>> {
    let Some(webauthn) = &app.passkeys.0 else { return Ok(None) };
    let (options, state) = webauthn.start_discoverable_authentication().map_err(odd)?;
    remember(app, browser, SIGN_IN, &json(&state)?, now).await?;
    json(&options.public_key).map(Some)
}

/// The same for whoever has shown a password; `None` if they have none.
pub async fn begin_second(
    app: &App,
    account: AccountId,
    browser: &Digest,
    now: Timestamp,
) -> Answer<Option<String>> {
    let (Some(webauthn), known) = (&app.passkeys.0, list(app, account).await?) else { return Ok(None) };
    if known.is_empty() {
        return Ok(None);
    }
    let (options, state) = webauthn.start_passkey_authentication(&keys(&known)?).map_err(odd)?;
    remember(app, browser, SECOND, &json(&state)?, now).await?;
    json(&options.public_key).map(Some)
}

/// Signs somebody in, or completes the sign-in of whoever has shown a password, to the end even if the
/// visitor hangs up.
#[instrument(target = TRACE, name = "passkeys.sign_in", skip_all)]
pub async fn sign_in(app: &Arc<App>, answered: Answered, second: bool, now: Timestamp) -> Answer<Completed> {
    let app = app.clone();
    uncancelled(async move { check(&app, &answered, second, now).await }).await
}

async fn check(app: &App, answered: &Answered, second: bool, now: Timestamp) -> Answer<Completed> {
    let browser = &answered.browser;
    let Some(webauthn) = &app.passkeys.0 else { return Ok(Completed::Over) };
    let half = accounts::half_session(&app.store, browser, now).await?.filter(|_| second);
    let kind = if half.is_some() { SECOND } else { SIGN_IN };
    let Some(state) = challenges::asked(&app.store, browser, kind, now).await? else {
        return Ok(Completed::Over);
    };
    // It is used up, whatever the answer is.
    if !app.store.commit(vec![challenges::answered(browser, kind, &state)]).await?.is_done() {
        return Ok(Completed::Over);
    }
    let Ok(credential) = serde_json::from_str::<PublicKeyCredential>(&answered.credential) else {
        return Ok(Completed::Wrong);
    };
    let Some(kept) = passkeys::by_credential(&app.store, credential.get_credential_id()).await? else {
        return failed(app, answered, None, now).await;
    };
    let account = kept.account;
    let result = if let Some((half, _)) = &half {
        let begun: PasskeyAuthentication = stored(&state)?;
        if half.account == account {
            webauthn.finish_passkey_authentication(&credential, &begun)
        } else {
            Err(WebauthnError::CredentialNotFound)
        }
    } else {
        discovered(webauthn, &credential, stored(&state)?, &kept)?
    };
    let result = match result {
        Ok(result) => result,
        Err(error) => return wrong(&error, failed(app, answered, Some(account), now).await),
    };
    let mut passkey: Passkey = stored(&kept.credential)?;
    // What was asked may have known an older counter than there is by now.
    if passkey.update_credential(&result) != Some(true) && result.counter() > 0 {
        return failed(app, answered, Some(account), now).await;
    }
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let before = half.as_ref().map_or_else(Vec::new, |(half, _)| half.sign_in.amr.clone());
    let sign_in = with_passkey(SignIn { at: now, amr: before });
    let session =
        Session { digest: cookie.digest(), account, sign_in, expires_at: now + app.config.session_ttl };
    let mut event = factors::event(app, account, Action::SignInSucceeded, &answered.from, now)?;
    event.detail = Some("passkey".to_owned());
    let start: Vec<Stmt> = match &half {
        Some((half, _)) => vec![accounts::complete_session(&half.digest, &session)],
        None => vec![accounts::start_verified(&session, &answered.from), accounts::end_session(browser)],
    };
    let mut batch = vec![passkeys::used(&kept, &json(&passkey)?, now)];
    batch.extend(start);
    batch.push(audit::insert(event));
    if app.store.commit(batch).await?.is_done() {
        return Ok(Completed::Yes(cookie));
    }
    // Answered before, removed, or disabled in this very moment.
    failed(app, answered, Some(account), now).await
}

fn discovered(
    webauthn: &Webauthn,
    credential: &PublicKeyCredential,
    begun: DiscoverableAuthentication,
    kept: &StoredPasskey,
) -> Answer<Result<AuthenticationResult, WebauthnError>> {
    let (user, _) = match webauthn.identify_discoverable_authentication(credential) {
        Ok(identified) => identified,
        Err(error) => return Ok(Err(error)),
    };
    if user.as_bytes() != kept.account.as_bytes() {
        return Ok(Err(WebauthnError::InvalidUserUniqueId));
    }
    let passkey: Passkey = stored(&kept.credential)?;
    Ok(webauthn.finish_discoverable_authentication_v2(credential, begun, DiscoverableKey::from(&passkey)))
}

async fn failed(
    app: &App,
    answered: &Answered,
    account: Option<AccountId>,
    now: Timestamp,
) -> Answer<Completed> {
    let mut event = app.event(now, Action::SignInFailed)?;
    event.account = account;
    event.address = Some(answered.from.address.clone());
    event.detail = Some("passkey".to_owned());
    let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
    Ok(Completed::Wrong)
}

/// False if there is no such passkey of theirs, or the session may not.
pub async fn rename(
    app: &App,
    session: &Session,
    id: PasskeyId,
    name: &str,
    from: &Origin,
    now: Timestamp,
) -> Answer<bool> {
    let change = vec![passkeys::rename_own(id, session.account, name)];
    commit(app, session, change, Action::PasskeyRenamed, from, now).await
}

/// The session goes on under another cookie. `None` if there is no such passkey of theirs, nothing else
/// would be left to sign in with, or the session may not.
pub async fn remove(
    app: &App,
    session: &Session,
    id: PasskeyId,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Plain>> {
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let change = vec![
        passkeys::remove_own(id, session.account),
        accounts::keeps_a_way(session.account, &factors::ways(app)),
        accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in),
        // Somebody may be signed in with it.
        accounts::end_other_sessions(session.account, &cookie.digest()),
    ];
    let done = commit(app, session, change, Action::PasskeyRemoved, from, now).await?;
    Ok(done.then_some(cookie))
}

async fn commit(
    app: &App,
    session: &Session,
    change: Vec<Stmt>,
    action: Action,
    from: &Origin,
    now: Timestamp,
) -> Answer<bool> {
    if !factors::may_change(app, session, now).await? {
        return Ok(false);
    }
    let mut batch = vec![accounts::hold(session.account), accounts::session_holds(&session.digest, now)];
    batch.extend(change);
    batch.push(audit::insert(factors::event(app, session.account, action, from, now)?));
    Ok(app.store.commit(batch).await?.is_done())
}
