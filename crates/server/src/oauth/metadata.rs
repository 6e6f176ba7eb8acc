//! Discovery (RFC 8414, OIDC Discovery) and keys. Only what works is listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use countersign_core::account::{MULTI_FACTOR, SINGLE_FACTOR};
use countersign_core::client::{AuthMethod, GrantType};
use countersign_core::scope;
use serde_json::json;

use super::error::OAuthError;
use crate::app::App;
use crate::jws;
use crate::signing::JWKS_CACHED;

pub async fn discovery(State(app): State<Arc<App>>) -> Result<Response, OAuthError> {
    let now = app.clock.now();
    let url = |path: &str| app.public_url.join(path);
    let keys = app.signer.published(&app.store, &app.vault, now).await?;
    let mut algs: Vec<String> =
        keys.keys.iter().filter_map(|key| key.common.key_algorithm).map(|alg| alg.to_string()).collect();
    algs.sort();
    algs.dedup();
    let methods = |methods: &[AuthMethod]| methods.iter().map(|method| method.name()).collect::<Vec<_>>();
    let scopes: Vec<&str> = scope::STANDARD.into_iter().chain([scope::INTROSPECT]).collect();
    let mut document = json!({
        "issuer": app.public_url.issuer(),
        "device_authorization_endpoint": url("/oauth2/v1/device_authorization"),
        "token_endpoint": url("/oauth2/v1/token"),
        "introspection_endpoint": url("/oauth2/v1/introspect"),
        "revocation_endpoint": url("/oauth2/v1/revoke"),
        "userinfo_endpoint": url("/oauth2/v1/userinfo"),
        "jwks_uri": url("/oauth2/v1/jwks"),
        "grant_types_supported": GrantType::ALL.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
        "authorization_endpoint": url("/oauth2/v1/authorize"),
        "pushed_authorization_request_endpoint": url("/oauth2/v1/par"),
        "require_pushed_authorization_requests": false,
        "end_session_endpoint": url("/oauth2/v1/end_session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["login", "consent"],
        "acr_values_supported": [SINGLE_FACTOR, MULTI_FACTOR],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": jws::names(),
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algs,
        "token_endpoint_auth_methods_supported": methods(AuthMethod::ALL),
        "revocation_endpoint_auth_methods_supported": methods(AuthMethod::ALL),
        "introspection_endpoint_auth_methods_supported":
            methods(&[AuthMethod::Basic, AuthMethod::Post, AuthMethod::Key]),
        "token_endpoint_auth_signing_alg_values_supported": jws::names(),
        "revocation_endpoint_auth_signing_alg_values_supported": jws::names(),
        "introspection_endpoint_auth_signing_alg_values_supported": jws::names(),
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "acr", "sid",
            "name", "preferred_username", "email", "email_verified",
        ],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if let (Some(document), true) = (document.as_object_mut(), app.config.registration.is_some()) {
        document.insert("registration_endpoint".to_owned(), json!(url("/oauth2/v1/register")));
    }
    Ok(cached(Json(document)))
}

pub async fn jwks(State(app): State<Arc<App>>) -> Result<Response, OAuthError> {
    let keys = app.signer.published(&app.store, &app.vault, app.clock.now()).await?;
    Ok(cached(Json(keys.as_ref())))
}

fn cached(body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    // A next key is published long before it signs.
    if let Ok(cache) = HeaderValue::try_from(format!("public, max-age={}", JWKS_CACHED.as_secs())) {
        response.headers_mut().insert(header::CACHE_CONTROL, cache);
    }
    response
}
