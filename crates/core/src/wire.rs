//! The JSON that both ends of the OAuth door speak.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// `serialize_with` for the one answer in which a secret is shown.
pub fn reveal<S: Serializer>(secret: &Plain, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.reveal())
}

/// [`reveal`] for what may be absent.
pub fn reveal_option<S: Serializer>(secret: &Option<Plain>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Plain::reveal).serialize(to)
}

/// RFC 8628 §3.2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceAuthorization {
    #[serde(serialize_with = "reveal")]
    pub device_code: Plain,
    #[serde(serialize_with = "reveal")]
    pub user_code: Plain,
    pub verification_uri: String,
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<Plain>,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between polls; 5 where a server does not say.
    #[serde(default = "default_interval")]
    pub interval: u64,
}

const fn default_interval() -> u64 {
    5
}

/// RFC 6749 §5.1 and OIDC Core §3.1.3.3.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenResponse {
    #[serde(serialize_with = "reveal")]
    pub access_token: Plain,
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Plain>,
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Plain>,
    #[serde(default)]
    pub scope: String,
}

/// RFC 6749 §5.2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    pub error: String,
    #[serde(default)]
    pub error_description: String,
    /// With `slow_down`: seconds to wait between polls from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// With `authorization_pending`: it is approved, and the PIN that the browser shows must be sent along.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pin_required: bool,
}

/// What a device needs of the discovery document (RFC 8414 §2).
#[derive(Clone, Debug, Deserialize)]
pub struct Discovery {
    pub issuer: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    pub device_authorization_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub userinfo_endpoint: Option<String>,
    pub introspection_endpoint: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub pushed_authorization_request_endpoint: Option<String>,
}

/// RFC 9126 §2.2.
#[derive(Clone, Debug, Deserialize)]
pub struct Pushed {
    pub request_uri: String,
}

impl Discovery {
    /// Every URL in it that is called.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.device_authorization_endpoint,
            &self.revocation_endpoint,
            &self.userinfo_endpoint,
            &self.introspection_endpoint,
            &self.authorization_endpoint,
            &self.pushed_authorization_request_endpoint,
        ];
        let optional = optional.into_iter().flatten();
        [&self.token_endpoint, &self.jwks_uri].into_iter().chain(optional).map(String::as_str)
    }
}

/// What a command line asks for at the CLI door.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeyRequest {
    /// A client that limits the scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What people will know the key by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<String>,
}

/// A new API key, shown this once.
#[derive(Clone, Debug, Deserialize)]
pub struct NewKey {
    pub api_key: Plain,
    pub user: KeyUser,
    pub key: KeyFacts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyUser {
    pub id: String,
    pub email: Option<String>,
    pub full_name: Option<String>,
    /// A word of the operator's; `none` unless set.
    #[serde(default)]
    pub tier: String,
    /// Only where somebody asks who they are.
    #[serde(default)]
    pub username: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyFacts {
    pub id: String,
    pub name: String,
    /// RFC 3339.
    pub expires_at: Option<String>,
}

/// Who somebody is, by the credential that they have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Me {
    pub user: KeyUser,
    pub credential: serde_json::Value,
}

/// What a server says of a token (RFC 7662 §2.2).
#[derive(Clone, Debug, Deserialize)]
pub struct Introspection(serde_json::Value);

impl Introspection {
    /// Everything that it says, if the token is good.
    pub fn active_claims(self) -> Option<serde_json::Value> {
        (self.0.get("active") == Some(&serde_json::Value::Bool(true))).then_some(self.0)
    }
}
