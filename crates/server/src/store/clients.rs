//! Clients.

use countersign_core::client::{
    AuthMethod, Authentication, Client, ClientId, GrantType, OldSecret, SigningAlg, TokenFormat,
};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::search::within;
use super::value::parsed;
use super::{Result, Row, Stmt, Store, StoreError, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, secret_digest, auth_method, jwks, old_secret_digest, old_secret_until, scopes, grants, \
             resources, token_format, id_token_alg, code_ttl, poll_interval, policy, details, created_at, revision \
             FROM client ",
            $rest
        )
    };
}

statements! {
    BY_ID = select!("WHERE id = ?1");
    LIST = select!("ORDER BY id");
    PAGE = select!("WHERE (CAST(?1 AS TEXT) IS NULL OR id > ?1) AND (CAST(?2 AS TEXT) IS NULL OR lower(id) LIKE lower(?2) ESCAPE '!' OR lower(name) LIKE lower(?2) ESCAPE '!') ORDER BY id LIMIT ?3");
    INSERT = "INSERT INTO client (id, name, scopes, grants, resources, token_format, id_token_alg, code_ttl, \
              poll_interval, policy, details, jwks, secret_digest, auth_method, created_at, registration, revision) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1)";
    UPDATE = "UPDATE client SET name = ?2, scopes = ?3, grants = ?4, resources = ?5, token_format = ?6, \
              id_token_alg = ?7, code_ttl = ?8, poll_interval = ?9, policy = ?10, details = ?11, jwks = ?12, \
              revision = revision + 1 WHERE id = ?1 AND revision = ?13";
    ROTATE_SECRET = "UPDATE client SET secret_digest = ?2, old_secret_digest = ?3, old_secret_until = ?4, \
                     revision = revision + 1 WHERE id = ?1 AND revision = ?5 AND secret_digest IS NOT NULL";
    REMOVE = "DELETE FROM client WHERE id = ?1 AND revision = COALESCE(?2, revision)";
    FORGET_REGISTRATION = "UPDATE client SET registration = NULL WHERE id = ?1";
    REGISTRATION = "SELECT registration FROM client WHERE id = ?1";
}

fn read(mut row: Row) -> Result<Client> {
    let id: ClientId = row.take()?;
    let name = row.take()?;
    let secret: Option<Digest> = row.take()?;
    let method: Option<String> = row.take()?;
    let jwks: Option<String> = row.take()?;
    let (old, until): (Option<Digest>, Option<Timestamp>) = (row.take()?, row.take()?);
    let old = old.zip(until).map(|(digest, until)| OldSecret { digest, until });
    let only = method.as_deref().map(parsed::<AuthMethod>).transpose()?;
    let authentication = match (secret, only, jwks) {
        (Some(digest), only, None) => Authentication::Secret { digest, only, old },
        (None, Some(AuthMethod::Key), Some(jwks)) => Authentication::Keys { jwks },
        (None, None | Some(AuthMethod::None), None) => Authentication::Public,
        _ => return Err(StoreError::Corrupt(format!("client {id}: how it proves who it is"))),
    };
    let scopes = row.take()?;
    let grants: String = row.take()?;
    let resources: String = row.take()?;
    let token_format: String = row.take()?;
    let id_token_alg: String = row.take()?;
    Ok(Client {
        id,
        name,
        authentication,
        scopes,
        grants: grants.split_whitespace().map(parsed::<GrantType>).collect::<Result<_>>()?,
        resources: resources.split_whitespace().map(str::to_owned).collect(),
        token_format: parsed::<TokenFormat>(&token_format)?,
        id_token_alg: parsed::<SigningAlg>(&id_token_alg)?,
        code_ttl: row.take()?,
        interval: row.take()?,
        policy: from_json(&row.take::<String>()?)?,
        details: from_json(&row.take::<String>()?)?,
        created_at: row.take()?,
        revision: row.take()?,
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a client's settings: {error}")))
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// What an edit may change: everything but how the client proves who it is, unless it is by keys.
fn settings(client: &Client) -> Result<Vec<Value>> {
    let grants: Vec<&str> = client.grants.iter().map(|grant| grant.name()).collect();
    let jwks = match &client.authentication {
        Authentication::Keys { jwks } => Some(jwks),
        Authentication::Public | Authentication::Secret { .. } => None,
    };
    Ok(vec![
        (&client.id).into(),
        (&client.name).into(),
        (&client.scopes).into(),
        grants.join(" ").into(),
        client.resources.join(" ").into(),
        client.token_format.name().into(),
        client.id_token_alg.name().into(),
        client.code_ttl.into(),
        client.interval.into(),
        to_json(&client.policy)?.into(),
        to_json(&client.details)?.into(),
        jwks.into(),
    ])
}

pub async fn by_id(store: &Store, id: &ClientId) -> Result<Option<Client>> {
    store.row(BY_ID, &[id.into()]).await?.map(read).transpose()
}

pub async fn list(store: &Store) -> Result<Vec<Client>> {
    store.rows(LIST, &[]).await?.into_iter().map(read).collect()
}

/// Those after this one, by their ids.
pub async fn page(
    store: &Store,
    after: Option<&str>,
    words: Option<&str>,
    limit: u32,
) -> Result<Vec<Client>> {
    let args = [after.into(), words.map(within).into(), limit.into()];
    store.rows(PAGE, &args).await?.into_iter().map(read).collect()
}

/// Conflicts if the id is taken. `registration` is the digest of the token that it changes itself with.
pub fn insert(client: &Client, registration: Option<&Digest>) -> Result<Stmt> {
    let (secret, only) = match &client.authentication {
        Authentication::Public => (None, None),
        Authentication::Secret { digest, only, .. } => (Some(digest), *only),
        Authentication::Keys { .. } => (None, Some(AuthMethod::Key)),
    };
    let mut args = settings(client)?;
    args.extend([secret.into(), only.map(AuthMethod::name).into(), client.created_at.into()]);
    args.push(registration.into());
    Ok(Stmt::one(INSERT, args))
}

/// Conflicts if it changed since it was read.
pub fn update(client: &Client) -> Result<Stmt> {
    let mut args = settings(client)?;
    args.push(client.revision.into());
    Ok(Stmt::one(UPDATE, args))
}

/// Conflicts unless there is such a client, as it was read, and it has a secret.
pub fn rotate_secret(client: &Client, secret: &Digest, old: Option<OldSecret>) -> Stmt {
    let args = vec![
        (&client.id).into(),
        secret.into(),
        old.map(|old| old.digest).into(),
        old.map(|old| old.until).into(),
        client.revision.into(),
    ];
    Stmt::one(ROTATE_SECRET, args)
}

/// With `seen`, only if nobody changed it since.
pub fn remove(id: &ClientId, seen: Option<u32>) -> Stmt {
    Stmt::one(REMOVE, vec![id.into(), seen.map(i64::from).into()])
}

/// It does not change itself any more.
pub fn forget_registration(id: &ClientId) -> Stmt {
    Stmt::any(FORGET_REGISTRATION, vec![id.into()])
}

/// What shows that a client changes itself, if it registered itself.
pub async fn registration(store: &Store, id: &ClientId) -> Result<Option<Digest>> {
    match store.row(REGISTRATION, &[id.into()]).await? {
        Some(mut row) => row.take(),
        None => Ok(None),
    }
}
