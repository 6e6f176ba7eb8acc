//! What every door needs of HTTP: bounded bodies, strict forms, who is calling.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use countersign_core::grant::Origin;
use countersign_core::id::RequestId;
use countersign_core::secret::Plain;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::flow::nodes::Named;
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
    #[error("the content type must be {0}")]
    ContentType(&'static str),
    #[error("the form is not valid UTF-8 without NUL")]
    Encoding,
    #[error("the parameter `{0}` is repeated")]
    Repeated(String),
}

/// A name as a part of a path, which takes no plus for a space.
pub fn in_path(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
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
        let (parts, bytes) = bytes(request).await;
        let form = bytes.and_then(|bytes| {
            if !bytes.is_empty() && !is_form(&parts.headers) {
                return Err(BadForm::ContentType(FORM));
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| BadForm::Encoding)?;
            Self::parse(text)
        });
        match form {
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

    /// The first parameter that is none of these.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
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

const FORM: &str = "application/x-www-form-urlencoded";

fn is_form(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|essence| essence.eq_ignore_ascii_case(FORM))
}

/// The content type of a request, without its parameters.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim())
}

/// The body of a request, within bounds of size and time.
pub async fn bytes(request: Request) -> (Parts, Result<Bytes, BadForm>) {
    let (parts, body) = request.into_parts();
    // What is announced as too large is not waited for.
    let bytes =
        if declared(&parts.headers) > BODY_BYTES { Err(BadForm::TooLarge) } else { read_body(body).await };
    (parts, bytes)
}

/// The `Authorization` header came more than once.
#[derive(Clone, Copy, Debug)]
pub struct Repeated;

pub fn authorization(headers: &HeaderMap) -> Result<Option<String>, Repeated> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().to_owned())),
        (Some(_), Some(_)) => Err(Repeated),
    }
}

/// The scheme of RFC 6750 §2.1.
pub const BEARER: &[&str] = &["bearer"];

/// The device whose imported token is presented.
pub fn named_device(parts: &Parts) -> Option<Named> {
    let node = parts.headers.get("x-aisopod-device-id")?.to_str().ok()?.parse().ok()?;
    Some(Named { node, address: address(parts) })
}

/// What stands behind one of these schemes.
pub fn credential(credentials: &str, schemes: &[&str]) -> Option<Plain> {
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    let token = token.trim();
    let known = schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (known && !token.is_empty()).then(|| Plain::new(token.to_owned()))
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

/// The last part of a path, which may be anything: what is no id is the id of nothing.
#[derive(Debug)]
pub struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(id)| id).unwrap_or_default()))
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

/// A JSON object with one more field, if there is something to put there.
pub fn with(mut object: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(fields), Some(value)) = (object.as_object_mut(), value) {
        fields.insert(name.to_owned(), value);
    }
    object
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
