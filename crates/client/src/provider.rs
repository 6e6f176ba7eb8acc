//! One server: what it offers and how to call it.

#[cfg(feature = "browser")]
use countersign_core::wire::Pushed;
use countersign_core::wire::{DeviceAuthorization, Discovery, Introspection, TokenResponse};

use crate::http::{self, read, send, visible};
use crate::verify::Verifier;
use crate::{Error, Plain};

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
    /// if it names another issuer; [`Error::Address`] if it would be reached over plain http on another machine.
    pub async fn discover(server: &str) -> Result<Self, Error> {
        http::check_safe(server)?;
        Self::discover_insecure(server).await
    }

    /// [`Provider::discover`] for those who know that nobody listens on the way.
    ///
    /// # Errors
    /// As [`Provider::discover`], but plain http will do.
    pub async fn discover_insecure(server: &str) -> Result<Self, Error> {
        let (server, http) = http::client(server)?;
        let protocol = |why: &str| Error::Protocol { url: server.clone(), why: why.to_owned() };
        let url = format!("{server}/.well-known/openid-configuration");
        let discovery: Discovery = read(&url, http.get(&url)).await?;
        if discovery.issuer.trim_end_matches('/') != server {
            return Err(protocol(&format!("it calls itself {}; use that URL", visible(&discovery.issuer))));
        }
        if server.starts_with("https://")
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

    /// Pushes a question and says where a browser answers it (RFC 9126). `None` if the server does not offer
    /// that, or not to this client.
    #[cfg(feature = "browser")]
    pub(crate) async fn push(&self, client_id: &str, form: &[(&str, &str)]) -> Result<Option<String>, Error> {
        let (Some(push), Some(authorize)) =
            (&self.discovery.pushed_authorization_request_endpoint, &self.discovery.authorization_endpoint)
        else {
            return Ok(None);
        };
        let pushed: Pushed = match read(push, self.http.post(push).form(form)).await {
            Ok(pushed) => pushed,
            Err(Error::Refused { error, .. })
                if error == "unauthorized_client" || error == "invalid_request" =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let pairs = [("client_id", client_id), ("request_uri", pushed.request_uri.as_str())];
        let url = url::Url::parse_with_params(authorize, &pairs).ok();
        // A browser is opened for pages, and for nothing else that a server may name.
        Ok(url.filter(|url| matches!(url.scheme(), "http" | "https")).map(String::from))
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

    /// What a token or an API key is good for, asked as a confidential client (RFC 7662).
    ///
    /// # Errors
    /// [`Error::Refused`] if the client did not prove who it is, or [`Error::Network`].
    pub async fn introspect(
        &self,
        client_id: &str,
        secret: &Plain,
        token: &Plain,
    ) -> Result<Introspection, Error> {
        let url = self.offers(self.discovery.introspection_endpoint.as_ref(), "introspection")?;
        let form = [("client_id", client_id), ("client_secret", secret.reveal()), ("token", token.reveal())];
        read(url, self.http.post(url).form(&form)).await
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
