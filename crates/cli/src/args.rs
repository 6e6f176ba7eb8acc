//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use countersign_core::client::{AuthMethod, ClientId, GrantType, SigningAlg, TokenFormat};
use countersign_core::id::DeviceId;
use countersign_core::policy::Network;
use countersign_core::time::{Span, Timestamp};
use countersign_server::flow::clients::Field;
use countersign_server::openapi;

use crate::failure::Outcome;
use crate::output::{self, line};

/// Connects devices without a keyboard or browser to the people who own them.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Configuration file; without it countersign.toml in the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the database and the key file (`data_dir`)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Sets any configuration key, such as --set `device.code_ttl=5m`
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole way in this terminal: a throw-away server and a device that logs in to it
    Demo(DemoOptions),
    /// Runs the server
    Serve(ServeOptions),
    /// Logs this device in: shows a code, waits for a person to approve it, keeps the tokens
    Login(LoginOptions),
    /// Pairs this machine over a socket: shows a code, waits for a person to approve it, keeps the token
    Pair(PairOptions),
    /// Shows who this device is logged in as
    Whoami(WhoamiOptions),
    /// Prints a valid access token, refreshing it when needed
    Token(ServerOption),
    /// Revokes this device's tokens at the server, then forgets them here
    Logout(LogoutOptions),
    /// Administers people
    User(At<UserCommand>),
    /// Administers OAuth clients
    Client(At<ClientCommand>),
    /// Lists and revokes connected devices
    Device(At<DeviceCommand>),
    /// Reads the audit trail and holds it against its seals
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Lists and rotates signing keys
    Key(At<KeyCommand>),
    /// Takes devices over from elsewhere
    #[command(subcommand)]
    Import(ImportCommand),
    /// Writes devices down for elsewhere
    #[command(subcommand)]
    Export(ExportCommand),
    /// Shows and checks the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Brings the database up to date; `serve` does so by itself
    Migrate,
    /// Copies the SQLite database to a new file, also while the server runs
    Backup(BackupOptions),
    /// Puts a copy back, while no server runs
    Restore(RestoreOptions),
    /// Says what is wrong with this installation and how to mend it; changes nothing
    Doctor(DoctorOptions),
    /// Prints the `OpenAPI` document of every route, as served at /openapi.json
    Openapi {
        /// The `OpenRPC` document of the socket door instead, as served at /openrpc.json
        #[arg(long)]
        sockets: bool,
    },
    /// Prints completions for a shell
    Completions { shell: Shell },
    /// Prints the manual page
    Man,
    /// Prints the command-line reference in Markdown
    #[command(hide = true)]
    Reference,
}

/// Where a command administers.
#[derive(Debug, Args)]
pub struct At<C: Subcommand> {
    /// Administer the server with this public URL over HTTP, with the login to it that has the scope admin,
    /// or with the API key in `COUNTERSIGN_API_KEY`; without it the database that the configuration names
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    #[command(subcommand)]
    pub command: C,
}

#[derive(Debug, Args)]
pub struct BackupOptions {
    /// The new file
    pub file: PathBuf,
    /// Copy the key file, too, to FILE.key: whoever has both can sign as this server
    #[arg(long)]
    pub with_key: bool,
}

#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// What `backup` wrote; FILE.key beside it is put back as well, where there is no key yet
    pub file: PathBuf,
    /// Replace the database that is there; it is kept beside the new one
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct DoctorOptions {
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Approve by itself over real HTTP; the default where standard input is no terminal
    #[arg(long)]
    pub approve: bool,
}

#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Address and port to listen on (server.listen)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Issuer, and base of every URL sent out (`server.public_url`)
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Private address and port: health, metrics (ops.listen)
    #[arg(long, value_name = "ADDRESS")]
    pub ops_listen: Option<String>,
    /// Database (database.url)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct ServerOption {
    /// The server's public URL; without it the one that was used last
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub keeping: KeepingOptions,
}

#[derive(Debug, Args)]
pub struct LogoutOptions {
    #[command(flatten)]
    pub at: ServerOption,
    /// Only forget the tokens here, for a server that is gone for good; they stay valid there
    #[arg(long)]
    pub local: bool,
}

#[derive(Debug, Args)]
pub struct WhoamiOptions {
    #[command(flatten)]
    pub at: ServerOption,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct KeepingOptions {
    /// Keep tokens in this file (0600) and not in the system's keyring
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CREDENTIALS")]
    pub credentials: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoginDoor {
    Oauth,
    Cli,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LoginOptions {
    /// The server's public URL
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_SERVER")]
    pub server: String,
    /// Whether to get tokens, or an API key
    #[arg(long = "for", value_name = "DOOR", value_enum, default_value = "oauth")]
    pub door: LoginDoor,
    /// The client to log in as; without it countersign-cli, or at the CLI door none
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Scopes to ask for, separated by spaces; without it those that say who you are, or at the CLI
    /// door none
    #[arg(long, value_name = "S")]
    pub scope: Option<String>,
    /// What you will know the API key by; with --for cli
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Log in with a code that your account page shows; it ends in an API key
    #[arg(long, value_name = "CODE", conflicts_with_all = ["api_key", "door", "client_id", "scope", "name"])]
    pub code: Option<String>,
    /// Keep an API key that you have: it is asked for, or read from standard input
    #[arg(long, conflicts_with_all = ["door", "client_id", "scope", "name"])]
    pub api_key: bool,
    /// Allow plain http to another machine, which shows the tokens to everybody on the way
    #[arg(long)]
    pub insecure_http: bool,
    /// Do not open a browser on this machine
    #[arg(long)]
    pub no_browser: bool,
    /// Log in with a code, even where this machine has a browser
    #[arg(long, conflicts_with_all = ["code", "api_key"])]
    pub device: bool,
    #[command(flatten)]
    pub keeping: KeepingOptions,
}

#[derive(Debug, Args)]
pub struct PairOptions {
    /// The server's public URL
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_SERVER")]
    pub server: String,
    /// What the person who approves will know this machine by
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// ios, android or desktop
    #[arg(long = "type", value_name = "KIND", default_value = "desktop")]
    pub kind: String,
    /// What this machine calls itself; without it what it was paired with before, or a new one
    #[arg(long, value_name = "UUID")]
    pub device_id: Option<String>,
    /// Allow plain http to another machine, which shows the token to everybody on the way
    #[arg(long)]
    pub insecure_http: bool,
    /// Do not open a browser on this machine
    #[arg(long)]
    pub no_browser: bool,
    #[command(flatten)]
    pub keeping: KeepingOptions,
}

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
    /// Sets a new password and signs the person out everywhere; devices stay connected
    Password {
        name: String,
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
    /// Removes a client and disconnects all of its devices
    Remove { id: ClientId },
}

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Lists every credential of every door
    List {
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
        #[arg(long, value_name = "N", default_value_t = 50)]
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
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// About this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// About this client
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// About this device
    #[arg(long, value_name = "ID")]
    pub device: Option<DeviceId>,
    /// From this address
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// At this time or later, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
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

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Shows every key with its value and where it was set; secrets are hidden
    Show {
        #[arg(long)]
        json: bool,
    },
    /// Says whether the configuration is good, and what is wrong with it
    Check,
    /// Prints the reference of all keys in Markdown
    #[command(hide = true)]
    Reference,
}

pub fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut script);
    line(String::from_utf8_lossy(&script).trim_end())
}

pub fn man() -> Outcome {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    line(String::from_utf8_lossy(&page).trim_end())
}

/// Every command with its help, for `docs/`.
/// As a server answers with the default configuration, without saying where it stands.
pub fn openapi(sockets: bool) -> Outcome {
    let document = if sockets { openapi::rpc("/ws") } else { openapi::document("/device", "/") };
    output::json(&document)
}

pub fn reference() -> Outcome {
    line("# Command-line reference\n\n<!-- Generated by `countersign reference`; do not edit. -->")?;
    let mut command = Arguments::command().term_width(100);
    command.build();
    describe(&command)
}

fn describe(command: &clap::Command) -> Outcome {
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let help = command.clone().render_long_help().to_string();
    line(format!("\n## `{name}`\n\n```text\n{}\n```", trim_lines(&help)))?;
    command.get_subcommands().try_for_each(describe)
}

fn trim_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}
