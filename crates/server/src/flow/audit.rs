//! The audit trail: sealed, held against its seals, read, and forgotten from its beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use countersign_core::admin::{self, AuditView};
use countersign_core::audit::{Action, By, Outcome};
use countersign_core::id::{AccountId, AuditId};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::instrument;

use crate::app::{Answer, App, Fault, rfc3339};
use crate::flow::accounts;
use crate::flow::office::{address, moment};
use crate::store::Committed;
pub use crate::store::audit::Filter;
use crate::store::audit::{self, End, Link, Mark, Stored};
use crate::telemetry::trace::TRACE;

/// Time between two looks for rows that are not sealed.
const LOOK: Duration = Duration::from_secs(1);
/// Rows of one commit.
const BATCH: u32 = 200;
/// How often the end of the chain is written to the log, which whoever changes the database does not have.
const TELL: Duration = Duration::from_hours(1);

/// Seals until it is told to stop, and then once more.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut told = None;
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if let Err(error) = seal(&app).await {
            tracing::error!(%error, "the audit trail was not sealed; the next look tries again");
        }
        if stopping {
            return;
        }
        let now = app.clock.now();
        if told.is_none_or(|told| now.since(told) >= TELL) {
            match audit::mark(&app.store, End::Last).await {
                Ok(Some(last)) => {
                    tracing::info!(
                        seq = last.link.seq,
                        hash = hex(&last.link.hash),
                        "the audit trail ends here"
                    );
                    told = Some(now);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the end of the audit trail cannot be read"),
            }
        }
    }
}

/// Seals every row that is not sealed. Of several servers at once one gets it done.
pub async fn seal(app: &App) -> Answer<u64> {
    let mut sealed = 0;
    loop {
        let rows = audit::unsealed(&app.store, BATCH).await?;
        let Some(count) = u64::try_from(rows.len()).ok().filter(|count| *count > 0) else {
            return Ok(sealed);
        };
        let last = authentic(app, End::Last).await?;
        if last.is_none() && has_begun(app).await? && audit::mark(&app.store, End::Last).await?.is_none() {
            return Err(tampered(ENDLESS));
        }
        if !app.trail.follows(last.as_ref().map(|last| &last.link)) {
            return Err(tampered("its end was taken back behind this server's back"));
        }
        let mut link = last.map_or(BEGINNING, |last| last.link);
        let mut batch = Vec::new();
        for row in &rows {
            link = next(app, &link, row);
            batch.push(audit::seal(row.id, &link));
        }
        batch.push(audit::move_mark(End::Last, last.as_ref(), &marked(app, End::Last, link)));
        if !app.store.commit(batch).await?.is_done() {
            return Ok(sealed);
        }
        app.trail.saw(link);
        sealed += count;
    }
}

/// The end of the trail as this server saw it last: it never goes back, whoever else seals.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Option<Link>>);

impl Trail {
    fn lock(&self) -> MutexGuard<'_, Option<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, link: Link) {
        let mut seen = self.lock();
        if seen.is_none_or(|seen| link.seq > seen.seq) {
            *seen = Some(link);
        }
    }

    /// Whether this end comes after what was seen; then it is what was seen.
    fn follows(&self, end: Option<&Link>) -> bool {
        let seen = *self.lock();
        let fits = match (seen, end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(seen), Some(end)) => {
                end.seq > seen.seq || (end.seq == seen.seq && end.hash.matches(&seen.hash))
            }
        };
        if let (true, Some(end)) = (fits, end) {
            self.saw(*end);
        }
        fits
    }
}

/// What somebody asks of the trail, as they said it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub action: Option<String>,
    /// A user's name, or the id of one, who may be gone.
    pub user: Option<String>,
    pub client: Option<String>,
    pub device: Option<String>,
    pub address: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
}

impl Asked {
    /// From fields with these names.
    pub fn of(said: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            action: said("action"),
            user: said("user"),
            client: said("client"),
            device: said("device"),
            address: said("address"),
            since: said("since"),
            until: said("until"),
        }
    }

    /// What that is, or what of it cannot be.
    pub async fn filter(self, app: &App) -> Answer<Result<Filter, String>> {
        let account = match &self.user {
            None => None,
            Some(user) => {
                let found = match user.parse() {
                    Ok(name) => accounts::find(app, &name).await?,
                    Err(_) => None,
                };
                match found.map(|account| account.id).or_else(|| user.parse().ok()) {
                    Some(id) => Some(id),
                    None => return Ok(Err(format!("there is no user `{user}`"))),
                }
            }
        };
        Ok(self.rest(account))
    }

    fn rest(self, account: Option<AccountId>) -> Result<Filter, String> {
        let time = |text: String| moment(&text).map_err(|refused| refused.to_string());
        let client = |text: String| text.parse().map_err(|_| format!("`{text}` is no client's id"));
        let device = |text: String| text.parse().map_err(|_| format!("`{text}` is no device's id"));
        let address = |text: String| address(&text).map_err(|refused| refused.to_string());
        Ok(Filter {
            action: self.action,
            account,
            client: self.client.map(client).transpose()?,
            device: self.device.map(device).transpose()?,
            address: self.address.map(address).transpose()?,
            since: self.since.map(time).transpose()?,
            until: self.until.map(time).transpose()?,
        })
    }
}

/// What stands before the first row.
const BEGINNING: Link = Link { seq: 0, hash: Digest::from_bytes([0; 32]) };

fn marked(app: &App, end: End, link: Link) -> Mark {
    let mac = app.vault.trail(&[end.name().as_bytes(), &link.seq.to_be_bytes(), link.hash.as_bytes()]);
    Mark { link, mac }
}

fn is_ours(app: &App, end: End, mark: &Mark) -> bool {
    marked(app, end, mark.link).mac.matches(&mark.mac)
}

/// Where the seals end or begin, if this server's key says so.
async fn authentic(app: &App, end: End) -> Answer<Option<Mark>> {
    let mark = audit::mark(&app.store, end).await?;
    match mark {
        Some(mark) if !is_ours(app, end, &mark) => Err(tampered(&unsigned(end))),
        mark => Ok(mark),
    }
}

const ENDLESS: &str = "there are seals, and nothing says where they end";

async fn has_begun(app: &App) -> Answer<bool> {
    let first = audit::mark(&app.store, End::First).await?;
    Ok(first.is_some() || !audit::chain(&app.store, 0, 1).await?.is_empty())
}

fn unsigned(end: End) -> String {
    format!("{} was not written with this server's key", end.name())
}

fn missing(seq: i64) -> String {
    format!("row {seq} is missing")
}

/// What is sealed or forgotten on top of this would look as if it were right.
fn tampered(what: &str) -> Fault {
    Fault::Page(format!(
        "the audit trail was changed: {what}; nothing is sealed or forgotten until somebody has looked"
    ))
}

/// Holds a row against its seal; what is wrong with it, otherwise.
fn held(app: &App, before: &Link, row: &Stored) -> Result<Link, String> {
    let wanted = next(app, before, row);
    match row.seal {
        Some(seal) if seal.seq != wanted.seq => Err(missing(wanted.seq)),
        Some(seal) if seal.hash.matches(&wanted.hash) => Ok(wanted),
        _ => Err(format!("row {} ({}) was changed", wanted.seq, row.id)),
    }
}

/// The link of the row that follows: nobody can make it without the server's key.
fn next(app: &App, before: &Link, row: &Stored) -> Link {
    let seq = before.seq + 1;
    let numbers = [seq.to_be_bytes(), row.at.micros().to_be_bytes()];
    let mut parts: Vec<&[u8]> =
        vec![b"row", before.hash.as_bytes(), &numbers[0], &numbers[1], row.id.as_bytes()];
    parts.push(row.action.as_bytes());
    let ids: [Option<&[u8]>; 3] = [
        row.account.as_ref().map(|id| id.as_bytes().as_slice()),
        row.grant.as_ref().map(|id| id.as_bytes().as_slice()),
        row.device.as_ref().map(|id| id.as_bytes().as_slice()),
    ];
    let texts =
        [&row.client, &row.address, &row.detail, &row.actor].map(|text| text.as_ref().map(String::as_bytes));
    for part in ids.into_iter().chain(texts) {
        // Something that is not there is not the same as something empty.
        parts.push(if part.is_some() { b"+" } else { b"-" });
        parts.push(part.unwrap_or_default());
    }
    Link { seq, hash: app.vault.trail(&parts) }
}

/// What the trail came to when it was held against its seals.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Rows that were looked at.
    pub rows: u64,
    /// Written and not sealed yet.
    pub unsealed: u64,
    pub last: Option<(i64, String)>,
    /// What is wrong, first of all.
    pub broken: Option<String>,
}

impl Verdict {
    pub fn view(self) -> admin::Verdict {
        let (last, hash) = self.last.unwrap_or_default();
        let Self { rows, unsealed, broken, .. } = self;
        admin::Verdict { intact: broken.is_none(), broken, rows, unsealed, last, hash }
    }
}

/// Holds every row against its seal. What others seal or forget meanwhile is looked at again before
/// anything is called broken.
#[instrument(target = TRACE, name = "audit.verify", skip_all)]
pub async fn verify(app: &App) -> Answer<Verdict> {
    let first = verify_once(app).await?;
    if first.broken.is_none() {
        return Ok(first);
    }
    let mut again = verify_once(app).await?;
    for _ in 0..3 {
        if again.broken.is_none() || again.broken == first.broken {
            break;
        }
        again = verify_once(app).await?;
    }
    Ok(again)
}

async fn verify_once(app: &App) -> Answer<Verdict> {
    let unsealed = u64::try_from(audit::count_unsealed(&app.store).await?).unwrap_or(0);
    let (first, last) =
        (audit::mark(&app.store, End::First).await?, audit::mark(&app.store, End::Last).await?);
    let mut verdict = Verdict { rows: 0, unsealed, last: None, broken: None };
    let Some(last) = last else {
        verdict.broken = has_begun(app).await?.then(|| ENDLESS.to_owned());
        return Ok(verdict);
    };
    verdict.last = Some((last.link.seq, hex(&last.link.hash)));
    for (end, mark) in [(End::First, first.as_ref()), (End::Last, Some(&last))] {
        if mark.is_some_and(|mark| !is_ours(app, end, mark)) {
            verdict.broken = Some(unsigned(end));
            return Ok(verdict);
        }
    }
    let mut link = first.map_or(BEGINNING, |first| first.link);
    while link.seq < last.link.seq {
        let rows = audit::chain(&app.store, link.seq, BATCH).await?;
        if rows.is_empty() {
            verdict.broken = Some(format!("rows {} to {} are missing", link.seq + 1, last.link.seq));
            return Ok(verdict);
        }
        for row in rows {
            if link.seq == last.link.seq {
                // What was sealed since the end was read.
                break;
            }
            match held(app, &link, &row) {
                Ok(sealed) => link = sealed,
                Err(broken) => {
                    verdict.broken = Some(broken);
                    return Ok(verdict);
                }
            }
            verdict.rows += 1;
        }
    }
    if !link.hash.matches(&last.link.hash) || link.seq != last.link.seq {
        verdict.broken = Some(format!("the trail goes on after row {}, where it should end", last.link.seq));
    }
    Ok(verdict)
}

/// Forgets the beginning of the trail, as far as all of it is older: never a row in the middle, and nothing
/// that does not fit its seal, lest somebody has it forgotten before its time.
pub async fn sweep(app: &App, before: Timestamp, limit: u32) -> Answer<u64> {
    let mut swept = 0;
    loop {
        let first = authentic(app, End::First).await?;
        let start = first.map_or(BEGINNING, |first| first.link);
        let seq = |mark: Option<Mark>| mark.map(|mark| mark.link.seq);
        let rows = audit::chain(&app.store, start.seq, limit).await?;
        let mut end = start;
        for row in rows.iter().take_while(|row| row.at <= before) {
            match held(app, &end, row) {
                Ok(sealed) => end = sealed,
                // Another server may have forgotten them meanwhile.
                Err(_) if seq(audit::mark(&app.store, End::First).await?) != seq(first) => return Ok(swept),
                Err(broken) => return Err(tampered(&broken)),
            }
        }
        if end.seq == start.seq {
            return Ok(swept);
        }
        let batch = vec![
            audit::move_mark(End::First, first.as_ref(), &marked(app, End::First, end)),
            audit::cut(end.seq),
        ];
        match app.store.commit(batch).await? {
            Committed::Done { .. } => swept += u64::try_from(end.seq - start.seq).unwrap_or(0),
            Committed::Conflict => return Ok(swept),
        }
        if rows.len() < limit as usize {
            return Ok(swept);
        }
    }
}

/// One row, as people and programs read it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub stored: Stored,
    /// What whom it is about is called now.
    pub user: Option<String>,
}

impl Entry {
    /// Success, unless the action is one of those that say otherwise.
    pub fn outcome(&self) -> Outcome {
        Action::from_name(&self.stored.action).map_or(Outcome::Success, Action::outcome)
    }

    /// Who did it: an administrator, else the person or the client that it is about.
    pub fn actor(&self) -> String {
        let stored = &self.stored;
        stored.actor.clone().unwrap_or_else(|| match (stored.account, &stored.client) {
            (Some(account), _) => format!("user {account}"),
            (None, Some(client)) => format!("client {client}"),
            (None, None) => "somebody".to_owned(),
        })
    }

    pub fn view(&self) -> AuditView {
        let stored = &self.stored;
        AuditView {
            id: stored.id.to_string(),
            at: exact(stored.at),
            action: stored.action.clone(),
            outcome: self.outcome().name().to_owned(),
            actor: self.actor(),
            user_id: stored.account.map(|id| id.to_string()),
            username: self.user.clone(),
            client_id: stored.client.clone(),
            grant_id: stored.grant.map(|id| id.to_string()),
            device_id: stored.device.map(|id| id.to_string()),
            address: stored.address.clone(),
            reason: stored.detail.clone(),
            seq: stored.seal.map(|seal| seal.seq),
            hash: stored.seal.map(|seal| hex(&seal.hash)),
        }
    }

    /// As one line of JSON.
    pub fn line(&self) -> String {
        json!(self.view()).to_string()
    }
}

/// RFC 3339 in UTC, to the microsecond.
pub fn exact(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map_or_else(|_| rfc3339(at), |at| at.to_string())
}

pub fn hex(digest: &Digest) -> String {
    digest.as_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The newest first; `before` is the last one that was seen.
pub async fn list(app: &App, filter: &Filter, before: Option<AuditId>, limit: u32) -> Answer<Vec<Entry>> {
    let rows = audit::list(&app.store, filter, before, limit).await?;
    Ok(rows.into_iter().map(|(stored, user)| Entry { stored, user }).collect())
}

/// Rows that are read at once while all are sent.
const EXPORTED: u32 = 500;

/// Everything that fits, as lines of JSON, the newest first.
pub fn lines(app: Arc<App>, filter: Filter) -> Body {
    Body::from_stream(futures_util::stream::unfold(Some(None), move |place| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            let before: Option<AuditId> = place?;
            // Whoever reads it sees that it breaks off.
            let page = match list(&app, &filter, before, EXPORTED).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "an export broke off");
                    return Some((Err(error), None));
                }
            };
            let last = page.last()?.stored.id;
            let mut text = page.iter().map(Entry::line).collect::<Vec<_>>().join("\n");
            text.push('\n');
            Some((Ok(Bytes::from(text)), Some(Some(last))))
        }
    }))
}

/// Notes that somebody took the trail away to read it.
pub async fn exported(app: &App, by: &By, now: Timestamp) -> Answer<()> {
    let event = app.event(now, Action::AuditExported)?.by(by);
    let _appended: Committed = app.store.commit(vec![audit::insert(event)]).await?;
    Ok(())
}
