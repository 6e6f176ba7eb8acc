//! The words of administrative commands.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use countersign_core::client::{AuthMethod, ClientId, GrantType, SigningAlg, TokenFormat};
use countersign_core::id::DeviceId;
use countersign_core::policy::Network;
use countersign_core::time::{Span, Timestamp};
use countersign_server::flow::clients::Field;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Adds a person; asks for the password at a terminal, makes and prints one otherwise
    Add {
        name: String,
        #[arg(long, value_name = "E")]
        email: Option<String>,
        #[arg(long, value_name = "N")]
        full_name: Option<String>,
        /// A word of yours, such as a plan
        #[arg(long, value_name = "T")]
        tier: Option<String>,
        /// Read the password from standard input, one line
        #[arg(long)]
        password_stdin: bool,
        #[arg(long)]
        admin: bool,
        #[arg(long)]
        json: bool,
    },
    /// Lists people
    List {
        #[arg(long)]
        json: bool,
    },
    /// Changes a person; what is not named stays
    Edit {
        name: String,
        /// An empty one removes it
        #[arg(long, value_name = "E")]
        email: Option<String>,
        /// An empty one removes it
        #[arg(long, value_name = "N")]
        full_name: Option<String>,
        /// A word of yours, such as a plan
        #[arg(long, value_name = "T")]
        tier: Option<String>,
        /// Whether they administer: true or false. When that changes, their API keys and logins with the scope
        /// admin end
        #[arg(long, value_name = "YES", num_args = 1)]
        admin: Option<bool>,
        #[arg(long)]
        json: bool,
    },
    /// Sets a new password and signs the person out everywhere; devices stay connected. Asks for it at a
    /// terminal, makes and prints one otherwise
    Password {
        name: String,
        /// Read the password from standard input, one line
        #[arg(long)]
        password_stdin: bool,
        #[arg(long)]
        json: bool,
    },
    /// Locks a person out and disconnects all of their devices
    Disable { name: String },
    /// Lets a person sign in again; devices must be connected anew
    Enable { name: String },
    /// Signs a person out of every browser; devices stay connected
    SignOut { name: String },
    /// Takes a person's second factors away, for whoever lost all of them
    ResetFactors { name: String },
    /// Removes a person and disconnects all of their devices; the audit trail keeps their id
    Remove { name: String },
}

#[derive(Debug, Args)]
pub struct ClientFields {
    /// What people read on the confirm page
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// A scope that the client may ask for; repeat for more. Without any: openid profile email `offline_access`
    #[arg(long = "scope", value_name = "S")]
    pub scopes: Vec<String>,
    /// A grant that it may use: `device_code`, `refresh_token`, `authorization_code` or `client_credentials`;
    /// repeat for more. Without any: `device_code` and `refresh_token`
    #[arg(long = "grant", value_name = "G")]
    pub grants: Vec<GrantType>,
    /// A resource (RFC 8707) that its tokens may be for; repeat for more. Without any: every one
    #[arg(long = "resource", value_name = "URI")]
    pub resources: Vec<String>,
    /// What its access tokens are: jwt or opaque
    #[arg(long, value_name = "FORMAT")]
    pub token_format: Option<TokenFormat>,
    /// Signature of its ID tokens: ES256, RS256 or `EdDSA`
    #[arg(long, value_name = "ALG")]
    pub id_token_alg: Option<SigningAlg>,
    /// How long its codes live, in place of `device.code_ttl`
    #[arg(long, value_name = "D")]
    pub code_ttl: Option<Span>,
    /// How long its devices wait between polls, in place of device.interval
    #[arg(long, value_name = "D")]
    pub interval: Option<Span>,
    /// A TOML file with what of the approval policy is otherwise for it: keys as below `approval.` in the
    /// configuration (`max_age`, acr, mismatch, `complete_uri`, `allowed_requester_cidrs`, `scope_cap`, `code_ttl`,
    /// `initiation_check`)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where authorization codes may be sent: https, an app's own scheme, or http on this machine, with any
    /// port; repeat for more
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub redirect_uris: Vec<String>,
    /// Where browsers may go after signing out; repeat for more
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Its public keys, with --auth-method `private_key_jwt`: a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// How long its access tokens live, in place of `tokens.access_ttl`; a day at most
    #[arg(long, value_name = "D")]
    pub access_ttl: Option<Span>,
    /// How long its logins live, in place of `tokens.refresh_ttl`
    #[arg(long, value_name = "D")]
    pub refresh_ttl: Option<Span>,
    /// How long a refresh token of its lives that nobody uses, in place of `tokens.refresh_idle_ttl`
    #[arg(long, value_name = "D")]
    pub refresh_idle_ttl: Option<Span>,
    /// Whether it gets tokens that are bound to a key (`DPoP`), and no others
    #[arg(long, value_name = "BOOL")]
    pub dpop_bound: Option<bool>,
    /// Whether its authorization requests must be pushed (RFC 9126)
    #[arg(long, value_name = "BOOL")]
    pub require_par: Option<bool>,
}

/// A field of a client that can go back to its default.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Resettable {
    Scope,
    Grant,
    Resource,
    TokenFormat,
    IdTokenAlg,
    CodeTtl,
    Interval,
    Policy,
    RedirectUri,
    PostLogoutRedirectUri,
    AccessTtl,
    RefreshTtl,
    RefreshIdleTtl,
}

impl Resettable {
    pub const fn field(self) -> Field {
        match self {
            Self::Scope => Field::Scopes,
            Self::Grant => Field::Grants,
            Self::Resource => Field::Resources,
            Self::TokenFormat => Field::TokenFormat,
            Self::IdTokenAlg => Field::IdTokenAlg,
            Self::CodeTtl => Field::CodeTtl,
            Self::Interval => Field::Interval,
            Self::Policy => Field::Policy,
            Self::RedirectUri => Field::RedirectUris,
            Self::PostLogoutRedirectUri => Field::PostLogoutRedirectUris,
            Self::AccessTtl => Field::AccessTtl,
            Self::RefreshTtl => Field::RefreshTtl,
            Self::RefreshIdleTtl => Field::RefreshIdleTtl,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Adds a client and prints its secret, once
    Add {
        #[arg(long)]
        id: ClientId,
        #[command(flatten)]
        fields: ClientFields,
        /// A confidential client: it gets a secret
        #[arg(long, conflicts_with = "public")]
        secret: bool,
        /// A public client: it has no secret (the default)
        #[arg(long)]
        public: bool,
        /// The only way in which it may prove who it is: none, `client_secret_basic`,
        /// `client_secret_post` or `private_key_jwt`
        #[arg(long, value_name = "M", conflicts_with = "public")]
        auth_method: Option<AuthMethod>,
        #[arg(long)]
        json: bool,
    },
    /// Lists clients
    List {
        #[arg(long)]
        json: bool,
    },
    /// Shows one client
    Show {
        id: ClientId,
        #[arg(long)]
        json: bool,
    },
    /// Changes a client; what is not named stays
    Edit {
        id: ClientId,
        #[command(flatten)]
        fields: ClientFields,
        /// Puts a field back to its default; repeat for more
        #[arg(long, value_name = "FIELD")]
        reset: Vec<Resettable>,
        #[arg(long)]
        json: bool,
    },
    /// Gives a confidential client a new secret; the old one ends at once, or after --overlap
    RotateSecret {
        id: ClientId,
        /// How long the old secret goes on beside the new one, such as 1d
        #[arg(long, value_name = "D")]
        overlap: Option<Span>,
        #[arg(long)]
        json: bool,
    },
    /// Removes a client and disconnects all of its devices. Without `countersign-cli`, `countersign login` needs
    /// another with --client-id
    Remove { id: ClientId },
}

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Lists the credentials of every door, also those that ended lately
    List {
        #[command(flatten)]
        filter: DeviceFilter,
        #[arg(long)]
        json: bool,
    },
    /// Disconnects one, or everything that came of one address, client or time
    Revoke {
        id: Option<DeviceId>,
        #[command(flatten)]
        sweep: SweepOptions,
    },
    /// Gives a paired node that is nobody's to a user
    Assign {
        id: DeviceId,
        /// The user whose it is from now on
        #[arg(long, value_name = "USER")]
        owner: String,
    },
}

/// What fits all of these.
#[derive(Debug, Args)]
pub struct DeviceFilter {
    /// Of this user
    #[arg(long, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Of this client
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub client: Option<String>,
    /// Asked for from this address
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// Only those that are connected
    #[arg(long)]
    pub active: bool,
}

/// What is disconnected at once: everything that fits all of these. Questions that are still open, or were
/// not collected, are denied with it.
#[derive(Debug, Args)]
pub struct SweepOptions {
    /// Asked for from this address or network, such as 203.0.113.7 or 203.0.113.0/24
    #[arg(long, value_name = "NETWORK", conflicts_with = "id")]
    pub from: Option<Network>,
    /// Of this client
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    pub client: Option<ClientId>,
    /// Connected at this time or later, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "id", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Connected before this time
    #[arg(long, value_name = "TIME", conflicts_with = "id", value_parser = moment)]
    pub until: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp =
        text.parse().map_err(|_| "expected a time such as 2026-01-31T08:00:00Z".to_owned())?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// The TOML file of aisopod-gateway's device tokens, which go on working
    Aisopod {
        file: PathBuf,
        /// Whose devices they will be
        #[arg(long, value_name = "USER")]
        owner: String,
        /// Say what would happen, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// The TOML file of aisopod-gateway's device tokens, revoked ones included
    Aisopod {
        /// Write to this new file (0600) and not to standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Shows what happened, the newest first
    List {
        #[command(flatten)]
        filter: AuditFilter,
        /// So many rows at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[arg(long)]
        json: bool,
    },
    /// Writes everything that fits as lines of JSON, the newest first
    Export {
        #[command(flatten)]
        filter: AuditFilter,
        /// Write to this new file (0600) and not to standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Says whether a row was removed or changed since it was sealed
    Verify {
        #[arg(long)]
        json: bool,
    },
}

/// What fits all of these.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// An action such as `grant.approved`, or what stands before the dot
    #[arg(long, value_name = "ACTION", value_parser = NonEmptyStringValueParser::new())]
    pub action: Option<String>,
    /// About this user: a name, or the id of somebody who may be gone
    #[arg(long, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// About this client
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub client: Option<String>,
    /// About this device
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub device: Option<String>,
    /// From this address
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// At this time or later, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = NonEmptyStringValueParser::new())]
    pub since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = NonEmptyStringValueParser::new())]
    pub until: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Lists signing keys
    List {
        #[arg(long)]
        json: bool,
    },
    /// Makes the next keys current; the old ones are published until their tokens have expired
    Rotate {
        #[arg(long)]
        json: bool,
    },
}
