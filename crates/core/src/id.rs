//! Typed identifiers: 128 bits, time-ordered (UUID version 7), printed as UUIDs.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// The 80 random bits that make an id unique.
pub type IdEntropy = [u8; 10];

fn uuid_v7(now: Timestamp, entropy: IdEntropy) -> [u8; 16] {
    let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid().into_bytes()
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
