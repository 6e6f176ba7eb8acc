//! Idle sockets, and how long a decision takes to reach the node that waits for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::process::{Installation, Server};
use crate::scenarios::postgres;

#[derive(Debug, Args)]
pub struct Options {
    /// The countersign binary
    #[arg(long, default_value = "target/release/countersign")]
    binary: PathBuf,
    /// Sockets that are open and silent
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Pairings that are asked for, approved and heard of
    #[arg(long, default_value_t = 300)]
    pairings: u32,
}

const OPERATOR: &str = "token-of-the-operator";
const PATIENCE: Duration = Duration::from_secs(10);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &Server, token: Option<&str>) -> anyhow::Result<Self> {
        let mut request = format!("ws://{}/ws", server.address).into_client_request()?;
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        }
        let small = WebSocketConfig::default().read_buffer_size(1024);
        let (stream, _) = tokio_tungstenite::connect_async_with_config(request, Some(small), true).await?;
        let mut socket = Self(stream);
        socket.next("system.welcome").await?;
        Ok(socket)
    }

    /// The next frame that is a notification of this method.
    async fn next(&mut self, method: &str) -> anyhow::Result<Value> {
        self.until(|frame| frame.get("method").and_then(Value::as_str) == Some(method)).await
    }

    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let reading = async {
            while let Some(frame) = self.0.next().await {
                let Message::Text(text) = frame? else { continue };
                let frame: Value = serde_json::from_str(&text)?;
                if wanted(&frame) {
                    return Ok(frame);
                }
            }
            bail!("the socket was closed")
        };
        tokio::time::timeout(PATIENCE, reading).await.context("nothing came in time")?
    }

    async fn say(&mut self, method: &str, params: &Value) -> anyhow::Result<()> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        Ok(self.0.send(Message::Text(call.to_string().into())).await?)
    }

    async fn answer(&mut self) -> anyhow::Result<Value> {
        let mut answer = self.until(|frame| frame.get("id").is_some()).await?;
        ensure!(answer.get("error").is_none(), "{answer}");
        answer.get_mut("result").map(Value::take).context("no result")
    }
}

/// Milliseconds from the operator's approval to the node's notification.
async fn pairings(asked: &Server, decided: &Server, count: u32) -> anyhow::Result<Vec<f64>> {
    let mut operator = Socket::open(decided, Some(OPERATOR)).await?;
    let mut node = Socket::open(asked, None).await?;
    let mut took = Vec::new();
    for number in 0..count {
        let id = format!("6f1c0d9e-58c1-4d8e-9b1a-{number:012x}");
        let facts = json!({ "device_name": "bench", "device_type": "desktop", "client_version": "1", "device_id": id });
        node.say("node.pair.request", &facts).await?;
        node.answer().await?;
        let began = Instant::now();
        operator.say("node.pair.approve", &json!({ "device_id": id })).await?;
        node.next("node.pair.resolved").await?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        operator.answer().await?;
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

fn print(what: &str, took: &[f64]) {
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    println!("{what}: median {:.1} ms, p99 {:.1} ms, of {}", at(50), at(99), took.len());
}

pub async fn run(options: Options) -> anyhow::Result<()> {
    // Both ends are open files of one process or the other.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let tokens = format!(
        r#"pairing.gateway_tokens=[{{"token":"{OPERATOR}","role":"operator","scopes":["operator.pairing"]}}]"#
    );
    let installation = |url: Option<&str>| -> anyhow::Result<Installation> {
        let mut settings = vec![tokens.clone()];
        settings.extend(["rate_limit.enabled=false", "log.level=warn"].map(str::to_owned));
        settings.extend(url.map(|url| format!("database.url={url}")));
        let (binary, folder) = (options.binary.canonicalize()?, tempfile::tempdir()?);
        Ok(Installation { binary, folder, settings, database: None })
    };
    let sqlite = installation(None)?;
    let (server, _) = sqlite.start()?;
    let before = server.resident_kib();
    let began = Instant::now();
    let mut idle = Vec::with_capacity(options.idle);
    for _ in 0..options.idle {
        idle.push(Socket::open(&server, None).await?);
    }
    let after = server.resident_kib();
    println!(
        "{} idle sockets: {} MiB resident, {} bytes each, opened in {:.1} s",
        idle.len(),
        after / 1024,
        (after - before) * 1024 / idle.len().max(1) as u64,
        began.elapsed().as_secs_f64()
    );
    let what = format!("approval to notification, SQLite, beside {} idle sockets", idle.len());
    print(&what, &pairings(&server, &server, options.pairings).await?);
    drop((idle, server));

    let Some((url, _)) = postgres()? else {
        println!("no PostgreSQL: start this with scripts/with-postgres for two nodes");
        return Ok(());
    };
    // Two nodes on one folder, and so with one key.
    let shared = installation(Some(&url))?;
    let (first, _) = shared.start()?;
    let (second, _) = shared.start()?;
    print(
        "approval to notification, PostgreSQL, one node",
        &pairings(&first, &first, options.pairings).await?,
    );
    print(
        "approval to notification, PostgreSQL, two nodes",
        &pairings(&first, &second, options.pairings).await?,
    );
    Ok(())
}
