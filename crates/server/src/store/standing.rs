//! How much there is of what changes. Counts find their rows by an index, but for nodes and notices, of which
//! all are counted.

use std::collections::BTreeMap;

use countersign_core::admin::Standing;
use countersign_core::grant::Door;
use countersign_core::time::Timestamp;

use super::{Result, Store, grants, statements};

statements! {
    QUESTIONS = "SELECT ask, COUNT(*) FROM device_grant WHERE expires_at > ?1 AND expired_at IS NULL \
                 AND denied_at IS NULL AND redeemed_at IS NULL AND approved_at IS NULL GROUP BY ask";
    DEVICES = "SELECT 'oauth', COUNT(*) FROM token_family WHERE ended_at IS NULL AND expires_at > ?1 \
               UNION ALL SELECT 'cli', COUNT(*) FROM api_key WHERE revoked_at IS NULL AND expires_at > ?1 \
               UNION ALL SELECT 'socket', COUNT(*) FROM node \
               WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)";
    SESSIONS = "SELECT COUNT(*) FROM browser_session WHERE expires_at > ?1 AND awaits IS NULL";
    NOTICES = "SELECT (SELECT COUNT(*) FROM outbox), (SELECT COUNT(*) FROM outbox WHERE failed_at IS NULL)";
}

/// Reads all of it, a query each.
pub async fn read(store: &Store, now: Timestamp) -> Result<Standing> {
    let mut standing = Standing { questions: doors(), devices: doors(), ..Standing::default() };
    for mut row in store.rows(QUESTIONS, &[now.into()]).await? {
        let (ask, count): (String, i64) = (row.take()?, row.take()?);
        *standing.questions.entry(grants::door_of(&ask).name().to_owned()).or_default() += count;
    }
    for mut row in store.rows(DEVICES, &[now.into()]).await? {
        standing.devices.insert(row.take()?, row.take()?);
    }
    if let Some(mut row) = store.row(SESSIONS, &[now.into()]).await? {
        standing.sessions = row.take()?;
    }
    if let Some(mut row) = store.row(NOTICES, &[]).await? {
        let all: i64 = row.take()?;
        standing.notices_waiting = row.take()?;
        standing.notices_dead = all - standing.notices_waiting;
    }
    Ok(standing)
}

fn doors() -> BTreeMap<String, i64> {
    Door::ALL.into_iter().map(|door| (door.name().to_owned(), 0)).collect()
}
