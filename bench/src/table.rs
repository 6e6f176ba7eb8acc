//! Medians of runs, as ratios to the floor's medians.

use crate::load::Measured;

/// One measurement of one scenario on one server.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub per_second: f64,
    pub cpu_micros: f64,
    pub p50: u64,
    pub p99: u64,
}

impl Sample {
    pub fn new(measured: &Measured, cpu_micros: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "both are small")]
        let each = cpu_micros as f64 / measured.count.max(1) as f64;
        Self {
            per_second: measured.per_second(),
            cpu_micros: each,
            p50: measured.latency.value_at_quantile(0.5),
            p99: measured.latency.value_at_quantile(0.99),
        }
    }
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The samples of one scenario on one server.
#[derive(Clone, Debug)]
pub struct Row {
    pub scenario: &'static str,
    pub server: &'static str,
    /// The scenario of the floor that it is held against.
    pub floor: &'static str,
    pub samples: Vec<Sample>,
}

impl Row {
    pub fn median(&self) -> Option<Sample> {
        let of = |pick: fn(&Sample) -> f64| median(self.samples.iter().map(pick).collect());
        let latency = |pick: fn(&Sample) -> u64| median(self.samples.iter().map(pick).collect());
        Some(Sample {
            per_second: of(|sample| sample.per_second)?,
            cpu_micros: of(|sample| sample.cpu_micros)?,
            p50: latency(|sample| sample.p50)?,
            p99: latency(|sample| sample.p99)?,
        })
    }
}

/// Prints a table in Markdown.
pub fn print(rows: &[Row]) {
    println!(
        "| scenario | server | a second | × floor | CPU µs each | × floor | p50 µs | p99 µs | p99 × floor |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let Some(own) = row.median() else { continue };
        let floor = rows.iter().find(|other| other.server == "floor" && other.scenario == row.floor);
        let ratio = |pick: fn(&Sample) -> f64| match floor.and_then(Row::median) {
            Some(floor) => format!("{:.2}", pick(&own) / pick(&floor)),
            None => "-".to_owned(),
        };
        #[expect(clippy::cast_precision_loss, reason = "latencies are small")]
        let p99 = ratio(|sample| sample.p99 as f64);
        println!(
            "| {} | {} | {:.0} | {} | {:.1} | {} | {} | {} | {p99} |",
            row.scenario,
            row.server,
            own.per_second,
            ratio(|sample| sample.per_second),
            own.cpu_micros,
            ratio(|sample| sample.cpu_micros),
            own.p50,
            own.p99,
        );
    }
}
