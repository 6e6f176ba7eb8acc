//! The approval policy.

use std::path::PathBuf;
use std::time::Duration;

use countersign_core::policy::{Acr, InitiationCheck, Mismatch, Policy};
use countersign_core::scope::Scopes;

use super::sources::Reader;
use super::{CENTURY, SECOND};

pub(super) fn policy(read: &mut Reader<'_>) -> Policy {
    let max_age = read.optional("approval.max_age").is_some();
    let code_ttl = read.optional("approval.code_ttl").is_some();
    Policy {
        max_age: max_age.then(|| read.span("approval.max_age", SECOND..=CENTURY)),
        acr: read.named("approval.acr", Acr::from_name, Acr::NAMES),
        mismatch: read.named("approval.mismatch", Mismatch::from_name, Mismatch::NAMES),
        complete_uri: read.parse("approval.complete_uri", "true or false").unwrap_or(true),
        requesters: read.networks("approval.allowed_requester_cidrs"),
        scope_cap: scope_cap(read),
        code_ttl: code_ttl.then(|| read.span("approval.code_ttl", SECOND..=Duration::from_hours(24))),
        initiation_check: read.named(
            "approval.initiation_check",
            InitiationCheck::from_name,
            InitiationCheck::NAMES,
        ),
    }
}

/// The empty list caps nothing: without a cap, nobody would write one.
fn scope_cap(read: &mut Reader<'_>) -> Option<Scopes> {
    let names = read.texts("approval.scope_cap", "openid");
    match Scopes::from_names(&names) {
        Ok(scopes) => Some(scopes).filter(|scopes| !scopes.is_empty()),
        Err(error) => {
            read.problem("approval.scope_cap", &error.to_string());
            None
        }
    }
}

/// Databases of addresses: which country, and which network operator.
pub(super) fn geoip(read: &mut Reader<'_>) -> Vec<PathBuf> {
    let keys = ["approval.geoip_file", "approval.geoip_asn_file"];
    keys.iter().filter_map(|key| read.optional(key)).map(PathBuf::from).collect()
}
