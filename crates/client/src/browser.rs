//! A login through the browser of this very machine (RFC 8252): the server's answer comes back to a
//! port of this machine that nobody else listens on.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::wire::TokenResponse;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use url::Url;

use crate::http::visible;
use crate::provider::Provider;
use crate::{Error, Plain};

const PATH: &str = "/callback";
/// So long a server asks, at most.
const PATIENCE: Duration = Duration::from_mins(10);

/// A login that waits for a person in a browser of this machine.
#[derive(Debug)]
pub struct BrowserLogin {
    provider: Provider,
    client_id: String,
    listener: TcpListener,
    redirect_uri: String,
    state: Plain,
    verifier: Plain,
    url: String,
}

#[expect(clippy::disallowed_methods, reason = "the one place where this crate asks for chance")]
fn random() -> Result<Plain, Error> {
    let mut bytes = [0; 32];
    let failed =
        |error: getrandom::Error| Error::Protocol { url: "this machine".to_owned(), why: error.to_string() };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(Plain::from_entropy(&bytes))
}

impl BrowserLogin {
    /// Asks the server whether this client may log in so. `None` if it may not, or if the server does not
    /// know of it: then a device code will do.
    ///
    /// # Errors
    /// [`Error::Network`], or [`Error::Protocol`] if no port of this machine can be had.
    pub async fn begin(provider: &Provider, client_id: &str, scope: &str) -> Result<Option<Self>, Error> {
        let failed = |why: String| Error::Protocol { url: "this machine".to_owned(), why };
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| failed(error.to_string()))?;
        let port = listener.local_addr().map_err(|error| failed(error.to_string()))?.port();
        let redirect_uri = format!("http://127.0.0.1:{port}{PATH}");
        let (state, verifier) = (random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(verifier.digest().as_bytes());
        let form = [
            ("client_id", client_id),
            ("response_type", "code"),
            ("redirect_uri", &redirect_uri),
            ("scope", scope),
            ("state", state.reveal()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let Some(url) = provider.push(client_id, &form).await? else { return Ok(None) };
        let (provider, client_id) = (provider.clone(), client_id.to_owned());
        Ok(Some(Self { provider, client_id, listener, redirect_uri, state, verifier, url }))
    }

    /// What the browser must open.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the browser to come back, and gets the tokens.
    ///
    /// # Errors
    /// [`Error::Denied`] if the person said no, [`Error::Expired`] after ten minutes.
    pub async fn wait(self) -> Result<TokenResponse, Error> {
        let answer = answer(&self.listener, &self.state, self.provider.issuer());
        let code = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Error::Expired)??;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client_id.as_str()),
            ("code", code.reveal()),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", self.verifier.reveal()),
        ];
        self.provider.token(&form).await
    }
}

/// The code or the refusal that a browser brings back.
type Answer = Result<Plain, Error>;

/// Serves one page, until a browser that asked for it with an answer to what was asked here has got it:
/// who comes back to the terminal before that ends the process under it.
async fn answer(listener: &TcpListener, state: &Plain, issuer: &str) -> Answer {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, state.clone(), issuer.to_owned()));
            },
            Some(ended) = connections.join_next() => if let Ok(Some(answer)) = ended {
                return answer;
            },
        }
    }
}

/// One connection to its end, and the answer if it brought one.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: Plain, issuer: String) -> Option<Answer> {
    let brought = OnceLock::new();
    let service = service_fn(|request: Request<Incoming>| {
        let answer = (request.method() == Method::GET && request.uri().path() == PATH)
            .then(|| read(request.uri().query().unwrap_or_default(), &state, &issuer))
            .flatten();
        let page = page(answer.as_ref());
        if let Some(answer) = answer {
            brought.get_or_init(|| answer);
        }
        std::future::ready(Ok::<_, Infallible>(page))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that hangs up has seen what it wanted.
    drop(connection.await);
    brought.into_inner()
}

fn page(answer: Option<&Answer>) -> Response<String> {
    let (status, text) = match answer {
        None => (StatusCode::NOT_FOUND, "There is nothing here."),
        Some(Ok(_)) => {
            (StatusCode::OK, "You are logged in. You can close this window and go back to the terminal.")
        }
        Some(Err(_)) => {
            (StatusCode::OK, "You are not logged in. You can close this window; the terminal says why.")
        }
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Countersign</title><body style=\"font:1.2rem system-ui;max-width:30rem;margin:20vh auto;padding:0 1rem\"><p>{text}</p>"
    );
    let mut response = Response::new(page);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// The code or the refusal in an answer; none if it answers another question, or comes from another
/// server (RFC 9207).
fn read(query: &str, state: &Plain, issuer: &str) -> Option<Answer> {
    let url = Url::parse(&format!("http://127.0.0.1/?{query}")).ok()?;
    let one =
        |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    if !state.digest().matches(&Plain::new(one("state")?).digest())
        || one("iss").is_some_and(|iss| iss != issuer)
    {
        return None;
    }
    if let Some(code) = one("code") {
        return Some(Ok(Plain::new(code)));
    }
    let error = one("error")?;
    Some(Err(match error.as_str() {
        "access_denied" => Error::Denied,
        _ => Error::Refused {
            server: issuer.to_owned(),
            error: visible(&error),
            description: visible(&one("error_description").unwrap_or_default()),
            interval: None,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_login_goes_on_when_the_browser_has_its_page() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let state = Plain::new("s".to_owned());
        // Holds the question, and only a part of the page.
        let (mut browser, stream) = tokio::io::duplex(128);
        let mut served = Box::pin(serve(stream, state, "https://login.example".to_owned()));
        browser.write_all(b"GET /callback?code=x&state=s HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
        for _ in 0..100 {
            let once = tokio::time::timeout(Duration::ZERO, &mut served);
            assert!(once.await.is_err(), "the page is still on its way");
        }
        let mut page = String::new();
        let (answer, read) = tokio::join!(served, browser.read_to_string(&mut page));
        read.unwrap();
        assert!(page.contains("You can close this window"), "{page}");
        assert_eq!(answer.unwrap().unwrap().reveal(), "x");
    }

    #[tokio::test]
    async fn whatever_else_a_browser_asks_for_holds_nothing_up() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tokio::net::TcpStream;

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Plain::new("s".to_owned());
        let browser = async {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(b"GET /callback?code=x&state=s HTTP/1.1\r\n").await.unwrap();
            let mut icon = TcpStream::connect(address).await.unwrap();
            icon.write_all(b"GET /favicon.ico HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            icon.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
            slow.write_all(b"host: x\r\n\r\n").await.unwrap();
            slow.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains("You can close this window"), "{answer}");
        };
        let waited =
            tokio::time::timeout(Duration::from_secs(30), answer(&listener, &state, "https://login.example"));
        let (found, ()) = tokio::join!(waited, browser);
        assert_eq!(found.expect("the login goes on").unwrap().reveal(), "x");
    }

    #[test]
    fn only_an_answer_to_this_question_counts() {
        let state = Plain::new("s".to_owned());
        let read = |query: &str| read(query, &state, "https://login.example");
        for other in
            ["", "code=x", "code=x&state=t", "code=x&state=s&iss=https%3A%2F%2Fevil.example", "state=s"]
        {
            assert!(read(other).is_none(), "{other}");
        }
        let code = read("code=a%20b&state=s&iss=https%3A%2F%2Flogin.example").unwrap().unwrap();
        assert_eq!(code.reveal(), "a b");
        assert!(matches!(read("error=access_denied&state=s"), Some(Err(Error::Denied))));
        assert!(matches!(read("error=server_error&state=s"), Some(Err(Error::Refused { .. }))));
    }
}
