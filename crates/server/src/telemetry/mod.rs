//! Metrics, as Prometheus scrapes them, and what traces are made of. The names are documented in
//! `docs/reference/metrics.md`.

mod labels;
#[cfg(feature = "otlp")]
mod otlp;
pub mod trace;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_core::admin::Standing;
use countersign_core::client::ClientId;
use countersign_core::grant::Door;
use countersign_core::time::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::labels::{
    DoorLabels, GrantLabels, KindLabels, LIMITS, LimitLabels, NoticeLabels, OUTCOMES, PolicyLabels,
    ReasonLabels, RequestLabels, RouteLabels, SETTINGS, VersionLabels,
};
pub use self::labels::{GrantEvent, PairingRefusal};
#[cfg(feature = "otlp")]
pub use self::otlp::Exporter;
use crate::flow::detect::Suspected;
use crate::store::notices::Kind;
use crate::store::timing::StoreLabels;
use crate::store::{Pool, Store};

/// Within how many seconds people approve.
pub const APPROVAL: [u32; 9] = [5, 10, 20, 30, 60, 120, 300, 600, 1800];

/// How long answers and statements take, in seconds.
pub const LATENCY: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Many histograms of latency.
pub type Latencies<L> = Family<L, Histogram, fn() -> Histogram>;

pub fn latency() -> Histogram {
    Histogram::new(LATENCY)
}

/// A gauge that may be unknown, which is no number.
type Level = Gauge<f64, AtomicU64>;

/// What is counted for the figures of all servers, beside what this one exports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tallied {
    pub name: &'static str,
    pub door: &'static str,
    /// A client, a limit, a setting, or seconds.
    pub label: String,
}

pub type Tally = HashMap<Tallied, u64>;

#[derive(Debug)]
pub struct Metrics {
    tally: Mutex<Tally>,
    registry: Registry,
    build: Family<VersionLabels, Gauge>,
    started: Level,
    ready: Level,
    requests: Family<RequestLabels, Counter>,
    latency: Latencies<RouteLabels>,
    grants: Family<GrantLabels, Counter>,
    approval_time: Histogram,
    refused: Family<LimitLabels, Counter>,
    objected: Family<PolicyLabels, Counter>,
    notices: Family<NoticeLabels, Counter>,
    suspicions: Family<KindLabels, Counter>,
    pairings_refused: Family<ReasonLabels, Counter>,
    swept: Counter,
    sockets: Gauge,
    frames: Counter,
    notified: Histogram,
    live: Family<DoorLabels, Level>,
    active: Family<DoorLabels, Level>,
    sessions: Level,
    waiting: Level,
    dead: Level,
    statements: Latencies<StoreLabels>,
    pool_size: Gauge,
    pool_idle: Gauge,
    pool_waiting: Gauge,
}

impl Metrics {
    /// Of a server that started then and uses this store.
    pub fn new(store: &Store, now: Timestamp) -> Self {
        let metrics = Self {
            tally: Mutex::default(),
            registry: Registry::with_prefix("countersign"),
            build: Family::default(),
            started: Level::default(),
            ready: Level::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(latency),
            grants: Family::default(),
            approval_time: Histogram::new(APPROVAL.map(f64::from)),
            refused: Family::default(),
            objected: Family::default(),
            notices: Family::default(),
            suspicions: Family::default(),
            pairings_refused: Family::default(),
            swept: Counter::default(),
            sockets: Gauge::default(),
            frames: Counter::default(),
            notified: latency(),
            live: Family::default(),
            active: Family::default(),
            sessions: Level::default(),
            waiting: Level::default(),
            dead: Level::default(),
            statements: store.timings().family().clone(),
            pool_size: Gauge::default(),
            pool_idle: Gauge::default(),
            pool_waiting: Gauge::default(),
        };
        metrics.build.get_or_create(&VersionLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        metrics.started.set(fraction(now.secs()));
        metrics.stand(None);
        metrics.began().registered()
    }

    /// A series that exists from the start can be alerted on before its first event.
    fn began(self) -> Self {
        for (door, state) in Door::ALL.into_iter().flat_map(|door| GrantEvent::ALL.map(|state| (door, state)))
        {
            drop(self.grants.get_or_create(&GrantLabels { door: door.name(), state }));
        }
        for limit in LIMITS {
            drop(self.refused.get_or_create(&LimitLabels { limit }));
        }
        for setting in SETTINGS {
            drop(self.objected.get_or_create(&PolicyLabels { setting }));
        }
        for kind in Suspected::ALL.map(Suspected::name) {
            drop(self.suspicions.get_or_create(&KindLabels { kind }));
        }
        for kind in Kind::ALL.map(Kind::name) {
            for outcome in OUTCOMES {
                drop(self.notices.get_or_create(&NoticeLabels { kind, outcome }));
            }
        }
        for reason in PairingRefusal::ALL {
            drop(self.pairings_refused.get_or_create(&ReasonLabels { reason }));
        }
        self
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("build_info", "Which version runs", self.build.clone());
        registry.register("start_time_seconds", "When this server started", self.started.clone());
        registry.register("ready", "Whether /readyz says yes", self.ready.clone());
        registry.register("http_requests", "HTTP requests by route and status", self.requests.clone());
        registry.register("http_request_seconds", "Time to answer a request, by route", self.latency.clone());
        registry.register("grants", "Grants by door and by what became of them", self.grants.clone());
        registry.register("approval_seconds", "Time from ask to approval", self.approval_time.clone());
        registry.register("refused_by_limit", "Requests that a limit refused", self.refused.clone());
        let help = "What the approval policy decided against somebody, by setting";
        registry.register("refused_by_policy", help, self.objected.clone());
        let help = "What looks like fishing for approvals, by kind";
        registry.register("suspicions", help, self.suspicions.clone());
        let help = "Notices that arrived, are tried again, or failed";
        registry.register("notices", help, self.notices.clone());
        let help = "Pairings that were refused, by reason";
        registry.register("pairings_refused", help, self.pairings_refused.clone());
        registry.register("swept_rows", "Rows that retention deleted", self.swept.clone());
        registry.register("sockets_open", "Sockets that are open on this node", self.sockets.clone());
        registry.register("socket_frames", "Frames that sockets sent", self.frames.clone());
        let help = "Time from hearing of a decision to having told the sockets that wait for it";
        registry.register("notification_seconds", help, self.notified.clone());
        let help = "Questions that wait for somebody, by door, on all nodes";
        registry.register("grants_live", help, self.live.clone());
        let help = "Devices that are connected to an account, by door, on all nodes";
        registry.register("devices_active", help, self.active.clone());
        let help = "Browsers that are signed in, on all nodes";
        registry.register("sessions_open", help, self.sessions.clone());
        registry.register("notices_waiting", "Notices on their way, on all nodes", self.waiting.clone());
        registry.register("notices_dead", "Notices that were given up, on all nodes", self.dead.clone());
        let help = "Time for a read, a write of one statement, or a commit of many";
        registry.register("store_seconds", help, self.statements.clone());
        registry.register("store_pool_size", "Connections to the database", self.pool_size.clone());
        registry.register("store_pool_idle", "Those that nobody uses", self.pool_idle.clone());
        registry.register("store_pool_waiting", "Who waits for one", self.pool_waiting.clone());
        self
    }

    pub fn sockets(&self, open: usize) {
        self.sockets.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    pub fn frame(&self) {
        self.frames.inc();
    }

    pub fn notified_after(&self, waited: Duration) {
        self.notified.observe(waited.as_secs_f64());
    }

    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.latency.get_or_create(&RouteLabels { method, route: labels.route }).observe(took.as_secs_f64());
    }

    pub fn ready(&self, ready: bool) {
        self.ready.set(f64::from(u8::from(ready)));
    }

    /// How things stand, if that is known.
    pub fn stand(&self, standing: Option<&Standing>) {
        let unknown = Standing::default();
        let found = standing.unwrap_or(&unknown);
        let level = |count: i64| if standing.is_some() { fraction(count) } else { f64::NAN };
        for door in Door::ALL.map(Door::name) {
            let of = |counts: &BTreeMap<String, i64>| level(counts.get(door).copied().unwrap_or_default());
            self.live.get_or_create(&DoorLabels { door }).set(of(&found.questions));
            self.active.get_or_create(&DoorLabels { door }).set(of(&found.devices));
        }
        self.sessions.set(level(found.sessions));
        self.waiting.set(level(found.notices_waiting));
        self.dead.set(level(found.notices_dead));
    }

    pub fn pool(&self, pool: Pool) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.pool_size.set(gauge(pool.size));
        self.pool_idle.set(gauge(pool.idle));
        self.pool_waiting.set(gauge(pool.waiting));
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: &'static str, door: &'static str, label: &str) {
        *self.tally().entry(Tallied { name, door, label: label.to_owned() }).or_default() += 1;
    }

    /// What was counted since somebody took it last.
    pub fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally())
    }

    /// It could not be written down.
    pub fn put_back(&self, counted: Tally) {
        let mut tally = self.tally();
        for (key, count) in counted {
            *tally.entry(key).or_default() += count;
        }
    }

    /// `client` is who asks, if one says so.
    pub fn grant(&self, door: Door, state: GrantEvent, client: Option<&ClientId>) {
        self.grants.get_or_create(&GrantLabels { door: door.name(), state }).inc();
        self.count(state.name(), door.name(), client.map_or("-", ClientId::as_str));
    }

    pub fn approved_after(&self, waited: Duration) {
        self.approval_time.observe(waited.as_secs_f64());
        let within = APPROVAL.iter().find(|seconds| waited <= Duration::from_secs(u64::from(**seconds)));
        self.count("approved_within", "", &within.map_or_else(|| "more".to_owned(), ToString::to_string));
    }

    pub fn refused(&self, limit: &'static str) {
        self.refused.get_or_create(&LimitLabels { limit }).inc();
        self.count("refused", "", limit);
    }

    pub fn objected(&self, setting: &'static str) {
        self.count("refused", "", setting);
        self.objected.get_or_create(&PolicyLabels { setting }).inc();
    }

    pub fn suspected(&self, kind: &'static str) {
        self.suspicions.get_or_create(&KindLabels { kind }).inc();
    }

    pub fn notice(&self, kind: &'static str, outcome: &'static str) {
        self.notices.get_or_create(&NoticeLabels { kind, outcome }).inc();
    }

    pub fn pairing_refused(&self, reason: PairingRefusal) {
        self.pairings_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub fn swept(&self, rows: u64) {
        self.swept.inc_by(rows);
    }

    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and a gauge needs no more")]
const fn fraction(count: i64) -> f64 {
    count as f64
}
