//! The sockets of this node of ours, and how news reaches them. News come from the feed, in the thread
//! that hears it, so they are only queued here; a task (`ws::news`) looks up what they mean.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use countersign_core::id::{DeviceId, GrantId};
use countersign_core::secret::Digest;
use tokio::sync::mpsc;

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
/// News that wait to be looked up, at most.
const NEWS: usize = 4096;

pub type SocketId = u64;

/// What was heard, and when.
pub type News = (Event, Instant);

#[derive(Debug)]
struct Socket {
    address: IpAddr,
    /// Hears of every pairing.
    operator: bool,
    /// The node whose token it brought, and that token's digest.
    device: Option<(DeviceId, Digest)>,
    /// The pairing that it asked for last.
    waits: Option<GrantId>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Socket {
    fn is_of(&self, device: DeviceId) -> bool {
        self.device.is_some_and(|(own, _)| own == device)
    }
}

#[derive(Debug, Default)]
struct Sockets {
    by_id: HashMap<SocketId, Socket>,
    by_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
pub struct Hub {
    sockets: Mutex<Sockets>,
    next: AtomicU64,
    news: mpsc::Sender<News>,
    /// Taken by the task that looks news up.
    heard: Mutex<Option<mpsc::Receiver<News>>>,
}

impl Default for Hub {
    fn default() -> Self {
        let (news, heard) = mpsc::channel(NEWS);
        Self { sockets: Mutex::default(), next: AtomicU64::new(1), news, heard: Mutex::new(Some(heard)) }
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more socket of this address, if there may be one.
    pub fn enter(
        &self,
        address: IpAddr,
        limit: Option<u32>,
        operator: bool,
        device: Option<(DeviceId, Digest)>,
    ) -> Option<(SocketId, mpsc::Receiver<Outgoing>)> {
        let mut sockets = self.lock();
        let open = sockets.by_address.entry(address).or_default();
        if limit.is_some_and(|limit| *open >= limit as usize) {
            return None;
        }
        *open += 1;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        sockets.by_id.insert(id, Socket { address, operator, device, waits: None, outgoing });
        Some((id, queue))
    }

    pub fn leave(&self, id: SocketId) {
        let mut sockets = self.lock();
        let Some(socket) = sockets.by_id.remove(&id) else { return };
        if let Some(open) = sockets.by_address.get_mut(&socket.address) {
            *open -= 1;
            if *open == 0 {
                sockets.by_address.remove(&socket.address);
            }
        }
    }

    pub fn wait_for(&self, id: SocketId, grant: GrantId) {
        if let Some(socket) = self.lock().by_id.get_mut(&id) {
            socket.waits = Some(grant);
        }
    }

    pub fn waits_for(&self, id: SocketId) -> Option<GrantId> {
        self.lock().by_id.get(&id).and_then(|socket| socket.waits)
    }

    pub fn count(&self) -> usize {
        self.lock().by_id.len()
    }

    pub fn is_online(&self, device: DeviceId) -> bool {
        self.lock().by_id.values().any(|socket| socket.is_of(device))
    }

    /// Whether anybody here would hear of this grant.
    pub fn concerns(&self, grant: GrantId) -> bool {
        self.lock().by_id.values().any(|socket| socket.operator || socket.waits == Some(grant))
    }

    /// The sockets that were opened with device tokens, of one device or of all, with what they showed.
    pub fn opened_with(&self, device: Option<DeviceId>) -> Vec<(SocketId, Digest)> {
        let sockets = self.lock();
        let wanted = sockets.by_id.iter().filter(|(_, socket)| device.is_none_or(|id| socket.is_of(id)));
        wanted.filter_map(|(id, socket)| Some((*id, socket.device?.1))).collect()
    }

    pub fn waiting(&self) -> Vec<GrantId> {
        self.lock().by_id.values().filter_map(|socket| socket.waits).collect()
    }

    fn send(&self, text: &str, whom: impl Fn(&Socket) -> bool) {
        for socket in self.lock().by_id.values().filter(|socket| whom(socket)) {
            // One that does not read what it is sent misses it, and is dropped by ping and pong.
            drop(socket.outgoing.try_send(Outgoing::Text(text.to_owned())));
        }
    }

    pub fn to_operators(&self, text: &str) {
        self.send(text, |socket| socket.operator);
    }

    /// To whoever waits for this grant and does not hear of it as an operator.
    pub fn to_waiting(&self, grant: GrantId, text: &str) {
        self.send(text, |socket| socket.waits == Some(grant) && !socket.operator);
    }

    pub fn close(&self, id: SocketId, why: Outgoing) {
        if let Some(socket) = self.lock().by_id.get_mut(&id)
            // It is good for nothing more, even if the queue is full: without a sender it ends.
            && socket.outgoing.try_send(why).is_err()
        {
            socket.outgoing = mpsc::channel(1).0;
        }
    }

    pub fn close_all(&self) {
        for socket in self.lock().by_id.values() {
            drop(socket.outgoing.try_send(GOING_AWAY));
        }
    }

    /// Queues what concerns sockets. Too much at once is as good as having missed something.
    pub fn hear(&self, event: &Event) {
        let concerns = match event {
            Event::Grant(_) | Event::Pairing(_) | Event::Missed => self.count() > 0,
            Event::Node(id, _) => self.is_online(*id),
            Event::Client(_) | Event::Keys => false,
        };
        if concerns && self.news.try_send((event.clone(), instant())).is_err() {
            tracing::warn!("too much news at once; sockets may hear late");
        }
    }

    /// What was heard. There is one reader.
    pub fn news(&self) -> Option<mpsc::Receiver<News>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How long news take is no time of the domain.
#[expect(clippy::disallowed_methods, reason = "see above")]
fn instant() -> Instant {
    Instant::now()
}

/// How a socket ends that was opened with a token that ended so.
pub const fn closing(ending: Ending) -> Outgoing {
    match ending {
        Ending::Revoked => REVOKED,
        Ending::Refreshed => REFRESHED,
    }
}
