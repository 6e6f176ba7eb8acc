//! The socket door: a node asks to be paired, waits for its approval, and keeps a device token.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::http::{USER_AGENT, check_safe, host, visible};
use crate::login::{backed_off, fraction};
use crate::{Error, Plain, unix_time};

/// Connecting, and each answer, may take this long.
const PATIENCE: Duration = Duration::from_secs(15);
/// A notification may be lost with a connection, so it is asked now and then, too.
const ASK_AGAIN: Duration = Duration::from_secs(15);
const STEADY: Duration = Duration::from_secs(1);
/// A server that says more before its answer, and more at once, is none.
const TOLD: usize = 16;
const LINK_CHARS: usize = 2_000;
const MESSAGE_BYTES: usize = 256 * 1024;
/// What the server answers where a pairing does not go on, and where it cannot say for the moment.
const PAIRING_REFUSED: i64 = -32003;
const UNAVAILABLE: i64 = -32603;
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(3);

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Device {
    /// A UUID of its own, which it keeps: pairing again with it keeps its place in the owner's list.
    pub id: String,
    pub name: String,
    /// `ios`, `android` or `desktop`.
    pub kind: String,
    pub version: String,
}

/// What a paired node has.
#[derive(Clone, Debug, Deserialize)]
pub struct Paired {
    pub device_token: Plain,
    pub scopes: Vec<String>,
    /// RFC 3339.
    pub paired_at: String,
}

/// A pairing that waits for somebody.
#[derive(Debug)]
pub struct Pairing {
    server: String,
    device: Device,
    code: Plain,
    verification_uri: String,
    expires_at: i64,
    socket: Option<Socket>,
    failures: u32,
    /// What the next confirm carries.
    pin: Option<Plain>,
}

/// What waiting brought.
enum News {
    Decided,
    Rejected,
    Expired,
    /// Nothing, for a while, or the connection was lost.
    Nothing,
}

impl Pairing {
    /// Asks to be paired with somebody's account at the server with this public URL.
    ///
    /// # Errors
    /// [`Error::Refused`] if the device's facts do not fit, [`Error::Limited`], [`Error::Network`].
    pub async fn ask(server: &str, device: Device) -> Result<Self, Error> {
        check_safe(server)?;
        Self::ask_insecure(server, device).await
    }

    /// [`Pairing::ask`] for those who know that nobody listens on the way.
    ///
    /// # Errors
    /// As [`Pairing::ask`], but plain http will do.
    pub async fn ask_insecure(server: &str, device: Device) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Asked {
            pairing_code: Plain,
            expires_in: u64,
            verification_uri: String,
        }
        let mut socket = Socket::open(server, None).await?;
        let params = json!({
            "device_name": device.name,
            "device_type": device.kind,
            "client_version": device.version,
            "device_id": device.id,
        });
        let asked: Asked = read(server, socket.call("node.pair.request", &params).await?)?;
        let page = Url::parse(&asked.verification_uri).ok();
        if page.is_none_or(|page| !matches!(page.scheme(), "http" | "https"))
            || asked.verification_uri.len() > LINK_CHARS
        {
            let why = "its verification_uri is no web address".to_owned();
            return Err(Error::Protocol { url: host(server), why });
        }
        let lifetime = i64::try_from(asked.expires_in).unwrap_or(i64::MAX);
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            device,
            // It is printed on a terminal, which must not be told anything else by it.
            code: Plain::new(visible(asked.pairing_code.reveal())),
            verification_uri: visible(&asked.verification_uri),
            expires_at: unix_time().saturating_add(lifetime),
            socket: Some(socket),
            failures: 0,
            pin: None,
        })
    }

    /// What the person types.
    pub fn code(&self) -> &str {
        self.code.reveal()
    }

    /// Where the person types it.
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// The same page with the code filled in.
    pub fn link(&self) -> Option<String> {
        let mut url = Url::parse(&self.verification_uri).ok()?;
        url.query_pairs_mut().append_pair("user_code", self.code.reveal());
        matches!(url.scheme(), "http" | "https").then(|| url.to_string())
    }

    /// How long the code can still be used.
    pub fn time_left(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.expires_at.saturating_sub(unix_time())).unwrap_or(0))
    }

    /// What the person typed after [`Error::PinWanted`].
    pub fn type_pin(&mut self, pin: Plain) {
        self.pin = Some(pin);
    }

    /// Waits until somebody has decided, connecting again where the connection is lost.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Expired`], or [`Error::Refused`]; [`Error::PinWanted`], after which it
    /// goes on with [`Pairing::type_pin`].
    pub async fn wait(&mut self) -> Result<Paired, Error> {
        loop {
            let left = self.time_left();
            if left.is_zero() {
                return Err(Error::Expired);
            }
            let Some(socket) = &mut self.socket else {
                let pause = backed_off(STEADY, self.failures, fraction());
                tokio::time::sleep(pause.min(left)).await;
                match Socket::open(&self.server, None).await {
                    Ok(socket) => self.socket = Some(socket),
                    Err(_) => self.failures += 1,
                }
                continue;
            };
            let params = json!({
                "pairing_code": self.code.reveal(),
                "device_id": self.device.id,
                "initiation_pin": self.pin.as_ref().map(Plain::reveal),
            });
            let Ok(answer) = socket.call("node.pair.confirm", &params).await else {
                self.lost();
                continue;
            };
            self.failures = 0;
            let typed = self.pin.take().is_some();
            let pause = match answer {
                Ok(result) => return read(&self.server, Ok(result)),
                Err(error) if error.data.get("pin_required") == Some(&Value::Bool(true)) => {
                    return Err(Error::PinWanted { wrong: typed });
                }
                Err(error) => waiting(&self.server, &error)?,
            };
            match socket.news(&self.device.id, pause.min(left)).await {
                Ok(News::Decided | News::Nothing) => {}
                Ok(News::Rejected) => return Err(Error::Denied),
                Ok(News::Expired) => return Err(Error::Expired),
                Err(_) => self.lost(),
            }
        }
    }

    fn lost(&mut self) {
        self.socket = None;
        self.failures += 1;
    }
}

/// Revokes a device's own token.
///
/// # Errors
/// [`Error::Refused`] with `unauthorized` if it has ended already.
pub async fn revoke(server: &str, device_token: &Plain, device_id: &str) -> Result<(), Error> {
    let mut socket = Socket::open(server, Some(device_token)).await?;
    let params = json!({ "device_id": device_id });
    read::<Value>(server, socket.call("node.pair.revoke", &params).await?).map(drop)
}

/// An error as the answer to a call.
#[derive(Debug, Deserialize)]
struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

type Answer = Result<Value, Refusal>;

/// How long to wait for news after a confirm that was refused, if it is worth it.
fn waiting(server: &str, refusal: &Refusal) -> Result<Duration, Error> {
    let limited = refusal.data.get("retry_after").and_then(Value::as_u64);
    match (refusal.code, refusal.data.get("status").and_then(Value::as_str)) {
        (PAIRING_REFUSED, Some("pending")) => Ok(ASK_AGAIN),
        (UNAVAILABLE, _) => Ok(UNAVAILABLE_PAUSE),
        _ if let Some(wait) = limited => Ok(Duration::from_secs(wait)),
        (PAIRING_REFUSED, Some("rejected")) => Err(Error::Denied),
        (PAIRING_REFUSED, _) if refusal.message.contains("xpired") => Err(Error::Expired),
        _ => Err(refused(server, refusal)),
    }
}

fn refused(server: &str, refusal: &Refusal) -> Error {
    let wait = refusal.data.get("retry_after").and_then(Value::as_u64);
    match wait {
        Some(wait) => Error::Limited { server: host(server), wait: Duration::from_secs(wait) },
        None => Error::Refused {
            server: host(server),
            error: refusal.code.to_string(),
            description: visible(&refusal.message),
            interval: None,
        },
    }
}

fn read<T: serde::de::DeserializeOwned>(server: &str, answer: Answer) -> Result<T, Error> {
    let value = answer.map_err(|refusal| refused(server, &refusal))?;
    let odd = |why: serde_json::Error| Error::Protocol { url: host(server), why: why.to_string() };
    serde_json::from_value(value).map_err(odd)
}

/// One connection.
struct Socket {
    server: String,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
    /// Notifications that came while an answer was waited for.
    told: Vec<Value>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Socket {
    async fn open(server: &str, token: Option<&Plain>) -> Result<Self, Error> {
        let network = |why: String| Error::Network { url: host(server), why };
        let bare = server.trim_end_matches('/');
        let url = match bare.split_once("://") {
            Some(("https", rest)) => format!("wss://{rest}/ws"),
            Some(("http", rest)) => format!("ws://{rest}/ws"),
            _ => {
                let why = "not an http or https URL".to_owned();
                return Err(Error::Address { url: bare.to_owned(), why });
            }
        };
        let mut request = url.into_client_request().map_err(|error| network(error.to_string()))?;
        request.headers_mut().insert("user-agent", HeaderValue::from_static(USER_AGENT));
        if let Some(token) = token
            && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
        {
            value.set_sensitive(true);
            request.headers_mut().insert("authorization", value);
        }
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES));
        let connecting =
            tokio_tungstenite::connect_async_tls_with_config(request, Some(bounds), true, connector(server)?);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let connected = connected.map_err(|_| network("no answer in time".to_owned()))?;
        match connected {
            Ok((stream, _)) => Ok(Self { server: server.to_owned(), stream, calls: 0, told: Vec::new() }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) if response.status() == 401 => {
                Err(Error::Refused {
                    server: host(server),
                    error: "unauthorized".to_owned(),
                    description: "the device token is not good any more".to_owned(),
                    interval: None,
                })
            }
            Err(error) => Err(network(error.to_string())),
        }
    }

    fn lost(&self, why: &str) -> Error {
        Error::Network { url: host(&self.server), why: why.to_owned() }
    }

    /// The next text.
    async fn frame(&mut self) -> Result<Value, Error> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|error| Error::Protocol {
                        url: host(&self.server),
                        why: error.to_string(),
                    });
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return Err(self.lost("the connection was closed"));
                }
                Some(Ok(_)) => {}
            }
        }
    }

    async fn call(&mut self, method: &str, params: &Value) -> Result<Answer, Error> {
        self.calls += 1;
        let id = self.calls;
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let sent = self.stream.send(Message::Text(call.to_string().into())).await;
        sent.map_err(|error| self.lost(&error.to_string()))?;
        let answer = async {
            loop {
                let mut frame = self.frame().await?;
                if frame.get("id").and_then(Value::as_u64) != Some(id) {
                    if self.told.len() < TOLD {
                        self.told.push(frame);
                    }
                    continue;
                }
                return Ok(match frame.get_mut("error").map(Value::take) {
                    Some(error) => Err(serde_json::from_value(error).map_err(|error| Error::Protocol {
                        url: host(&self.server),
                        why: error.to_string(),
                    })?),
                    None => Ok(frame.get_mut("result").map(Value::take).unwrap_or_default()),
                });
            }
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Network { url: host(&self.server), why: "no answer in time".to_owned() }),
        }
    }

    /// Waits for news of this device.
    async fn news(&mut self, device: &str, patience: Duration) -> Result<News, Error> {
        let waiting = async {
            loop {
                let told = match self.told.pop() {
                    Some(told) => told,
                    None => self.frame().await?,
                };
                let param = |name: &str| told.get("params").and_then(|params| params.get(name)?.as_str());
                let ours = param("device_id").is_some_and(|id| id.eq_ignore_ascii_case(device));
                if told.get("method").and_then(Value::as_str) != Some("node.pair.resolved") || !ours {
                    continue;
                }
                return Ok(match param("decision") {
                    Some("rejected") => News::Rejected,
                    Some("expired") => News::Expired,
                    _ => News::Decided,
                });
            }
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or(Ok(News::Nothing))
    }
}

/// TLS by the system's certificates, for an https server.
fn connector(server: &str) -> Result<Option<Connector>, Error> {
    if !server.starts_with("https://") {
        return Ok(Some(Connector::Plain));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // Named, not taken from the process: another crate may bring a second provider along.
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Protocol { url: host(server), why: error.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Connector::Rustls(Arc::new(config))))
}
