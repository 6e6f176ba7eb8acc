//! The browsers that somebody is signed in with, and the password that they signed in with.

use countersign_core::account::{Account, Session, is_password};
use countersign_core::audit::Action;
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, Fault};
use crate::flow::{factors, login};
use crate::password::PasswordError;
use crate::store::accounts::ListedSession;
use crate::store::{accounts, attempts, audit};
use crate::telemetry::trace::TRACE;

pub async fn list(app: &App, account: AccountId, now: Timestamp) -> Answer<Vec<ListedSession>> {
    Ok(accounts::sessions_of(&app.store, account, now).await?)
}

/// Signs one browser out. False if there is no such one of this person's.
#[instrument(target = TRACE, name = "sessions.end", skip_all)]
pub async fn end(
    app: &App,
    session: &Session,
    other: &Digest,
    from: &Origin,
    now: Timestamp,
) -> Answer<bool> {
    let event = factors::event(app, session.account, Action::SessionEnded, from, now)?;
    let batch = vec![
        accounts::session_holds(&session.digest, now),
        accounts::end_own_session(other, session.account),
        audit::insert(event),
    ];
    Ok(app.store.commit(batch).await?.is_done())
}

/// Signs every other browser out.
#[instrument(target = TRACE, name = "sessions.end_others", skip_all)]
pub async fn end_others(app: &App, session: &Session, from: &Origin, now: Timestamp) -> Answer<bool> {
    let mut event = factors::event(app, session.account, Action::SessionEnded, from, now)?;
    event.detail = Some("all others".to_owned());
    let batch = vec![
        accounts::session_holds(&session.digest, now),
        accounts::end_other_sessions(session.account, &session.digest),
        audit::insert(event),
    ];
    Ok(app.store.commit(batch).await?.is_done())
}

#[derive(Debug)]
pub enum Changed {
    /// The session goes on under another cookie.
    Done(Plain),
    /// Too short or too long.
    Unfit,
    /// The session may not, or there are no passwords here.
    Refused,
    Busy,
}

/// Gives its person another password, and signs every other browser out.
#[instrument(target = TRACE, name = "sessions.change_password", skip_all)]
pub async fn change_password(
    app: &App,
    session: &Session,
    account: &Account,
    password: Plain,
    from: &Origin,
    now: Timestamp,
) -> Answer<Changed> {
    if !app.config.passwords || !factors::may_change(app, session, now).await? {
        return Ok(Changed::Refused);
    }
    if !is_password(password.reveal()) {
        return Ok(Changed::Unfit);
    }
    // Each costs as much as a sign-in.
    if app.password_changes.check(&account.id.to_string()).is_err() {
        return Ok(Changed::Busy);
    }
    let hash = match app.hasher.hash(password, &app.entropy).await {
        Ok(hash) => hash,
        Err(PasswordError::Busy) => return Ok(Changed::Busy),
        Err(error) => return Err(Fault::Password(error)),
    };
    let cookie = Plain::from_entropy(&app.entropy.bytes()?);
    let batch = vec![
        accounts::hold(account.id),
        accounts::session_holds(&session.digest, now),
        accounts::set_password(account.id, &hash),
        accounts::strengthen(&session.digest, &cookie.digest(), &session.sign_in),
        accounts::end_other_sessions(account.id, &cookie.digest()),
        attempts::forget(&login::name_bucket(app, Some(&account.name))),
        audit::insert(factors::event(app, account.id, Action::UserPassword, from, now)?),
    ];
    let done = app.store.commit(batch).await?.is_done();
    Ok(if done { Changed::Done(cookie) } else { Changed::Refused })
}
