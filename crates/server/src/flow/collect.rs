//! Steps 2 and 5: a device polls and, once approved, collects.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::audit::Action;
use countersign_core::client::{Client, GrantType};
use countersign_core::family::Family;
use countersign_core::grant::{Approval, Ask, Grant, Poll};
use countersign_core::id::FamilyId;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::tokens::{self, Issue, TokenSet};
use crate::store::{Committed, accounts, audit, families, grants};
use crate::telemetry::GrantEvent;

/// What a poll hears, in the words of RFC 8628 §3.5.
#[derive(Debug)]
pub enum Polled {
    Tokens(Box<TokenSet>),
    Wait,
    SlowDown(Duration),
    Denied,
    Expired,
    /// Unknown, another client's, or collected already.
    Invalid,
    /// A resource that was not asked for (RFC 8707 §2).
    Target(String),
}

pub async fn poll(
    app: &App,
    client: &Arc<Client>,
    device_code: &str,
    resources: &[String],
    now: Timestamp,
) -> Answer<Polled> {
    let digest = Digest::of(device_code);
    // Somebody else may redeem, deny or disable between the look and the commit; then look again.
    for _ in 0..4 {
        if app.store.feed().is_fresh()
            && let Some(known) = app.pending.poll(&digest, &client.id, now)
        {
            return Ok(match known {
                Poll::SlowDown(interval) => Polled::SlowDown(interval),
                _ => Polled::Wait,
            });
        }
        let round = app.pending.round();
        let Some(grant) = grants::by_device(&app.store, &digest).await? else { return Ok(Polled::Invalid) };
        // Before anything else about it, so that nothing leaks to another client.
        if *grant.client() != client.id {
            return Ok(Polled::Invalid);
        }
        match app.pending.poll_read(&digest, &grant, client, round, now) {
            Poll::Spent => return Ok(Polled::Invalid),
            Poll::Denied => return Ok(Polled::Denied),
            Poll::Expired => return Ok(Polled::Expired),
            Poll::SlowDown(interval) => return Ok(Polled::SlowDown(interval)),
            Poll::Wait => return Ok(Polled::Wait),
            Poll::Ready(approval) => {
                if let Some(polled) = redeem(app, client, &grant, &approval, resources, now).await? {
                    return Ok(polled);
                }
            }
        }
    }
    // It is approved, and yet the guard refuses: its client was removed in this very moment.
    Ok(Polled::Denied)
}

/// Issues first, then commits the redemption together with all that it yields: a failure on the
/// way leaves the grant as it was. `None` if it changed meanwhile.
async fn redeem(
    app: &App,
    client: &Client,
    grant: &Grant,
    approval: &Approval,
    resources: &[String],
    now: Timestamp,
) -> Answer<Option<Polled>> {
    let enabled = accounts::by_id(&app.store, approval.by)
        .await?
        .filter(countersign_core::account::Account::is_enabled);
    if enabled.is_none() {
        // For good: whoever is enabled again must approve again.
        let denied: Committed = app.store.commit(vec![grants::undo(grant.id, approval.by, now)]).await?;
        return Ok(denied.is_done().then_some(Polled::Denied));
    }
    let Ask::Tokens(ask) = &grant.ask;
    // The client may have been given less since it asked.
    let scopes = client.still_allowed(&ask.scopes);
    let granted = match tokens::still_targeted(client, &ask.options.resources) {
        Ok(granted) => granted,
        Err(gone) => return Ok(Some(Polled::Target(gone))),
    };
    if let Some(other) = resources.iter().find(|resource| !granted.contains(resource)) {
        return Ok(Some(Polled::Target(other.clone())));
    }
    let lifetime = if client.may_use(GrantType::RefreshToken) {
        app.config.lifetimes.refresh
    } else {
        app.config.lifetimes.access
    };
    let family = Family {
        id: FamilyId::new(now, app.entropy.id()?),
        account: approval.by,
        client: client.id.clone(),
        grant: grant.id,
        scopes,
        resources: granted,
        nonce: ask.options.nonce.clone(),
        sign_in: approval.sign_in.clone(),
        from: grant.from.clone(),
        created_at: now,
        last_used: Some(now),
        expires_at: now + lifetime,
        ended_at: None,
    };
    let issue = Issue {
        client,
        family: &family,
        scopes: &family.scopes,
        resources,
        parent: None,
        nonce: family.nonce.as_deref(),
    };
    let (tokens, mut batch) = tokens::issue(app, issue, now).await?;
    let mut event = app.event(now, Action::GrantRedeemed)?;
    event.account = Some(approval.by);
    event.client = Some(client.id.clone());
    event.grant = Some(grant.id);
    event.family = Some(family.id);
    batch.extend([grants::redeem(grant.id, family.id, now), families::insert(&family), audit::insert(event)]);
    match app.store.commit(batch).await? {
        Committed::Done { .. } => {
            app.metrics.grant(GrantEvent::Redeemed);
            Ok(Some(Polled::Tokens(Box::new(tokens))))
        }
        Committed::Conflict => Ok(None),
    }
}
