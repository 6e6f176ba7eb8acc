//! What others must hear of: a statement of a batch tells of an event, and once the batch is
//! committed every node hears it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use countersign_core::client::ClientId;
use countersign_core::id::{AccountId, DeviceId, GrantId, NodeId};

/// Something changed that nodes may remember otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody decided about this grant, or its time ran out.
    Grant(GrantId),
    /// A node asks to be paired.
    Pairing(GrantId),
    /// What a node is connected with is good no more.
    Node(DeviceId, Ending),
    /// A node was forgotten.
    Removed(DeviceId, NodeId),
    /// All nodes of somebody's are good no more.
    NodesOf(AccountId),
    /// This client was added, changed or removed.
    Client(ClientId),
    /// Signing keys were rotated.
    Keys,
    /// Something was or may have been missed: nothing that is remembered is certain.
    Missed,
}

/// Why a node's token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Revoked,
    Refreshed,
}

impl Ending {
    const fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Refreshed => "refreshed",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(id) => write!(f, "grant {id}"),
            Self::Pairing(id) => write!(f, "pairing {id}"),
            Self::Node(id, ending) => write!(f, "node-{} {id}", ending.name()),
            Self::Removed(id, node) => write!(f, "node-removed {id} {node}"),
            Self::NodesOf(id) => write!(f, "nodes-of {id}"),
            Self::Client(id) => write!(f, "client {id}"),
            Self::Keys => f.write_str("keys"),
            Self::Missed => f.write_str("missed"),
        }
    }
}

impl FromStr for Event {
    type Err = std::convert::Infallible;

    /// What a newer node tells in words that this one does not know is taken for anything.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let event = match text.split_once(' ') {
            Some(("grant", id)) => id.parse().ok().map(Self::Grant),
            Some(("pairing", id)) => id.parse().ok().map(Self::Pairing),
            Some(("node-revoked", id)) => id.parse().ok().map(|id| Self::Node(id, Ending::Revoked)),
            Some(("node-refreshed", id)) => id.parse().ok().map(|id| Self::Node(id, Ending::Refreshed)),
            Some(("node-removed", ids)) => ids
                .split_once(' ')
                .and_then(|(id, node)| Some(Self::Removed(id.parse().ok()?, node.parse().ok()?))),
            Some(("nodes-of", id)) => id.parse().ok().map(Self::NodesOf),
            Some(("client", id)) => id.parse().ok().map(Self::Client),
            None if text == "keys" => Some(Self::Keys),
            _ => None,
        };
        Ok(event.unwrap_or(Self::Missed))
    }
}

type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Where events arrive in this process.
pub struct Feed {
    listeners: RwLock<Vec<Listener>>,
    start: Instant,
    /// Milliseconds from `start` to the moment up to which everything was heard, and one; 0 if nothing
    /// ever was.
    heard: AtomicU64,
}

/// A feed that was silent for so long may have missed something.
const FRESH: Duration = Duration::from_secs(1);

impl Default for Feed {
    fn default() -> Self {
        Self { listeners: RwLock::default(), start: now(), heard: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Feed {
    /// Calls `listener` with every event from now on, in the thread that hears it: it must be quick.
    pub fn listen(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    pub(super) fn tell(&self, event: &Event) {
        tracing::debug!(%event, "heard");
        for listener in self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(event);
        }
    }

    /// Everything that was committed before `moment` was heard.
    pub(super) fn heard_all_before(&self, moment: Instant) {
        let millis = moment.saturating_duration_since(self.start).as_millis();
        self.heard.fetch_max(u64::try_from(millis).unwrap_or(0) + 1, Ordering::Release);
    }

    /// Whether everything was heard that was committed more than a second ago.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh_at(now())
    }

    fn is_fresh_at(&self, moment: Instant) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        heard > 0 && moment.saturating_duration_since(self.start + Duration::from_millis(heard)) < FRESH
    }
}

/// How long a connection has been silent is no time of the domain: it must not stand still where a
/// clock does.
#[expect(clippy::disallowed_methods, reason = "see above")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back() {
        let grant = GrantId::from_bytes([7; 16]);
        for event in [
            Event::Grant(grant),
            Event::Pairing(grant),
            Event::Node(DeviceId::from_bytes([8; 16]), Ending::Revoked),
            Event::Node(DeviceId::from_bytes([8; 16]), Ending::Refreshed),
            Event::Removed(DeviceId::from_bytes([8; 16]), NodeId::from_bytes([9; 16])),
            Event::NodesOf(AccountId::from_bytes([9; 16])),
            Event::Client("tv 1".replace(' ', "-").parse().unwrap()),
            Event::Keys,
        ] {
            assert_eq!(event.to_string().parse(), Ok(event));
        }
        assert_eq!("something else".parse(), Ok(Event::Missed));
        assert_eq!("grant nonsense".parse(), Ok(Event::Missed));
    }

    #[test]
    fn a_feed_is_fresh_for_a_second_after_it_heard() {
        let feed = Feed::default();
        assert!(!feed.is_fresh());
        let moment = now();
        feed.heard_all_before(moment);
        assert!(feed.is_fresh_at(moment + Duration::from_millis(990)));
        assert!(!feed.is_fresh_at(moment + Duration::from_millis(1001)));
    }
}
