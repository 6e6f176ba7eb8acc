//! API keys: what a command line gets. They are shown once, found by their digest, and end at a time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::client::ClientId;
use crate::grant::Origin;
use crate::id::{AccountId, DeviceId, GrantId};
use crate::scope::Scopes;
use crate::secret::{Entropy, Plain, base62, checksum};
use crate::time::Timestamp;

/// What stands between the prefix and the random part.
const MARK: &str = "_sk_";
/// 37 random symbols, 220 bits.
const RANDOM: usize = 37;
/// How much of the random part is kept to tell keys apart: 24 bits of 220.
const SHOWN: usize = 4;

/// The first word of every key, so that people and scanners know whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key prefix has 1 to 32 lower-case letters, digits and single underscores, and begins with a letter"
)]
pub struct BadKeyPrefix;

impl KeyPrefix {
    /// Ours, where nothing is configured.
    pub fn usual() -> Self {
        Self("cs".to_owned())
    }
}

impl FromStr for KeyPrefix {
    type Err = BadKeyPrefix;

    fn from_str(text: &str) -> Result<Self, BadKeyPrefix> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(plain)
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('_')
            && !text.contains("__");
        if fits { Ok(Self(text.to_owned())) } else { Err(BadKeyPrefix) }
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a key, and the beginning of it that may be shown later.
pub fn mint(prefix: &KeyPrefix, entropy: &Entropy) -> (Plain, String) {
    // The last digits of a number of 256 bits: the leading ones are not evenly spread.
    let random: String = base62(entropy, 43).chars().skip(43 - RANDOM).collect();
    let start = format!("{prefix}{MARK}{}", random.chars().take(SHOWN).collect::<String>());
    (Plain::new(format!("{prefix}{MARK}{random}{}", checksum(&random))), start)
}

/// Whether `text` is an API key at all, of this prefix or of one that was configured before: junk is
/// refused before the database is asked.
pub fn recognise(text: &str) -> bool {
    let Some((prefix, rest)) = text.rsplit_once(MARK) else { return false };
    let Some((random, crc)) = rest.split_at_checked(RANDOM) else { return false };
    prefix.parse::<KeyPrefix>().is_ok()
        && random.bytes().all(|b| b.is_ascii_alphanumeric())
        && crc == checksum(random)
}

/// What a command line asked for, or a person ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: DeviceId,
    pub account: AccountId,
    pub client: Option<ClientId>,
    /// The grant that it came of; without one a signed-in person made it.
    pub grant: Option<GrantId>,
    pub name: String,
    /// Its beginning.
    pub start: String,
    pub scopes: Scopes,
    /// Where it was collected.
    pub from: Origin,
    pub created_at: Timestamp,
    pub last_used: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// Somebody showed that they had it who should not.
    pub leaked_at: Option<Timestamp>,
}

impl Key {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Whether a use at `now` is worth writing down: not each is, but no older than a minute is what
    /// people read.
    pub fn is_use_news(&self, now: Timestamp) -> bool {
        self.last_used.is_none_or(|last| now.since(last) >= USE_PRECISION)
    }
}

/// How exactly the last use of a key is known.
pub const USE_PRECISION: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_scanners_were_told() {
        let prefix: KeyPrefix = "my_tool".parse().unwrap();
        let (key, start) = mint(&prefix, &[0xA7; 32]);
        let text = key.reveal();
        let body = text.strip_prefix("my_tool_sk_").unwrap();
        assert_eq!(body.len(), 43);
        assert!(body.bytes().all(|b| b.is_ascii_alphanumeric()));
        let (random, crc) = body.split_at(37);
        assert_eq!(crc, checksum(random));
        assert!(text.starts_with(&start) && start.len() == "my_tool_sk_".len() + 4);
        assert!(recognise(text));
    }

    #[test]
    fn junk_is_no_key() {
        let (key, _) = mint(&"cs".parse().unwrap(), &[1; 32]);
        let text = key.reveal();
        let mut altered = text.to_owned();
        let last = altered.pop().unwrap();
        assert!(!recognise(&altered));
        altered.push(if last == 'x' { 'y' } else { 'x' });
        assert!(!recognise(&altered));
        for junk in ["", "cs_sk_", "_sk_", "cs_sk_é", &text.to_uppercase()] {
            assert!(!recognise(junk), "{junk}");
        }
    }

    #[test]
    fn prefixes_are_words() {
        for good in ["cs", "acme", "acme2", "acme_cloud"] {
            assert!(good.parse::<KeyPrefix>().is_ok(), "{good}");
        }
        for bad in ["", "_", "Acme", "acme_", "a__b", "2acme", "a-b", &"x".repeat(33)] {
            assert!(bad.parse::<KeyPrefix>().is_err(), "{bad}");
        }
    }
}
