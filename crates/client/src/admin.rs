//! A server's administration over HTTP (`/admin/api/v1`).

use std::collections::HashSet;

use countersign_core::admin::{Page, Problem};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::http::{self, host, visible};
use crate::{Error, Plain};

/// Pages of one list, at most.
const PAGES: usize = 10_000;
/// Bytes of one answer, at most. A page of 200 items is far shorter.
const LONGEST: usize = 16 * 1024 * 1024;

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
    /// [`Error::Address`] if that is no URL, or one that would send the credential over plain http to
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
        let url = self.url(path)?;
        let bytes =
            within(response, LONGEST).await.map_err(|why| Error::Protocol { url: url.clone(), why })?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Protocol { url, why: error.to_string() })
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
        let (mut cursor, mut seen) = (String::new(), HashSet::new());
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{joint}limit={}{cursor}", Self::PAGE);
            let page: Page<T> = self.call(Method::GET, &path, None::<&()>).await?;
            all.extend(page.items);
            match page.next {
                // Each page goes on after the one before; a server that lets go round would do so for ever.
                Some(next) if seen.len() < PAGES && seen.insert(next.clone()) => {
                    cursor = format!("&cursor={next}");
                }
                Some(_) => {
                    let why = "the pages of this list do not end".to_owned();
                    return Err(Error::Protocol { url: self.url(&path)?, why });
                }
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
        let url = self.url(path)?;
        let request = self.http.request(method, &url).bearer_auth(self.token.reveal());
        let request = body.iter().fold(request, RequestBuilder::json);
        let response = request.send().await.map_err(|error| http::network(&url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem = within(response, LONGEST).await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&problem) {
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

    /// A name such as `..` would lead to something else.
    fn url(&self, path: &str) -> Result<String, Error> {
        let url = format!("{}/admin/api/v1{path}", self.server);
        let asked = path.split('?').next().unwrap_or(path);
        if Url::parse(&url).is_ok_and(|parsed| parsed.path().ends_with(asked)) {
            return Ok(url);
        }
        Err(Error::Address { url, why: "this name cannot stand in a URL; say the id".to_owned() })
    }
}

/// The whole body, unless it is longer than that.
async fn within(mut response: Response, longest: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
        if bytes.len() + part.len() > longest {
            return Err(format!("the answer is longer than {longest} bytes"));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
