//! Clients.

use countersign_core::client::{
    AuthMethod, Authentication, Client, ClientId, GrantType, SigningAlg, TokenFormat,
};
use countersign_core::policy::Exceptions;
use countersign_core::secret::Digest;

use super::value::parsed;
use super::{Result, Row, Stmt, Store, StoreError, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, secret_digest, auth_method, scopes, grants, resources, token_format, id_token_alg, \
             code_ttl, poll_interval, policy, created_at FROM client ",
            $rest
        )
    };
}

statements! {
    BY_ID = select!("WHERE id = ?1");
    LIST = select!("ORDER BY id");
    INSERT = "INSERT INTO client (id, name, scopes, grants, resources, token_format, id_token_alg, code_ttl, \
              poll_interval, policy, secret_digest, auth_method, created_at) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    UPDATE = "UPDATE client SET name = ?2, scopes = ?3, grants = ?4, resources = ?5, token_format = ?6, \
              id_token_alg = ?7, code_ttl = ?8, poll_interval = ?9, policy = ?10 WHERE id = ?1";
    ROTATE_SECRET = "UPDATE client SET secret_digest = ?2 WHERE id = ?1 AND secret_digest IS NOT NULL";
    REMOVE = "DELETE FROM client WHERE id = ?1";
}

fn read(mut row: Row) -> Result<Client> {
    let id: ClientId = row.take()?;
    let name = row.take()?;
    let secret: Option<Digest> = row.take()?;
    let method: Option<String> = row.take()?;
    let only = method.as_deref().map(parsed::<AuthMethod>).transpose()?;
    let authentication = match (secret, only) {
        (Some(digest), only) => Authentication::Secret { digest, only },
        (None, None | Some(AuthMethod::None)) => Authentication::Public,
        (None, Some(AuthMethod::Basic | AuthMethod::Post)) => {
            return Err(StoreError::Corrupt(format!("client {id}: a method without a secret")));
        }
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
        policy: policy(&row.take::<String>()?)?,
        created_at: row.take()?,
    })
}

fn policy(text: &str) -> Result<Exceptions> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a client's policy: {error}")))
}

/// What an edit may change: everything but how the client proves who it is.
fn settings(client: &Client) -> Result<Vec<Value>> {
    let grants: Vec<&str> = client.grants.iter().map(|grant| grant.name()).collect();
    let policy =
        serde_json::to_string(&client.policy).map_err(|error| StoreError::Corrupt(error.to_string()))?;
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
        policy.into(),
    ])
}

pub async fn by_id(store: &Store, id: &ClientId) -> Result<Option<Client>> {
    store.row(BY_ID, &[id.into()]).await?.map(read).transpose()
}

pub async fn list(store: &Store) -> Result<Vec<Client>> {
    store.rows(LIST, &[]).await?.into_iter().map(read).collect()
}

/// Conflicts if the id is taken.
pub fn insert(client: &Client) -> Result<Stmt> {
    let (secret, only) = match &client.authentication {
        Authentication::Public => (None, None),
        Authentication::Secret { digest, only } => (Some(digest), only.map(AuthMethod::name)),
    };
    let mut args = settings(client)?;
    args.extend([secret.into(), only.into(), client.created_at.into()]);
    Ok(Stmt::one(INSERT, args))
}

pub fn update(client: &Client) -> Result<Stmt> {
    Ok(Stmt::one(UPDATE, settings(client)?))
}

/// Conflicts unless there is such a client and it has a secret.
pub fn rotate_secret(id: &ClientId, secret: &Digest) -> Stmt {
    Stmt::one(ROTATE_SECRET, vec![id.into(), secret.into()])
}

pub fn remove(id: &ClientId) -> Stmt {
    Stmt::one(REMOVE, vec![id.into()])
}
