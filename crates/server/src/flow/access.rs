//! What tokens that are presented are: looked into, and revoked.

use countersign_core::account::{Account, SignIn, Username};
use countersign_core::audit::Action;
use countersign_core::client::{Client, ClientId, GrantType};
use countersign_core::family::Family;
use countersign_core::grant::Thumbprint;
use countersign_core::id::{AccountId, DeviceId, TokenId};
use countersign_core::key::{self, Key};
use countersign_core::node::Node;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, TokenKind};
use countersign_core::time::Timestamp;
use serde::Deserialize;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::flow::tokens::{self, ACCESS_TYP, AccessClaims, ID_TYP};
use crate::flow::{api_keys, clients, nodes};
use crate::store::families::{AccessFacts, Whose};
use crate::store::{Committed, accounts, audit, families};
use crate::telemetry::trace::TRACE;

/// A live access token.
#[derive(Clone, Debug)]
pub struct Access {
    pub id: TokenId,
    pub family: DeviceId,
    pub client: ClientId,
    pub account: AccountId,
    pub scopes: Scopes,
    pub audience: Vec<String>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub owner: Account,
    pub sign_in: SignIn,
    /// The key that it is bound to.
    pub jkt: Option<Thumbprint>,
}

/// A live access token, whoever it speaks for.
#[derive(Clone, Debug)]
pub enum Bearer {
    Person(Box<Access>),
    /// A client, for itself.
    Client(Box<AccessFacts>, ClientId),
}

impl Bearer {
    pub const fn jkt(&self) -> Option<&Thumbprint> {
        match self {
            Self::Person(access) => access.jkt.as_ref(),
            Self::Client(facts, _) => facts.jkt.as_ref(),
        }
    }

    pub const fn scopes(&self) -> &Scopes {
        match self {
            Self::Person(access) => &access.scopes,
            Self::Client(facts, _) => &facts.scopes,
        }
    }

    /// Whether it is meant for this server: a token for somebody else's API is none for ours.
    pub fn is_for(&self, app: &App) -> bool {
        let audience = match self {
            Self::Person(access) => &access.audience,
            Self::Client(facts, _) => &facts.audience,
        };
        audience.iter().any(|audience| audience == app.public_url.issuer())
    }
}

/// The access token behind a text, if it is live at this moment: not expired, not revoked, its
/// family not ended, its owner enabled, its client registered.
#[instrument(target = TRACE, name = "access.bearer", skip_all)]
pub async fn bearer(app: &App, token: &str, now: Timestamp) -> Answer<Option<Bearer>> {
    let Some(found) = decode(app, token, now).await? else { return Ok(None) };
    if now >= found.expires_at {
        return Ok(None);
    }
    let login = match &found.of {
        Whose::Login(login) => *login,
        Whose::Client(id) => {
            let client = clients::known(app, id).await?;
            // A JWT tells whole seconds, its id tells more.
            let same = |client: &Client| found.id.made_at() >= client.own_tokens_since();
            let live = client
                .as_ref()
                .is_some_and(|client| client.may_use(GrantType::ClientCredentials) && same(client))
                && !families::is_revoked(&app.store, found.id).await?;
            let Some(client) = client.filter(|_| live) else { return Ok(None) };
            // What was taken from the client since is taken from its tokens.
            let found = AccessFacts { scopes: client.still_allowed(&found.scopes), ..found };
            return Ok(Some(Bearer::Client(Box::new(found), client.id.clone())));
        }
    };
    let Some((family, owner)) = families::live(&app.store, login, found.id).await? else {
        return Ok(None);
    };
    let client = clients::known(app, &family.client).await?;
    let Some(client) = client.filter(|_| family.is_live(now)) else { return Ok(None) };
    let found = AccessFacts { scopes: client.still_allowed(&found.scopes), ..found };
    Ok(Some(Bearer::Person(Box::new(Access {
        id: found.id,
        family: family.id,
        client: family.client,
        account: family.account,
        scopes: found.scopes,
        audience: found.audience,
        issued_at: found.issued_at,
        expires_at: found.expires_at,
        owner,
        sign_in: family.sign_in,
        jkt: found.jkt,
    }))))
}

/// Whether nothing was revoked since the token was looked at, and no scope taken from its client.
pub async fn is_live(app: &App, access: &Access, now: Timestamp) -> Answer<bool> {
    let found = families::live(&app.store, access.family, access.id).await?;
    if !found.is_some_and(|(family, _)| family.is_live(now)) {
        return Ok(false);
    }
    let client = clients::known(app, &access.client).await?;
    Ok(client.is_some_and(|client| client.still_allowed(&access.scopes) == access.scopes))
}

async fn decode(app: &App, token: &str, now: Timestamp) -> Answer<Option<AccessFacts>> {
    if TokenKind::recognise(token) == Some(TokenKind::Access) {
        return Ok(families::access(&app.store, &Digest::of(token)).await?);
    }
    let verified = app.signer.verify::<AccessClaims>(&app.store, &app.vault, now, ACCESS_TYP, token).await?;
    let Some(claims) = verified.filter(|claims| claims.iss == app.public_url.issuer()) else {
        return Ok(None);
    };
    let of = match &claims.sid {
        Some(sid) => sid.parse().ok().map(Whose::Login),
        None if claims.sub == claims.client_id => claims.client_id.parse().ok().map(Whose::Client),
        None => None,
    };
    let (Ok(id), Some(of), Ok(scopes)) = (claims.jti.parse(), of, claims.scope.parse()) else {
        return Ok(None);
    };
    Ok(Some(AccessFacts {
        id,
        of,
        scopes,
        audience: claims.aud.list(),
        jkt: claims.cnf.map(|cnf| cnf.jkt),
        issued_at: Timestamp::from_secs(claims.iat),
        expires_at: Timestamp::from_secs(claims.exp),
    }))
}

/// The client that an ID token of ours was made for, however old it is.
pub async fn id_token_client(app: &App, token: &str, now: Timestamp) -> Answer<Option<ClientId>> {
    #[derive(Deserialize)]
    struct Hint {
        iss: String,
        aud: String,
    }
    let verified = app.signer.verify::<Hint>(&app.store, &app.vault, now, ID_TYP, token).await?;
    let ours = verified.filter(|hint| hint.iss == app.public_url.issuer());
    Ok(ours.and_then(|hint| hint.aud.parse().ok()))
}

/// What introspection finds (RFC 7662 §2.2).
#[derive(Debug)]
pub enum Introspected {
    Inactive,
    Access(Box<Access>),
    /// A client's own.
    Client(Box<AccessFacts>, ClientId),
    Refresh {
        family: Box<Family>,
        username: String,
        expires_at: Timestamp,
    },
    Key(Box<Key>, Username),
    Node(Box<Node>, Option<Username>),
}

/// Who asks about a token: refresh tokens are only for their own client. `device` is the one whose
/// imported token it may be.
#[instrument(target = TRACE, name = "access.introspect", skip_all)]
pub async fn introspect(
    app: &App,
    asker: Option<&ClientId>,
    token: &str,
    device: Option<nodes::Named>,
    now: Timestamp,
) -> Answer<Introspected> {
    if TokenKind::recognise(token) == Some(TokenKind::Refresh) {
        return introspect_refresh(app, asker, token, now).await;
    }
    if key::recognise(token) {
        let found = api_keys::authenticate(app, token, now).await?;
        return Ok(
            found.map_or(Introspected::Inactive, |(key, owner)| Introspected::Key(Box::new(key), owner.name))
        );
    }
    if let Some(listed) = nodes::authenticate(app, token, device, now).await? {
        return Ok(Introspected::Node(Box::new(listed.node), listed.user));
    }
    Ok(match bearer(app, token, now).await? {
        Some(Bearer::Person(access)) => Introspected::Access(access),
        Some(Bearer::Client(facts, client)) => Introspected::Client(facts, client),
        None => Introspected::Inactive,
    })
}

async fn introspect_refresh(
    app: &App,
    asker: Option<&ClientId>,
    token: &str,
    now: Timestamp,
) -> Answer<Introspected> {
    let Some((stored, family)) = families::by_refresh(&app.store, &Digest::of(token)).await? else {
        return Ok(Introspected::Inactive);
    };
    let own = asker == Some(&family.client);
    if !own || stored.spent_at.is_some() || now >= stored.expires_at || !family.is_live(now) {
        return Ok(Introspected::Inactive);
    }
    let owner = accounts::by_id(&app.store, family.account).await?;
    let username = owner.map_or_else(String::new, |owner| owner.name.to_string());
    Ok(Introspected::Refresh { family: Box::new(family), username, expires_at: stored.expires_at })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Revoked now, or nothing there to revoke: the caller need not know which (RFC 7009 §2.2).
    Done,
    /// It belongs to another client (RFC 7009 §2.1).
    NotYours,
}

/// A refresh token takes its whole family along; an access token goes alone, unless it is all that
/// there is. An API key belongs to the client that it was asked for with.
#[instrument(target = TRACE, name = "access.revoke", skip_all)]
pub async fn revoke(app: &App, client: &Client, token: &str, now: Timestamp) -> Answer<Revoked> {
    if TokenKind::recognise(token) == Some(TokenKind::Refresh) {
        let found = families::by_refresh(&app.store, &Digest::of(token)).await?;
        let Some((_, family)) = found else { return Ok(Revoked::Done) };
        if family.client != client.id {
            return Ok(Revoked::NotYours);
        }
        tokens::end(app, &family, Action::TokenRevoked, now).await?;
        return Ok(Revoked::Done);
    }
    if key::recognise(token) {
        let Some((key, _)) = api_keys::authenticate(app, token, now).await? else { return Ok(Revoked::Done) };
        if key.client.as_ref() != Some(&client.id) {
            return Ok(Revoked::NotYours);
        }
        api_keys::revoke(app, &key, None, now).await?;
        return Ok(Revoked::Done);
    }
    let access = match bearer(app, token, now).await? {
        Some(Bearer::Person(access)) => access,
        Some(Bearer::Client(facts, of)) if of == client.id => {
            let mut event = app.event(now, Action::TokenRevoked)?;
            event.client = Some(of);
            let batch = vec![families::revoke_access(facts.id, facts.expires_at), audit::insert(event)];
            // A conflict: two revoked it at once.
            let _revoked: Committed = app.store.commit(batch).await?;
            return Ok(Revoked::Done);
        }
        Some(Bearer::Client(..)) => return Ok(Revoked::NotYours),
        None => return Ok(Revoked::Done),
    };
    if access.client != client.id {
        return Ok(Revoked::NotYours);
    }
    let mut event = app.event(now, Action::TokenRevoked)?;
    event.account = Some(access.account);
    event.client = Some(client.id.clone());
    event.device = Some(access.family);
    let mut batch = vec![families::revoke_access(access.id, access.expires_at), audit::insert(event)];
    if !client.may_use(GrantType::RefreshToken) {
        batch.push(families::end_live(access.family, now));
    }
    // A conflict: two revoked it at once.
    let _revoked: Committed = app.store.commit(batch).await?;
    Ok(Revoked::Done)
}
