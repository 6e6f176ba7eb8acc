//! Text frames against the socket door of a real server: whatever comes, it is no error of the server's,
//! and the socket answers the next call.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use countersign_fuzz::{Server, server};
use countersign_server::serve::Running;
use countersign_server::world::{Clock, Entropy};
use futures_util::{SinkExt as _, StreamExt as _};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const TOKEN: &str = "token-of-the-operator";
const STILL_THERE: &str =
    r#"{"jsonrpc":"2.0","id":"still there","method":"node.pair.verify","params":{"device_token":"x"}}"#;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Subject {
    server: Server,
    stream: Mutex<Option<Stream>>,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let tokens = format!(r#"[{{"token":"{TOKEN}","role":"operator","scopes":["operator.pairing"]}}]"#);
    let server = server(&[("pairing.gateway_tokens", &tokens)], Clock::System, Entropy::Os);
    Subject { server, stream: Mutex::new(None) }
});

async fn open(server: &Running) -> Stream {
    let mut request = format!("ws://{}/ws", server.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let (mut stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Message::Text(_)))), "no welcome");
    stream
}

fn check(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert_ne!(answer["error"]["code"], -32603, "{answer}");
}

async fn talk(stream: &mut Stream, text: &str) {
    stream.send(Message::Text(text.into())).await.unwrap();
    stream.send(Message::Text(STILL_THERE.into())).await.unwrap();
    loop {
        let Some(Ok(Message::Text(answer))) = stream.next().await else { panic!("closed by {text:?}") };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        match &answer {
            Value::Array(answers) => answers.iter().for_each(check),
            one => check(one),
        }
        if answer["id"] == "still there" && answer["result"]["ok"] == false {
            return;
        }
    }
}

fuzz_target!(|text: &str| {
    let subject = &*SUBJECT;
    let mut kept = subject.stream.lock().unwrap_or_else(PoisonError::into_inner);
    subject.server.runtime.block_on(async {
        let stream = match kept.as_mut() {
            Some(stream) => stream,
            None => kept.insert(open(&subject.server.running).await),
        };
        tokio::time::timeout(Duration::from_secs(10), talk(stream, text)).await.expect("a stuck socket");
    });
});
