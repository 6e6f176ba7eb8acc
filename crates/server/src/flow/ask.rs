//! Step 1: a device asks.

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::audit::Action;
use countersign_core::client::Client;
use countersign_core::code::CodeStyle;
use countersign_core::grant::{Ask, Grant, KeyAsk, Origin, State, TokensAsk, TokensOptions, Way};
use countersign_core::id::GrantId;
use countersign_core::scope::{ADMIN, Scopes};
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use tracing::instrument;

use crate::app::{Answer, App, Fault};
use crate::flow::detect;
use crate::flow::policy::{self, Objection};
use crate::limits::address_key;
use crate::store::{Committed, Stmt, StoreError, grants};
use crate::telemetry::GrantEvent;
use crate::telemetry::trace::TRACE;

/// What is asked for at the OAuth door.
#[derive(Debug)]
pub struct TokensQuestion {
    pub scopes: Scopes,
    pub options: TokensOptions,
}

/// What is asked for at the CLI door.
#[derive(Debug)]
pub struct KeyQuestion {
    pub name: String,
    pub scopes: Scopes,
}

#[derive(Debug)]
pub struct Asked {
    pub device_code: Plain,
    /// As people should see it.
    pub user_code: Plain,
    pub expires_in: Duration,
    pub interval: Duration,
    /// Whether a link may carry the code.
    pub linkable: bool,
}

#[derive(Debug)]
pub enum AskRefusal {
    /// The client may not have this scope.
    Scope(String),
    /// The client may not have tokens for this resource.
    Target(String),
    /// Devices may not ask from there.
    Denied,
    /// The client or the address asked too often: wait this long.
    TooMany(Duration),
}

/// Drawing a live code twice is so unlikely that more tries than this mean something else.
pub const DRAWS: usize = 16;

#[instrument(target = TRACE, name = "ask.tokens", skip_all)]
pub async fn tokens(
    app: &App,
    client: &Client,
    question: TokensQuestion,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Result<Asked, AskRefusal>> {
    if let Some(resource) = question.options.resources.iter().find(|resource| !client.may_target(resource)) {
        return Ok(Err(AskRefusal::Target(resource.clone())));
    }
    let ask = Ask::Tokens(TokensAsk {
        client: client.id.clone(),
        scopes: question.scopes,
        options: question.options,
    });
    let usual = (app.config.device.code_ttl, app.config.device.interval);
    open(app, Some(client), ask, usual, from, address, now).await
}

/// A client is not needed; one that is named limits the scopes.
#[instrument(target = TRACE, name = "ask.key", skip_all)]
pub async fn key(
    app: &App,
    client: Option<&Client>,
    question: KeyQuestion,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Result<Asked, AskRefusal>> {
    // Nobody proves who asks here, and nobody may be talked into handing the server over.
    if question.scopes.contains(ADMIN) {
        return Ok(Err(AskRefusal::Scope(ADMIN.to_owned())));
    }
    let ask = Ask::Key(KeyAsk {
        way: Way::Forward,
        client: client.map(|client| client.id.clone()),
        name: question.name,
        scopes: question.scopes,
    });
    let usual = (app.config.cli.code_ttl, app.config.cli.interval);
    open(app, client, ask, usual, from, address, now).await
}

/// A question that a browser carries.
#[derive(Debug)]
pub struct AskedByBrowser {
    pub grant: GrantId,
    pub expires_in: Duration,
}

/// How long a person may take to answer a question that a browser carries.
const BROWSER_TTL: Duration = Duration::from_mins(10);

/// `question` says where the answer goes. Only a client that `proved` who it is counts against its own
/// limit: anybody could use that up otherwise.
#[instrument(target = TRACE, name = "ask.code", skip_all)]
pub async fn code(
    app: &App,
    client: &Client,
    question: TokensQuestion,
    proved: bool,
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Result<AskedByBrowser, AskRefusal>> {
    let TokensQuestion { scopes, options } = question;
    if let Some(resource) = options.resources.iter().find(|resource| !client.may_target(resource)) {
        return Ok(Err(AskRefusal::Target(resource.clone())));
    }
    let ask = Ask::Tokens(TokensAsk { client: client.id.clone(), scopes, options });
    let usual = (BROWSER_TTL, app.config.device.interval);
    if let Err(wait) = within_limits(app, Some(client).filter(|_| proved), address) {
        return Ok(Err(AskRefusal::TooMany(wait)));
    }
    let prepared = match prepare(app, Some(client), ask, usual, from, address, now).await? {
        Ok(prepared) => prepared,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // A client's own lifetime is of codes that people type.
    let grant = Grant { expires_at: prepared.grant.expires_at.min(now + BROWSER_TTL), ..prepared.grant };
    let digest = app.vault.authorization_code(grant.id).digest();
    let mut batch = vec![grants::insert(&grant, &digest, None)?];
    batch.extend(prepared.narrowed);
    let _inserted: Committed = app.store.commit(batch).await?;
    app.metrics.grant(grant.ask.door(), GrantEvent::Asked, grant.client());
    Ok(Ok(AskedByBrowser { grant: grant.id, expires_in: grant.expires_at.since(now) }))
}

/// `usual` are lifetime and interval where the client has none of its own.
async fn open(
    app: &App,
    client: Option<&Client>,
    ask: Ask,
    usual: (Duration, Duration),
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Result<Asked, AskRefusal>> {
    if let Err(wait) = within_limits(app, client, address) {
        return Ok(Err(AskRefusal::TooMany(wait)));
    }
    let Prepared { grant, narrowed, linkable } =
        match prepare(app, client, ask, usual, from, address, now).await? {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Err(refusal)),
        };
    let device_code = Plain::from_entropy(&app.entropy.bytes()?);
    let user_code = insert(app, &grant, narrowed.as_ref(), &device_code, app.config.device.user_code).await?;
    app.metrics.grant(grant.ask.door(), GrantEvent::Asked, grant.client());
    let (expires_in, interval) = (grant.expires_at.since(now), grant.interval);
    Ok(Ok(Asked { device_code, user_code, expires_in, interval, linkable }))
}

/// A question that may be asked.
struct Prepared {
    grant: Grant,
    /// What tells that less is asked for than was wanted.
    narrowed: Option<Stmt>,
    linkable: bool,
}

async fn prepare(
    app: &App,
    client: Option<&Client>,
    ask: Ask,
    usual: (Duration, Duration),
    from: Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Result<Prepared, AskRefusal>> {
    let policy = policy::of(app, client);
    let expires_in = policy.lifetime(client.and_then(|client| client.code_ttl).unwrap_or(usual.0));
    let interval = client.and_then(|client| client.interval).unwrap_or(usual.1);
    let mut grant = Grant {
        id: GrantId::new(now, app.entropy.id()?),
        ask,
        from,
        asked_at: now,
        expires_at: now + expires_in,
        interval,
        opened_at: None,
        state: State::Pending,
    };
    if let Some(scope) = client.and_then(|client| client.scope_refused(grant.scopes())) {
        return Ok(Err(AskRefusal::Scope(scope.to_owned())));
    }
    if !policy.may_ask(address) {
        let objection = Objection {
            grant: None,
            ..Objection::to(&grant, Action::GrantRefused, "allowed_requester_cidrs", &grant.from)
        };
        objection.note(app, now).await?;
        return Ok(Err(AskRefusal::Denied));
    }
    let blocked = match grant.client() {
        Some(client) => detect::is_blocked(app, client, now).await?,
        None => false,
    };
    if detect::asks(app, &grant.from.address, &address_key(address), now).await? || blocked {
        app.metrics.refused("detection");
        return Ok(Err(AskRefusal::Denied));
    }
    let capped = policy.capped(grant.scopes());
    let narrowed = capped != *grant.scopes();
    grant.ask.narrow(capped);
    let narrowed = if narrowed {
        app.metrics.objected("scope_cap");
        Some(Objection::to(&grant, Action::GrantNarrowed, "scope_cap", &grant.from).row(app, now)?)
    } else {
        None
    };
    Ok(Ok(Prepared { grant, narrowed, linkable: policy.complete_uri }))
}

fn within_limits(app: &App, client: Option<&Client>, address: IpAddr) -> Result<(), Duration> {
    if !app.config.limits.enabled {
        return Ok(());
    }
    app.codes_per_address
        .check(&address_key(address))
        .inspect_err(|_| app.metrics.refused("device_codes_per_address"))?;
    let Some(client) = client else { return Ok(()) };
    app.codes_per_client
        .check(client.id.as_str())
        .inspect_err(|_| app.metrics.refused("device_codes_per_client"))
}

/// Stores the question under a user code that no live grant has.
async fn insert(
    app: &App,
    grant: &Grant,
    narrowed: Option<&Stmt>,
    device_code: &Plain,
    style: CodeStyle,
) -> Answer<Plain> {
    for _ in 0..DRAWS {
        let Some(code) = style.draw(&app.entropy.bytes_64()?) else { continue };
        let mut batch = vec![grants::insert(grant, &device_code.digest(), Some(&app.vault.code(&code)))?];
        batch.extend(narrowed.cloned());
        if app.store.commit(batch).await?.is_done() {
            return Ok(Plain::new(style.show(&code)));
        }
    }
    Err(no_free_code())
}

pub fn no_free_code() -> Fault {
    Fault::Store(StoreError::Database("no free code was found".to_owned()))
}
