//! Bringing an installation up: what must be there before anybody asks.

use std::net::SocketAddr;

use countersign_core::client::SigningAlg;

use super::clients;
use crate::app::{Answer, App};
use crate::config::Config;
use crate::signing;
use crate::store::Opening;
use crate::world::{Clock, Entropy};

/// Opens everything that the configuration names, and makes what a first start must make: signing
/// keys, and the client of `countersign login`. `bound` is where the server listens.
pub async fn open(
    config: Config,
    opening: Opening,
    bound: SocketAddr,
    clock: Clock,
    entropy: Entropy,
) -> Answer<App> {
    let app = App::open(config, opening, bound, clock, entropy).await?;
    let now = app.clock.now();
    // Clients choose between the first two for their ID tokens.
    let mut algs = vec![SigningAlg::Es256, SigningAlg::Rs256];
    if !algs.contains(&app.config.signing_alg) {
        algs.push(app.config.signing_alg);
    }
    signing::ensure(&app.store, &app.vault, &app.entropy, now, &algs).await?;
    clients::ensure_cli_client(&app, now).await?;
    Ok(app)
}
