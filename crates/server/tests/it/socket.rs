//! A socket as nodes and operators open it.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{Server, text};

pub const GATEWAY: &str = "gateway-token-of-the-operator";
pub const PHONE: &str = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001";
pub const TABLET: &str = "6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c002";

pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    calls: u64,
    told: VecDeque<Value>,
}

/// Opens a socket with these headers; the error is the status of a refusal.
pub async fn open(server: &Server, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let url = server.url("/ws").replace("http://", "ws://");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((stream, _)) => Ok(Socket { stream, calls: 0, told: VecDeque::new() }),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

pub async fn connect(server: &Server, token: Option<&str>) -> Socket {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
    let mut socket = open(server, &headers).await.unwrap();
    assert_eq!(socket.next().await["method"], "system.welcome");
    socket
}

impl Socket {
    pub async fn frame(&mut self) -> Option<Message> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(10), self.stream.next()).await;
            match frame.expect("nothing came in time") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        match self.frame().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::Text(text.into())).await.unwrap();
    }

    /// Calls a method; what is told meanwhile is kept.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())
            .await;
        loop {
            let answer = self.next().await;
            if answer["id"] == id {
                return answer;
            }
            self.told.push_back(answer);
        }
    }

    pub async fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    pub async fn error(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.call(method, params).await;
        let error = &answer["error"];
        (error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")), text(error, "message").to_owned())
    }

    pub async fn told(&mut self) -> Value {
        match self.told.pop_front() {
            Some(told) => told,
            None => self.next().await,
        }
    }

    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Some(Message::Close(frame)) => return frame.map_or(1005, |frame| frame.code.into()),
                Some(_) => {}
                None => return 1006,
            }
        }
    }

    pub async fn request(&mut self, node: &str) -> String {
        let asked = self.result("node.pair.request", facts(node)).await;
        text(&asked, "pairing_code").to_owned()
    }
}

pub fn facts(node: &str) -> Value {
    json!({ "device_name": "Ada's phone", "device_type": "iOS", "client_version": "1.4.2", "device_id": node })
}

/// A server with an operator's token.
pub async fn operated() -> Server {
    operated_with(&[]).await
}

pub async fn operated_with(settings: &[(&str, &str)]) -> Server {
    let tokens = format!(r#"json:[{{"token":"{GATEWAY}","role":"operator","scopes":["operator.pairing"]}}]"#);
    let settings: Vec<_> =
        [("pairing.gateway_tokens", tokens.as_str())].iter().chain(settings).copied().collect();
    Server::with(&settings).await
}

/// Somebody approves what waits with this code.
pub async fn approve(server: &Server, name: &str, code: &str) {
    let mut browser = server.signed_in(name).await;
    browser.enter(code).await;
    browser.submit("decision", &[("decision", "approve"), ("own_device", "yes")]).await;
    browser.expect(200, "Device connected");
}

/// A device token of a node that alice approved.
pub async fn paired(server: &Server, node: &str) -> String {
    let mut socket = connect(server, None).await;
    let code = socket.request(node).await;
    approve(server, "alice", &code).await;
    let got = socket.result("node.pair.confirm", json!({ "pairing_code": code, "device_id": node })).await;
    text(&got, "device_token").to_owned()
}
