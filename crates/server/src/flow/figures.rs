//! The figures of the overview: what every server counted, hour by hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::store::figures::{self, Figure};
use crate::telemetry::trace::TRACE;

/// How often what this server counted is written down; what it counted since is lost if it is killed.
const OFTEN: Duration = Duration::from_secs(10);
pub const HOUR: Duration = Duration::from_hours(1);

/// Writes down until it is told to stop, and then once more.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(OFTEN) => false,
        };
        if let Err(error) = write(&app).await {
            tracing::error!(%error, "figures were not written down; the next time tries again");
        }
        if stopping {
            return;
        }
    }
}

/// Writes down what this server counted and has not written down yet.
pub async fn write(app: &App) -> Answer<()> {
    let counted = app.metrics.take();
    if counted.is_empty() {
        return Ok(());
    }
    let hour = hour_of(app.clock.now());
    let figure = |(key, count): (&crate::telemetry::Tallied, &u64)| Figure {
        hour,
        name: key.name.to_owned(),
        door: key.door.to_owned(),
        label: key.label.clone(),
        count: i64::try_from(*count).unwrap_or(i64::MAX),
    };
    let batch = counted.iter().map(|(key, count)| figures::add(&figure((key, count)))).collect();
    match app.store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(error) => {
            app.metrics.put_back(counted);
            Err(error.into())
        }
    }
}

pub fn hour_of(at: Timestamp) -> Timestamp {
    let micros = i64::try_from(HOUR.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(micros))
}

/// Figures of some time, ready to be drawn.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Questions by what became of them: asked, opened, approved, redeemed, denied, expired.
    pub funnel: BTreeMap<String, i64>,
    /// How long people took to approve: seconds at most, and how many.
    pub approval: Vec<(u64, i64)>,
    /// Those who took longer than all of that.
    pub slower: i64,
    /// Logins of each hour, by door.
    pub logins: BTreeMap<Timestamp, BTreeMap<String, i64>>,
    pub by_client: Vec<(String, i64)>,
    /// By the limit, or the setting of the policy, that refused.
    pub refused: Vec<(String, i64)>,
}

/// Clients and reasons that are drawn.
const MOST: usize = 8;

fn most(counts: BTreeMap<String, i64>) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = counts.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(MOST);
    all
}

/// Everything since then, up to this moment as far as this server goes.
#[instrument(target = TRACE, name = "figures.overview", skip_all)]
pub async fn overview(app: &App, since: Timestamp) -> Answer<Overview> {
    write(app).await?;
    let mut overview = Overview::default();
    let (mut clients, mut refused, mut approval) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for figure in figures::since(&app.store, hour_of(since)).await? {
        let Figure { hour, name, door, label, count } = figure;
        match name.as_str() {
            "approved_within" => match label.parse::<u64>() {
                Ok(seconds) => *approval.entry(seconds).or_default() += count,
                Err(_) => overview.slower += count,
            },
            "refused" => *refused.entry(label).or_default() += count,
            state => {
                *overview.funnel.entry(state.to_owned()).or_default() += count;
                if state == "redeemed" {
                    *overview.logins.entry(hour).or_default().entry(door).or_default() += count;
                    *clients.entry(label).or_default() += count;
                }
            }
        }
    }
    overview.approval = approval.into_iter().collect();
    overview.by_client = most(clients);
    overview.refused = most(refused);
    Ok(overview)
}
