//! Administering clients.

use std::sync::Arc;
use std::time::Duration;

use countersign_core::audit::{Action, Event as AuditEvent};
use countersign_core::client::{
    AuthMethod, Authentication, CLI_CLIENT, Client, ClientId, GrantType, SigningAlg, TokenFormat,
    is_absolute_uri,
};
use countersign_core::policy::Exceptions;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Plain, TokenKind};
use countersign_core::text::label;
use countersign_core::time::{Span, Timestamp};

use crate::app::{Answer, App};
use crate::signing;
use crate::store::feed::Event;
use crate::store::{Committed, Stmt, api_keys, audit, clients, families, grants, installation};

/// What may be said of a client. `None` leaves what is, or the default.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    pub name: Option<String>,
    pub scopes: Option<Scopes>,
    pub grants: Option<Vec<GrantType>>,
    pub resources: Option<Vec<String>>,
    pub token_format: Option<TokenFormat>,
    pub id_token_alg: Option<SigningAlg>,
    pub code_ttl: Option<Duration>,
    pub interval: Option<Duration>,
    pub policy: Option<Exceptions>,
    /// These go back to their defaults first.
    pub reset: Vec<Field>,
}

/// What of a client has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Scopes,
    Grants,
    Resources,
    TokenFormat,
    IdTokenAlg,
    CodeTtl,
    Interval,
    Policy,
}

/// Why nothing was changed; each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRefusal {
    #[error(
        "there is a client `{0}` already; choose another id, or change that one with `countersign client edit`"
    )]
    Taken(String),
    #[error("there is no client `{0}`; `countersign client list` shows those that exist")]
    Unknown(String),
    #[error(
        "a client has a name of 1 to 100 visible characters, which people read when they approve: say it with --name"
    )]
    Name,
    #[error("`{0}` is no resource: use an absolute URI without a fragment, such as https://api.example.com")]
    Resource(String),
    #[error("a public client has no secret; add a confidential one with `countersign client add --secret`")]
    Public,
    #[error("the interval must be whole seconds from 1s to 5m")]
    Interval,
    #[error("the code lifetime must be whole seconds from 1s to 1d")]
    CodeTtl,
    #[error("max_age and code_ttl of a policy are whole seconds, one at least")]
    Policy,
}

impl ClientRefusal {
    /// Whether it was said wrongly, rather than refused for what is there.
    pub const fn is_misuse(&self) -> bool {
        match self {
            Self::Name | Self::Resource(_) | Self::Interval | Self::CodeTtl | Self::Policy => true,
            Self::Taken(_) | Self::Unknown(_) | Self::Public => false,
        }
    }
}

fn apply(client: &mut Client, settings: ClientSettings) -> Result<(), ClientRefusal> {
    let default = blank(client.id.clone(), "", client.created_at);
    for field in settings.reset {
        match field {
            Field::Scopes => client.scopes.clone_from(&default.scopes),
            Field::Grants => client.grants.clone_from(&default.grants),
            Field::Resources => client.resources.clone_from(&default.resources),
            Field::TokenFormat => client.token_format = default.token_format,
            Field::IdTokenAlg => client.id_token_alg = default.id_token_alg,
            Field::CodeTtl => client.code_ttl = default.code_ttl,
            Field::Interval => client.interval = default.interval,
            Field::Policy => client.policy.clone_from(&default.policy),
        }
    }
    if let Some(name) = settings.name {
        client.name = label(&name).ok_or(ClientRefusal::Name)?;
    }
    if let Some(resources) = settings.resources {
        if let Some(bad) = resources.iter().find(|resource| !is_absolute_uri(resource)) {
            return Err(ClientRefusal::Resource(bad.clone()));
        }
        client.resources = resources;
    }
    if let Some(interval) = settings.interval {
        if interval.subsec_nanos() > 0 || !(1..=300).contains(&interval.as_secs()) {
            return Err(ClientRefusal::Interval);
        }
        client.interval = Some(interval);
    }
    if let Some(ttl) = settings.code_ttl {
        if ttl.subsec_nanos() > 0 || !(1..=86_400).contains(&ttl.as_secs()) {
            return Err(ClientRefusal::CodeTtl);
        }
        client.code_ttl = Some(ttl);
    }
    if let Some(policy) = settings.policy {
        let odd = |span: Span| span.0.subsec_nanos() > 0 || span.0.is_zero();
        if policy.code_ttl.is_some_and(odd) || policy.max_age.is_some_and(odd) {
            return Err(ClientRefusal::Policy);
        }
        client.policy = policy;
    }
    if let Some(scopes) = settings.scopes {
        client.scopes = scopes;
    }
    if let Some(grants) = settings.grants {
        client.grants = grants;
    }
    client.token_format = settings.token_format.unwrap_or(client.token_format);
    client.id_token_alg = settings.id_token_alg.unwrap_or(client.id_token_alg);
    Ok(())
}

fn blank(id: ClientId, name: &str, now: Timestamp) -> Client {
    Client {
        id,
        name: name.to_owned(),
        authentication: Authentication::Public,
        scopes: Scopes::default(),
        grants: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        resources: Vec::new(),
        token_format: TokenFormat::Jwt,
        id_token_alg: SigningAlg::Es256,
        code_ttl: None,
        interval: None,
        policy: Exceptions::default(),
        created_at: now,
    }
}

/// A new client, and its secret if it has one: `method` is the only way to present it, or any.
pub async fn add(
    app: &App,
    id: ClientId,
    secret: Option<Option<AuthMethod>>,
    settings: ClientSettings,
    now: Timestamp,
) -> Answer<Result<(Client, Option<Plain>), ClientRefusal>> {
    let mut client = blank(id, "", now);
    if settings.name.is_none() {
        return Ok(Err(ClientRefusal::Name));
    }
    if let Err(refusal) = apply(&mut client, settings) {
        return Ok(Err(refusal));
    }
    let secret = match secret {
        None => None,
        Some(only) => {
            let secret = TokenKind::ClientSecret.mint(&app.entropy.bytes()?);
            client.authentication = Authentication::Secret { digest: secret.digest(), only };
            Some(secret)
        }
    };
    ensure_key(app, &client, now).await?;
    let event = event(app, &client.id, Action::ClientAdded, now)?;
    let batch = vec![clients::insert(&client)?, audit::insert(event), tell(&client.id)];
    match app.store.commit(batch).await? {
        Committed::Done { .. } => Ok(Ok((client, secret))),
        Committed::Conflict => Ok(Err(ClientRefusal::Taken(client.id.to_string()))),
    }
}

fn tell(id: &ClientId) -> Stmt {
    Stmt::tell(Event::Client(id.clone()))
}

/// A client may choose a signature that nothing was signed with before.
async fn ensure_key(app: &App, client: &Client, now: Timestamp) -> Answer<()> {
    Ok(signing::ensure(&app.store, &app.vault, &app.entropy, now, &[client.id_token_alg]).await?)
}

fn event(app: &App, id: &ClientId, action: Action, now: Timestamp) -> Answer<AuditEvent> {
    let mut event = app.event(now, action)?;
    event.client = Some(id.clone());
    Ok(event)
}

pub async fn list(app: &App) -> Answer<Vec<Client>> {
    Ok(clients::list(&app.store).await?)
}

pub async fn find(app: &App, id: &ClientId) -> Answer<Result<Client, ClientRefusal>> {
    Ok(known(app, id)
        .await?
        .map(|client| Client::clone(&client))
        .ok_or_else(|| ClientRefusal::Unknown(id.to_string())))
}

/// A client, from memory where that is certain.
pub async fn known(app: &App, id: &ClientId) -> Answer<Option<Arc<Client>>> {
    let fresh = app.store.feed().is_fresh();
    if fresh && let Some(client) = app.clients.get(id) {
        return Ok(Some(client));
    }
    let round = app.clients.round();
    let found = clients::by_id(&app.store, id).await?.map(Arc::new);
    if let Some(client) = found.as_ref().filter(|_| fresh) {
        app.clients.put(client, round);
    }
    Ok(found)
}

pub async fn edit(
    app: &App,
    id: &ClientId,
    settings: ClientSettings,
    now: Timestamp,
) -> Answer<Result<Client, ClientRefusal>> {
    let mut client = match find(app, id).await? {
        Ok(client) => client,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = apply(&mut client, settings) {
        return Ok(Err(refusal));
    }
    ensure_key(app, &client, now).await?;
    let event = event(app, id, Action::ClientEdited, now)?;
    match app.store.commit(vec![clients::update(&client)?, audit::insert(event), tell(id)]).await? {
        Committed::Done { .. } => Ok(Ok(client)),
        Committed::Conflict => Ok(Err(ClientRefusal::Unknown(id.to_string()))),
    }
}

/// The old secret ends at once.
pub async fn rotate_secret(
    app: &App,
    id: &ClientId,
    now: Timestamp,
) -> Answer<Result<(Client, Plain), ClientRefusal>> {
    let mut client = match find(app, id).await? {
        Ok(client) => client,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Authentication::Secret { digest, .. } = &mut client.authentication else {
        return Ok(Err(ClientRefusal::Public));
    };
    let secret = TokenKind::ClientSecret.mint(&app.entropy.bytes()?);
    *digest = secret.digest();
    let rotated = clients::rotate_secret(id, digest);
    let event = event(app, id, Action::ClientSecretRotated, now)?;
    match app.store.commit(vec![rotated, audit::insert(event), tell(id)]).await? {
        Committed::Done { .. } => Ok(Ok((client, secret))),
        Committed::Conflict => Ok(Err(ClientRefusal::Unknown(id.to_string()))),
    }
}

/// Ends everything that the client was ever granted.
pub async fn remove(app: &App, id: &ClientId, now: Timestamp) -> Answer<Result<(), ClientRefusal>> {
    let event = event(app, id, Action::ClientRemoved, now)?;
    let batch = vec![
        clients::remove(id),
        families::end_of_client(id, now),
        api_keys::revoke_of_client(id, now),
        grants::end_of_client(id, now),
        audit::insert(event),
        tell(id),
    ];
    match app.store.commit(batch).await? {
        Committed::Done { .. } => Ok(Ok(())),
        Committed::Conflict => Ok(Err(ClientRefusal::Unknown(id.to_string()))),
    }
}

/// The client of `countersign login` exists from the first start on, until it is removed.
pub async fn ensure_cli_client(app: &App, now: Timestamp) -> Answer<()> {
    if installation::read(&app.store, installation::CLI_CLIENT_MADE).await?.is_some() {
        return Ok(());
    }
    let Ok(id) = CLI_CLIENT.parse() else { return Ok(()) };
    let client = blank(id, "Countersign command line", now);
    let batch = vec![installation::insert(installation::CLI_CLIENT_MADE, b"yes"), clients::insert(&client)?];
    // A conflict: another node was faster.
    let _made: Committed = app.store.commit(batch).await?;
    Ok(())
}
