//! The Countersign server.
//!
//! `doors → flow → {core, store}`, `store → core`: a door parses a request into a domain call and
//! prints the outcome; a flow is the use case; `core` decides; `store` remembers. Doors import
//! neither each other nor the store. `docs/architecture.md` has the drawing.

mod admin;
mod api;
pub mod app;
pub mod assertion;
pub mod config;
mod cookie;
pub mod dpop;
pub mod flow;
pub mod http;
mod hub;
mod issuers;
pub mod jws;
mod limits;
pub mod logging;
mod notices;
mod oauth;
pub mod openapi;
mod ops;
pub mod origin;
mod pages;
mod password;
mod places;
mod presence;
pub mod remembered;
pub mod router;
pub mod serve;
pub mod signing;
pub mod store;
pub mod sweep;
mod telemetry;
mod upstream;
mod vault;
pub mod world;
mod ws;
