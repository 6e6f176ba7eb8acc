//! Load: closed loop (as fast as answers come) and open loop (at a rate, whatever comes back; each
//! request is timed from when it was due, so a server that stalls does not hide it).

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::client::{Answer, Connection};

/// What one connection sends, one request after the other.
pub trait Script: Send + 'static {
    fn next(&mut self) -> Vec<u8>;
    /// Judges the answer. An error ends the measurement.
    fn answered(&mut self, answer: &Answer<'_>) -> anyhow::Result<()>;
    /// Whether this answer ended a unit of what is counted, such as a login of several requests.
    fn counts(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Pace {
    Closed,
    /// Requests a second over all connections.
    Open(f64),
}

pub struct Measured {
    pub count: u64,
    pub took: Duration,
    /// Microseconds.
    pub latency: Histogram<u64>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = self.count as f64;
        count / self.took.as_secs_f64()
    }
}

/// Runs every script on a connection of its own for so long.
pub async fn run<S: Script>(
    address: &str,
    scripts: Vec<S>,
    pace: Pace,
    length: Duration,
) -> anyhow::Result<(Measured, Vec<S>)> {
    let start = Instant::now();
    let end = start + length;
    let connections = scripts.len();
    let mut tasks = JoinSet::new();
    for (at, mut script) in scripts.into_iter().enumerate() {
        let mut connection = Connection::open(address).await?;
        tasks.spawn(async move {
            let mut latency = Histogram::<u64>::new(3)?;
            let mut count = 0;
            let mut sent = 0_u32;
            loop {
                let due = match pace {
                    Pace::Closed => Instant::now(),
                    Pace::Open(rate) => {
                        #[expect(clippy::cast_precision_loss, reason = "there are few connections")]
                        let (connections, at) = (connections as f64, at as f64);
                        let due =
                            start + Duration::from_secs_f64((f64::from(sent) * connections + at) / rate);
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                };
                if due >= end || Instant::now() >= end {
                    return anyhow::Ok((latency, count, script));
                }
                sent += 1;
                let answer = connection.send(&script.next()).await?;
                script.answered(&answer)?;
                latency.record(u64::try_from(due.elapsed().as_micros())?)?;
                count += u64::from(script.counts());
            }
        });
    }
    let mut measured = Measured { count: 0, took: length, latency: Histogram::new(3)? };
    let mut scripts = Vec::new();
    for ended in tasks.join_all().await {
        let (latency, count, script) = ended?;
        measured.latency.add(latency)?;
        measured.count += count;
        scripts.push(script);
    }
    measured.took = start.elapsed();
    Ok((measured, scripts))
}
