//! One login under way: what to show, and how to wait without being a nuisance.

use std::time::Duration;

use countersign_core::wire::{DeviceAuthorization, TokenResponse};
use url::Url;

use crate::provider::{Provider, visible};
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

/// A device code that waits for a person.
#[derive(Debug)]
pub struct Login {
    provider: Provider,
    client_id: String,
    authorization: DeviceAuthorization,
    interval: Duration,
    expires_at: i64,
    failures: u32,
}

/// What one poll brought.
#[derive(Debug)]
pub enum Poll {
    /// Ask again after [`Login::interval`].
    Pending,
    Tokens(Box<TokenResponse>),
}

impl Login {
    /// Asks for a device code (RFC 8628 §3.1). `scope` is a list separated by spaces.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's code, such as `invalid_client` or `invalid_scope`.
    pub async fn ask(provider: &Provider, client_id: &str, scope: &str) -> Result<Self, Error> {
        let mut authorization = provider.authorize(client_id, scope).await?;
        // It is printed on a terminal, which must not be told anything else by it.
        authorization.user_code = Plain::new(visible(authorization.user_code.reveal()));
        authorization.verification_uri = visible(&authorization.verification_uri);
        let interval = Duration::from_secs(authorization.interval.max(1));
        let lifetime = i64::try_from(authorization.expires_in).unwrap_or(i64::MAX);
        let expires_at = unix_time().saturating_add(lifetime);
        let (provider, client_id) = (provider.clone(), client_id.to_owned());
        Ok(Self { provider, client_id, authorization, interval, expires_at, failures: 0 })
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

    /// Asks once (RFC 8628 §3.4). `slow_down`, a lost connection and a server in trouble lengthen
    /// the interval and count as pending.
    ///
    /// # Errors
    /// [`Error::Denied`] and [`Error::Expired`] end the login, as does any other refusal.
    pub async fn poll(&mut self) -> Result<Poll, Error> {
        let form = [
            ("grant_type", DEVICE_CODE),
            ("device_code", self.authorization.device_code.reveal()),
            ("client_id", self.client_id.as_str()),
        ];
        let outcome = self.provider.token(&form).await;
        match &outcome {
            Ok(_) | Err(Error::Refused { .. }) => self.failures = 0,
            Err(_) => self.failures += 1,
        }
        match outcome {
            Ok(tokens) => Ok(Poll::Tokens(Box::new(tokens))),
            Err(error) => match error.code() {
                Some("authorization_pending") => Ok(Poll::Pending),
                Some("slow_down") => {
                    self.interval = slower(self.interval, &error);
                    Ok(Poll::Pending)
                }
                Some("access_denied") => Err(Error::Denied),
                Some("expired_token") => Err(Error::Expired),
                Some("server_error" | "temporarily_unavailable") => self.back_off(),
                Some(_) => Err(error),
                None if matches!(error, Error::Network { .. } | Error::Protocol { .. }) => self.back_off(),
                None => Err(error),
            },
        }
    }

    fn back_off(&mut self) -> Result<Poll, Error> {
        if self.time_left().is_zero() {
            return Err(Error::Expired);
        }
        if self.failures > 0 {
            self.interval = (self.interval * 2).min(LONGEST);
        }
        Ok(Poll::Pending)
    }

    /// Polls until the person has decided.
    ///
    /// # Errors
    /// As [`Login::poll`].
    pub async fn wait(&mut self) -> Result<TokenResponse, Error> {
        loop {
            tokio::time::sleep(self.interval).await;
            if let Poll::Tokens(tokens) = self.poll().await? {
                return Ok(*tokens);
            }
            if self.time_left().is_zero() {
                return Err(Error::Expired);
            }
        }
    }
}
