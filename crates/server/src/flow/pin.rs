//! Request initiation verification: whoever has the device types what the browser showed after Approve.
//! A code that was sent to somebody is worth nothing without them sending that PIN back.

use countersign_core::audit::Action;
use countersign_core::code::Pin;
use countersign_core::grant::{Approval, Grant, Origin};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::flow::policy::Objection;
use crate::store::feed::Event;
use crate::store::{Committed, Stmt, grants};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// A PIN, and where it was typed.
#[derive(Clone, Debug)]
pub struct Typed {
    pub pin: Pin,
    pub from: Origin,
}

/// What a PIN leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the right one, or none is wanted: the device may collect.
    Fits,
    Wrong,
    /// It was the last try.
    Denied,
    /// Something happened meanwhile, or no try is left.
    Again,
}

#[instrument(target = TRACE, name = "pin.check", skip_all)]
pub async fn check(
    app: &App,
    grant: &Grant,
    approval: &Approval,
    typed: Option<&Typed>,
    now: Timestamp,
) -> Answer<Checked> {
    if approval.pin_tries.is_none() {
        return Ok(Checked::Fits);
    }
    let Some(typed) = typed else { return Ok(Checked::Wrong) };
    // Counted before it is looked at: of any number at once no more are looked at than there are tries.
    if !app.store.commit(vec![grants::try_pin(grant.id)]).await?.is_done() {
        // No try is left, or somebody has decided. One that is being looked at may be the right one.
        return Ok(Checked::Again);
    }
    if typed.pin.is(&app.vault.pin(grant.id)) {
        return Ok(Checked::Fits);
    }
    Objection::to(grant, Action::PinWrong, "initiation_check", &typed.from).note(app, now).await?;
    Ok(if end(app, grant, &typed.from, now).await? { Checked::Denied } else { Checked::Wrong })
}

/// Denies a grant whose tries are used up.
async fn end(app: &App, grant: &Grant, from: &Origin, now: Timestamp) -> Answer<bool> {
    let batch = vec![
        grants::pin_failed(grant.id, now),
        Objection::to(grant, Action::GrantDenied, "initiation_check", from).row(app, now)?,
        Stmt::tell(Event::Grant(grant.id)),
    ];
    let denied = app.store.commit(batch).await?.is_done();
    if denied {
        app.metrics.grant(grant.ask.door(), GrantEvent::Denied, grant.client());
    }
    Ok(denied)
}

/// The right PIN was typed, and nothing could be handed over: it may be typed again.
pub async fn give_back(app: &App, approval: &Approval, grant: &Grant, handed_over: bool) {
    if approval.pin_tries.is_none() || handed_over {
        return;
    }
    let given: Result<Committed, _> = app.store.commit(vec![grants::pin_not_tried(grant.id)]).await;
    if let Err(error) = given {
        tracing::warn!(%error, "a try for a PIN could not be given back");
    }
}
