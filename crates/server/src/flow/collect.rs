//! Steps 2 and 5: a device polls and, once approved, collects.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::client::{Client, GrantType};
use countersign_core::family::Family;
use countersign_core::grant::{Approval, Ask, Grant, KeyAsk, Origin, Poll, State, Thumbprint, TokensAsk};
use countersign_core::id::DeviceId;
use countersign_core::key::Key;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::dpop::{Proof, Unproven};
use crate::flow::api_keys::{self, NewKey};
use crate::flow::clients::known;
use crate::flow::devices;
use crate::flow::notices::{self, NewDevice};
use crate::flow::pin::{self, Checked, Typed};
use crate::flow::policy::{self, Objection, Ruling};
use crate::flow::tokens::{self, Issue, TokenSet};
use crate::remembered::Asker;
use crate::store::{Committed, Stmt, accounts, audit, families, grants};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// What a poll hears, in the words of RFC 8628 §3.5.
#[derive(Debug)]
pub enum Polled<T> {
    Collected(T),
    Wait,
    /// Approved; the PIN that the browser shows must be typed on the device.
    WaitForPin,
    SlowDown(Duration),
    Denied,
    Expired,
    /// Collected already.
    Spent,
    /// There is no such code for whoever asks.
    Unknown,
    /// A resource that was not asked for (RFC 8707 §2).
    Target(String),
    /// The key that it is bound to was not shown.
    Unproven(Unproven),
}

/// A new key, with its owner, on its way to the one who collects it.
#[derive(Debug)]
pub struct Collected {
    pub plain: Plain,
    pub key: Key,
    pub owner: Account,
}

/// Somebody else may redeem, deny or disable between the look and the commit; then look again.
const LOOKS: usize = 4;

#[instrument(target = TRACE, name = "collect.poll_tokens", skip_all)]
pub async fn poll_tokens(
    app: &App,
    client: &Arc<Client>,
    device_code: &str,
    resources: &[String],
    typed: Option<&Typed>,
    proof: &mut Proof,
    now: Timestamp,
) -> Answer<Polled<Box<TokenSet>>> {
    let digest = Digest::of(device_code);
    for _ in 0..LOOKS {
        let looked = look(app, Asker::Client(client), &digest, typed, Some(proof), now).await?;
        let (grant, approval, key) = match looked {
            Looked::Said(polled) => return Ok(polled),
            Looked::Ready(grant, approval, key) => (grant, approval, key),
        };
        let Ask::Tokens(ask) = &grant.ask else { break };
        match pin::check(app, &grant, &approval, typed, now).await? {
            Checked::Fits => {}
            Checked::Wrong => return Ok(Polled::WaitForPin),
            Checked::Denied => return Ok(Polled::Denied),
            Checked::Again => continue,
        }
        let redemption = Redemption { client, grant: &grant, ask, approval: &approval, resources, key };
        let polled = redeem_tokens(app, redemption, now).await;
        let done = matches!(polled, Ok(Some(Polled::Collected(_))));
        pin::give_back(app, &approval, &grant, done).await;
        if let Some(polled) = polled? {
            return Ok(polled);
        }
    }
    // It is approved, and yet the guard refuses: its client was removed in this very moment.
    Ok(Polled::Denied)
}

/// What redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
#[derive(Debug)]
pub struct CodeRequest<'a> {
    pub code: &'a str,
    pub redirect_uri: Option<&'a str>,
    pub verifier: &'a str,
    pub resources: &'a [String],
}

/// A code must be redeemed so soon after the person said yes.
const CODE_TTL: Duration = Duration::from_mins(1);

/// The answer that a browser took back. One that comes a second time ends what came of the first: one of
/// the two had it from somewhere else.
#[instrument(target = TRACE, name = "collect.redeem_code", skip_all)]
pub async fn redeem_code(
    app: &App,
    client: &Arc<Client>,
    request: CodeRequest<'_>,
    proof: &mut Proof,
    now: Timestamp,
) -> Answer<Polled<Box<TokenSet>>> {
    let digest = Digest::of(request.code);
    for _ in 0..LOOKS {
        let Some(grant) = grants::by_device(&app.store, &digest).await? else { return Ok(Polled::Unknown) };
        let Ask::Tokens(ask) = &grant.ask else { return Ok(Polled::Unknown) };
        let Some(asked) = ask.options.code.as_ref().filter(|_| ask.client == client.id) else {
            return Ok(Polled::Unknown);
        };
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(request.verifier).as_bytes());
        let fits = Digest::of(&challenge).matches(&Digest::of(&asked.challenge));
        let returns = request.redirect_uri.map_or(!asked.named, |uri| uri == asked.redirect_uri);
        if !fits || !returns {
            return Ok(Polled::Unknown);
        }
        let approval = match &grant.state {
            // It may have been sent to where the client sends nobody any more.
            State::Approved(_) if !client.may_redirect(&asked.redirect_uri) => return Ok(Polled::Unknown),
            State::Approved(approval) if now < approval.at + CODE_TTL => approval,
            State::Approved(_) => return Ok(Polled::Expired),
            State::Redeemed { device, .. } => {
                let mut event = app.event(now, Action::TokenReused)?;
                event.client = Some(client.id.clone());
                event.grant = Some(grant.id);
                event.device = Some(*device);
                event.detail = Some("an authorization code came twice".to_owned());
                // A conflict: it ended before.
                let mut ended = vec![families::end_live(*device, now), audit::insert(event)];
                ended.extend(devices::offspring(*device, now));
                let _ended: Committed = app.store.commit(ended).await?;
                return Ok(Polled::Spent);
            }
            State::Pending | State::Denied { .. } => return Ok(Polled::Unknown),
        };
        let (bound, must) = (ask.options.jkt.as_ref(), client.details.dpop_bound);
        let key = match proof.expect(app, bound, must, now).await? {
            Ok(key) => key,
            Err(why) => return Ok(Polled::Unproven(why)),
        };
        let resources = request.resources;
        let redemption = Redemption { client, grant: &grant, ask, approval, resources, key };
        if let Some(polled) = redeem_tokens(app, redemption, now).await? {
            return Ok(polled);
        }
    }
    Ok(Polled::Denied)
}

#[instrument(target = TRACE, name = "collect.poll_key", skip_all)]
pub async fn poll_key(
    app: &App,
    device_code: &str,
    typed: Option<&Typed>,
    now: Timestamp,
) -> Answer<Polled<Box<Collected>>> {
    let digest = Digest::of(device_code);
    for _ in 0..LOOKS {
        let (grant, approval) = match look(app, Asker::CommandLine, &digest, typed, None, now).await? {
            Looked::Said(polled) => return Ok(polled),
            Looked::Ready(grant, approval, _) => (grant, approval),
        };
        let Ask::Key(ask) = &grant.ask else { break };
        match pin::check(app, &grant, &approval, typed, now).await? {
            Checked::Fits => {}
            Checked::Wrong => return Ok(Polled::WaitForPin),
            Checked::Denied => return Ok(Polled::Denied),
            Checked::Again => continue,
        }
        let polled = redeem_key(app, &grant, ask, &approval, &grant.from, now).await;
        let done = matches!(polled, Ok(Some(Polled::Collected(_))));
        pin::give_back(app, &approval, &grant, done).await;
        if let Some(polled) = polled? {
            return Ok(polled);
        }
    }
    Ok(Polled::Denied)
}

enum Looked<T> {
    Said(Polled<T>),
    /// With the key that was shown, if one was.
    Ready(Box<Grant>, Approval, Option<Thumbprint>),
}

async fn look<T>(
    app: &App,
    asker: Asker<'_>,
    digest: &Digest,
    typed: Option<&Typed>,
    mut proof: Option<&mut Proof>,
    now: Timestamp,
) -> Answer<Looked<T>> {
    let bare = proof.as_ref().is_none_or(|proof| !proof.is_there());
    if bare
        && !asker.must_show_a_key()
        && app.store.feed().is_fresh()
        && let Some(known) = app.pending.poll(digest, asker, typed.is_some(), now)
    {
        return Ok(Looked::Said(match known {
            Poll::SlowDown(interval) => Polled::SlowDown(interval),
            _ => Polled::Wait,
        }));
    }
    let round = app.pending.round();
    // Before anything else about it, so that nothing leaks to another client or at another door.
    let found = grants::by_device(&app.store, digest).await?.filter(|grant| asker.may_poll(&grant.ask));
    let Some(grant) = found else { return Ok(Looked::Said(Polled::Unknown)) };
    let bound = match (&grant.ask, &grant.state) {
        (Ask::Tokens(ask), State::Pending | State::Approved(_) | State::Denied { .. }) => {
            Some(ask.options.jkt.clone())
        }
        _ => None,
    };
    if let (Some(bound), Some(proof)) = (&bound, &mut proof)
        && let Err(why) = proof.peek(bound.as_ref(), asker.must_show_a_key(), now)
    {
        return Ok(Looked::Said(Polled::Unproven(why)));
    }
    Ok(match app.pending.poll_read(digest, &grant, asker, round, typed.is_some(), now) {
        Poll::Spent => Looked::Said(Polled::Spent),
        Poll::Denied => Looked::Said(Polled::Denied),
        Poll::Expired => Looked::Said(Polled::Expired),
        Poll::SlowDown(interval) => Looked::Said(Polled::SlowDown(interval)),
        Poll::Wait => Looked::Said(Polled::Wait),
        Poll::WaitForPin => Looked::Said(Polled::WaitForPin),
        Poll::Ready(approval) => {
            let key = match (&bound, proof) {
                (Some(bound), Some(proof)) => {
                    proof.expect(app, bound.as_ref(), asker.must_show_a_key(), now).await?
                }
                _ => Ok(None),
            };
            match key {
                Ok(key) => Looked::Ready(Box::new(grant), approval, key),
                Err(why) => Looked::Said(Polled::Unproven(why)),
            }
        }
    })
}

/// Who approved, if they still may; else the approval ends for good: whoever is enabled again must
/// approve again.
async fn approver<T>(
    app: &App,
    grant: &Grant,
    approval: &Approval,
    now: Timestamp,
) -> Answer<Result<Account, Option<Polled<T>>>> {
    // At these doors somebody approves.
    let Some(by) = approval.by else { return Ok(Err(Some(Polled::Denied))) };
    if let Some(account) = accounts::by_id(&app.store, by).await?.filter(Account::is_enabled) {
        return Ok(Ok(account));
    }
    let denied: Committed = app.store.commit(vec![grants::undo(grant.id, by, now)]).await?;
    Ok(Err(denied.is_done().then_some(Polled::Denied)))
}

/// What is redeemed, and by whom.
struct Redemption<'a> {
    client: &'a Client,
    grant: &'a Grant,
    ask: &'a TokensAsk,
    approval: &'a Approval,
    resources: &'a [String],
    /// The key that was shown.
    key: Option<Thumbprint>,
}

/// Issues first, then commits the redemption together with all that it yields: a failure on the
/// way leaves the grant as it was. `None` if it changed meanwhile.
async fn redeem_tokens(
    app: &App,
    redemption: Redemption<'_>,
    now: Timestamp,
) -> Answer<Option<Polled<Box<TokenSet>>>> {
    let Redemption { client, grant, ask, approval, resources, key } = redemption;
    let owner = match approver(app, grant, approval, now).await? {
        Ok(owner) => owner,
        Err(refused) => return Ok(refused),
    };
    // The client may have been given less since it asked.
    let still = client.still_allowed(&ask.scopes);
    let scopes = policy::of(app, Some(client)).capped(&still);
    let narrowed = still != scopes;
    let granted = match tokens::still_targeted(client, &ask.options.resources) {
        Ok(granted) => granted,
        Err(gone) => return Ok(Some(Polled::Target(gone))),
    };
    if let Some(other) = resources.iter().find(|resource| !granted.contains(resource)) {
        return Ok(Some(Polled::Target(other.clone())));
    }
    let lifetimes = client.lifetimes(app.config.lifetimes);
    let lifetime = if client.may_use(GrantType::RefreshToken) { lifetimes.refresh } else { lifetimes.access };
    let family = Family {
        id: DeviceId::new(now, app.entropy.id()?),
        account: owner.id,
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
        jkt: key,
    };
    let issue = Issue {
        client,
        family: &family,
        owner: Some(&owner),
        scopes: &family.scopes,
        resources,
        parent: None,
        nonce: family.nonce.as_deref(),
        key: None,
    };
    let (tokens, mut batch) = tokens::issue(app, issue, now).await?;
    batch.push(grants::redeem(grant.id, family.id, now));
    batch.push(families::insert(&family));
    if narrowed {
        batch.push(Objection::to(grant, Action::GrantNarrowed, "scope_cap", &grant.from).row(app, now)?);
    }
    let new = NewDevice {
        id: family.id,
        door: grant.ask.door(),
        name: &client.name,
        client: Some(client.id.as_str()),
        owner: &owner,
        from: &grant.from,
    };
    batch.extend(notices::new_device(app, &new, now)?);
    let done = finish(app, grant, family.id, &grant.from, batch, now).await?;
    Ok(done.then(|| Polled::Collected(Box::new(tokens))))
}

/// `from` is where it is collected. `None` if it changed meanwhile.
pub(super) async fn redeem_key(
    app: &App,
    grant: &Grant,
    ask: &KeyAsk,
    approval: &Approval,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Polled<Box<Collected>>>> {
    let owner = match approver(app, grant, approval, now).await? {
        Ok(owner) => owner,
        Err(refused) => return Ok(refused),
    };
    let (still, scopes) = match &ask.client {
        // The client may have been given less since it asked.
        Some(id) => match known(app, id).await? {
            Some(client) => {
                let still = client.still_allowed(&ask.scopes);
                (still.clone(), policy::of(app, Some(&client)).capped(&still))
            }
            None => return Ok(None),
        },
        None => (ask.scopes.clone(), app.config.approval.capped(&ask.scopes)),
    };
    let narrowed = still != scopes;
    let new = NewKey {
        account: owner.id,
        client: ask.client.clone(),
        grant: Some(grant.id),
        name: ask.name.clone(),
        scopes,
        from: from.clone(),
        lifetime: app.config.cli.key_ttl,
    };
    let (plain, key, insert) = api_keys::make(app, new, now)?;
    let inherit = crate::store::api_keys::inherit(key.id, grant.id);
    let mut batch = vec![grants::redeem(grant.id, key.id, now), insert, inherit];
    if narrowed {
        batch.push(Objection::to(grant, Action::GrantNarrowed, "scope_cap", from).row(app, now)?);
    }
    batch.extend(notices::new_device(app, &NewDevice::key(&key, &owner), now)?);
    let done = finish(app, grant, key.id, from, batch, now).await?;
    Ok(done.then(|| Polled::Collected(Box::new(Collected { plain, key, owner }))))
}

/// Commits a redemption with all that it yields. False if the grant changed meanwhile.
async fn finish(
    app: &App,
    grant: &Grant,
    device: DeviceId,
    from: &Origin,
    mut batch: Vec<Stmt>,
    now: Timestamp,
) -> Answer<bool> {
    let mut event = app.event(now, Action::GrantRedeemed)?;
    event.account = match &grant.state {
        State::Approved(approval) => approval.by,
        State::Pending | State::Denied { .. } | State::Redeemed { .. } => None,
    };
    event.client = grant.client().cloned();
    event.grant = Some(grant.id);
    event.device = Some(device);
    event.address = Some(from.address.clone());
    // Of a reverse code the device comes last, and may be far from whoever had it shown.
    event.detail = Ruling::new(app, None, from, &grant.from).detail();
    batch.push(audit::insert(event));
    let done = app.store.commit(batch).await?.is_done();
    if done {
        app.metrics.grant(grant.ask.door(), GrantEvent::Redeemed, grant.client());
    }
    Ok(done)
}
