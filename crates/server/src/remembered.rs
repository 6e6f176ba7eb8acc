//! What this node remembers so that the database need not be asked again: pending grants with the
//! pace of their polls, and clients. It is used only while the feed is fresh, and forgotten when the
//! feed tells of a change. Nothing here is needed for anything but speed, except the pace: lost with
//! the process, it costs one poll that comes too soon.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_core::client::{Client, ClientId};
use countersign_core::grant::{Ask, Grant, Poll, Way};
use countersign_core::id::GrantId;
use countersign_core::pace;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use crate::store::feed::Event;

/// Grants whose pace is remembered at once: some 300 MiB at most.
const GRANTS: usize = 2_000_000;
const CLIENTS: usize = 10_000;

/// Grants that were polled and found pending, by the digest of their device code.
#[derive(Debug, Default)]
pub struct Pending(Mutex<Grants>);

#[derive(Debug)]
struct Grants {
    by_code: HashMap<[u8; 32], Polled>,
    /// Somebody decided about these since the last sweep.
    decided: HashSet<GrantId>,
    /// Changes whenever something is heard that is not kept in `decided`, so that what was read before
    /// is known for old.
    round: u64,
    /// What was read before this round is not certain.
    certain_from: u64,
}

impl Default for Grants {
    fn default() -> Self {
        // What was read in round 0 is never certain.
        Self { by_code: HashMap::new(), decided: HashSet::new(), round: 1, certain_from: 1 }
    }
}

/// Who polls.
#[derive(Clone, Copy, Debug)]
pub enum Asker<'a> {
    /// At the OAuth door.
    Client(&'a Arc<Client>),
    /// At the CLI door, where whoever has the code is who asked.
    CommandLine,
}

impl Asker<'_> {
    /// Whether what is asked for is theirs to collect.
    pub fn may_poll(self, ask: &Ask) -> bool {
        match (self, ask) {
            (Self::Client(client), Ask::Tokens(ask)) => client.id == ask.client && ask.options.code.is_none(),
            (Self::CommandLine, Ask::Key(ask)) => ask.way == Way::Forward,
            (Self::Client(_), Ask::Key(_) | Ask::Pairing(_))
            | (Self::CommandLine, Ask::Tokens(_) | Ask::Pairing(_)) => false,
        }
    }

    /// Whether they get nothing without a proof of possession.
    pub fn must_show_a_key(self) -> bool {
        match self {
            Self::Client(client) => client.details.dpop_bound,
            Self::CommandLine => false,
        }
    }

    fn client(self) -> Option<Arc<Client>> {
        match self {
            Self::Client(client) => Some(client.clone()),
            Self::CommandLine => None,
        }
    }

    fn is(self, known: Option<&Arc<Client>>) -> bool {
        match (self, known) {
            (Self::Client(client), Some(known)) => client.id == known.id,
            (Self::CommandLine, None) => true,
            (Self::Client(_), None) | (Self::CommandLine, Some(_)) => false,
        }
    }
}

/// Kept small: there may be millions.
#[derive(Clone, Debug)]
struct Polled {
    grant: GrantId,
    /// Of the OAuth door; none at the CLI door.
    client: Option<Arc<Client>>,
    expires_at: Timestamp,
    last: Timestamp,
    /// When it was found pending.
    round: u64,
    interval_millis: u32,
}

impl Polled {
    fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_millis.into())
    }
}

/// Each poll of one must show a key, which is looked at where it is read.
const fn is_bound(grant: &Grant) -> bool {
    matches!(&grant.ask, Ask::Tokens(ask) if ask.options.jkt.is_some())
}

/// What a moment looked like, to tell whether something happened since.
#[derive(Clone, Copy, Debug)]
pub struct Round(u64);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Grants> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a poll hears, if it is certain that nobody has decided yet.
    pub fn poll(&self, code: &Digest, asker: Asker<'_>, carries_pin: bool, now: Timestamp) -> Option<Poll> {
        let mut grants = self.lock();
        let Grants { by_code, decided, certain_from, .. } = &mut *grants;
        let polled = by_code.get_mut(code.as_bytes())?;
        let certain = polled.round >= *certain_from && !decided.contains(&polled.grant);
        // Whoever has a PIN knows of an approval that this node may not have heard of yet.
        if carries_pin || !certain || now >= polled.expires_at || !asker.is(polled.client.as_ref()) {
            return None;
        }
        let interval = polled.interval();
        if pace::too_soon(Some(polled.last), now, interval) {
            return Some(Poll::SlowDown(pace::slowed(interval)));
        }
        polled.last = now;
        Some(Poll::Wait)
    }

    /// Taken before the database is asked.
    pub fn round(&self) -> Round {
        Round(self.lock().round)
    }

    /// What a poll of this grant hears, which was read after `round`. Looking and remembering are one
    /// step, so that of polls at the same moment one is in time.
    pub fn poll_read(
        &self,
        code: &Digest,
        grant: &Grant,
        asker: Asker<'_>,
        round: Round,
        carries_pin: bool,
        now: Timestamp,
    ) -> Poll {
        let mut grants = self.lock();
        let known = grants.by_code.get(code.as_bytes()).map(|polled| polled.last);
        let outcome = grant.poll(known, carries_pin, now);
        match &outcome {
            Poll::Wait | Poll::WaitForPin
                if !carries_pin && (known.is_some() || grants.by_code.len() < GRANTS) =>
            {
                let polled = Polled {
                    grant: grant.id,
                    client: asker.client(),
                    expires_at: grant.expires_at,
                    last: now,
                    // What was heard meanwhile may be of this very grant.
                    round: if outcome == Poll::Wait
                        && !is_bound(grant)
                        && grants.round == round.0
                        && !grants.decided.contains(&grant.id)
                    {
                        round.0
                    } else {
                        0
                    },
                    interval_millis: u32::try_from(grant.interval.as_millis()).unwrap_or(u32::MAX),
                };
                grants.by_code.insert(*code.as_bytes(), polled);
            }
            Poll::Wait | Poll::WaitForPin | Poll::SlowDown(_) => {}
            Poll::Denied | Poll::Expired | Poll::Spent | Poll::Ready(_) => {
                grants.by_code.remove(code.as_bytes());
            }
        }
        outcome
    }

    pub fn hear(&self, event: &Event) {
        let mut grants = self.lock();
        match event {
            Event::Grant(id) => {
                grants.decided.insert(*id);
            }
            Event::Client(_) | Event::Missed => {
                grants.round += 1;
                grants.certain_from = grants.round;
            }
            Event::Keys | Event::Pairing(_) | Event::Node(..) | Event::Removed(..) | Event::NodesOf(_) => {}
        }
    }

    pub fn sweep(&self, now: Timestamp) {
        let mut grants = self.lock();
        // What is being read at this moment may be of one of them.
        grants.round += 1;
        let decided = std::mem::take(&mut grants.decided);
        grants.by_code.retain(|_, polled| {
            if decided.contains(&polled.grant) {
                polled.round = 0;
            }
            polled.expires_at > now
        });
        // A million that came at once need not be room for a million for ever.
        if grants.by_code.len() < grants.by_code.capacity() / 4 {
            grants.by_code.shrink_to_fit();
        }
    }
}

/// Clients by id.
#[derive(Debug, Default)]
pub struct Clients(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<ClientId, Arc<Client>>,
    round: u64,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.lock().by_id.get(id).cloned()
    }

    pub fn round(&self) -> Round {
        Round(self.lock().round)
    }

    /// Remembers a client that was read after `round`, unless something was heard since.
    pub fn put(&self, client: &Arc<Client>, round: Round) {
        let mut known = self.lock();
        if known.round == round.0 && known.by_id.len() < CLIENTS {
            known.by_id.insert(client.id.clone(), client.clone());
        }
    }

    pub fn hear(&self, event: &Event) {
        let mut known = self.lock();
        match event {
            Event::Client(id) => {
                known.round += 1;
                known.by_id.remove(id);
            }
            Event::Missed => {
                known.round += 1;
                known.by_id.clear();
            }
            Event::Grant(_)
            | Event::Keys
            | Event::Pairing(_)
            | Event::Node(..)
            | Event::Removed(..)
            | Event::NodesOf(_) => {}
        }
    }
}
