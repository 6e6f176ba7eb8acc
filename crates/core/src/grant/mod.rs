//! One grant: a device asks, a person answers, the device collects. Every door ends here.
//!
//! ```text
//!            approve            redeem
//!  Pending ──────────▶ Approved ──────▶ Redeemed
//!     │                   │
//!     └──────▶ Denied ◀───┘
//!       deny          undo
//! ```
//!
//! Expiry is no state: it follows from `now` and is never stored, so nothing can forget to set it.

mod ask;

use std::time::Duration;

use crate::account::SignIn;
use crate::client::ClientId;
use crate::id::{AccountId, DeviceId, GrantId};
use crate::pace;
use crate::scope::Scopes;
use crate::time::Timestamp;

pub use self::ask::{
    Ask, BadThumbprint, CodeOptions, Door, KeyAsk, PairingAsk, Thumbprint, TokensAsk, TokensOptions, Way,
};

/// Where a question or an answer came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub address: String,
    pub user_agent: Option<String>,
}

impl Origin {
    /// User agents are cut here: nobody reads more, and a page must stay a page.
    pub const USER_AGENT_CHARS: usize = 200;
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: GrantId,
    pub ask: Ask,
    pub from: Origin,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
    pub interval: Duration,
    /// When a person first entered the code.
    pub opened_at: Option<Timestamp>,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Approved(Approval),
    Denied { at: Timestamp },
    Redeemed { approval: Approval, at: Timestamp, device: DeviceId },
}

/// A person's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// None: an operator's token, or the node itself where it may. Then the device is nobody's.
    pub by: Option<AccountId>,
    pub at: Timestamp,
    /// How that person was signed in.
    pub sign_in: SignIn,
    /// Where a PIN must be typed on the device before it collects: how often that was tried.
    pub pin_tries: Option<u32>,
}

/// So many PINs may be tried.
pub const PIN_TRIES: u32 = 3;

impl Approval {
    pub fn is_by(&self, account: AccountId) -> bool {
        self.by == Some(account)
    }
}

/// What a poll hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Ask again after the interval.
    Wait,
    /// The same; it is approved, and the PIN must be typed on the device.
    WaitForPin,
    /// Too soon; from now on wait this long.
    SlowDown(Duration),
    Denied,
    Expired,
    /// Collected already.
    Spent,
    Ready(Approval),
}

/// Why a transition did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the code has expired")]
    Expired,
    #[error("somebody has decided already")]
    Decided,
    #[error("nobody has approved it")]
    NotApproved,
    #[error("it has been collected already")]
    Redeemed,
    #[error("the sign-in is not fresh enough")]
    SignInTooOld,
    #[error("the sign-in took one factor")]
    SignInTooWeak,
}

/// What the operator's policy demands of the sign-in behind an approval, whatever was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub multi_factor: bool,
    pub max_age: Option<Duration>,
    /// Only a sign-in that came after the question will do.
    pub after_the_question: bool,
}

impl Grant {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    pub const fn client(&self) -> Option<&ClientId> {
        match &self.ask {
            Ask::Tokens(ask) => Some(&ask.client),
            Ask::Key(ask) => ask.client.as_ref(),
            Ask::Pairing(_) => None,
        }
    }

    pub const fn scopes(&self) -> &Scopes {
        match &self.ask {
            Ask::Tokens(ask) => &ask.scopes,
            Ask::Key(ask) => &ask.scopes,
            Ask::Pairing(ask) => &ask.scopes,
        }
    }

    /// Step 2: what a poll at `now` hears. The order of the checks is part of the interface. One that
    /// carries a PIN is not held to the interval; whether it is the right one is for the caller to find out.
    pub fn poll(&self, last: Option<Timestamp>, carries_pin: bool, now: Timestamp) -> Poll {
        match &self.state {
            State::Redeemed { .. } => Poll::Spent,
            State::Denied { .. } => Poll::Denied,
            State::Pending | State::Approved(_) if self.is_expired(now) => Poll::Expired,
            // However impatient the client: what is approved is handed over (RFC 8628 §3.5).
            State::Approved(approval) if carries_pin || approval.pin_tries.is_none() => {
                Poll::Ready(approval.clone())
            }
            State::Pending if carries_pin => Poll::Wait,
            State::Pending | State::Approved(_) if pace::too_soon(last, now, self.interval) => {
                Poll::SlowDown(pace::slowed(self.interval))
            }
            State::Pending => Poll::Wait,
            State::Approved(_) => Poll::WaitForPin,
        }
    }

    /// Whether this sign-in is fresh and strong enough for what was asked, and for what the policy
    /// demands beside that.
    pub fn accepts(&self, sign_in: &SignIn, demand: Demand, now: Timestamp) -> Result<(), Refusal> {
        let asked = match &self.ask {
            Ask::Tokens(ask) => Some(&ask.options),
            Ask::Key(_) | Ask::Pairing(_) => None,
        };
        let strong = asked.is_some_and(TokensOptions::wants_multi_factor);
        if (demand.multi_factor || strong) && !sign_in.is_multi_factor() {
            return Err(Refusal::SignInTooWeak);
        }
        // OIDC Core §3.1.2.1. One that came after the question is always fresh, or `max_age=0` could never
        // be met.
        let asked_age = asked.and_then(|options| options.max_age).map(|age| Duration::from_secs(age.into()));
        let within = |age: Option<Duration>| age.is_none_or(|age| now.since(sign_in.at) <= age);
        if !within(demand.max_age) {
            return Err(Refusal::SignInTooOld);
        }
        let young = within(asked_age);
        let again = demand.after_the_question || asked.is_some_and(|options| options.prompt_login);
        if sign_in.at >= self.asked_at || (!again && young) { Ok(()) } else { Err(Refusal::SignInTooOld) }
    }

    /// Whether a decision can still be made.
    pub fn undecided(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.state {
            State::Pending if self.is_expired(now) => Err(Refusal::Expired),
            State::Pending => Ok(()),
            State::Approved(_) | State::Denied { .. } | State::Redeemed { .. } => Err(Refusal::Decided),
        }
    }

    /// Step 4, yes.
    pub fn approve(mut self, approval: Approval, demand: Demand) -> Result<Self, Refusal> {
        self.undecided(approval.at)?;
        self.accepts(&approval.sign_in, demand, approval.at)?;
        self.state = State::Approved(approval);
        Ok(self)
    }

    /// Step 4, no.
    pub fn deny(mut self, at: Timestamp) -> Result<Self, Refusal> {
        self.undecided(at)?;
        self.state = State::Denied { at };
        Ok(self)
    }

    /// *This wasn't me*, before the device collected. Afterwards what it got must end instead.
    pub fn undo(mut self, at: Timestamp) -> Result<Self, Refusal> {
        match self.state {
            State::Approved(_) => {
                self.state = State::Denied { at };
                Ok(self)
            }
            State::Pending | State::Denied { .. } => Err(Refusal::NotApproved),
            State::Redeemed { .. } => Err(Refusal::Redeemed),
        }
    }

    /// Step 5: the device collects.
    pub fn redeem(mut self, device: DeviceId, at: Timestamp) -> Result<Self, Refusal> {
        match self.state {
            State::Approved(_) if at >= self.expires_at => Err(Refusal::Expired),
            State::Approved(approval) => {
                self.state = State::Redeemed { approval, at, device };
                Ok(self)
            }
            State::Pending | State::Denied { .. } => Err(Refusal::NotApproved),
            State::Redeemed { .. } => Err(Refusal::Redeemed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{MULTI_FACTOR, SINGLE_FACTOR};
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_secs(1_000_000);
    const TTL: Duration = Duration::from_mins(30);

    fn grant(options: TokensOptions) -> Grant {
        Grant {
            id: GrantId::new(START, [1; 10]),
            ask: Ask::Tokens(TokensAsk {
                client: "tv".parse().unwrap(),
                scopes: "openid".parse().unwrap(),
                options,
            }),
            from: Origin::default(),
            asked_at: START,
            expires_at: START + TTL,
            interval: Duration::from_secs(5),
            opened_at: None,
            state: State::Pending,
        }
    }

    fn approval(at: Timestamp) -> Approval {
        Approval {
            by: Some(AccountId::new(START, [2; 10])),
            at,
            sign_in: SignIn { at, amr: vec!["pwd".to_owned()] },
            pin_tries: None,
        }
    }

    #[test]
    fn a_stale_sign_in_may_not_approve() {
        let options = TokensOptions { max_age: Some(60), ..TokensOptions::default() };
        let stale = SignIn { at: START - Duration::from_secs(1), amr: Vec::new() };
        let late = START + Duration::from_mins(1);
        assert!(
            grant(options.clone())
                .accepts(&stale, Demand::default(), START + Duration::from_secs(59))
                .is_ok()
        );
        let after = SignIn { at: START, amr: Vec::new() };
        assert!(
            grant(options.clone()).accepts(&after, Demand::default(), late + Duration::from_mins(1)).is_ok()
        );
        let yes = Approval { sign_in: stale, ..approval(late) };
        assert_eq!(grant(options).approve(yes, Demand::default()).err(), Some(Refusal::SignInTooOld));
    }

    #[test]
    fn some_approvals_take_two_factors() {
        let one = SignIn { at: START, amr: vec!["pwd".to_owned()] };
        let two = one.clone().and("otp");
        let refusal = |values: &[&str], demand: Demand, sign_in: &SignIn| {
            let acr_values = values.iter().map(|value| (*value).to_owned()).collect();
            let options = TokensOptions { acr_values, ..TokensOptions::default() };
            grant(options).accepts(sign_in, demand, START).err()
        };
        let policy = Demand { multi_factor: true, ..Demand::default() };
        assert_eq!(refusal(&[], Demand::default(), &one), None);
        assert_eq!(refusal(&[], policy, &one), Some(Refusal::SignInTooWeak));
        assert_eq!(refusal(&[], policy, &two), None);
        assert_eq!(refusal(&["x", MULTI_FACTOR], Demand::default(), &one), Some(Refusal::SignInTooWeak));
        assert_eq!(refusal(&[SINGLE_FACTOR, MULTI_FACTOR], Demand::default(), &one), None);
        let old = SignIn { at: START - Duration::from_secs(61), ..two };
        let fresh = Demand { multi_factor: true, max_age: Some(Duration::from_mins(1)), ..Demand::default() };
        assert_eq!(refusal(&[], fresh, &old), Some(Refusal::SignInTooOld));
        let again = Demand { after_the_question: true, ..Demand::default() };
        assert_eq!(refusal(&[], again, &old), Some(Refusal::SignInTooOld));
        assert_eq!(refusal(&[], again, &SignIn { at: START, ..old }), None);
    }

    #[test]
    fn prompt_login_wants_a_sign_in_after_the_question() {
        let options = TokensOptions { prompt_login: true, ..TokensOptions::default() };
        let before = SignIn { at: START - Duration::from_secs(1), amr: Vec::new() };
        assert!(grant(options.clone()).accepts(&before, Demand::default(), START).is_err());
        assert!(
            grant(options).accepts(&SignIn { at: START, amr: Vec::new() }, Demand::default(), START).is_ok()
        );
    }

    #[test]
    fn approval_outruns_the_pace_but_not_the_clock() {
        let approved = grant(TokensOptions::default()).approve(approval(START), Demand::default()).unwrap();
        assert!(matches!(approved.poll(Some(START), false, START), Poll::Ready(_)));
        assert_eq!(approved.poll(None, false, START + TTL), Poll::Expired);
    }

    #[test]
    fn where_a_pin_is_wanted_only_a_poll_with_one_collects() {
        let wanted = Approval { pin_tries: Some(0), ..approval(START) };
        let approved = grant(TokensOptions::default()).approve(wanted, Demand::default()).unwrap();
        assert_eq!(approved.poll(None, false, START), Poll::WaitForPin);
        assert!(matches!(approved.poll(Some(START), false, START), Poll::SlowDown(_)));
        assert!(matches!(approved.poll(Some(START), true, START), Poll::Ready(_)));
        assert_eq!(approved.poll(None, true, START + TTL), Poll::Expired);
        assert_eq!(grant(TokensOptions::default()).poll(Some(START), true, START), Poll::Wait);
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Pass(u64),
        Poll,
        Approve,
        Deny,
        Undo,
        Redeem,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0_u64..900).prop_map(Event::Pass),
            Just(Event::Poll),
            Just(Event::Approve),
            Just(Event::Deny),
            Just(Event::Undo),
            Just(Event::Redeem),
        ];
        proptest::collection::vec(event, 0..40)
    }

    proptest! {
        /// No sequence of events redeems twice, resurrects, or approves after expiry.
        #[test]
        fn the_machine_never_goes_back(events in events()) {
            let (mut now, mut grant, mut last) = (START, grant(TokensOptions::default()), None);
            let (mut redeemed, mut approved, mut ended) = (0, 0, false);
            for event in events {
                let before = grant.state.clone();
                let expired = grant.is_expired(now);
                let next = match event {
                    Event::Pass(secs) => { now = now + Duration::from_secs(secs); None }
                    Event::Poll => {
                        match grant.poll(last, false, now) {
                            Poll::WaitForPin => prop_assert!(false, "nobody wants a PIN here"),
                            Poll::Wait => {
                                prop_assert_eq!(&before, &State::Pending);
                                prop_assert!(!expired);
                                last = Some(now);
                            }
                            Poll::SlowDown(wait) => {
                                prop_assert!(last.is_some() && wait > grant.interval);
                            }
                            Poll::Ready(_) => prop_assert!(!expired && !ended && redeemed == 0),
                            Poll::Expired => prop_assert!(expired && !ended),
                            Poll::Denied => prop_assert!(ended),
                            Poll::Spent => prop_assert_eq!(redeemed, 1),
                        }
                        None
                    }
                    Event::Approve => grant.clone().approve(approval(now), Demand::default()).ok().inspect(|_| approved += 1),
                    Event::Deny => grant.clone().deny(now).ok().inspect(|_| ended = true),
                    Event::Undo => grant.clone().undo(now).ok().inspect(|_| ended = true),
                    Event::Redeem => grant.clone().redeem(DeviceId::new(now, [3; 10]), now).ok().inspect(|_| redeemed += 1),
                };
                if let Some(next) = next {
                    let allowed = matches!(
                        (&before, &next.state),
                        (State::Pending, State::Approved(_) | State::Denied { .. })
                            | (State::Approved(_), State::Denied { .. } | State::Redeemed { .. })
                    );
                    prop_assert!(allowed, "{:?} became {:?}", before, next.state);
                    let undone = matches!(event, Event::Undo);
                    prop_assert!(!expired || undone, "{:?} happened after expiry", event);
                    grant = next;
                }
                prop_assert!(redeemed <= 1 && approved <= 1);
                prop_assert!(!(ended && redeemed == 1));
            }
        }
    }
}
