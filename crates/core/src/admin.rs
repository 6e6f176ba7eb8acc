//! What the administration speaks, over HTTP and on the command line alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::Exceptions;
use crate::secret::Plain;
use crate::time::Span;
use crate::wire::{reveal, reveal_option};

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What `cursor` must be for the next page; none at the end.
    pub next: Option<String>,
}

/// A client as it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientView {
    pub client_id: String,
    pub name: String,
    /// How it may prove who it is, separated by commas.
    pub auth_method: String,
    pub scopes: Vec<String>,
    pub grants: Vec<String>,
    pub resources: Vec<String>,
    pub token_format: String,
    pub id_token_alg: String,
    pub code_ttl: Option<Span>,
    pub interval: Option<Span>,
    pub policy: Exceptions,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub access_ttl: Option<Span>,
    pub refresh_ttl: Option<Span>,
    pub refresh_idle_ttl: Option<Span>,
    pub dpop_bound: bool,
    pub require_par: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Until when the secret before this one is good, too (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Rises with each change; its `ETag`.
    pub revision: u32,
    /// Shown once, where it was made.
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Plain>,
}

/// What is said of a client; what is not said stays, or has its default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ClientChange {
    /// What people read when they approve: 1 to 100 visible characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may ask for; `openid profile email offline_access` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Grant types by their names in OAuth, `device_code` in short; `device_code` and `refresh_token` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// Absolute URIs that its tokens may be for (RFC 8707); every one by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<String>>,
    /// What its access tokens are: `jwt` or `opaque`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_format: Option<String>,
    /// Signature of its ID tokens: `ES256`, `RS256` or `EdDSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_alg: Option<String>,
    /// How long its codes live, such as `10m`; as `device.code_ttl` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_ttl: Option<Span>,
    /// How long its devices wait between polls, such as `5s`; as `device.interval` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// What of the approval policy is otherwise for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Exceptions>,
    /// Where authorization codes may be sent: https, an app's own scheme, or http on this machine with any port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Where browsers may go after signing out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// How long its access tokens live, a day at most; as `tokens.access_ttl` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<Span>,
    /// How long its logins live; as `tokens.refresh_ttl` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_ttl: Option<Span>,
    /// How long a refresh token lives that nobody uses; as `tokens.refresh_idle_ttl` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_idle_ttl: Option<Span>,
    /// Whether it gets tokens that are bound to a key (`DPoP`), and no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_bound: Option<bool>,
    /// Whether its authorization requests must be pushed (RFC 9126).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_par: Option<bool>,
    /// Its public keys, with `private_key_jwt`: a JSON Web Key Set (RFC 7517).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Fields that go back to their defaults first, such as `code_ttl`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
}

/// A new client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    pub client_id: String,
    /// `none` for a public client, the default; `client_secret` for one that may use Basic and post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<String>,
    /// What else is said of it, as in a change. `reset` makes no sense here.
    #[serde(default)]
    pub settings: ClientChange,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// How long the old secret goes on; not at all unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Span>,
}

/// A person as they stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserView {
    pub id: String,
    pub name: String,
    pub email: Option<String>,
    pub full_name: Option<String>,
    /// A word of yours, such as a plan.
    pub tier: String,
    pub admin: bool,
    /// RFC 3339.
    pub created_at: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// Rises with each change; its `ETag`.
    pub revision: u32,
    /// Shown once, where it was made.
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub password: Option<Plain>,
}

/// A new person. Without a password one is made and shown once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What they sign in with.
    pub name: String,
    /// Where notices go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// A word of yours, such as a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Whether they administer.
    #[serde(default)]
    pub admin: bool,
    /// At least 8 bytes; without it one is made.
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub password: Option<Plain>,
}

/// What is changed of a person; an empty text takes it away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UserChange {
    /// Where notices go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// A word of yours, such as a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Whether they administer; when that changes, their API keys and logins with the scope `admin` end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
}

/// A new password; without one it is made and shown once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NewPassword {
    /// At least 8 bytes.
    #[serde(serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub password: Option<Plain>,
}

/// A credential of any door.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceView {
    pub id: String,
    /// `oauth`, `cli` or `socket`.
    pub door: String,
    pub user: String,
    pub client: Option<String>,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: String,
    pub last_used: Option<String>,
    /// Where it asked from.
    pub address: String,
    /// `active`, `expired` or `revoked`.
    pub status: String,
}

/// What is revoked at once: everything that fits all of these; one at least must be said.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SweepRequest {
    /// An address or a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Swept {
    pub revoked: Vec<DeviceView>,
    /// Questions that were still open.
    pub denied: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Whose it is from now on.
    pub owner: String,
}

/// A signing key, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyView {
    pub id: String,
    pub alg: String,
    /// `next`, `current` or `retired`.
    pub stage: String,
    pub created_at: String,
    pub active_at: Option<String>,
    pub retired_at: Option<String>,
}

/// A list that is not paged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Items<T> {
    pub items: Vec<T>,
}

/// A password that was made here, shown this once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MadePassword {
    #[serde(serialize_with = "reveal")]
    pub password: Plain,
}

/// One row of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditView {
    pub id: String,
    /// RFC 3339, to the microsecond.
    pub at: String,
    /// Such as `grant.approved`.
    pub action: String,
    /// `success`, `denied` or `failure`.
    pub outcome: String,
    /// Who did it, such as `user 01a2…`, `client television` or `command line`.
    pub actor: String,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub client_id: Option<String>,
    pub grant_id: Option<String>,
    pub device_id: Option<String>,
    pub address: Option<String>,
    pub reason: Option<String>,
    /// Its place in the chain; none until it is sealed, within a second.
    pub seq: Option<i64>,
    pub hash: Option<String>,
}

/// Whether the audit trail is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    pub intact: bool,
    /// What is wrong, first of all.
    pub broken: Option<String>,
    pub rows: u64,
    pub unsealed: u64,
    /// The last row of the chain, and its seal.
    pub last: i64,
    pub hash: String,
}

/// A notice that did not arrive, yet or for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticeView {
    pub id: String,
    /// What it tells of, such as `device.connected`.
    pub event: String,
    /// `mail` or `webhook`.
    pub kind: String,
    /// The person, or the webhook's id.
    pub target: String,
    pub created_at: String,
    pub attempts: i64,
    /// `waiting` or `failed`.
    pub status: String,
    pub error: Option<String>,
}

/// What happened how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    pub since: String,
    pub now: Standing,
    /// Questions by what became of them.
    pub funnel: BTreeMap<String, i64>,
    /// How long people took to approve: how many within that many seconds.
    pub approval: Vec<Within>,
    /// Those who took longer than all of that.
    pub slower: i64,
    pub logins: Vec<Hour>,
    pub by_client: Vec<Counted>,
    /// By the limit, or the setting of the policy, that refused.
    pub refused: Vec<Counted>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Within {
    pub seconds: u64,
    pub count: i64,
}

/// Logins of one hour, by door.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hour {
    pub hour: String,
    pub doors: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counted {
    pub name: String,
    pub count: i64,
}

/// How things stand at this moment, on all servers together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Standing {
    /// Questions that wait for somebody, by door.
    pub questions: BTreeMap<String, i64>,
    /// Devices that are connected to an account, by door.
    pub devices: BTreeMap<String, i64>,
    /// Browsers that are signed in.
    pub sessions: i64,
    /// Notices on their way.
    pub notices_waiting: i64,
    /// Notices that were given up.
    pub notices_dead: i64,
}

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
}
