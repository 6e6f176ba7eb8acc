//! The methods, one table.

use countersign_core::code::Pin;
use countersign_core::grant::{Ask, Grant};
use countersign_core::id::NodeId;
use countersign_core::node::{Node, NodeFacts, READ};
use countersign_core::text::label;
use countersign_core::time::{Timestamp, ceil_secs};
use serde_json::{Map, Value, json};

use super::peer::Peer;
use super::rpc::{Call, RpcError};
use super::{Ended, Socket};
use crate::app::{App, rfc3339};
use crate::flow::nodes::{self, Listed, Named};
use crate::flow::pairing::{self, Approver, Authority, Confirmed, Confirming, Decided, Requesting};
use crate::flow::pin::Typed;
use crate::http::with;
use crate::telemetry::PairingRefusal;

pub const NAMES: [&str; 10] = [
    "node.pair.request",
    "node.pair.confirm",
    "node.pair.approve",
    "node.pair.reject",
    "node.pair.revoke",
    "node.pair.list",
    "node.pair.refresh",
    "node.pair.rename",
    "node.pair.remove",
    "node.pair.verify",
];

type Outcome = Result<Value, RpcError>;

/// A name that can stand where there must not be many: anybody can invent methods.
pub fn known(method: &str) -> &'static str {
    NAMES.into_iter().find(|name| *name == method).unwrap_or("other")
}

pub async fn call(socket: &mut Socket, call: &Call) -> Outcome {
    let now = socket.app.clock.now();
    let method = call.method.as_str();
    if matches!(socket.peer, Peer::Nobody) && !matches!(method, "node.pair.request" | "node.pair.confirm") {
        return Err(RpcError::Unauthorized);
    }
    if !socket.peer.is_still_good(&socket.app, now).await? {
        socket.ended = Some(Ended::Credential);
        return Err(RpcError::Unauthorized);
    }
    let params = Params(&call.params);
    match method {
        "node.pair.request" => request(socket, params, now).await,
        "node.pair.confirm" => confirm(socket, params, now).await,
        "node.pair.approve" => decide(socket, params, true, now).await,
        "node.pair.reject" => decide(socket, params, false, now).await,
        "node.pair.revoke" => revoke(socket, params, now).await,
        "node.pair.list" => list(socket, now).await,
        "node.pair.refresh" => refresh(socket, params, now).await,
        "node.pair.rename" => rename(socket, params, now).await,
        "node.pair.remove" => remove(socket, params, now).await,
        "node.pair.verify" => verify(socket, params, now).await,
        other => Err(RpcError::NotFound(other.chars().take(64).collect())),
    }
}

/// Parameters by name.
#[derive(Clone, Copy)]
struct Params<'a>(&'a Map<String, Value>);

impl<'a> Params<'a> {
    fn optional(self, name: &str) -> Result<Option<&'a str>, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RpcError::Invalid(format!("Invalid parameters: {name} must be a string"))),
        }
    }

    fn text(self, name: &str) -> Result<&'a str, RpcError> {
        if self.0.is_empty() {
            return Err(RpcError::Missing);
        }
        self.optional(name)?
            .ok_or_else(|| RpcError::Invalid(format!("Invalid parameters: missing field `{name}`")))
    }

    fn label(self, name: &str) -> Result<String, RpcError> {
        label(self.text(name)?).ok_or_else(|| {
            RpcError::Invalid(format!("Invalid parameters: {name} must have 1 to 100 visible characters"))
        })
    }

    fn device_id(self) -> Result<NodeId, RpcError> {
        node_id(self.text("device_id")?)
    }
}

fn node_id(text: &str) -> Result<NodeId, RpcError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        RpcError::Invalid(format!("Invalid device_id: '{shown}'. Must be a valid UUID string"))
    })
}

async fn request(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    let name = params.label("device_name")?;
    let kind = params.text("device_type")?;
    let version = params.label("client_version")?;
    let node = params.text("device_id")?;
    let facts = NodeFacts {
        name,
        kind: kind
            .parse()
            .map_err(|bad: countersign_core::node::BadNodeKind| RpcError::Invalid(bad.to_string()))?,
        version,
        node: node_id(node)?,
    };
    let app = &socket.app;
    let refused = |reason, text| {
        app.metrics.pairing_refused(reason);
        Err(RpcError::Pairing(text, None))
    };
    match pairing::request(app, facts, socket.from.clone(), socket.address, socket.id, now).await? {
        Requesting::Requested(asked) => Ok(json!({
            "pairing_code": asked.code.reveal(),
            "expires_at": rfc3339(asked.expires_at),
            "expires_in": ceil_secs(asked.expires_in),
            "verification_uri": app.public_url.join(&app.config.device.verification_path),
        })),
        Requesting::Elsewhere => {
            refused(PairingRefusal::Elsewhere, "This device is being paired from another address")
        }
        Requesting::Denied => refused(PairingRefusal::Policy, "Devices may not ask from this network"),
        Requesting::TooMany(wait) => Err(RpcError::RateLimited(wait)),
        Requesting::Exhausted => {
            refused(PairingRefusal::Exhausted, "No pairing code is free; try again later")
        }
    }
}

async fn confirm(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    let code = params.text("pairing_code")?;
    let node = params.device_id()?;
    let pin = params.optional("initiation_pin")?.map(str::parse::<Pin>).transpose();
    let pin = pin.map_err(|bad| RpcError::Invalid(format!("Invalid parameters: {bad}")))?;
    let app = &socket.app;
    let itself = app.config.pairing.by_itself.then(|| Approver::nobody(Authority::Itself, None, now));
    let approver = socket.peer.approver(app, &socket.from, now).await?.or(itself);
    let (from, address) = (&socket.from, socket.address);
    let pin = pin.map(|pin| Typed { pin, from: socket.from.clone() });
    let (approver, pin) = (approver.as_ref(), pin.as_ref());
    let confirming = Confirming { typed: code, node, pin, approver, from, address, socket: socket.id };
    let ask = || pairing::confirm(app, &confirming, now);
    let mut confirmed = ask().await?;
    if let Confirmed::Waiting { grant, pin: false, .. } = confirmed
        && !app.hub.waits_for(socket.id, grant)
    {
        // It came back on another socket: from now on it hears here, and what was decided until now it
        // reads now.
        app.hub.wait_for(socket.id, grant);
        confirmed = ask().await?;
    }
    let refused = |reason, text, data| {
        app.metrics.pairing_refused(reason);
        Err(RpcError::Pairing(text, data))
    };
    match confirmed {
        Confirmed::Paired(paired) => Ok(json!({
            "device_token": paired.token.reveal(),
            "paired_at": rfc3339(paired.node.paired_at),
            "scopes": paired.node.scopes.iter().collect::<Vec<_>>(),
        })),
        Confirmed::Invalid => refused(PairingRefusal::UnknownCode, UNKNOWN_CODE, None),
        Confirmed::Expired => refused(PairingRefusal::ExpiredCode, "Pairing code has expired", None),
        Confirmed::Mismatch => {
            refused(PairingRefusal::WrongDevice, "Device ID does not match pairing request", None)
        }
        Confirmed::Foreign => refused(PairingRefusal::Foreign, FOREIGN, None),
        Confirmed::Elsewhere => refused(PairingRefusal::Policy, ELSEWHERE, None),
        Confirmed::TooMany(wait) => Err(RpcError::RateLimited(wait)),
        Confirmed::Waiting { interval, pin, .. } => {
            let data = json!({ "status": "pending", "interval": ceil_secs(interval) });
            let data = with(data, "pin_required", pin.then_some(Value::Bool(true)));
            Err(RpcError::Pairing("Pairing is awaiting approval", Some(data)))
        }
        Confirmed::Rejected => {
            let data = json!({ "status": "rejected" });
            refused(PairingRefusal::Rejected, "Pairing was rejected", Some(data))
        }
    }
}

const UNKNOWN_CODE: &str = "Invalid or expired pairing code";
const ELSEWHERE: &str = "It was asked for from another network than yours";
const FOREIGN: &str = "This device belongs to another account and must be removed there first";

async fn decide(socket: &Socket, params: Params<'_>, yes: bool, now: Timestamp) -> Outcome {
    let app = &socket.app;
    let approver = socket.peer.approver(app, &socket.from, now).await?.ok_or(RpcError::Unauthorized)?;
    let code = params.optional("pairing_code")?;
    let node = params.optional("device_id")?.map(node_id).transpose()?;
    if code.is_none() && node.is_none() {
        return Err(RpcError::Missing);
    }
    let unknown = RpcError::Pairing(UNKNOWN_CODE, None);
    let Some(grant) = pairing::find(app, code, node, now).await? else { return Err(unknown) };
    let Ask::Pairing(ask) = &grant.ask else { return Err(unknown) };
    let decided = if yes {
        pairing::approve(app, &grant, &approver, &socket.from, now).await?
    } else {
        pairing::reject(app, &grant, &approver, &socket.from, now).await?
    };
    let word = if yes { "approved" } else { "rejected" };
    match decided {
        Decided::Done { pin } => {
            let done = json!({ word: true, "device_id": ask.facts.node.to_string() });
            Ok(with(done, "initiation_pin", pin.map(|pin| json!(pin.reveal()))))
        }
        Decided::Foreign => Err(RpcError::Pairing(FOREIGN, None)),
        Decided::Elsewhere => Err(RpcError::Pairing(ELSEWHERE, None)),
        Decided::TooLate => Err(unknown),
    }
}

/// The node that a call is about, if this peer may change it. To others it does not exist.
async fn own(socket: &Socket, id: NodeId) -> Result<Option<Node>, RpcError> {
    let found = nodes::by_node(&socket.app, id).await?.map(|listed| listed.node);
    Ok(found.filter(|node| socket.peer.may_change(node)))
}

/// Whether this peer may change any node at all.
fn changes_something(peer: &Peer) -> Result<(), RpcError> {
    if peer.is_operator() || peer.held().is_some() || peer.person().is_some() {
        Ok(())
    } else {
        Err(RpcError::Unauthorized)
    }
}

async fn revoke(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    changes_something(&socket.peer)?;
    let revoked = match own(socket, params.device_id()?).await? {
        Some(node) => nodes::revoke(&socket.app, &node, &socket.peer.actor(&socket.from), now).await?,
        None => false,
    };
    Ok(json!({ "revoked": revoked }))
}

async fn remove(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    changes_something(&socket.peer)?;
    let removed = match own(socket, params.device_id()?).await? {
        Some(node) => nodes::remove(&socket.app, &node, &socket.peer.actor(&socket.from), now).await?,
        None => false,
    };
    Ok(json!({ "removed": removed }))
}

const NO_DEVICE: RpcError = RpcError::Pairing("There is no such device", None);

async fn rename(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    changes_something(&socket.peer)?;
    let (id, name) = (params.device_id()?, params.label("device_name")?);
    let Some(node) = own(socket, id).await? else { return Err(NO_DEVICE) };
    if !nodes::rename(&socket.app, &node, &name, &socket.peer.actor(&socket.from), now).await? {
        return Err(NO_DEVICE);
    }
    Ok(json!({ "device_id": id.to_string(), "device_name": name }))
}

async fn refresh(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    let named = params.optional("device_id")?.map(node_id).transpose()?;
    let may_approve = socket.peer.approver(&socket.app, &socket.from, now).await?.is_some();
    let (node, shown) = match (&socket.peer, named) {
        (Peer::Node(node, token), None) => (Some(Node::clone(node)), Some(*token)),
        (Peer::Node(node, token), Some(id)) if id == node.facts.node => {
            (Some(Node::clone(node)), Some(*token))
        }
        // It yields a credential, as an approval does.
        (_, Some(id)) if may_approve => {
            (nodes::by_node(&socket.app, id).await?.map(|listed| listed.node), None)
        }
        (peer, None) if peer.is_operator() => return Err(RpcError::Missing),
        _ => return Err(RpcError::Unauthorized),
    };
    let Some(node) = node else { return Err(NO_DEVICE) };
    let actor = socket.peer.actor(&socket.from);
    let refreshed = nodes::refresh(&socket.app, &node, shown.as_ref(), &actor, now).await?;
    let Some(refreshed) = refreshed else { return Err(NO_DEVICE) };
    let mut result = json!({
        "device_token": refreshed.token.reveal(),
        "device_id": node.facts.node.to_string(),
        "scopes": node.scopes.iter().collect::<Vec<_>>(),
    });
    if let (Some(result), Some(end)) = (result.as_object_mut(), refreshed.expires_at) {
        result.insert("expires_at".to_owned(), json!(rfc3339(end)));
    }
    Ok(result)
}

/// A pairing that waits, as lists and notifications show it. Never its code.
pub fn pending(grant: &Grant, with_address: bool) -> Value {
    let Ask::Pairing(ask) = &grant.ask else { return Value::Null };
    let facts = &ask.facts;
    let mut item = json!({
        "device_id": facts.node.to_string(),
        "device_name": facts.name,
        "device_type": facts.kind.name(),
        "client_version": facts.version,
        "requested_at": rfc3339(grant.asked_at),
        "expires_at": rfc3339(grant.expires_at),
    });
    if let Some(item) = item.as_object_mut().filter(|_| with_address) {
        item.insert("address".to_owned(), json!(grant.from.address));
    }
    item
}

fn paired(app: &App, listed: &Listed, now: Timestamp) -> Value {
    let node = &listed.node;
    json!({
        "device_id": node.facts.node.to_string(),
        "device_name": node.facts.name,
        "device_type": node.facts.kind.name(),
        "client_version": node.facts.version,
        "owner": listed.user.as_ref().map(ToString::to_string),
        "scopes": node.scopes.iter().collect::<Vec<_>>(),
        "paired_at": rfc3339(node.paired_at),
        "last_used": node.last_used.map(rfc3339),
        "online": app.hub.is_online(node.id),
        "revoked": !node.is_live(now),
    })
}

async fn list(socket: &Socket, now: Timestamp) -> Outcome {
    let app = &socket.app;
    let (waiting, nodes) = match &socket.peer {
        peer if peer.is_operator() => (pairing::waiting(app, now).await?, nodes::all(app).await?),
        Peer::Node(node, _) => {
            let own = nodes::by_node(app, node.facts.node).await?;
            (Vec::new(), own.into_iter().collect())
        }
        peer => match peer.person() {
            Some(person) => (Vec::new(), nodes::of_account(app, person).await?),
            None => return Err(RpcError::Unauthorized),
        },
    };
    let waiting: Vec<Value> = waiting.iter().map(|grant| pending(grant, true)).collect();
    let nodes: Vec<Value> = nodes.iter().map(|listed| paired(app, listed, now)).collect();
    Ok(json!({ "pending": waiting, "paired": nodes }))
}

async fn verify(socket: &Socket, params: Params<'_>, now: Timestamp) -> Outcome {
    if !socket.peer.may(READ) {
        return Err(RpcError::Unauthorized);
    }
    let token = params.text("device_token")?;
    let named = params.optional("device_id")?.map(node_id).transpose()?;
    let presented = named.map(|node| Named { node, address: socket.address });
    let found = nodes::authenticate(&socket.app, token, presented, now).await?;
    let found = found.filter(|listed| named.is_none_or(|id| id == listed.node.facts.node));
    Ok(match found {
        Some(listed) => json!({ "ok": true, "device": paired(&socket.app, &listed, now) }),
        None => json!({ "ok": false }),
    })
}
