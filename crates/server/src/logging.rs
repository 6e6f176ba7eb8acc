//! Log lines: a message and fields, on standard error.

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    let filter = EnvFilter::try_new(&config.log_level).map_err(|_| BadLevel(config.log_level.clone()))?;
    let quiet = filter_fn(|meta| {
        let library = meta.target().split("::").next().unwrap_or_default();
        *meta.level() <= Level::INFO || !TALKATIVE.contains(&library)
    });
    let registry = tracing_subscriber::registry().with(filter).with(quiet);
    let lines = tracing_subscriber::fmt::layer().with_timer(SystemTime).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}
