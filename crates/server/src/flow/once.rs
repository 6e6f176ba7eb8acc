//! What is good once: an assertion, a proof.

use crate::app::{Answer, App};
use crate::store::once;
pub use crate::store::once::Shown;

/// Whether it is shown for the first time.
pub async fn show(app: &App, shown: &Shown) -> Answer<bool> {
    Ok(once::show(&app.store, shown).await?)
}
