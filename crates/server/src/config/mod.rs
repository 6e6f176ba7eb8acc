//! Configuration: built-in defaults, then the file, then the environment, then flags.
//!
//! [`SETTINGS`] is the one list of keys: it drives parsing, the hint for a misspelt key,
//! `config show` and the reference in `docs/`.

mod approval;
mod cli;
mod notices;
mod pairing;
mod public_url;
mod settings;
mod sources;
mod telemetry;
mod upstream;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::account::SecondFactor;
use countersign_core::client::SigningAlg;
use countersign_core::code::CodeStyle;
use countersign_core::family::Lifetimes;
use countersign_core::limit::Rule;
use countersign_core::policy::Policy;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Span;
use ipnet::IpNet;

use crate::origin::HopHeader;
use crate::store::Location;
use crate::store::postgres::Options;

pub use cli::{Cli, TrustedIssuer};
pub use notices::{Mail, Notices};
pub use pairing::{GatewayToken, Pairing};
pub use public_url::PublicUrl;
pub use settings::{SETTINGS, Setting};
use sources::Reader;
pub use sources::{Problem, Problems, Sources, Value};
pub use telemetry::Traces;
pub use upstream::{ClaimRule, Icon, Upstream};

#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// As configured; [`Config::public_url`] fills in the default.
    pub public_url: Option<PublicUrl>,
    pub trusted_proxies: Vec<IpNet>,
    pub hop_header: HopHeader,
    pub max_connections: u32,
    pub max_sockets: u32,
    pub tls: Option<Tls>,
    pub ops_listen: SocketAddr,
    pub database: Location,
    pub key_file: PathBuf,
    pub device: Device,
    pub cli: Cli,
    pub pairing: Pairing,
    pub lifetimes: Lifetimes,
    pub signing_alg: SigningAlg,
    pub registration: Option<Registration>,
    pub upstreams: Vec<Upstream>,
    pub passwords: bool,
    pub notices: Notices,
    pub detection: Detection,
    pub session_ttl: Duration,
    pub fresh_for: Duration,
    pub second_factor: SecondFactor,
    pub approval: Policy,
    /// Files that know where addresses are.
    pub geoip: Vec<PathBuf>,
    pub password_workers: usize,
    pub limits: Limits,
    pub retention: Retention,
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
    pub log_level: String,
    pub log_format: LogFormat,
}

/// Clients that register themselves.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Of the token that they need.
    pub token: Digest,
    pub scopes: Scopes,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub code_ttl: Duration,
    pub interval: Duration,
    pub user_code: CodeStyle,
    pub verification_path: String,
}

/// From when on something is suspicious, and whether it is stopped then.
#[derive(Clone, Debug)]
pub struct Detection {
    pub asks_per_address: u32,
    pub denials_per_client: u32,
    pub block: bool,
}

#[derive(Clone, Debug)]
pub struct Limits {
    pub enabled: bool,
    pub device_codes_per_address: u32,
    pub device_codes_per_client: u32,
    pub wrong_codes_per_account: Rule,
    pub wrong_codes_per_address: Rule,
    pub pairing_codes_per_address: u32,
    pub sockets_per_address: u32,
    pub upgrades_per_address: u32,
    pub imported_tokens_per_address: u32,
    pub passkeys_per_address: u32,
    pub upstream_sign_ins_per_address: u32,
    pub wrong_reverse_codes_per_address: Rule,
    pub wrong_reverse_codes: Rule,
    pub wrong_passwords_per_account: Rule,
    pub wrong_passwords_per_address: Rule,
}

#[derive(Clone, Debug)]
pub struct Retention {
    pub grants: Duration,
    pub tokens: Duration,
    pub audit: Duration,
    pub figures: Duration,
    pub interval: Duration,
    pub batch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const TEN_MINUTES: Duration = Duration::from_mins(10);
const QUARTER_HOUR: Duration = Duration::from_mins(15);
const CENTURY: Duration = Duration::from_hours(24 * 36_600);

impl Config {
    /// Reads every key, and tells of every bad value at once.
    pub fn from_sources(sources: &Sources) -> Result<Self, Problems> {
        let mut read = sources.reader();
        let data_dir = PathBuf::from(read.text("data_dir"));
        let insecure = read.parse::<bool>("server.allow_insecure_http", "true or false").unwrap_or_default();
        let public_url = read.optional("server.public_url").and_then(|text| match PublicUrl::parse(&text) {
            Ok(url) if url.is_https() || url.is_loopback() || insecure => Some(url),
            Ok(_) => {
                read.problem(
                    "server.public_url",
                    "plain http is refused for a host that is not this machine: use https, or set server.allow_insecure_http = true if TLS is not possible",
                );
                None
            }
            Err(why) => {
                read.problem("server.public_url", &why);
                None
            }
        });
        let database = database(&mut read, &data_dir);
        let key_file =
            read.optional("secrets.key_file").map_or_else(|| data_dir.join("secret.key"), PathBuf::from);
        let device = Device {
            code_ttl: read.seconds("device.code_ttl", 1..=86_400),
            interval: read.seconds("device.interval", 1..=300),
            user_code: read.named(
                "device.user_code",
                CodeStyle::from_name,
                &CodeStyle::ALL.map(|(name, _)| name),
            ),
            verification_path: read.path("device.verification_path"),
        };
        let cli = Cli::read(&mut read);
        let pairing = Pairing::read(&mut read);
        let (upstreams, passwords) = upstream::read(&mut read, &cli.trusted_issuers);
        let approval = approval::policy(&mut read);
        let geoip = approval::geoip(&mut read);
        let lifetimes = Lifetimes {
            access: read.seconds("tokens.access_ttl", 1..=86_400 * 30),
            refresh: read.seconds("tokens.refresh_ttl", 1..=86_400 * 3_660),
            refresh_idle: read.seconds("tokens.refresh_idle_ttl", 1..=86_400 * 3_660),
            reuse_grace: read.span("tokens.reuse_grace", Duration::ZERO..=Duration::from_mins(10)),
        };
        let (listen, ops_listen) = (read.socket("server.listen"), read.socket("ops.listen"));
        if listen == ops_listen && listen.port() != 0 {
            read.problem("ops.listen", "it must be another address than server.listen, and not a public one");
        }
        let algs: Vec<&str> = SigningAlg::ALL.iter().map(|alg| alg.name()).collect();
        let config = Self {
            listen,
            public_url,
            trusted_proxies: read.networks("server.trusted_proxies"),
            hop_header: read.named(
                "server.forwarded_header",
                HopHeader::from_name,
                &HopHeader::NAMES.map(|(name, _)| name),
            ),
            max_connections: read.count("server.max_connections"),
            max_sockets: read.count("server.max_sockets"),
            tls: tls(&mut read),
            ops_listen,
            database,
            key_file,
            data_dir,
            device,
            cli,
            pairing,
            lifetimes,
            signing_alg: read.named("tokens.signing_alg", SigningAlg::from_name, &algs),
            registration: registration(&mut read),
            upstreams,
            passwords,
            notices: Notices::read(&mut read),
            detection: Detection {
                asks_per_address: read.count("detection.asks_per_address"),
                denials_per_client: read.count("detection.denials_per_client"),
                block: read.parse("detection.block", "true or false").unwrap_or_default(),
            },
            session_ttl: read.seconds("login.session_ttl", 60..=86_400 * 90),
            fresh_for: read.seconds("login.fresh_for", 10..=86_400),
            second_factor: read.named("login.second_factor", SecondFactor::from_name, SecondFactor::NAMES),
            approval,
            geoip,
            password_workers: read.parse("login.password_workers", "a whole number").unwrap_or_default(),
            limits: Limits::read(&mut read),
            retention: Retention::read(&mut read),
            traces: Traces::read(&mut read),
            log_level: read.log_level("log.level"),
            log_format: read.named(
                "log.format",
                |name| match name {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                },
                &["text", "json"],
            ),
        };
        read.finish(config)
    }

    /// The issuer, once it is known where the server listens.
    pub fn public_url(&self, bound: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| PublicUrl::local(bound.port(), self.tls.is_some()))
    }
}

fn tls(read: &mut Reader<'_>) -> Option<Tls> {
    match (read.optional("server.tls.cert_file"), read.optional("server.tls.key_file")) {
        (Some(cert), Some(key)) => Some(Tls { cert_file: cert.into(), key_file: key.into() }),
        (None, None) => None,
        (Some(_), None) => read.missing("server.tls.key_file", "server.tls.cert_file is set"),
        (None, Some(_)) => read.missing("server.tls.cert_file", "server.tls.key_file is set"),
    }
}

fn database(read: &mut Reader<'_>, data_dir: &Path) -> Location {
    let local = Location::Sqlite(data_dir.join("countersign.db"));
    let pool = read.count("database.pool_size") as usize;
    let readers = read.count("database.read_connections") as usize;
    let connect_timeout = read.span("database.connect_timeout", SECOND..=MINUTE);
    let statement_timeout = read.span("database.statement_timeout", SECOND..=MINUTE * 10);
    let ca_file = read.optional("database.ca_file").map(PathBuf::from);
    let Some(url) = read.optional("database.url") else { return local };
    if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
        return Location::Sqlite(PathBuf::from(path));
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let why = "expected sqlite:// and a path, such as sqlite:///var/lib/countersign/countersign.db, or postgres://user:password@host:5432/database";
        read.problem("database.url", why);
        return local;
    }
    match Options::parse(&Plain::new(url)) {
        Ok(mut options) => {
            options.ca_file = ca_file;
            options.pool = pool;
            options.readers = readers;
            options.connect_timeout = connect_timeout;
            options.statement_timeout = statement_timeout;
            Location::Postgres(Box::new(options))
        }
        Err(why) => {
            read.problem("database.url", &why);
            local
        }
    }
}

fn registration(read: &mut Reader<'_>) -> Option<Registration> {
    let scopes = read.texts("registration.scopes", "openid");
    let scopes = if scopes.is_empty() { Ok(Scopes::standard()) } else { Scopes::from_names(scopes) };
    let scopes = scopes.unwrap_or_else(|bad| {
        read.problem("registration.scopes", &bad.to_string());
        Scopes::default()
    });
    let token = read.optional("registration.initial_access_token")?;
    if token.len() < 24 {
        let why = "whoever guesses it can register clients: use 24 random characters or more, such as `openssl rand -base64 24` makes";
        read.problem("registration.initial_access_token", why);
    }
    Some(Registration { token: Digest::of(&token), scopes })
}

impl Limits {
    fn read(read: &mut Reader<'_>) -> Self {
        Self {
            enabled: read.parse("rate_limit.enabled", "true or false").unwrap_or(true),
            device_codes_per_address: read.count("rate_limit.device_codes_per_address"),
            device_codes_per_client: read.count("rate_limit.device_codes_per_client"),
            wrong_codes_per_account: read.rule("rate_limit.wrong_codes_per_account", TEN_MINUTES),
            wrong_codes_per_address: read.rule("rate_limit.wrong_codes_per_address", TEN_MINUTES),
            pairing_codes_per_address: read.count("rate_limit.pairing_codes_per_address"),
            sockets_per_address: read.count("rate_limit.sockets_per_address"),
            upgrades_per_address: read.count("rate_limit.upgrades_per_address"),
            passkeys_per_address: read.count("rate_limit.passkeys_per_address"),
            upstream_sign_ins_per_address: read.count("rate_limit.upstream_sign_ins_per_address"),
            imported_tokens_per_address: read.count("rate_limit.imported_tokens_per_address"),
            wrong_reverse_codes_per_address: Rule {
                grows: false,
                ..read.rule("rate_limit.wrong_reverse_codes_per_address", MINUTE)
            },
            wrong_reverse_codes: Rule { grows: false, ..read.rule("rate_limit.wrong_reverse_codes", MINUTE) },
            wrong_passwords_per_account: read.rule("rate_limit.wrong_passwords_per_account", QUARTER_HOUR),
            wrong_passwords_per_address: read.rule("rate_limit.wrong_passwords_per_address", QUARTER_HOUR),
        }
    }
}

impl Retention {
    fn read(read: &mut Reader<'_>) -> Self {
        Self {
            grants: read.span("retention.grants", Duration::from_hours(1)..=CENTURY),
            tokens: read.span("retention.tokens", Duration::ZERO..=CENTURY),
            // Who writes 0 may mean for ever, and would have none.
            audit: read.span("retention.audit", SECOND..=CENTURY),
            figures: read.span("retention.figures", Duration::from_hours(1)..=CENTURY),
            interval: read.span("retention.interval", Duration::from_millis(100)..=Duration::from_hours(24)),
            batch: read.count("retention.batch"),
        }
    }
}

/// A range of durations in words.
fn range_words(from: Duration, to: Duration) -> String {
    format!("expected a duration from {} to {}", Span(from), Span(to))
}

/// The reference page: every key with its default, its name in the environment, and its meaning.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n<!-- Generated by `countersign config reference`; do not edit. -->\n\n\
         Weakest first: these defaults, `countersign.toml` (`--config FILE`, else in the working directory), the \
         environment, flags. Durations read `250ms`, `5s`, `15m`, `1h`, `365d`. Lists in the environment are JSON.\n\n\
         | key | environment | default | meaning |\n|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let default = match (setting.list, setting.default) {
            (true, _) => "`[]`".to_owned(),
            (false, "") => "unset".to_owned(),
            (false, default) => format!("`{default}`"),
        };
        let twin = if setting.secret { " (secret: also as a file, see below)" } else { "" };
        let (key, variable, meaning) = (setting.key, sources::variable(setting.key), setting.meaning);
        page.extend([format!("| `{key}` | `{variable}` | {default} | {meaning}{twin} |\n")]);
    }
    page.push_str(
        "\nA key that holds a secret can also be given as a file: `database.url_file = \"/run/secrets/url\"` reads \
         the value from that file. `COUNTERSIGN_SECRET_KEY` (32 bytes in base64), or \
         `COUNTERSIGN_SECRET_KEY_FILE` (a file that holds the same), takes the place of `secrets.key_file`.\n",
    );
    page
}

#[cfg(test)]
mod tests;
