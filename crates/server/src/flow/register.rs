//! Clients that register themselves.

use std::net::IpAddr;
use std::time::Duration;

use countersign_core::audit::{Action, Event};
use countersign_core::client::{AuthMethod, Authentication, Client, ClientId, GrantType, SigningAlg};
use countersign_core::grant::Origin;
use countersign_core::id::TokenId;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Plain, TokenKind};
use countersign_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tracing::instrument;

use crate::app::{Answer, App};
use crate::flow::clients::{self, ClientRefusal, ClientSettings, Field, Proving};
use crate::limits::address_key;
use crate::store;
use crate::telemetry::trace::TRACE;

/// What a client says of itself (RFC 7591 §2); what is not known here is ignored.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metadata {
    pub client_id: Option<String>,
    client_secret: Option<Plain>,
    client_name: Option<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    token_endpoint_auth_method: Option<String>,
    scope: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    id_token_signed_response_alg: Option<String>,
    dpop_bound_access_tokens: bool,
    require_pushed_authorization_requests: bool,
}

/// A client that registered itself, with what it is told this once.
#[derive(Debug)]
pub struct Registered {
    pub client: Client,
    pub secret: Option<Plain>,
    /// What it changes itself with.
    pub token: Plain,
}

/// What registering leads to; `E` is what the door could not read.
#[derive(Debug)]
pub enum Registering<E> {
    Done(Box<Registered>),
    /// The token is not the operator's.
    Stranger,
    TooMany(Duration),
    Bad(Box<E>),
    Refused(ClientRefusal),
}

fn odd(why: impl std::fmt::Display) -> ClientRefusal {
    ClientRefusal::Metadata(why.to_string())
}

impl Metadata {
    fn proving(&self) -> Result<Proving, ClientRefusal> {
        let method = self.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        Ok(Proving::by(method.parse::<AuthMethod>().map_err(odd)?))
    }

    /// `allowed` are the scopes that nobody else had a look at.
    fn settings(self, id: &ClientId, allowed: &Scopes) -> Result<ClientSettings, ClientRefusal> {
        if self.jwks_uri.is_some() {
            return Err(odd("jwks_uri is not supported; send the keys as jwks"));
        }
        if self.response_types.is_some_and(|types| types.iter().any(|kind| kind != "code")) {
            return Err(odd("response_types may hold code alone"));
        }
        let said = self.grant_types.unwrap_or_else(|| vec![GrantType::AuthorizationCode.name().to_owned()]);
        let grants = said.iter().map(|name| name.parse::<GrantType>()).collect::<Result<Vec<_>, _>>();
        let scopes: Scopes = match &self.scope {
            Some(scope) => scope.parse().map_err(odd)?,
            None => Scopes::default(),
        };
        // None at all would mean the standard ones.
        let scopes = if scopes.is_empty() { allowed.clone() } else { scopes };
        if let Some(scope) = scopes.first_outside(allowed) {
            return Err(odd(format!("the scope {scope} is not for clients that register themselves")));
        }
        let alg = self.id_token_signed_response_alg.as_deref().map(str::parse::<SigningAlg>);
        Ok(ClientSettings {
            // Nobody vouches for it; who gives no name is called by its id.
            name: Some(self.client_name.unwrap_or_else(|| id.to_string())),
            scopes: Some(scopes),
            grants: Some(grants.map_err(odd)?),
            redirect_uris: Some(self.redirect_uris),
            post_logout_redirect_uris: Some(self.post_logout_redirect_uris),
            id_token_alg: alg.transpose().map_err(odd)?,
            dpop_bound: Some(self.dpop_bound_access_tokens),
            par_required: Some(self.require_pushed_authorization_requests),
            jwks: self.jwks.map(|jwks| jwks.to_string()),
            ..ClientSettings::default()
        })
    }
}

fn event(app: &App, id: &ClientId, action: Action, from: &Origin, now: Timestamp) -> Answer<Event> {
    let mut event = clients::event(app, id, action, now)?;
    event.address = Some(from.address.clone());
    event.detail = Some("by itself".to_owned());
    Ok(event)
}

/// `metadata` is looked at only if the token is right.
#[instrument(target = TRACE, name = "register.add", skip_all)]
pub async fn add<E>(
    app: &App,
    token: &Plain,
    metadata: Result<Metadata, E>,
    from: &Origin,
    address: IpAddr,
    now: Timestamp,
) -> Answer<Registering<E>> {
    let Some(registration) = &app.config.registration else { return Ok(Registering::Stranger) };
    if app.config.limits.enabled
        && let Err(wait) = app.codes_per_address.check(&address_key(address))
    {
        app.metrics.refused("registrations");
        return Ok(Registering::TooMany(wait));
    }
    if !registration.token.matches(&token.digest()) {
        return Ok(Registering::Stranger);
    }
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => return Ok(Registering::Bad(Box::new(error))),
    };
    let id: ClientId = match format!("dcr-{}", TokenId::new(now, app.entropy.id()?)).parse() {
        Ok(id) => id,
        Err(bad) => return Ok(Registering::Refused(odd(bad))),
    };
    let read = metadata.proving().and_then(|by| Ok((by, metadata.settings(&id, &registration.scopes)?)));
    let (proving, settings) = match read {
        Ok(read) => read,
        Err(refusal) => return Ok(Registering::Refused(refusal)),
    };
    let token = TokenKind::Registration.mint(&app.entropy.bytes()?);
    let event = event(app, &id, Action::ClientRegistered, from, now)?;
    let added = clients::insert(app, id, proving, settings, Some(&token.digest()), event, now).await?;
    Ok(match added {
        Ok((client, secret)) => Registering::Done(Box::new(Registered { client, secret, token })),
        Err(refusal) => Registering::Refused(refusal),
    })
}

/// The client of this id, if this is the token that it was given.
pub async fn own(app: &App, id: &str, token: &Plain) -> Answer<Option<Client>> {
    let Ok(id) = id.parse::<ClientId>() else { return Ok(None) };
    // In this order: an edit that ends the token changes the revision that was read before.
    let client = clients::find(app, &id).await?.ok();
    let digest = store::clients::registration(&app.store, &id).await?;
    Ok(client.filter(|_| digest.is_some_and(|digest| digest.matches(&token.digest()))))
}

/// What it says takes the place of what it said (RFC 7592 §2.2); how it proves who it is stays. None if its
/// token ended meanwhile.
#[instrument(target = TRACE, name = "register.change", skip_all)]
pub async fn change(
    app: &App,
    mut client: Client,
    token: &Plain,
    metadata: Metadata,
    from: &Origin,
    now: Timestamp,
) -> Answer<Option<Result<Client, ClientRefusal>>> {
    let Some(registration) = &app.config.registration else { return Ok(None) };
    let method = metadata.token_endpoint_auth_method.clone();
    let same = |method: &str| client.authentication.methods().iter().any(|known| known.name() == method);
    if method.is_some_and(|method| !same(&method)) {
        return Ok(Some(Err(odd("token_endpoint_auth_method cannot be changed; register anew"))));
    }
    // It may say the one that it has, and chooses none.
    let own_secret = |secret: &Plain| match &client.authentication {
        Authentication::Secret { digest, old, .. } => {
            let old = old.filter(|old| now < old.until);
            digest.matches(&secret.digest()) || old.is_some_and(|old| old.digest.matches(&secret.digest()))
        }
        Authentication::Public | Authentication::Keys { .. } => false,
    };
    if metadata.client_secret.as_ref().is_some_and(|secret| !own_secret(secret)) {
        return Ok(Some(Err(odd(
            "client_secret is not the client's; a client chooses none, so leave it out",
        ))));
    }
    let settings = match metadata.settings(&client.id, &registration.scopes) {
        Ok(settings) => settings,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let settings = ClientSettings { reset: vec![Field::IdTokenAlg], ..settings };
    let event = event(app, &client.id, Action::ClientEdited, from, now)?;
    loop {
        let (settings, event) = (settings.clone(), event.clone());
        match clients::edit_with(app, &client.id, settings, Some(client.revision), event, None, now).await? {
            // An administrator's edit ends the token; others do not.
            Err(ClientRefusal::Changed(id)) => match own(app, &id, token).await? {
                Some(changed) => client = changed,
                None => return Ok(None),
            },
            done => return Ok(Some(done)),
        }
    }
}

#[instrument(target = TRACE, name = "register.remove", skip_all)]
pub async fn remove(app: &App, client: &Client, from: &Origin, now: Timestamp) -> Answer<()> {
    let event = event(app, &client.id, Action::ClientRemoved, from, now)?;
    // It was removed by another hand meanwhile: what was wanted holds.
    let _removed: Result<(), ClientRefusal> = clients::remove_with(app, &client.id, None, event, now).await?;
    Ok(())
}
