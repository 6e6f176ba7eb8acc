//! What people and the operator's programs are told: written together with what it tells of, so that
//! nothing is told that did not happen and nothing that did is forgotten. `crate::notices` sends it.

use std::fmt;

use countersign_core::account::Account;
use countersign_core::audit::{Action, By};
use countersign_core::client::ClientId;
use countersign_core::grant::{Door, Origin};
use countersign_core::id::{DeviceId, NoticeId};
use countersign_core::key::Key;
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::instrument;

use crate::app::{Answer, App, Fault, rfc3339};
use crate::flow::devices::{self, Device};
use crate::store::notices::Kind;
use crate::store::{Committed, Stmt, accounts, audit, notices};
use crate::telemetry::trace::TRACE;

/// What is sealed, and what a webhook gets, under a `type` and a `timestamp`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notice {
    #[serde(rename = "type")]
    pub kind: String,
    pub timestamp: String,
    pub data: Data,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Data {
    Connected(Box<Connected>),
    Suspicion(Suspicion),
}

/// A device was connected to somebody's account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Connected {
    pub device_id: String,
    pub door: String,
    pub name: String,
    pub client: Option<String>,
    pub user_id: String,
    pub username: String,
    pub email: Option<String>,
    /// Where it asked from.
    pub address: String,
    pub country: Option<String>,
    pub user_agent: Option<String>,
    /// Disconnects it, once, after a click on the page there.
    pub revoke_url: String,
    pub revoke_url_expires_at: String,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the link can disconnect the device.
        f.debug_struct("Connected").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// Something that should be looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspicion {
    pub kind: String,
    pub grant_id: Option<String>,
    pub client: Option<String>,
    pub user_id: Option<String>,
    pub address: Option<String>,
}

pub const CONNECTED: &str = "device.connected";

fn odd(error: impl fmt::Display) -> Fault {
    Fault::Page(format!("notices: {error}"))
}

/// A device on its way into somebody's list.
#[derive(Debug)]
pub struct NewDevice<'a> {
    pub id: DeviceId,
    pub door: Door,
    pub name: &'a str,
    pub client: Option<&'a str>,
    pub owner: &'a Account,
    pub from: &'a Origin,
}

impl<'a> NewDevice<'a> {
    pub fn key(key: &'a Key, owner: &'a Account) -> Self {
        let client = key.client.as_ref().map(ClientId::as_str);
        Self { id: key.id, door: Door::Cli, name: &key.name, client, owner, from: &key.from }
    }
}

/// What tells its owner, and whoever listens, of a new device.
pub fn new_device(app: &App, new: &NewDevice<'_>, now: Timestamp) -> Answer<Vec<Stmt>> {
    let config = &app.config.notices;
    if !config.any() || !config.new_device {
        return Ok(Vec::new());
    }
    let link = NoticeId::new(now, app.entropy.id()?);
    let until = now + config.link_ttl;
    let connected = Connected {
        device_id: new.id.to_string(),
        door: new.door.name().to_owned(),
        name: new.name.to_owned(),
        client: new.client.map(str::to_owned),
        user_id: new.owner.id.to_string(),
        username: new.owner.name.to_string(),
        email: new.owner.email.clone(),
        address: new.from.address.clone(),
        country: app.places.of(&new.from.address).country.map(|country| country.code),
        user_agent: new.from.user_agent.clone(),
        revoke_url: app.public_url.join(&format!("/revoke/{}", app.vault.revoke_token(link))),
        revoke_url_expires_at: rfc3339(until),
    };
    let to_person = config.mail.is_some() && new.owner.email.is_some();
    let data = Data::Connected(Box::new(connected));
    let notice = Notice { kind: CONNECTED.to_owned(), timestamp: rfc3339(now), data };
    let mut batch = send(app, &notice, to_person, now)?;
    if !batch.is_empty() {
        batch.push(notices::insert_link(link, new.owner.id, new.id, until));
    }
    Ok(batch)
}

/// Puts a notice on its way to everybody who is to have it.
pub fn send(app: &App, notice: &Notice, to_person: bool, now: Timestamp) -> Answer<Vec<Stmt>> {
    let webhooks = app.config.notices.webhooks.iter();
    let wanted = webhooks.filter(|hook| hook.events.is_empty() || hook.events.contains(&notice.kind));
    let mut ways: Vec<(Kind, &str)> = wanted.map(|hook| (Kind::Webhook, hook.id.as_str())).collect();
    if to_person {
        ways.push((Kind::Mail, ""));
    }
    let json = serde_json::to_vec(notice).map_err(odd)?;
    let one = |(kind, target): (Kind, &str)| {
        let id = NoticeId::new(now, app.entropy.id()?);
        let sealed = app.vault.seal(&purpose(id), &json, &app.entropy)?;
        Ok(notices::insert(id, kind, target, sealed, now))
    };
    ways.into_iter().map(one).collect()
}

fn purpose(id: NoticeId) -> String {
    format!("notice {id}")
}

/// What was sealed.
pub fn open(app: &App, id: NoticeId, sealed: &[u8]) -> Answer<Notice> {
    serde_json::from_slice(&app.vault.open(&purpose(id), sealed)?).map_err(odd)
}

/// The device that a link disconnects, while both are good.
pub async fn linked(app: &App, token: &str, now: Timestamp) -> Answer<Option<(NoticeId, Account, Device)>> {
    let Some(id) = app.vault.read_revoke_token(token) else { return Ok(None) };
    let Some((account, device)) = notices::link(&app.store, id, now).await? else { return Ok(None) };
    let Some(account) = accounts::by_id(&app.store, account).await? else { return Ok(None) };
    let all = devices::of_account(app, &account, now).await?;
    let active = |one: &Device| one.id == device && one.status == devices::Status::Active;
    Ok(all.into_iter().find(active).map(|device| (id, account, device)))
}

/// Disconnects it. False if the link was used, its time is over, or the device is not connected any more.
#[instrument(target = TRACE, name = "notices.follow", skip_all)]
pub async fn follow(app: &App, token: &str, from: &Origin, now: Timestamp) -> Answer<bool> {
    let Some((id, account, device)) = linked(app, token, now).await? else { return Ok(false) };
    let mut event = app.event(now, Action::DeviceRevoked)?;
    event.account = Some(account.id);
    event.device = Some(device.id);
    event.address = Some(from.address.clone());
    event.detail = Some("by the link of a notice".to_owned());
    let changes = devices::revocations(device.id, account.id, now);
    for change in changes {
        let mut batch = vec![
            notices::use_link(id, now),
            change,
            audit::insert(event.clone()),
            devices::closing(device.id),
        ];
        batch.extend(devices::offspring(device.id, now));
        if let Committed::Done { .. } = app.store.commit(batch).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A notice that did not arrive, yet or for good.
#[derive(Debug)]
pub struct Waiting {
    pub id: NoticeId,
    /// Its type, such as `device.connected`.
    pub event: String,
    /// `mail` or `webhook`.
    pub kind: String,
    /// Which webhook.
    pub target: String,
    pub created_at: Timestamp,
    pub attempts: i64,
    pub failed: bool,
    pub error: Option<String>,
}

/// Those that nobody tries any more, then those that wait.
#[instrument(target = TRACE, name = "notices.waiting", skip_all)]
pub async fn waiting(app: &App, limit: u32) -> Answer<Vec<Waiting>> {
    let view = |stuck: notices::Stuck| Waiting {
        event: open(app, stuck.id, &stuck.body)
            .map_or_else(|_| "unreadable".to_owned(), |notice| notice.kind),
        id: stuck.id,
        kind: stuck.kind,
        target: stuck.target,
        created_at: stuck.created_at,
        attempts: stuck.attempts,
        failed: stuck.failed_at.is_some(),
        error: stuck.error,
    };
    Ok(notices::stuck(&app.store, limit).await?.into_iter().map(view).collect())
}

/// Has one tried again from the beginning. False if it is not there, or on its way already.
#[instrument(target = TRACE, name = "notices.replay", skip_all)]
pub async fn replay(app: &App, by: &By, id: NoticeId, now: Timestamp) -> Answer<bool> {
    let mut event = app.event(now, Action::NoticeReplayed)?.by(by);
    event.detail = Some(id.to_string());
    Ok(app.store.commit(vec![notices::replay(id, now), audit::insert(event)]).await?.is_done())
}
