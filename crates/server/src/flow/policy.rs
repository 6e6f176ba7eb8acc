//! What the operator demands of an approval, beside what was asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use countersign_core::account::Account;
use countersign_core::grant::{Demand, Origin};
use countersign_core::time::Timestamp;

use crate::app::App;
use crate::config::Mismatch;
use crate::flow::caller::Caller;

/// What is demanded of this person.
pub fn demand(app: &App, account: &Account) -> Demand {
    let multi_factor = app.config.second_factor.is_demanded_of(account);
    Demand { multi_factor, max_age: app.config.approval.max_age, after_the_question: false }
}

/// What is demanded of this person for what was asked from there, while they are here.
pub fn demand_for(app: &App, account: &Account, asked: &Origin, here: &Origin) -> Demand {
    let again = app.config.approval.mismatch == Mismatch::StepUp && is_elsewhere(asked, here);
    Demand { after_the_question: again, ..demand(app, account) }
}

/// Whether a device asked from another network than its person is on. What is no address says nothing.
pub fn is_elsewhere(asked: &Origin, here: &Origin) -> bool {
    let network = |origin: &Origin| origin.address.parse().ok().map(network);
    match (network(asked), network(here)) {
        (Some(asked), Some(here)) => asked != here,
        _ => false,
    }
}

/// The /24 or /56 around an address: about what one home or office has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xFF).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !(u128::MAX >> 56)).into(),
    }
}

/// Whether devices at this address may ask.
pub fn may_ask(app: &App, address: IpAddr) -> bool {
    let networks = &app.config.approval.requesters;
    networks.is_empty() || networks.iter().any(|network| network.contains(&address.to_canonical()))
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
    pub fn check(app: &App, caller: &'a Caller, now: Timestamp) -> Result<Self, Lacking> {
        let (demand, sign_in) = (demand(app, &caller.account), caller.sign_in());
        if demand.multi_factor && !sign_in.is_multi_factor() {
            return Err(Lacking::SecondFactor);
        }
        if demand.max_age.is_some_and(|age| now.since(sign_in.at) > age) {
            return Err(Lacking::Freshness);
        }
        Ok(Self(caller))
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
        let apart = |asked: &str, here: &str| is_elsewhere(&at(asked), &at(here));
        assert!(!apart("192.0.2.1", "192.0.2.254"));
        assert!(apart("192.0.2.1", "192.0.3.1"));
        assert!(!apart("2001:db8:0:10::1", "2001:db8:0:1f::9"));
        assert!(apart("2001:db8:0:100::1", "2001:db8:0:200::1"));
        assert!(!apart("::ffff:192.0.2.1", "192.0.2.9"));
        assert!(apart("192.0.2.1", "2001:db8::1"), "two ways to one network look like two networks");
        assert!(!apart("unknown", "192.0.2.1"));
    }
}
