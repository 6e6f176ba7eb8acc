//! Request initiation verification: whoever has the device types what the browser showed after Approve.
//! A code that was sent to somebody is worth nothing without them sending that PIN back.

use countersign_core::audit::Action;
use countersign_core::code::Pin;
use countersign_core::grant::{Approval, Grant};
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::policy::Objection;
use crate::store::feed::Event;
use crate::store::{Committed, Stmt, grants};
use crate::telemetry::GrantEvent;

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

pub async fn check(
    app: &App,
    grant: &Grant,
    approval: &Approval,
    typed: Option<&Pin>,
    now: Timestamp,
) -> Answer<Checked> {
    if approval.pin_tries.is_none() {
        return Ok(Checked::Fits);
    }
    let Some(typed) = typed else { return Ok(Checked::Wrong) };
    // Counted before it is looked at: of any number at once no more are looked at than there are tries.
    if !app.store.commit(vec![grants::try_pin(grant.id)]).await?.is_done() {
        return Ok(Checked::Again);
    }
    if typed.is(&app.vault.pin(grant.id)) {
        return Ok(Checked::Fits);
    }
    let objection = |action| {
        let objection = Objection::to(grant, action, "initiation_check", &grant.from);
        Objection { account: approval.by, ..objection }
    };
    objection(Action::PinWrong).note(app, now).await?;
    let batch = vec![
        grants::pin_failed(grant.id, now),
        objection(Action::GrantDenied).row(app, now)?,
        Stmt::tell(Event::Grant(grant.id)),
    ];
    if app.store.commit(batch).await?.is_done() {
        app.metrics.grant(grant.ask.door(), GrantEvent::Denied);
        return Ok(Checked::Denied);
    }
    Ok(Checked::Wrong)
}

/// The right PIN was typed, and nothing could be handed over: it may be typed again.
pub async fn give_back<T>(app: &App, approval: &Approval, grant: &Grant, outcome: &Answer<Option<T>>) {
    if approval.pin_tries.is_none() || matches!(outcome, Ok(Some(_))) {
        return;
    }
    let given: Result<Committed, _> = app.store.commit(vec![grants::pin_not_tried(grant.id)]).await;
    if let Err(error) = given {
        tracing::warn!(%error, "a try for a PIN could not be given back");
    }
}
