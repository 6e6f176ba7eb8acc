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
//! Or at the CLI door, where a login ends in an API key:
//!
//! ```no_run
//! # async fn example() -> Result<(), countersign_client::Error> {
//! use countersign_client::{KeyRequest, Keys};
//!
//! let keys = Keys::at("https://login.example.com")?;
//! let mut login = keys.ask(&KeyRequest { name: Some("backup tool".to_owned()), ..KeyRequest::default() }).await?;
//! println!("Open {} and enter {}", login.verification_uri(), login.user_code());
//! let key = login.wait().await?;
//! println!("This is the key of {}", key.user.email.unwrap_or(key.user.id));
//! // Or the other way round, with a code that the person was shown in the browser:
//! let key = keys.redeem("K7M2QX").await?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/login.rs` is a whole program. The crate links no database and keeps no state but what [`storage`] is told to keep.

mod admin;
#[cfg(feature = "browser")]
mod browser;
mod error;
mod http;
mod keys;
mod login;
#[cfg(feature = "pairing")]
pub mod pairing;
mod provider;
mod ring;
pub mod storage;
mod verify;

pub use admin::Admin;
#[cfg(feature = "browser")]
pub use browser::BrowserLogin;
pub use countersign_core::secret::Plain;
pub use countersign_core::wire::{Introspection, KeyFacts, KeyRequest, KeyUser, Me, NewKey, TokenResponse};
pub use error::Error;
pub use keys::Keys;
pub use login::{Door, Login, Tokens};
pub use provider::Provider;
pub use verify::Verifier;

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the one place where this crate reads the clock")]
pub fn unix_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
