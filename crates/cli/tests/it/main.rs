//! Runs the real binary: what operators type, what devices do, what survives a crash.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "what was tried is worth telling")]

mod administration;
mod aisopod;
mod cluster;
mod commands;
mod crash;
mod device;
mod durability;
mod fleet;
mod guard;
mod keys;
mod maintenance;
mod oauth2_crate;
mod pairing;
mod pin;
mod process;
#[cfg(feature = "otlp")]
mod traces;
