//! The audit trail: appended to in the same commit as what it tells of.

use countersign_core::audit::Event;
use countersign_core::time::Timestamp;

use super::{Stmt, Value, statements};

statements! {
    INSERT = "INSERT INTO audit (id, at, action, account_id, client_id, grant_id, device_id, address, detail, actor) \
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    SWEEP = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at <= ?1 LIMIT ?2)";
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

pub fn sweep(before: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![before.into(), limit.into()])
}
