//! Nodes: phones and desktops that pair over a socket.

use std::fmt;
use std::str::FromStr;

use crate::grant::Origin;
use crate::id::{AccountId, DeviceId, NodeId};
use crate::scope::Scopes;
use crate::time::Timestamp;

/// What a paired node may do unless something else was approved.
pub const READ: &str = "operator.read";
/// Implies every other.
pub const ADMIN: &str = "operator.admin";
/// Lets its bearer approve, list and revoke pairings.
pub const PAIRING: &str = "operator.pairing";
/// These imply [`READ`].
const MORE_THAN_READ: [&str; 4] = [ADMIN, PAIRING, "operator.write", "operator.approvals"];

/// Whether these scopes include `wanted`, by name or because another one implies it.
pub fn may(scopes: &Scopes, wanted: &str) -> bool {
    scopes.contains(wanted)
        || scopes.contains(ADMIN)
        || (wanted == READ && MORE_THAN_READ.iter().any(|scope| scopes.contains(scope)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Ios,
    Android,
    Desktop,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid device_type: '{0}'. Must be 'ios', 'android', or 'desktop'")]
pub struct BadNodeKind(String);

impl NodeKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Desktop => "desktop",
        }
    }
}

impl FromStr for NodeKind {
    type Err = BadNodeKind;

    /// Case does not matter.
    fn from_str(text: &str) -> Result<Self, BadNodeKind> {
        let known = [Self::Ios, Self::Android, Self::Desktop];
        let found = known.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| BadNodeKind(text.chars().take(64).collect()))
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    pub node: NodeId,
    pub name: String,
    pub kind: NodeKind,
    pub version: String,
}

/// A node that was paired.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its line in the inventory.
    pub id: DeviceId,
    pub facts: NodeFacts,
    /// Nobody's, where an operator's token or the node itself approved.
    pub owner: Option<AccountId>,
    pub scopes: Scopes,
    pub from: Origin,
    pub paired_at: Timestamp,
    pub last_used: Option<Timestamp>,
    /// None: until it is revoked.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Node {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether a use at `now` is worth writing down, as [`crate::key::Key::is_use_news`].
    pub fn is_use_news(&self, now: Timestamp) -> bool {
        self.last_used.is_none_or(|last| now.since(last) >= crate::key::USE_PRECISION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_imply_each_other() {
        let may = |have: &str, wanted: &str| may(&have.parse().unwrap(), wanted);
        assert!(may("operator.read", READ) && may("operator.write", READ) && may("operator.pairing", READ));
        assert!(may("operator.admin", PAIRING) && may("operator.admin", "operator.write"));
        assert!(!may("operator.read", PAIRING) && !may("operator.write", PAIRING) && !may("", READ));
        assert!(!may("operator.reader", READ));
    }

    #[test]
    fn kinds_in_any_case() {
        for text in ["ios", "iOS", "IOS"] {
            assert_eq!(text.parse(), Ok(NodeKind::Ios));
        }
        let error = "windows".parse::<NodeKind>().unwrap_err().to_string();
        assert_eq!(error, "Invalid device_type: 'windows'. Must be 'ios', 'android', or 'desktop'");
    }
}
