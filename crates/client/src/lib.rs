//! The device's side of Countersign, for programs that have no browser of their own.
//!
//! ```no_run
//! # async fn example() -> Result<(), countersign_client::Error> {
//! use countersign_client::{Login, Provider};
//!
//! let provider = Provider::discover("https://login.example.com").await?;
//! let mut login = Login::ask(&provider, "countersign-cli", "openid offline_access").await?;
//! println!("Open {} and enter {}", login.verification_uri(), login.user_code());
//! let tokens = login.wait().await?;
//! println!("Signed in until the refresh token ends: {}", tokens.refresh_token.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! The crate links no database and keeps no state but what [`storage`] is told to keep.

mod error;
mod login;
mod provider;
pub mod storage;
mod verify;

pub use countersign_core::secret::Plain;
pub use countersign_core::wire::TokenResponse;
pub use error::Error;
pub use login::{Login, Poll};
pub use provider::Provider;
pub use verify::Verifier;

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place where this crate reads the clock")]
pub fn unix_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
