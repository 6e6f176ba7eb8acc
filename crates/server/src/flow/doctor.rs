//! What is wrong with an installation, and how to mend it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use countersign_core::client::SigningAlg;
use countersign_core::code::CodeStyle;
use countersign_core::time::Timestamp;

use crate::app::{App, Fault};
use crate::config::Config;
use crate::serve;
use crate::signing::Stage;
use crate::store::{Location, Opening, SCHEMA_VERSION, Store, StoreError, accounts, doctor, grants, keys};
use crate::vault::{Given, VaultError};
use crate::world::{Clock, Entropy};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Good,
    /// It works, and something about it will hurt.
    Risky,
    Broken,
}

impl Health {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Risky => "risky",
            Self::Broken => "broken",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    pub what: &'static str,
    pub health: Health,
    pub found: String,
    pub mend: Option<String>,
}

fn good(what: &'static str, found: impl Into<String>) -> Finding {
    Finding { what, health: Health::Good, found: found.into(), mend: None }
}

fn risky(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, health: Health::Risky, found: found.into(), mend: Some(mend.into()) }
}

fn broken(what: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { what, health: Health::Broken, found: found.into(), mend: Some(mend.into()) }
}

/// A clock that differs more from the database's is a problem for tokens.
const SKEW: std::time::Duration = std::time::Duration::from_secs(5);
/// Before this nobody can run this program.
const RELEASED: Timestamp = Timestamp::from_secs(1_760_000_000);
/// Beyond so many live codes of the default shape a guesser's chance is more than one in a million.
const LIVE_CODES: i64 = 27_000;

/// Looks at everything that can be looked at from here. Nothing is changed.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let now = Clock::System.now();
    let mut found = vec![good("configuration", "every key is known and every value fits")];
    found.extend(files(config));
    found.extend(addresses(config));
    if config.pairing.by_itself {
        found.push(risky(
            "pairing",
            "pairing.approval is self: whoever reaches this server can pair a device without asking anybody",
            "unless everybody on this network is trusted, set pairing.approval = \"user\"",
        ));
    }
    if let Some(tls) = &config.tls {
        if mode(&tls.key_file).is_some_and(|mode| mode & 0o007 != 0) {
            let shown = tls.key_file.display();
            found.push(risky(
                "TLS key",
                format!("everybody on this machine can read {shown}"),
                format!("chmod 640 {shown}"),
            ));
        }
        found.push(match serve::check_tls(tls) {
            Ok(()) => good("TLS", "the certificate and its key can be used"),
            Err(error) => broken("TLS", error.to_string(), "give readable PEM files that belong together"),
        });
    }
    match database(config, now).await {
        Ok(findings) => found.extend(findings),
        Err(finding) => found.push(finding),
    }
    found
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.mode() & 0o777)
}

fn files(config: &Config) -> Vec<Finding> {
    let private = |what: &'static str, path: &Path, wanted: u32| {
        let shown = path.display();
        match mode(path) {
            None => good(what, format!("{shown} does not exist yet")),
            Some(mode) if mode.trailing_zeros() >= 6 => {
                good(what, format!("{shown} is readable by its owner alone"))
            }
            Some(mode) => broken(
                what,
                format!("{shown} is open to others (mode {mode:o})"),
                format!("chmod {wanted:o} {shown}"),
            ),
        }
    };
    let mut found = vec![private("data directory", &config.data_dir, 0o700)];
    if let Location::Sqlite(path) = &config.database {
        found.push(private("database file", path, 0o600));
    }
    if !Given::is_there() {
        found.push(private("key file", &config.key_file, 0o600));
    }
    found
}

fn addresses(config: &Config) -> Vec<Finding> {
    let mut found = vec![match &config.public_url {
        None => risky(
            "public URL",
            "server.public_url is not set, so only this machine can use what is sent out",
            "set server.public_url to the address that people and devices use, such as https://login.example.com",
        ),
        Some(url) if url.is_https() || url.is_loopback() => good("public URL", url.issuer()),
        Some(url) => risky(
            "public URL",
            format!("{} is plain http: everybody on the way can read codes and tokens", url.issuer()),
            "use https, with a proxy or with server.tls.cert_file",
        ),
    }];
    let behind_proxy =
        config.tls.is_none() && config.public_url.as_ref().is_some_and(crate::config::PublicUrl::is_https);
    found.push(match (behind_proxy, config.trusted_proxies.is_empty()) {
        (true, true) => risky(
            "proxies",
            "the public URL is https and this server has no certificate, so a proxy stands before it; none is trusted, and every visitor seems to come from it",
            "name the proxy's address in server.trusted_proxies, such as [\"127.0.0.1\"]",
        ),
        (_, false) if config.trusted_proxies.iter().any(|network| network.prefix_len() == 0) => broken(
            "proxies",
            "server.trusted_proxies trusts everybody, so every visitor may choose the address that they seem to come from",
            "name only the addresses of your proxies",
        ),
        (_, false) => good("proxies", "some are trusted"),
        (false, true) => good("proxies", "none is trusted, and none seems to be needed"),
    });
    found.push(if config.ops_listen.ip().is_loopback() {
        good("private listener", format!("{} is for this machine alone", config.ops_listen))
    } else {
        risky(
            "private listener",
            format!("whoever reaches {} can read the metrics and stop the server", config.ops_listen),
            "bind ops.listen to 127.0.0.1, or keep that port behind a firewall",
        )
    });
    found.push(if config.limits.enabled {
        good("limits", "guessing and flooding are limited")
    } else {
        risky(
            "limits",
            "rate_limit.enabled is false: codes and passwords can be guessed without end",
            "set rate_limit.enabled = true",
        )
    });
    found
}

async fn database(config: &Config, now: Timestamp) -> Result<Vec<Finding>, Finding> {
    let place = match &config.database {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(options) => options.place().to_owned(),
    };
    let store = Store::open(&config.database, Opening::Existing, now).await.map_err(|error| match error {
        StoreError::Missing(_) => risky(
            "database",
            format!("there is none at {place} yet"),
            "start the server, or run `countersign migrate`",
        ),
        StoreError::OlderSchema { .. } => {
            broken("schema", error.to_string(), "run `countersign migrate`, or start the server")
        }
        StoreError::NewerSchema { .. } => broken("schema", error.to_string(), "run the newer countersign"),
        other => {
            broken("database", format!("{place}: {other}"), "see that it runs and that database.url is right")
        }
    })?;
    let unreadable = |error: StoreError| broken("database", error.to_string(), "see the database's own log");
    let mut found = vec![
        good("database", format!("{place} answers")),
        good("schema", format!("version {SCHEMA_VERSION}")),
    ];
    found.push(match store.ready().await {
        Ok(()) => good("writes", "the database takes them"),
        Err(error) => broken(
            "writes",
            error.to_string(),
            "see that the disk is not full and that the database is no read-only copy",
        ),
    });
    found.push(clock(&store, now).await.map_err(unreadable)?);
    let people = accounts::list(&store).await.map_err(unreadable)?;
    if people.is_empty() {
        found.push(risky(
            "people",
            "there is nobody who could approve anything",
            "countersign user add NAME",
        ));
    } else if !people.iter().any(|account| account.admin && account.is_enabled()) {
        found.push(risky(
            "people",
            "nobody is an administrator, so nobody sees /admin",
            "countersign user edit NAME --admin true",
        ));
    }
    let live = grants::live(&store, now).await.map_err(unreadable)?;
    let default_shape = matches!(config.device.user_code, CodeStyle::Unambiguous8);
    found.push(if live > LIVE_CODES && default_shape {
        risky(
            "codes",
            format!("{live} codes are live at once, which makes guessing one easier than it should be"),
            "set device.user_code = \"unambiguous-10\"",
        )
    } else {
        good("codes", format!("{live} are live"))
    });
    store.close().await;
    found.push(signing(config, now).await);
    Ok(found)
}

async fn clock(store: &Store, now: Timestamp) -> Result<Finding, StoreError> {
    let mend = "set the clock, and keep it right with NTP";
    if now < RELEASED {
        return Ok(broken("clock", "it is set to a time before this program existed", mend));
    }
    if let Some(theirs) = doctor::engine_time(store).await? {
        // Connecting may have taken a while.
        let now = Clock::System.now();
        let apart = now.since(theirs).max(theirs.since(now));
        if apart > SKEW {
            return Ok(broken(
                "clock",
                format!("it is {} seconds apart from the database's", apart.as_secs()),
                mend,
            ));
        }
        return Ok(good("clock", "it agrees with the database's"));
    }
    let newest = doctor::newest_audit(store).await?;
    if newest.is_some_and(|newest| newest > now + SKEW) {
        return Ok(broken(
            "clock",
            "the newest row of the audit trail lies in the future: the clock was set back",
            mend,
        ));
    }
    Ok(good("clock", "nothing lies in the future"))
}

/// Opening everything checks the key; it makes nothing that is there already.
async fn signing(config: &Config, now: Timestamp) -> Finding {
    let opened =
        App::open(config.clone(), Opening::Existing, config.listen, Clock::System, Entropy::Os).await;
    let app = match opened {
        Ok(app) => app,
        Err(error) => {
            let mend = match &error {
                Fault::Vault(VaultError::File { .. }) => "mend the key file",
                Fault::Vault(VaultError::Given { .. } | VaultError::Unreadable { .. } | VaultError::Both) => {
                    "mend that variable"
                }
                _ => "put back the key file that this database was first started with, or its backup",
            };
            return broken("keys", error.to_string(), mend);
        }
    };
    let finding =
        match (keys::list(&app.store).await, app.signer.published(&app.store, &app.vault, now).await) {
            (Ok(stored), Ok(published)) => {
                let has = |alg: SigningAlg, stage| {
                    stored.iter().any(|key| key.alg == alg && Stage::of(key) == stage)
                };
                let missing =
                    [Stage::Current, Stage::Next].into_iter().find(|stage| !has(config.signing_alg, *stage));
                match missing {
                    None => {
                        good("keys", format!("{} are published, and all of them open", published.keys.len()))
                    }
                    Some(stage) => broken(
                        "keys",
                        format!("there is no {} key for {}", stage.name(), config.signing_alg.name()),
                        "start the server: it makes the missing ones",
                    ),
                }
            }
            (Err(error), _) => broken("keys", error.to_string(), "see the database's own log"),
            (_, Err(error)) => broken(
                "keys",
                error.to_string(),
                "put back the key file that this database was first started with",
            ),
        };
    app.store.close().await;
    finding
}
