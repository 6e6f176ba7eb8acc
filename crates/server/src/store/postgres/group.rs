//! Group commit for what is new: rows that are only inserted wait for nobody's locks, so many of
//! them can share one transaction and its sync.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::Inner;
use crate::store::{Committed, Result, Stmt, StoreError};

/// Inserts that share one transaction, at most.
const GROUP: usize = 128;
/// Transactions under way at once: while one is synced the next is filled.
const WORKERS: usize = 2;
/// Inserts that may wait; further ones go alone.
const QUEUE: usize = 4096;

struct Job {
    stmt: Stmt,
    answer: oneshot::Sender<Result<Committed>>,
}

type Answered = oneshot::Receiver<Result<Committed>>;

/// Where inserts wait for company.
#[derive(Default)]
pub struct Group(Mutex<Option<mpsc::Sender<Job>>>);

impl Group {
    /// Starts the workers; they end when the group is closed.
    pub fn start(&self, inner: &Arc<Inner>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..WORKERS {
            tokio::spawn(work(inner.clone(), receiver.clone()));
        }
    }

    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes a batch that is one plain insert; gives any other back.
    pub fn take(&self, mut batch: Vec<Stmt>) -> Result<Answered, Vec<Stmt>> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(sender), [stmt]) = (sender, batch.as_slice()) else { return Err(batch) };
        if !stmt.sql.starts_with("INSERT INTO ") || stmt.sql.contains("SELECT") || stmt.expect != Some(1) {
            return Err(batch);
        }
        let Ok(place) = sender.try_reserve_owned() else { return Err(batch) };
        let (answer, answered) = oneshot::channel();
        if let Some(stmt) = batch.pop() {
            drop(place.send(Job { stmt, answer }));
        }
        Ok(answered)
    }
}

async fn work(inner: Arc<Inner>, jobs: Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let mut round = Vec::new();
        if jobs.lock().await.recv_many(&mut round, GROUP).await == 0 {
            return;
        }
        let (stmts, answers): (Vec<Stmt>, Vec<_>) =
            round.into_iter().map(|job| (job.stmt, job.answer)).unzip();
        let outcome = inner.commit(&stmts).await;
        let alone =
            matches!(outcome, Ok(Committed::Conflict) | Err(StoreError::Database(_))) && stmts.len() > 1;
        for (stmt, answer) in stmts.into_iter().zip(answers) {
            // One of them met a row that is there, or failed: which one, each finds out alone.
            let own = if alone { inner.commit(&[stmt]).await } else { outcome.clone() };
            let own = own.map(|own| if own.is_done() { Committed::Done { changed: 1 } } else { own });
            // Nobody waits any more: the caller has gone, and what was committed stands all the same.
            drop(answer.send(own));
        }
    }
}
