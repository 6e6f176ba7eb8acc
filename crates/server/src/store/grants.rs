//! Grants: rows and their guarded transitions.

use countersign_core::account::SignIn;
use countersign_core::client::ClientId;
use countersign_core::grant::{
    Approval, Ask, Door, Grant, KeyAsk, Origin, PIN_TRIES, PairingAsk, State, TokensAsk, TokensOptions, Way,
};
use countersign_core::id::{AccountId, DeviceId, GrantId, NodeId};
use countersign_core::node::NodeFacts;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::value::parsed;
use super::{Result, Row, Stmt, Store, StoreError, Value, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, ask, client_id, name, scopes, options, address, user_agent, poll_interval, asked_at, expires_at, \
             opened_at, account_id, sign_in_at, amr, approved_at, denied_at, redeemed_at, device_id, pin_tries \
             FROM device_grant ",
            $rest
        )
    };
}

statements! {
    BY_DEVICE = select!("WHERE device_digest = ?1");
    BY_CODE = select!("WHERE code_mac = ?1 AND expires_at > ?2 AND approved_at IS NULL AND denied_at IS NULL");
    BY_ID = select!("WHERE id = ?1");
    INSERT = "INSERT INTO device_grant (id, device_digest, code_mac, ask, client_id, name, scopes, options, address, user_agent, \
              poll_interval, asked_at, expires_at, node_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    INSERT_APPROVED = "INSERT INTO device_grant (id, device_digest, ask, client_id, name, scopes, options, address, user_agent, \
                       poll_interval, asked_at, expires_at, opened_at, approved_at, account_id, sign_in_at, amr) \
                       VALUES (?1, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?3, ?3, ?14, ?15, ?16)";
    BY_PAIRING_CODE = select!("WHERE code_mac = ?1 AND ask = 'pairing'");
    BY_NODE = select!("WHERE node_id = ?1 AND code_mac IS NOT NULL");
    PAIRINGS = select!("WHERE ask = 'pairing' AND code_mac IS NOT NULL AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?1 \
               ORDER BY asked_at, id LIMIT ?2");
    END_PAIRING = "UPDATE device_grant SET expires_at = CASE WHEN expires_at > ?2 THEN ?2 ELSE expires_at END, code_mac = NULL \
                   WHERE id = ?1 AND node_id IS NOT NULL AND redeemed_at IS NULL";
    FREE_CODES = "UPDATE device_grant SET code_mac = NULL WHERE node_id IS NOT NULL AND code_mac IS NOT NULL AND expires_at <= ?1";
    APPROVE_FOR_NOBODY = "UPDATE device_grant SET approved_at = ?2, sign_in_at = ?2, amr = '', pin_tries = ?3 \
                          WHERE id = ?1 AND ask = 'pairing' AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?2";
    END_OLDER_REVERSE = "UPDATE device_grant SET denied_at = ?2 WHERE id IN (SELECT id FROM device_grant \
                         WHERE account_id = ?1 AND ask = 'reverse' AND denied_at IS NULL AND redeemed_at IS NULL AND expires_at > ?2 \
                         ORDER BY asked_at DESC, id DESC LIMIT 100 OFFSET ?3) \
                         AND denied_at IS NULL AND redeemed_at IS NULL";
    OPEN = "UPDATE device_grant SET opened_at = ?2, opened_by = ?3 WHERE id = ?1 AND opened_at IS NULL";
    OPENED_BY = "SELECT opened_by FROM device_grant WHERE id = ?1";
    APPROVE = "UPDATE device_grant SET approved_at = ?2, account_id = ?3, sign_in_at = ?4, amr = ?5, pin_tries = ?6, \
               code_mac = CASE WHEN ask = 'pairing' THEN code_mac ELSE NULL END \
               WHERE id = ?1 AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?2 \
               AND EXISTS (SELECT 1 FROM account WHERE account.id = ?3 AND account.disabled_at IS NULL /* FOR SHARE */)";
    DENY = "UPDATE device_grant SET denied_at = ?2, account_id = ?3, \
            code_mac = CASE WHEN ask = 'pairing' THEN code_mac ELSE NULL END \
            WHERE id = ?1 AND approved_at IS NULL AND denied_at IS NULL AND expires_at > ?2";
    UNDO = "UPDATE device_grant SET denied_at = ?2 \
            WHERE id = ?1 AND account_id = ?3 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    REDEEM = "UPDATE device_grant SET redeemed_at = ?2, device_id = ?3, code_mac = NULL \
              WHERE id = ?1 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL AND expires_at > ?2 \
              AND (account_id IS NULL OR EXISTS (SELECT 1 FROM account WHERE account.id = device_grant.account_id AND account.disabled_at IS NULL /* FOR SHARE */)) \
              AND (client_id IS NULL OR EXISTS (SELECT 1 FROM client WHERE client.id = device_grant.client_id /* FOR SHARE */))";
    RECENT = select!("WHERE account_id = ?1 AND approved_at > ?2 AND denied_at IS NULL AND ask <> 'reverse' \
             ORDER BY approved_at DESC LIMIT ?3");
    MADE_WITH = "UPDATE device_grant SET made_with = ?2 WHERE id = ?1";
    DENY_MADE_WITH = "UPDATE device_grant SET denied_at = ?2 WHERE made_with = ?1 AND denied_at IS NULL AND redeemed_at IS NULL";
    TRY_PIN = "UPDATE device_grant SET pin_tries = pin_tries + 1 \
               WHERE id = ?1 AND pin_tries < ?2 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    PIN_NOT_TRIED = "UPDATE device_grant SET pin_tries = pin_tries - 1 WHERE id = ?1 AND pin_tries > 0 AND redeemed_at IS NULL";
    PIN_FAILED = "UPDATE device_grant SET denied_at = ?2 \
                  WHERE id = ?1 AND pin_tries >= ?3 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    REVOKE_OF_ACCOUNT = "UPDATE device_grant SET denied_at = ?2 \
                         WHERE account_id = ?1 AND approved_at IS NOT NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    END_OF_CLIENT = "UPDATE device_grant SET denied_at = ?2, code_mac = NULL \
                     WHERE client_id = ?1 AND denied_at IS NULL AND redeemed_at IS NULL";
    LIVE_ONES = select!("WHERE expires_at > ?1 AND denied_at IS NULL AND redeemed_at IS NULL");
    END = "UPDATE device_grant SET denied_at = ?2, code_mac = NULL WHERE id = ?1 AND denied_at IS NULL AND redeemed_at IS NULL";
    LIVE = "SELECT COUNT(*) FROM device_grant WHERE expires_at > ?1 AND code_mac IS NOT NULL";
    TO_EXPIRE = "SELECT id, ask FROM device_grant WHERE expires_at <= ?1 AND expires_at > ?2 AND expired_at IS NULL \
                 AND denied_at IS NULL AND redeemed_at IS NULL LIMIT ?3";
    MARK_EXPIRED = "UPDATE device_grant SET expired_at = ?2, code_mac = NULL \
                    WHERE id = ?1 AND expired_at IS NULL AND denied_at IS NULL AND redeemed_at IS NULL";
    SWEEP_UNOPENED = "DELETE FROM device_grant WHERE id IN (SELECT id FROM device_grant \
                      WHERE expires_at <= ?1 AND opened_at IS NULL LIMIT ?2)";
    SWEEP = "DELETE FROM device_grant WHERE id IN (SELECT id FROM device_grant WHERE expires_at <= ?1 LIMIT ?2)";
}

/// What a grant asks for, as it stands in its row.
const TOKENS: &str = "tokens";
const KEY: &str = "key";
const REVERSE: &str = "reverse";
const PAIRING: &str = "pairing";

/// What a node says of itself, as it stands beside its name.
#[derive(Serialize, Deserialize)]
struct NodeOptions {
    node: String,
    kind: String,
    version: String,
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
    let kind: String = row.take()?;
    let client: Option<ClientId> = row.take()?;
    let name: Option<String> = row.take()?;
    let scopes = row.take()?;
    let options: String = row.take()?;
    let ask = match (kind.as_str(), client, name) {
        (TOKENS, Some(client), None) => {
            let options: TokensOptions =
                serde_json::from_str(&options).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ask::Tokens(TokensAsk { client, scopes, options })
        }
        (KEY, client, Some(name)) => Ask::Key(KeyAsk { way: Way::Forward, client, name, scopes }),
        (REVERSE, client, Some(name)) => Ask::Key(KeyAsk { way: Way::Reverse, client, name, scopes }),
        (PAIRING, None, Some(name)) => {
            let said: NodeOptions =
                serde_json::from_str(&options).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let facts = NodeFacts {
                node: parsed(&said.node)?,
                name,
                kind: parsed(&said.kind)?,
                version: said.version,
            };
            Ask::Pairing(PairingAsk { facts, scopes })
        }
        _ => return Err(StoreError::Corrupt(format!("grant {id:?}: it asks for `{kind}`"))),
    };
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
    let device: Option<DeviceId> = row.take()?;
    let pin_tries: Option<i64> = row.take()?;
    let pin_tries = pin_tries.map(|tries| u32::try_from(tries).unwrap_or(u32::MAX));

    let approval = match (approved_at, by, sign_in_at, amr) {
        (Some(_), None, _, _) if kind != PAIRING => {
            return Err(StoreError::Corrupt(format!("grant {id:?}: approved by nobody")));
        }
        (Some(at), by, Some(sign_in_at), Some(amr)) => {
            Some(Approval { by, at, sign_in: SignIn { at: sign_in_at, amr: amr_list(&amr) }, pin_tries })
        }
        (None, _, _, _) => None,
        (Some(_), _, _, _) => {
            return Err(StoreError::Corrupt(format!("grant {id:?}: approved by nobody known")));
        }
    };
    let state = match (approval, denied_at, redeemed_at, device) {
        (_, Some(at), None, _) => State::Denied { at },
        (None, None, None, None) => State::Pending,
        (Some(approval), None, None, None) => State::Approved(approval),
        (Some(approval), None, Some(at), Some(device)) => State::Redeemed { approval, at, device },
        _ => return Err(StoreError::Corrupt(format!("grant {id:?}: its times contradict each other"))),
    };
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

/// What is asked for and by whom, which stands in every new row.
fn question(grant: &Grant) -> Result<Vec<Value>> {
    let (kind, client, name, options) = match &grant.ask {
        Ask::Tokens(ask) => {
            let options = serde_json::to_string(&ask.options)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            (TOKENS, Some(&ask.client), None, options)
        }
        Ask::Key(ask) => {
            let kind = match ask.way {
                Way::Forward => KEY,
                Way::Reverse => REVERSE,
            };
            (kind, ask.client.as_ref(), Some(&ask.name), String::new())
        }
        Ask::Pairing(ask) => {
            let facts = &ask.facts;
            let said = NodeOptions {
                node: facts.node.to_string(),
                kind: facts.kind.to_string(),
                version: facts.version.clone(),
            };
            let said =
                serde_json::to_string(&said).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            (PAIRING, None, Some(&facts.name), said)
        }
    };
    Ok(vec![
        kind.into(),
        client.into(),
        name.into(),
        grant.scopes().into(),
        options.into(),
        (&grant.from.address).into(),
        grant.from.user_agent.as_deref().into(),
        grant.interval.into(),
        grant.asked_at.into(),
        grant.expires_at.into(),
    ])
}

/// A new question; without a code that people type if a browser carries it. A code that is taken makes it a
/// conflict.
pub fn insert(grant: &Grant, device: &Digest, code: Option<&Digest>) -> Result<Stmt> {
    let mut args: Vec<Value> = vec![grant.id.into(), device.into(), code.into()];
    args.extend(question(grant)?);
    args.push(match &grant.ask {
        Ask::Pairing(ask) => ask.facts.node.into(),
        Ask::Tokens(_) | Ask::Key(_) => Value::Null,
    });
    Ok(Stmt::one(INSERT, args))
}

/// A question that was answered before it was asked. A code that is taken makes it a conflict.
pub fn insert_approved(grant: &Grant, code: &Digest, approval: &Approval) -> Result<Stmt> {
    let mut args: Vec<Value> = vec![grant.id.into(), code.into(), approval.at.into()];
    args.extend(question(grant)?);
    args.extend([approval.by.into(), approval.sign_in.at.into(), amr_text(&approval.sign_in.amr).into()]);
    Ok(Stmt::one(INSERT_APPROVED, args))
}

/// The pairing with this code, whatever became of it, until it was collected or its time is over.
pub async fn by_pairing_code(store: &Store, mac: &Digest) -> Result<Option<Grant>> {
    one(store, BY_PAIRING_CODE, &[mac.into()]).await
}

/// The pairing that this node asked for last, until it was collected or its time is over.
pub async fn by_node(store: &Store, node: NodeId) -> Result<Option<Grant>> {
    one(store, BY_NODE, &[node.into()]).await
}

/// Pairings that wait for somebody, the oldest first.
pub async fn pairings(store: &Store, now: Timestamp, limit: u32) -> Result<Vec<Grant>> {
    store.rows(PAIRINGS, &[now.into(), limit.into()]).await?.into_iter().map(read).collect()
}

/// Ends the time of a pairing that nobody collected, and frees its code.
pub fn end_pairing(id: GrantId, now: Timestamp) -> Stmt {
    Stmt::any(END_PAIRING, vec![id.into(), now.into()])
}

/// Frees the codes of pairings whose time is over.
pub fn free_codes(now: Timestamp) -> Stmt {
    Stmt::any(FREE_CODES, vec![now.into()])
}

/// Approves a pairing in nobody's name; a conflict unless it is undecided.
pub fn approve_for_nobody(id: GrantId, pin_tries: Option<u32>, now: Timestamp) -> Stmt {
    Stmt::one(APPROVE_FOR_NOBODY, vec![id.into(), now.into(), pin_tries.map(i64::from).into()])
}

/// Leaves this person the newest `keep` reverse codes that can still be used.
pub fn end_older_reverse(account: AccountId, keep: u32, now: Timestamp) -> Stmt {
    Stmt::any(END_OLDER_REVERSE, vec![account.into(), now.into(), keep.into()])
}

/// Nothing happens to one that somebody opened before.
pub fn open(id: GrantId, by: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(OPEN, vec![id.into(), now.into(), by.into()])
}

/// Who entered its code first.
pub async fn opened_by(store: &Store, id: GrantId) -> Result<Option<AccountId>> {
    match store.row(OPENED_BY, &[id.into()]).await? {
        Some(mut row) => row.take(),
        None => Ok(None),
    }
}

/// Conflicts unless the grant is undecided and its person enabled.
pub fn approve(id: GrantId, approval: &Approval) -> Stmt {
    let args = vec![
        id.into(),
        approval.at.into(),
        approval.by.into(),
        approval.sign_in.at.into(),
        amr_text(&approval.sign_in.amr).into(),
        approval.pin_tries.map(i64::from).into(),
    ];
    Stmt::one(APPROVE, args)
}

/// `by` is nobody where an operator's token decides.
pub fn deny(id: GrantId, by: Option<AccountId>, now: Timestamp) -> Stmt {
    Stmt::one(DENY, vec![id.into(), now.into(), by.into()])
}

/// Takes back an approval that was not collected yet.
pub fn undo(id: GrantId, by: AccountId, now: Timestamp) -> Stmt {
    Stmt::one(UNDO, vec![id.into(), now.into(), by.into()])
}

/// Conflicts unless the grant is approved and unspent, and its person and client still allowed.
pub fn redeem(id: GrantId, device: DeviceId, now: Timestamp) -> Stmt {
    Stmt::one(REDEEM, vec![id.into(), now.into(), device.into()])
}

/// It was answered with that login.
pub fn made_with(id: GrantId, login: DeviceId) -> Stmt {
    Stmt::one(MADE_WITH, vec![id.into(), login.into()])
}

/// Denies for good what was answered with that login and not collected.
pub fn deny_made_with(login: DeviceId, now: Timestamp) -> Stmt {
    Stmt::any(DENY_MADE_WITH, vec![login.into(), now.into()])
}

/// Takes one of the tries for a PIN; a conflict if none is left.
pub fn try_pin(id: GrantId) -> Stmt {
    Stmt::one(TRY_PIN, vec![id.into(), i64::from(PIN_TRIES).into()])
}

/// Gives a try back that was no wrong one.
pub fn pin_not_tried(id: GrantId) -> Stmt {
    Stmt::any(PIN_NOT_TRIED, vec![id.into()])
}

/// Denies a grant for good whose tries are used up; a conflict unless they are.
pub fn pin_failed(id: GrantId, now: Timestamp) -> Stmt {
    Stmt::one(PIN_FAILED, vec![id.into(), now.into(), i64::from(PIN_TRIES).into()])
}

/// What this person approved since then and nobody took back, the newest first.
pub async fn recent(store: &Store, account: AccountId, since: Timestamp, limit: u32) -> Result<Vec<Grant>> {
    let rows = store.rows(RECENT, &[account.into(), since.into(), limit.into()]).await?;
    rows.into_iter().map(read).collect()
}

/// Denies for good what this person approved and no device collected.
pub fn revoke_of_account(account: AccountId, now: Timestamp) -> Stmt {
    Stmt::any(REVOKE_OF_ACCOUNT, vec![account.into(), now.into()])
}

pub fn end_of_client(client: &ClientId, now: Timestamp) -> Stmt {
    Stmt::any(END_OF_CLIENT, vec![client.into(), now.into()])
}

/// Everything that could still be approved or collected.
pub async fn live_ones(store: &Store, now: Timestamp) -> Result<Vec<Grant>> {
    store.rows(LIVE_ONES, &[now.into()]).await?.into_iter().map(read).collect()
}

/// Denies one for good, whether it was approved or not; a conflict if it ended before.
pub fn end(id: GrantId, now: Timestamp) -> Stmt {
    Stmt::one(END, vec![id.into(), now.into()])
}

/// How many codes could be entered now.
pub async fn live(store: &Store, now: Timestamp) -> Result<i64> {
    match store.row(LIVE, &[now.into()]).await? {
        Some(mut row) => row.take(),
        None => Ok(0),
    }
}

/// Up to `limit` grants that ran out between `since` and `now` and were not marked yet.
pub async fn to_expire(
    store: &Store,
    now: Timestamp,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<(GrantId, Door)>> {
    let rows = store.rows(TO_EXPIRE, &[now.into(), since.into(), limit.into()]).await?;
    let read = |mut row: Row| {
        let (id, kind): (_, String) = (row.take()?, row.take()?);
        Ok((id, door_of(&kind)))
    };
    rows.into_iter().map(read).collect()
}

/// At which door such a thing is asked.
pub(super) fn door_of(ask: &str) -> Door {
    match ask {
        TOKENS => Door::OAuth,
        PAIRING => Door::Socket,
        _ => Door::Cli,
    }
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
