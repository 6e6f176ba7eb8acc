//! From the domain to RFC 9457: the one table of this door.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use countersign_core::admin;

use crate::app::Fault;
use crate::flow::office::Refused;
use crate::http::BadForm;

#[derive(Debug)]
pub enum Problem {
    /// Nobody is recognised.
    Stranger,
    /// Somebody is, who may not.
    Forbidden(&'static str),
    Invalid(String),
    Body(BadForm),
    Refused(Refused),
    /// There is no such thing to call.
    Missing,
    /// It is there, and cannot be called so.
    Method,
    /// The same request is being done at this moment.
    UnderWay,
    /// The key was used for another request.
    OtherRequest,
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for Problem {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

impl Problem {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Stranger => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Body(BadForm::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BadForm::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BadForm::ContentType(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BadForm::Broken | BadForm::Encoding | BadForm::Repeated(_)) => StatusCode::BAD_REQUEST,
            Self::Invalid(_) | Self::Refused(Refused::Invalid(_)) | Self::OtherRequest => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Missing | Self::Refused(Refused::Missing(_)) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Refused(Refused::Conflict(_)) | Self::UnderWay => StatusCode::CONFLICT,
            Self::Refused(Refused::Changed(_)) => StatusCode::PRECONDITION_FAILED,
            Self::Fault(fault) if fault.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The end of its `type`, and its title.
    const fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Stranger => ("unauthorized", "Nobody was recognised"),
            Self::Forbidden(_) => ("forbidden", "Not allowed"),
            Self::Invalid(_) | Self::Refused(Refused::Invalid(_)) => ("invalid", "That does not fit"),
            Self::Body(_) => ("unreadable", "The request could not be read"),
            Self::Missing | Self::Refused(Refused::Missing(_)) => ("not-found", "There is no such thing"),
            Self::Method => ("method", "It cannot be called so"),
            Self::Refused(Refused::Conflict(_)) => ("conflict", "It stands against what is there"),
            Self::Refused(Refused::Changed(_)) => ("changed", "Somebody else changed it meanwhile"),
            Self::UnderWay => ("under-way", "It is being done at this moment"),
            Self::OtherRequest => ("key-reused", "The Idempotency-Key was used for another request"),
            Self::Fault(fault) if fault.is_passing() => ("unavailable", "Not available for the moment"),
            Self::Fault(_) => ("fault", "Something went wrong here"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Stranger => {
                "send `Authorization: Bearer …` with a live access token or API key that has the scope admin"
                    .to_owned()
            }
            Self::Forbidden(why) => (*why).to_owned(),
            Self::Invalid(why) => why.clone(),
            Self::Body(bad) => bad.to_string(),
            Self::Refused(refused) => refused.to_string(),
            Self::Missing | Self::Method => "/docs on this server says what there is".to_owned(),
            Self::UnderWay => "try again in a moment, with the same Idempotency-Key".to_owned(),
            Self::OtherRequest => "use a new Idempotency-Key for every request that is another".to_owned(),
            Self::Fault(fault) if fault.is_passing() => "try again in a moment".to_owned(),
            Self::Fault(_) => "the X-Request-Id of this answer stands in the log".to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::Fault(fault) = &self {
            tracing::error!(error = %fault, "a request failed");
        }
        let (kind, title) = self.kind();
        let body = admin::Problem {
            kind: format!("urn:countersign:problem:{kind}"),
            title: title.to_owned(),
            status: self.status().as_u16(),
            detail: self.detail(),
        };
        let mut response = (self.status(), axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &self {
            Self::Stranger => {
                let challenge = HeaderValue::from_static("Bearer realm=\"countersign\", scope=\"admin\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::UnderWay => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Fault(fault) if fault.is_passing() => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
