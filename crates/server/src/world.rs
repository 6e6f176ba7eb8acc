//! Time and chance. Handlers read the clock once and pass `now` on; tests bring their own.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countersign_core::id::IdEntropy;
use countersign_core::secret::{Digest, Entropy as Bytes32, MacKey};
use countersign_core::time::Timestamp;

#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Microseconds since the epoch, moved by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.micros())))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
                Timestamp::from_micros(micros)
            }
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on; the system's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(micros) = self {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(0), Ordering::SeqCst);
        }
    }
}

impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Self::now(self).since(Timestamp::default())
    }
}

/// Randomness.
#[derive(Debug)]
pub enum Entropy {
    Os,
    /// A reproducible stream, for tests: a MAC of a counter.
    Seeded(Mutex<(MacKey, u64)>),
}

/// The system has no randomness to give: nothing that needs it may go on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoEntropy;

impl Entropy {
    pub fn seeded(seed: u8) -> Self {
        Self::Seeded(Mutex::new((MacKey::new([seed; 32]), 0)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    pub fn bytes(&self) -> Result<Bytes32, NoEntropy> {
        match self {
            Self::Os => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(|_| NoEntropy)?;
                Ok(bytes)
            }
            Self::Seeded(state) => {
                let mut state = state.lock().map_err(|_| NoEntropy)?;
                state.1 += 1;
                let digest: Digest = state.0.mac(&[&state.1.to_be_bytes()]);
                Ok(*digest.as_bytes())
            }
        }
    }

    /// 64 bytes, for drawing a short code without bias.
    pub fn bytes_64(&self) -> Result<[u8; 64], NoEntropy> {
        let mut bytes = [0; 64];
        let (first, second) = bytes.split_at_mut(32);
        first.copy_from_slice(&self.bytes()?);
        second.copy_from_slice(&self.bytes()?);
        Ok(bytes)
    }

    /// A password that nobody has to remember: 20 letters and digits without look-alikes.
    pub fn password(&self) -> Result<String, NoEntropy> {
        let alphabet = b"abcdefghjkmnpqrstuvwxyz23456789";
        let fair = 256 - 256 % alphabet.len();
        let mut password = String::new();
        while password.len() < 20 {
            let random = self.bytes()?;
            let fair = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
            password.extend(
                fair.filter_map(|byte| alphabet.get(byte % alphabet.len())).map(|symbol| char::from(*symbol)),
            );
        }
        password.truncate(20);
        Ok(password)
    }

    pub fn id(&self) -> Result<IdEntropy, NoEntropy> {
        let mut id = IdEntropy::default();
        id.iter_mut().zip(self.bytes()?).for_each(|(to, from)| *to = from);
        Ok(id)
    }
}
