//! What is said of a client, and what may be.

use std::ops::RangeInclusive;
use std::time::Duration;

use countersign_core::client::{
    Authentication, Client, ClientId, Details, Field, GrantType, MAX_ACCESS_TTL, SigningAlg, TokenFormat,
    is_absolute_uri, is_redirect_uri,
};
use countersign_core::policy::Exceptions;
use countersign_core::scope::Scopes;
use countersign_core::text::label;
use countersign_core::time::{Span, Timestamp};

use super::ClientRefusal;
use crate::jws;

/// What may be said of a client. `None` leaves what is, or the default.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    pub name: Option<String>,
    pub scopes: Option<Scopes>,
    pub grants: Option<Vec<GrantType>>,
    pub resources: Option<Vec<String>>,
    pub token_format: Option<TokenFormat>,
    pub id_token_alg: Option<SigningAlg>,
    pub code_ttl: Option<Duration>,
    pub interval: Option<Duration>,
    pub policy: Option<Exceptions>,
    pub redirect_uris: Option<Vec<String>>,
    pub post_logout_redirect_uris: Option<Vec<String>>,
    pub access_ttl: Option<Duration>,
    pub refresh_ttl: Option<Duration>,
    pub refresh_idle_ttl: Option<Duration>,
    pub dpop_bound: Option<bool>,
    pub par_required: Option<bool>,
    /// Its public keys, for one that has some.
    pub jwks: Option<String>,
    /// These go back to their defaults first.
    pub reset: Vec<Field>,
}

const DAY: u64 = 86_400;
/// Lists of addresses and resources of one client.
const ENTRIES: usize = 50;

fn reset(client: &mut Client, fields: &[Field]) {
    let default = blank(client.id.clone(), "", client.created_at);
    for field in fields {
        match field {
            Field::Scopes => client.scopes.clone_from(&default.scopes),
            Field::Grants => client.grants.clone_from(&default.grants),
            Field::Resources => client.resources.clone_from(&default.resources),
            Field::TokenFormat => client.token_format = default.token_format,
            Field::IdTokenAlg => client.id_token_alg = default.id_token_alg,
            Field::CodeTtl => client.code_ttl = default.code_ttl,
            Field::Interval => client.interval = default.interval,
            Field::Policy => client.policy.clone_from(&default.policy),
            Field::RedirectUris => client.details.redirect_uris.clear(),
            Field::PostLogoutRedirectUris => client.details.post_logout_redirect_uris.clear(),
            Field::AccessTtl => client.details.access_ttl = None,
            Field::RefreshTtl => client.details.refresh_ttl = None,
            Field::RefreshIdleTtl => client.details.refresh_idle_ttl = None,
        }
    }
}

pub(super) fn apply(client: &mut Client, settings: ClientSettings) -> Result<(), ClientRefusal> {
    reset(client, &settings.reset);
    let seconds = |span: Option<Duration>, range: RangeInclusive<u64>, refusal: ClientRefusal| match span {
        Some(span) if span.subsec_nanos() > 0 || !range.contains(&span.as_secs()) => Err(refusal),
        span => Ok(span),
    };
    if let Some(name) = settings.name {
        client.name = label(&name).ok_or(ClientRefusal::Name)?;
    }
    if let Some(resources) = settings.resources {
        if let Some(bad) = resources.iter().find(|resource| !is_absolute_uri(resource)) {
            return Err(ClientRefusal::Resource(bad.clone()));
        }
        client.resources = resources;
    }
    client.interval = seconds(settings.interval, 1..=300, ClientRefusal::Interval)?.or(client.interval);
    client.code_ttl = seconds(settings.code_ttl, 1..=DAY, ClientRefusal::CodeTtl)?.or(client.code_ttl);
    if let Some(policy) = settings.policy {
        let odd = |span: Span| span.0.subsec_nanos() > 0 || span.0.is_zero();
        if policy.code_ttl.is_some_and(odd) || policy.max_age.is_some_and(odd) {
            return Err(ClientRefusal::Policy);
        }
        client.policy = policy;
    }
    client.scopes = settings.scopes.unwrap_or_else(|| client.scopes.clone());
    if let Some(mut grants) = settings.grants {
        let mut seen = Vec::new();
        grants.retain(|grant| {
            !seen.contains(grant) && {
                seen.push(*grant);
                true
            }
        });
        client.grants = grants;
    }
    client.token_format = settings.token_format.unwrap_or(client.token_format);
    client.id_token_alg = settings.id_token_alg.unwrap_or(client.id_token_alg);
    let details = &mut client.details;
    for (said, kept) in [
        (settings.redirect_uris, &mut details.redirect_uris),
        (settings.post_logout_redirect_uris, &mut details.post_logout_redirect_uris),
    ] {
        let Some(uris) = said else { continue };
        if let Some(bad) = uris.iter().find(|uri| !is_redirect_uri(uri)) {
            return Err(ClientRefusal::RedirectUri(bad.clone()));
        }
        *kept = uris;
    }
    let long = 60..=3650 * DAY;
    for (said, range, kept) in [
        (settings.access_ttl, 1..=MAX_ACCESS_TTL.as_secs(), &mut details.access_ttl),
        (settings.refresh_ttl, long.clone(), &mut details.refresh_ttl),
        (settings.refresh_idle_ttl, long, &mut details.refresh_idle_ttl),
    ] {
        *kept = seconds(said, range, ClientRefusal::Lifetime)?.map(Span).or(*kept);
    }
    details.dpop_bound = settings.dpop_bound.unwrap_or(details.dpop_bound);
    details.par_required = settings.par_required.unwrap_or(details.par_required);
    match (settings.jwks, &mut client.authentication) {
        (Some(said), Authentication::Keys { jwks }) => {
            *jwks = jws::read_keys(&said).map_err(ClientRefusal::Keys)?;
        }
        (Some(_), _) => return Err(ClientRefusal::NoKeys),
        (None, Authentication::Keys { jwks }) if jwks.is_empty() => return Err(ClientRefusal::NoKeys),
        (None, _) => {}
    }
    fits(client)
}

/// What must go together.
fn fits(client: &Client) -> Result<(), ClientRefusal> {
    if client.may_use(GrantType::ClientCredentials) && !client.authentication.is_confidential() {
        return Err(ClientRefusal::Unproven);
    }
    if client.may_use(GrantType::AuthorizationCode) && client.details.redirect_uris.is_empty() {
        return Err(ClientRefusal::NoRedirectUri);
    }
    let lists = [&client.resources, &client.details.redirect_uris, &client.details.post_logout_redirect_uris];
    match lists.into_iter().find_map(|list| list.get(ENTRIES)) {
        Some(one_too_many) => Err(ClientRefusal::RedirectUri(one_too_many.clone())),
        None => Ok(()),
    }
}

pub(super) fn blank(id: ClientId, name: &str, now: Timestamp) -> Client {
    Client {
        id,
        name: name.to_owned(),
        authentication: Authentication::Public,
        scopes: Scopes::default(),
        grants: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        resources: Vec::new(),
        token_format: TokenFormat::Jwt,
        id_token_alg: SigningAlg::Es256,
        code_ttl: None,
        interval: None,
        policy: Exceptions::default(),
        details: Details::default(),
        created_at: now,
        revision: 1,
    }
}
