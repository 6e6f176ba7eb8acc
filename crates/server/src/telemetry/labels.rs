//! The labels of the metrics, and every value that they can have: a series that exists from the start
//! can be alerted on before its first event.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// What became of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantEvent {
    Asked,
    Opened,
    Approved,
    Denied,
    Expired,
    Redeemed,
}

impl GrantEvent {
    pub(super) const ALL: [Self; 6] =
        [Self::Asked, Self::Opened, Self::Approved, Self::Denied, Self::Expired, Self::Redeemed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Opened => "opened",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
        }
    }
}

impl EncodeLabelValue for GrantEvent {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

/// Why a node was not paired, besides a person's no and a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairingRefusal {
    /// Another address asks for the same device.
    Elsewhere,
    /// No code is free.
    Exhausted,
    UnknownCode,
    ExpiredCode,
    WrongDevice,
    /// Too many wrong devices for one code.
    Ended,
    /// The device is somebody else's.
    Foreign,
    /// The approval policy says no.
    Policy,
    Rejected,
}

impl PairingRefusal {
    pub(super) const ALL: [Self; 9] = [
        Self::Elsewhere,
        Self::Exhausted,
        Self::UnknownCode,
        Self::ExpiredCode,
        Self::WrongDevice,
        Self::Ended,
        Self::Foreign,
        Self::Policy,
        Self::Rejected,
    ];
}

impl EncodeLabelValue for PairingRefusal {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Elsewhere => "elsewhere",
            Self::Exhausted => "exhausted",
            Self::UnknownCode => "unknown_code",
            Self::ExpiredCode => "expired_code",
            Self::WrongDevice => "wrong_device",
            Self::Ended => "ended",
            Self::Foreign => "foreign",
            Self::Policy => "policy",
            Self::Rejected => "rejected",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

/// Everything that [`super::Metrics::refused`] is told.
pub(super) const LIMITS: [&str; 17] = [
    "device_codes_per_address",
    "device_codes_per_client",
    "wrong_codes",
    "wrong_reverse_codes",
    "wrong_passwords",
    "wrong_second_factors",
    "passkeys_per_address",
    "upstream_sign_ins_per_address",
    "api_keys",
    "registrations",
    "pairing_codes_per_address",
    "wrong_pairing_codes",
    "imported_tokens_per_address",
    "upgrades_per_address",
    "sockets_per_address",
    "max_sockets",
    "detection",
];

/// Everything that [`super::Metrics::objected`] is told.
pub(super) const SETTINGS: [&str; 7] = [
    "mismatch",
    "max_age",
    "acr",
    "allowed_requester_cidrs",
    "initiation_check",
    "scope_cap",
    "complete_uri",
];

/// What may become of a notice that is tried.
pub(super) const OUTCOMES: [&str; 3] = ["arrived", "retried", "failed"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabels {
    pub version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub reason: PairingRefusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GrantLabels {
    pub door: &'static str,
    pub state: GrantEvent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DoorLabels {
    pub door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub method: &'static str,
    pub route: String,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub method: &'static str,
    pub route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LimitLabels {
    pub limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NoticeLabels {
    pub kind: &'static str,
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyLabels {
    pub setting: &'static str,
}
