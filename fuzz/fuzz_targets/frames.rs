//! Text frames against the socket door of a real server: whatever comes, it is no error of the server's,
//! and the socket answers the next call.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use countersign_server::config::{Config, Sources, Value as Setting};
use countersign_server::serve::{Running, start};
use countersign_server::world::{Clock, Entropy};
use futures_util::{SinkExt as _, StreamExt as _};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const TOKEN: &str = "token-of-the-operator";
const STILL_THERE: &str =
    r#"{"jsonrpc":"2.0","id":"still there","method":"node.pair.verify","params":{"device_token":"x"}}"#;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Subject {
    runtime: Runtime,
    server: Running,
    stream: Mutex<Option<Stream>>,
    _folder: tempfile::TempDir,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Sources::default();
    let data = folder.path().display().to_string();
    for (key, value) in [
        ("data_dir", data.as_str()),
        ("server.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("rate_limit.enabled", "false"),
        ("log.level", "error"),
    ] {
        sources.put(key, Setting::One(value.to_owned()), "fuzz");
    }
    let tokens = format!(r#"[{{"token":"{TOKEN}","role":"operator","scopes":["operator.pairing"]}}]"#);
    sources.put("pairing.gateway_tokens", Setting::list(&tokens).unwrap(), "fuzz");
    let config = Config::from_sources(&sources).unwrap();
    let server = runtime.block_on(start(config, Clock::System, Entropy::Os)).unwrap();
    Subject { runtime, server, stream: Mutex::new(None), _folder: folder }
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
    subject.runtime.block_on(async {
        let stream = match kept.as_mut() {
            Some(stream) => stream,
            None => kept.insert(open(&subject.server).await),
        };
        tokio::time::timeout(Duration::from_secs(10), talk(stream, text)).await.expect("a stuck socket");
    });
});
