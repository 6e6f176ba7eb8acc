//! Metrics, as Prometheus scrapes them. The names are documented in `docs/operations.md`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_core::client::ClientId;
use countersign_core::grant::Door;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What became of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantEvent {
    Asked,
    Opened,
    Approved,
    Denied,
    Expired,
    Redeemed,
}

impl GrantEvent {
    const ALL: [Self; 6] =
        [Self::Asked, Self::Opened, Self::Approved, Self::Denied, Self::Expired, Self::Redeemed];
}

impl GrantEvent {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Opened => "opened",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
        }
    }
}

impl EncodeLabelValue for GrantEvent {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

/// Within how many seconds people approve.
pub const APPROVAL: [u32; 9] = [5, 10, 20, 30, 60, 120, 300, 600, 1800];

/// Why a node was not paired, besides a person's no and a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairingRefusal {
    /// Another address asks for the same device.
    Elsewhere,
    /// No code is free.
    Exhausted,
    UnknownCode,
    ExpiredCode,
    WrongDevice,
    /// Too many wrong devices for one code.
    Ended,
    /// The device is somebody else's.
    Foreign,
    /// The approval policy says no.
    Policy,
    Rejected,
}

impl EncodeLabelValue for PairingRefusal {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Elsewhere => "elsewhere",
            Self::Exhausted => "exhausted",
            Self::UnknownCode => "unknown_code",
            Self::ExpiredCode => "expired_code",
            Self::WrongDevice => "wrong_device",
            Self::Ended => "ended",
            Self::Foreign => "foreign",
            Self::Policy => "policy",
            Self::Rejected => "rejected",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: PairingRefusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GrantLabels {
    door: &'static str,
    state: GrantEvent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticeLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    setting: &'static str,
}

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
    requests: Family<RequestLabels, Counter>,
    latency: Histogram,
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
}

impl Default for Metrics {
    fn default() -> Self {
        let latency = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
        let metrics = Self {
            tally: Mutex::default(),
            registry: Registry::with_prefix("countersign"),
            requests: Family::default(),
            latency: Histogram::new(latency),
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
            notified: Histogram::new(latency),
        };
        // A series that exists from the start can be alerted on before its first event.
        for (door, state) in Door::ALL.into_iter().flat_map(|door| GrantEvent::ALL.map(|state| (door, state)))
        {
            drop(metrics.grants.get_or_create(&GrantLabels { door: door.name(), state }));
        }
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("http_requests", "HTTP requests by route and status", self.requests.clone());
        registry.register("http_request_seconds", "Time to answer a request", self.latency.clone());
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

    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.latency.observe(took.as_secs_f64());
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
