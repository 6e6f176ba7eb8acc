//! Step 6: tokens are issued and refreshed.

use std::time::Duration;

use countersign_core::account::{Account, SignIn};
use countersign_core::audit::Action;
use countersign_core::client::{Client, GrantType, SigningAlg, TokenFormat};
use countersign_core::family::{Family, Refresh, judge_refresh};
use countersign_core::grant::{Origin, Thumbprint};
use countersign_core::id::TokenId;
use countersign_core::scope::{DEVICES, Scopes};
use countersign_core::secret::{Digest, Plain, TokenKind};
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::instrument;

use crate::app::{Answer, App};
use crate::dpop::{Proof, Unproven};
use crate::flow::{devices, policy};
use crate::store::families::{AccessFacts, Whose};
use crate::store::{Committed, Stmt, accounts, audit, families};
use crate::telemetry::trace::TRACE;

/// The `typ` of access tokens (RFC 9068 §2.1) and ID tokens.
pub(super) const ACCESS_TYP: &str = "at+jwt";
pub(super) const ID_TYP: &str = "JWT";

#[derive(Debug)]
pub struct TokenSet {
    pub access: Plain,
    pub expires_in: Duration,
    pub refresh: Option<Plain>,
    pub id_token: Option<Plain>,
    pub scopes: Scopes,
    /// Whether they are bound to a key.
    pub bound: bool,
}

/// What to issue.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    pub client: &'a Client,
    pub family: &'a Family,
    /// Whose it is, where that was read already.
    pub owner: Option<&'a Account>,
    pub scopes: &'a Scopes,
    /// Narrower than the family's, or empty for all of them.
    pub resources: &'a [String],
    /// The refresh token that was spent for this.
    pub parent: Option<&'a Digest>,
    pub nonce: Option<&'a str>,
    /// The key that was shown: access tokens are bound to it, and to the family's without one.
    pub key: Option<&'a Thumbprint>,
}

/// RFC 9068 §2.2.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AccessClaims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub client_id: ClientIdText,
    pub scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    /// The family: what is revoked as one. A client's own tokens have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The key that it is bound to (RFC 9449 §6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Confirmation {
    pub jkt: Thumbprint,
}

type ClientIdText = String;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub fn list(self) -> Vec<String> {
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
    #[serde(flatten)]
    about: Map<String, Value>,
}

/// What a login with these scopes may know of its owner (OIDC Core §5.1), in ID tokens and at the userinfo.
pub fn about(owner: &Account, scopes: &Scopes) -> Map<String, Value> {
    let mut claims = Map::new();
    if scopes.contains("profile") {
        claims.insert("preferred_username".to_owned(), json!(owner.name.as_str()));
        claims.extend(owner.full_name.clone().map(|name| ("name".to_owned(), json!(name))));
    }
    if let Some(email) = owner.email.as_deref().filter(|_| scopes.contains("email")) {
        claims.insert("email".to_owned(), json!(email));
        // Whoever added the user typed it; nobody was asked.
        claims.insert("email_verified".to_owned(), json!(false));
    }
    claims
}

/// Makes the tokens and the statements that remember them. Nothing is committed here.
#[instrument(target = TRACE, name = "tokens.issue", skip_all)]
pub async fn issue(app: &App, what: Issue<'_>, now: Timestamp) -> Answer<(TokenSet, Vec<Stmt>)> {
    let Issue { client, family, owner, scopes, resources, parent, nonce, key } = what;
    let mut batch = Vec::new();
    let lifetimes = client.lifetimes(app.config.lifetimes);
    let expires_at = family.expires_at.min(now + lifetimes.access);
    let wanted = if resources.is_empty() { &family.resources } else { resources };
    let facts = AccessFacts {
        id: TokenId::new(now, app.entropy.id()?),
        of: Whose::Login(family.id),
        scopes: scopes.clone(),
        audience: audience(app, wanted),
        jkt: key.or(family.jkt.as_ref()).cloned(),
        issued_at: now,
        expires_at,
    };
    let subject = (family.account.to_string(), Some(&family.sign_in));
    let access = access_token(app, client, &facts, subject, &mut batch).await?;
    let refresh = if client.may_use(GrantType::RefreshToken) {
        let token = TokenKind::Refresh.mint(&app.entropy.bytes()?);
        let until = lifetimes.refresh_expiry(family.expires_at, now);
        batch.push(families::issue(&token.digest(), family.id, parent, now, until));
        Some(token)
    } else {
        None
    };
    let id_token = if scopes.contains("openid") {
        let told = scopes.contains("profile") || scopes.contains("email");
        let about = match owner {
            Some(owner) => about(owner, scopes),
            None if !told => Map::new(),
            None => {
                let owner = accounts::by_id(&app.store, family.account).await?;
                owner.map_or_else(Map::new, |owner| about(&owner, scopes))
            }
        };
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
            about,
        };
        Some(Plain::new(sign(app, client.id_token_alg, ID_TYP, &claims, now).await?))
    } else {
        None
    };
    debug_assert!(resources.iter().all(|resource| family.resources.contains(resource)));
    let (expires_in, bound) = (expires_at.since(now), facts.jkt.is_some());
    let set = TokenSet { access, expires_in, refresh, id_token, scopes: scopes.clone(), bound };
    Ok((set, batch))
}

fn audience(app: &App, resources: &[String]) -> Vec<String> {
    if resources.is_empty() { vec![app.public_url.issuer().to_owned()] } else { resources.to_vec() }
}

/// The token itself; what must be remembered of it goes into `batch`. `subject` is in whose name it
/// speaks, and how they signed in.
async fn access_token(
    app: &App,
    client: &Client,
    facts: &AccessFacts,
    (subject, sign_in): (String, Option<&SignIn>),
    batch: &mut Vec<Stmt>,
) -> Answer<Plain> {
    match client.token_format {
        TokenFormat::Opaque => {
            let token = TokenKind::Access.mint(&app.entropy.bytes()?);
            batch.push(families::issue_access(&token.digest(), facts));
            Ok(token)
        }
        TokenFormat::Jwt => {
            let aud = match <[String; 1]>::try_from(facts.audience.clone()) {
                Ok([one]) => Audience::One(one),
                Err(many) => Audience::Many(many),
            };
            let claims = AccessClaims {
                iss: app.public_url.issuer().to_owned(),
                sub: subject,
                aud,
                exp: facts.expires_at.secs(),
                iat: facts.issued_at.secs(),
                jti: facts.id.to_string(),
                client_id: client.id.to_string(),
                scope: facts.scopes.to_string(),
                auth_time: sign_in.map(|sign_in| sign_in.at.secs()),
                amr: sign_in.map_or_else(Vec::new, |sign_in| sign_in.amr.clone()),
                sid: match &facts.of {
                    Whose::Login(family) => Some(family.to_string()),
                    Whose::Client(_) => None,
                },
                cnf: facts.jkt.clone().map(|jkt| Confirmation { jkt }),
            };
            let alg = app.config.signing_alg;
            Ok(Plain::new(sign(app, alg, ACCESS_TYP, &claims, facts.issued_at).await?))
        }
    }
}

/// An access token of a client's own (RFC 6749 §4.4). The client was found to be who it says.
#[instrument(target = TRACE, name = "tokens.for_itself", skip_all)]
pub async fn for_itself(
    app: &App,
    client: &Client,
    scopes: Option<Scopes>,
    resources: &[String],
    key: Option<Thumbprint>,
    from: &Origin,
    now: Timestamp,
) -> Answer<Result<TokenSet, Unfit>> {
    let scopes = scopes.unwrap_or_default();
    if let Some(scope) = client.scope_refused(&scopes).or_else(|| scopes.first_inside(&PERSONAL)) {
        return Ok(Err(Unfit::Scope(scope.to_owned())));
    }
    if let Some(other) = resources.iter().find(|resource| !client.may_target(resource)) {
        return Ok(Err(Unfit::Target(other.clone())));
    }
    let expires_in = client.lifetimes(app.config.lifetimes).access;
    let facts = AccessFacts {
        // Never before that, where another server's clock is ahead.
        id: TokenId::new(now.max(client.own_tokens_since()), app.entropy.id()?),
        of: Whose::Client(client.id.clone()),
        scopes: policy::of(app, Some(client)).capped(&scopes),
        audience: audience(app, resources),
        jkt: key,
        issued_at: now,
        expires_at: now + expires_in,
    };
    let mut event = app.event(now, Action::TokenIssued)?;
    event.client = Some(client.id.clone());
    event.address = Some(from.address.clone());
    event.detail = Some("client_credentials".to_owned());
    let mut batch = vec![audit::insert(event)];
    let access = access_token(app, client, &facts, (client.id.to_string(), None), &mut batch).await?;
    let _issued: Committed = app.store.commit(batch).await?;
    let bound = facts.jkt.is_some();
    Ok(Ok(TokenSet { access, expires_in, refresh: None, id_token: None, scopes: facts.scopes, bound }))
}

/// Scopes that say something of a person; a client has none of these by itself.
const PERSONAL: [&str; 5] = ["openid", "profile", "email", "offline_access", DEVICES];

/// What was asked for and may not be had.
#[derive(Debug)]
pub enum Unfit {
    Scope(String),
    Target(String),
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
    Unproven(Unproven),
}

#[instrument(target = TRACE, name = "tokens.refresh", skip_all)]
pub async fn refresh(
    app: &App,
    client: &Client,
    token: &str,
    scopes: Option<Scopes>,
    resources: &[String],
    proof: &mut Proof,
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
        let bound = (family.jkt.as_ref(), client.details.dpop_bound);
        let key = match proof.expect(app, bound.0, bound.1, now).await? {
            Ok(key) => key,
            Err(why) => return Ok(Refreshed::Unproven(why)),
        };
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
        let (family, parent, key) = (&family, Some(&digest), key.as_ref());
        let issue_it = Issue { client, family, owner: None, scopes, resources, parent, nonce: None, key };
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

pub(super) async fn end(app: &App, family: &Family, action: Action, now: Timestamp) -> Answer<()> {
    let mut event = app.event(now, action)?;
    event.account = Some(family.account);
    event.client = Some(family.client.clone());
    event.device = Some(family.id);
    let mut batch = vec![families::end_live(family.id, now), audit::insert(event)];
    if action == Action::TokenReused {
        // Somebody else has a copy, and may have made things with it.
        batch.extend(devices::offspring(family.id, now));
    }
    // A conflict: it ended before, and that was written down then.
    let _ended: Committed = app.store.commit(batch).await?;
    Ok(())
}
