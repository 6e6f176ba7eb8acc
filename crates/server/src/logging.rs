//! Log lines: a message and fields, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{Config, LogFormat};

#[derive(Clone, Debug, thiserror::Error)]
#[error("log.level: `{0}` is not a level or filter; use error, warn, info, debug or trace")]
pub struct BadLevel(String);

/// What would write down whole messages, in which codes, tokens and passwords stand.
const TALKATIVE: [&str; 10] = [
    "tungstenite",
    "tokio_tungstenite",
    "lettre",
    "hyper",
    "hyper_util",
    "reqwest",
    "tokio_postgres",
    "rustls",
    "h2",
    "axum",
];

/// Starts logging for this process. A second call changes nothing.
pub fn start(config: &Config) -> Result<(), BadLevel> {
    let mut filter = EnvFilter::try_new(&config.log_level).map_err(|_| BadLevel(config.log_level.clone()))?;
    for library in TALKATIVE {
        let quiet = format!("{library}=info").parse().map_err(|_| BadLevel(library.to_owned()))?;
        filter = filter.add_directive(quiet);
    }
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_timer(SystemTime).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
