//! Clients: the programs that may ask (RFC 6749 §2).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::policy::Exceptions;
use crate::scope::Scopes;
use crate::secret::Digest;
use crate::time::Timestamp;

/// The client that `countersign login` uses unless told otherwise; it exists from the start.
pub const CLI_CLIENT: &str = "countersign-cli";

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client id has 1 to 255 printable ASCII characters without spaces")]
pub struct BadClientId;

impl ClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = BadClientId;

    fn from_str(text: &str) -> Result<Self, BadClientId> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadClientId) }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.0)
    }
}

/// Closed sets of names that stand on the wire, on the command line and in the database alike.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:tt $(| $alias:tt)*),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($variant),* }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name $(| $alias)* => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::client::UnknownName;

            fn from_str(name: &str) -> Result<Self, $crate::client::UnknownName> {
                Self::from_name(name).ok_or_else(|| $crate::client::UnknownName::new(name, Self::NAMES))
            }
        }
    };
}
pub(crate) use names;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not known here; use one of: {known}")]
pub struct UnknownName {
    name: String,
    known: String,
}

impl UnknownName {
    pub(crate) fn new(name: &str, known: &[&str]) -> Self {
        Self { name: name.to_owned(), known: known.join(", ") }
    }
}

names! {
    /// What a client may present at the token endpoint.
    GrantType {
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code" | "device_code",
        RefreshToken = "refresh_token",
    }
}

names! {
    /// How a client proves who it is (RFC 6749 §2.3).
    AuthMethod {
        None = "none",
        Basic = "client_secret_basic",
        Post = "client_secret_post",
    }
}

names! {
    /// What an access token of this client is: a JWT (RFC 9068) or a handle to introspect.
    TokenFormat {
        Jwt = "jwt",
        Opaque = "opaque",
    }
}

names! {
    /// Signature algorithms (RFC 7518 §3.1, RFC 8037).
    SigningAlg {
        Es256 = "ES256",
        Rs256 = "RS256",
        EdDsa = "EdDSA",
    }
}

#[derive(Clone, Debug)]
pub enum Authentication {
    /// A public client: it is known by its id alone.
    Public,
    /// `only` names the one method that was registered; without it Basic and post will both do.
    Secret { digest: Digest, only: Option<AuthMethod> },
}

impl Authentication {
    pub const fn is_confidential(&self) -> bool {
        match self {
            Self::Public => false,
            Self::Secret { .. } => true,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    /// What people read on the confirm page.
    pub name: String,
    pub authentication: Authentication,
    /// Empty: the standard ones ([`Scopes::standard`]).
    pub scopes: Scopes,
    pub grants: Vec<GrantType>,
    /// Empty: any absolute URI may be asked for (RFC 8707).
    pub resources: Vec<String>,
    pub token_format: TokenFormat,
    pub id_token_alg: SigningAlg,
    /// Overrides `device.code_ttl`.
    pub code_ttl: Option<Duration>,
    /// Overrides `device.interval`.
    pub interval: Option<Duration>,
    /// What of the approval policy is otherwise for this client.
    pub policy: Exceptions,
    pub created_at: Timestamp,
}

impl Client {
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// The first scope of `asked` that this client may not have.
    pub fn scope_refused<'a>(&self, asked: &'a Scopes) -> Option<&'a str> {
        if self.scopes.is_empty() {
            asked.first_outside(&Scopes::standard())
        } else {
            asked.first_outside(&self.scopes)
        }
    }

    /// What of `granted` this client may still have.
    #[must_use]
    pub fn still_allowed(&self, granted: &Scopes) -> Scopes {
        granted.within(&if self.scopes.is_empty() { Scopes::standard() } else { self.scopes.clone() })
    }

    /// Whether tokens for this resource may be asked for: an absolute URI without a fragment
    /// (RFC 8707 §2), and a registered one if any are registered.
    pub fn may_target(&self, resource: &str) -> bool {
        is_absolute_uri(resource)
            && (self.resources.is_empty() || self.resources.iter().any(|known| known == resource))
    }
}

/// A scheme, a colon, something after it, no fragment, nothing unprintable.
pub fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let mut symbols = scheme.bytes();
    symbols.next().is_some_and(|first| first.is_ascii_alphabetic())
        && symbols.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        && text.len() <= 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for grant in GrantType::ALL {
            assert_eq!(grant.name().parse(), Ok(*grant));
        }
        assert_eq!("device_code".parse(), Ok(GrantType::DeviceCode));
        let error = "password".parse::<GrantType>().map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("`password`") && text.contains("refresh_token")));
    }

    #[test]
    fn resources_are_absolute_uris_without_a_fragment() {
        for good in ["https://api.example/v1?x=1", "urn:example:api"] {
            assert!(is_absolute_uri(good), "{good}");
        }
        for bad in ["", "api", "/v1", "https://api.example/#x", "1x:y", "https:", "https://a b"] {
            assert!(!is_absolute_uri(bad), "{bad}");
        }
    }
}
