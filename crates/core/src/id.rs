//! Typed identifiers: 128 bits, time-ordered to the microsecond (UUID version 7 with the sub-millisecond fraction
//! of RFC 9562, section 6.2, method 3), printed as UUIDs.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// The random bits that make an id unique: 62 of these 80, the rest gives way to time.
pub type IdEntropy = [u8; 10];

fn uuid_v7(now: Timestamp, entropy: IdEntropy) -> [u8; 16] {
    let micros = u64::try_from(now.micros()).unwrap_or(0);
    let fraction = micros % 1000 * 4096 / 1000;
    let mut rest = entropy;
    rest[..2].copy_from_slice(&fraction.to_be_bytes()[6..]);
    uuid::Builder::from_unix_timestamp_millis(micros / 1000, &rest).into_uuid().into_bytes()
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID such as 0197b0d2-7c9c-7d4e-8f5a-0123456789ab")]
pub struct BadId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            pub fn new(now: Timestamp, entropy: IdEntropy) -> Self {
                Self(uuid_v7(now, entropy))
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// When it was made.
            pub fn made_at(&self) -> Timestamp {
                let [a, b, c, d, e, f, high, low, ..] = self.0;
                let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                let fraction = i64::from(u16::from_be_bytes([high & 0x0f, low]));
                // Up, because the fraction was rounded down.
                Timestamp::from_micros(millis * 1000 + (fraction * 1000 + 4095) / 4096)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| BadId)
            }
        }
    )*};
}

ids! {
    /// A person's account; `sub` in tokens.
    AccountId,
    /// One question of one device.
    GrantId,
    /// One line of the inventory: everything that came of one approval. The `sid` of its tokens, or the
    /// id of its API key.
    DeviceId,
    /// A running server, among those that share a database.
    ServerId,
    /// What a node calls itself: any UUID.
    NodeId,
    /// One issued access token; its `jti`.
    TokenId,
    /// One passkey of a person's.
    PasskeyId,
    /// One notice on its way, or the link in one.
    NoticeId,
    /// One row of the audit trail.
    AuditId,
    /// One HTTP request, as shown in `X-Request-Id`.
    RequestId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_are_greater_to_the_microsecond() {
        let at =
            |micros: i64| AuditId::new(Timestamp::from_micros(1_700_000_000_000_000 + micros), [0xff; 10]);
        let zero =
            |micros: i64| AuditId::new(Timestamp::from_micros(1_700_000_000_000_000 + micros), [0; 10]);
        for micros in 0..3000 {
            assert!(at(micros) < zero(micros + 1), "{micros}");
            assert_eq!(at(micros).made_at(), Timestamp::from_micros(1_700_000_000_000_000 + micros));
        }
        assert!(at(0).to_string().starts_with("018bcfe5-6800-7000-bfff-"), "{}", at(0));
    }
}
