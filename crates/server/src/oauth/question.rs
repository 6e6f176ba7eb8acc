//! What clients may put into a question, and the device's way of asking.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use countersign_core::client::GrantType;
use countersign_core::grant::{Thumbprint, TokensOptions};
use countersign_core::scope::Scopes;
use countersign_core::secret::Plain;
use countersign_core::time::{Timestamp, ceil_secs};
use countersign_core::wire::DeviceAuthorization;

use super::client::authenticate;
use super::error::OAuthError;
use super::{Outcome, form, no_store};
use crate::app::App;
use crate::dpop::Proof;
use crate::flow::ask::{self, AskRefusal, TokensQuestion};
use crate::http::{self, Form};

/// Texts that a client adds to its question are bounded.
pub const TEXT_BYTES: usize = 512;
const RESOURCES: usize = 8;
const RESOURCE_BYTES: usize = 2048;

pub const DEVICE_AUTHORIZATION: &str = "/oauth2/v1/device_authorization";

pub fn scopes(form: &Form) -> Result<Option<Scopes>, OAuthError> {
    form.one("scope").map(|text| text.parse().map_err(OAuthError::BadScope)).transpose()
}

/// Each resource once (RFC 8707 §2), and no more of them than anybody needs.
pub fn resources(form: &Form) -> Result<Vec<String>, OAuthError> {
    let mut resources: Vec<String> = Vec::new();
    let mut bytes = 0;
    for resource in form.many("resource") {
        bytes += resource.len();
        if resources.len() == RESOURCES || bytes > RESOURCE_BYTES {
            let why =
                format!("more than {RESOURCES} resources, or {RESOURCE_BYTES} bytes of them, were asked for");
            return Err(OAuthError::InvalidRequest(why));
        }
        if !resources.iter().any(|known| known == resource) {
            resources.push(resource.to_owned());
        }
    }
    Ok(resources)
}

/// Step 1 (RFC 8628 §3.1).
pub async fn device_authorization(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let (parts, form) = form(request).await?;
    let now = app.clock.now();
    let client = authenticate(&app, &parts.headers, &form, now).await?;
    if !client.may_use(GrantType::DeviceCode) {
        return Err(OAuthError::UnauthorizedClient("this client may not use the device flow"));
    }
    let mut options = options(&form)?;
    let mut proof = Proof::of(&parts.headers, "POST", app.public_url.join(DEVICE_AUTHORIZATION));
    bind(&mut options, &mut proof, now)?;
    let question = TokensQuestion { scopes: scopes(&form)?.unwrap_or_default(), options };
    let (from, address) = (http::origin(&parts), http::address(&parts));
    let asked = ask::tokens(&app, &client, question, from, address, now).await?.map_err(refused)?;
    let verification_uri = app.public_url.join(&app.config.device.verification_path);
    let complete = asked
        .linkable
        .then(|| Plain::new(format!("{verification_uri}?user_code={}", asked.user_code.reveal())));
    Ok(no_store(Json(DeviceAuthorization {
        device_code: asked.device_code,
        user_code: asked.user_code,
        verification_uri,
        verification_uri_complete: complete,
        expires_in: ceil_secs(asked.expires_in),
        interval: ceil_secs(asked.interval),
    })))
}

/// What OIDC Core §3.1.2.1 and RFC 8707 §2 let a client add.
pub fn options(form: &Form) -> Result<TokensOptions, OAuthError> {
    let text = |name: &'static str| match form.one(name) {
        Some(text) if text.len() > TEXT_BYTES => {
            Err(OAuthError::InvalidRequest(format!("{name} is longer than {TEXT_BYTES} bytes")))
        }
        other => Ok(other.map(str::to_owned)),
    };
    let max_age = match form.one("max_age") {
        Some(seconds) => Some(seconds.parse().map_err(|_| {
            OAuthError::InvalidRequest("max_age must be a whole number of seconds".to_owned())
        })?),
        None => None,
    };
    Ok(TokensOptions {
        nonce: text("nonce")?,
        max_age,
        prompt_login: form.one("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "login")),
        acr_values: text("acr_values")?
            .map_or_else(Vec::new, |values| values.split(' ').map(str::to_owned).collect()),
        login_hint: text("login_hint")?,
        resources: resources(form)?,
        jkt: jkt(form)?,
        code: None,
    })
}

pub fn refused(refusal: AskRefusal) -> OAuthError {
    match refusal {
        AskRefusal::Scope(scope) => OAuthError::InvalidScope(scope),
        AskRefusal::Target(target) => OAuthError::InvalidTarget(target),
        AskRefusal::Denied => OAuthError::AccessDenied,
        AskRefusal::TooMany(wait) => OAuthError::TooManyCodes(wait),
    }
}

/// The key that the tokens will be bound to (RFC 9449 §10).
fn jkt(form: &Form) -> Result<Option<Thumbprint>, OAuthError> {
    let bad = |_| OAuthError::InvalidRequest("dpop_jkt is no SHA-256 thumbprint of a key".to_owned());
    form.one("dpop_jkt").map(|jkt| jkt.parse().map_err(bad)).transpose()
}

/// A proof that came along binds as `dpop_jkt` does; both must be of one key. Whoever shows it again gets
/// nothing by it.
pub fn bind(options: &mut TokensOptions, proof: &mut Proof, now: Timestamp) -> Result<(), OAuthError> {
    let shown = proof.peek(None, false, now).map_err(OAuthError::InvalidProof)?;
    if let (Some(shown), Some(said)) = (&shown, &options.jkt)
        && shown != said
    {
        return Err(OAuthError::InvalidProof("dpop_jkt names another key than the DPoP proof".to_owned()));
    }
    options.jkt = shown.or(options.jkt.take());
    Ok(())
}
