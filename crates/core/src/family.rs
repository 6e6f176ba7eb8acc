//! Token families: everything that came of one approval, and how it is refreshed and revoked.

use std::time::Duration;

use crate::account::SignIn;
use crate::client::ClientId;
use crate::grant::{Origin, Thumbprint};
use crate::id::{AccountId, DeviceId, GrantId};
use crate::scope::Scopes;
use crate::time::Timestamp;

/// One connected device of the OAuth door, as it stands in the inventory.
#[derive(Clone, Debug)]
pub struct Family {
    pub id: DeviceId,
    pub account: AccountId,
    pub client: ClientId,
    pub grant: GrantId,
    pub scopes: Scopes,
    /// `aud` of its access tokens; empty: the issuer.
    pub resources: Vec<String>,
    pub nonce: Option<String>,
    pub sign_in: SignIn,
    /// Where the device asked from.
    pub from: Origin,
    pub created_at: Timestamp,
    pub last_used: Option<Timestamp>,
    /// No refresh token outlives this.
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The key that its tokens are bound to (RFC 9449).
    pub jkt: Option<Thumbprint>,
}

impl Family {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// One refresh token of a family.
#[derive(Clone, Copy, Debug)]
pub struct RefreshToken {
    pub family: DeviceId,
    pub expires_at: Timestamp,
    pub spent_at: Option<Timestamp>,
    /// Whether the line has gone on without it: a token that came of spending this one was spent, or
    /// a twin, issued for the same lost answer, was used.
    pub successor_spent: bool,
}

/// What presenting a refresh token leads to (RFC 9700 §4.14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// Spend it, hand out a successor.
    Rotate,
    /// Its answer seems to have been lost: hand out another successor, spend nothing.
    Repeat,
    /// A spent token came back: somebody has a copy. End the family.
    Reuse,
    /// It expired, or the family ended before.
    Refuse,
}

pub fn judge_refresh(token: RefreshToken, family: &Family, now: Timestamp, grace: Duration) -> Refresh {
    if !family.is_live(now) || now >= token.expires_at {
        return Refresh::Refuse;
    }
    match token.spent_at {
        None => Refresh::Rotate,
        Some(spent) if now.since(spent) < grace && !token.successor_spent => Refresh::Repeat,
        Some(_) => Refresh::Reuse,
    }
}

/// How long tokens live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub access: Duration,
    /// Of a family, from the approval on.
    pub refresh: Duration,
    /// Of one refresh token that nobody uses.
    pub refresh_idle: Duration,
    pub reuse_grace: Duration,
}

impl Lifetimes {
    /// When a refresh token issued at `now` expires.
    pub fn refresh_expiry(&self, family_expires_at: Timestamp, now: Timestamp) -> Timestamp {
        family_expires_at.min(now + self.refresh_idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const GRACE: Duration = Duration::from_secs(10);

    fn family() -> Family {
        Family {
            id: DeviceId::new(NOW, [1; 10]),
            account: AccountId::new(NOW, [2; 10]),
            client: "tv".parse().unwrap(),
            grant: GrantId::new(NOW, [3; 10]),
            scopes: Scopes::default(),
            resources: Vec::new(),
            nonce: None,
            sign_in: SignIn { at: NOW, amr: Vec::new() },
            from: Origin::default(),
            created_at: NOW,
            last_used: None,
            expires_at: NOW + Duration::from_hours(1),
            ended_at: None,
            jkt: None,
        }
    }

    fn token(spent_at: Option<Timestamp>, successor_spent: bool) -> RefreshToken {
        RefreshToken {
            family: family().id,
            expires_at: NOW + Duration::from_mins(30),
            spent_at,
            successor_spent,
        }
    }

    #[test]
    fn every_way_to_present_a_refresh_token() {
        let judge = |token, now| judge_refresh(token, &family(), now, GRACE);
        let soon = NOW + Duration::from_secs(9);
        let later = NOW + GRACE;
        assert_eq!(judge(token(None, false), NOW), Refresh::Rotate);
        assert_eq!(judge(token(Some(NOW), false), soon), Refresh::Repeat);
        assert_eq!(judge(token(Some(NOW), true), soon), Refresh::Reuse);
        assert_eq!(judge(token(Some(NOW), false), later), Refresh::Reuse);
        assert_eq!(judge(token(None, false), NOW + Duration::from_mins(30)), Refresh::Refuse);
    }

    #[test]
    fn nothing_comes_of_an_ended_family() {
        let ended = Family { ended_at: Some(NOW), ..family() };
        assert_eq!(judge_refresh(token(None, false), &ended, NOW, GRACE), Refresh::Refuse);
        let over = NOW + Duration::from_hours(1);
        assert_eq!(judge_refresh(token(None, false), &family(), over, GRACE), Refresh::Refuse);
    }
}
