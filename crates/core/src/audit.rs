//! The audit trail: one row per thing that somebody might have to answer for.

use crate::client::ClientId;
use crate::id::{AccountId, AuditId, DeviceId, GrantId};
use crate::time::Timestamp;

macro_rules! actions {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// What happened. The names are for good: people filter by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action { $($variant),* }

        impl Action {
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
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
        }
    }
}
