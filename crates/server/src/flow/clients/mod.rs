//! Administering clients.

mod settings;

use std::sync::Arc;
use std::time::Duration;

use countersign_core::audit::{Action, By, Event as AuditEvent};
pub use countersign_core::client::Field;
use countersign_core::client::{
    AuthMethod, Authentication, CLI_CLIENT, CLI_REDIRECT_URIS, Client, ClientId, GrantType, OldSecret,
};
use countersign_core::scope::ADMIN;
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::time::{Span, Timestamp};

pub use self::settings::ClientSettings;
use self::settings::{apply, blank};
use crate::app::{Answer, App};
use crate::signing;
use crate::store::feed::Event;
use crate::store::{Committed, Stmt, api_keys, audit, clients, families, grants, installation};

/// How a new client is to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proving {
    Nothing,
    /// By a secret: in this one way, or in any.
    Secret(Option<AuthMethod>),
    /// By signing; its keys are in the settings.
    Keys,
}

impl Proving {
    /// What one method means.
    pub const fn by(method: AuthMethod) -> Self {
        match method {
            AuthMethod::None => Self::Nothing,
            AuthMethod::Basic | AuthMethod::Post => Self::Secret(Some(method)),
            AuthMethod::Key => Self::Keys,
        }
    }
}

/// Why nothing was changed; each says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRefusal {
    #[error(
        "there is a client `{0}` already; choose another id, or change that one with `countersign client edit`"
    )]
    Taken(String),
    #[error("`{0}` would lead to another page than this client's; choose another id")]
    Id(String),
    #[error("there is no client `{0}`; `countersign client list` shows those that exist")]
    Unknown(String),
    #[error("client `{0}` was changed by somebody else meanwhile; look again, then change it")]
    Changed(String),
    #[error(
        "a client has a name of 1 to 100 visible characters, which people read when they approve: say it with --name"
    )]
    Name,
    #[error("`{0}` is no resource: use an absolute URI without a fragment, such as https://api.example.com")]
    Resource(String),
    #[error(
        "`{0}` is no redirect URI: use https, http with 127.0.0.1, [::1] or localhost, or an app's own scheme with a dot in it; no fragment"
    )]
    RedirectUri(String),
    #[error("this client has no secret; add one that has with `countersign client add --secret`")]
    Public,
    #[error("the interval must be whole seconds from 1s to 5m")]
    Interval,
    #[error("the code lifetime must be whole seconds from 1s to 1d")]
    CodeTtl,
    #[error("the lifetime of access tokens is whole seconds from 1s to 1d, of logins from 1m to 3650d")]
    Lifetime,
    #[error("max_age and code_ttl of a policy are whole seconds, one at least")]
    Policy,
    #[error(
        "its keys cannot be used: {0}; give a JSON Web Key Set with public keys, each with a kid of its own"
    )]
    Keys(String),
    #[error("keys are for a client with --auth-method private_key_jwt, and such a client needs --jwks")]
    NoKeys,
    #[error("client_credentials is for clients that prove who they are: add it with --secret or --jwks")]
    Unproven,
    #[error("authorization_code needs a redirect URI: say it with --redirect-uri")]
    NoRedirectUri,
    /// What a client says of itself.
    #[error("{0}")]
    Metadata(String),
}

impl ClientRefusal {
    /// Whether it was said wrongly, rather than refused for what is there.
    pub const fn is_misuse(&self) -> bool {
        !matches!(self, Self::Taken(_) | Self::Unknown(_) | Self::Changed(_) | Self::Public)
    }
}

/// A new client, and its secret if it has one. `registration` is the digest of the token that it changes
/// itself with.
pub async fn add(
    app: &App,
    by: &By,
    id: ClientId,
    proving: Proving,
    settings: ClientSettings,
    now: Timestamp,
) -> Answer<Result<(Client, Option<Plain>), ClientRefusal>> {
    if matches!(id.as_str(), "." | ".." | "new") {
        return Ok(Err(ClientRefusal::Id(id.to_string())));
    }
    let event = event(app, &id, Action::ClientAdded, now)?.by(by);
    insert(app, id, proving, settings, None, event, now).await
}

pub async fn insert(
    app: &App,
    id: ClientId,
    proving: Proving,
    settings: ClientSettings,
    registration: Option<&Digest>,
    event: AuditEvent,
    now: Timestamp,
) -> Answer<Result<(Client, Option<Plain>), ClientRefusal>> {
    let mut client = blank(id, "", now);
    if settings.name.is_none() {
        return Ok(Err(ClientRefusal::Name));
    }
    let secret = match proving {
        Proving::Nothing => None,
        Proving::Secret(only) => {
            let secret = TokenKind::ClientSecret.mint(&app.entropy.bytes()?);
            client.authentication = Authentication::Secret { digest: secret.digest(), only, old: None };
            Some(secret)
        }
        Proving::Keys => {
            client.authentication = Authentication::Keys { jwks: String::new() };
            None
        }
    };
    if let Err(refusal) = apply(&mut client, settings) {
        return Ok(Err(refusal));
    }
    ensure_key(app, &client, now).await?;
    let batch = vec![clients::insert(&client, registration)?, audit::insert(event), tell(&client.id)];
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

pub fn event(app: &App, id: &ClientId, action: Action, now: Timestamp) -> Answer<AuditEvent> {
    let mut event = app.event(now, action)?;
    event.client = Some(id.clone());
    Ok(event)
}

pub async fn list(app: &App) -> Answer<Vec<Client>> {
    Ok(clients::list(&app.store).await?)
}

/// Those after this id; `words` stand in id or name.
pub async fn page(app: &App, after: Option<&str>, words: Option<&str>, limit: u32) -> Answer<Vec<Client>> {
    Ok(clients::page(&app.store, after, words, limit).await?)
}

/// As it stands in the database at this moment.
pub async fn find(app: &App, id: &ClientId) -> Answer<Result<Client, ClientRefusal>> {
    let found = clients::by_id(&app.store, id).await?;
    Ok(found.ok_or_else(|| ClientRefusal::Unknown(id.to_string())))
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

/// As it stands in the database, unless somebody changed it since it was seen.
async fn as_seen(app: &App, id: &ClientId, seen: Option<u32>) -> Answer<Result<Client, ClientRefusal>> {
    let same = |client: &Client| seen.is_none_or(|seen| seen == client.revision);
    let changed = || ClientRefusal::Changed(id.to_string());
    Ok(find(app, id).await?.and_then(|client| if same(&client) { Ok(client) } else { Err(changed()) }))
}

/// What somebody else changes meanwhile is looked at again so often.
const LOOKS: usize = 64;

/// `seen` is the revision that whoever changes it has seen; without it any will do.
pub async fn edit(
    app: &App,
    by: &By,
    id: &ClientId,
    settings: ClientSettings,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<Client, ClientRefusal>> {
    let event = event(app, id, Action::ClientEdited, now)?.by(by);
    // Whoever registered it does not undo what an administrator decided.
    edit_with(app, id, settings, seen, event, Some(clients::forget_registration(id)), now).await
}

pub async fn edit_with(
    app: &App,
    id: &ClientId,
    settings: ClientSettings,
    seen: Option<u32>,
    event: AuditEvent,
    also: Option<Stmt>,
    now: Timestamp,
) -> Answer<Result<Client, ClientRefusal>> {
    for _ in 0..LOOKS {
        let mut client = match as_seen(app, id, seen).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let before = client.clone();
        if let Err(refusal) = apply(&mut client, settings.clone()) {
            return Ok(Err(refusal));
        }
        // What an administrator saved as it was is theirs from now on all the same.
        if client == before && (also.is_none() || clients::registration(&app.store, id).await?.is_none()) {
            return Ok(Ok(client));
        }
        ensure_key(app, &client, now).await?;
        let ended = lose(&before, &mut client, now);
        let mut batch = vec![clients::update(&client)?, audit::insert(event.clone()), tell(id)];
        batch.extend(ended);
        batch.extend(also.clone());
        if app.store.commit(batch).await?.is_done() {
            client.revision += 1;
            return Ok(Ok(client));
        }
    }
    Ok(Err(ClientRefusal::Changed(id.to_string())))
}

/// Ends what a client must not have again when it gets back what is being taken from it.
fn lose(before: &Client, client: &mut Client, now: Timestamp) -> Vec<Stmt> {
    let (had, itself) = (before.allowed(), GrantType::ClientCredentials);
    let has = client.still_allowed(&had);
    let loses = has != had || (before.may_use(itself) && !client.may_use(itself));
    let changes = client.allowed() != had || before.may_use(itself) != client.may_use(itself);
    // Also when something is given back: a token may have been made while it was being taken.
    if loses || (changes && client.details.own_tokens_since.is_some()) {
        client.details.own_tokens_since = client.details.own_tokens_since.max(Some(now.micros()));
    }
    if !had.contains(ADMIN) || has.contains(ADMIN) {
        return Vec::new();
    }
    // In this order: a key that is being made with one of these logins waits for its login, or is seen.
    vec![
        families::end_admin_of_client(&client.id, now),
        api_keys::revoke_admin_of_client(&client.id, now),
        grants::end_of_client(&client.id, now),
    ]
}

/// The old secret goes on for `overlap`, but none that is older still.
pub async fn rotate_secret(
    app: &App,
    by: &By,
    id: &ClientId,
    overlap: Duration,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<(Client, Plain), ClientRefusal>> {
    for _ in 0..LOOKS {
        let mut client = match as_seen(app, id, seen).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Authentication::Secret { digest, old, .. } = &mut client.authentication else {
            return Ok(Err(ClientRefusal::Public));
        };
        *old = (!overlap.is_zero()).then(|| OldSecret { digest: *digest, until: now + overlap });
        let secret = TokenKind::ClientSecret.mint(&app.entropy.bytes()?);
        *digest = secret.digest();
        let (digest, old) = (*digest, *old);
        let mut event = event(app, id, Action::ClientSecretRotated, now)?.by(by);
        event.detail = old.map(|_| format!("the old one is good for another {}", Span(overlap)));
        let batch = vec![clients::rotate_secret(&client, &digest, old), audit::insert(event), tell(id)];
        if app.store.commit(batch).await?.is_done() {
            client.revision += 1;
            return Ok(Ok((client, secret)));
        }
    }
    Ok(Err(ClientRefusal::Changed(id.to_string())))
}

/// Ends everything that the client was ever granted. `seen` as with [`edit`].
pub async fn remove(
    app: &App,
    by: &By,
    id: &ClientId,
    seen: Option<u32>,
    now: Timestamp,
) -> Answer<Result<(), ClientRefusal>> {
    let event = event(app, id, Action::ClientRemoved, now)?.by(by);
    remove_with(app, id, seen, event, now).await
}

pub async fn remove_with(
    app: &App,
    id: &ClientId,
    seen: Option<u32>,
    event: AuditEvent,
    now: Timestamp,
) -> Answer<Result<(), ClientRefusal>> {
    let batch = vec![
        clients::remove(id, seen),
        families::end_of_client(id, now),
        // While its logins can still be told.
        api_keys::revoke_made_with_client(id, now),
        api_keys::revoke_of_client(id, now),
        grants::end_of_client(id, now),
        audit::insert(event),
        tell(id),
    ];
    match app.store.commit(batch).await? {
        Committed::Done { .. } => Ok(Ok(())),
        Committed::Conflict => Ok(Err(match find(app, id).await? {
            Ok(_) => ClientRefusal::Changed(id.to_string()),
            Err(unknown) => unknown,
        })),
    }
}

/// The client of `countersign login` exists from the first start on, until it is removed.
pub async fn ensure_cli_client(app: &App, now: Timestamp) -> Answer<()> {
    if installation::read(&app.store, installation::CLI_CLIENT_MADE).await?.is_some() {
        return Ok(());
    }
    let Ok(id) = CLI_CLIENT.parse() else { return Ok(()) };
    let mut client = blank(id, "Countersign command line", now);
    client.grants.push(GrantType::AuthorizationCode);
    client.details.redirect_uris = CLI_REDIRECT_URIS.map(str::to_owned).into();
    let made = installation::insert(installation::CLI_CLIENT_MADE, b"yes");
    let batch = vec![made, clients::insert(&client, None)?];
    // A conflict: another node was faster.
    let _made: Committed = app.store.commit(batch).await?;
    Ok(())
}
