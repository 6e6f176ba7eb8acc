//! API keys: made, used, rotated, revoked, and reported by those who find them.

use std::time::Duration;

use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::client::ClientId;
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, DeviceId, GrantId};
use countersign_core::key::{self, Key};
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::flow::clients::known;
use crate::flow::notices::{self, NewDevice};
use crate::flow::policy::{self, Sufficient};
use crate::store::{Committed, Stmt, api_keys, audit};
use crate::telemetry::trace::TRACE;

/// What a key is made of.
#[derive(Debug)]
pub struct NewKey {
    pub account: AccountId,
    pub client: Option<ClientId>,
    pub grant: Option<GrantId>,
    pub name: String,
    pub scopes: Scopes,
    /// Where it is collected.
    pub from: Origin,
    pub lifetime: Duration,
}

/// Makes a key and the statement that remembers it. Nothing is committed here.
pub fn make(app: &App, new: NewKey, now: Timestamp) -> Answer<(Plain, Key, Stmt)> {
    let (plain, start) = key::mint(&app.config.cli.key_prefix, &app.entropy.bytes()?);
    let key = Key {
        id: DeviceId::new(now, app.entropy.id()?),
        account: new.account,
        client: new.client,
        grant: new.grant,
        name: new.name,
        start,
        scopes: new.scopes,
        from: new.from,
        created_at: now,
        last_used: None,
        expires_at: now + new.lifetime,
        revoked_at: None,
        leaked_at: None,
    };
    let insert = api_keys::insert(&key, &plain.digest());
    Ok((plain, key, insert))
}

/// What a signed-in person orders.
#[derive(Debug)]
pub struct Order {
    pub name: String,
    pub scopes: Scopes,
    /// The usual one, if nothing is said.
    pub lifetime: Option<Duration>,
}

/// `None`: the caller may no more what they might a moment ago.
#[instrument(target = TRACE, name = "api_keys.create", skip_all)]
pub async fn create(
    app: &App,
    caller: Sufficient<'_>,
    order: Order,
    from: Origin,
    now: Timestamp,
) -> Answer<Option<(Plain, Key)>> {
    let caller = caller.caller();
    let new = NewKey {
        account: caller.account.id,
        client: None,
        grant: None,
        name: order.name,
        scopes: app.config.approval.capped(&order.scopes),
        lifetime: order.lifetime.unwrap_or(app.config.cli.key_ttl),
        from,
    };
    let (plain, key, insert) = make(app, new, now)?;
    let mut batch = vec![insert];
    batch.extend(caller.guards(now));
    batch.extend(caller.login().map(|login| api_keys::made_with(key.id, login)));
    batch.extend(notices::new_device(app, &NewDevice::key(&key, &caller.account), now)?);
    batch.push(audit::insert(event(app, &key, Action::ApiKeyMade, Some(&key.from), now)?));
    Ok(app.store.commit(batch).await?.is_done().then_some((plain, key)))
}

/// What of these scopes may still be given.
async fn still_capped(app: &App, client: Option<&ClientId>, scopes: &Scopes) -> Answer<Scopes> {
    let client = match client {
        Some(id) => known(app, id).await?,
        None => None,
    };
    let still = client.as_ref().map_or_else(|| scopes.clone(), |client| client.still_allowed(scopes));
    Ok(policy::of(app, client.as_deref()).capped(&still))
}

/// Makes the one successor of a key, with the same name, scopes and client, and as long a life; the key
/// itself ends after `overlap`, if it would not end before. `None`: it has a successor, or has ended.
#[instrument(target = TRACE, name = "api_keys.rotate", skip_all)]
pub async fn rotate(
    app: &App,
    caller: Sufficient<'_>,
    old: Key,
    overlap: Duration,
    lifetime: Option<Duration>,
    from: Origin,
    now: Timestamp,
) -> Answer<Option<(Plain, Key)>> {
    let caller = caller.caller();
    let id = old.id;
    let end = old.expires_at.min(now + overlap);
    let scopes = still_capped(app, old.client.as_ref(), &old.scopes).await?;
    let new = NewKey {
        account: old.account,
        client: old.client,
        grant: old.grant,
        name: old.name,
        scopes,
        lifetime: lifetime.unwrap_or(old.expires_at.since(old.created_at)),
        from,
    };
    let (plain, key, insert) = make(app, new, now)?;
    let mut rotated = event(app, &key, Action::ApiKeyRotated, Some(&key.from), now)?;
    rotated.detail = Some(format!("successor of {id}"));
    let mut batch = vec![insert, api_keys::succeed(id, caller.account.id, key.id, end, now)];
    batch.push(match caller.login() {
        Some(login) => api_keys::made_with(key.id, login),
        None => api_keys::inherit_of_key(key.id, id),
    });
    batch.extend(notices::new_device(app, &NewDevice::key(&key, &caller.account), now)?);
    batch.extend(caller.guards(now));
    batch.push(audit::insert(rotated));
    Ok(app.store.commit(batch).await?.is_done().then_some((plain, key)))
}

/// This person's keys, newest first, whatever state they are in.
pub async fn of_account(app: &App, account: &Account) -> Answer<Vec<Key>> {
    let listed = api_keys::of_account(&app.store, account.id).await?;
    Ok(listed.into_iter().map(|listed| listed.key).collect())
}

pub async fn find(app: &App, id: DeviceId) -> Answer<Option<Key>> {
    Ok(api_keys::by_id(&app.store, id).await?)
}

/// The live key behind a text, with its owner. That it was used is written down, once a minute at most.
#[instrument(target = TRACE, name = "api_keys.authenticate", skip_all)]
pub async fn authenticate(app: &App, text: &str, now: Timestamp) -> Answer<Option<(Key, Account)>> {
    if !key::recognise(text) {
        return Ok(None);
    }
    let Some((mut key, owner)) = api_keys::live(&app.store, &Digest::of(text), now).await? else {
        return Ok(None);
    };
    if key.is_use_news(now) {
        // Whoever brings a good key is served also where this cannot be written down.
        match app.store.commit(vec![api_keys::used(key.id, now)]).await {
            Ok(Committed::Done { .. } | Committed::Conflict) => key.last_used = Some(now),
            Err(error) => tracing::warn!(%error, "the use of a key was not written down"),
        }
    }
    Ok(Some((key, owner)))
}

/// Revokes a key in the name of its owner. False if it has ended already.
#[instrument(target = TRACE, name = "api_keys.revoke", skip_all)]
pub async fn revoke(app: &App, key: &Key, from: Option<&Origin>, now: Timestamp) -> Answer<bool> {
    let event = event(app, key, Action::ApiKeyRevoked, from, now)?;
    let batch = vec![api_keys::revoke_own(key.id, key.account, now), audit::insert(event)];
    Ok(app.store.commit(batch).await?.is_done())
}

/// Somebody found a key where it should not be: it ends at once, and its owner is told. Whoever says so
/// shows by the whole key that they have it, and learns nothing.
#[instrument(target = TRACE, name = "api_keys.report", skip_all)]
pub async fn report(app: &App, text: &str, from: &Origin, now: Timestamp) -> Answer<()> {
    if !key::recognise(text) {
        return Ok(());
    }
    let Some(key) = api_keys::by_digest(&app.store, &Digest::of(text)).await? else { return Ok(()) };
    let event = event(app, &key, Action::ApiKeyReported, Some(from), now)?;
    // A conflict: it was revoked before.
    let _reported: Committed =
        app.store.commit(vec![api_keys::report(key.id, now), audit::insert(event)]).await?;
    Ok(())
}

fn event(
    app: &App,
    key: &Key,
    action: Action,
    from: Option<&Origin>,
    now: Timestamp,
) -> Answer<countersign_core::audit::Event> {
    let mut event = app.event(now, action)?;
    event.account = Some(key.account);
    event.client.clone_from(&key.client);
    event.device = Some(key.id);
    event.address = from.map(|from| from.address.clone());
    Ok(event)
}
