//! From the domain to the CLI door's failures: the one table of this door. Each carries `detail`, as
//! published clients expect it, and `error` with `error_description` beside it.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::time::ceil_secs;
use serde_json::{Value, json};

use super::answers::Failure;
use super::json::Issue;
use crate::app::Fault;
use crate::dpop::Unproven;
use crate::http::BadForm;

#[derive(Debug)]
pub enum ApiError {
    /// Fields are missing or of the wrong type.
    Invalid(Vec<Issue>),
    Body(BadForm),
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidScope(String),
    /// Nobody is recognised.
    Unauthorized(&'static str),
    /// A proof of possession does not do.
    Unproven(Unproven),
    /// Somebody is, who may not.
    Forbidden(&'static str),
    /// Somebody is, whose sign-in is not enough (RFC 9470).
    SignIn(&'static str),
    NotFound(&'static str),
    Method,
    /// It was done before.
    Conflict(&'static str),
    /// A reverse code was used before.
    Used,
    Pending,
    /// Approved, and the PIN that the browser shows must be sent along.
    PinRequired,
    SlowDown(Duration),
    Expired,
    Denied,
    Spent,
    Limited(Duration),
    /// Somebody who must vouch for the caller does not answer.
    Unreachable,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for ApiError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl ApiError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Body(BadForm::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BadForm::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BadForm::ContentType(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthorized(_) | Self::Unproven(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::SignIn(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(fault) if fault.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Body(BadForm::Broken | BadForm::Encoding | BadForm::Repeated(_))
            | Self::InvalidRequest(_)
            | Self::InvalidClient
            | Self::InvalidScope(_)
            | Self::Used
            | Self::Pending
            | Self::PinRequired
            | Self::SlowDown(_)
            | Self::Expired
            | Self::Denied
            | Self::Spent => StatusCode::BAD_REQUEST,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Body(_) | Self::InvalidRequest(_) | Self::Method | Self::Used => {
                "invalid_request"
            }
            Self::InvalidClient => "invalid_client",
            Self::InvalidScope(_) => "invalid_scope",
            Self::Unauthorized(_) => "unauthorized",
            Self::Unproven(_) => "invalid_dpop_proof",
            Self::Forbidden(_) => "forbidden",
            Self::SignIn(_) => "insufficient_user_authentication",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Pending | Self::PinRequired => "authorization_pending",
            Self::SlowDown(_) => "slow_down",
            Self::Expired => "expired_token",
            Self::Denied => "access_denied",
            Self::Spent => "invalid_grant",
            Self::Limited(_) => "rate_limited",
            Self::Unreachable | Self::Fault(_) => "server_error",
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Invalid(issues) => {
                let words: Vec<String> = issues.iter().map(Issue::sentence).collect();
                words.join("; ")
            }
            Self::Body(bad) => bad.to_string(),
            Self::Unproven(why) => why.clone(),
            Self::InvalidRequest(why)
            | Self::Unauthorized(why)
            | Self::Forbidden(why)
            | Self::SignIn(why)
            | Self::NotFound(why)
            | Self::Conflict(why) => (*why).to_owned(),
            Self::InvalidClient => {
                "there is no such public client; leave client_id out, or have it registered".to_owned()
            }
            Self::InvalidScope(scope) => format!("this client may not have the scope {scope}"),
            Self::Method => "this method is not allowed here".to_owned(),
            Self::Used => "this code has already been used; get a new one".to_owned(),
            Self::Pending => "nobody has approved yet; keep polling".to_owned(),
            Self::PinRequired => {
                "approved; send the two digits that the browser shows as initiation_pin".to_owned()
            }
            Self::SlowDown(interval) => {
                format!("polled too soon; wait {} s between polls from now on", ceil_secs(*interval))
            }
            Self::Expired => "the device code has expired; ask for a new one".to_owned(),
            Self::Denied => "the request was denied".to_owned(),
            Self::Spent => "the device code has been used already; its key was handed out".to_owned(),
            Self::Limited(wait) => format!("too many attempts; wait {} s", ceil_secs(*wait)),
            Self::Unreachable => {
                "whoever issued this token cannot be asked for its keys now; try again".to_owned()
            }
            Self::Fault(fault) if fault.is_passing() => "not available for the moment; try again".to_owned(),
            Self::Fault(_) => {
                "something went wrong here; the X-Request-Id of this answer stands in the log".to_owned()
            }
        }
    }

    /// A list for fields, an object while polling, a sentence elsewhere.
    fn detail(&self) -> Value {
        match self {
            Self::Invalid(issues) => issues.iter().map(Issue::json).collect(),
            Self::Pending | Self::Expired => json!({ "error": self.code(), "message": self.description() }),
            Self::PinRequired => {
                json!({ "error": self.code(), "message": self.description(), "pin_required": true })
            }
            Self::SlowDown(interval) => {
                let interval = ceil_secs(*interval);
                json!({ "error": self.code(), "message": self.description(), "interval": interval })
            }
            _ => Value::String(self.description()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Fault(fault) = &self {
            tracing::error!(error = %fault, "a request failed");
        }
        let body = Failure {
            detail: self.detail(),
            error: self.code(),
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
        if let Self::Unauthorized(_) = self {
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
        }
        let wait = match &self {
            Self::Limited(wait) => Some(ceil_secs(*wait)),
            Self::Unreachable => Some(10),
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

    /// Every variant as clients see it: status, code, and the shape of `detail`.
    #[test]
    fn the_table() {
        let second = Duration::from_secs(1);
        let rows: Vec<String> = [
            ApiError::Invalid(vec![Issue::missing("name")]),
            ApiError::Body(BadForm::TooLarge),
            ApiError::Body(BadForm::TooSlow),
            ApiError::Body(BadForm::ContentType("application/json")),
            ApiError::InvalidRequest("x"),
            ApiError::InvalidClient,
            ApiError::InvalidScope("x".to_owned()),
            ApiError::Unauthorized("x"),
            ApiError::Forbidden("x"),
            ApiError::NotFound("x"),
            ApiError::Method,
            ApiError::Conflict("x"),
            ApiError::Used,
            ApiError::Pending,
            ApiError::PinRequired,
            ApiError::SlowDown(second),
            ApiError::Expired,
            ApiError::Denied,
            ApiError::Spent,
            ApiError::Limited(second),
            ApiError::Unreachable,
            ApiError::Fault(Fault::Page(String::new())),
            ApiError::Fault(Fault::Store(StoreError::Unavailable(String::new()))),
        ]
        .iter()
        .map(|error| {
            let shape = match error.detail() {
                Value::Array(_) => "list",
                Value::Object(_) => "object",
                _ => "sentence",
            };
            assert!(!error.description().is_empty());
            format!("{} {} {shape}", error.status().as_u16(), error.code())
        })
        .collect();
        assert_eq!(
            rows,
            [
                "422 invalid_request list",
                "413 invalid_request sentence",
                "408 invalid_request sentence",
                "415 invalid_request sentence",
                "400 invalid_request sentence",
                "400 invalid_client sentence",
                "400 invalid_scope sentence",
                "401 unauthorized sentence",
                "403 forbidden sentence",
                "404 not_found sentence",
                "405 invalid_request sentence",
                "409 conflict sentence",
                "400 invalid_request sentence",
                "400 authorization_pending object",
                "400 authorization_pending object",
                "400 slow_down object",
                "400 expired_token object",
                "400 access_denied sentence",
                "400 invalid_grant sentence",
                "429 rate_limited sentence",
                "503 server_error sentence",
                "500 server_error sentence",
                "503 server_error sentence",
            ]
        );
    }
}
