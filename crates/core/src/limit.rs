//! Limits on guessing: so many wrong attempts in a window, then a wait that doubles.
//!
//! An attempt is counted *before* it is checked, so that many at once cannot all slip under the
//! limit, and is given back if it turned out to be right.

use std::time::Duration;

use crate::time::Timestamp;

/// So many wrong attempts in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub attempts: u32,
    pub window: Duration,
    /// Whether the wait doubles each time that a window was used up. One that many share must not grow:
    /// a few could lock out everybody.
    pub grows: bool,
}

/// The wait doubles this many times at most.
const MAX_DOUBLINGS: u32 = 4;

/// What is remembered of one guesser, as one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub count: u32,
    /// How many windows in a row were used up before this one.
    pub strikes: u32,
    /// When this window ends. The wait after it follows from the count, so that giving back the
    /// attempt that filled it takes the wait back, too.
    pub until: Timestamp,
}

impl Rule {
    /// Counts one attempt at `now`, or says how long to wait.
    pub fn attempt(self, tally: Option<Tally>, now: Timestamp) -> Result<Tally, Duration> {
        let mut tally = match tally {
            Some(tally) if now < self.end(tally) => tally,
            ended => Tally {
                count: 0,
                strikes: ended.filter(|tally| self.is_full(*tally)).map_or(0, |tally| tally.strikes + 1),
                until: now + self.window,
            },
        };
        if self.is_full(tally) {
            return Err(self.end(tally).since(now));
        }
        tally.count += 1;
        Ok(tally)
    }

    const fn is_full(self, tally: Tally) -> bool {
        tally.count >= self.attempts
    }

    /// When the window and, if it was used up, the wait after it are over.
    fn end(self, tally: Tally) -> Timestamp {
        let grown = self.grows && self.is_full(tally);
        let windows = if grown { (1 << tally.strikes.min(MAX_DOUBLINGS)) - 1 } else { 0 };
        tally.until + self.window * windows
    }

    /// After this, a tally says nothing that is worth keeping.
    pub fn forget_at(self, tally: Tally) -> Timestamp {
        tally.until + self.window * (1 << MAX_DOUBLINGS)
    }
}

impl Tally {
    /// Takes back one attempt that turned out to be right.
    #[must_use]
    pub const fn given_back(self) -> Self {
        Self { count: self.count.saturating_sub(1), strikes: self.strikes, until: self.until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: Rule = Rule { attempts: 10, window: Duration::from_mins(10), grows: true };

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_secs(minute * 60)
    }

    fn use_up(mut tally: Option<Tally>, now: Timestamp) -> Tally {
        while let Ok(next) = RULE.attempt(tally, now) {
            tally = Some(next);
        }
        tally.unwrap()
    }

    #[test]
    fn ten_then_a_wait_that_grows() {
        let first = use_up(None, minute(0));
        assert_eq!(RULE.attempt(Some(first), minute(1)), Err(Duration::from_mins(9)));
        let second = use_up(Some(first), minute(10));
        assert_eq!(RULE.attempt(Some(second), minute(10)), Err(Duration::from_mins(20)));
        let third = use_up(Some(second), minute(30));
        assert_eq!(RULE.attempt(Some(third), minute(30)), Err(Duration::from_mins(40)));
    }

    #[test]
    fn a_wait_that_many_share_does_not_grow() {
        let shared = Rule { grows: false, ..RULE };
        let mut tally = None;
        for window in 0..5 {
            let now = minute(window * 10);
            while let Ok(next) = shared.attempt(tally, now) {
                tally = Some(next);
            }
            assert_eq!(shared.attempt(tally, now), Err(Duration::from_mins(10)));
        }
    }

    #[test]
    fn a_window_that_was_not_used_up_forgets_the_strikes() {
        let first = use_up(None, minute(0));
        let one = RULE.attempt(Some(first), minute(10)).unwrap();
        let fresh = RULE.attempt(Some(one), minute(20)).unwrap();
        assert_eq!((fresh.count, fresh.strikes), (1, 0));
    }

    #[test]
    fn a_right_attempt_costs_nothing() {
        let mut tally = RULE.attempt(None, minute(0)).unwrap();
        for _ in 0..100 {
            tally = RULE.attempt(Some(tally), minute(0)).unwrap().given_back();
        }
        assert_eq!((tally.count, tally.strikes), (1, 0));
        let mut nine = tally;
        for _ in 0..8 {
            nine = RULE.attempt(Some(nine), minute(0)).unwrap();
        }
        let back = RULE.attempt(Some(nine), minute(9)).unwrap().given_back();
        assert_eq!(back, nine);
        // Not even the window is longer for it.
        assert_eq!(RULE.attempt(Some(back), minute(10)).map(|fresh| fresh.count), Ok(1));
    }

    proptest! {
        #[test]
        fn no_window_ever_sees_more_than_twice_the_limit(steps in proptest::collection::vec(0_i64..300, 1..400)) {
            let (mut now, mut tally, mut counted) = (Timestamp::default(), None, Vec::new());
            for step in steps {
                now = now + Duration::from_secs(step.unsigned_abs());
                if let Ok(next) = RULE.attempt(tally, now) {
                    tally = Some(next);
                    counted.push(now);
                }
                let recent = counted.iter().filter(|at| now.since(**at) < RULE.window).count();
                prop_assert!(recent <= 2 * RULE.attempts as usize);
            }
        }
    }
}
