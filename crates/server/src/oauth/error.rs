//! From the domain to RFC 6749 §5.2: the one table of this door.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::scope::BadScope;
use countersign_core::time::ceil_secs;
use countersign_core::wire::ErrorBody;

use crate::app::Fault;
use crate::dpop::Unproven;
use crate::http::BadForm;
use crate::jws;

#[derive(Debug)]
pub enum OAuthError {
    InvalidRequest(String),
    Body(BadForm),
    /// `http`: the client tried HTTP authentication, so it gets a challenge (RFC 6749 §5.2).
    InvalidClient {
        http: bool,
    },
    InvalidGrant(&'static str),
    InvalidScope(String),
    BadScope(BadScope),
    InvalidTarget(String),
    UnauthorizedClient(&'static str),
    UnsupportedGrantType,
    AuthorizationPending,
    /// The same; it is approved, and the PIN that the browser shows must be sent along.
    PinRequired,
    SlowDown(Duration),
    AccessDenied,
    ExpiredToken,
    /// Too many device codes were asked for.
    TooManyCodes(Duration),
    /// A protected resource of ours was called without a token (RFC 6750 §3.1).
    NoToken,
    InvalidToken,
    /// A proof of possession does not do, at the token endpoint.
    InvalidProof(Unproven),
    /// The same at a resource (RFC 9449 §7.1).
    UnprovenToken(Unproven),
    /// Only a page of ours can answer, and none may be shown (OIDC Core §3.1.2.6).
    InteractionRequired,
    UnsupportedResponseType,
    /// What a client says of itself does not do (RFC 7591 §3.2.2).
    InvalidMetadata(String),
    InvalidRedirectUri(String),
    /// Nothing of that kind is offered here.
    Missing,
    InsufficientScope(&'static str),
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for OAuthError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

const REALM: &str = "Basic realm=\"countersign\", charset=\"UTF-8\"";

impl OAuthError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(BadForm::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BadForm::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::InvalidClient { http: true }
            | Self::NoToken
            | Self::InvalidToken
            | Self::UnprovenToken(_) => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::Missing => StatusCode::NOT_FOUND,
            Self::TooManyCodes(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Fault(fault) if fault.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidRequest(_)
            | Self::Body(
                BadForm::Broken | BadForm::ContentType(_) | BadForm::Encoding | BadForm::Repeated(_),
            )
            | Self::InvalidClient { http: false }
            | Self::InvalidGrant(_)
            | Self::InvalidScope(_)
            | Self::BadScope(_)
            | Self::InvalidTarget(_)
            | Self::UnauthorizedClient(_)
            | Self::UnsupportedGrantType
            | Self::AuthorizationPending
            | Self::PinRequired
            | Self::SlowDown(_)
            | Self::AccessDenied
            | Self::InvalidProof(_)
            | Self::InteractionRequired
            | Self::UnsupportedResponseType
            | Self::InvalidMetadata(_)
            | Self::InvalidRedirectUri(_)
            | Self::ExpiredToken => StatusCode::BAD_REQUEST,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::Body(_) | Self::NoToken => "invalid_request",
            Self::InvalidClient { .. } => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::InvalidScope(_) | Self::BadScope(_) => "invalid_scope",
            Self::InvalidTarget(_) => "invalid_target",
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AuthorizationPending | Self::PinRequired => "authorization_pending",
            Self::SlowDown(_) | Self::TooManyCodes(_) => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken => "invalid_token",
            Self::InvalidProof(_) | Self::UnprovenToken(_) => "invalid_dpop_proof",
            Self::InteractionRequired => "interaction_required",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidMetadata(_) => "invalid_client_metadata",
            Self::InvalidRedirectUri(_) => "invalid_redirect_uri",
            Self::Missing => "not_found",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::Fault(fault) if fault.is_passing() => "temporarily_unavailable",
            Self::Fault(_) => "server_error",
        }
    }

    pub fn description(&self) -> String {
        match self {
            Self::InvalidRequest(why)
            | Self::InvalidProof(why)
            | Self::UnprovenToken(why)
            | Self::InvalidMetadata(why)
            | Self::InvalidRedirectUri(why) => printable(why),
            Self::InteractionRequired => {
                "a person is always asked here, so prompt=none cannot be answered".to_owned()
            }
            Self::UnsupportedResponseType => "response_type must be code".to_owned(),
            Self::Missing => "the operator of this server does not offer this".to_owned(),
            Self::Body(bad) => printable(&bad.to_string()),
            Self::InvalidClient { .. } => "the client is unknown or did not prove who it is".to_owned(),
            Self::InvalidGrant(why) | Self::UnauthorizedClient(why) => (*why).to_owned(),
            Self::InvalidScope(scope) => printable(&format!("this client may not have the scope {scope}")),
            Self::BadScope(bad) => printable(&bad.to_string()),
            Self::InvalidTarget(target) => printable(&format!("tokens for {target} are not available here")),
            Self::UnsupportedGrantType => {
                "this grant type is not supported; the discovery document lists those that are".to_owned()
            }
            Self::AuthorizationPending => "nobody has decided yet; keep polling".to_owned(),
            Self::PinRequired => {
                "approved; send the two digits that the browser shows as initiation_pin".to_owned()
            }
            Self::SlowDown(interval) => {
                format!("polled too soon; wait {} seconds between polls from now on", ceil_secs(*interval))
            }
            Self::AccessDenied => "the request was denied".to_owned(),
            Self::ExpiredToken => "the device code has expired; ask for a new one".to_owned(),
            Self::TooManyCodes(wait) => {
                format!("too many device codes were asked for; wait {} seconds", ceil_secs(*wait))
            }
            Self::NoToken => "an access token is needed: Authorization: Bearer <token>".to_owned(),
            Self::InvalidToken => "the access token is expired, revoked or not one of this server".to_owned(),
            Self::InsufficientScope(scope) => format!("the access token lacks the scope {scope}"),
            Self::Fault(fault) if fault.is_passing() => "not available for the moment; try again".to_owned(),
            Self::Fault(_) => {
                "something went wrong here; the X-Request-Id of this answer stands in the log".to_owned()
            }
        }
    }

    fn challenge(&self) -> Option<String> {
        match self {
            Self::InvalidClient { http: true } => Some(REALM.to_owned()),
            Self::NoToken => Some("Bearer realm=\"countersign\"".to_owned()),
            Self::InvalidToken => Some("Bearer realm=\"countersign\", error=\"invalid_token\"".to_owned()),
            Self::UnprovenToken(_) => {
                let algs = jws::names().join(" ");
                Some(format!("DPoP error=\"invalid_dpop_proof\", algs=\"{algs}\""))
            }
            Self::InsufficientScope(scope) => {
                Some(format!("Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ => None,
        }
    }
}

/// What RFC 6749 §5.2 allows in a description: printable ASCII without quote and backslash.
fn printable(text: &str) -> String {
    text.chars()
        .take(200)
        .map(
            |symbol| {
                if matches!(symbol, ' '..='~') && symbol != '"' && symbol != '\\' { symbol } else { '?' }
            },
        )
        .collect()
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        if let Self::Fault(fault) = &self {
            tracing::error!(error = %fault, "a request failed");
        }
        let body = ErrorBody {
            error: self.code().to_owned(),
            error_description: self.description(),
            interval: match &self {
                Self::SlowDown(interval) => Some(ceil_secs(*interval)),
                _ => None,
            },
            pin_required: matches!(self, Self::PinRequired),
        };
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge().and_then(|challenge| HeaderValue::try_from(challenge).ok())
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let wait = match &self {
            Self::TooManyCodes(wait) => Some(ceil_secs(*wait)),
            Self::Fault(fault) if fault.is_passing() => Some(1),
            _ => None,
        };
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    /// Every variant as clients see it: status, code, and whether a challenge comes along.
    #[test]
    fn the_table() {
        let second = Duration::from_secs(1);
        let rows: Vec<String> = [
            OAuthError::InvalidRequest("x".to_owned()),
            OAuthError::Body(BadForm::TooLarge),
            OAuthError::Body(BadForm::TooSlow),
            OAuthError::Body(BadForm::ContentType("x")),
            OAuthError::InvalidClient { http: true },
            OAuthError::InvalidClient { http: false },
            OAuthError::InvalidGrant("x"),
            OAuthError::InvalidScope("x".to_owned()),
            OAuthError::BadScope(BadScope::TooLong),
            OAuthError::InvalidTarget("x".to_owned()),
            OAuthError::UnauthorizedClient("x"),
            OAuthError::UnsupportedGrantType,
            OAuthError::AuthorizationPending,
            OAuthError::PinRequired,
            OAuthError::SlowDown(second),
            OAuthError::AccessDenied,
            OAuthError::ExpiredToken,
            OAuthError::TooManyCodes(second),
            OAuthError::NoToken,
            OAuthError::InvalidToken,
            OAuthError::InsufficientScope("x"),
            OAuthError::InvalidProof("x".to_owned()),
            OAuthError::UnprovenToken("x".to_owned()),
            OAuthError::InteractionRequired,
            OAuthError::UnsupportedResponseType,
            OAuthError::InvalidMetadata("x".to_owned()),
            OAuthError::InvalidRedirectUri("x".to_owned()),
            OAuthError::Missing,
            OAuthError::Fault(Fault::Page(String::new())),
            OAuthError::Fault(Fault::Store(StoreError::Unavailable(String::new()))),
        ]
        .iter()
        .map(|error| {
            let challenge = if error.challenge().is_some() { " challenge" } else { "" };
            format!("{} {}{challenge}", error.status().as_u16(), error.code())
        })
        .collect();
        assert_eq!(
            rows,
            [
                "400 invalid_request",
                "413 invalid_request",
                "408 invalid_request",
                "400 invalid_request",
                "401 invalid_client challenge",
                "400 invalid_client",
                "400 invalid_grant",
                "400 invalid_scope",
                "400 invalid_scope",
                "400 invalid_target",
                "400 unauthorized_client",
                "400 unsupported_grant_type",
                "400 authorization_pending",
                "400 authorization_pending",
                "400 slow_down",
                "400 access_denied",
                "400 expired_token",
                "429 slow_down",
                "401 invalid_request challenge",
                "401 invalid_token challenge",
                "403 insufficient_scope challenge",
                "400 invalid_dpop_proof",
                "401 invalid_dpop_proof challenge",
                "400 interaction_required",
                "400 unsupported_response_type",
                "400 invalid_client_metadata",
                "400 invalid_redirect_uri",
                "404 not_found",
                "500 server_error",
                "503 temporarily_unavailable",
            ]
        );
    }

    #[test]
    fn descriptions_stay_printable() {
        assert_eq!(printable("a\"b\\c\u{1}ä\nd"), "a?b?c???d");
    }
}
