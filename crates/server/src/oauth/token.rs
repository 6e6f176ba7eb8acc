//! The token endpoint: steps 2, 5 and 6 (RFC 8628 §3.4, RFC 6749 §4.1.3, §4.4 and §6).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use countersign_core::client::{Client, GrantType};
use countersign_core::code::Pin;
use countersign_core::scope::Scopes;
use countersign_core::time::Timestamp;
use countersign_core::wire::TokenResponse;

use super::client::authenticate;
use super::error::OAuthError;
use super::question::{resources, scopes};
use super::{Outcome, form, no_store, required};
use crate::app::App;
use crate::dpop::Proof;
use crate::flow::collect::{self, CodeRequest, Polled};
use crate::flow::pin::Typed;
use crate::flow::tokens::{self, Refreshed, TokenSet, Unfit};
use crate::http::{self, Form};

pub const TOKEN: &str = "/oauth2/v1/token";

/// One request of a client that proved who it is.
struct Call<'a> {
    app: &'a App,
    client: &'a Arc<Client>,
    form: &'a Form,
    parts: &'a Parts,
    resources: Vec<String>,
    proof: Proof,
    now: Timestamp,
}

type Issued = Result<TokenSet, OAuthError>;

pub async fn token(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let grant = required(&form, "grant_type")?;
    let grant =
        *GrantType::ALL.iter().find(|known| known.name() == grant).ok_or(OAuthError::UnsupportedGrantType)?;
    // What must be there is missed before anybody is asked who they are.
    let secret = match grant {
        GrantType::DeviceCode => required(&form, "device_code")?,
        GrantType::RefreshToken => required(&form, "refresh_token")?,
        GrantType::AuthorizationCode => required(&form, "code")?,
        GrantType::ClientCredentials => "",
    };
    let client = authenticate(&app, &parts.headers, &form, now).await?;
    if !client.may_use(grant) {
        return Err(OAuthError::UnauthorizedClient("this client may not use this grant type"));
    }
    let proof = Proof::of(&parts.headers, "POST", app.public_url.join(TOKEN));
    let resources = resources(&form)?;
    let mut call = Call { app: &app, client: &client, form: &form, parts: &parts, resources, proof, now };
    let tokens = match grant {
        GrantType::DeviceCode => call.poll(secret).await?,
        GrantType::RefreshToken => call.refresh(secret, scopes(&form)?).await?,
        GrantType::AuthorizationCode => call.redeem(secret).await?,
        GrantType::ClientCredentials => call.own(scopes(&form)?).await?,
    };
    Ok(no_store(Json(TokenResponse {
        access_token: tokens.access,
        token_type: if tokens.bound { "DPoP" } else { "Bearer" }.to_owned(),
        expires_in: tokens.expires_in.as_secs(),
        refresh_token: tokens.refresh,
        id_token: tokens.id_token,
        scope: tokens.scopes.to_string(),
    })))
}

impl Call<'_> {
    /// What the person saw after Approve, where the policy wants it typed on the device.
    fn pin(&self) -> Result<Option<Typed>, OAuthError> {
        let bad = |_| {
            OAuthError::InvalidRequest("initiation_pin is the two digits that the browser shows".to_owned())
        };
        let pin = self.form.one("initiation_pin").map(|pin| pin.parse::<Pin>().map_err(bad)).transpose()?;
        Ok(pin.map(|pin| Typed { pin, from: http::origin(self.parts) }))
    }

    async fn poll(&mut self, device_code: &str) -> Issued {
        let pin = self.pin()?;
        let Self { app, client, resources, proof, now, .. } = self;
        let polled =
            collect::poll_tokens(app, client, device_code, resources, pin.as_ref(), proof, *now).await?;
        answer(polled, "the device code is not valid for this client, or was redeemed")
    }

    async fn redeem(&mut self, code: &str) -> Issued {
        let Self { app, client, form, resources, proof, now, .. } = self;
        let verifier = required(form, "code_verifier")?;
        let redirect_uri = form.one("redirect_uri");
        let request = CodeRequest { code, redirect_uri, verifier, resources };
        match collect::redeem_code(app, client, request, proof, *now).await? {
            Polled::Expired | Polled::Denied => Err(OAuthError::InvalidGrant(
                "the authorization code has expired, or what it stands for was taken back",
            )),
            polled => answer(
                polled,
                "the authorization code is not valid for this client, this redirect_uri and this code_verifier, or was redeemed",
            ),
        }
    }

    async fn refresh(&mut self, token: &str, scopes: Option<Scopes>) -> Issued {
        let Self { app, client, resources, proof, now, .. } = self;
        match tokens::refresh(app, client, token, scopes, resources, proof, *now).await? {
            Refreshed::Tokens(tokens) => Ok(*tokens),
            Refreshed::Invalid => {
                Err(OAuthError::InvalidGrant("the refresh token is not valid for this client"))
            }
            Refreshed::Scope(scope) => Err(OAuthError::InvalidScope(scope)),
            Refreshed::Target(target) => Err(OAuthError::InvalidTarget(target)),
            Refreshed::Unproven(why) => Err(OAuthError::InvalidProof(why)),
        }
    }

    async fn own(&mut self, scopes: Option<Scopes>) -> Issued {
        let from = http::origin(self.parts);
        let Self { app, client, resources, proof, now, .. } = self;
        let key = proof.expect(app, None, client.details.dpop_bound, *now).await?;
        let key = key.map_err(OAuthError::InvalidProof)?;
        tokens::for_itself(app, client, scopes, resources, key, &from, *now).await?.map_err(|unfit| {
            match unfit {
                Unfit::Scope(scope) => OAuthError::InvalidScope(scope),
                Unfit::Target(target) => OAuthError::InvalidTarget(target),
            }
        })
    }
}

/// `invalid` is said of a code that is none.
fn answer(polled: Polled<Box<TokenSet>>, invalid: &'static str) -> Issued {
    match polled {
        Polled::Collected(tokens) => Ok(*tokens),
        Polled::Wait => Err(OAuthError::AuthorizationPending),
        Polled::WaitForPin => Err(OAuthError::PinRequired),
        Polled::SlowDown(interval) => Err(OAuthError::SlowDown(interval)),
        Polled::Denied => Err(OAuthError::AccessDenied),
        Polled::Expired => Err(OAuthError::ExpiredToken),
        Polled::Spent | Polled::Unknown => Err(OAuthError::InvalidGrant(invalid)),
        Polled::Target(target) => Err(OAuthError::InvalidTarget(target)),
        Polled::Unproven(why) => Err(OAuthError::InvalidProof(why)),
    }
}
