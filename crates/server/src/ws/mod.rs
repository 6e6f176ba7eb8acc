//! The socket door: JSON-RPC 2.0 over WebSocket. A node pairs here and stays connected; operators approve
//! and list.

mod bucket;
mod methods;
pub mod news;
mod peer;
pub mod rpc;

pub use self::methods::NAMES;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, body::Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::grant::Origin;
use countersign_core::time::ceil_secs;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tracing::Instrument as _;

use self::bucket::Bucket;
use self::peer::Peer;
use self::rpc::{RpcError, VERSION, answered, parse, version};
use crate::app::App;
use crate::http;
use crate::hub::{Full, Outgoing, Places, SocketId, instant};
use crate::limits::address_key;
use crate::telemetry::trace;

const FRAME_BYTES: usize = 256 * 1024;
/// Idle sockets are many: they must be small.
const BUFFER_BYTES: usize = 4 * 1024;
/// What a peer that does not read is waited for, and one that does not close.
const WRITE: Duration = Duration::from_secs(10);
const CLOSE: Duration = Duration::from_secs(2);
/// How long after a token ended its socket may hear why.
const NEWS: Duration = Duration::from_millis(500);
const VERSION_HEADER: &str = "x-aisopod-protocol-version";

/// One connection, and who is at its other end.
struct Socket {
    app: Arc<App>,
    id: SocketId,
    peer: Peer,
    from: Origin,
    address: IpAddr,
    bucket: Bucket,
    /// Why it has to end, if it has to.
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// What the peer showed is good no more.
    Credential,
    /// It goes on calling, whatever it is told.
    Flood,
    /// It does not read what it is told.
    Slow,
}

pub async fn upgrade(State(app): State<Arc<App>>, mut parts: Parts) -> Response {
    let now = app.clock.now();
    let address = http::address(&parts);
    let limits = &app.config.limits;
    if limits.enabled
        && let Err(wait) = app.upgrades_per_address.check(&address_key(address))
    {
        app.metrics.refused("upgrades_per_address");
        return later(StatusCode::TOO_MANY_REQUESTS, "this address opens too many sockets", wait);
    }
    if !may_come_from(&app, &parts.headers) {
        let why = "this page's origin is not in pairing.allowed_origins";
        return refuse(StatusCode::FORBIDDEN, "access_denied", why);
    }
    let peer = match peer::recognise(&app, &parts, now).await {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            return refuse(StatusCode::UNAUTHORIZED, "unauthorized", "the credential is not good here");
        }
        Err(fault) => {
            tracing::error!(error = %fault, "an upgrade failed");
            return later(StatusCode::SERVICE_UNAVAILABLE, "not available for the moment", SECOND);
        }
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app).await;
    let (Ok(upgrade), true) = (upgrade, has_key(&parts.headers)) else { return no_upgrade() };
    let places = Places {
        of_address: limits.enabled.then_some(limits.sockets_per_address),
        all: app.config.max_sockets,
    };
    let (id, queue) = match app.hub.enter(address, places, peer.is_operator(), peer.held()) {
        Ok(place) => place,
        Err(Full::Address) => {
            app.metrics.refused("sockets_per_address");
            return later(StatusCode::TOO_MANY_REQUESTS, "too many sockets of this address", MINUTE);
        }
        Err(full) => {
            app.metrics.refused("max_sockets");
            let why = if full == Full::Server { "too many sockets" } else { "the server is stopping" };
            return later(StatusCode::SERVICE_UNAVAILABLE, why, MINUTE);
        }
    };
    app.metrics.sockets(app.hub.count());
    let client = client_version(&parts.headers);
    let task = app.hub.tasks.token();
    let bucket = Bucket::new(app.config.limits.enabled);
    let from = http::origin(&parts);
    let socket = Socket { app: app.clone(), id, peer, from, address, bucket, ended: None };
    let left = Leaving { app, id };
    upgrade
        .max_frame_size(FRAME_BYTES)
        .max_message_size(FRAME_BYTES)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(async move |stream| {
            let _task = task;
            let _left = left;
            socket.run(stream, client, queue).await;
        })
}

/// Programs send no origin. A page of another site must not ask, nor confirm, from where its visitors are.
fn may_come_from(app: &App, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get("origin") else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let allowed = &app.config.pairing.allowed_origins;
    if app.public_url.is_own_origin(origin) || allowed.iter().any(|allowed| allowed == origin) {
        return true;
    }
    // Some programs send what they connect to. A name could be anybody's; an address is this one.
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
    let is_address = bare.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || bare == "localhost";
    is_address && origin.split_once("://").is_some_and(|(_, from)| from == host)
}

/// 16 bytes (RFC 6455 §4.2.1).
fn has_key(headers: &HeaderMap) -> bool {
    let key = headers.get("sec-websocket-key").map(|key| STANDARD.decode(key));
    key.is_some_and(|key| key.is_ok_and(|key| key.len() == 16))
}

fn no_upgrade() -> Response {
    let mut response = refuse(StatusCode::UPGRADE_REQUIRED, "invalid_request", "this is a WebSocket");
    for (name, value) in
        [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Gives the place back, also if the upgrade never comes to its end.
struct Leaving {
    app: Arc<App>,
    id: SocketId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.app.hub.leave(self.id);
        self.app.metrics.sockets(self.app.hub.count());
    }
}

fn refuse(status: StatusCode, error: &str, why: &str) -> Response {
    let body = json!({ "detail": why, "error": error, "error_description": why });
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = "Bearer realm=\"countersign\"".parse()
    {
        response.headers_mut().insert("www-authenticate", challenge);
    }
    response
}

fn later(status: StatusCode, why: &str, wait: Duration) -> Response {
    let error = if status == StatusCode::TOO_MANY_REQUESTS { "rate_limited" } else { "server_error" };
    let mut response = refuse(status, error, why);
    response.headers_mut().insert("retry-after", ceil_secs(wait).into());
    response
}

/// What the client says that it speaks, if we cannot.
fn client_version(headers: &HeaderMap) -> Result<(), String> {
    let mut values = headers.get_all(VERSION_HEADER).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let number = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
    let said = text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    match said {
        Some((major, minor)) if major == VERSION.0 && minor <= VERSION.1 && values.next().is_none() => Ok(()),
        _ => Err(text.chars().take(64).collect()),
    }
}

impl Socket {
    async fn run(
        mut self,
        mut stream: WebSocket,
        client: Result<(), String>,
        mut queue: mpsc::Receiver<Outgoing>,
    ) {
        if let Err(client) = client {
            let error = RpcError::Version { client };
            let _sent = send(&mut stream, answered(&Value::Null, Err(error)).to_string()).await;
            return close(stream, 1002, "protocol version").await;
        }
        let welcome = json!({
            "server_version": env!("CARGO_PKG_VERSION"),
            "protocol_version": version(),
            "session_id": self.id.to_string(),
            "capabilities": NAMES,
        });
        // What ended between the upgrade and the place in the hub was told to nobody.
        self.look().await;
        if send(&mut stream, rpc::notification("system.welcome", &welcome)).await.is_err() {
            return;
        }
        match self.talk(&mut stream, &mut queue).await {
            Some((code, reason)) => close(stream, code, reason).await,
            None => drain(stream).await,
        }
    }

    /// Whether the peer may stay. What cannot be asked now is asked again with its next call.
    async fn look(&mut self) {
        match self.peer.is_still_good(&self.app, self.app.clock.now()).await {
            Ok(true) => {}
            Ok(false) => self.ended = Some(Ended::Credential),
            Err(error) => tracing::error!(%error, "a peer's credential was not checked"),
        }
    }

    /// Until either side has had enough; then with what to close, unless the peer is gone.
    async fn talk(
        &mut self,
        stream: &mut WebSocket,
        queue: &mut mpsc::Receiver<Outgoing>,
    ) -> Option<(u16, &'static str)> {
        let pairing = &self.app.config.pairing;
        let (interval, timeout) = (pairing.ping_interval, pairing.pong_timeout);
        let mut silent_since = instant();
        let mut pinged = false;
        loop {
            if let Some(ended) = self.ended {
                return Some(self.why(ended, queue).await);
            }
            let patience = if pinged { timeout } else { interval };
            let rest = patience.saturating_sub(silent_since.elapsed());
            // Neither side can keep the other from being heard. A reply comes before the close that it
            // brings about, because it is sent where the call is made.
            tokio::select! {
                received = stream.recv() => {
                    silent_since = instant();
                    pinged = false;
                    let answer = match received {
                        Some(Ok(Message::Text(text))) => self.frame(&text).await,
                        Some(Ok(Message::Binary(_))) => return Some((1003, "text frames only")),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                            let _owed = self.spend();
                            None
                        }
                        Some(Err(error)) => return broken(error),
                        Some(Ok(Message::Close(_))) | None => return None,
                    };
                    if let Some(answer) = answer && send(stream, answer).await.is_err() {
                        return None;
                    }
                }
                told = queue.recv() => match told {
                    Some(Outgoing::Text(text)) => {
                        self.look().await;
                        if self.ended.is_none() && send(stream, text).await.is_err() {
                            return None;
                        }
                    }
                    Some(Outgoing::Close(code, reason)) => return Some((code, reason)),
                    None => self.ended = Some(Ended::Slow),
                },
                () = tokio::time::sleep(rest) => {
                    if pinged {
                        tracing::debug!(socket = self.id, "a silent peer was dropped");
                        return None;
                    }
                    pinged = true;
                    silent_since = instant();
                    self.look().await;
                    if write(stream, Message::Ping(Bytes::new())).await.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    /// The news say whether a device's token was revoked or refreshed, and they may be on their way.
    async fn why(&self, ended: Ended, queue: &mut mpsc::Receiver<Outgoing>) -> (u16, &'static str) {
        let said = async {
            loop {
                match queue.recv().await {
                    Some(Outgoing::Text(_)) => {}
                    Some(Outgoing::Close(code, reason)) => return Some((code, reason)),
                    None => return None,
                }
            }
        };
        match ended {
            Ended::Flood => (1008, "too many calls"),
            Ended::Slow => (1013, "too much unread; connect again"),
            Ended::Credential => {
                let patience = if self.peer.held().is_some() { NEWS } else { Duration::ZERO };
                let said = tokio::time::timeout(patience, said).await.ok().flatten();
                said.unwrap_or((4001, "revoked"))
            }
        }
    }

    /// Counts a call, or what else makes work.
    fn spend(&mut self) -> Result<(), RpcError> {
        let spent = self.bucket.take().map_err(RpcError::RateLimited);
        if self.bucket.is_flooded() {
            self.ended = Some(Ended::Flood);
        }
        spent
    }

    async fn frame(&mut self, text: &str) -> Option<String> {
        self.app.metrics.frame();
        let (items, batch) = match parse(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let error = self.spend().err().unwrap_or(error);
                return Some(answered(&Value::Null, Err(error)).to_string());
            }
        };
        let mut answers = Vec::new();
        for item in items {
            match item {
                Ok(call) => {
                    let outcome = match self.spend() {
                        Ok(()) => {
                            methods::call(self, &call)
                                .instrument(trace::call(methods::known(&call.method)))
                                .await
                        }
                        Err(error) => Err(error),
                    };
                    // Nobody answers a notification, whatever came of it.
                    answers.extend(call.id.map(|id| answered(&id, outcome)));
                }
                Err((id, error)) => {
                    let error = self.spend().err().unwrap_or(error);
                    answers.extend(id.map(|id| answered(&id, Err(error))));
                }
            }
        }
        match (answers.is_empty(), batch) {
            (true, _) => None,
            (false, true) => Some(Value::Array(answers).to_string()),
            (false, false) => answers.pop().map(|answer| answer.to_string()),
        }
    }
}

/// What a peer hears that does not keep to the protocol; the others are gone.
fn broken(error: axum::Error) -> Option<(u16, &'static str)> {
    match *error.into_inner().downcast::<tungstenite::Error>().ok()? {
        tungstenite::Error::Capacity(_) => Some((1009, "a frame is too long")),
        tungstenite::Error::Utf8(_) => Some((1007, "text must be UTF-8")),
        tungstenite::Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
        ) => None,
        tungstenite::Error::Protocol(_) => Some((1002, "that is no WebSocket frame")),
        _ => None,
    }
}

async fn send(stream: &mut WebSocket, text: String) -> Result<(), ()> {
    write(stream, Message::Text(text.into())).await
}

async fn close(mut stream: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    if write(&mut stream, Message::Close(Some(frame))).await.is_ok() {
        drain(stream).await;
    }
}

/// Reads until the other side has closed, too, which also sends what answers its close. Were it dropped
/// with something unread, the other side might never see the last thing that was sent.
async fn drain(mut stream: WebSocket) {
    let read = async { while let Some(Ok(_)) = stream.recv().await {} };
    // Whoever does not close has had the time for it.
    let _late = tokio::time::timeout(CLOSE, read).await;
}

async fn write(stream: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(WRITE, stream.send(message)).await {
        Ok(Ok(())) => Ok(()),
        // Gone, or not reading: either way there is nobody to tell.
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
