//! Device tokens from and for aisopod-gateway: a TOML file with a table for each device, in which argon2id
//! hashes stand for tokens. Those go on working; the tokens themselves nobody has.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Params, Version};
use countersign_core::account::Username;
use countersign_core::audit::{Action, By};
use countersign_core::grant::Origin;
use countersign_core::id::{AccountId, DeviceId, NodeId};
use countersign_core::node::{Node, NodeFacts, NodeKind};
use countersign_core::scope::Scopes;
use countersign_core::text::label;
use countersign_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::{Answer, App, rfc3339};
use crate::store::{Stmt, accounts, audit, nodes};

/// One device as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    token_hash: String,
    device_name: String,
    device_id: String,
    #[serde(default)]
    scopes: Vec<String>,
    created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    #[serde(default)]
    revoked: bool,
}

/// What checking a token may cost at most: KiB, and passes over them.
const MEMORY: u32 = 1024 * 1024;
const PASSES: u32 = 16;

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Imported,
    /// It is here already, imported before or paired anew since.
    Known,
    Skipped(String),
}

#[derive(Clone, Debug)]
pub struct Line {
    pub device: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ImportRefusal {
    #[error("there is no user `{0}`; `countersign user list` shows those that exist")]
    Owner(String),
    #[error("this is no TOML file: {0}")]
    File(String),
}

/// Takes every device over that can be taken over, each whole or not at all; a broken one is named and
/// skipped. With `dry_run` nothing is written.
pub async fn import(
    app: &App,
    text: &str,
    owner: &Username,
    dry_run: bool,
    now: Timestamp,
) -> Answer<Result<Vec<Line>, ImportRefusal>> {
    let Some((owner, _)) = accounts::by_name(&app.store, owner).await? else {
        return Ok(Err(ImportRefusal::Owner(owner.to_string())));
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let error: toml::de::Error = error;
            return Ok(Err(ImportRefusal::File(error.message().to_owned())));
        }
    };
    let mut lines = Vec::new();
    for (device, value) in table {
        let outcome = match read(app, &device, value, owner.id, now)? {
            Err(why) => Outcome::Skipped(why),
            Ok((node, phc)) => {
                if nodes::by_node(&app.store, node.facts.node).await?.is_some() {
                    Outcome::Known
                } else if dry_run || app.store.commit(batch(app, &node, &phc, now)?).await?.is_done() {
                    Outcome::Imported
                } else {
                    Outcome::Known
                }
            }
        };
        lines.push(Line { device, outcome });
    }
    Ok(Ok(lines))
}

fn batch(app: &App, node: &Node, phc: &str, now: Timestamp) -> Answer<Vec<Stmt>> {
    let mut event = app.event(now, Action::NodeImported)?.by(&By::COMMAND_LINE);
    event.account = node.owner;
    event.device = Some(node.id);
    Ok(vec![nodes::import(node, phc), audit::insert(event)])
}

type Read = Result<(Node, String), String>;

fn read(app: &App, device: &str, value: toml::Value, owner: AccountId, now: Timestamp) -> Answer<Read> {
    let entry: Entry = match value.try_into() {
        Ok(entry) => entry,
        Err(error) => {
            let error: toml::de::Error = error;
            return Ok(Err(error.message().to_owned()));
        }
    };
    let id = DeviceId::new(now, app.entropy.id()?);
    Ok(node(id, device, entry, owner, now))
}

fn node(id: DeviceId, device: &str, entry: Entry, owner: AccountId, now: Timestamp) -> Read {
    let named: NodeId = entry.device_id.parse().map_err(|_| "device_id is no UUID".to_owned())?;
    if device.parse() != Ok(named) {
        return Err("device_id is not what the table is called".to_owned());
    }
    let hash = PasswordHash::new(&entry.token_hash).map_err(|_| "token_hash is no PHC string".to_owned())?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err("token_hash is not of argon2id".to_owned());
    }
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
    let params = Params::try_from(&hash).map_err(|error| error.to_string());
    if hash.hash.is_none() || version.is_err() || params.is_err() {
        return Err("token_hash has parameters that nothing can be checked with".to_owned());
    }
    if params.is_ok_and(|params| params.m_cost() > MEMORY || params.t_cost() > PASSES) {
        return Err("token_hash takes more memory or time than a sign-in may".to_owned());
    }
    let scopes = entry.scopes.iter().map(|scope| match scope.strip_prefix("operator_") {
        // The snake case of the file's own enumeration.
        Some(rest) => format!("operator.{rest}"),
        None => scope.clone(),
    });
    let time = |text: &str| {
        let parsed: Result<jiff::Timestamp, _> = text.parse();
        parsed
            .map(|at| Timestamp::from_micros(at.as_microsecond()))
            .map_err(|_| format!("`{text}` is no time"))
    };
    let node = Node {
        id,
        facts: NodeFacts {
            node: named,
            name: label(&entry.device_name)
                .ok_or_else(|| "device_name has not 1 to 100 visible characters".to_owned())?,
            kind: NodeKind::Desktop,
            version: "aisopod".to_owned(),
        },
        owner: Some(owner),
        scopes: Scopes::from_names(scopes).map_err(|bad| bad.to_string())?,
        from: Origin::default(),
        paired_at: time(&entry.created_at)?,
        last_used: entry.last_used.as_deref().map(time).transpose()?,
        expires_at: None,
        revoked_at: entry.revoked.then_some(now),
    };
    Ok((node, entry.token_hash))
}

/// The file, and the devices that have no argon2id hash and are left out of it.
pub async fn export(app: &App) -> Answer<(String, Vec<String>)> {
    let hashes = nodes::phcs(&app.store).await?;
    let (mut table, mut left_out) = (toml::Table::new(), Vec::new());
    for listed in nodes::all(&app.store).await? {
        let node = listed.node;
        let device = node.facts.node.to_string();
        let Some((_, hash)) = hashes.iter().find(|(id, _)| *id == node.id) else {
            left_out.push(device);
            continue;
        };
        let entry = Entry {
            token_hash: hash.clone(),
            device_name: node.facts.name,
            device_id: device.clone(),
            scopes: node.scopes.iter().map(str::to_owned).collect(),
            created_at: rfc3339(node.paired_at),
            last_used: node.last_used.map(rfc3339),
            revoked: node.revoked_at.is_some(),
        };
        // Every field of it is text, a list of text, or a truth value.
        if let Ok(value) = toml::Value::try_from(entry) {
            table.insert(device, value);
        }
    }
    Ok((table.to_string(), left_out))
}
