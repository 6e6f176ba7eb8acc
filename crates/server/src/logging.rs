//! Log lines: a message and fields, on standard error.

use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Config, LogFormat};
#[cfg(feature = "otlp")]
use crate::telemetry::Exporter;
use crate::telemetry::trace::TRACE;

#[derive(Clone, Debug, thiserror::Error)]
pub enum BadLogging {
    #[error("log.level: `{0}` is not a level or filter; use error, warn, info, debug or trace")]
    Level(String),
    #[error("telemetry.otlp: {0}")]
    Traces(String),
}

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

/// What was started, until it is stopped.
#[derive(Debug)]
#[must_use = "traces that are on their way are lost unless it is stopped"]
pub struct Logging {
    #[cfg(feature = "otlp")]
    exporter: Option<Exporter>,
}

impl Logging {
    /// Sends what is left of the traces, as far as somebody takes them soon.
    #[cfg_attr(not(feature = "otlp"), expect(clippy::unused_async, reason = "there is nothing to send"))]
    pub async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = self.exporter {
            exporter.stop().await;
        }
    }
}

/// Starts logging and traces for this process. A second call changes nothing.
pub fn start(config: &Config) -> Result<Logging, BadLogging> {
    let filter =
        EnvFilter::try_new(&config.log_level).map_err(|_| BadLogging::Level(config.log_level.clone()))?;
    let quiet = filter_fn(|meta| {
        let library = meta.target().split("::").next().unwrap_or_default();
        meta.target() != TRACE && (*meta.level() <= Level::INFO || !TALKATIVE.contains(&library))
    });
    let lines = tracing_subscriber::fmt::layer().with_timer(SystemTime).with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter.and(quiet)));
    #[cfg(feature = "otlp")]
    let (exporter, registry) = {
        let (exporter, spans) = Exporter::start(config)?;
        (exporter, registry.with(spans))
    };
    let started = registry.try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(Logging {
        #[cfg(feature = "otlp")]
        exporter,
    })
}
