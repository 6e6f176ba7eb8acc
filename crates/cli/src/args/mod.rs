//! The words of the command line.

mod admin;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use self::admin::*;

/// Connects devices without a keyboard or browser to the people who own them.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done; 1 failed; 2 misused, or configured so that it cannot run; 3 somebody said no; 4 the code expired."
)]
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
    /// Prints the access token of this machine, refreshed if it ends soon; `whoami` tells whether it was revoked
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
    Audit(At<AuditCommand>),
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
    /// Asks the server that runs here whether it is ready, for health checks: /readyz on `ops.listen`
    Ready,
    /// Prints the `OpenAPI` document of every route; a server has it at /openapi.json, with its own address
    Openapi {
        /// The `OpenRPC` document of the socket door instead (/openrpc.json)
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
