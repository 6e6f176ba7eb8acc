//! Grants: rows and their guarded transitions.

use countersign_core::account::SignIn;
use countersign_core::client::ClientId;
use countersign_core::grant::{Approval, Ask, Grant, Origin, State, TokensAsk};
use countersign_core::id::{AccountId, FamilyId, GrantId};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Row, Stmt, Store, StoreError, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, client_id, scopes, options, address, user_agent, poll_interval, asked_at, expires_at, \
             opened_at, account_id, sign_in_at, amr, approved_at, denied_at, redeemed_at, family_id \
             FROM device_grant ",
            $rest
        )
    };
}

statements! {
    BY_DEVICE = select!("WHERE device_digest = ?1");
    BY_CODE = select!("WHERE code_mac = ?1 AND expires_at > ?2 AND approved_at IS NULL AND denied_at IS NULL");
    BY_ID = select!("WHERE id = ?1");
    INSERT = "INSERT INTO device_grant (id, device_digest, code_mac, client_id, scopes, options, address, user_agent, \
              poll_interval, asked_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    OPEN = "UPDATE device_grant SET opened_at = ?2 WHERE id = ?1 AND opened_at IS NULL";
    APPROVE = "UPDATE device_grant SET approved_at = ?2, account_id = ?3, sign_in_at = ?4, amr = ?5, code_mac = NULL \
               WHERE id = ?1 AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?2 \
               AND EXISTS (SELECT 1 FROM browser_session AS session JOIN account ON account.id = session.account_id \
               WHERE session.digest = ?6 AND session.expires_at > ?2 AND account.id = ?3 AND account.disabled_at IS NULL /* FOR SHARE */)";
    DENY = "UPDATE device_grant SET denied_at = ?2, account_id = ?3, code_mac = NULL \
            WHERE id = ?1 AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?2";
    UNDO = "UPDATE device_grant SET denied_at = ?2 \
            WHERE id = ?1 AND account_id = ?3 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    REDEEM = "UPDATE device_grant SET redeemed_at = ?2, family_id = ?3 \
              WHERE id = ?1 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL AND expires_at > ?2 \
              AND EXISTS (SELECT 1 FROM account WHERE account.id = device_grant.account_id AND account.disabled_at IS NULL /* FOR SHARE */) \
              AND EXISTS (SELECT 1 FROM client WHERE client.id = device_grant.client_id /* FOR SHARE */)";
    REVOKE_OF_ACCOUNT = "UPDATE device_grant SET denied_at = ?2 \
                         WHERE account_id = ?1 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    END_OF_CLIENT = "UPDATE device_grant SET denied_at = ?2, code_mac = NULL \
                     WHERE client_id = ?1 AND denied_at IS NULL AND redeemed_at IS NULL";
    LIVE = "SELECT COUNT(*) FROM device_grant WHERE expires_at > ?1 AND code_mac IS NOT NULL";
    TO_EXPIRE = "SELECT id FROM device_grant WHERE expires_at <= ?1 AND expires_at > ?2 AND expired_at IS NULL \
                 AND denied_at IS NULL AND redeemed_at IS NULL LIMIT ?3";
    MARK_EXPIRED = "UPDATE device_grant SET expired_at = ?2, code_mac = NULL \
                    WHERE id = ?1 AND expired_at IS NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    SWEEP_UNOPENED = "DELETE FROM device_grant WHERE id IN (SELECT id FROM device_grant \
                      WHERE expires_at <= ?1 AND opened_at IS NULL LIMIT ?2)";
    SWEEP = "DELETE FROM device_grant WHERE id IN (SELECT id FROM device_grant WHERE expires_at <= ?1 LIMIT ?2)";
}

/// The empty list of `amr` is the empty text.
pub(super) fn amr_text(amr: &[String]) -> String {
    amr.join(" ")
}

pub(super) fn amr_list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn read(mut row: Row) -> Result<Grant> {
    let id = row.take()?;
    let client = row.take()?;
    let scopes = row.take()?;
    let options: String = row.take()?;
    let options = serde_json::from_str(&options).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let from = Origin { address: row.take()?, user_agent: row.take()? };
    let interval = row.take()?;
    let asked_at = row.take()?;
    let expires_at = row.take()?;
    let opened_at = row.take()?;
    let by: Option<AccountId> = row.take()?;
    let sign_in_at: Option<Timestamp> = row.take()?;
    let amr: Option<String> = row.take()?;
    let approved_at: Option<Timestamp> = row.take()?;
    let denied_at: Option<Timestamp> = row.take()?;
    let redeemed_at: Option<Timestamp> = row.take()?;
    let family: Option<FamilyId> = row.take()?;

    let approval = match (approved_at, by, sign_in_at, amr) {
        (Some(at), Some(by), Some(sign_in_at), Some(amr)) => {
            Some(Approval { by, at, sign_in: SignIn { at: sign_in_at, amr: amr_list(&amr) } })
        }
        (None, _, _, _) => None,
        (Some(_), _, _, _) => return Err(StoreError::Corrupt(format!("grant {id:?}: approved by nobody"))),
    };
    let state = match (approval, denied_at, redeemed_at, family) {
        (_, Some(at), None, _) => State::Denied { at },
        (None, None, None, None) => State::Pending,
        (Some(approval), None, None, None) => State::Approved(approval),
        (Some(approval), None, Some(at), Some(family)) => State::Redeemed { approval, at, family },
        _ => return Err(StoreError::Corrupt(format!("grant {id:?}: its times contradict each other"))),
    };
    let ask = Ask::Tokens(TokensAsk { client, scopes, options });
    Ok(Grant { id, ask, from, asked_at, expires_at, interval, opened_at, state })
}

async fn one(store: &Store, sql: &'static str, args: &[Value]) -> Result<Option<Grant>> {
    store.row(sql, args).await?.map(read).transpose()
}

pub async fn by_device(store: &Store, digest: &Digest) -> Result<Option<Grant>> {
    one(store, BY_DEVICE, &[digest.into()]).await
}

/// The pending grant with this user code.
pub async fn by_code(store: &Store, mac: &Digest, now: Timestamp) -> Result<Option<Grant>> {
    one(store, BY_CODE, &[mac.into(), now.into()]).await
}

pub async fn by_id(store: &Store, id: GrantId) -> Result<Option<Grant>> {
    one(store, BY_ID, &[id.into()]).await
}

/// A new question. A code that is taken makes it a conflict.
pub fn insert(grant: &Grant, device: &Digest, code: &Digest) -> Result<Stmt> {
    let Ask::Tokens(ask) = &grant.ask;
    let options =
        serde_json::to_string(&ask.options).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Stmt::one(
        INSERT,
        vec![
            grant.id.into(),
            device.into(),
            code.into(),
            (&ask.client).into(),
            (&ask.scopes).into(),
            options.into(),
            (&grant.from.address).into(),
            grant.from.user_agent.as_deref().into(),
            grant.interval.into(),
            grant.asked_at.into(),
            grant.expires_at.into(),
        ],
    ))
}

/// Nothing happens to one that somebody opened before.
pub fn open(id: GrantId, now: Timestamp) -> Stmt {
    Stmt::any(OPEN, vec![id.into(), now.into()])
}

/// Conflicts unless the grant is undecided and the session in which it was approved still good.
pub fn approve(id: GrantId, approval: &Approval, session: &Digest) -> Stmt {
    let args = vec![
        id.into(),
        approval.at.into(),
        approval.by.into(),
        approval.sign_in.at.into(),
        amr_text(&approval.sign_in.amr).into(),
        session.into(),
    ];
    Stmt::one(APPROVE, args)
}

pub fn deny(id: GrantId, by: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(DENY, vec![id.into(), now.into(), by.into()])
}

/// Takes back an approval that was not collected yet.
pub fn undo(id: GrantId, by: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(UNDO, vec![id.into(), now.into(), by.into()])
}

/// Conflicts unless the grant is approved and unspent, and its person and client still allowed.
pub fn redeem(id: GrantId, family: FamilyId, now: Timestamp) -> Stmt {
    Stmt::one(REDEEM, vec![id.into(), now.into(), family.into()])
}

/// Denies for good what this person approved and no device collected.
pub fn revoke_of_account(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_OF_ACCOUNT, vec![account.into(), now.into()])
}

pub fn end_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(END_OF_CLIENT, vec![client.into(), now.into()])
}

/// How many codes could be entered now.
pub async fn live(store: &Store, now: Timestamp) -> Result<i64> {
    match store.row(LIVE, &[now.into()]).await? {
        Some(mut row) => row.take(),
        None => Ok(0),
    }
}

/// Up to `limit` grants that ran out between `since` and `now` and were not marked yet.
pub async fn to_expire(store: &Store, now: Timestamp, since: Timestamp, limit: u32) -> Result<Vec<GrantId>> {
    let rows = store.rows(TO_EXPIRE, &[now.into(), since.into(), limit.into()]).await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// Marks one as expired, which frees its code; a conflict if somebody did so before.
pub fn mark_expired(id: GrantId, now: Timestamp) -> Stmt {
    Stmt::one(MARK_EXPIRED, vec![id.into(), now.into()])
}

/// Deletes what ran out before `unopened` and nobody ever looked at, and the rest before `ended`.
pub fn sweep(unopened: Timestamp, ended: Timestamp, limit: u32) -> [Stmt; 2] {
    [
        Stmt::any(SWEEP_UNOPENED, vec![unopened.into(), limit.into()]),
        Stmt::any(SWEEP, vec![ended.into(), limit.into()]),
    ]
}
