//! The sockets of this node of ours, and how news reaches them. News come from the feed, in the thread
//! that hears it, so they are only queued here; a task (`ws::news`) looks up what they mean.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use countersign_core::id::{AccountId, DeviceId, GrantId};
use countersign_core::secret::Digest;
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;

use crate::limits::subscriber;
pub use crate::store::feed::{Ending, Event};

/// What a socket is told.
#[derive(Clone, Debug)]
pub enum Outgoing {
    Text(String),
    /// The code and the reason of the close frame; nothing comes after it.
    Close(u16, &'static str),
}

pub const REVOKED: Outgoing = Outgoing::Close(4001, "revoked");
pub const REFRESHED: Outgoing = Outgoing::Close(4002, "refreshed");
pub const GOING_AWAY: Outgoing = Outgoing::Close(1001, "the server is stopping");

/// What a socket has waiting for it, at most; a peer that does not read is dropped.
pub const QUEUE: usize = 64;
/// Pairings that one socket hears of, at most.
const WAITS: usize = 16;
/// News that wait to be looked up, at most.
const NEWS: usize = 4096;

pub type SocketId = u64;

/// What was heard, and when.
pub type News = (Event, Instant);

/// The token that a node's socket was opened with.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub device: DeviceId,
    pub owner: Option<AccountId>,
    pub token: Digest,
}

/// Whose sockets may have to end.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Device(DeviceId),
    Account(AccountId),
    Everybody,
}

/// Why there is no place for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// This subscriber has as many as it may.
    Address,
    /// All together.
    Server,
    Stopping,
}

/// How many sockets there may be.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub of_address: Option<u32>,
    pub all: u32,
}

#[derive(Debug)]
struct Socket {
    address: IpAddr,
    held: Option<Held>,
    /// The pairings that it hears of, the newest last.
    waits: VecDeque<GrantId>,
    outgoing: mpsc::Sender<Outgoing>,
}

/// Which sockets belong to something.
type Index<K> = HashMap<K, HashSet<SocketId>>;

#[derive(Debug, Default)]
struct Sockets {
    by_id: HashMap<SocketId, Socket>,
    by_address: Index<IpAddr>,
    by_device: Index<DeviceId>,
    by_grant: Index<GrantId>,
    operators: HashSet<SocketId>,
    /// The server stops: there are no more.
    stopping: bool,
}

fn add<K: Eq + Hash>(index: &mut Index<K>, key: K, id: SocketId) {
    index.entry(key).or_default().insert(id);
}

fn drop_from<K: Eq + Hash>(index: &mut Index<K>, key: &K, id: SocketId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

impl Sockets {
    fn wait_for(&mut self, id: SocketId, grant: GrantId) {
        let Some(socket) = self.by_id.get_mut(&id) else { return };
        if !socket.waits.contains(&grant) {
            socket.waits.push_back(grant);
            add(&mut self.by_grant, grant, id);
        }
        if socket.waits.len() > WAITS
            && let Some(oldest) = socket.waits.pop_front()
        {
            drop_from(&mut self.by_grant, &oldest, id);
        }
    }

    fn forget(&mut self, id: SocketId, grant: GrantId) {
        if let Some(socket) = self.by_id.get_mut(&id) {
            socket.waits.retain(|waits| *waits != grant);
            drop_from(&mut self.by_grant, &grant, id);
        }
    }

    fn remove(&mut self, id: SocketId) {
        let Some(socket) = self.by_id.remove(&id) else { return };
        for grant in &socket.waits {
            drop_from(&mut self.by_grant, grant, id);
        }
        drop_from(&mut self.by_address, &socket.address, id);
        if let Some(held) = socket.held {
            drop_from(&mut self.by_device, &held.device, id);
        }
        self.operators.remove(&id);
    }

    fn send(&mut self, what: &Outgoing, whom: &[SocketId]) {
        for id in whom {
            if let Some(socket) = self.by_id.get_mut(id)
                // Who does not read what it is sent would miss it and not know. Without a sender it ends.
                && socket.outgoing.try_send(what.clone()).is_err()
            {
                socket.outgoing = mpsc::channel(1).0;
            }
        }
    }
}

#[derive(Debug)]
pub struct Hub {
    sockets: Mutex<Sockets>,
    /// The nodes that are connected to other servers on the same database.
    elsewhere: Mutex<HashSet<DeviceId>>,
    next: AtomicU64,
    /// The tasks that serve them.
    pub tasks: TaskTracker,
    missed: Notify,
    news: mpsc::Sender<News>,
    /// Taken by the task that looks news up.
    heard: Mutex<Option<mpsc::Receiver<News>>>,
}

impl Default for Hub {
    fn default() -> Self {
        let (news, heard) = mpsc::channel(NEWS);
        Self {
            sockets: Mutex::default(),
            elsewhere: Mutex::default(),
            next: AtomicU64::new(1),
            tasks: TaskTracker::new(),
            missed: Notify::new(),
            news,
            heard: Mutex::new(Some(heard)),
        }
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more socket of this subscriber, if there may be one.
    pub fn enter(
        &self,
        address: IpAddr,
        places: Places,
        operator: bool,
        held: Option<Held>,
    ) -> Result<(SocketId, mpsc::Receiver<Outgoing>), Full> {
        let mut sockets = self.lock();
        let address = subscriber(address);
        let open = sockets.by_address.get(&address).map_or(0, HashSet::len);
        if sockets.stopping {
            return Err(Full::Stopping);
        }
        if places.of_address.is_some_and(|places| open >= places as usize) {
            return Err(Full::Address);
        }
        if sockets.by_id.len() >= places.all as usize {
            return Err(Full::Server);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        add(&mut sockets.by_address, address, id);
        if let Some(held) = held {
            add(&mut sockets.by_device, held.device, id);
        }
        if operator {
            sockets.operators.insert(id);
        }
        sockets.by_id.insert(id, Socket { address, held, waits: VecDeque::new(), outgoing });
        Ok((id, queue))
    }

    pub fn leave(&self, id: SocketId) {
        self.lock().remove(id);
    }

    /// From now on this socket hears what becomes of this pairing.
    pub fn wait_for(&self, id: SocketId, grant: GrantId) {
        self.lock().wait_for(id, grant);
    }

    pub fn forget(&self, id: SocketId, grant: GrantId) {
        self.lock().forget(id, grant);
    }

    pub fn waits_for(&self, id: SocketId, grant: GrantId) -> bool {
        self.lock().by_id.get(&id).is_some_and(|socket| socket.waits.contains(&grant))
    }

    pub fn count(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Whether a node is connected, here or to another server.
    pub fn is_online(&self, device: DeviceId) -> bool {
        self.is_here(device) || self.lock_elsewhere().contains(&device)
    }

    fn is_here(&self, device: DeviceId) -> bool {
        self.lock().by_device.contains_key(&device)
    }

    /// The nodes that are connected here.
    pub fn connected(&self) -> Vec<DeviceId> {
        self.lock().by_device.keys().copied().collect()
    }

    fn lock_elsewhere(&self) -> MutexGuard<'_, HashSet<DeviceId>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_elsewhere(&self, devices: Vec<DeviceId>) {
        *self.lock_elsewhere() = devices.into_iter().collect();
    }

    /// Whether anybody here would hear of this grant.
    pub fn concerns(&self, grant: GrantId) -> bool {
        let sockets = self.lock();
        !sockets.operators.is_empty() || sockets.by_grant.contains_key(&grant)
    }

    /// The sockets that were opened with device tokens, and with which.
    pub fn opened_with(&self, whose: Whose) -> Vec<(SocketId, Digest)> {
        let sockets = self.lock();
        let held = |id: &SocketId| Some((*id, sockets.by_id.get(id)?.held?));
        let held: Vec<(SocketId, Held)> = match whose {
            Whose::Device(device) => {
                sockets.by_device.get(&device).into_iter().flatten().filter_map(held).collect()
            }
            Whose::Account(_) | Whose::Everybody => {
                sockets.by_device.values().flatten().filter_map(held).collect()
            }
        };
        let wanted = held.into_iter().filter(|(_, held)| match whose {
            // What was nobody's may be somebody's by now.
            Whose::Account(account) => held.owner.is_none_or(|owner| owner == account),
            Whose::Device(_) | Whose::Everybody => true,
        });
        wanted.map(|(id, held)| (id, held.token)).collect()
    }

    /// Every pairing that a socket waits for.
    pub fn waiting(&self) -> Vec<GrantId> {
        self.lock().by_grant.keys().copied().collect()
    }

    pub fn has_operators(&self) -> bool {
        !self.lock().operators.is_empty()
    }

    pub fn to_operators(&self, text: String) {
        let mut sockets = self.lock();
        let operators: Vec<SocketId> = sockets.operators.iter().copied().collect();
        sockets.send(&Outgoing::Text(text), &operators);
    }

    /// To whoever waits for this grant and does not hear of it as an operator.
    pub fn to_waiting(&self, grant: GrantId, text: String) {
        let mut sockets = self.lock();
        let waiting = sockets.by_grant.get(&grant).into_iter().flatten();
        let waiting: Vec<SocketId> = waiting.filter(|id| !sockets.operators.contains(id)).copied().collect();
        sockets.send(&Outgoing::Text(text), &waiting);
    }

    pub fn close(&self, id: SocketId, why: &Outgoing) {
        self.lock().send(why, &[id]);
    }

    /// Tells every socket that the server stops, and waits a while for their tasks to end.
    pub async fn stop(&self, grace: Duration) {
        {
            let mut sockets = self.lock();
            sockets.stopping = true;
            let all: Vec<SocketId> = sockets.by_id.keys().copied().collect();
            sockets.send(&GOING_AWAY, &all);
        }
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("some sockets did not end in time");
        }
    }

    /// Queues what concerns sockets.
    pub fn hear(&self, event: &Event) {
        let concerns = match event {
            Event::Grant(_) | Event::Pairing(_) | Event::NodesOf(_) | Event::Missed => self.count() > 0,
            Event::Node(id, _) | Event::Removed(id, _) => self.is_here(*id) || self.has_operators(),
            Event::Client(_) | Event::Keys => false,
        };
        if concerns && self.news.try_send((event.clone(), instant())).is_err() {
            tracing::warn!("too much news at once: everything is looked up");
            self.miss();
        }
    }

    /// Something was not told: everything has to be looked up.
    pub fn miss(&self) {
        self.missed.notify_one();
    }

    /// Until something was missed.
    pub async fn missed(&self) {
        self.missed.notified().await;
    }

    /// What was heard. There is one reader.
    pub fn news(&self) -> Option<mpsc::Receiver<News>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How long news take, and how long a peer has been silent, is no time of the domain.
#[expect(clippy::disallowed_methods, reason = "see above")]
pub fn instant() -> Instant {
    Instant::now()
}

/// How a socket ends that was opened with a token that ended so.
pub const fn closing(ending: Ending) -> Outgoing {
    match ending {
        Ending::Revoked => REVOKED,
        Ending::Refreshed => REFRESHED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places { of_address: Some(2), all: 3 };

    fn enter(hub: &Hub, address: &str) -> Result<(SocketId, mpsc::Receiver<Outgoing>), Full> {
        hub.enter(address.parse().unwrap(), PLACES, true, None)
    }

    #[test]
    fn places_are_counted_for_subscribers_and_for_all() {
        let hub = Hub::default();
        let (first, _queue) = enter(&hub, "2001:db8::1").unwrap();
        let (_, _queue) = enter(&hub, "2001:db8::2:1").unwrap();
        assert_eq!(enter(&hub, "2001:db8::3").err(), Some(Full::Address));
        let (_, _queue) = enter(&hub, "192.0.2.1").unwrap();
        assert_eq!(enter(&hub, "192.0.2.2").err(), Some(Full::Server));
        hub.leave(first);
        assert!(enter(&hub, "2001:db8::3").is_ok());
    }

    #[test]
    fn who_does_not_read_ends_rather_than_missing_something() {
        let hub = Hub::default();
        let (_, mut queue) = enter(&hub, "192.0.2.1").unwrap();
        for number in 0..=QUEUE {
            hub.to_operators(number.to_string());
        }
        for number in 0..QUEUE {
            assert!(matches!(queue.try_recv(), Ok(Outgoing::Text(text)) if text == number.to_string()));
        }
        assert_eq!(queue.try_recv().err(), Some(mpsc::error::TryRecvError::Disconnected));
    }

    #[test]
    fn a_socket_waits_for_its_newest_pairings() {
        let hub = Hub::default();
        let (id, _queue) = enter(&hub, "192.0.2.1").unwrap();
        let grants: Vec<GrantId> = (0..20).map(|byte| GrantId::from_bytes([byte; 16])).collect();
        for grant in &grants {
            hub.wait_for(id, *grant);
        }
        assert!(!hub.waits_for(id, grants[3]) && hub.waits_for(id, grants[4]));
        hub.forget(id, grants[19]);
        assert_eq!(hub.waiting().len(), WAITS - 1);
        hub.leave(id);
        assert!(hub.waiting().is_empty());
    }
}
