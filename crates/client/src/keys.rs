//! The CLI door: a login that ends in an API key, in either direction.

use countersign_core::wire::{DeviceAuthorization, KeyRequest, Me, NewKey};
use serde_json::json;

use crate::http::{self, read, send};
use crate::login::{Door, Login, sealed};
use crate::{Error, Plain};

/// The CLI door of one server.
#[derive(Clone, Debug)]
pub struct Keys {
    http: reqwest::Client,
    server: String,
}

impl Keys {
    /// The door of the server with this public URL.
    ///
    /// # Errors
    /// [`Error::Address`] if that is no URL, or one that would send keys over plain http to another
    /// machine.
    pub fn at(server: &str) -> Result<Self, Error> {
        http::check_safe(server)?;
        Self::at_insecure(server)
    }

    /// [`Keys::at`] for those who know that nobody listens on the way.
    ///
    /// # Errors
    /// As [`Keys::at`], but plain http will do.
    pub fn at_insecure(server: &str) -> Result<Self, Error> {
        let (server, http) = http::client(server)?;
        Ok(Self { http, server })
    }

    /// The server's public URL.
    pub fn server(&self) -> &str {
        &self.server
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/auth/{path}", self.server)
    }

    /// Asks for a key. Show the person where to go and what to type, then [`Login::wait`].
    ///
    /// # Errors
    /// [`Error::Refused`] with `invalid_client` or `invalid_scope`; [`Error::Limited`].
    pub async fn ask(&self, request: &KeyRequest) -> Result<Login<Self>, Error> {
        let url = self.url("device");
        let authorization: DeviceAuthorization = read(&url, self.http.post(&url).json(request)).await?;
        Ok(Login::begun(self.clone(), authorization))
    }

    /// Collects with a code that a person was shown in the browser and typed here.
    ///
    /// # Errors
    /// [`Error::CodeUnknown`], [`Error::CodeUsed`], or [`Error::Limited`] after too many wrong ones.
    pub async fn redeem(&self, code: &str) -> Result<NewKey, Error> {
        let url = self.url("cli-verify");
        let body = json!({ "cli_code": code });
        read(&url, self.http.post(&url).json(&body)).await.map_err(|error| match error.code() {
            Some("not_found") => Error::CodeUnknown,
            Some("invalid_request") => Error::CodeUsed,
            _ => error,
        })
    }

    /// Who this key stands for.
    ///
    /// # Errors
    /// [`Error::Refused`] with `unauthorized` once it was revoked or has expired.
    pub async fn me(&self, key: &Plain) -> Result<Me, Error> {
        let url = self.url("me");
        read(&url, self.http.get(&url).bearer_auth(key.reveal())).await
    }

    /// Revokes this key.
    ///
    /// # Errors
    /// [`Error::Refused`] with `unauthorized` if it has ended already.
    pub async fn revoke(&self, key: &Plain, id: &str) -> Result<(), Error> {
        let url = self.url(&format!("api-keys/{id}"));
        send(&url, self.http.delete(&url).bearer_auth(key.reveal())).await.map(drop)
    }
}

impl Door for Keys {
    type Got = NewKey;
}

impl sealed::Door for Keys {
    async fn collect(&self, device_code: &Plain, pin: Option<&Plain>) -> Result<NewKey, Error> {
        let url = self.url("device/token");
        let body = json!({ "device_code": device_code.reveal(), "initiation_pin": pin.map(Plain::reveal) });
        read(&url, self.http.post(&url).json(&body)).await
    }
}
