//! What traces are made of: a span for each request, each use case and each call of the store. They are
//! apart from the log, whose lines they are not in, and hold no value of anybody's: names alone.
//!
//! Without the feature `otlp`, or without `telemetry.otlp.endpoint`, nobody asks for them and none is made.

use axum::http::HeaderMap;
use countersign_core::id::RequestId;
use tracing::Span;
use tracing::field::Empty;

/// The target of these spans, and of nothing else.
pub const TRACE: &str = "countersign::trace";

/// One request, named as OpenTelemetry's conventions for HTTP have it. `method` is a known one.
pub fn request(id: RequestId, method: &'static str, route: &str) -> Span {
    let method = if method == "other" { "_OTHER" } else { method };
    tracing::info_span!(
        target: TRACE,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        countersign.request_id = %id,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// What the request says that it belongs to (W3C Trace Context), which is for whoever can be believed.
#[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "nobody asks for traces"))]
pub fn continued(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otlp")]
    super::otlp::continued(span, headers);
}

/// Only what this server did wrong is an error of its own.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("error.type", tracing::field::display(status));
        span.record("otel.status_code", "ERROR");
    }
}

/// One call on a socket. `method` is a known one.
pub fn call(method: &'static str) -> Span {
    tracing::info_span!(
        target: TRACE,
        "call",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "jsonrpc",
        rpc.method = method,
    )
}

/// One call of the store: what is done, and the names of its statements.
pub fn store(system: &'static str, what: impl FnOnce() -> (&'static str, String)) -> Span {
    let span = tracing::info_span!(
        target: TRACE,
        "store",
        otel.name = Empty,
        otel.kind = "client",
        db.system.name = system,
        db.operation.name = Empty,
        db.query.summary = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    );
    if !span.is_disabled() {
        let (operation, summary) = what();
        span.record("otel.name", summary.as_str());
        span.record("db.operation.name", operation);
        span.record("db.query.summary", summary.as_str());
    }
    span
}

pub fn failed(span: &Span, why: &'static str) {
    span.record("error.type", why);
    span.record("otel.status_code", "ERROR");
}
