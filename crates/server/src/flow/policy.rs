//! What the operator demands of an approval, beside what was asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use countersign_core::account::Account;
use countersign_core::audit::Action;
use countersign_core::client::{Client, ClientId};
use countersign_core::grant::{Demand, Grant, Origin};
use countersign_core::id::{AccountId, GrantId};
use countersign_core::policy::{Acr, InitiationCheck, Mismatch, Policy};
use countersign_core::time::Timestamp;

use crate::app::{Answer, App};
use crate::flow::caller::Caller;
use crate::places::{Country, Place};
use crate::store::{Committed, Stmt, audit};

/// What holds for this client; for everybody, where none says that it asks.
pub fn of(app: &App, client: Option<&Client>) -> Policy {
    client.map_or_else(|| app.config.approval.clone(), |client| app.config.approval.with(&client.policy))
}

fn demand(app: &App, policy: &Policy, account: &Account) -> Demand {
    let multi_factor = policy.acr == Acr::MultiFactor || app.config.second_factor.is_demanded_of(account);
    Demand { multi_factor, max_age: policy.max_age, after_the_question: false }
}

/// How far a device and its person are apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apart {
    /// As far as is known.
    No,
    Network,
    Country {
        asked: Country,
        here: Country,
    },
}

fn apart(app: &App, asked: &Origin, here: &Origin) -> Apart {
    between(asked, app.places.of(&asked.address), here, app.places.of(&here.address))
}

fn between(asked: &Origin, there: Place, here: &Origin, place: Place) -> Apart {
    if let (Some(asked), Some(here)) = (there.country, place.country)
        && asked.code != here.code
    {
        return Apart::Country { asked, here };
    }
    let other = match (there.asn, place.asn) {
        // One operator hands out many networks, and a phone wanders between them.
        (Some(there), Some(here)) => there != here,
        _ => match (network(asked), network(here)) {
            (Some(asked), Some(here)) => asked != here,
            // What is no address says nothing.
            _ => false,
        },
    };
    if other { Apart::Network } else { Apart::No }
}

/// The /24 or /56 around an address: about what one home or office has.
fn network(origin: &Origin) -> Option<IpAddr> {
    Some(match origin.address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xFF).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 56)).into(),
    })
}

/// What the policy says of one question, to somebody who would answer it from here.
#[derive(Clone, Debug)]
pub struct Ruling {
    pub policy: Policy,
    pub apart: Apart,
}

impl Ruling {
    pub fn new(app: &App, client: Option<&Client>, asked: &Origin, here: &Origin) -> Self {
        Self { policy: of(app, client), apart: apart(app, asked, here) }
    }

    /// Whether nobody may approve this from here.
    pub fn is_denied(&self) -> bool {
        self.policy.mismatch == Mismatch::Deny && self.apart != Apart::No
    }

    /// What people should know, if they should.
    pub fn warning(&self) -> Option<&Apart> {
        Some(&self.apart).filter(|apart| **apart != Apart::No && self.policy.mismatch != Mismatch::Off)
    }

    /// Whether only a fresh sign-in will do.
    pub fn wants_again(&self) -> bool {
        self.policy.mismatch == Mismatch::StepUp && self.apart != Apart::No
    }

    pub fn demand(&self, app: &App, account: &Account) -> Demand {
        Demand { after_the_question: self.wants_again(), ..demand(app, &self.policy, account) }
    }

    /// Whether a PIN must be typed on the device, and how often that was tried: not yet.
    pub fn pin_tries(&self) -> Option<u32> {
        (self.policy.initiation_check == InitiationCheck::Pin).then_some(0)
    }

    /// For what a browser carries: there is no other device to type anything on.
    #[must_use]
    pub fn without_pin(mut self) -> Self {
        self.policy.initiation_check = InitiationCheck::Off;
        self
    }

    /// For the audit trail.
    pub fn detail(&self) -> Option<String> {
        match &self.apart {
            Apart::No => None,
            Apart::Network => Some("asked for from another network".to_owned()),
            Apart::Country { asked, here } => {
                Some(format!("asked for from {}, approved from {}", asked.code, here.code))
            }
        }
    }
}

/// Something that the policy decided against somebody, with its reason.
#[derive(Debug)]
pub struct Objection<'a> {
    pub action: Action,
    /// The setting, below `approval`.
    pub why: &'static str,
    pub grant: Option<GrantId>,
    pub client: Option<&'a ClientId>,
    pub account: Option<AccountId>,
    pub from: &'a Origin,
}

impl<'a> Objection<'a> {
    /// To what was asked.
    pub fn to(grant: &'a Grant, action: Action, why: &'static str, from: &'a Origin) -> Self {
        Self { action, why, grant: Some(grant.id), client: grant.client(), account: None, from }
    }

    pub fn row(&self, app: &App, now: Timestamp) -> Answer<Stmt> {
        let mut event = app.event(now, self.action)?;
        event.account = self.account;
        event.client = self.client.cloned();
        event.grant = self.grant;
        event.address = Some(self.from.address.clone());
        event.detail = Some(format!("approval.{}", self.why));
        Ok(audit::insert(event))
    }

    /// Counts it and writes it down.
    pub async fn note(&self, app: &App, now: Timestamp) -> Answer<()> {
        app.metrics.objected(self.why);
        let _appended: Committed = app.store.commit(vec![self.row(app, now)?]).await?;
        Ok(())
    }
}

/// Why a sign-in is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    Freshness,
    SecondFactor,
}

/// A caller whose sign-in is enough to make keys, codes and pairings with, where nothing was asked that
/// could demand more. There is no other way to have one.
#[derive(Clone, Copy, Debug)]
pub struct Sufficient<'a>(&'a Caller);

impl<'a> Sufficient<'a> {
    /// What is lacking is written down.
    pub async fn check(
        app: &App,
        caller: &'a Caller,
        here: &Origin,
        now: Timestamp,
    ) -> Answer<Result<Self, Lacking>> {
        let (demand, sign_in) = (demand(app, &app.config.approval, &caller.account), caller.sign_in());
        let (lacking, why) = if demand.multi_factor && !sign_in.is_multi_factor() {
            (Lacking::SecondFactor, "acr")
        } else if demand.max_age.is_some_and(|age| now.since(sign_in.at) > age) {
            (Lacking::Freshness, "max_age")
        } else {
            return Ok(Ok(Self(caller)));
        };
        let (action, account) = (Action::GrantSteppedUp, Some(caller.account.id));
        Objection { action, why, grant: None, client: None, account, from: here }.note(app, now).await?;
        Ok(Err(lacking))
    }

    pub const fn caller(self) -> &'a Caller {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_one_network() {
        let at = |address: &str| Origin { address: address.to_owned(), user_agent: None };
        let apart = |asked: &str, here: &str| {
            between(&at(asked), Place::default(), &at(here), Place::default()) != Apart::No
        };
        assert!(!apart("192.0.2.1", "192.0.2.254"));
        assert!(apart("192.0.2.1", "192.0.3.1"));
        assert!(!apart("2001:db8:0:10::1", "2001:db8:0:1f::9"));
        assert!(apart("2001:db8:0:100::1", "2001:db8:0:200::1"));
        assert!(!apart("::ffff:192.0.2.1", "192.0.2.9"));
        assert!(apart("192.0.2.1", "2001:db8::1"), "two ways to one network look like two networks");
        assert!(!apart("unknown", "192.0.2.1"));
    }

    #[test]
    fn one_operator_is_one_network_unless_the_country_differs() {
        let at = |address: &str| Origin { address: address.to_owned(), user_agent: None };
        let (asked, here) = (at("192.0.2.1"), at("198.51.100.1"));
        let of = |asn| Place { asn, ..Place::default() };
        assert_eq!(between(&asked, of(Some(1)), &here, of(Some(1))), Apart::No);
        assert_eq!(between(&asked, of(Some(1)), &here, of(Some(2))), Apart::Network);
        assert_eq!(between(&asked, of(Some(1)), &here, of(None)), Apart::Network);
        assert_eq!(between(&asked, of(Some(1)), &at("192.0.2.7"), of(Some(2))), Apart::Network);
    }
}
