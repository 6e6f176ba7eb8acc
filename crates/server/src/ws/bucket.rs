//! How many calls a socket may make.

use std::time::{Duration, Instant};

use crate::hub::instant;

const PER_SECOND: f64 = 20.0;
const AT_ONCE: f64 = 60.0;
/// Refused calls that a socket may owe; one that goes on is closed.
const DEBT: f64 = 600.0;

/// Fills up with time; calls are taken out of it.
pub struct Bucket {
    limited: bool,
    left: f64,
    /// Calls that were refused, less what time has forgiven.
    owed: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(limited: bool) -> Self {
        Self { limited, left: AT_ONCE, owed: 0.0, at: instant() }
    }

    /// One call, or how long to wait for it.
    pub fn take(&mut self) -> Result<(), Duration> {
        let elapsed = self.at.elapsed();
        self.at = instant();
        self.take_after(elapsed)
    }

    fn take_after(&mut self, elapsed: Duration) -> Result<(), Duration> {
        let gained = elapsed.as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(AT_ONCE);
        self.owed = (self.owed - gained).max(0.0);
        if !self.limited {
            return Ok(());
        }
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        self.owed += 1.0;
        Err(Duration::from_secs_f64((1.0 - self.left) / PER_SECOND))
    }

    /// It was refused so often that nothing good will come of it.
    pub fn is_flooded(&self) -> bool {
        self.owed > DEBT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_at_once_then_twenty_a_second() {
        let mut bucket = Bucket::new(true);
        let taken = (0..100).filter(|_| bucket.take_after(Duration::ZERO).is_ok()).count();
        assert_eq!(taken, 60);
        assert_eq!(bucket.take_after(Duration::ZERO), Err(Duration::from_millis(50)));
        let taken = (0..100).filter(|_| bucket.take_after(Duration::from_millis(10)).is_ok()).count();
        assert_eq!(taken, 20);
    }

    #[test]
    fn whoever_never_stops_is_flooding() {
        let mut bucket = Bucket::new(true);
        let before = (0..10_000).find(|_| {
            let _refused = bucket.take_after(Duration::ZERO);
            bucket.is_flooded()
        });
        assert_eq!(before, Some(660));
        // One that waits for what it is told owes nothing.
        let mut polite = Bucket::new(true);
        for _ in 0..10_000 {
            if let Err(wait) = polite.take_after(Duration::ZERO) {
                assert_eq!(polite.take_after(wait), Ok(()));
            }
        }
        assert!(!polite.is_flooded());
        let mut free = Bucket::new(false);
        assert!((0..10_000).all(|_| free.take_after(Duration::ZERO).is_ok()));
    }
}
