//! How a server is called, and how its answers are read.

use std::time::Duration;

use countersign_core::text::is_hidden;
use countersign_core::wire::ErrorBody;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::Error;

pub const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

const TIMEOUT: Duration = Duration::from_secs(30);

/// Refuses plain http to another machine.
pub fn check_safe(server: &str) -> Result<(), Error> {
    if Url::parse(server).is_ok_and(|url| url.scheme() == "http" && !is_this_machine(&url)) {
        let why = "plain http shows the tokens to everybody on the way; use https".to_owned();
        return Err(Error::Address { url: server.to_owned(), why });
    }
    Ok(())
}

/// The server's URL without a trailing slash, and what it is called with.
pub fn client(server: &str) -> Result<(String, reqwest::Client), Error> {
    let server = server.trim_end_matches('/');
    let odd = |why: &str| Error::Address { url: server.to_owned(), why: why.to_owned() };
    let parsed = Url::parse(server).map_err(|_| odd("not a URL; write it with https://"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(odd("not an http or https URL"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(odd(
            "leave out the name and password before the @: this program proves who it is itself",
        ));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(odd("leave out what begins with ? or #"));
    }
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .build()
        .map_err(|error| odd(&error.to_string()))?;
    Ok((server.to_owned(), http))
}

/// Text of a server's, without what a terminal would take for a command.
pub fn visible(text: &str) -> String {
    text.chars().filter(|symbol| !is_hidden(*symbol)).collect()
}

/// Whether an address leads to this machine.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub async fn send(url: &str, request: RequestBuilder) -> Result<Response, Error> {
    // The error's own text would repeat the URL.
    let response = request.send().await.map_err(|error| network(url, error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(Error::Limited { server: host(url), wait: Duration::from_secs(wait.unwrap_or(60)) });
    }
    let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
    let expired =
        status == StatusCode::UNAUTHORIZED && challenge.is_some_and(|text| text.contains("invalid_token"));
    match response.json::<ErrorBody>().await {
        Ok(body) if body.pin_required => Err(Error::PinWanted { wrong: false }),
        Ok(body) if !body.error.is_empty() => {
            let error = if expired { "invalid_token".to_owned() } else { body.error };
            Err(Error::Refused {
                server: host(url),
                error: visible(&error),
                description: visible(&body.error_description),
                interval: body.interval,
            })
        }
        _ => Err(Error::Protocol { url: url.to_owned(), why: format!("status {status}") }),
    }
}

pub async fn read<T: DeserializeOwned>(url: &str, request: RequestBuilder) -> Result<T, Error> {
    let response = send(url, request).await?;
    response
        .json()
        .await
        .map_err(|error| Error::Protocol { url: url.to_owned(), why: error.without_url().to_string() })
}

pub fn network(url: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    Error::Network { url: host(url), why }
}

pub fn host(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}
