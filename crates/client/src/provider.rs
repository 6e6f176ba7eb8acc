//! One server: what it offers and how to call it.

use std::time::Duration;

use countersign_core::text::is_hidden;
use countersign_core::wire::{DeviceAuthorization, Discovery, ErrorBody, TokenResponse};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::verify::Verifier;
use crate::{Error, Plain};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A server that was discovered (RFC 8414).
#[derive(Clone, Debug)]
pub struct Provider {
    http: reqwest::Client,
    discovery: Discovery,
}

impl Provider {
    /// Reads the discovery document of `server`, which must be the issuer's own URL.
    ///
    /// # Errors
    /// [`Error::Network`] if it cannot be reached; [`Error::Protocol`] if there is no such document,
    /// if it names another issuer, or if it would be reached over plain http on another machine.
    pub async fn discover(server: &str) -> Result<Self, Error> {
        let plain = Url::parse(server).is_ok_and(|url| url.scheme() == "http" && !is_this_machine(&url));
        if plain {
            let why = "plain http shows the tokens to everybody on the way; use https".to_owned();
            return Err(Error::Protocol { url: server.to_owned(), why });
        }
        Self::discover_insecure(server).await
    }

    /// [`Provider::discover`] for those who know that nobody listens on the way.
    ///
    /// # Errors
    /// As [`Provider::discover`], but plain http will do.
    pub async fn discover_insecure(server: &str) -> Result<Self, Error> {
        let server = server.trim_end_matches('/');
        let protocol = |why: &str| Error::Protocol { url: server.to_owned(), why: why.to_owned() };
        let parsed = Url::parse(server).map_err(|_| protocol("not a URL; write it with https://"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(protocol("not an http or https URL"));
        }
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| protocol(&error.to_string()))?;
        let url = format!("{server}/.well-known/openid-configuration");
        let discovery: Discovery = read(&url, http.get(&url)).await?;
        if discovery.issuer.trim_end_matches('/') != server {
            return Err(protocol(&format!("it calls itself {}; use that URL", visible(&discovery.issuer))));
        }
        if parsed.scheme() == "https"
            && discovery.endpoints().any(|endpoint| !endpoint.starts_with("https://"))
        {
            return Err(protocol("it would have tokens sent over plain http"));
        }
        Ok(Self { http, discovery })
    }

    pub fn issuer(&self) -> &str {
        &self.discovery.issuer
    }

    pub(crate) async fn authorize(&self, client_id: &str, scope: &str) -> Result<DeviceAuthorization, Error> {
        let url = self.offers(self.discovery.device_authorization_endpoint.as_ref(), "the device flow")?;
        read(url, self.http.post(url).form(&[("client_id", client_id), ("scope", scope)])).await
    }

    /// Spends a refresh token for new tokens (RFC 6749 §6).
    ///
    /// # Errors
    /// [`Error::Refused`] with `invalid_grant` once the device was disconnected.
    pub async fn refresh(&self, client_id: &str, refresh_token: &Plain) -> Result<TokenResponse, Error> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", refresh_token.reveal()),
        ];
        self.token(&form).await
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Result<TokenResponse, Error> {
        let url = &self.discovery.token_endpoint;
        read(url, self.http.post(url).form(form)).await
    }

    /// Revokes a token; of a refresh token, everything that belongs to it (RFC 7009).
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Network`].
    pub async fn revoke(&self, client_id: &str, token: &Plain) -> Result<(), Error> {
        let url = self.offers(self.discovery.revocation_endpoint.as_ref(), "revocation")?;
        let form = [("client_id", client_id), ("token", token.reveal())];
        send(url, self.http.post(url).form(&form)).await.map(drop)
    }

    /// Who the access token stands for (OIDC Core §5.3).
    ///
    /// # Errors
    /// [`Error::Refused`] if the token is not valid any more.
    pub async fn userinfo(&self, access_token: &Plain) -> Result<serde_json::Value, Error> {
        let url = self.offers(self.discovery.userinfo_endpoint.as_ref(), "userinfo")?;
        read(url, self.http.get(url).bearer_auth(access_token.reveal())).await
    }

    /// Reads the server's published keys, to verify tokens with.
    ///
    /// # Errors
    /// [`Error::Network`] or [`Error::Protocol`].
    pub async fn verifier(&self) -> Result<Verifier, Error> {
        let url = &self.discovery.jwks_uri;
        Ok(Verifier::new(self.discovery.issuer.clone(), read(url, self.http.get(url)).await?))
    }

    fn offers<'a>(&self, endpoint: Option<&'a String>, what: &str) -> Result<&'a str, Error> {
        endpoint.map(String::as_str).ok_or_else(|| Error::Protocol {
            url: self.discovery.issuer.clone(),
            why: format!("it does not offer {what}"),
        })
    }
}

/// Text of a server's, without what a terminal would take for a command.
pub fn visible(text: &str) -> String {
    text.chars().filter(|symbol| !is_hidden(*symbol)).collect()
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

async fn send(url: &str, request: RequestBuilder) -> Result<Response, Error> {
    // The error's own text would repeat the URL.
    let response = request.send().await.map_err(|error| network(url, error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
    let expired =
        status == StatusCode::UNAUTHORIZED && challenge.is_some_and(|text| text.contains("invalid_token"));
    match response.json::<ErrorBody>().await {
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

async fn read<T: DeserializeOwned>(url: &str, request: RequestBuilder) -> Result<T, Error> {
    let response = send(url, request).await?;
    response
        .json()
        .await
        .map_err(|error| Error::Protocol { url: url.to_owned(), why: error.without_url().to_string() })
}

fn network(url: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    Error::Network { url: host(url), why }
}

fn host(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}
