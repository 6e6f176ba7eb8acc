//! Who is at the other end of a socket.

use axum::http::HeaderMap;
use countersign_core::account::SignIn;
use countersign_core::id::{AccountId, DeviceId};
use countersign_core::node::{Node, PAIRING, may};
use countersign_core::scope::{DEVICES, Scopes};
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::caller::{self, Caller, Proof};
use crate::flow::pairing::{self, Approver};
use crate::http;

#[derive(Debug)]
pub enum Peer {
    /// Without credentials one may ask to be paired, and nothing else.
    Nobody,
    /// With the digest of the token that it brought.
    Node(Box<Node>, Digest),
    /// A token of the configuration.
    Gateway { scopes: Scopes },
    /// A person, by an access token of theirs.
    Person(Box<Caller>),
}

/// `None`: there is a credential, and it is not good.
pub async fn recognise(app: &App, headers: &HeaderMap, now: Timestamp) -> Answer<Option<Peer>> {
    let Ok(credentials) = http::authorization(headers) else { return Ok(None) };
    let Some(credentials) = credentials else { return Ok(Some(Peer::Nobody)) };
    let Some(token) = http::credential(&credentials, &["bearer", "devicetoken"]) else { return Ok(None) };
    let digest = Digest::of(token.reveal());
    if let Some(listed) = pairing::authenticate(app, token.reveal(), http::named_device(headers), now).await?
    {
        return Ok(Some(Peer::Node(Box::new(listed.node), digest)));
    }
    if let Some(gateway) =
        app.config.pairing.gateway_tokens.iter().find(|known| known.digest.matches(&digest))
    {
        return Ok(Some(Peer::Gateway { scopes: gateway.scopes.clone() }));
    }
    let caller = caller::by_bearer(app, &token, None, now).await?;
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
            Self::Gateway { scopes } => Some(scopes),
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

    pub fn device(&self) -> Option<(DeviceId, Digest)> {
        match self {
            Self::Node(node, digest) => Some((node.id, *digest)),
            _ => None,
        }
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
            || self.device().is_some_and(|(own, _)| own == node.id)
            || (self.person().is_some() && self.person() == node.owner)
    }

    /// In whose name this peer approves, if it may.
    pub fn approver(&self, now: Timestamp) -> Option<Approver> {
        if !self.is_operator() {
            return None;
        }
        Some(match self {
            Self::Person(caller) => {
                let sign_in: SignIn = caller.sign_in();
                Approver { account: Some(caller.account.id), sign_in, guards: caller.guards(now) }
            }
            _ => Approver::nobody(now),
        })
    }

    /// Whether what it showed when it came is still good. Nodes are told when theirs is not.
    pub async fn is_still_good(&self, app: &App, now: Timestamp) -> Answer<bool> {
        match self {
            Self::Person(caller) => caller::is_still_good(app, caller, now).await,
            Self::Nobody | Self::Node(..) | Self::Gateway { .. } => Ok(true),
        }
    }
}
