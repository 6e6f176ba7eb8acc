//! Drives the real router over HTTP, against a real store, with a clock that the tests move.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod admin_api;
mod admin_attacks;
mod admin_pages;
mod api_keys;
mod audit;
mod authorization_code;
mod bounds;
mod cli_door;
mod client_authentication;
mod client_credentials;
mod described;
mod documents;
mod dpop;
mod factors;
mod limits;
mod nodes;
mod notices;
mod ops;
mod pages;
mod pin;
mod places;
mod policy;
mod polling;
mod redemption;
mod refresh;
mod registration;
mod retention;
mod socket;
mod socket_attacks;
mod socket_door;
mod socket_frames;
mod support;
mod tokens;
mod trusted_issuers;
mod unauthorized;
mod upstream;
