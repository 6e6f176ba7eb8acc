//! The CLI door from the other side: a person has a code shown, and types it into a command line.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::code::UserCode;
use countersign_core::grant::{Approval, Ask, Grant, KeyAsk, Origin, State, Way};
use countersign_core::id::GrantId;
use countersign_core::key::Key;
use countersign_core::scope::Scopes;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, uncancelled};
use crate::flow::ask::{DRAWS, no_free_code};
use crate::flow::collect::{Collected, Polled, redeem_key};
use crate::flow::policy::{Objection, Ruling, Sufficient};
use crate::limits::{self, address_key};
use crate::store::{Committed, accounts, api_keys, audit, grants};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// What a key is called that comes of such a code.
pub const KEY_NAME: &str = "CLI (Dashboard Code)";
/// So many codes of one person can be used at a time.
const LIVE: u32 = 5;

#[derive(Debug)]
pub struct Made {
    pub grant: GrantId,
    pub code: Plain,
    pub expires_in: Duration,
}

#[derive(Debug)]
pub enum Making {
    Made(Made),
    TooMany(Duration),
    /// The caller may no more what they might a moment ago.
    Refused,
}

#[instrument(target = TRACE, name = "reverse.make", skip_all)]
pub async fn make(
    app: &App,
    caller: Sufficient<'_>,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Making> {
    let caller = caller.caller();
    if app.config.limits.enabled {
        for key in [address_key(address), caller.account.id.to_string()] {
            if let Err(wait) = app.codes_per_address.check(&key) {
                app.metrics.refused("device_codes_per_address");
                return Ok(Making::TooMany(wait));
            }
        }
    }
    let expires_in = app.config.approval.lifetime(app.config.cli.code_ttl);
    // Typing the code binds the device to its person already, the other way round: no PIN.
    let approval =
        Approval { by: Some(caller.account.id), at: now, sign_in: caller.sign_in(), pin_tries: None };
    for _ in 0..DRAWS {
        let id = GrantId::new(now, app.entropy.id()?);
        let Some(code) = app.vault.reverse_code(id, app.config.cli.reverse_code_length) else { continue };
        let ask =
            KeyAsk { way: Way::Reverse, client: None, name: KEY_NAME.to_owned(), scopes: Scopes::default() };
        let grant = Grant {
            id,
            ask: Ask::Key(ask),
            from: from.clone(),
            asked_at: now,
            expires_at: now + expires_in,
            interval: app.config.cli.interval,
            opened_at: Some(now),
            state: State::Approved(approval.clone()),
        };
        let mut event = app.event(now, Action::ReverseCodeMade)?;
        event.account = Some(caller.account.id);
        event.grant = Some(id);
        event.address = Some(from.address.clone());
        let mut batch = vec![accounts::hold(caller.account.id)];
        batch.extend(caller.guards(now));
        batch.extend([
            grants::end_older_reverse(caller.account.id, LIVE - 1, now),
            grants::insert_approved(&grant, &app.vault.reverse(&code), &approval)?,
            audit::insert(event),
        ]);
        batch.extend(caller.login().map(|login| grants::made_with(id, login)));
        if app.store.commit(batch).await?.is_done() {
            app.metrics.grant(grant.ask.door(), GrantEvent::Asked, grant.client());
            return Ok(Making::Made(Made {
                grant: id,
                code: Plain::new(code.as_str().to_owned()),
                expires_in,
            }));
        }
        // The code is taken, or the caller is not who they were a moment ago.
        let mut still = vec![accounts::hold(caller.account.id)];
        still.extend(caller.guards(now));
        if !app.store.commit(still).await?.is_done() {
            return Ok(Making::Refused);
        }
    }
    Err(no_free_code())
}

/// What typing a code into a command line leads to.
#[derive(Debug)]
pub enum Verified {
    Key(Box<Collected>),
    /// Unknown, malformed, expired, of another kind, or taken back.
    Unknown,
    /// Somebody collected with it before.
    Used,
    /// Not from there.
    Denied,
    Limited(Duration),
}

/// Counts as a wrong code unless it is right, even if the caller hangs up before that is known.
#[instrument(target = TRACE, name = "reverse.verify", skip_all)]
pub async fn verify(
    app: &Arc<App>,
    typed: &str,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Verified> {
    let (app, typed) = (app.clone(), typed.to_owned());
    uncancelled(async move { check(&app, &typed, &from, address, now).await }).await
}

async fn check(app: &App, typed: &str, from: &Origin, address: IpAddr, now: Timestamp) -> Answer<Verified> {
    let limits = &app.config.limits;
    let mut rules = Vec::new();
    if limits.enabled {
        let bucket = app.vault.bucket("reverse code address", &address_key(address));
        rules.push((bucket, limits.wrong_reverse_codes_per_address));
        rules.push((app.vault.bucket("reverse code", ""), limits.wrong_reverse_codes));
    }
    let counted = match limits::count(&app.store, rules, now).await? {
        Ok(counted) => counted,
        Err(wait) => {
            app.metrics.refused("wrong_reverse_codes");
            return Ok(Verified::Limited(wait));
        }
    };
    // It stays counted, which bounds what is written down about it.
    if !app.config.approval.may_ask(address) {
        let (action, why) = (Action::GrantRefused, "allowed_requester_cidrs");
        let objection = Objection { action, why, grant: None, client: None, account: None, from };
        objection.note(app, now).await?;
        return Ok(Verified::Denied);
    }
    let verified = match UserCode::parse(typed) {
        Some(code) => collect(app, &code, from, now).await?,
        None => Verified::Unknown,
    };
    if let Verified::Key(_) = verified {
        limits::give_back(&app.store, counted).await?;
    } else {
        let mut event = app.event(now, Action::ReverseCodeWrong)?;
        event.address = Some(from.address.clone());
        let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
    }
    Ok(verified)
}

async fn collect(app: &App, code: &UserCode, from: &Origin, now: Timestamp) -> Answer<Verified> {
    // Of many at once one collects; the others look again and find it used.
    for _ in 0..4 {
        let found = grants::by_device(&app.store, &app.vault.reverse(code)).await?;
        let Some(grant) = found.filter(|grant| !grant.is_expired(now)) else { return Ok(Verified::Unknown) };
        let (Ask::Key(ask), state) = (&grant.ask, &grant.state) else { return Ok(Verified::Unknown) };
        let approval = match state {
            State::Approved(approval) => approval,
            State::Redeemed { .. } => return Ok(Verified::Used),
            State::Pending | State::Denied { .. } => return Ok(Verified::Unknown),
        };
        let ruling = Ruling::new(app, None, from, &grant.from);
        // Nobody can be asked to sign in anew here: it must have been fresh when the code was shown.
        let old = approval.at.since(approval.sign_in.at) > app.config.fresh_for;
        if ruling.is_denied() || (ruling.wants_again() && old) {
            let objection = Objection::to(&grant, Action::GrantRefused, "mismatch", from);
            Objection { account: approval.by, ..objection }.note(app, now).await?;
            return Ok(Verified::Denied);
        }
        match redeem_key(app, &grant, ask, approval, from, now).await? {
            Some(Polled::Collected(collected)) => return Ok(Verified::Key(collected)),
            Some(_) => return Ok(Verified::Unknown),
            None => {}
        }
    }
    Ok(Verified::Unknown)
}

/// What became of a code, for the page that shows it.
#[derive(Debug)]
pub enum Status {
    Waiting {
        code: Plain,
        left: Duration,
    },
    /// Collected, and the key that came of it.
    Used(Option<Box<Key>>),
    Over,
}

/// `None`: there is no such code of this person's.
#[instrument(target = TRACE, name = "reverse.status", skip_all)]
pub async fn status(app: &App, account: &Account, id: GrantId, now: Timestamp) -> Answer<Option<Status>> {
    let Some(grant) = grants::by_id(&app.store, id).await? else { return Ok(None) };
    if !matches!(&grant.ask, Ask::Key(ask) if ask.way == Way::Reverse) {
        return Ok(None);
    }
    let status = match &grant.state {
        State::Redeemed { approval, device, .. } if approval.is_by(account.id) => {
            Status::Used(api_keys::by_id(&app.store, *device).await?.map(Box::new))
        }
        State::Approved(approval) if approval.is_by(account.id) => {
            let code = app.vault.reverse_code(id, app.config.cli.reverse_code_length);
            match code.filter(|_| !grant.is_expired(now)) {
                Some(code) => Status::Waiting {
                    code: Plain::new(code.as_str().to_owned()),
                    left: grant.expires_at.since(now),
                },
                None => Status::Over,
            }
        }
        // Taken back: of whom it was is not said any more.
        State::Denied { .. } => Status::Over,
        State::Approved(_) | State::Redeemed { .. } | State::Pending => return Ok(None),
    };
    Ok(Some(status))
}
