//! What can go wrong, in words for the person in front of the device.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The person said no.
    #[error("the request was denied")]
    Denied,
    /// Nobody decided in time.
    #[error("the code has expired")]
    Expired,
    /// Approved, and the server wants the two digits typed here that the browser shows. The login is not
    /// over: give them to it and go on.
    #[error("the PIN that the browser shows must be typed here")]
    PinWanted {
        /// One was typed, and it was not the right one.
        wrong: bool,
    },
    /// There is no such code for a command line, or it has expired.
    #[error("this code is not right or has expired")]
    CodeUnknown,
    /// Somebody collected with this code before.
    #[error("this code has already been used")]
    CodeUsed,
    /// Too many attempts.
    #[error("{server} wants a wait of {} seconds", wait.as_secs())]
    Limited { server: String, wait: Duration },
    /// No server is called so.
    #[error("{url} cannot be used: {why}")]
    Address { url: String, why: String },
    /// The server could not be reached, or the connection broke.
    #[error("cannot reach {url}: {why}")]
    Network { url: String, why: String },
    /// The server answered with an error of its own (RFC 6749 §5.2).
    #[error("{server} refused: {error}: {description}")]
    Refused { server: String, error: String, description: String, interval: Option<u64> },
    /// The server answered something that no such server answers.
    #[error("{url} did not answer as expected: {why}")]
    Protocol { url: String, why: String },
    /// A token did not verify.
    #[error("the {token} does not verify: {why}")]
    Unverified { token: &'static str, why: String },
    /// Credentials could not be stored or read.
    #[error("cannot use {place}: {why}")]
    Storage { place: String, why: String },
}

impl Error {
    /// The `error` code that the server answered, if it did.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}
