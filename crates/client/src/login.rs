//! One login under way: what to show, and how to wait without being a nuisance.

use std::hash::BuildHasher as _;
use std::time::Duration;

use countersign_core::wire::{DeviceAuthorization, TokenResponse};
use url::Url;

use crate::http::visible;
use crate::provider::Provider;
use crate::{Error, Plain, unix_time};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What `slow_down` adds where the server does not say (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// A server that is away is asked less and less often, but at least this often.
const LONGEST: Duration = Duration::from_mins(1);

/// The interval after a `slow_down`: what the server says, if it says more than the five seconds that
/// are meant otherwise.
fn slower(interval: Duration, error: &Error) -> Duration {
    let said = match error {
        Error::Refused { interval: Some(seconds), .. } => Duration::from_secs(*seconds),
        _ => Duration::ZERO,
    };
    said.min(LONGEST).max(interval + SLOW_DOWN)
}

/// The wait after so many failures in a row: doubled each time up to a minute, then shortened by up to
/// half, so that devices which lost the server at the same moment do not come back at the same moment.
pub(crate) fn backed_off(steady: Duration, failures: u32, fraction: f64) -> Duration {
    let doubled = (steady * (1 << failures.min(6))).min(LONGEST).max(steady);
    doubled.mul_f64(1.0 - fraction / 2.0).max(steady)
}

/// Somewhere from 0 to 1. It spreads devices and keeps no secret.
pub(crate) fn fraction() -> f64 {
    let random = std::collections::hash_map::RandomState::new().hash_one(0) % 1000;
    f64::from(u32::try_from(random).unwrap_or(0)) / 1000.0
}

/// Where a device logs in, and what it gets there.
pub trait Door: sealed::Door {
    type Got;
}

pub(crate) mod sealed {
    use crate::{Error, Plain};

    /// What this crate alone can implement.
    pub trait Door: Sized {
        /// Asks once for what a device code is good for.
        fn collect(
            &self,
            device_code: &Plain,
            pin: Option<&Plain>,
        ) -> impl Future<Output = Result<Self::Got, Error>> + Send
        where
            Self: super::Door;
    }
}

/// The OAuth door, for one client: a login ends in tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    provider: Provider,
    client_id: String,
}

impl Door for Tokens {
    type Got = TokenResponse;
}

impl sealed::Door for Tokens {
    async fn collect(&self, device_code: &Plain, pin: Option<&Plain>) -> Result<TokenResponse, Error> {
        let mut form = vec![
            ("grant_type", DEVICE_CODE),
            ("device_code", device_code.reveal()),
            ("client_id", self.client_id.as_str()),
        ];
        form.extend(pin.map(|pin| ("initiation_pin", pin.reveal())));
        self.provider.token(&form).await
    }
}

/// A device code that waits for a person.
#[derive(Debug)]
pub struct Login<D = Tokens> {
    door: D,
    authorization: DeviceAuthorization,
    /// What the server wants.
    steady: Duration,
    /// The wait before the next poll: longer than that while the server is in trouble.
    interval: Duration,
    expires_at: i64,
    failures: u32,
    /// What the next poll carries.
    pin: Option<Plain>,
}

impl Login {
    /// Asks for a device code (RFC 8628 §3.1). `scope` is a list separated by spaces.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's code, such as `invalid_client` or `invalid_scope`.
    pub async fn ask(provider: &Provider, client_id: &str, scope: &str) -> Result<Self, Error> {
        let authorization = provider.authorize(client_id, scope).await?;
        let door = Tokens { provider: provider.clone(), client_id: client_id.to_owned() };
        Ok(Self::begun(door, authorization))
    }
}

impl<D: Door> Login<D> {
    pub(crate) fn begun(door: D, mut authorization: DeviceAuthorization) -> Self {
        // It is printed on a terminal, which must not be told anything else by it.
        authorization.user_code = Plain::new(visible(authorization.user_code.reveal()));
        authorization.verification_uri = visible(&authorization.verification_uri);
        let interval = Duration::from_secs(authorization.interval.max(1));
        let lifetime = i64::try_from(authorization.expires_in).unwrap_or(i64::MAX);
        let expires_at = unix_time().saturating_add(lifetime);
        Self { door, authorization, steady: interval, interval, expires_at, failures: 0, pin: None }
    }

    /// What the person types.
    pub fn user_code(&self) -> &str {
        self.authorization.user_code.reveal()
    }

    /// Where the person types it.
    pub fn verification_uri(&self) -> &str {
        &self.authorization.verification_uri
    }

    /// The same page with the code filled in, for a QR code or a browser on this machine.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.authorization.verification_uri_complete.as_ref().map(Plain::reveal)
    }

    /// [`Login::verification_uri_complete`] if a browser can be sent there: an http or https URL.
    pub fn link(&self) -> Option<&str> {
        let is_web = |link: &&str| Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        self.verification_uri_complete().filter(is_web)
    }

    /// How long to wait before the next [`Login::poll`].
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// How long the code can still be used.
    pub fn time_left(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.expires_at.saturating_sub(unix_time())).unwrap_or(0))
    }

    /// What the person typed after [`Error::PinWanted`]; the next poll carries it and need not wait.
    pub fn type_pin(&mut self, pin: Plain) {
        self.pin = Some(pin);
        self.interval = Duration::ZERO;
    }

    /// Asks once (RFC 8628 §3.4). `None`: ask again after [`Login::interval`]; `slow_down`, a lost
    /// connection and a server in trouble lengthen it.
    ///
    /// # Errors
    /// [`Error::Denied`] and [`Error::Expired`] end the login, as does any other refusal but
    /// [`Error::PinWanted`], after which it goes on with [`Login::type_pin`].
    pub async fn poll(&mut self) -> Result<Option<D::Got>, Error> {
        let pin = self.pin.take();
        let outcome = self.door.collect(&self.authorization.device_code, pin.as_ref()).await;
        match &outcome {
            Ok(_) | Err(Error::Refused { .. } | Error::PinWanted { .. }) => {
                self.failures = 0;
                self.interval = self.steady;
            }
            Err(_) => self.failures += 1,
        }
        match outcome {
            Ok(got) => Ok(Some(got)),
            Err(Error::PinWanted { .. }) => Err(Error::PinWanted { wrong: pin.is_some() }),
            Err(error) => match error.code() {
                Some("authorization_pending") => Ok(None),
                Some("slow_down") => {
                    self.steady = slower(self.steady, &error);
                    self.interval = self.steady;
                    Ok(None)
                }
                Some("access_denied") => Err(Error::Denied),
                Some("expired_token") => Err(Error::Expired),
                Some("server_error" | "temporarily_unavailable") => self.back_off(),
                Some(_) => Err(error),
                None => match error {
                    // Whether a PIN arrived is not known, so it is asked for again rather than tried twice.
                    Error::Network { .. } | Error::Protocol { .. } | Error::Limited { .. } => self.back_off(),
                    _ => Err(error),
                },
            },
        }
    }

    fn back_off(&mut self) -> Result<Option<D::Got>, Error> {
        if self.time_left().is_zero() {
            return Err(Error::Expired);
        }
        self.interval = backed_off(self.steady, self.failures, fraction());
        Ok(None)
    }

    /// Polls until the person has decided. After [`Error::PinWanted`] and [`Login::type_pin`], again.
    ///
    /// # Errors
    /// As [`Login::poll`].
    pub async fn wait(&mut self) -> Result<D::Got, Error> {
        loop {
            tokio::time::sleep(self.interval).await;
            if let Some(got) = self.poll().await? {
                return Ok(got);
            }
            if self.time_left().is_zero() {
                return Err(Error::Expired);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEADY: Duration = Duration::from_secs(5);

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_is_spread() {
        let full = |failures| backed_off(STEADY, failures, 0.0).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 9].map(full), [5, 10, 20, 40, 60, 60]);
        assert_eq!(backed_off(STEADY, 3, 1.0), Duration::from_secs(20));
        assert_eq!(backed_off(STEADY, 0, 1.0), STEADY, "never less than the server wants");
        assert!((0..100).map(|_| fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
    }

    #[test]
    fn a_server_that_says_how_slow_is_believed_within_reason() {
        let said = |interval| Error::Refused {
            server: String::new(),
            error: "slow_down".to_owned(),
            description: String::new(),
            interval,
        };
        assert_eq!(slower(STEADY, &said(None)), Duration::from_secs(10));
        assert_eq!(slower(STEADY, &said(Some(30))), Duration::from_secs(30));
        assert_eq!(slower(STEADY, &said(Some(1))), Duration::from_secs(10));
        assert_eq!(slower(STEADY, &said(Some(86_400))), LONGEST);
    }
}
