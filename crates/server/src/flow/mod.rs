//! The use cases, in the order of the flow (see `countersign_core` for the numbers).
//!
//! A flow takes domain values, decides with `core`, and remembers with `store`. Its outer `Result`
//! is for what nobody can help; every outcome that a caller must hear stands in its own enum.

pub mod access;
pub mod accounts;
pub mod aisopod;
pub mod answered;
pub mod api_keys;
pub mod ask;
pub mod audit;
pub mod authorize;
pub mod caller;
pub mod clients;
pub mod collect;
pub mod decide;
pub mod detect;
pub mod devices;
pub mod doctor;
pub mod factors;
pub mod figures;
pub mod keys;
pub mod login;
pub mod nodes;
pub mod notices;
pub mod office;
pub mod once;
pub mod paging;
pub mod pairing;
pub mod passkeys;
pub mod pin;
pub mod policy;
pub mod register;
pub mod reverse;
pub mod sessions;
pub mod setup;
pub mod standing;
pub mod tokens;
pub mod upstream;
