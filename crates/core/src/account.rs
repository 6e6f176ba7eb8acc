//! People: those who sign in, approve and revoke.

use std::fmt;
use std::str::FromStr;

use crate::client::names;
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

impl Username {
    /// Whether it leads to a page of its own: it is not taken for an id, or for another page.
    pub fn stands_in_links(&self) -> bool {
        let name = self.as_str();
        !matches!(name, "." | ".." | "new") && !name.contains('/') && name.parse::<AccountId>().is_err()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Counts an administrator's changes, so that nobody overwrites what they have not seen.
    pub revision: u32,
}

impl Account {
    pub const fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}

names! {
    /// From whom a second factor is demanded.
    SecondFactor {
        Optional = "optional",
        Administrators = "administrators",
        Everybody = "everybody",
    }
}

impl SecondFactor {
    pub const fn is_demanded_of(self, account: &Account) -> bool {
        match self {
            Self::Optional => false,
            Self::Administrators => account.admin,
            Self::Everybody => true,
        }
    }
}

/// How and when a person signed in; it goes into the tokens that they approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub at: Timestamp,
    /// Authentication methods (RFC 8176), such as `pwd`.
    pub amr: Vec<String>,
}

/// The two values of `acr`.
pub const SINGLE_FACTOR: &str = "single-factor";
pub const MULTI_FACTOR: &str = "multi-factor";

/// What stands in `amr` where two factors of different kinds were shown (RFC 8176 §2).
pub const MFA: &str = "mfa";

impl SignIn {
    pub fn is_multi_factor(&self) -> bool {
        self.amr.iter().any(|method| method == MFA)
    }

    /// The authentication context class of OpenID Connect Core §2.
    pub fn acr(&self) -> &'static str {
        if self.is_multi_factor() { MULTI_FACTOR } else { SINGLE_FACTOR }
    }

    /// Another factor was shown beside what there was.
    #[must_use]
    pub fn and(mut self, method: &str) -> Self {
        for method in [method, MFA] {
            if !self.amr.iter().any(|known| known == method) {
                self.amr.push(method.to_owned());
            }
        }
        self
    }
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

/// Passwords are bounded so that hashing one costs the same as hashing any other, and hold nothing that no
/// form takes.
pub fn is_password(text: &str) -> bool {
    (8..=1024).contains(&text.len()) && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_factors_are_more_than_one() {
        let one = SignIn { at: Timestamp::from_micros(0), amr: vec!["pwd".to_owned()] };
        assert_eq!((one.acr(), one.is_multi_factor()), (SINGLE_FACTOR, false));
        let two = one.and("otp").and("otp");
        assert_eq!(two.amr, ["pwd", "otp", "mfa"]);
        assert_eq!(two.acr(), MULTI_FACTOR);
    }

    #[test]
    fn names_that_differ_in_case_are_one() {
        assert_eq!(" Alice ".parse::<Username>(), "alice".parse());
        for bad in ["", "  ", "a b", "a\0b", "a\u{202e}b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Username>(), Err(BadUsername), "{bad:?}");
        }
    }
}
