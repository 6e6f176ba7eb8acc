//! What the operator demands of approvals: of all, and otherwise of those for single clients.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::{MULTI_FACTOR, SINGLE_FACTOR};
use crate::client::names;
use crate::scope::Scopes;
use crate::time::Span;

names! {
    /// What follows where a device asks from another place than its person approves from.
    Mismatch {
        Off = "off",
        Warn = "warn",
        StepUp = "step_up",
        Deny = "deny",
    }
}

names! {
    /// Whether whoever has the device must be whoever approved: a PIN is shown to the one and typed by
    /// the other.
    InitiationCheck {
        Off = "off",
        Pin = "pin",
    }
}

names! {
    /// Classes of sign-ins (OpenID Connect Core §2).
    Acr {
        SingleFactor = SINGLE_FACTOR,
        MultiFactor = MULTI_FACTOR,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How old the sign-in behind an approval may be.
    pub max_age: Option<Duration>,
    pub acr: Acr,
    pub mismatch: Mismatch,
    /// Links may carry the code.
    pub complete_uri: bool,
    /// From where devices may ask. Empty: from everywhere.
    pub requesters: Vec<IpNet>,
    /// What nobody gets more than.
    pub scope_cap: Option<Scopes>,
    /// No code lives longer.
    pub code_ttl: Option<Duration>,
    pub initiation_check: InitiationCheck,
}

/// What of a policy is otherwise for one client; what is not said stays. Read from TOML, kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Exceptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub acr: Option<Acr>,
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub mismatch: Option<Mismatch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_uri: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    pub allowed_requester_cidrs: Option<Vec<Network>>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "scopes",
        serialize_with = "names_of"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>"))]
    pub scope_cap: Option<Scopes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_ttl: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub initiation_check: Option<InitiationCheck>,
}

impl Exceptions {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network, such as 10.0.0.0/8 or ::1")]
pub struct BadNetwork(String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| BadNetwork(text.to_owned()))
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Policy {
    /// What holds where `exceptions` are made.
    #[must_use]
    pub fn with(&self, exceptions: &Exceptions) -> Self {
        let other = exceptions.clone();
        let networks =
            |networks: Vec<Network>| networks.into_iter().map(|Network(network)| network).collect();
        Self {
            max_age: other.max_age.map(|Span(age)| age).or(self.max_age),
            acr: other.acr.unwrap_or(self.acr),
            mismatch: other.mismatch.unwrap_or(self.mismatch),
            complete_uri: other.complete_uri.unwrap_or(self.complete_uri),
            requesters: other.allowed_requester_cidrs.map_or_else(|| self.requesters.clone(), networks),
            scope_cap: other.scope_cap.or_else(|| self.scope_cap.clone()),
            code_ttl: other.code_ttl.map(|Span(ttl)| ttl).or(self.code_ttl),
            initiation_check: other.initiation_check.unwrap_or(self.initiation_check),
        }
    }

    /// Whether devices at this address may ask.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.requesters.is_empty() || self.requesters.iter().any(|network| network.contains(&address))
    }

    /// What of `asked` may be given.
    #[must_use]
    pub fn capped(&self, asked: &Scopes) -> Scopes {
        self.scope_cap.as_ref().map_or_else(|| asked.clone(), |cap| asked.within(cap))
    }

    /// How long a code lives that would live this long.
    pub fn lifetime(&self, usual: Duration) -> Duration {
        self.code_ttl.map_or(usual, |cap| cap.min(usual))
    }
}

/// Values that are written as words.
mod text {
    #![expect(clippy::ref_option, reason = "serde calls it so")]

    use super::{Deserialize, Deserializer, Display, FromStr, Serializer};
    use serde::de::Error as _;

    pub fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A list of names, or one text with spaces between them.
fn scopes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Scopes>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of scopes")]
    enum Written {
        Many(Vec<String>),
        One(String),
    }
    let scopes = match Option::<Written>::deserialize(from)? {
        Some(Written::Many(names)) => Some(Scopes::from_names(names)),
        Some(Written::One(text)) => Some(text.parse()),
        None => None,
    };
    scopes.transpose().map_err(D::Error::custom)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn names_of<S: Serializer>(scopes: &Option<Scopes>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(scopes.iter().flat_map(Scopes::iter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            max_age: None,
            acr: Acr::SingleFactor,
            mismatch: Mismatch::Warn,
            complete_uri: true,
            requesters: Vec::new(),
            scope_cap: None,
            code_ttl: Some(Duration::from_mins(10)),
            initiation_check: InitiationCheck::Off,
        }
    }

    #[test]
    fn what_is_not_said_stays() {
        let all = r#"{"max_age":"5m","acr":"multi-factor","mismatch":"deny","complete_uri":false,"allowed_requester_cidrs":["10.0.0.0/8","192.0.2.1/32"],"scope_cap":["openid"],"code_ttl":"2m","initiation_check":"pin"}"#;
        let exceptions: Exceptions = serde_json::from_str(all).unwrap();
        assert_eq!(serde_json::to_string(&exceptions).unwrap(), all);
        assert_eq!(policy().with(&Exceptions::default()), policy());
        let other = policy().with(&exceptions);
        assert_eq!((other.max_age, other.acr), (Some(Duration::from_mins(5)), Acr::MultiFactor));
        assert_eq!((other.mismatch, other.complete_uri), (Mismatch::Deny, false));
        assert_eq!(other.initiation_check, InitiationCheck::Pin);
        assert_eq!(other.lifetime(Duration::from_mins(30)), Duration::from_mins(2));
        assert_eq!(other.lifetime(Duration::from_mins(1)), Duration::from_mins(1));
        assert_eq!(other.capped(&"profile openid".parse().unwrap()), "openid".parse().unwrap());
        assert!(other.may_ask("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!other.may_ask("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            (r#"{"mismach":"deny"}"#, "mismach"),
            (r#"{"mismatch":"never"}"#, "`never` is not known here; use one of: off, warn, step_up, deny"),
            (r#"{"max_age":"soon"}"#, "`soon` is not a duration"),
            (r#"{"allowed_requester_cidrs":["home"]}"#, "`home` is not a network"),
            (r#"{"scope_cap":["a b"]}"#, "`a b` is not a scope"),
            (r#"{"scope_cap":7}"#, "expected a list of scopes"),
        ] {
            let error = serde_json::from_str::<Exceptions>(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
