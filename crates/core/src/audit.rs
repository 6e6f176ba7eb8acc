//! The audit trail: one row per thing that somebody might have to answer for.

use std::fmt;

use crate::client::ClientId;
use crate::id::{AccountId, AuditId, DeviceId, GrantId};
use crate::time::Timestamp;

macro_rules! actions {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// What happened. The names are for good: people filter by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($variant),* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.name() == name)
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

impl Action {
    /// How it ended for whoever wanted something.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::SignInFailed
            | Self::CodeWrong
            | Self::ReverseCodeWrong
            | Self::PinWrong
            | Self::TokenReused
            | Self::ClientRefused => Outcome::Failure,
            Self::GrantRefused | Self::GrantDenied | Self::GrantSteppedUp => Outcome::Denied,
            _ => Outcome::Success,
        }
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// What was shown was wrong.
    Failure,
    /// Somebody, or the policy, said no.
    Denied,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

actions! {
    GrantOpened = "grant.opened",
    GrantApproved = "grant.approved",
    GrantRefused = "grant.refused",
    GrantNarrowed = "grant.narrowed",
    GrantSteppedUp = "grant.stepped_up",
    Suspicion = "suspicion",
    PinWrong = "grant.pin_wrong",
    GrantDenied = "grant.denied",
    GrantUndone = "grant.undone",
    GrantRedeemed = "grant.redeemed",
    TokenIssued = "token.issued",
    TokenRefreshed = "token.refreshed",
    TokenReused = "token.reused",
    TokenRevoked = "token.revoked",
    DeviceRevoked = "device.revoked",
    SignInSucceeded = "sign_in.succeeded",
    PasswordRight = "sign_in.password",
    UpstreamRight = "sign_in.upstream",
    IdentityLinked = "identity.linked",
    IdentityUnlinked = "identity.unlinked",
    SignInFailed = "sign_in.failed",
    SessionEnded = "session.ended",
    SignedOut = "sign_in.ended",
    TotpEnrolled = "totp.enrolled",
    TotpRemoved = "totp.removed",
    RecoveryCodesMade = "recovery_codes.made",
    RecoveryCodeUsed = "recovery_code.used",
    PasskeyAdded = "passkey.added",
    PasskeyRenamed = "passkey.renamed",
    PasskeyRemoved = "passkey.removed",
    FactorsReset = "factors.reset",
    CodeWrong = "code.wrong",
    PairingRequested = "pairing.requested",
    NodeAssigned = "node.assigned",
    NodeImported = "node.imported",
    NodeRefreshed = "node.refreshed",
    NodeRenamed = "node.renamed",
    NodeRevoked = "node.revoked",
    NodeRemoved = "node.removed",
    UserAdded = "user.added",
    UserPassword = "user.password",
    UserDisabled = "user.disabled",
    UserEnabled = "user.enabled",
    UserRemoved = "user.removed",
    ClientAdded = "client.added",
    ClientEdited = "client.edited",
    ClientSecretRotated = "client.secret_rotated",
    ClientRemoved = "client.removed",
    ClientRegistered = "client.registered",
    ClientRefused = "client.refused",
    UserEdited = "user.edited",
    UserSignedOut = "user.signed_out",
    NoticeReplayed = "notice.replayed",
    AuditExported = "audit.exported",
    KeyRotated = "key.rotated",
    ReverseCodeMade = "reverse_code.made",
    ReverseCodeWrong = "reverse_code.wrong",
    ApiKeyMade = "api_key.made",
    ApiKeyRotated = "api_key.rotated",
    ApiKeyRevoked = "api_key.revoked",
    ApiKeyReported = "api_key.reported",
}

/// One row. Codes, tokens and passwords never stand in `detail`.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: AuditId,
    pub at: Timestamp,
    pub action: Action,
    pub account: Option<AccountId>,
    pub client: Option<ClientId>,
    pub grant: Option<GrantId>,
    pub device: Option<DeviceId>,
    pub address: Option<String>,
    pub detail: Option<String>,
    /// None: whom it is about.
    pub actor: Option<Actor>,
}

/// Who did something to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever could run the program on the server's database.
    CommandLine,
    /// An administrator, signed in or by a token of theirs.
    Administrator(AccountId),
    /// A client with the scope `admin`.
    Client(ClientId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Administrator(id) => write!(f, "administrator {id}"),
            Self::Client(id) => write!(f, "client {id}"),
        }
    }
}

/// An administrative act: whose, and from where.
#[derive(Clone, Debug)]
pub struct By {
    pub actor: Actor,
    pub address: Option<String>,
}

impl By {
    pub const COMMAND_LINE: Self = Self { actor: Actor::CommandLine, address: None };
}

impl Event {
    /// As this administrator's act.
    #[must_use]
    pub fn by(mut self, by: &By) -> Self {
        self.actor = Some(by.actor.clone());
        self.address.clone_from(&by.address);
        self
    }
}

impl Event {
    pub const fn new(id: AuditId, at: Timestamp, action: Action) -> Self {
        Self {
            id,
            at,
            action,
            account: None,
            client: None,
            grant: None,
            device: None,
            address: None,
            detail: None,
            actor: None,
        }
    }
}
