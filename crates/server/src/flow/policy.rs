//! What the operator demands of an approval, beside what was asked for.

use countersign_core::account::Account;
use countersign_core::grant::Demand;
use countersign_core::time::Timestamp;

use crate::app::App;
use crate::flow::caller::Caller;

/// What is demanded of this person.
pub fn demand(app: &App, account: &Account) -> Demand {
    Demand {
        multi_factor: app.config.second_factor.is_demanded_of(account),
        max_age: app.config.approval.max_age,
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
