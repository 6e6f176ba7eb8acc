//! `countersign serve`.

use countersign_server::serve::start;
use countersign_server::world::{Clock, Entropy};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, ServeOptions};
use crate::config;
use crate::failure::{Outcome, usage};

pub async fn run(global: &Global, options: ServeOptions) -> Outcome {
    let flags = [
        ("server.listen", &options.listen),
        ("server.public_url", &options.public_url),
        ("ops.listen", &options.ops_listen),
        ("database.url", &options.database_url),
    ];
    let config = config::load(global, &flags)?;
    let logging = countersign_server::logging::start(&config)
        .map_err(|bad| usage(bad.to_string(), "mend it in the configuration"))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let running = start(config, Clock::System, Entropy::Os).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = running.stopped() => break,
            _ = hangup.recv() => running.reload(),
        }
    }
    running.shutdown().await;
    logging.stop().await;
    Ok(())
}
