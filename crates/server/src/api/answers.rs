//! What the CLI door answers, shape by shape.

use countersign_core::account::Account;
use countersign_core::key::Key;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use countersign_core::wire::{reveal, reveal_option};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::rfc3339;
use crate::flow::devices::Device;

/// A code to show, and one to poll with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Codes {
    #[serde(serialize_with = "reveal")]
    pub device_code: Plain,
    #[serde(serialize_with = "reveal")]
    pub user_code: Plain,
    /// The same as `verification_uri`, by the name that older clients know.
    pub verification_url: String,
    pub verification_uri: String,
    #[serde(serialize_with = "reveal")]
    pub verification_uri_complete: Plain,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between polls.
    pub interval: u64,
}

/// Approved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Approved {
    pub message: &'static str,
    /// As it was typed.
    pub user_code: String,
    /// Two digits to type into the command line, where the policy wants that.
    #[serde(serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub initiation_pin: Option<Plain>,
}

/// A code to type into a command line.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DashboardCode {
    #[serde(serialize_with = "reveal")]
    pub cli_code: Plain,
    /// Seconds.
    pub expires_in: u64,
    pub message: String,
}

/// Whose it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Person {
    pub id: String,
    pub email: Option<String>,
    pub full_name: Option<String>,
    /// A word of the operator's; `none` unless set.
    pub tier: String,
}

impl Person {
    pub fn of(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.clone(),
            full_name: account.full_name.clone(),
            tier: account.tier.clone(),
        }
    }
}

/// A new API key, shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Collected {
    #[serde(serialize_with = "reveal")]
    pub api_key: Plain,
    pub user: Person,
    pub key: KeyFacts,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyFacts {
    pub id: String,
    pub name: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// An API key, as published clients list it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyAsDevice {
    pub id: String,
    pub name: String,
    pub created_at: String,
    pub last_used: Option<String>,
    /// `active` or `revoked`.
    pub status: &'static str,
}

impl KeyAsDevice {
    pub fn of(key: Key, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            created_at: rfc3339(key.created_at),
            last_used: key.last_used.map(rfc3339),
            status: if key.is_live(now) { "active" } else { "revoked" },
            name: key.name,
        }
    }
}

/// An API key, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyInfo {
    pub id: String,
    pub name: String,
    /// How it begins.
    pub key_prefix: String,
    pub is_active: bool,
    pub created_at: String,
    pub last_used_at: Option<String>,
    pub expires_at: String,
    pub scopes: Vec<String>,
}

impl KeyInfo {
    pub fn of(key: &Key, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            key_prefix: key.start.clone(),
            is_active: key.is_live(now),
            created_at: rfc3339(key.created_at),
            last_used_at: key.last_used.map(rfc3339),
            expires_at: rfc3339(key.expires_at),
            scopes: key.scopes.iter().map(str::to_owned).collect(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Keys {
    pub total: usize,
    pub api_keys: Vec<KeyInfo>,
}

/// A key that was made by hand, or as a successor; shown this once.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MadeKey {
    #[serde(serialize_with = "reveal")]
    pub api_key: Plain,
    pub key_info: KeyInfo,
    pub message: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct RevokedKey {
    pub message: &'static str,
    pub key_id: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Said {
    pub message: &'static str,
}

/// Something connected, of any door.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Connected {
    pub id: String,
    /// `oauth`, `cli` or `socket`.
    pub door: &'static str,
    pub name: String,
    pub client: Option<String>,
    pub scopes: Vec<String>,
    pub created_at: String,
    pub last_used: Option<String>,
    /// The address that it asked from.
    pub place: String,
    /// `active`, `expired` or `revoked`.
    pub status: &'static str,
}

impl Connected {
    pub fn of(device: Device) -> Self {
        Self {
            id: device.id.to_string(),
            door: device.door.name(),
            name: device.name,
            client: device.client,
            scopes: device.scopes.iter().map(str::to_owned).collect(),
            created_at: rfc3339(device.created_at),
            last_used: device.last_used.map(rfc3339),
            place: device.from.address,
            status: device.status.name(),
        }
    }
}

/// What went wrong: `error` and `error_description` for all, `detail` as published clients read it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// A sentence; while polling an object with `error` and `message`; of fields that are wrong a list of
    /// `{type, loc, msg}`.
    pub detail: serde_json::Value,
    pub error: &'static str,
    pub error_description: String,
    /// With `slow_down`: seconds to wait between polls from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// With `authorization_pending`: approved, and `initiation_pin` must be sent along.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pin_required: bool,
}
