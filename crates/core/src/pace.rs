//! How fast a device may poll (RFC 8628 §3.5).

use std::time::Duration;

use crate::time::Timestamp;

/// What a refused client is told to add to its interval (RFC 8628 §3.5).
const BACK_OFF: Duration = Duration::from_secs(5);

/// Whether a poll at `now` comes too soon after `last`, the last poll that was *not* refused.
///
/// The first poll is never too soon, and a tenth of the interval is forgiven, because networks
/// jitter. A refused poll must not become the new `last`: a client that waits one full interval
/// gets through, however often it was refused before. A `last` that lies ahead is as far away as
/// one that lies behind: polls overtake each other, and clocks are set back.
pub fn too_soon(last: Option<Timestamp>, now: Timestamp, interval: Duration) -> bool {
    last.is_some_and(|last| now.since(last).max(last.since(now)) + interval / 10 < interval)
}

/// The interval that a refused client is told to keep from now on.
pub fn slowed(interval: Duration) -> Duration {
    interval + BACK_OFF
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    #[test]
    fn the_first_poll_is_never_too_soon() {
        assert!(!too_soon(None, Timestamp::default(), INTERVAL));
    }

    #[test]
    fn a_tenth_is_forgiven_and_no_more() {
        let last = Timestamp::from_secs(100);
        let after = |millis| too_soon(Some(last), last + Duration::from_millis(millis), INTERVAL);
        assert!(after(0) && after(4_499));
        assert!(!after(4_500) && !after(5_000));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_lock_anybody_out() {
        let last = Timestamp::from_secs(1_000);
        assert!(too_soon(Some(last), Timestamp::from_secs(999), INTERVAL));
        assert!(!too_soon(Some(last), Timestamp::from_secs(400), INTERVAL));
    }

    #[test]
    fn a_steady_hammer_still_gets_through_once_an_interval() {
        let mut last = None;
        let mut accepted = 0;
        for second in 0..60 {
            let now = Timestamp::from_secs(second);
            if !too_soon(last, now, INTERVAL) {
                last = Some(now);
                accepted += 1;
            }
        }
        assert_eq!(accepted, 12);
    }
}
