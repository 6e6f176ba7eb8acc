//! The socket door: JSON-RPC 2.0 over WebSocket. A node pairs here and stays connected; operators approve
//! and list.

mod methods;
pub mod news;
mod peer;
mod rpc;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, body::Bytes};
use countersign_core::grant::Origin;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::peer::Peer;
use self::rpc::{RpcError, VERSION, answered, parse, version};
use crate::app::App;
use crate::http;
use crate::hub::{Outgoing, SocketId};

const FRAME_BYTES: usize = 256 * 1024;
/// Idle sockets are many: they must be small.
const BUFFER_BYTES: usize = 4 * 1024;
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
/// What a peer that does not read is waited for.
const WRITE: Duration = Duration::from_secs(10);
/// Calls of one socket: so many a second, and so many at once.
const CALLS_PER_SECOND: f64 = 20.0;
const CALLS_AT_ONCE: f64 = 60.0;
const VERSION_HEADER: &str = "x-aisopod-protocol-version";

/// One connection, and who is at its other end.
struct Socket {
    app: Arc<App>,
    id: SocketId,
    peer: Peer,
    from: Origin,
    address: IpAddr,
}

pub async fn upgrade(State(app): State<Arc<App>>, mut parts: Parts) -> Response {
    let now = app.clock.now();
    let peer = match peer::recognise(&app, &parts.headers, now).await {
        Ok(Some(peer)) => peer,
        Ok(None) => {
            return refuse(StatusCode::UNAUTHORIZED, "unauthorized", "the credential is not good here");
        }
        Err(fault) => {
            tracing::error!(error = %fault, "an upgrade failed");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "server_error", "not available for the moment");
        }
    };
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &app).await else {
        return refuse(StatusCode::UPGRADE_REQUIRED, "invalid_request", "this is a WebSocket");
    };
    let address = http::address(&parts);
    let limit = app.config.limits.enabled.then_some(app.config.limits.sockets_per_address);
    let Some((id, queue)) = app.hub.enter(address, limit, peer.is_operator(), peer.device()) else {
        app.metrics.refused("sockets_per_address");
        return refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many sockets of this address");
    };
    app.metrics.sockets(app.hub.count());
    let client = client_version(&parts.headers);
    let socket = Socket { app: app.clone(), id, peer, from: http::origin(&parts), address };
    let left = Leaving { app, id };
    upgrade
        .max_frame_size(FRAME_BYTES)
        .max_message_size(FRAME_BYTES)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(async move |stream| {
            let _left = left;
            socket.run(stream, client, queue).await;
        })
}

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

/// What the client says that it speaks, if we cannot.
fn client_version(headers: &HeaderMap) -> Result<(), String> {
    let mut values = headers.get_all(VERSION_HEADER).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
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
        queue: mpsc::Receiver<Outgoing>,
    ) {
        if let Err(client) = client {
            let error = RpcError::Version { client };
            let _sent = send(&mut stream, answered(&Value::Null, Err(error)).to_string()).await;
            let _closed = close(&mut stream, 1002, "protocol version").await;
            return;
        }
        let welcome = json!({
            "server_version": env!("CARGO_PKG_VERSION"),
            "protocol_version": version(),
            "session_id": self.id.to_string(),
            "capabilities": methods::NAMES,
        });
        if send(&mut stream, rpc::notification("system.welcome", &welcome)).await.is_ok() {
            self.talk(stream, queue).await;
        }
    }

    /// Until either side has had enough.
    async fn talk(&mut self, mut stream: WebSocket, mut queue: mpsc::Receiver<Outgoing>) {
        let mut bucket = Bucket::default();
        let mut silent_since = instant();
        let mut pinged = false;
        loop {
            let patience = if pinged { PONG } else { PING };
            let rest = patience.saturating_sub(silent_since.elapsed());
            tokio::select! {
                // What is asked is answered before anything else is said: a reply comes before the close
                // that it brings about.
                biased;
                received = stream.recv() => {
                    silent_since = instant();
                    pinged = false;
                    let answer = match received {
                        Some(Ok(Message::Text(text))) => self.frame(&text, &mut bucket).await,
                        Some(Ok(Message::Binary(_))) => {
                            let _closed = close(&mut stream, 1003, "text frames only").await;
                            return;
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    };
                    if let Some(answer) = answer && send(&mut stream, answer).await.is_err() {
                        return;
                    }
                }
                told = queue.recv() => match told {
                    Some(Outgoing::Text(text)) => {
                        if send(&mut stream, text).await.is_err() {
                            return;
                        }
                    }
                    Some(Outgoing::Close(code, reason)) => {
                        let _closed = close(&mut stream, code, reason).await;
                        return;
                    }
                    None => return,
                },
                () = tokio::time::sleep(rest) => {
                    if pinged {
                        tracing::debug!(socket = self.id, "a silent peer was dropped");
                        return;
                    }
                    pinged = true;
                    silent_since = instant();
                    if write(&mut stream, Message::Ping(Bytes::new())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn frame(&mut self, text: &str, bucket: &mut Bucket) -> Option<String> {
        self.app.metrics.frame();
        let (items, batch) = match parse(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let error = bucket.take().map_or_else(RpcError::RateLimited, |()| error);
                return Some(answered(&Value::Null, Err(error)).to_string());
            }
        };
        let mut answers = Vec::new();
        for item in items {
            match item {
                Ok(call) => {
                    let outcome = match bucket.take() {
                        Ok(()) => methods::call(self, &call).await,
                        Err(wait) => Err(RpcError::RateLimited(wait)),
                    };
                    // Nobody answers a notification, whatever came of it.
                    answers.extend(call.id.map(|id| answered(&id, outcome)));
                }
                Err((id, error)) => {
                    let error = bucket.take().map_or_else(RpcError::RateLimited, |()| error);
                    answers.push(answered(&id, Err(error)));
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

async fn send(stream: &mut WebSocket, text: String) -> Result<(), ()> {
    write(stream, Message::Text(text.into())).await
}

async fn close(stream: &mut WebSocket, code: u16, reason: &'static str) -> Result<(), ()> {
    write(stream, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
}

async fn write(stream: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(WRITE, stream.send(message)).await {
        Ok(Ok(())) => Ok(()),
        // Gone, or not reading: either way there is nobody to tell.
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

/// How many calls a socket may make now.
struct Bucket {
    left: f64,
    at: Instant,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { left: CALLS_AT_ONCE, at: instant() }
    }
}

impl Bucket {
    fn take(&mut self) -> Result<(), Duration> {
        let gained = self.at.elapsed().as_secs_f64() * CALLS_PER_SECOND;
        self.at = instant();
        self.left = (self.left + gained).min(CALLS_AT_ONCE);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / CALLS_PER_SECOND))
    }
}

/// How long a peer has been silent is no time of the domain.
#[expect(clippy::disallowed_methods, reason = "see above")]
fn instant() -> Instant {
    Instant::now()
}
