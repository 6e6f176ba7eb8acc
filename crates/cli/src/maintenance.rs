//! `backup`, `restore`, `doctor`, `ready`, `import`, `export`.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_client::Provider;
use countersign_server::config::Config;
use countersign_server::flow::aisopod::{self, Outcome as Fate};
use countersign_server::flow::doctor::{self, Finding, Health};
use countersign_server::store::backup::{self, Contents};
use countersign_server::store::{Location, Opening};
use serde_json::{Value, json};

use crate::admin;
use crate::args::{BackupOptions, DoctorOptions, ExportCommand, Global, ImportCommand, RestoreOptions};
use crate::config;
use crate::failure::{Outcome, failure};
use crate::output::{self, line, note};

/// The SQLite file, or what to do with a database that has tools of its own.
fn file<'a>(config: &'a Config, tool: &str) -> Outcome<&'a Path> {
    match &config.database {
        Location::Sqlite(path) => Ok(path),
        Location::Postgres(options) => Err(failure(
            format!("the data is in the {}, which has its own tools for this", options.place()),
            tool,
        )),
    }
}

fn key_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn shown(contents: Contents) -> String {
    format!(
        "{} people, {} connected devices, schema version {}, {} KiB",
        contents.people,
        contents.devices,
        contents.schema,
        contents.bytes.div_ceil(1024)
    )
}

/// Writes a private file that did not exist before.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub async fn backup(global: &Global, options: BackupOptions) -> Outcome {
    let config = config::load(global, &[])?;
    let hint = "pg_dump --format=custom --file=FILE URL takes a consistent copy while the servers run; for point-in-time recovery archive the WAL with pg_basebackup";
    let database = file(&config, hint)?.to_owned();
    let to = options.file.clone();
    let key = if options.with_key {
        let read = std::fs::read(&config.key_file);
        let path = config.key_file.display().to_string();
        Some(read.map_err(|error| {
            failure(
                format!("cannot read {path}: {error}"),
                "with COUNTERSIGN_SECRET_KEY or COUNTERSIGN_SECRET_KEY_FILE there is no key file to copy",
            )
        })?)
    } else {
        None
    };
    let contents = tokio::task::spawn_blocking(move || backup::backup(&database, &to)).await??;
    line(format!("Backed up to {}: {}.", options.file.display(), shown(contents)))?;
    let Some(key) = key else {
        return line(format!(
            "It is of no use without the key in {}; keep a copy of that elsewhere.",
            config.key_file.display()
        ));
    };
    let beside = key_beside(&options.file);
    write_private(&beside, &key).map_err(|error| {
        failure(
            format!("cannot write {}: {error}", beside.display()),
            "the database was copied; copy the key file by hand",
        )
    })?;
    line(format!("The key is in {}: whoever has both can sign as this server.", beside.display()))
}

pub async fn restore(global: &Global, options: RestoreOptions) -> Outcome {
    let config = config::load(global, &[])?;
    let hint = "pg_restore --clean --if-exists --no-owner --dbname=URL FILE puts back what pg_dump --format=custom took, while no server runs";
    let database = file(&config, hint)?.to_owned();
    let beside = key_beside(&options.file);
    let key = if beside.exists() { Some(std::fs::read(&beside)?) } else { None };
    let known = if config.key_file.exists() { Some(std::fs::read(&config.key_file)?) } else { None };
    if let (Some(key), Some(known)) = (&key, &known)
        && key != known
    {
        return Err(failure(
            format!(
                "{} differs from {}, which is not overwritten",
                beside.display(),
                config.key_file.display()
            ),
            "move the one that you do not need out of the way",
        ));
    }
    if let Some(folder) = database.parent() {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let (from, force) = (options.file.clone(), options.force);
    let to = database.clone();
    let (contents, kept) = tokio::task::spawn_blocking(move || backup::restore(&from, &to, force)).await??;
    if let (Some(key), None) = (&key, &known) {
        write_private(&config.key_file, key)?;
    }
    line(format!("Restored {}: {}.", database.display(), shown(contents)))?;
    if let Some(kept) = kept {
        line(format!("What was there before is in {}.", kept.display()))?;
    }
    if key.is_none() && known.is_none() {
        line(format!(
            "Put the key that this database was first started with into {} before you start the server.",
            config.key_file.display()
        ))?;
    }
    Ok(())
}

/// How long the public URL may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub async fn doctor(global: &Global, options: DoctorOptions) -> Outcome {
    let findings = match config::load(global, &[]) {
        Ok(config) => {
            let mut findings = doctor::examine(&config).await;
            findings.extend(reached(&config).await);
            findings
        }
        Err(error) => vec![Finding {
            what: "configuration",
            health: Health::Broken,
            found: error.to_string(),
            mend: Some(
                "`countersign config show` lists every key; docs/configuration.md explains them".to_owned(),
            ),
        }],
    };
    if options.json {
        let shown = |finding: &Finding| {
            json!({
                "what": finding.what,
                "health": finding.health.name(),
                "found": finding.found,
                "mend": finding.mend,
            })
        };
        output::json(&findings.iter().map(shown).collect::<Vec<_>>())?;
    } else {
        for finding in &findings {
            line(format!("{:<7} {:<17} {}", finding.health.name(), finding.what, finding.found))?;
            if let Some(mend) = &finding.mend {
                line(format!("{:25} mend: {mend}", ""))?;
            }
        }
    }
    match findings.iter().map(|finding| finding.health).max() {
        Some(Health::Broken) => {
            Err(failure("something is broken", "mend what is marked so, then look again"))
        }
        _ => Ok(()),
    }
}

/// Whether the server can be reached as people and devices reach it.
async fn reached(config: &Config) -> Option<Finding> {
    let url = config.public_url.as_ref()?.issuer().to_owned();
    let asked = tokio::time::timeout(PATIENCE, Provider::discover_insecure(&url)).await;
    let (health, found, mend) = match asked {
        Ok(Ok(_)) => (Health::Good, format!("{url} answers and calls itself so"), None),
        Ok(Err(error)) => (
            Health::Risky,
            format!("the server was not reached from here: {error}"),
            Some("if it should be running, see that the name resolves and that the proxy passes on to server.listen".to_owned()),
        ),
        Err(_) => (
            Health::Risky,
            format!("{url} did not answer within {} seconds", PATIENCE.as_secs()),
            Some("if it should be running, see that the name resolves and that the proxy passes on to server.listen".to_owned()),
        ),
    };
    Some(Finding { what: "public URL", health, found, mend })
}

/// Asks the server that runs with this configuration whether it is ready.
pub async fn ready(global: &Global) -> Outcome {
    let config = config::load(global, &[])?;
    let mut address = config.ops_listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let url = format!("http://{address}/readyz");
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let answer = client.get(&url).send().await.map_err(|error| {
        let hint = "is it running, and with this configuration? ops.listen says where it is asked";
        failure(format!("no server answers at {url}: {}", cause(&error)), hint)
    })?;
    let healthy = answer.status().is_success();
    let body: Value = answer.json().await.unwrap_or_default();
    let status = body.get("status").and_then(Value::as_str).unwrap_or("what answers there is no Countersign");
    if healthy && status == "ok" {
        return line("ready");
    }
    Err(failure(format!("not ready: {status}"), "`countersign doctor` looks at more"))
}

/// The innermost reason, which is the one that helps.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

pub async fn import(global: &Global, command: ImportCommand) -> Outcome {
    let ImportCommand::Aisopod { file, owner, dry_run } = command;
    let text = std::fs::read_to_string(&file).map_err(|error| {
        failure(format!("cannot read {}: {error}", file.display()), "name the file with the device tokens")
    })?;
    let owner = admin::username(&owner)?;
    let app = admin::open(global, Opening::Existing).await?;
    let lines = aisopod::import(&app, &text, &owner, dry_run, app.clock.now()).await??;
    app.store.close().await;
    let mut skipped = 0;
    for found in &lines {
        let fate = match &found.outcome {
            Fate::Imported if dry_run => "would be imported".to_owned(),
            Fate::Imported => "imported".to_owned(),
            Fate::Known => "is here already".to_owned(),
            Fate::Skipped(why) => {
                skipped += 1;
                format!("skipped: {why}")
            }
        };
        line(format!("{}  {fate}", found.device))?;
    }
    let count = |fate: &Fate| lines.iter().filter(|found| found.outcome == *fate).count();
    let word = if dry_run { "would be imported" } else { "imported" };
    let (new, known) = (count(&Fate::Imported), count(&Fate::Known));
    line(format!("{new} {word}, {known} known, {skipped} skipped."))
}

pub async fn export(global: &Global, command: ExportCommand) -> Outcome {
    let ExportCommand::Aisopod { output } = command;
    let app = admin::open(global, Opening::Existing).await?;
    let (text, left_out) = aisopod::export(&app).await?;
    app.store.close().await;
    for device in left_out {
        note(format!("left out: {device} has no argon2id hash; it must be paired anew there"))?;
    }
    match output {
        Some(file) => write_private(&file, text.as_bytes()).map_err(|error| {
            failure(
                format!("cannot write {}: {error}", file.display()),
                "name a file that does not exist yet",
            )
        }),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            Ok(out.flush()?)
        }
    }
}
