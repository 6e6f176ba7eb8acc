//! Traces: what a collector is sent, and what becomes of a server whose collector is dead.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::process::{PASSWORD, Person, Server, add_user, ask, poll};

/// What was sent: headers and bodies.
type Sent = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

async fn take(State(sent): State<Sent>, headers: HeaderMap, body: Bytes) -> StatusCode {
    sent.lock().unwrap().push((headers, body));
    StatusCode::OK
}

/// A collector that keeps what it is sent.
async fn collector() -> (SocketAddr, Sent) {
    let sent = Sent::default();
    let router = Router::new().route("/v1/traces", post(take)).with_state(sent.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, sent)
}

struct Traces {
    spans: Vec<Span>,
    by_id: HashMap<Vec<u8>, usize>,
}

impl Traces {
    fn of(sent: &Sent) -> Self {
        let mut spans = Vec::new();
        for (_, body) in sent.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            for resource in request.resource_spans {
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        let by_id = spans.iter().enumerate().map(|(at, span)| (span.span_id.clone(), at)).collect();
        Self { spans, by_id }
    }

    /// Its names, from the request down to it.
    fn path(&self, span: &Span) -> Vec<&str> {
        let mut path = match self.by_id.get(&span.parent_span_id) {
            Some(parent) => self.path(&self.spans[*parent]),
            None => Vec::new(),
        };
        let at = self.by_id[&span.span_id];
        path.push(&self.spans[at].name);
        path
    }

    #[track_caller]
    fn has(&self, path: &[&str]) -> &Span {
        let found = self.spans.iter().find(|span| self.path(span) == path);
        let all = || self.spans.iter().map(|span| self.path(span).join(" > ")).collect::<Vec<_>>().join("\n");
        found.unwrap_or_else(|| panic!("no {path:?} in\n{}", all()))
    }
}

fn value(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()).and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{key} is {other:?} in {span:?}"),
    }
}

/// A device logs in, and a person approves it. Everything of it that nobody else may know.
async fn device_login(server: &Server) -> Vec<String> {
    let asked = ask(&server.url).await;
    let code = asked["user_code"].as_str().unwrap().to_owned();
    let mut person = Person::sign_in(&server.url, "alice").await;
    person.decide(&code, "approve").await;
    let (status, tokens) = poll(&server.url, &asked).await;
    assert_eq!(status, 200, "{tokens}");
    let cookie = person.cookie.split_once('=').unwrap().1.to_owned();
    let text = |json: &serde_json::Value, name: &str| json[name].as_str().unwrap().to_owned();
    vec![
        code.replace('-', ""),
        code,
        text(&asked, "device_code"),
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
        text(&tokens, "id_token"),
        cookie,
        PASSWORD.to_owned(),
        "alice".to_owned(),
        "a@example.com".to_owned(),
    ]
}

#[expect(clippy::disallowed_methods, reason = "how long a process takes is no time of the domain")]
fn instant() -> Instant {
    Instant::now()
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_traced_from_request_to_statement_and_no_secret_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (address, sent) = collector().await;
    let endpoint = format!("telemetry.otlp.endpoint=http://{address}");
    let headers = "telemetry.otlp.headers=[\"x-key: of the collector\"]";
    // Nobody reads the log for traces, and a quiet log makes no trace shorter.
    let settings = ["--set", &endpoint, "--set", headers, "--set", "log.level=countersign_server=info"];
    let server = Server::start(folder.path(), &settings);
    add_user(folder.path(), "alice");
    let secrets = device_login(&server).await;
    // Anybody can say that they belong to a trace.
    let ask = reqwest::Client::new().get(format!("{}/login?next=secret-query", server.url));
    ask.header("traceparent", PARENT).send().await.unwrap();
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");

    let traces = Traces::of(&sent);
    let post = "POST /oauth2/v1/device_authorization";
    traces.has(&[post, "ask.tokens", "grants::INSERT"]);
    traces.has(&["POST /login", "login.sign_in", "accounts::BY_NAME"]);
    let decided = traces.has(&["POST /device", "decide.decide"]);
    assert!(
        traces
            .spans
            .iter()
            .any(|span| { span.parent_span_id == decided.span_id && span.name.contains("grants::APPROVE") })
    );
    let poll = traces.has(&["POST /oauth2/v1/token", "collect.poll_tokens"]);
    let commit = traces
        .spans
        .iter()
        .find(|span| span.parent_span_id == poll.span_id && span.name.contains("grants::REDEEM"));
    let commit = commit.expect("the commit of the login");
    assert_eq!(value(commit, "db.system.name"), "sqlite");
    assert_eq!(value(commit, "db.operation.name"), "BATCH");
    let request = traces.has(&["POST /oauth2/v1/token"]);
    assert_eq!(value(request, "http.request.method"), "POST");
    assert_eq!(value(request, "http.route"), "/oauth2/v1/token");
    assert_eq!(value(request, "http.response.status_code"), "200");
    assert!(log.contains(&value(request, "countersign.request_id")), "the log has the same id");
    // Each of them begins with a request: what the server does by itself is not sent.
    for span in &traces.spans {
        assert!(traces.path(span)[0].contains(" /"), "{:?}", traces.path(span));
    }
    let page = traces.spans.iter().find(|span| span.name == "GET /login").unwrap();
    assert!(page.parent_span_id.is_empty(), "strangers do not say where they belong");

    let sent = sent.lock().unwrap();
    assert!(sent.iter().all(|(headers, _)| headers["x-key"] == "of the collector"));
    let bytes: Vec<u8> = sent.iter().flat_map(|(_, body)| body.to_vec()).collect();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("countersign") && text.contains("service.version"));
    for secret in secrets.iter().map(String::as_str).chain(["secret-query", "127.0.0.1"]) {
        assert!(!text.contains(secret), "{secret} was sent");
    }
    assert!(!log.contains("ask.tokens") && !log.contains("grants::"), "the log is as it was: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_which_trace_a_request_belongs_to() {
    let folder = tempfile::tempdir().unwrap();
    let (address, sent) = collector().await;
    let endpoint = format!("telemetry.otlp.endpoint=http://{address}");
    let trusted = "server.trusted_proxies=[\"127.0.0.1\"]";
    // What the proxy traces is traced on, whatever is traced otherwise.
    let settings = ["--set", &endpoint, "--set", trusted, "--set", "telemetry.otlp.sample=0"];
    let server = Server::start(folder.path(), &settings);
    let ask = |parent: Option<&str>| {
        let mut ask = reqwest::Client::new().get(format!("{}/login", server.url));
        if let Some(parent) = parent {
            ask = ask.header("traceparent", parent);
        }
        ask.send()
    };
    ask(Some(PARENT)).await.unwrap();
    ask(Some("00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00")).await.unwrap();
    ask(Some("nonsense")).await.unwrap();
    ask(None).await.unwrap();
    server.terminate();
    let traces = Traces::of(&sent);
    let pages: Vec<&Span> = traces.spans.iter().filter(|span| span.name == "GET /login").collect();
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert_eq!(pages[0].trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(pages[0].parent_span_id[..2], [0xb7, 0xad]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    // One that accepts and never answers, and one that is not there.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let endpoint = format!("telemetry.otlp.endpoint=http://{address}");
        let server = Server::start(folder.path(), &["--set", &endpoint]);
        let http = reqwest::Client::new();
        let begun = instant();
        // More than the exporter keeps.
        let asking = (0..8).map(async |_| {
            for _ in 0..300 {
                let answer = http.get(format!("{}/.well-known/jwks.json", server.url)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
            }
        });
        futures_util::future::join_all(asking).await;
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let begun = instant();
        let (code, log) = server.terminate();
        assert_eq!(code, Some(0));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(log.contains("collector"), "{log}");
    }
}
