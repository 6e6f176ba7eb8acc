//! What every door needs of HTTP: bounded bodies, strict forms, who is calling.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use countersign_core::grant::Origin;
use countersign_core::id::RequestId;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;

use crate::origin;

/// Bodies beyond this are refused with 413.
pub const BODY_BYTES: usize = 64 * 1024;
/// Head of a request: beyond this hyper answers 431.
pub const HEAD_BYTES: usize = 16 * 1024;
/// A body must be here by then.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The nearest hop that can be believed; put into every request by the router.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// Stands in the answer and in the log.
#[derive(Clone, Copy, Debug)]
pub struct RequestIdOf(pub RequestId);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    #[error("the body is larger than 64 KiB")]
    TooLarge,
    #[error("the body did not arrive within 30 seconds")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("the content type must be application/x-www-form-urlencoded")]
    ContentType,
    #[error("the form is not valid UTF-8 without NUL")]
    Encoding,
    #[error("the parameter `{0}` is repeated")]
    Repeated(String),
}

/// The parameters of one form. Empty ones count as omitted (RFC 6749 §3.1).
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are passwords and tokens.
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The one parameter that may come more than once (RFC 8707 §2).
const REPEATABLE: &str = "resource";

impl Form {
    /// Reads the body of a request as a form.
    pub async fn read(request: Request) -> Result<(Parts, Self), (Parts, BadForm)> {
        let (parts, body) = request.into_parts();
        let form = async {
            // What is announced as too large is not waited for.
            if declared(&parts.headers) > BODY_BYTES {
                return Err(BadForm::TooLarge);
            }
            let bytes = read_body(body).await?;
            if !bytes.is_empty() && !is_form(&parts.headers) {
                return Err(BadForm::ContentType);
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| BadForm::Encoding)?;
            Self::parse(text)
        };
        match form.await {
            Ok(form) => Ok((parts, form)),
            Err(bad) => Err((parts, bad)),
        }
    }

    pub fn parse(text: &str) -> Result<Self, BadForm> {
        let mut seen = HashSet::new();
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if name != REPEATABLE && !seen.insert(name.clone()) {
                return Err(BadForm::Repeated(name));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.many(name).next()
    }

    pub fn many<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// `application/x-www-form-urlencoded` to text, strictly.
pub fn decode(text: &str) -> Result<String, BadForm> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| BadForm::Encoding)?;
    if decoded.contains('\0') { Err(BadForm::Encoding) } else { Ok(decoded.into_owned()) }
}

fn declared(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn is_form(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

async fn read_body(body: Body) -> Result<Bytes, BadForm> {
    let limited = Limited::new(body, BODY_BYTES);
    match tokio::time::timeout(BODY_TIME, limited.collect()).await {
        Err(_) => Err(BadForm::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BadForm::TooLarge),
        Ok(Err(_)) => Err(BadForm::Broken),
    }
}

/// The address behind a request.
pub fn address(parts: &Parts) -> IpAddr {
    parts.extensions.get::<ClientAddress>().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.0)
}

/// Address and user agent behind a request.
pub fn origin(parts: &Parts) -> Origin {
    origin::origin(address(parts), &parts.headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_strictly() {
        let form = Form::parse("a=1&b=&c=x+y%20z&resource=r1&resource=r2&d").unwrap();
        assert_eq!(form.one("a"), Some("1"));
        assert_eq!((form.one("b"), form.one("d"), form.one("e")), (None, None, None));
        assert_eq!(form.one("c"), Some("x y z"));
        assert_eq!(form.many("resource").collect::<Vec<_>>(), ["r1", "r2"]);
        assert_eq!(Form::parse("a=1&a=2").unwrap_err(), BadForm::Repeated("a".to_owned()));
        assert_eq!(Form::parse("a=1&%61=1").unwrap_err(), BadForm::Repeated("a".to_owned()));
        assert_eq!(Form::parse("a=%ff").unwrap_err(), BadForm::Encoding);
        assert_eq!(Form::parse("a=%00").unwrap_err(), BadForm::Encoding);
    }
}
