//! How long the store takes, for metrics and traces.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Span;

use super::{Result, Stmt, all_statements, feed};
use crate::telemetry::trace;
use crate::telemetry::{Latencies, latency};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreLabels {
    store: &'static str,
    kind: &'static str,
}

/// Of one store.
#[derive(Clone, Debug)]
pub struct Timings {
    family: Latencies<StoreLabels>,
    /// As OpenTelemetry calls the engine.
    system: &'static str,
    read: Histogram,
    write: Histogram,
    commit: Histogram,
}

impl Timings {
    pub fn new(store: &'static str, system: &'static str) -> Self {
        let family: Latencies<StoreLabels> = Latencies::new_with_constructor(latency);
        let of = |kind| family.get_or_create_owned(&StoreLabels { store, kind });
        Self { system, read: of("read"), write: of("write"), commit: of("commit"), family: family.clone() }
    }

    pub const fn family(&self) -> &Latencies<StoreLabels> {
        &self.family
    }

    pub fn reading(&self, sql: &'static str) -> Timing<'_> {
        let span = trace::store(self.system, || (operation(sql), name(sql).to_owned()));
        Timing { histogram: &self.read, span, begun: feed::now() }
    }

    pub fn committing(&self, batch: &[Stmt]) -> Timing<'_> {
        let span = trace::store(self.system, || match batch {
            [stmt] => (operation(stmt.sql), name(stmt.sql).to_owned()),
            many => ("BATCH", summary(many)),
        });
        let histogram = if batch.len() == 1 { &self.write } else { &self.commit };
        Timing { histogram, span, begun: feed::now() }
    }
}

/// Of one call that is under way. (It does not wrap the call: futures in futures grow large.)
#[derive(Debug)]
pub struct Timing<'a> {
    histogram: &'a Histogram,
    pub span: Span,
    begun: Instant,
}

impl Timing<'_> {
    pub fn end<T>(self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| trace::failed(&self.span, error.kind()))
    }
}

/// Also of what nobody waited for to the end: that took longest.
impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.histogram.observe(self.begun.elapsed().as_secs_f64());
    }
}

fn operation(sql: &'static str) -> &'static str {
    sql.split_whitespace().next().unwrap_or_default()
}

/// The name of a text, such as `grants::BY_DEVICE`: it says what is done, and holds no value.
fn name(sql: &'static str) -> &'static str {
    static NAMES: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    let below = |name: &'static str| {
        name.strip_prefix(concat!(env!("CARGO_CRATE_NAME"), "::store::")).unwrap_or(name)
    };
    let names = NAMES.get_or_init(|| all_statements().map(|(name, sql)| (sql, below(name))).collect());
    names.get(sql).copied().unwrap_or_else(|| operation(sql))
}

/// Statements of a batch that are named, at most.
const NAMED: usize = 12;

fn summary(batch: &[Stmt]) -> String {
    let writes = batch.iter().filter(|stmt| stmt.event.is_none()).take(NAMED);
    writes.map(|stmt| name(stmt.sql)).collect::<Vec<_>>().join(", ")
}
