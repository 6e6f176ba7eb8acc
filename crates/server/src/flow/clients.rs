//! Administering clients.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::audit::{Action, By, Event as AuditEvent};
pub use countersign_core::client::Field;
use countersign_core::client::{
    AuthMethod, Authentication, CLI_CLIENT, CLI_REDIRECT_URIS, Client, ClientId, Details, GrantType,
    MAX_ACCESS_TTL, OldSecret, SigningAlg, TokenFormat, is_absolute_uri, is_redirect_uri,
};
use countersign_core::policy::Exceptions;
use countersign_core::scope::{ADMIN, Scopes};
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::text::label;
use countersign_core::time::{Span, Timestamp};

use crate::app::{Answer, App};
use crate::jws;
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
    pub redirect_uris: Option<Vec<String>>,
    pub post_logout_redirect_uris: Option<Vec<String>>,
    pub access_ttl: Option<Duration>,
    pub refresh_ttl: Option<Duration>,
    pub refresh_idle_ttl: Option<Duration>,
    pub dpop_bound: Option<bool>,
    pub par_required: Option<bool>,
    /// Its public keys, for one that has some.
    pub jwks: Option<String>,
    /// These go back to their defaults first.
    pub reset: Vec<Field>,
}

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

const DAY: u64 = 86_400;
/// Lists of addresses and resources of one client.
const ENTRIES: usize = 50;

fn reset(client: &mut Client, fields: &[Field]) {
    let default = blank(client.id.clone(), "", client.created_at);
    for field in fields {
        match field {
            Field::Scopes => client.scopes.clone_from(&default.scopes),
            Field::Grants => client.grants.clone_from(&default.grants),
            Field::Resources => client.resources.clone_from(&default.resources),
            Field::TokenFormat => client.token_format = default.token_format,
            Field::IdTokenAlg => client.id_token_alg = default.id_token_alg,
            Field::CodeTtl => client.code_ttl = default.code_ttl,
            Field::Interval => client.interval = default.interval,
            Field::Policy => client.policy.clone_from(&default.policy),
            Field::RedirectUris => client.details.redirect_uris.clear(),
            Field::PostLogoutRedirectUris => client.details.post_logout_redirect_uris.clear(),
            Field::AccessTtl => client.details.access_ttl = None,
            Field::RefreshTtl => client.details.refresh_ttl = None,
            Field::RefreshIdleTtl => client.details.refresh_idle_ttl = None,
        }
    }
}

fn apply(client: &mut Client, settings: ClientSettings) -> Result<(), ClientRefusal> {
    reset(client, &settings.reset);
    let seconds = |span: Option<Duration>, range: RangeInclusive<u64>, refusal: ClientRefusal| match span {
        Some(span) if span.subsec_nanos() > 0 || !range.contains(&span.as_secs()) => Err(refusal),
        span => Ok(span),
    };
    if let Some(name) = settings.name {
        client.name = label(&name).ok_or(ClientRefusal::Name)?;
    }
    if let Some(resources) = settings.resources {
        if let Some(bad) = resources.iter().find(|resource| !is_absolute_uri(resource)) {
            return Err(ClientRefusal::Resource(bad.clone()));
        }
        client.resources = resources;
    }
    client.interval = seconds(settings.interval, 1..=300, ClientRefusal::Interval)?.or(client.interval);
    client.code_ttl = seconds(settings.code_ttl, 1..=DAY, ClientRefusal::CodeTtl)?.or(client.code_ttl);
    if let Some(policy) = settings.policy {
        let odd = |span: Span| span.0.subsec_nanos() > 0 || span.0.is_zero();
        if policy.code_ttl.is_some_and(odd) || policy.max_age.is_some_and(odd) {
            return Err(ClientRefusal::Policy);
        }
        client.policy = policy;
    }
    client.scopes = settings.scopes.unwrap_or_else(|| client.scopes.clone());
    if let Some(mut grants) = settings.grants {
        let mut seen = Vec::new();
        grants.retain(|grant| {
            !seen.contains(grant) && {
                seen.push(*grant);
                true
            }
        });
        client.grants = grants;
    }
    client.token_format = settings.token_format.unwrap_or(client.token_format);
    client.id_token_alg = settings.id_token_alg.unwrap_or(client.id_token_alg);
    let details = &mut client.details;
    for (said, kept) in [
        (settings.redirect_uris, &mut details.redirect_uris),
        (settings.post_logout_redirect_uris, &mut details.post_logout_redirect_uris),
    ] {
        let Some(uris) = said else { continue };
        if let Some(bad) = uris.iter().find(|uri| !is_redirect_uri(uri)) {
            return Err(ClientRefusal::RedirectUri(bad.clone()));
        }
        *kept = uris;
    }
    let long = 60..=3650 * DAY;
    for (said, range, kept) in [
        (settings.access_ttl, 1..=MAX_ACCESS_TTL.as_secs(), &mut details.access_ttl),
        (settings.refresh_ttl, long.clone(), &mut details.refresh_ttl),
        (settings.refresh_idle_ttl, long, &mut details.refresh_idle_ttl),
    ] {
        *kept = seconds(said, range, ClientRefusal::Lifetime)?.map(Span).or(*kept);
    }
    details.dpop_bound = settings.dpop_bound.unwrap_or(details.dpop_bound);
    details.par_required = settings.par_required.unwrap_or(details.par_required);
    match (settings.jwks, &mut client.authentication) {
        (Some(said), Authentication::Keys { jwks }) => {
            *jwks = jws::read_keys(&said).map_err(ClientRefusal::Keys)?;
        }
        (Some(_), _) => return Err(ClientRefusal::NoKeys),
        (None, Authentication::Keys { jwks }) if jwks.is_empty() => return Err(ClientRefusal::NoKeys),
        (None, _) => {}
    }
    fits(client)
}

/// What must go together.
fn fits(client: &Client) -> Result<(), ClientRefusal> {
    if client.may_use(GrantType::ClientCredentials) && !client.authentication.is_confidential() {
        return Err(ClientRefusal::Unproven);
    }
    if client.may_use(GrantType::AuthorizationCode) && client.details.redirect_uris.is_empty() {
        return Err(ClientRefusal::NoRedirectUri);
    }
    let lists = [&client.resources, &client.details.redirect_uris, &client.details.post_logout_redirect_uris];
    match lists.into_iter().find_map(|list| list.get(ENTRIES)) {
        Some(one_too_many) => Err(ClientRefusal::RedirectUri(one_too_many.clone())),
        None => Ok(()),
    }
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
        details: Details::default(),
        created_at: now,
        revision: 1,
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
        let mut client = match find(app, id).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if seen.is_some_and(|seen| seen != client.revision) {
            break;
        }
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
        let mut client = match find(app, id).await? {
            Ok(client) => client,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if seen.is_some_and(|seen| seen != client.revision) {
            break;
        }
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
