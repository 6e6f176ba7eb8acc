//! Administering signing keys.

use countersign_core::audit::{Action, By};
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::signing::{self, Stage};
use crate::store::feed::Event;
use crate::store::{Stmt, audit, keys};

/// A signing key, without its secret.
#[derive(Clone, Debug)]
pub struct ListedKey {
    pub id: String,
    pub alg: &'static str,
    pub stage: Stage,
    pub created_at: Timestamp,
    pub active_at: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
}

pub async fn list(app: &App) -> Answer<Vec<ListedKey>> {
    let listed = |key: keys::StoredKey| ListedKey {
        stage: Stage::of(&key),
        id: key.id,
        alg: key.alg.name(),
        created_at: key.created_at,
        active_at: key.active_at,
        retired_at: key.retired_at,
    };
    Ok(keys::list(&app.store).await?.into_iter().map(listed).collect())
}

/// False if somebody else rotated at the same moment; then the keys are fresh all the same.
pub async fn rotate(app: &App, by: &By, now: Timestamp) -> Answer<bool> {
    let event = app.event(now, Action::KeyRotated)?.by(by);
    Ok(signing::rotate(
        &app.store,
        &app.vault,
        &app.entropy,
        now,
        vec![audit::insert(event), Stmt::tell(Event::Keys)],
    )
    .await?)
}
