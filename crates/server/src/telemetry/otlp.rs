//! Sends traces to an OpenTelemetry collector, by OTLP over HTTP. A thread of its own does that: whoever
//! answers requests never waits for a collector, and what it does not take in time is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::trace::TRACE;
use crate::config::{Config, Traces};
use crate::logging::BadLogging;

/// What is still on its way when the server stops may take this long.
const GRACE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Starts to send, if the configuration says where to. The layer is what hears of spans.
    pub fn start<S>(config: &Config) -> Result<(Option<Self>, Option<impl Layer<S>>), BadLogging>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(traces) = &config.traces else { return Ok((None, None)) };
        let provider = provider(traces).map_err(|error| BadLogging::Traces(error.to_string()))?;
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("countersign"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Of lines of the log none is sent: nobody looks through them for what others may not see.
            .with_filter(filter_fn(|meta| meta.is_span() && meta.target() == TRACE));
        Ok((Some(Self(provider)), Some(spans)))
    }

    pub async fn stop(self) {
        let stopping = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(GRACE));
        if !matches!(stopping.await, Ok(Ok(()))) {
            tracing::warn!("the last traces did not arrive at the collector");
        }
    }
}

fn provider(traces: &Traces) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let headers = traces.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&traces.url)
        .with_headers(headers.collect())
        .build()?;
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("countersign");
    }
    Ok(SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_sampler(Requests(Sampler::TraceIdRatioBased(traces.sample)))
        .with_batch_exporter(Telling { exporter, lost: AtomicBool::new(false) })
        .build())
}

/// Samples requests and what belongs to them. What the server does by itself, such as looking for notices
/// each second, is no trace.
#[derive(Clone, Debug)]
struct Requests(Sampler);

impl ShouldSample for Requests {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone()).filter(SpanContext::is_valid);
        match parent {
            Some(parent) => SamplingResult {
                decision: if parent.is_sampled() {
                    SamplingDecision::RecordAndSample
                } else {
                    SamplingDecision::Drop
                },
                attributes: Vec::new(),
                trace_state: parent.trace_state().clone(),
            },
            None if *kind == SpanKind::Server => {
                self.0.should_sample(None, trace, name, kind, attributes, links)
            }
            None => Sampler::AlwaysOff.should_sample(None, trace, name, kind, attributes, links),
        }
    }
}

/// Says once that nobody takes the traces, and once that somebody does again.
#[derive(Debug)]
struct Telling {
    exporter: SpanExporter,
    lost: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        let before = self.lost.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !before => {
                tracing::warn!(%error, "traces do not arrive at the collector, and are lost");
            }
            Ok(()) if before => tracing::info!("traces arrive at the collector again"),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The headers of a request.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Makes a span part of the trace that the headers name, if they name one.
pub fn continued(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    if parent.span().span_context().is_valid() {
        // An error says that nobody asked for this span.
        let _linked = span.set_parent(parent);
    }
}
