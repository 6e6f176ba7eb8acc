//! The domain of Countersign.
//!
//! A device *asks*, a person *answers*, the device *collects*. Everything here is a value or a
//! decision: there is no I/O, no clock and no source of randomness, so callers pass in `now` and
//! random bytes. The flow, step by step (the numbers are used throughout the project):
//!
//! 1. a device asks for a grant ([`grant::Ask`]) and gets a device code and a user code ([`code`]);
//! 2. it shows the user code and polls ([`pace`], [`grant::Grant::poll`]);
//! 3. a person signs in and enters the code ([`account`], [`limit`]);
//! 4. the person approves or denies ([`grant::Grant::approve`], [`grant::Grant::deny`]);
//! 5. the device collects, exactly once ([`grant::Grant::redeem`], [`family`]);
//! 6. what it got is used, refreshed, listed and revoked ([`family::judge_refresh`], [`audit`]).

pub mod account;
pub mod admin;
pub mod audit;
pub mod client;
pub mod code;
pub mod family;
pub mod grant;
pub mod id;
pub mod key;
pub mod limit;
pub mod node;
pub mod pace;
pub mod policy;
#[cfg(feature = "schema")]
mod schema;
pub mod scope;
pub mod secret;
pub mod text;
pub mod time;
pub mod wire;
