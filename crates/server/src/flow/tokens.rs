//! Step 6: tokens are issued, refreshed, looked into and revoked.

use std::time::Duration;

use countersign_core::account::{Account, SignIn, Username};
use countersign_core::audit::Action;
use countersign_core::client::{Client, ClientId, GrantType, SigningAlg, TokenFormat};
use countersign_core::family::{Family, Refresh, judge_refresh};
use countersign_core::id::{AccountId, DeviceId, TokenId};
use countersign_core::key::{self, Key};
use countersign_core::node::Node;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::{Answer, App};
use crate::flow::policy;
use crate::flow::{api_keys, nodes};
use crate::store::families::OpaqueAccess;
use crate::store::{Committed, Stmt, accounts, audit, families};

/// The `typ` of access tokens (RFC 9068 §2.1) and ID tokens.
const ACCESS_TYP: &str = "at+jwt";
const ID_TYP: &str = "JWT";

#[derive(Debug)]
pub struct TokenSet {
    pub access: Plain,
    pub expires_in: Duration,
    pub refresh: Option<Plain>,
    pub id_token: Option<Plain>,
    pub scopes: Scopes,
}

/// What to issue.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    pub client: &'a Client,
    pub family: &'a Family,
    pub scopes: &'a Scopes,
    /// Narrower than the family's, or empty for all of them.
    pub resources: &'a [String],
    /// The refresh token that was spent for this.
    pub parent: Option<&'a Digest>,
    pub nonce: Option<&'a str>,
}

/// RFC 9068 §2.2.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: ClientIdText,
    scope: String,
    auth_time: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    /// The family: what is revoked as one.
    sid: String,
}

type ClientIdText = String;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// OIDC Core §2.
#[derive(Debug, Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    amr: &'a [String],
    acr: &'a str,
    sid: String,
}

/// Makes the tokens and the statements that remember them. Nothing is committed here.
pub async fn issue(app: &App, what: Issue<'_>, now: Timestamp) -> Answer<(TokenSet, Vec<Stmt>)> {
    let Issue { client, family, scopes, resources, parent, nonce } = what;
    let mut batch = Vec::new();
    let expires_at = family.expires_at.min(now + app.config.lifetimes.access);
    let access = access_token(app, what, now, expires_at, &mut batch).await?;
    let refresh = if client.may_use(GrantType::RefreshToken) {
        let token = TokenKind::Refresh.mint(&app.entropy.bytes()?);
        let until = app.config.lifetimes.refresh_expiry(family.expires_at, now);
        batch.push(families::issue(&token.digest(), family.id, parent, now, until));
        Some(token)
    } else {
        None
    };
    let id_token = if scopes.contains("openid") {
        let claims = IdClaims {
            iss: app.public_url.issuer(),
            sub: family.account.to_string(),
            aud: client.id.as_str(),
            exp: expires_at.secs(),
            iat: now.secs(),
            auth_time: family.sign_in.at.secs(),
            nonce,
            amr: &family.sign_in.amr,
            acr: family.sign_in.acr(),
            sid: family.id.to_string(),
        };
        Some(Plain::new(sign(app, client.id_token_alg, ID_TYP, &claims, now).await?))
    } else {
        None
    };
    debug_assert!(resources.iter().all(|resource| family.resources.contains(resource)));
    let set =
        TokenSet { access, expires_in: expires_at.since(now), refresh, id_token, scopes: scopes.clone() };
    Ok((set, batch))
}

async fn access_token(
    app: &App,
    what: Issue<'_>,
    now: Timestamp,
    expires_at: Timestamp,
    batch: &mut Vec<Stmt>,
) -> Answer<Plain> {
    let Issue { client, family, scopes, resources, .. } = what;
    let id = TokenId::new(now, app.entropy.id()?);
    let wanted = if resources.is_empty() { &family.resources } else { resources };
    let audience = if wanted.is_empty() { vec![app.public_url.issuer().to_owned()] } else { wanted.to_vec() };
    match client.token_format {
        TokenFormat::Opaque => {
            let token = TokenKind::Access.mint(&app.entropy.bytes()?);
            let stored = OpaqueAccess {
                id,
                family: family.id,
                scopes: scopes.clone(),
                audience,
                issued_at: now,
                expires_at,
            };
            batch.push(families::issue_access(&token.digest(), &stored));
            Ok(token)
        }
        TokenFormat::Jwt => {
            let aud = match <[String; 1]>::try_from(audience) {
                Ok([one]) => Audience::One(one),
                Err(many) => Audience::Many(many),
            };
            let claims = AccessClaims {
                iss: app.public_url.issuer().to_owned(),
                sub: family.account.to_string(),
                aud,
                exp: expires_at.secs(),
                iat: now.secs(),
                jti: id.to_string(),
                client_id: client.id.to_string(),
                scope: scopes.to_string(),
                auth_time: family.sign_in.at.secs(),
                amr: family.sign_in.amr.clone(),
                sid: family.id.to_string(),
            };
            Ok(Plain::new(sign(app, app.config.signing_alg, ACCESS_TYP, &claims, now).await?))
        }
    }
}

async fn sign<T: Serialize + Sync>(
    app: &App,
    alg: SigningAlg,
    typ: &str,
    claims: &T,
    now: Timestamp,
) -> Answer<String> {
    Ok(app.signer.sign(&app.store, &app.vault, now, alg, typ, claims).await?)
}

/// What presenting a refresh token leads to.
#[derive(Debug)]
pub enum Refreshed {
    Tokens(Box<TokenSet>),
    /// Unknown, expired, ended, another client's, or reused.
    Invalid,
    /// A scope that the family does not have (RFC 6749 §6).
    Scope(String),
    Target(String),
}

pub async fn refresh(
    app: &App,
    client: &Client,
    token: &str,
    scopes: Option<Scopes>,
    resources: &[String],
    now: Timestamp,
) -> Answer<Refreshed> {
    if TokenKind::recognise(token) != Some(TokenKind::Refresh) {
        return Ok(Refreshed::Invalid);
    }
    let digest = Digest::of(token);
    // Two requests with one token meet here: the loser looks again and finds it spent.
    for _ in 0..4 {
        let Some((stored, family)) = families::by_refresh(&app.store, &digest).await? else {
            return Ok(Refreshed::Invalid);
        };
        if family.client != client.id {
            return Ok(Refreshed::Invalid);
        }
        let guards = match judge_refresh(stored, &family, now, app.config.lifetimes.reuse_grace) {
            Refresh::Refuse => return Ok(Refreshed::Invalid),
            Refresh::Reuse => {
                end(app, &family, Action::TokenReused, now).await?;
                return Ok(Refreshed::Invalid);
            }
            Refresh::Rotate => families::spend(&digest, now).into(),
            Refresh::Repeat => vec![families::successors_unspent(&digest)],
        };
        // The client may have been given less since the person approved.
        let allowed = policy::of(app, Some(client)).capped(&client.still_allowed(&family.scopes));
        let family = match still_targeted(client, &family.resources) {
            Ok(resources) => Family { resources, ..family },
            Err(gone) => return Ok(Refreshed::Target(gone)),
        };
        let scopes = scopes.as_ref().unwrap_or(&allowed);
        if let Some(scope) = scopes.first_outside(&allowed) {
            return Ok(Refreshed::Scope(scope.to_owned()));
        }
        if let Some(other) = resources.iter().find(|resource| !family.resources.contains(resource)) {
            return Ok(Refreshed::Target(other.clone()));
        }
        let issue_it =
            Issue { client, family: &family, scopes, resources, parent: Some(&digest), nonce: None };
        let (tokens, issued) = issue(app, issue_it, now).await?;
        let mut event = app.event(now, Action::TokenRefreshed)?;
        event.account = Some(family.account);
        event.client = Some(client.id.clone());
        event.device = Some(family.id);
        // First, because it locks the family's row: what the guards then see is not changed by others.
        let mut batch = vec![families::used(family.id, now)];
        batch.extend(guards);
        batch.extend(issued);
        batch.push(audit::insert(event));
        if app.store.commit(batch).await?.is_done() {
            return Ok(Refreshed::Tokens(Box::new(tokens)));
        }
    }
    Ok(Refreshed::Invalid)
}

/// The granted resources that this client may still have tokens for; one that it may not, if none
/// is left: a token for nothing in particular would be more than was approved.
pub fn still_targeted(client: &Client, granted: &[String]) -> Result<Vec<String>, String> {
    let (left, gone): (Vec<String>, Vec<String>) =
        granted.iter().cloned().partition(|resource| client.may_target(resource));
    match (left.is_empty(), gone.into_iter().next()) {
        (true, Some(gone)) => Err(gone),
        _ => Ok(left),
    }
}

async fn end(app: &App, family: &Family, action: Action, now: Timestamp) -> Answer<()> {
    let mut event = app.event(now, action)?;
    event.account = Some(family.account);
    event.client = Some(family.client.clone());
    event.device = Some(family.id);
    // A conflict: it ended before, and that was written down then.
    let _ended: Committed =
        app.store.commit(vec![families::end_live(family.id, now), audit::insert(event)]).await?;
    Ok(())
}

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
}

/// The access token behind a text, if it is live at this moment: not expired, not revoked, its
/// family not ended, its owner enabled, its client registered.
pub async fn access(app: &App, token: &str, now: Timestamp) -> Answer<Option<Access>> {
    let Some(found) = decode_access(app, token, now).await? else { return Ok(None) };
    if now >= found.expires_at {
        return Ok(None);
    }
    let Some((family, owner)) = families::live(&app.store, found.family, found.id).await? else {
        return Ok(None);
    };
    if !family.is_live(now) {
        return Ok(None);
    }
    Ok(Some(Access {
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
    }))
}

/// Whether nothing was revoked since the token was looked at.
pub async fn is_live(app: &App, access: &Access, now: Timestamp) -> Answer<bool> {
    let found = families::live(&app.store, access.family, access.id).await?;
    Ok(found.is_some_and(|(family, _)| family.is_live(now)))
}

async fn decode_access(app: &App, token: &str, now: Timestamp) -> Answer<Option<OpaqueAccess>> {
    if TokenKind::recognise(token) == Some(TokenKind::Access) {
        return Ok(families::access(&app.store, &Digest::of(token)).await?);
    }
    let verified = app.signer.verify::<AccessClaims>(&app.store, &app.vault, now, ACCESS_TYP, token).await?;
    let Some(claims) = verified.filter(|claims| claims.iss == app.public_url.issuer()) else {
        return Ok(None);
    };
    let (Ok(id), Ok(family), Ok(scopes)) = (claims.jti.parse(), claims.sid.parse(), claims.scope.parse())
    else {
        return Ok(None);
    };
    Ok(Some(OpaqueAccess {
        id,
        family,
        scopes,
        audience: claims.aud.list(),
        issued_at: Timestamp::from_secs(claims.iat),
        expires_at: Timestamp::from_secs(claims.exp),
    }))
}

/// What introspection finds (RFC 7662 §2.2).
#[derive(Debug)]
pub enum Introspected {
    Inactive,
    Access(Box<Access>),
    Refresh { family: Box<Family>, username: String, expires_at: Timestamp },
    Key(Box<Key>, Username),
    Node(Box<Node>, Option<Username>),
}

/// Who asks about a token: refresh tokens are only for their own client. `device` is the one whose
/// imported token it may be.
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
    let access = access(app, token, now).await?;
    Ok(access.map_or(Introspected::Inactive, |access| Introspected::Access(Box::new(access))))
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
pub async fn revoke(app: &App, client: &Client, token: &str, now: Timestamp) -> Answer<Revoked> {
    if TokenKind::recognise(token) == Some(TokenKind::Refresh) {
        let found = families::by_refresh(&app.store, &Digest::of(token)).await?;
        let Some((_, family)) = found else { return Ok(Revoked::Done) };
        if family.client != client.id {
            return Ok(Revoked::NotYours);
        }
        end(app, &family, Action::TokenRevoked, now).await?;
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
    let Some(access) = access(app, token, now).await? else { return Ok(Revoked::Done) };
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
