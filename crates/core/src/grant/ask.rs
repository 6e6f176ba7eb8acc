//! What is asked for at each door.

use serde::{Deserialize, Serialize};

use crate::account::{MULTI_FACTOR, SINGLE_FACTOR};
use crate::client::ClientId;
use crate::node::NodeFacts;
use crate::scope::Scopes;

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The OAuth door: access, refresh and ID token.
    Tokens(TokensAsk),
    /// The CLI door: an API key.
    Key(KeyAsk),
    /// The socket door: a device token.
    Pairing(PairingAsk),
}

/// Who wants to be paired, and what it may do then.
#[derive(Clone, Debug)]
pub struct PairingAsk {
    pub facts: NodeFacts,
    pub scopes: Scopes,
}

/// Where a device comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    OAuth,
    Cli,
    Socket,
}

impl Door {
    pub const ALL: [Self; 3] = [Self::OAuth, Self::Cli, Self::Socket];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OAuth => "oauth",
            Self::Cli => "cli",
            Self::Socket => "socket",
        }
    }
}

impl Ask {
    pub const fn door(&self) -> Door {
        match self {
            Self::Tokens(_) => Door::OAuth,
            Self::Key(_) => Door::Cli,
            Self::Pairing(_) => Door::Socket,
        }
    }
}

impl Ask {
    /// Less is asked for.
    pub fn narrow(&mut self, scopes: Scopes) {
        match self {
            Self::Tokens(ask) => ask.scopes = scopes,
            Self::Key(ask) => ask.scopes = scopes,
            Self::Pairing(ask) => ask.scopes = scopes,
        }
    }
}

/// What an API key is asked for with.
#[derive(Clone, Debug)]
pub struct KeyAsk {
    pub way: Way,
    /// The client that says so, if it says so; then it limits the scopes.
    pub client: Option<ClientId>,
    /// Of the key to be. Whoever asks chooses it.
    pub name: String,
    pub scopes: Scopes,
}

/// Who shows the code, and who types it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The command line shows it, a person types it and approves.
    Forward,
    /// A person has it shown, which approves it from birth, and types it into the command line.
    Reverse,
}

#[derive(Clone, Debug)]
pub struct TokensAsk {
    pub client: ClientId,
    pub scopes: Scopes,
    pub options: TokensOptions,
}

/// What OIDC and RFC 8707 let a client add to its question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokensOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Seconds since the sign-in, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
    /// `prompt=login`: a sign-in after the question was asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prompt_login: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The key that must be shown at the token endpoint (RFC 9449 §10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Thumbprint>,
    /// It was asked through a browser, which takes the answer back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeOptions>,
}

/// The thumbprint of a public key (RFC 7638), SHA-256 in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbprint(String);

impl Thumbprint {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint has 43 characters of base64url")]
pub struct BadThumbprint;

impl std::str::FromStr for Thumbprint {
    type Err = BadThumbprint;

    fn from_str(text: &str) -> Result<Self, BadThumbprint> {
        let fits =
            text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadThumbprint) }
    }
}

/// What comes with a question that is asked through a browser (RFC 6749 §4.1.1, RFC 7636 §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOptions {
    pub redirect_uri: String,
    /// Whether the question named it: then whoever brings the code names it, too (RFC 6749 §4.1.3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
    /// SHA-256 of the verifier, in base64url.
    pub challenge: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl TokensOptions {
    /// The first of `acr_values` that we know is what is preferred (OIDC Core §3.1.2.1).
    pub(super) fn wants_multi_factor(&self) -> bool {
        let known = |value: &&String| [SINGLE_FACTOR, MULTI_FACTOR].contains(&value.as_str());
        self.acr_values.iter().find(known).is_some_and(|value| value == MULTI_FACTOR)
    }
}
