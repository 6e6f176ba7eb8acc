//! What happened how often in each hour, on all servers together.

use countersign_core::time::Timestamp;

use super::{Result, Stmt, Store, statements};

statements! {
    ADD = "INSERT INTO figure (hour_at, name, door, label, count) VALUES (?1, ?2, ?3, ?4, ?5) \
           ON CONFLICT (hour_at, name, door, label) DO UPDATE SET count = figure.count + excluded.count";
    SINCE = "SELECT hour_at, name, door, label, count FROM figure WHERE hour_at >= ?1 ORDER BY hour_at";
    SWEEP = "DELETE FROM figure WHERE hour_at IN (SELECT hour_at FROM figure WHERE hour_at <= ?1 LIMIT ?2)";
}

/// One count of one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    pub hour: Timestamp,
    pub name: String,
    pub door: String,
    pub label: String,
    pub count: i64,
}

pub fn add(figure: &Figure) -> Stmt {
    let args = vec![
        figure.hour.into(),
        (&figure.name).into(),
        (&figure.door).into(),
        (&figure.label).into(),
        figure.count.into(),
    ];
    Stmt::any(ADD, args)
}

pub async fn since(store: &Store, hour: Timestamp) -> Result<Vec<Figure>> {
    let rows = store.rows(SINCE, &[hour.into()]).await?;
    let read = |mut row: super::Row| {
        Ok(Figure {
            hour: row.take()?,
            name: row.take()?,
            door: row.take()?,
            label: row.take()?,
            count: row.take()?,
        })
    };
    rows.into_iter().map(read).collect()
}

pub fn sweep(before: Timestamp, limit: u32) -> Stmt {
    Stmt::any(SWEEP, vec![before.into(), limit.into()])
}
