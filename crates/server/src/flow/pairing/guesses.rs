//! What wrong codes and wrong devices lead to.

use std::time::Duration;

use countersign_core::grant::Grant;
use countersign_core::id::NodeId;
use countersign_core::limit::Rule;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::Confirming;
use crate::app::{Answer, App};
use crate::limits::{self, address_key};
use crate::store::feed::Event;
use crate::store::{Stmt, grants};
use crate::telemetry::PairingRefusal;

/// Confirms with a wrong device id that a code outlives.
const WRONG_IDS: u32 = 5;

/// What wrong codes count against: the address, and the device in whose name they are said. Only those
/// who say them from elsewhere are held up by the latter, so that nobody can hold up a device itself.
pub(super) struct Guesses {
    address: Option<(Digest, Rule)>,
    device: Option<(Digest, Rule)>,
    node: NodeId,
}

pub(super) fn guesses(app: &App, confirming: &Confirming<'_>) -> Guesses {
    let limits = &app.config.limits;
    let rule = |purpose, key: &str, rule| limits.enabled.then(|| (app.vault.bucket(purpose, key), rule));
    let address = address_key(confirming.address);
    Guesses {
        address: rule("pairing address", &address, limits.wrong_codes_per_address),
        device: rule(
            "pairing device",
            &confirming.node.to_string(),
            Rule { grows: false, ..limits.wrong_codes_per_account },
        ),
        node: confirming.node,
    }
}

impl Guesses {
    pub(super) async fn wait(&self, app: &App, now: Timestamp) -> Answer<Option<Duration>> {
        Ok(limits::wait(&app.store, self.address, now).await?)
    }

    pub(super) async fn of_device(&self, app: &App, now: Timestamp) -> Answer<Option<Duration>> {
        Ok(limits::wait(&app.store, self.device, now).await?)
    }

    pub(super) async fn count(&self, app: &App, now: Timestamp) -> Answer<()> {
        let mut rules: Vec<_> = self.address.into_iter().collect();
        if grants::by_node(&app.store, self.node).await?.is_some() {
            rules.extend(self.device);
        }
        for rule in rules {
            // One that is full already stays full.
            let _counted = limits::count(&app.store, vec![rule], now).await?;
        }
        Ok(())
    }
}

/// Somebody who has the code and not the device: after a few of them the code ends.
pub(super) async fn count_wrong(app: &App, grant: &Grant, now: Timestamp) -> Answer<()> {
    let rule = Rule { attempts: WRONG_IDS, window: app.config.pairing.code_ttl, grows: false };
    let bucket = app.vault.bucket("pairing", &grant.id.to_string());
    let counted = limits::count(&app.store, vec![(bucket, rule)], now).await?;
    if counted.is_ok() && limits::wait(&app.store, Some((bucket, rule)), now).await?.is_none() {
        return Ok(());
    }
    let batch = vec![grants::end_pairing(grant.id, now), Stmt::tell(Event::Grant(grant.id))];
    if app.store.commit(batch).await?.is_done() {
        app.metrics.pairing_refused(PairingRefusal::Ended);
    }
    Ok(())
}
