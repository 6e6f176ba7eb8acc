//! A server's administration over HTTP (`/admin/api/v1`).

use countersign_core::admin::{Page, Problem};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::{self, host, visible};
use crate::{Error, Plain};

/// The administration of one server, for whoever has a credential with the scope `admin`.
#[derive(Clone, Debug)]
pub struct Admin {
    http: reqwest::Client,
    server: String,
    token: Plain,
}

impl Admin {
    /// Items in the longest page that a server gives of a list.
    pub const PAGE: u32 = 200;

    /// # Errors
    /// [`Error::Protocol`] if that is no URL, or one that would send the credential over plain http to
    /// another machine.
    pub fn at(server: &str, token: Plain) -> Result<Self, Error> {
        http::check_safe(server)?;
        let (server, http) = http::client(server)?;
        Ok(Self { http, server, token })
    }

    /// Calls one path below `/admin/api/v1`, such as `/clients`.
    ///
    /// # Errors
    /// [`Error::Refused`] with the end of the problem's type, such as `not-found`; [`Error::Network`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Error> {
        let response = self.send(method, path, body).await?;
        let url = self.url(path);
        response.json().await.map_err(|error| Error::Protocol { url, why: error.without_url().to_string() })
    }

    /// [`Admin::call`] for what answers nothing, or nothing that matters.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn act(&self, method: Method, path: &str) -> Result<(), Error> {
        self.send(method, path, None::<&()>).await.map(drop)
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{joint}limit={}{cursor}", Self::PAGE);
            let page: Page<T> = self.call(Method::GET, &path, None::<&()>).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// The answer as it comes, for what is long.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, Error> {
        let url = self.url(path);
        let request = self.http.request(method, &url).bearer_auth(self.token.reveal());
        let request = body.iter().fold(request, RequestBuilder::json);
        let response = request.send().await.map_err(|error| http::network(&url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match response.json::<Problem>().await {
            Ok(problem) => Err(Error::Refused {
                server: host(&url),
                error: visible(problem.kind.rsplit(':').next().unwrap_or_default()),
                description: visible(&problem.detail),
                interval: None,
            }),
            Err(_) if status == StatusCode::NOT_FOUND => Err(Error::Protocol {
                url,
                why: "there is no administration; is the server older than this program?".to_owned(),
            }),
            Err(_) => Err(Error::Protocol { url, why: format!("status {status}") }),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/admin/api/v1{path}", self.server)
    }
}
