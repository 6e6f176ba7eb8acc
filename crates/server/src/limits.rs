//! Limits. What guards secrets counts in the database, so that it holds across restarts and
//! nodes; what only guards capacity counts in memory.

use std::collections::hash_map::RandomState;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use countersign_core::limit::Rule;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::store::{Result, Store, attempts};
use crate::world::Clock;

/// How often a tally that others change meanwhile is read again.
const RETRIES: usize = 100;

/// How long those wait who lost every race for a tally: so many try at once.
const CROWDED: Duration = Duration::from_secs(1);

/// Attempts that were counted, with the end of the window that each counts in, to be given back if
/// they turn out to be right.
#[derive(Debug)]
#[must_use = "give it back if the attempt was right"]
pub struct Counted(Vec<(Digest, Rule, Timestamp)>);

/// Counts one attempt against every rule, or against none and says how long to wait.
pub async fn count(
    store: &Store,
    rules: Vec<(Digest, Rule)>,
    now: Timestamp,
) -> Result<std::result::Result<Counted, Duration>> {
    if rules.is_empty() {
        return Ok(Ok(Counted(Vec::new())));
    }
    for _ in 0..RETRIES {
        let mut batch = Vec::new();
        let mut counted = Vec::new();
        let mut wait = None;
        for (bucket, rule) in &rules {
            let old = attempts::read(store, bucket).await?;
            match rule.attempt(old, now) {
                Ok(new) => {
                    batch.push(attempts::replace(bucket, old, new, rule.forget_at(new)));
                    counted.push((*bucket, *rule, new.until));
                }
                Err(longer) => wait = wait.max(Some(longer)),
            }
        }
        if let Some(wait) = wait {
            return Ok(Err(wait));
        }
        if store.commit(batch).await?.is_done() {
            return Ok(Ok(Counted(counted)));
        }
    }
    Ok(Err(CROWDED))
}

/// How long to wait before the next attempt, if they are used up. Nothing is counted.
pub async fn wait(store: &Store, rule: Option<(Digest, Rule)>, now: Timestamp) -> Result<Option<Duration>> {
    let Some((bucket, rule)) = rule else { return Ok(None) };
    let tally = attempts::read(store, &bucket).await?;
    Ok(rule.attempt(tally, now).err())
}

/// The attempt was right: it does not count. Its neighbours do.
pub async fn give_back(store: &Store, counted: Counted) -> Result<()> {
    for _ in 0..RETRIES {
        let mut batch = Vec::new();
        for (bucket, rule, until) in &counted.0 {
            let old = attempts::read(store, bucket).await?;
            // Another window has begun since: there it does not count.
            if let Some(old) = old.filter(|tally| tally.until == *until) {
                let new = old.given_back();
                batch.push(attempts::replace(bucket, Some(old), new, rule.forget_at(new)));
            }
        }
        if batch.is_empty() || store.commit(batch).await?.is_done() {
            break;
        }
    }
    Ok(())
}

/// One address for all that one subscriber can easily have (IPv6: a /64).
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The subscriber's name where it is counted.
pub fn address_key(address: IpAddr) -> String {
    subscriber(address).to_string()
}

type Keyed = RateLimiter<String, DashMapStateStore<String, RandomState>, Clock, NoOpMiddleware<Duration>>;

/// So many a minute for each key, in memory.
pub struct PerMinute {
    limiter: Keyed,
    clock: Clock,
}

impl std::fmt::Debug for PerMinute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PerMinute(…)")
    }
}

impl PerMinute {
    pub fn new(count: u32, clock: Clock) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self { limiter: RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()), clock }
    }

    /// How long to wait, if this one is too many.
    pub fn check(&self, key: &str) -> std::result::Result<(), Duration> {
        let wait = |refused: governor::NotUntil<Duration>| refused.wait_time_from(self.clock.now_duration());
        self.limiter.check_key(&key.to_owned()).map_err(wait)
    }

    /// Forgets the keys that are back at their full allowance.
    pub fn sweep(&self) {
        self.limiter.retain_recent();
    }
}

impl Clock {
    fn now_duration(&self) -> Duration {
        governor::clock::Clock::now(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Opening;

    #[test]
    fn one_subscriber_is_one_address() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), key("192.0.2.7"));
    }

    #[test]
    fn a_minute_has_so_many_and_says_when_the_next_comes() {
        let clock = Clock::manual(Timestamp::from_secs(1_000));
        let limit = PerMinute::new(60, clock.clone());
        assert!((0..60).all(|_| limit.check("a").is_ok()));
        assert_eq!(limit.check("a"), Err(Duration::from_secs(1)));
        assert_eq!(limit.check("b"), Ok(()));
        clock.advance(Duration::from_secs(1));
        assert_eq!(limit.check("a"), Ok(()));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_do_not_outrun_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_secs(1_000);
        let store = crate::store::Sqlite::open(&folder.path().join("x.db"), Opening::Create, now).unwrap();
        let store = std::sync::Arc::new(Store::Sqlite(store));
        let rule = Rule { attempts: 10, window: Duration::from_mins(10), grows: true };
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let store = store.clone();
            tasks.spawn(
                async move { count(&store, vec![(Digest::of("x"), rule)], now).await.unwrap().is_ok() },
            );
        }
        let allowed = tasks.join_all().await.into_iter().filter(|allowed| *allowed).count();
        assert_eq!(allowed, 10);
    }
}
