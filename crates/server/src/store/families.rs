//! Token families, refresh tokens, opaque access tokens.

use countersign_core::account::{Account, SignIn, Username};
use countersign_core::client::ClientId;
use countersign_core::family::{Family, RefreshToken};
use countersign_core::grant::{Origin, Thumbprint};
use countersign_core::id::{AccountId, DeviceId, TokenId};
use countersign_core::scope::Scopes;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::accounts::{self, account_columns};
use super::grants::{amr_list, amr_text};
use super::search::Search;
use super::value::parsed;
use super::{Result, Row, Stmt, Store, StoreError, Value, statements};

macro_rules! select {
    ($($rest:expr),*) => {
        concat!(
            "SELECT f.id, f.account_id, f.client_id, f.grant_id, f.scopes, f.resources, f.nonce, f.sign_in_at, f.amr, \
             f.address, f.user_agent, f.created_at, f.last_used, f.expires_at, f.ended_at, f.jkt",
            $($rest),*
        )
    };
}

statements! {
    LIVE = select!(", ", account_columns!(), " FROM token_family AS f JOIN account ON account.id = f.account_id JOIN client ON client.id = f.client_id \
           WHERE f.id = ?1 AND f.ended_at IS NULL AND account.disabled_at IS NULL \
           AND NOT EXISTS (SELECT 1 FROM revoked_token WHERE revoked_token.id = ?2)");
    BY_REFRESH = select!(", t.expires_at, t.spent_at, \
                 (SELECT COUNT(*) FROM refresh_token AS s WHERE s.parent = t.digest AND s.spent_at IS NOT NULL) + \
                 (SELECT COUNT(*) FROM refresh_token AS twin JOIN refresh_token AS s ON s.parent = twin.digest \
                  WHERE twin.parent = t.parent AND twin.digest <> t.digest) \
                 FROM refresh_token AS t JOIN token_family AS f ON f.id = t.family_id \
                 JOIN account ON account.id = f.account_id \
                 WHERE t.digest = ?1 AND account.disabled_at IS NULL");
    OF_ACCOUNT = select!(", account.name, client.name FROM token_family AS f JOIN account ON account.id = f.account_id \
                 LEFT JOIN client ON client.id = f.client_id WHERE f.account_id = ?1 ORDER BY f.created_at DESC, f.id DESC");
    ALL = select!(", account.name, client.name FROM token_family AS f JOIN account ON account.id = f.account_id \
          LEFT JOIN client ON client.id = f.client_id ORDER BY f.created_at DESC, f.id DESC");
    PAGE = select!(", account.name, client.name FROM token_family AS f JOIN account ON account.id = f.account_id \
           LEFT JOIN client ON client.id = f.client_id \
           WHERE (CAST(?1 AS BYTEA) IS NULL OR f.id < ?1) AND (CAST(?2 AS TEXT) IS NULL OR account.name = ?2) \
           AND (CAST(?3 AS TEXT) IS NULL OR f.client_id = ?3) AND (CAST(?4 AS TEXT) IS NULL OR f.address = ?4) \
           AND (CAST(?5 AS TEXT) IS NULL OR lower(COALESCE(client.name, f.client_id)) LIKE lower(?5) ESCAPE '!') \
           AND (CAST(?6 AS BIGINT) IS NULL OR (f.ended_at IS NULL AND f.expires_at > ?6)) ORDER BY f.id DESC LIMIT ?7");
    INSERT = "INSERT INTO token_family (id, account_id, client_id, grant_id, scopes, resources, nonce, sign_in_at, amr, \
              address, user_agent, created_at, last_used, expires_at, jkt) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    USED = "UPDATE token_family SET last_used = ?2 WHERE id = ?1 AND ended_at IS NULL AND EXISTS \
            (SELECT 1 FROM account WHERE account.id = token_family.account_id AND account.disabled_at IS NULL)";
    END = "UPDATE token_family SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
    END_OWN = "UPDATE token_family SET ended_at = ?3 WHERE id = ?1 AND account_id = ?2 AND ended_at IS NULL";
    END_OF_ACCOUNT = "UPDATE token_family SET ended_at = ?2 WHERE account_id = ?1 AND ended_at IS NULL";
    END_ADMIN = "UPDATE token_family SET ended_at = ?2 WHERE account_id = ?1 AND ended_at IS NULL AND ' ' || scopes || ' ' LIKE '% admin %'";
    END_ADMIN_OF_CLIENT = "UPDATE token_family SET ended_at = ?2 WHERE client_id = ?1 AND ended_at IS NULL AND ' ' || scopes || ' ' LIKE '% admin %'";
    END_OF_CLIENT = "UPDATE token_family SET ended_at = ?2 WHERE client_id = ?1 AND ended_at IS NULL";
    ISSUE = "INSERT INTO refresh_token (digest, family_id, parent, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    SPEND = "UPDATE refresh_token SET spent_at = ?2 WHERE digest = ?1 AND spent_at IS NULL AND expires_at > ?2";
    SPEND_SIBLINGS = "UPDATE refresh_token SET spent_at = ?2 WHERE spent_at IS NULL AND parent = \
                      (SELECT own.parent FROM refresh_token AS own WHERE own.digest = ?1)";
    UNSPENT_CHILDREN = "UPDATE refresh_token SET parent = parent WHERE digest = ?1 AND spent_at IS NOT NULL AND NOT EXISTS \
                        (SELECT 1 FROM refresh_token AS child WHERE child.parent = ?1 AND child.spent_at IS NOT NULL) AND NOT EXISTS \
                        (SELECT 1 FROM refresh_token AS twin JOIN refresh_token AS child ON child.parent = twin.digest \
                         WHERE twin.parent = refresh_token.parent AND twin.digest <> ?1)";
    ISSUE_ACCESS = "INSERT INTO access_token (digest, id, family_id, client_id, scopes, audience, jkt, issued_at, expires_at) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    ACCESS = "SELECT id, family_id, client_id, scopes, audience, jkt, issued_at, expires_at FROM access_token WHERE digest = ?1";
    IS_REVOKED = "SELECT COUNT(*) FROM revoked_token WHERE id = ?1";
    REVOKE_ACCESS = "INSERT INTO revoked_token (id, expires_at) VALUES (?1, ?2)";
    SWEEP_REFRESH = "DELETE FROM refresh_token WHERE digest IN (SELECT digest FROM refresh_token WHERE expires_at <= ?1 LIMIT ?2)";
    SWEEP_ACCESS = "DELETE FROM access_token WHERE digest IN (SELECT digest FROM access_token WHERE expires_at <= ?1 LIMIT ?2)";
    SWEEP_REVOKED = "DELETE FROM revoked_token WHERE id IN (SELECT id FROM revoked_token WHERE expires_at <= ?1 LIMIT ?2)";
    SWEEP = "DELETE FROM token_family WHERE id IN (SELECT id FROM token_family \
             WHERE expires_at <= ?1 OR ended_at <= ?1 LIMIT ?2)";
    REMOVE_OF_ACCOUNT = "DELETE FROM token_family WHERE account_id = ?1";
}

fn read(row: &mut Row) -> Result<Family> {
    let id = row.take()?;
    let account = row.take()?;
    let client = row.take()?;
    let grant = row.take()?;
    let scopes = row.take()?;
    let resources: String = row.take()?;
    let nonce = row.take()?;
    let at = row.take()?;
    let amr: String = row.take()?;
    Ok(Family {
        id,
        account,
        client,
        grant,
        scopes,
        resources: resources.split_whitespace().map(str::to_owned).collect(),
        nonce,
        sign_in: SignIn { at, amr: amr_list(&amr) },
        from: Origin { address: row.take()?, user_agent: row.take()? },
        created_at: row.take()?,
        last_used: row.take()?,
        expires_at: row.take()?,
        ended_at: row.take()?,
        jkt: thumbprint(row)?,
    })
}

fn thumbprint(row: &mut Row) -> Result<Option<Thumbprint>> {
    row.take::<Option<String>>()?.map(|text| parsed(&text)).transpose()
}

/// The family of an access token, unless it ended, its owner was disabled, its client removed, or
/// this very token revoked.
pub async fn live(store: &Store, id: DeviceId, token: TokenId) -> Result<Option<(Family, Account)>> {
    let Some(mut row) = store.row(LIVE, &[id.into(), token.into()]).await? else { return Ok(None) };
    Ok(Some((read(&mut row)?, accounts::read(&mut row)?)))
}

/// A refresh token of an enabled account, with its family, whatever state both are in.
pub async fn by_refresh(store: &Store, digest: &Digest) -> Result<Option<(RefreshToken, Family)>> {
    let Some(mut row) = store.row(BY_REFRESH, &[digest.into()]).await? else { return Ok(None) };
    let family = read(&mut row)?;
    let token = RefreshToken {
        family: family.id,
        expires_at: row.take()?,
        spent_at: row.take()?,
        successor_spent: row.take::<i64>()? > 0,
    };
    Ok(Some((token, family)))
}

/// A family as it stands in the inventory.
#[derive(Clone, Debug)]
pub struct Listed {
    pub family: Family,
    pub user: Username,
    /// The client's name, or its id once it was removed.
    pub client_name: String,
}

fn listed(mut row: Row) -> Result<Listed> {
    let family = read(&mut row)?;
    let user = row.take()?;
    let client_name: Option<String> = row.take()?;
    let client_name = client_name.unwrap_or_else(|| family.client.to_string());
    Ok(Listed { family, user, client_name })
}

pub async fn of_account(store: &Store, account: AccountId) -> Result<Vec<Listed>> {
    store.rows(OF_ACCOUNT, &[account.into()]).await?.into_iter().map(listed).collect()
}

/// Those that somebody looks for.
pub async fn page(store: &Store, search: &Search, limit: u32) -> Result<Vec<Listed>> {
    store.rows(PAGE, &search.args(limit)).await?.into_iter().map(listed).collect()
}

pub async fn all(store: &Store) -> Result<Vec<Listed>> {
    store.rows(ALL, &[]).await?.into_iter().map(listed).collect()
}

pub fn insert(family: &Family) -> Stmt {
    Stmt::one(
        INSERT,
        vec![
            family.id.into(),
            family.account.into(),
            (&family.client).into(),
            family.grant.into(),
            (&family.scopes).into(),
            family.resources.join(" ").into(),
            family.nonce.as_deref().into(),
            family.sign_in.at.into(),
            amr_text(&family.sign_in.amr).into(),
            (&family.from.address).into(),
            family.from.user_agent.as_deref().into(),
            family.created_at.into(),
            family.last_used.into(),
            family.expires_at.into(),
            family.jkt.as_ref().map(Thumbprint::as_str).into(),
        ],
    )
}

/// Conflicts if the family ended or its owner was disabled meanwhile.
pub fn used(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(USED, vec![id.into(), now.into()])
}

/// Ends a live family; a conflict for any other.
pub fn end_live(id: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(END, vec![id.into(), now.into()])
}

/// Ends a live family of this person's; a conflict for any other.
pub fn end_own(id: DeviceId, account: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(END_OWN, vec![id.into(), account.into(), now.into()])
}

pub fn end_of_account(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(END_OF_ACCOUNT, vec![account.into(), now.into()])
}

/// Those that may administer.
pub fn end_admin(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(END_ADMIN, vec![account.into(), now.into()])
}

/// Logins with this client that administer.
pub fn end_admin_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(END_ADMIN_OF_CLIENT, vec![client.into(), now.into()])
}

pub fn end_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(END_OF_CLIENT, vec![client.into(), now.into()])
}

pub fn remove_of_account(account: AccountId) -> Stmt {
    Stmt::any(REMOVE_OF_ACCOUNT, vec![account.into()])
}

pub fn issue(
    digest: &Digest,
    family: DeviceId,
    parent: Option<&Digest>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Stmt {
    Stmt::one(ISSUE, vec![digest.into(), family.into(), parent.into(), now.into(), expires_at.into()])
}

/// Spends a token and, with it, the twins that a repeated request got; a conflict if it was spent.
pub fn spend(digest: &Digest, now: Timestamp) -> [Stmt; 2] {
    [
        Stmt::one(SPEND, vec![digest.into(), now.into()]),
        Stmt::any(SPEND_SIBLINGS, vec![digest.into(), now.into()]),
    ]
}

/// Conflicts unless the token was spent, none of its successors was, and no twin of it was used.
pub fn successors_unspent(digest: &Digest) -> Stmt {
    Stmt::one(UNSPENT_CHILDREN, vec![digest.into()])
}

/// What an access token says of itself, whichever its format.
#[derive(Clone, Debug)]
pub struct AccessFacts {
    pub id: TokenId,
    pub of: Whose,
    pub scopes: Scopes,
    pub audience: Vec<String>,
    /// The key that it is bound to.
    pub jkt: Option<Thumbprint>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// In whose name an access token speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A person's, by the login of one of their devices.
    Login(DeviceId),
    /// The client's own.
    Client(ClientId),
}

pub fn issue_access(digest: &Digest, token: &AccessFacts) -> Stmt {
    let (family, client) = match &token.of {
        Whose::Login(family) => (Some(*family), None),
        Whose::Client(client) => (None, Some(client)),
    };
    let args: Vec<Value> = vec![
        digest.into(),
        token.id.into(),
        family.into(),
        client.into(),
        (&token.scopes).into(),
        token.audience.join(" ").into(),
        token.jkt.as_ref().map(Thumbprint::as_str).into(),
        token.issued_at.into(),
        token.expires_at.into(),
    ];
    Stmt::one(ISSUE_ACCESS, args)
}

pub async fn access(store: &Store, digest: &Digest) -> Result<Option<AccessFacts>> {
    let Some(mut row) = store.row(ACCESS, &[digest.into()]).await? else { return Ok(None) };
    let id = row.take()?;
    let (family, client): (Option<DeviceId>, Option<ClientId>) = (row.take()?, row.take()?);
    let of = match (family, client) {
        (Some(family), None) => Whose::Login(family),
        (None, Some(client)) => Whose::Client(client),
        _ => return Err(StoreError::Corrupt("an access token is nobody's".to_owned())),
    };
    let scopes = row.take()?;
    let audience: String = row.take()?;
    let audience = audience.split_whitespace().map(str::to_owned).collect();
    let jkt = thumbprint(&mut row)?;
    Ok(Some(AccessFacts { id, of, scopes, audience, jkt, issued_at: row.take()?, expires_at: row.take()? }))
}

/// Whether this very token was revoked.
pub async fn is_revoked(store: &Store, id: TokenId) -> Result<bool> {
    let row = store.row(IS_REVOKED, &[id.into()]).await?;
    Ok(row.map(|mut row| row.take::<i64>()).transpose()?.unwrap_or(0) > 0)
}

/// Conflicts if it was revoked before.
pub fn revoke_access(id: TokenId, expires_at: Timestamp) -> Stmt {
    Stmt::one(REVOKE_ACCESS, vec![id.into(), expires_at.into()])
}

/// Bounded deletions of tokens past their time and of families that ended before `before`.
pub fn sweep(now: Timestamp, before: Timestamp, limit: u32) -> [Stmt; 4] {
    let until = |sql, at: Timestamp| Stmt::any(sql, vec![at.into(), limit.into()]);
    [until(SWEEP_REFRESH, now), until(SWEEP_ACCESS, now), until(SWEEP_REVOKED, now), until(SWEEP, before)]
}
