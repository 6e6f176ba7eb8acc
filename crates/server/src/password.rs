//! Passwords: argon2id, so many at a time and no more.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use countersign_core::secret::Plain;
use tokio::sync::Semaphore;

use crate::world::{Entropy, NoEntropy};

/// How many may wait for a worker; the next one is told to come back.
const QUEUE: usize = 256;

#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("too many sign-ins are waiting")]
    Busy,
    #[error("password hashing failed")]
    Failed,
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

#[derive(Debug)]
pub struct Hasher {
    workers: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

/// Checked where there is no such user, so that the answer takes the same time. Nobody knows a password
/// that fits: it is random, and was never made of one.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$b2YgYW4gb2xkIHBhcGVy$5Vn0gJk8mZ0Yb2c5xwq3fJ1r7dT6sLhQ4oKpXeUaWiM";

impl Hasher {
    pub fn new(workers: usize) -> Self {
        let workers = match workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            some => some,
        };
        Self { workers: Arc::new(Semaphore::new(workers)), queue: Arc::new(Semaphore::new(QUEUE)) }
    }

    /// Whether `password` is the one that `hash` was made of; without a hash, a costly no.
    pub async fn verify(&self, password: Plain, hash: Option<String>) -> Result<bool, PasswordError> {
        let _place = self.queue.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| PasswordError::Failed)?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        let right = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            PasswordHash::new(&hash)
                .map(|hash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok())
        });
        let right = right.await.map_err(|_| PasswordError::Failed)?.map_err(|_| PasswordError::Failed)?;
        Ok(known && right)
    }
}

impl Hasher {
    /// [`hash`], with the same workers.
    pub async fn hash(&self, password: Plain, entropy: &Entropy) -> Result<String, PasswordError> {
        let _place = self.queue.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| PasswordError::Failed)?;
        let random = entropy.bytes()?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            salted(password.reveal().as_bytes(), &random)
        });
        hashed.await.map_err(|_| PasswordError::Failed)?
    }
}

/// A PHC string with a fresh salt.
pub fn hash(password: &[u8], entropy: &Entropy) -> Result<String, PasswordError> {
    salted(password, &entropy.bytes()?)
}

fn salted(password: &[u8], random: &[u8]) -> Result<String, PasswordError> {
    let salt = random.get(..16).ok_or(PasswordError::Failed)?;
    let hash =
        Argon2::default().hash_password_with_salt(password, salt).map_err(|_| PasswordError::Failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_and_no_other() {
        let entropy = Entropy::seeded(1);
        let hasher = Hasher::new(1);
        let stored = hash(b"correct horse", &entropy).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verify = |password: &str, hash: Option<&String>| {
            hasher.verify(Plain::new(password.to_owned()), hash.cloned())
        };
        assert!(verify("correct horse", Some(&stored)).await.unwrap());
        assert!(!verify("correct horsf", Some(&stored)).await.unwrap());
        // The decoy costs what a real one does: it has the parameters of those that are made now.
        assert!(!verify("correct horse", None).await.unwrap());
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(parameters(DECOY), parameters(&stored));
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let hasher = Hasher::new(1);
        let _all = hasher.queue.clone().acquire_many_owned(u32::try_from(QUEUE).unwrap()).await.unwrap();
        let outcome = hasher.verify(Plain::new("x".to_owned()), None).await;
        assert!(matches!(outcome, Err(PasswordError::Busy)));
    }
}
