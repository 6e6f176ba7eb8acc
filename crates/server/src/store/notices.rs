//! Notices that are on their way, and the links in them.

use countersign_core::id::{AccountId, DeviceId, NoticeId};
use countersign_core::time::Timestamp;

use super::{Result, Row, Stmt, Store, statements};

statements! {
    INSERT = "INSERT INTO outbox (id, kind, target, body, created_at, next_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0)";
    DUE = "SELECT id, body, next_at, attempts FROM outbox WHERE kind = ?1 AND target = ?2 AND next_at <= ?3 AND failed_at IS NULL ORDER BY next_at LIMIT ?4";
    CLAIM = "UPDATE outbox SET next_at = ?3, attempts = attempts + 1 WHERE id = ?1 AND next_at = ?2 AND failed_at IS NULL";
    ARRIVED = "DELETE FROM outbox WHERE id = ?1 AND next_at = ?2";
    LATER = "UPDATE outbox SET next_at = ?3, error = ?4 WHERE id = ?1 AND next_at = ?2 AND failed_at IS NULL";
    FAILED = "UPDATE outbox SET failed_at = ?3, error = ?4 WHERE id = ?1 AND next_at = ?2 AND failed_at IS NULL";
    WAITING = "SELECT id, kind, target, body, created_at, attempts, failed_at, error FROM outbox ORDER BY failed_at IS NULL, created_at DESC LIMIT ?1";
    REPLAY = "UPDATE outbox SET failed_at = NULL, next_at = ?2, attempts = 0 WHERE id = ?1 AND failed_at IS NOT NULL";
    SWEEP = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE created_at <= ?1 LIMIT ?2)";
    INSERT_LINK = "INSERT INTO revoke_link (id, account_id, device_id, expires_at) VALUES (?1, ?2, ?3, ?4)";
    LINK = "SELECT account_id, device_id FROM revoke_link WHERE id = ?1 AND used_at IS NULL AND expires_at > ?2";
    USE_LINK = "UPDATE revoke_link SET used_at = ?2 WHERE id = ?1 AND used_at IS NULL AND expires_at > ?2";
    SWEEP_LINKS = "DELETE FROM revoke_link WHERE id IN (SELECT id FROM revoke_link WHERE expires_at <= ?1 LIMIT ?2)";
}

/// How a notice travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Mail,
    Webhook,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Mail, Self::Webhook];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// One that is due.
#[derive(Debug)]
pub struct Due {
    pub id: NoticeId,
    pub kind: Kind,
    pub target: String,
    pub body: Vec<u8>,
    pub next_at: Timestamp,
    pub attempts: i64,
}

pub fn insert(id: NoticeId, kind: Kind, target: &str, body: Vec<u8>, now: Timestamp) -> Stmt {
    Stmt::one(INSERT, vec![id.into(), kind.name().into(), target.into(), body.into(), now.into()])
}

/// What waits for one place, the longest waiting first.
pub async fn due(store: &Store, kind: Kind, target: &str, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
    let read = |mut row: Row| {
        Ok(Due {
            id: row.take()?,
            kind,
            target: target.to_owned(),
            body: row.take()?,
            next_at: row.take()?,
            attempts: row.take()?,
        })
    };
    let args = [kind.name().into(), target.into(), now.into(), limit.into()];
    store.rows(DUE, &args).await?.into_iter().map(read).collect()
}

/// Takes one for a while, so that no other node sends it; a conflict if another has.
pub fn claim(due: &Due, until: Timestamp) -> Stmt {
    Stmt::one(CLAIM, vec![due.id.into(), due.next_at.into(), until.into()])
}

/// What follows is for whoever still has it, until then.
pub fn arrived(id: NoticeId, until: Timestamp) -> Stmt {
    Stmt::any(ARRIVED, vec![id.into(), until.into()])
}

pub fn later(id: NoticeId, until: Timestamp, at: Timestamp, error: &str) -> Stmt {
    Stmt::any(LATER, vec![id.into(), until.into(), at.into(), error.into()])
}

pub fn failed(id: NoticeId, until: Timestamp, at: Timestamp, error: &str) -> Stmt {
    Stmt::any(FAILED, vec![id.into(), until.into(), at.into(), error.into()])
}

/// One that did not arrive, yet or for good.
#[derive(Debug)]
pub struct Stuck {
    pub id: NoticeId,
    pub kind: String,
    pub target: String,
    pub body: Vec<u8>,
    pub created_at: Timestamp,
    pub attempts: i64,
    pub failed_at: Option<Timestamp>,
    pub error: Option<String>,
}

/// Those that nobody tries any more first.
pub async fn stuck(store: &Store, limit: u32) -> Result<Vec<Stuck>> {
    let read = |mut row: Row| {
        Ok(Stuck {
            id: row.take()?,
            kind: row.take()?,
            target: row.take()?,
            body: row.take()?,
            created_at: row.take()?,
            attempts: row.take()?,
            failed_at: row.take()?,
            error: row.take()?,
        })
    };
    store.rows(WAITING, &[limit.into()]).await?.into_iter().map(read).collect()
}

/// A conflict unless nobody tries it any more.
pub fn replay(id: NoticeId, now: Timestamp) -> Stmt {
    Stmt::one(REPLAY, vec![id.into(), now.into()])
}

/// Deletes what failed, or what nobody can have any more, so long after it was written.
pub fn sweep(before: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![before.into(), limit.into()])
}

pub fn insert_link(id: NoticeId, account: AccountId, device: DeviceId, until: Timestamp) -> Stmt {
    Stmt::one(INSERT_LINK, vec![id.into(), account.into(), device.into(), until.into()])
}

/// Whose device a link disconnects, while it can be used.
pub async fn link(store: &Store, id: NoticeId, now: Timestamp) -> Result<Option<(AccountId, DeviceId)>> {
    let Some(mut row) = store.row(LINK, &[id.into(), now.into()]).await? else { return Ok(None) };
    Ok(Some((row.take()?, row.take()?)))
}

/// A conflict if it was used, or its time is over.
pub fn use_link(id: NoticeId, now: Timestamp) -> Stmt {
    Stmt::one(USE_LINK, vec![id.into(), now.into()])
}

pub fn sweep_links(before: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP_LINKS, vec![before.into(), limit.into()])
}
