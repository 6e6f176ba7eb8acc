//! The audit trail: appended to in the same commit as what it tells of, and sealed soon after. Each
//! sealed row has a number and a hash over itself and the row before.

use countersign_core::audit::Event;
use countersign_core::client::ClientId;
use countersign_core::id::{AccountId, AuditId, DeviceId, GrantId};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, Row, Stmt, Store, StoreError, Value, installation, statements};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT audit.id, audit.at, audit.action, audit.account_id, audit.client_id, audit.grant_id, \
             audit.device_id, audit.address, audit.detail, audit.actor, audit.seq, audit.hash",
            $rest
        )
    };
}

/// What is not asked for by an index is looked at row by row, from the newest on.
macro_rules! list {
    ($found:literal) => {
        concat!(
            select!(""),
            ", account.name FROM audit LEFT JOIN account ON account.id = audit.account_id WHERE audit.id < ?1 AND ",
            $found,
            " AND (CAST(?2 AS TEXT) IS NULL OR audit.action = ?2 \
             OR substr(audit.action, 1, length(CAST(?2 AS TEXT)) + 1) = CAST(?2 AS TEXT) || '.') \
             AND (CAST(?5 AS BYTEA) IS NULL OR audit.device_id = ?5) \
             AND (CAST(?6 AS TEXT) IS NULL OR audit.address = ?6) \
             AND (CAST(?7 AS BIGINT) IS NULL OR audit.at >= ?7) \
             AND (CAST(?8 AS BIGINT) IS NULL OR audit.at < ?8) \
             ORDER BY audit.id DESC LIMIT ?9"
        )
    };
}

statements! {
    INSERT = "INSERT INTO audit (id, at, action, account_id, client_id, grant_id, device_id, address, detail, actor) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    UNSEALED = select!(" FROM audit WHERE seq IS NULL ORDER BY id LIMIT ?1");
    COUNT_UNSEALED = "SELECT COUNT(*) FROM audit WHERE seq IS NULL";
    SEAL = "UPDATE audit SET seq = ?2, hash = ?3 WHERE id = ?1 AND seq IS NULL";
    CHAIN = select!(" FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    CUT = "DELETE FROM audit WHERE seq <= ?1";
    LIST = list!("(CAST(?3 AS BYTEA) IS NULL OR audit.account_id = ?3) \
                  AND (CAST(?4 AS TEXT) IS NULL OR audit.client_id = ?4)");
    LIST_OF_ACCOUNT = list!("audit.account_id = ?3 AND (CAST(?4 AS TEXT) IS NULL OR audit.client_id = ?4)");
    LIST_OF_CLIENT = list!("CAST(?3 AS BYTEA) IS NULL AND audit.client_id = ?4");
}

pub fn insert(event: Event) -> Stmt {
    Stmt::one(
        INSERT,
        vec![
            event.id.into(),
            event.at.into(),
            event.action.name().into(),
            event.account.into(),
            event.client.into(),
            event.grant.into(),
            event.device.into(),
            event.address.into(),
            event.detail.into(),
            event.actor.map(|actor| actor.to_string()).into(),
        ],
    )
}

/// The id of the row that a statement writes, if it is one of these: nobody else can have written it.
pub fn witness(stmt: &Stmt) -> Option<&Value> {
    if stmt.sql == INSERT { stmt.args.first() } else { None }
}

/// A row as it stands there, whatever wrote it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: AuditId,
    pub at: Timestamp,
    pub action: String,
    pub account: Option<AccountId>,
    pub client: Option<String>,
    pub grant: Option<GrantId>,
    pub device: Option<DeviceId>,
    pub address: Option<String>,
    pub detail: Option<String>,
    pub actor: Option<String>,
    pub seal: Option<Link>,
}

/// Where in the chain a row is.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub seq: i64,
    pub hash: Digest,
}

fn read(row: &mut Row) -> Result<Stored> {
    let stored = Stored {
        id: row.take()?,
        at: row.take()?,
        action: row.take()?,
        account: row.take()?,
        client: row.take()?,
        grant: row.take()?,
        device: row.take()?,
        address: row.take()?,
        detail: row.take()?,
        actor: row.take()?,
        seal: None,
    };
    let (seq, hash): (Option<i64>, Option<Digest>) = (row.take()?, row.take()?);
    Ok(Stored { seal: seq.zip(hash).map(|(seq, hash)| Link { seq, hash }), ..stored })
}

/// Rows that wait to be sealed.
pub async fn unsealed(store: &Store, limit: u32) -> Result<Vec<Stored>> {
    let rows = store.rows(UNSEALED, &[limit.into()]).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

pub async fn count_unsealed(store: &Store) -> Result<i64> {
    Ok(store.row(COUNT_UNSEALED, &[]).await?.map(|mut row| row.take()).transpose()?.unwrap_or(0))
}

/// A conflict if it was sealed before.
pub fn seal(id: AuditId, link: &Link) -> Stmt {
    Stmt::one(SEAL, vec![id.into(), link.seq.into(), link.hash.into()])
}

/// Sealed rows after this number, in order.
pub async fn chain(store: &Store, after: i64, limit: u32) -> Result<Vec<Stored>> {
    let rows = store.rows(CHAIN, &[after.into(), limit.into()]).await?;
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

/// Deletes the beginning of the chain, up to this number.
pub fn cut(until: i64) -> Stmt {
    Stmt::any(CUT, vec![until.into()])
}

/// What of the trail somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// An action, or what stands before the dot of several.
    pub action: Option<String>,
    pub account: Option<AccountId>,
    pub client: Option<ClientId>,
    pub device: Option<DeviceId>,
    pub address: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// The newest first; `before` is the last one that was seen. With the name of whom it is about.
pub async fn list(
    store: &Store,
    filter: &Filter,
    before: Option<AuditId>,
    limit: u32,
) -> Result<Vec<(Stored, Option<String>)>> {
    let list = match filter {
        Filter { account: Some(_), .. } => LIST_OF_ACCOUNT,
        Filter { client: Some(_), .. } => LIST_OF_CLIENT,
        _ => LIST,
    };
    let args = [
        before.unwrap_or(AuditId::from_bytes([0xff; 16])).into(),
        filter.action.as_deref().into(),
        filter.account.into(),
        filter.client.clone().into(),
        filter.device.into(),
        filter.address.as_deref().into(),
        filter.since.into(),
        filter.until.into(),
        limit.into(),
    ];
    let rows = store.rows(list, &args).await?;
    rows.into_iter().map(|mut row| Ok((read(&mut row)?, row.take()?))).collect()
}

/// The end of the chain, and what stood before its beginning: number, hash, and the mark of who wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub link: Link,
    pub mac: Digest,
}

/// Which of the two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    First,
    Last,
}

impl End {
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "audit_first",
            Self::Last => "audit_last",
        }
    }
}

fn bytes(mark: &Mark) -> Vec<u8> {
    [&mark.link.seq.to_be_bytes()[..], mark.link.hash.as_bytes(), mark.mac.as_bytes()].concat()
}

pub async fn mark(store: &Store, end: End) -> Result<Option<Mark>> {
    let Some(stored) = installation::read(store, end.name()).await? else { return Ok(None) };
    let corrupt = || StoreError::Corrupt(format!("{} of the installation", end.name()));
    let (seq, rest) = stored.split_first_chunk::<8>().ok_or_else(corrupt)?;
    let (hash, rest) = rest.split_first_chunk::<32>().ok_or_else(corrupt)?;
    let mac: [u8; 32] = rest.try_into().map_err(|_| corrupt())?;
    let link = Link { seq: i64::from_be_bytes(*seq), hash: Digest::from_bytes(*hash) };
    Ok(Some(Mark { link, mac: Digest::from_bytes(mac) }))
}

/// Conflicts if somebody else moved it meanwhile.
pub fn move_mark(end: End, from: Option<&Mark>, to: &Mark) -> Stmt {
    match from {
        None => installation::insert(end.name(), &bytes(to)),
        Some(from) => installation::replace(end.name(), &bytes(from), &bytes(to)),
    }
}
