//! Clients: the programs that may ask (RFC 6749 §2).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::family::Lifetimes;
use crate::policy::Exceptions;
use crate::scope::Scopes;
use crate::secret::Digest;
use crate::time::{Span, Timestamp};

/// The client that `countersign login` uses unless told otherwise; it exists from the start.
pub const CLI_CLIENT: &str = "countersign-cli";
/// Where its codes are sent, on any port.
pub const CLI_REDIRECT_URIS: [&str; 2] = ["http://127.0.0.1/callback", "http://[::1]/callback"];

/// No access token lives longer, whatever its client: retired keys are published until then.
pub const MAX_ACCESS_TTL: Duration = Duration::from_hours(24);

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
        AuthorizationCode = "authorization_code",
        ClientCredentials = "client_credentials",
    }
}

names! {
    /// How a client proves who it is (RFC 6749 §2.3); `Key` is by a JWT that it signs (RFC 7523 §2.2).
    AuthMethod {
        None = "none",
        Basic = "client_secret_basic",
        Post = "client_secret_post",
        Key = "private_key_jwt",
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// A public client: it is known by its id alone.
    Public,
    /// `only` names the one method that was registered; without it Basic and post will both do.
    Secret { digest: Digest, only: Option<AuthMethod>, old: Option<OldSecret> },
    /// It signs, and these are its public keys: a JWK set (RFC 7517 §5).
    Keys { jwks: String },
}

names! {
    /// What of a client has a default.
    Field {
        Scopes = "scopes",
        Grants = "grants",
        Resources = "resources",
        TokenFormat = "token_format",
        IdTokenAlg = "id_token_alg",
        CodeTtl = "code_ttl",
        Interval = "interval",
        Policy = "policy",
        RedirectUris = "redirect_uris",
        PostLogoutRedirectUris = "post_logout_redirect_uris",
        AccessTtl = "access_ttl",
        RefreshTtl = "refresh_ttl",
        RefreshIdleTtl = "refresh_idle_ttl",
    }
}

/// The secret before this one, for as long as both will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldSecret {
    pub digest: Digest,
    pub until: Timestamp,
}

impl Authentication {
    pub const fn is_confidential(&self) -> bool {
        match self {
            Self::Public => false,
            Self::Secret { .. } | Self::Keys { .. } => true,
        }
    }

    /// How it proves who it is, in the words of discovery documents.
    pub fn methods(&self) -> Vec<AuthMethod> {
        match self {
            Self::Public => vec![AuthMethod::None],
            Self::Secret { only: Some(method), .. } => vec![*method],
            Self::Secret { only: None, .. } => vec![AuthMethod::Basic, AuthMethod::Post],
            Self::Keys { .. } => vec![AuthMethod::Key],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub details: Details,
    pub created_at: Timestamp,
    /// Counts its changes, so that nobody overwrites what they have not seen.
    pub revision: u32,
}

/// What few clients say of themselves. Kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Where authorization codes may be sent (RFC 6749 §3.1.2).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// Where browsers may go after signing out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Override those of `tokens.`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_ttl: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_idle_ttl: Option<Span>,
    /// It gets tokens that are bound to a key, and no others (RFC 9449 §5.2).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dpop_bound: bool,
    /// Its authorization requests are pushed (RFC 9126 §6).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub par_required: bool,
    /// When a scope or the grant was taken from it last, or given back, in microseconds since the Unix epoch:
    /// what it got for itself before is good no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_tokens_since: Option<i64>,
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

    /// Everything that it may ask for.
    #[must_use]
    pub fn allowed(&self) -> Scopes {
        if self.scopes.is_empty() { Scopes::standard() } else { self.scopes.clone() }
    }

    /// What of `granted` this client may still have.
    #[must_use]
    pub fn still_allowed(&self, granted: &Scopes) -> Scopes {
        granted.within(&self.allowed())
    }

    /// When the first of its own tokens was made that is still good, at the earliest. One that was registered
    /// anew is another.
    #[must_use]
    pub fn own_tokens_since(&self) -> Timestamp {
        let since =
            self.details.own_tokens_since.map(|since| Timestamp::from_micros(since.saturating_add(1)));
        since.unwrap_or(self.created_at).max(self.created_at)
    }

    /// How long its tokens live, where it is not as for everybody.
    #[must_use]
    pub fn lifetimes(&self, usual: Lifetimes) -> Lifetimes {
        let or = |own: Option<Span>, usual: Duration| own.map_or(usual, |Span(own)| own);
        Lifetimes {
            access: or(self.details.access_ttl, usual.access),
            refresh: or(self.details.refresh_ttl, usual.refresh),
            refresh_idle: or(self.details.refresh_idle_ttl, usual.refresh_idle),
            ..usual
        }
    }

    /// Whether a code may be sent there: to the letter, but for the port of a loopback address, which a
    /// program cannot choose (RFC 8252 §7.3).
    pub fn may_redirect(&self, uri: &str) -> bool {
        is_listed(&self.details.redirect_uris, uri)
    }

    /// Whether browsers may go there after signing out; the same holds of the port.
    pub fn may_leave_to(&self, uri: &str) -> bool {
        is_listed(&self.details.post_logout_redirect_uris, uri)
    }

    /// Whether tokens for this resource may be asked for: an absolute URI without a fragment
    /// (RFC 8707 §2), and a registered one if any are registered.
    pub fn may_target(&self, resource: &str) -> bool {
        is_absolute_uri(resource)
            && (self.resources.is_empty() || self.resources.iter().any(|known| known == resource))
    }
}

/// The hosts that are this very machine, as they stand in an address.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Scheme, host and the rest of an address of this very machine, without the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = LOOPBACK.into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.strip_prefix(host)?;
    let rest = match rest.strip_prefix(':') {
        Some(port) => {
            let end = port.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(port.len());
            let (digits, rest) = port.split_at_checked(end)?;
            digits.parse::<u16>().ok()?;
            rest
        }
        None => rest,
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// Whether an address is one of these, to the letter or, on this machine, but for its port.
pub fn is_listed(known: &[String], uri: &str) -> bool {
    known.iter().any(|known| known == uri || is_same_but_for_port(known, uri))
}

fn is_same_but_for_port(known: &str, uri: &str) -> bool {
    loopback(known).is_some_and(|known| loopback(uri) == Some(known))
}

/// Whether what stands before the path is a host as browsers spell it, with a port or without.
fn is_host(rest: &str) -> bool {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let place = rest.get(..end).unwrap_or_default();
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((v6, port)) if v6.parse::<std::net::Ipv6Addr>().is_ok() => (place, port.strip_prefix(':')),
            _ => return false,
        },
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let plain =
        host.starts_with('[') || host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    !host.is_empty() && plain && !is_disguised(host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Whether browsers read another host than the one that stands there: what ends in a number is an IPv4
/// address to them, and `0x7f.1` is 127.0.0.1 (WHATWG URL §3.5).
fn is_disguised(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = match hex {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    };
    number && host.parse::<std::net::Ipv4Addr>().is_err()
}

/// Whether codes and browsers may be sent there: https, this very machine, or a scheme of an app's own
/// that holds a dot, as the reverse domain of RFC 8252 §7.1 does.
pub fn is_redirect_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    is_absolute_uri(uri)
        && match scheme {
            "https" => rest.strip_prefix("//").is_some_and(is_host),
            "http" => loopback(uri).is_some(),
            _ => scheme.contains('.'),
        }
        // A user name would show another host than the one that is meant.
        && !rest.contains(['@', '\\', '*'])
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
    fn only_the_port_of_this_machine_is_free() {
        let known = "http://127.0.0.1/callback";
        for same in ["http://127.0.0.1:4711/callback", "http://127.0.0.1/callback"] {
            assert!(is_same_but_for_port(known, same), "{same}");
        }
        for other in [
            "http://127.0.0.1:4711/other",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1:99999/callback",
            "http://[::1]:4711/callback",
            "https://127.0.0.1:4711/callback",
            "http://127.0.0.1:4711/callback?x=1",
        ] {
            assert!(!is_same_but_for_port(known, other), "{other}");
        }
        assert!(!is_same_but_for_port("https://app.example/cb", "https://app.example:8443/cb"));
    }

    #[test]
    fn codes_go_to_apps_and_to_nobody_else() {
        for good in [
            "https://app.example:8443/cb",
            "https://[2001:db8::1]/cb",
            "https://192.0.2.1/cb",
            "http://127.0.0.1/cb",
            "http://localhost:8000",
            "com.example.app:/cb",
        ] {
            assert!(is_redirect_uri(good), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https:///cb",
            "https://user@app.example/",
            "https://app.example/cb#x",
            "https://*.example/cb",
            "https://a;b.example/",
            "https://%2A/",
            "https://a.example:99999/",
            "https://[::1/",
            "https://0x7f.1/",
            "https://2130706433/cb",
            "https://127.0.0.01/",
            "https://127.0.0.1./",
            "app",
        ] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
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
