//! Scopes (RFC 6749 §3.3): a set of tokens in the order in which they were asked for.

use std::fmt;
use std::str::FromStr;

/// What a client may ask for when it was registered without scopes of its own.
pub const STANDARD: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// Lets an access token approve, make, list and revoke in its owner's name at the CLI door.
pub const DEVICES: &str = "devices";
/// Lets an access token introspect other tokens.
pub const INTROSPECT: &str = "introspect";

/// Lets an access token of an administrator's, an API key of theirs, or a client administer the server.
pub const ADMIN: &str = "admin";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

/// What is asked for in one request, in bytes, at most.
pub const MAX_BYTES: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    #[error("`{0}` is not a scope: use printable ASCII without spaces, quotes or backslashes")]
    Name(String),
    #[error("the scopes are longer than {MAX_BYTES} bytes together")]
    TooLong,
}

impl Scopes {
    /// One scope of ours.
    pub fn one(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    pub fn standard() -> Self {
        Self(STANDARD.map(str::to_owned).into())
    }

    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, BadScope> {
        let mut scopes = Self::default();
        let mut bytes = 0;
        for name in names {
            let name = name.as_ref();
            bytes += name.len() + 1;
            if bytes > MAX_BYTES {
                return Err(BadScope::TooLong);
            }
            if name.is_empty() || !name.bytes().all(is_scope_byte) {
                return Err(BadScope::Name(name.to_owned()));
            }
            if !scopes.contains(name) {
                scopes.0.push(name.to_owned());
            }
        }
        Ok(scopes)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|scope| scope == name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those of `self` that `allowed` has.
    #[must_use]
    pub fn within(&self, allowed: &Self) -> Self {
        Self(self.0.iter().filter(|scope| allowed.contains(scope)).cloned().collect())
    }

    /// The first of `self` that stands in `list`.
    pub fn first_inside<'a>(&'a self, list: &[&str]) -> Option<&'a str> {
        self.iter().find(|scope| list.contains(scope))
    }

    /// The first of `self` that `allowed` does not have.
    pub fn first_outside<'a>(&'a self, allowed: &Self) -> Option<&'a str> {
        self.iter().find(|scope| !allowed.contains(scope))
    }
}

const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl FromStr for Scopes {
    type Err = BadScope;

    /// Reads the wire form: names separated by single spaces; more spaces are forgiven.
    fn from_str(text: &str) -> Result<Self, BadScope> {
        Self::from_names(text.split(' ').filter(|name| !name.is_empty()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_repeats_are_dropped() {
        let scopes: Scopes = "b a  b c".parse().unwrap();
        assert_eq!(scopes.to_string(), "b a c");
    }

    #[test]
    fn no_more_is_read_than_is_sane() {
        let many = |count: usize| (0..count).map(|n| format!("{n:04}")).collect::<Vec<_>>().join(" ");
        assert!(many(409).parse::<Scopes>().is_ok());
        assert_eq!(many(410).parse::<Scopes>(), Err(BadScope::TooLong));
    }

    #[test]
    fn what_the_rfc_forbids_is_refused() {
        for text in ["a\"b", "a\\b", "ä", "a\tb", "\u{7f}"] {
            assert!(text.parse::<Scopes>().is_err(), "{text:?}");
        }
    }
}
