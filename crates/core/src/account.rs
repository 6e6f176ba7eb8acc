//! People: those who sign in, approve and revoke.

use std::fmt;
use std::str::FromStr;

use crate::id::AccountId;
use crate::secret::Digest;
use crate::text::is_hidden;
use crate::time::Timestamp;

/// A name to sign in with. Names that differ only in case are one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user name has 1 to 64 characters, and neither spaces nor control characters")]
pub struct BadUsername;

impl Username {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Username {
    /// A name for somebody whose own name will not do.
    pub fn of_digest(digest: &Digest) -> Self {
        let hex =
            digest.as_bytes().iter().take(10).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        Self(format!("user-{hex}"))
    }
}

impl FromStr for Username {
    type Err = BadUsername;

    fn from_str(text: &str) -> Result<Self, BadUsername> {
        let name = text.trim().to_lowercase();
        let length = name.chars().count();
        let odd = |symbol: char| symbol.is_whitespace() || is_hidden(symbol);
        if (1..=64).contains(&length) && !name.chars().any(odd) { Ok(Self(name)) } else { Err(BadUsername) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub name: Username,
    pub email: Option<String>,
    pub full_name: Option<String>,
    /// A word of the operator's; `none` unless set.
    pub tier: String,
    pub admin: bool,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

impl Account {
    pub const fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}

/// How and when a person signed in; it goes into the tokens that they approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub at: Timestamp,
    /// Authentication methods (RFC 8176), such as `pwd`.
    pub amr: Vec<String>,
}

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct Session {
    /// Of the browser's cookie.
    pub digest: Digest,
    pub account: AccountId,
    pub sign_in: SignIn,
    pub expires_at: Timestamp,
}

/// Passwords are bounded so that hashing one costs the same as hashing any other.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_are_one() {
        assert_eq!(" Alice ".parse::<Username>(), "alice".parse());
        for bad in ["", "  ", "a b", "a\0b", "a\u{202e}b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Username>(), Err(BadUsername), "{bad:?}");
        }
    }
}
