//! Who is at the other end of a socket.

use axum::http::request::Parts;
use countersign_core::grant::Origin;
use countersign_core::id::AccountId;
use countersign_core::node::{Node, PAIRING, may};
use countersign_core::scope::{DEVICES, Scopes};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::dpop;
use crate::flow::caller::{self, Caller, Presented, Proof};
use crate::flow::nodes;
use crate::flow::nodes::Actor;
use crate::flow::pairing::{Approver, Authority};
use crate::flow::policy::Sufficient;
use crate::http;
use crate::hub::Held;

#[derive(Debug)]
pub enum Peer {
    /// Without credentials one may ask to be paired, and nothing else.
    Nobody,
    /// With the digest of the token that it brought.
    Node(Box<Node>, Digest),
    /// A token of the configuration.
    Gateway { scopes: Scopes, role: String },
    /// A person, by an access token of theirs.
    Person(Box<Caller>),
}

/// `None`: there is a credential, and it is not good.
pub async fn recognise(app: &App, parts: &Parts, now: Timestamp) -> Answer<Option<Peer>> {
    let Ok(credentials) = http::authorization(&parts.headers) else { return Ok(None) };
    let Some(credentials) = credentials else { return Ok(Some(Peer::Nobody)) };
    let shown = dpop::presented(app, parts, &credentials, &["bearer", "devicetoken"], now);
    let Ok(Some(dpop::Presented { token, key })) = shown else { return Ok(None) };
    let digest = Digest::of(token.reveal());
    let named = http::named_device(parts);
    if let Some(listed) = nodes::authenticate(app, token.reveal(), named, now).await? {
        return Ok(Some(Peer::Node(Box::new(listed.node), digest)));
    }
    if let Some(gateway) =
        app.config.pairing.gateway_tokens.iter().find(|known| known.digest.matches(&digest))
    {
        let (scopes, role) = (gateway.scopes.clone(), gateway.role.clone());
        return Ok(Some(Peer::Gateway { scopes, role }));
    }
    let presented = Presented { token: &token, device: None, key: key.as_ref() };
    let caller = caller::by_bearer(app, presented, now).await?;
    // An API key is no person, and no node either.
    Ok(caller
        .ok()
        .filter(|caller| matches!(caller.proof, Proof::Token(_)))
        .map(|caller| Peer::Person(Box::new(caller))))
}

impl Peer {
    fn scopes(&self) -> Option<&Scopes> {
        match self {
            Self::Nobody => None,
            Self::Node(node, _) => Some(&node.scopes),
            Self::Gateway { scopes, .. } => Some(scopes),
            Self::Person(caller) => match &caller.proof {
                Proof::Token(access) => Some(&access.scopes),
                _ => None,
            },
        }
    }

    pub fn may(&self, scope: &str) -> bool {
        self.scopes().is_some_and(|scopes| may(scopes, scope))
    }

    /// Whether it approves, and hears of every pairing.
    pub fn is_operator(&self) -> bool {
        self.may(PAIRING)
    }

    /// The token of a node's socket.
    pub fn held(&self) -> Option<Held> {
        match self {
            Self::Node(node, token) => Some(Held { device: node.id, owner: node.owner, token: *token }),
            _ => None,
        }
    }

    fn role(&self) -> Option<String> {
        match self {
            Self::Gateway { role, .. } => Some(format!("gateway token: {role}")),
            Self::Node(node, _) => Some(format!("device: {}", node.id)),
            Self::Nobody | Self::Person(_) => None,
        }
    }

    /// Who does what this peer does.
    pub fn actor(&self, from: &Origin) -> Actor {
        let account = match self {
            Self::Person(caller) => Some(caller.account.id),
            Self::Node(node, _) => node.owner,
            Self::Nobody | Self::Gateway { .. } => None,
        };
        Actor { account, role: self.role(), from: from.clone() }
    }

    /// The person whose nodes this peer may look after.
    pub fn person(&self) -> Option<AccountId> {
        match self {
            Self::Person(caller) if self.is_operator() || self.scopes()?.contains(DEVICES) => {
                Some(caller.account.id)
            }
            _ => None,
        }
    }

    /// Whether it may change this node: it is the node, its owner, or an operator.
    pub fn may_change(&self, node: &Node) -> bool {
        self.is_operator()
            || self.held().is_some_and(|held| held.device == node.id)
            || (self.person().is_some() && self.person() == node.owner)
    }

    /// In whose name this peer approves, if it may.
    pub async fn approver(&self, app: &App, here: &Origin, now: Timestamp) -> Answer<Option<Approver>> {
        if !self.is_operator() {
            return Ok(None);
        }
        if let Self::Person(caller) = self
            && Sufficient::check(app, caller, here, now).await?.is_err()
        {
            return Ok(None);
        }
        let nobody = Approver::nobody(Authority::Operator, self.role(), now);
        Ok(Some(match self {
            Self::Person(caller) => Approver {
                account: Some(caller.account.id),
                sign_in: caller.sign_in(),
                guards: caller.guards(now),
                ..nobody
            },
            _ => nobody,
        }))
    }

    /// Whether what it showed when it came is still good.
    pub async fn is_still_good(&self, app: &App, now: Timestamp) -> Answer<bool> {
        match self {
            Self::Person(caller) => caller::is_still_good(app, caller, now).await,
            Self::Node(_, token) => nodes::is_live(app, token, now).await,
            Self::Nobody | Self::Gateway { .. } => Ok(true),
        }
    }
}
