//! Runs the real binary: what operators type, what devices do, what survives a crash.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod crash;
mod device;
mod oauth2_crate;
mod process;
