//! Administration in the words of `countersign_core::admin`, for every way in: over HTTP, on pages, on
//! the command line.

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::account::{Account, Username};
use countersign_core::admin::{
    ClientChange, ClientView, DeviceView, KeyView, NewClient, NewUser, Page, Rotation, SweepRequest, Swept,
    UserChange, UserView,
};
use countersign_core::audit::{Actor, By};
use countersign_core::client::{AuthMethod, Authentication, Client, ClientId, GrantType};
use countersign_core::grant::Door;
use countersign_core::id::DeviceId;
use countersign_core::policy::Network;
use countersign_core::scope::Scopes;
use countersign_core::secret::Plain;
use countersign_core::time::{Span, Timestamp};

use crate::app::{Answer, App, rfc3339};
use crate::flow::accounts::{self, AccountRefusal, Changes, NewAccount, UserAct};
use crate::flow::clients::{self, ClientRefusal, ClientSettings, Field, Proving};
use crate::flow::devices::{self, Device, Search, Sweep};
use crate::flow::keys;
use crate::flow::nodes::{self, Assigned};
use crate::flow::paging::List;

/// Why something was not done; each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was said wrongly.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    Conflict(String),
    /// Somebody else changed it since it was looked at.
    #[error("{0}")]
    Changed(String),
}

impl From<ClientRefusal> for Refused {
    fn from(refusal: ClientRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            ClientRefusal::Unknown(_) => Self::Missing(text),
            ClientRefusal::Taken(_) | ClientRefusal::Public => Self::Conflict(text),
            ClientRefusal::Changed(_) => Self::Changed(text),
            _ => Self::Invalid(text),
        }
    }
}

impl From<AccountRefusal> for Refused {
    fn from(refusal: AccountRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            AccountRefusal::Unknown(_) => Self::Missing(text),
            AccountRefusal::Taken(_) | AccountRefusal::Already(..) => Self::Conflict(text),
            AccountRefusal::Changed(_) => Self::Changed(text),
            AccountRefusal::Password | AccountRefusal::Facts | AccountRefusal::Name(_) => Self::Invalid(text),
        }
    }
}

fn invalid(why: impl std::fmt::Display) -> Refused {
    Refused::Invalid(why.to_string())
}

type Done<T> = Answer<Result<T, Refused>>;

/// Hands an inner refusal on.
macro_rules! known {
    ($answer:expr) => {
        match $answer {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(Refused::from(refusal))),
        }
    };
}

/// Lists are cut here.
pub const PAGE: u32 = 200;

/// One administrator at work.
#[derive(Debug)]
pub struct Office<'a> {
    pub app: &'a App,
    pub by: By,
    pub now: Timestamp,
}

/// What of the inventory somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct DeviceQuery {
    pub user: Option<String>,
    pub client: Option<String>,
    pub address: Option<String>,
    pub words: Option<String>,
    pub door: Option<String>,
    /// Only those that are good now.
    pub active: bool,
}

pub fn client_view(client: &Client, secret: Option<Plain>) -> ClientView {
    let (mut jwks, mut old_secret_until) = (None, None);
    match &client.authentication {
        Authentication::Public => {}
        Authentication::Secret { old, .. } => old_secret_until = old.map(|old| rfc3339(old.until)),
        Authentication::Keys { jwks: text } => jwks = serde_json::from_str(text).ok(),
    }
    let methods = client.authentication.methods();
    let details = client.details.clone();
    ClientView {
        client_id: client.id.to_string(),
        name: client.name.clone(),
        auth_method: methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", "),
        scopes: client.scopes.iter().map(str::to_owned).collect(),
        grants: client.grants.iter().map(|grant| grant.name().to_owned()).collect(),
        resources: client.resources.clone(),
        token_format: client.token_format.to_string(),
        id_token_alg: client.id_token_alg.to_string(),
        code_ttl: client.code_ttl.map(Span),
        interval: client.interval.map(Span),
        policy: client.policy.clone(),
        redirect_uris: details.redirect_uris,
        post_logout_redirect_uris: details.post_logout_redirect_uris,
        access_ttl: details.access_ttl,
        refresh_ttl: details.refresh_ttl,
        refresh_idle_ttl: details.refresh_idle_ttl,
        dpop_bound: details.dpop_bound,
        require_par: details.par_required,
        jwks,
        old_secret_until,
        created_at: rfc3339(client.created_at),
        revision: client.revision,
        client_secret: secret,
    }
}

/// What was said, in the words of the domain.
pub fn settings(change: ClientChange) -> Result<ClientSettings, Refused> {
    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        text: Option<String>,
    ) -> Result<Option<T>, Refused> {
        text.map(|text| text.parse().map_err(invalid)).transpose()
    }
    let grants = change.grants.map(|all| all.iter().map(|name| name.parse::<GrantType>()).collect());
    let span = |span: Option<Span>| span.map(|Span(span)| span);
    let reset = change.reset.iter().map(|name| name.parse::<Field>().map_err(invalid));
    Ok(ClientSettings {
        name: change.name,
        scopes: change.scopes.map(Scopes::from_names).transpose().map_err(invalid)?,
        grants: grants.transpose().map_err(invalid)?,
        resources: change.resources,
        token_format: parse(change.token_format)?,
        id_token_alg: parse(change.id_token_alg)?,
        code_ttl: span(change.code_ttl),
        interval: span(change.interval),
        policy: change.policy,
        redirect_uris: change.redirect_uris,
        post_logout_redirect_uris: change.post_logout_redirect_uris,
        access_ttl: span(change.access_ttl),
        refresh_ttl: span(change.refresh_ttl),
        refresh_idle_ttl: span(change.refresh_idle_ttl),
        dpop_bound: change.dpop_bound,
        par_required: change.require_par,
        jwks: change.jwks.map(|jwks| jwks.to_string()),
        reset: reset.collect::<Result<_, _>>()?,
    })
}

/// `client_secret` is a secret that may be shown in any way.
fn proving(method: Option<&str>, has_keys: bool) -> Result<Proving, Refused> {
    match method {
        None if has_keys => Ok(Proving::Keys),
        None => Ok(Proving::Nothing),
        Some("client_secret") => Ok(Proving::Secret(None)),
        Some(method) => Ok(Proving::by(method.parse::<AuthMethod>().map_err(invalid)?)),
    }
}

pub fn user_view(account: &Account, password: Option<Plain>) -> UserView {
    UserView {
        id: account.id.to_string(),
        name: account.name.to_string(),
        email: account.email.clone(),
        full_name: account.full_name.clone(),
        tier: account.tier.clone(),
        admin: account.admin,
        created_at: rfc3339(account.created_at),
        status: if account.is_enabled() { "enabled" } else { "disabled" }.to_owned(),
        revision: account.revision,
        password,
    }
}

pub fn device_view(device: &Device) -> DeviceView {
    DeviceView {
        id: device.id.to_string(),
        door: device.door.name().to_owned(),
        user: device.user.clone(),
        client: device.client.clone(),
        name: device.name.clone(),
        scopes: device.scopes.iter().map(str::to_owned).collect(),
        created_at: rfc3339(device.created_at),
        last_used: device.last_used.map(rfc3339),
        address: device.from.address.clone(),
        status: device.status.name().to_owned(),
    }
}

fn username(name: &str) -> Result<Username, Refused> {
    name.parse().map_err(|error| Refused::Invalid(format!("`{name}`: {error}")))
}

fn client_id(id: &str) -> Result<ClientId, Refused> {
    id.parse().map_err(|error| Refused::Invalid(format!("`{id}`: {error}")))
}

/// What no client id is, nobody has.
fn known_client(id: &str) -> Result<ClientId, Refused> {
    id.parse().map_err(|_| ClientRefusal::Unknown(id.to_owned()).into())
}

fn known_user(name: &str) -> Result<Username, Refused> {
    name.parse().map_err(|_| AccountRefusal::Unknown(name.to_owned()).into())
}

impl Office<'_> {
    pub async fn clients(&self, at: Option<&str>, words: Option<&str>, limit: u32) -> Done<Page<ClientView>> {
        let after: Option<String> = known!(List::Clients.after(at));
        let all = clients::page(self.app, after.as_deref(), words, limit + 1).await?;
        let view = |client| client_view(&client, None);
        Ok(Ok(List::Clients.page(all, limit, |client| client.id.to_string(), view)))
    }

    pub async fn client(&self, id: &str) -> Done<ClientView> {
        let id = known!(known_client(id));
        Ok(Ok(client_view(&known!(clients::find(self.app, &id).await?), None)))
    }

    pub async fn add_client(&self, new: NewClient) -> Done<ClientView> {
        let id = known!(client_id(&new.client_id));
        let proving = known!(proving(new.auth_method.as_deref(), new.settings.jwks.is_some()));
        let settings = known!(settings(new.settings));
        let added = clients::add(self.app, &self.by, id, proving, settings, self.now).await?;
        let (client, secret) = known!(added);
        Ok(Ok(client_view(&client, secret)))
    }

    pub async fn edit_client(&self, id: &str, change: ClientChange, seen: Option<u32>) -> Done<ClientView> {
        let id = known!(known_client(id));
        let settings = known!(settings(change));
        let edited = clients::edit(self.app, &self.by, &id, settings, seen, self.now).await?;
        Ok(Ok(client_view(&known!(edited), None)))
    }

    pub async fn rotate_secret(&self, id: &str, rotation: Rotation, seen: Option<u32>) -> Done<ClientView> {
        let id = known!(known_client(id));
        let overlap = rotation.overlap.map_or(Duration::ZERO, |Span(overlap)| overlap);
        if overlap > MAX_OVERLAP {
            return Ok(Err(invalid("the old secret may go on for 30d at most")));
        }
        let rotated = clients::rotate_secret(self.app, &self.by, &id, overlap, seen, self.now).await?;
        let (client, secret) = known!(rotated);
        Ok(Ok(client_view(&client, Some(secret))))
    }

    pub async fn remove_client(&self, id: &str, seen: Option<u32>) -> Done<()> {
        let id = known!(known_client(id));
        known!(clients::remove(self.app, &self.by, &id, seen, self.now).await?);
        Ok(Ok(()))
    }

    pub async fn users(&self, at: Option<&str>, words: Option<&str>, limit: u32) -> Done<Page<UserView>> {
        let after: Option<String> = known!(List::Users.after(at));
        let all = accounts::page(self.app, after.as_deref(), words, limit + 1).await?;
        let view = |account| user_view(&account, None);
        Ok(Ok(List::Users.page(all, limit, |account| account.name.to_string(), view)))
    }

    pub async fn user(&self, name: &str) -> Done<UserView> {
        let known = known!(known_user(name));
        let found = accounts::find(self.app, &known).await?;
        let found = found.ok_or_else(|| AccountRefusal::Unknown(name.to_owned()));
        Ok(Ok(user_view(&known!(found), None)))
    }

    pub async fn add_user(&self, new: NewUser) -> Done<UserView> {
        let name = known!(username(&new.name));
        let (password, made) = self.password(new.password)?;
        let account = NewAccount {
            name,
            email: new.email,
            full_name: new.full_name,
            tier: new.tier,
            admin: new.admin,
            password: password.clone(),
        };
        let account = known!(accounts::add(self.app, &self.by, account, self.now).await?);
        Ok(Ok(user_view(&account, made.then_some(password))))
    }

    /// One that was chosen, or a new one.
    fn password(&self, chosen: Option<Plain>) -> Answer<(Plain, bool)> {
        Ok(match chosen {
            Some(password) => (password, false),
            None => (Plain::new(self.app.entropy.password()?), true),
        })
    }

    pub async fn edit_user(&self, name: &str, change: UserChange, seen: Option<u32>) -> Done<UserView> {
        let name = known!(known_user(name));
        let UserChange { email, full_name, tier, admin } = change;
        if admin == Some(false) {
            known!(self.not_oneself(&name).await?);
        }
        let changes = Changes { email, full_name, tier, admin };
        let edited = accounts::edit(self.app, &self.by, &name, changes, seen, self.now).await?;
        Ok(Ok(user_view(&known!(edited), None)))
    }

    /// Whoever administers alone could not be let in again by anybody.
    async fn not_oneself(&self, name: &Username) -> Done<()> {
        let Actor::Administrator(me) = &self.by.actor else { return Ok(Ok(())) };
        let found = accounts::find(self.app, name).await?;
        Ok(if found.is_some_and(|account| account.id == *me) {
            let told = "nobody locks themself out: another administrator can do that, or `countersign user` on the server's machine";
            Err(Refused::Conflict(told.to_owned()))
        } else {
            Ok(())
        })
    }

    /// The new password, if it was made here.
    pub async fn set_password(
        &self,
        name: &str,
        chosen: Option<Plain>,
        seen: Option<u32>,
    ) -> Done<Option<Plain>> {
        let name = known!(known_user(name));
        let (password, made) = self.password(chosen)?;
        known!(accounts::set_password(self.app, &self.by, &name, &password, seen, self.now).await?);
        Ok(Ok(made.then_some(password)))
    }

    pub async fn act_on_user(&self, name: &str, act: UserAct, seen: Option<u32>) -> Done<()> {
        let name = known!(known_user(name));
        if matches!(act, UserAct::Disable | UserAct::Remove) {
            known!(self.not_oneself(&name).await?);
        }
        known!(accounts::act(self.app, &self.by, &name, act, seen, self.now).await?);
        Ok(Ok(()))
    }

    pub async fn devices(&self, at: Option<&str>, query: DeviceQuery, limit: u32) -> Done<Page<DeviceView>> {
        let before: Option<DeviceId> = known!(List::Devices.after(at));
        let door = query.door.as_deref().map(|name| {
            Door::ALL
                .into_iter()
                .find(|door| door.name() == name)
                .ok_or_else(|| invalid(format!("`{name}` is no door; use oauth, cli or socket")))
        });
        let door = known!(door.transpose());
        let search = Search {
            // Names that differ in case are one name.
            user: query.user.map(|user| user.trim().to_lowercase()),
            client: query.client,
            address: known!(query.address.as_deref().map(address).transpose()),
            words: query.words,
            active_at: query.active.then_some(self.now),
            before,
        };
        let found = devices::search(self.app, &search, door, limit + 1, self.now).await?;
        Ok(Ok(List::Devices.page(
            found,
            limit,
            |device| device.id.to_string(),
            |device| device_view(&device),
        )))
    }

    pub async fn revoke_device(&self, id: &str) -> Done<()> {
        let missing = || {
            Refused::Missing(format!(
                "there is no connected device {id}; `countersign device list` shows them"
            ))
        };
        let parsed = known!(id.parse::<DeviceId>().map_err(|_| missing()));
        let done = devices::revoke(self.app, &self.by, parsed, self.now).await?;
        Ok(if done { Ok(()) } else { Err(missing()) })
    }

    pub async fn sweep(&self, request: SweepRequest) -> Done<Swept> {
        let SweepRequest { from, client, since, until } = request;
        if from.is_none() && client.is_none() && since.is_none() && until.is_none() {
            return Ok(Err(invalid("say what is revoked: from, client, since or until")));
        }
        let network = from.map(|from| from.parse::<Network>().map(|Network(network)| network));
        let sweep = Sweep {
            network: known!(network.transpose().map_err(invalid)),
            client,
            since: known!(since.as_deref().map(moment).transpose()),
            until: known!(until.as_deref().map(moment).transpose()),
        };
        let (revoked, denied) = devices::revoke_where(self.app, &self.by, &sweep, self.now).await?;
        Ok(Ok(Swept { revoked: revoked.iter().map(device_view).collect(), denied }))
    }

    pub async fn assign(&self, id: &str, owner: &str) -> Done<()> {
        let missing = || {
            Refused::Missing(format!(
                "there is no paired node {id} that is nobody's; what is somebody's must be removed first"
            ))
        };
        let parsed = known!(id.parse::<DeviceId>().map_err(|_| missing()));
        let name = known!(username(owner));
        Ok(match nodes::assign(self.app, &self.by, parsed, &name, self.now).await? {
            Assigned::Done => Ok(()),
            Assigned::NoDevice => Err(missing()),
            Assigned::NoUser => Err(Refused::Conflict(format!("there is no enabled user `{owner}`"))),
        })
    }

    pub async fn keys(&self) -> Answer<Vec<KeyView>> {
        let view = |key: keys::ListedKey| KeyView {
            id: key.id,
            alg: key.alg.to_owned(),
            stage: key.stage.name().to_owned(),
            created_at: rfc3339(key.created_at),
            active_at: key.active_at.map(rfc3339),
            retired_at: key.retired_at.map(rfc3339),
        };
        Ok(keys::list(self.app).await?.into_iter().map(view).collect())
    }

    pub async fn rotate_keys(&self) -> Done<Vec<KeyView>> {
        if !keys::rotate(self.app, &self.by, self.now).await? {
            return Ok(Err(Refused::Conflict(
                "somebody else rotated the keys at the same moment".to_owned(),
            )));
        }
        Ok(Ok(self.keys().await?))
    }
}

/// No old secret goes on for longer.
const MAX_OVERLAP: Duration = Duration::from_hours(24 * 30);

/// An address as it is stored.
pub fn address(text: &str) -> Result<String, Refused> {
    let address: IpAddr =
        text.parse().map_err(|_| invalid(format!("`{text}` is no address such as 203.0.113.7")))?;
    Ok(address.to_canonical().to_string())
}

/// RFC 3339.
pub fn moment(text: &str) -> Result<Timestamp, Refused> {
    let moment: jiff::Timestamp =
        text.parse().map_err(|_| invalid(format!("`{text}` is no time such as 2026-01-31T08:00:00Z")))?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}
