//! Requests against the router of a real server, a few in a row. An input is text:
//!
//! ```text
//! POST /auth/oauth2/v1/token
//! content-type: application/x-www-form-urlencoded
//!
//! grant_type=refresh_token&client_id=tv&refresh_token=@secret@
//! ===
//! GET /auth/account
//! cookie: @cookie@
//! ```
//!
//! Words such as `@cookie@` stand for what an input cannot know ([`Subject::fill`]). Whatever comes: no
//! panic, no 5xx, `X-Request-Id` and the protecting headers, JSON where JSON is spoken, and no secret of
//! the request in its answer.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::audit::By;
use countersign_core::client::GrantType;
use countersign_core::secret::Plain;
use countersign_core::time::Timestamp;
use countersign_fuzz::{Server, server};
use countersign_server::app::App;
use countersign_server::flow::accounts::{self, NewAccount, UserAct};
use countersign_server::flow::clients::{self, ClientSettings, Proving};
use countersign_server::router::{Peer, router, table};
use countersign_server::world::{Clock, Entropy};
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use tower::ServiceExt as _;

const BASE: &str = "/auth";
const FORM: &str = "application/x-www-form-urlencoded";
const PASSWORD: &str = "correct horse battery";
const REGISTRATION: &str = "whoever has this may register";
/// Between two requests of one input.
const NEXT: &str = "\n===\n";
/// What stands in requests as a secret and must not come back.
const MARKER: &str = "Zk3vQ9xM1pT7wB5nL2cY8dR4";
/// Headers and fields that hold secrets.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "dpop"];
const SECRET_FIELDS: [&str; 9] = [
    "password",
    "new_password",
    "again",
    "client_secret",
    "client_assertion",
    "device_code",
    "refresh_token",
    "code_verifier",
    "key",
];
/// Runs, of a second each, between two sign-ins.
const SPAN: u32 = 256;
/// Runs of one server: an input may read the whole trail, which grows with each.
const LIFE: u32 = 16 * SPAN;

/// What the inputs cannot know.
#[derive(Default)]
struct Known {
    cookie: String,
    csrf: String,
    admin: String,
    key: String,
    client_secret: String,
    /// Of the device that asked last.
    device_code: String,
    user_code: String,
    /// Of the confirm page that was shown last.
    ticket: String,
}

struct Subject {
    server: Server,
    router: Router,
    known: Known,
    runs: u32,
}

static SUBJECT: LazyLock<Mutex<Subject>> = LazyLock::new(|| Mutex::new(subject()));

fn subject() -> Subject {
    let settings = [
        ("server.public_url", "https://login.example.com/auth"),
        ("server.trusted_proxies", r#"["10.0.0.0/8"]"#),
        ("registration.initial_access_token", REGISTRATION),
    ];
    let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let server = server(&settings, clock, Entropy::seeded(7));
    let router = router(server.running.app.clone());
    Subject { server, router, known: Known::default(), runs: 0 }
}

/// The target of a request, the end of a hidden field in a page, a text in an answer.
fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}

async fn send(router: &Router, request: Request<Body>) -> (Response<()>, String) {
    let Ok(response) = router.clone().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8_lossy(&bytes).into_owned())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(format!("{BASE}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(Peer(([10, 0, 0, 1], 4711).into()));
    request
}

impl Subject {
    /// Makes what was lost: an input may sign out, remove the client or change the password, and sign-ins
    /// grow old.
    async fn refresh(&mut self) {
        let router = self.router.clone();
        let app = self.server.running.app.clone();
        let known = &mut self.known;
        sign_in(&app, &router, known).await;
        let bearer = format!("Bearer {}", known.admin);
        let ask = request("GET", "/admin/api/v1/keys", &[("authorization", &bearer)], "");
        if send(&router, ask).await.0.status() != 200 {
            known.client_secret = add_clients(&app).await;
            let form = format!(
                "grant_type=client_credentials&client_id=job&client_secret={}&scope=admin",
                known.client_secret
            );
            let ask = request("POST", "/oauth2/v1/token", &[("content-type", FORM)], &form);
            let (_, answer) = send(&router, ask).await;
            known.admin = between(&answer, "\"access_token\":\"", '"').expect(&answer).to_owned();
        }
    }

    /// A new question of a device's, for those inputs that need one.
    async fn ask(&mut self) {
        let form = "client_id=tv&scope=openid+offline_access";
        let ask = request("POST", "/oauth2/v1/device_authorization", &[("content-type", FORM)], form);
        let (_, answer) = send(&self.router, ask).await;
        let field =
            |name: &str| between(&answer, &format!("\"{name}\":\""), '"').unwrap_or_default().to_owned();
        (self.known.device_code, self.known.user_code) = (field("device_code"), field("user_code"));
    }

    /// Puts what stands behind the words.
    fn fill(&self, text: &str) -> String {
        if !text.contains('@') {
            return text.to_owned();
        }
        let mut filled = text.to_owned();
        for (word, value) in [
            ("@cookie@", self.known.cookie.as_str()),
            ("@csrf@", &self.known.csrf),
            ("@admin@", &self.known.admin),
            ("@key@", &self.known.key),
            ("@client_secret@", &self.known.client_secret),
            ("@device_code@", &self.known.device_code),
            ("@user_code@", &self.known.user_code),
            ("@ticket@", &self.known.ticket),
            ("@registration@", REGISTRATION),
        ] {
            filled = filled.replace(word, value);
        }
        filled
    }

    /// What hyper would have made of it, or none if it would have refused it.
    fn read(&self, text: &str) -> Option<Request<Body>> {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let (method, target) = lines.next()?.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let uri: Uri = self.fill(target).parse().ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = self.fill(value.trim());
            if SECRET_HEADERS.contains(&name.as_str()) {
                let basic = STANDARD.encode(format!("job:{MARKER}"));
                value = value.replace("@secret@", MARKER).replace("@basic@", &basic);
            }
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        let mut request = Request::new(Body::from(mark(&self.fill(body), json)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(Peer(([10, 0, 0, 1], 4711).into()));
        Some(request)
    }

    async fn run(&mut self, text: &str) -> Corpus {
        // What is compared with is soon found out.
        if text.contains(MARKER) {
            return Corpus::Reject;
        }
        if self.runs.is_multiple_of(SPAN) {
            self.refresh().await;
        }
        self.runs = self.runs.wrapping_add(1);
        self.server.running.app.clock.advance(Duration::from_secs(1));
        if text.contains("@device_code@") || text.contains("@user_code@") {
            self.ask().await;
        }
        let mut read = false;
        for one in text.split(NEXT).take(5) {
            let Some(request) = self.read(one) else { continue };
            read = true;
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let (answer, body) = send(&self.router, request).await;
            check(&method, &path, &answer, &body);
            if let Some(ticket) = between(&body, "name=\"ticket\" value=\"", '"') {
                self.known.ticket = ticket.to_owned();
            }
        }
        if read { Corpus::Keep } else { Corpus::Reject }
    }
}

/// Puts the marker where a field says that it holds a secret, and nowhere else.
fn mark(body: &str, json: bool) -> String {
    let mut marked = if json { body.to_owned() } else { format!("&{body}") };
    for field in SECRET_FIELDS {
        let before = if json { format!("\"{field}\":\"") } else { format!("&{field}=") };
        marked = marked.replace(&format!("{before}@secret@"), &format!("{before}{MARKER}"));
    }
    if json { marked } else { marked.split_off(1) }
}

async fn add_people(app: &App) {
    for (name, admin) in [("ada", true), ("bob", false)] {
        let name = name.parse().unwrap();
        if accounts::find(app, &name).await.unwrap().is_some() {
            continue;
        }
        let (email, full_name) = (Some(format!("{name}@example.com")), Some("Ada Example".to_owned()));
        let password = Plain::new(PASSWORD.to_owned());
        let account = NewAccount { name, email, full_name, tier: None, admin, password };
        accounts::add(app, &By::COMMAND_LINE, account, app.clock.now()).await.unwrap().unwrap();
    }
}

/// Adds both clients anew. Returns the secret of the one that has one.
async fn add_clients(app: &App) -> String {
    let job = ClientSettings {
        name: Some("A job".to_owned()),
        scopes: Some("openid admin introspect".parse().unwrap()),
        grants: Some(vec![GrantType::ClientCredentials, GrantType::AuthorizationCode]),
        redirect_uris: Some(vec!["https://app.example/cb".to_owned()]),
        ..ClientSettings::default()
    };
    let tv = ClientSettings { name: Some("A television".to_owned()), ..ClientSettings::default() };
    let mut made = String::new();
    for (id, proving, settings) in [("job", Proving::Secret(None), job), ("tv", Proving::Nothing, tv)] {
        let (id, now) = (id.parse().unwrap(), app.clock.now());
        let _gone = clients::remove(app, &By::COMMAND_LINE, &id, None, now).await.unwrap();
        let added = clients::add(app, &By::COMMAND_LINE, id, proving, settings, now).await.unwrap().unwrap();
        made.push_str(added.1.as_ref().map_or("", Plain::reveal));
    }
    made
}

async fn sign_in(app: &App, router: &Router, known: &mut Known) {
    let (ada, now) = ("ada".parse().unwrap(), app.clock.now());
    // Whatever became of the account, its second factor or its password.
    let _gone = accounts::act(app, &By::COMMAND_LINE, &ada, UserAct::Remove, None, now).await.unwrap();
    add_people(app).await;
    let cookie = |answer: &Response<()>| {
        let mut set = answer.headers().get_all(header::SET_COOKIE).iter().filter_map(|set| set.to_str().ok());
        let own = set.find(|set| set.starts_with("__Host-countersign=")).expect("a cookie");
        own.split(';').next().unwrap().to_owned()
    };
    let csrf = |page: &str| between(page, "name=\"csrf_token\" value=\"", '"').expect(page).to_owned();
    let (answer, page) = send(router, request("GET", "/login?next=account", &[], "")).await;
    let (fresh, token) = (cookie(&answer), csrf(&page));
    let form =
        format!("username=ada&password={}&next=account&csrf_token={token}", PASSWORD.replace(' ', "+"));
    let ask = request("POST", "/login", &[("cookie", &fresh), ("content-type", FORM)], &form);
    let (answer, page) = send(router, ask).await;
    assert_eq!(answer.status(), 303, "{page}");
    known.cookie = cookie(&answer);
    let (_, page) = send(router, request("GET", "/account", &[("cookie", &known.cookie)], "")).await;
    known.csrf = csrf(&page);
    let headers = [
        ("cookie", known.cookie.as_str()),
        ("x-csrf-token", &known.csrf),
        ("content-type", "application/json"),
    ];
    let (_, answer) = send(router, request("POST", "/v1/auth/api-keys", &headers, r#"{"name":"k"}"#)).await;
    known.key = answer.split('"').find(|text| text.contains("_sk_")).expect(&answer).to_owned();
}

fn check(method: &Method, path: &str, answer: &Response<()>, body: &str) {
    let said = || format!("{method} {path}: {} {:?}\n{body}", answer.status(), answer.headers());
    assert!(answer.status().as_u16() < 500, "{}", said());
    for name in ["x-request-id", "content-security-policy", "x-content-type-options", "x-frame-options"] {
        assert!(answer.headers().contains_key(name), "no {name}: {}", said());
    }
    assert!(!body.contains(MARKER), "a secret came back: {}", said());
    for (name, value) in answer.headers() {
        assert!(
            !String::from_utf8_lossy(value.as_bytes()).contains(MARKER),
            "a secret in {name}: {}",
            said()
        );
    }
    let kind = answer.headers().get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
    let below = |folder: &str| {
        path.strip_prefix(BASE)
            .and_then(|path| path.strip_prefix(folder))
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let machine = below("/v1") || below("/admin/api");
    if machine && !body.is_empty() {
        assert!(kind.starts_with("application/"), "{}", said());
    }
    if kind.starts_with("application/x-ndjson") {
        for line in body.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "no JSON: {}", said());
        }
    } else if kind.contains("json") && !body.is_empty() {
        assert!(serde_json::from_str::<Value>(body).is_ok(), "no JSON: {}", said());
    }
    if kind.starts_with("text/html") {
        assert!(!machine && body.trim_end().ends_with("</html>"), "half a page: {}", said());
    }
}

// A route of the table in the place of the one that is there, now and then.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(8) {
        return fuzzer_mutate(data, size, max_size);
    }
    let Ok(text) = std::str::from_utf8(&data[..size]) else { return fuzzer_mutate(data, size, max_size) };
    let routes = table("/device");
    let route = &routes[(seed / 8) as usize % routes.len()];
    let (_, rest) = text.split_once('\n').unwrap_or(("", text));
    let id = ["bob", "tv", "x", "0197b0d2-7c9c-7d4e-8f5a-0123456789ab"][(seed / 4096) as usize % 4];
    let path = route.path.replace("{id}", id).replace("{name}", "style.css").replace("{token}", "x");
    let made = format!("{} {BASE}{path}\n{rest}", route.method);
    let length = made.len().min(max_size);
    data[..length].copy_from_slice(&made.as_bytes()[..length]);
    length
});

fuzz_target!(|text: &str| -> Corpus {
    let mut subject = SUBJECT.lock().unwrap_or_else(PoisonError::into_inner);
    if subject.runs >= LIFE {
        *subject = crate::subject();
    }
    let runtime = subject.server.runtime.handle().clone();
    runtime.block_on(subject.run(text))
});
