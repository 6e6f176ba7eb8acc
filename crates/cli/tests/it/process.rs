//! The binary as a process, and a person who approves over HTTP.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use serde_json::Value;

pub const PASSWORD: &str = "correct horse battery";

/// The command, in an environment of its own.
pub fn countersign(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    countersign(folder).args(args).output().unwrap()
}

/// The code that a command shows, and what else it will say.
pub fn code_of(child: &mut Child) -> (String, BufReader<ChildStderr>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended early");
        if let Some((_, code)) = line.split_once("and enter ") {
            return (code.trim().to_owned(), lines);
        }
    }
}

pub fn run_with_input(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut child = countersign(folder).args(args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
pub fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

/// What went wrong, and the exit code.
pub fn failure(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub struct Server {
    pub child: Child,
    pub url: String,
    pub ops: String,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts `serve` and waits for the line that says where it listens.
    pub fn start(folder: &Path, more: &[&str]) -> Self {
        let settings = ["--listen", "127.0.0.1:0", "--set", "device.interval=1s"];
        Self::start_on(folder, &[&settings, more].concat())
    }

    /// The same, on an address of the caller's choice.
    pub fn start_on(folder: &Path, settings: &[&str]) -> Self {
        let mut child = countersign(folder)
            .args(["--data-dir", "data", "serve", "--ops-listen", "127.0.0.1:0"])
            .args(["--set", "log.format=json"])
            .args(settings)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (url, ops) = loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "listening" {
                let ops = format!("http://{}", event["ops_address"].as_str().unwrap());
                break (event["public_url"].as_str().unwrap().to_owned(), ops);
            }
        };
        let kept = log.clone();
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            drop(lines.read_to_string(&mut rest));
            kept.lock().unwrap().push_str(&rest);
        });
        Self { child, url, ops, log, reader: Some(reader) }
    }

    /// `kill -9`.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        (code, self.log())
    }

    fn log(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended, if the test came that far.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn add_user(folder: &Path, name: &str) -> Value {
    add_user_at(folder, &[], name)
}

pub fn add_user_at(folder: &Path, settings: &[&str], name: &str) -> Value {
    let args = ["user", "add", name, "--email", "a@example.com", "--password-stdin", "--json"];
    let args = [&["--data-dir", "data"], settings, &args].concat();
    json(&run_with_input(folder, &args, &format!("{PASSWORD}\n")))
}

/// The URL of a schema of its own in the cluster that `scripts/with-postgres` started.
pub async fn schema() -> String {
    let url = std::env::var("COUNTERSIGN_TEST_POSTGRES").expect("run this with scripts/with-postgres");
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
    format!("{url}?options=-csearch_path%3D{name}")
}

/// A person with a browser: signs in, enters the code, decides.
pub struct Person {
    http: reqwest::Client,
    pub cookie: String,
    page: String,
    base: String,
}

impl Person {
    pub async fn sign_in(base: &str, name: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut person = Self { http, cookie: String::new(), page: String::new(), base: base.to_owned() };
        person.get("/login").await;
        person.submit("password", &[("username", name), ("password", PASSWORD)]).await;
        person
    }

    async fn get(&mut self, path: &str) {
        let request = self.http.get(format!("{}{path}", self.base));
        self.follow(request).await;
    }

    pub async fn decide(&mut self, code: &str, decision: &str) {
        self.get("/device").await;
        self.submit("user_code", &[("user_code", code)]).await;
        self.submit("decision", &[("own_device", "yes"), ("decision", decision)]).await;
        let said = ["Device connected", "Request denied", "Now type this PIN"];
        assert!(said.iter().any(|said| self.page.contains(said)), "{}", self.page);
    }

    /// Answers a question that this browser was sent to, and says where it is sent then.
    pub async fn answer(&mut self, url: &str, decision: &str) -> String {
        let path = url.strip_prefix(&self.base).unwrap().to_owned();
        self.get(&path).await;
        let request = self.filled("decision", &[("own_device", "yes"), ("decision", decision)]);
        let response = request.header("cookie", &self.cookie).send().await.unwrap();
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Approves, and reads the PIN that the page shows then.
    pub async fn approve_for_pin(&mut self, code: &str) -> String {
        self.decide(code, "approve").await;
        let pin = self.page.split_once("initiation-pin\">").and_then(|(_, rest)| rest.split_once('<'));
        pin.unwrap_or_else(|| panic!("no PIN in {}", self.page)).0.to_owned()
    }

    /// Has a code shown for a command line.
    pub async fn connect(&mut self) -> String {
        self.get("/account").await;
        self.submit("action", &[("action", "connect")]).await;
        let code = self.page.split_once("shown-code\">").and_then(|(_, rest)| rest.split_once('<'));
        code.unwrap_or_else(|| panic!("no code in {}", self.page)).0.to_owned()
    }

    async fn submit(&mut self, field: &str, filled: &[(&str, &str)]) {
        let request = self.filled(field, filled);
        self.follow(request).await;
    }

    fn filled(&self, field: &str, filled: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let form = self.page.split("<form ").skip(1).find(|form| form.contains(&format!("name=\"{field}\"")));
        let form = form.unwrap_or_else(|| panic!("no {field} in {}", self.page));
        let value = |tag: &str, name: &str| {
            tag.split_once(&format!("{name}=\"")).map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
        };
        let mut fields: BTreeMap<String, String> = form
            .split("<input ")
            .skip(1)
            .map(|tag| tag.split('>').next().unwrap())
            .filter(|tag| tag.contains("type=\"hidden\""))
            .map(|tag| (value(tag, "name").unwrap(), value(tag, "value").unwrap()))
            .collect();
        fields.extend(filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let url = format!("{}{}", self.base, value(form, "action").unwrap());
        self.http.post(url).form(&fields)
    }

    async fn follow(&mut self, request: reqwest::RequestBuilder) {
        let mut response = request.header("cookie", &self.cookie).send().await.unwrap();
        self.keep(&response);
        while response.status() == StatusCode::SEE_OTHER {
            let url = format!("{}{}", self.base, response.headers()["location"].to_str().unwrap());
            response = self.http.get(url).header("cookie", &self.cookie).send().await.unwrap();
            self.keep(&response);
        }
        self.page = response.text().await.unwrap();
    }

    fn keep(&mut self, response: &reqwest::Response) {
        if let Some(set) = response.headers().get("set-cookie") {
            set.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
        }
    }
}

/// A device that speaks plain HTTP.
pub async fn post(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let response = reqwest::Client::new().post(url).form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub async fn ask(base: &str) -> Value {
    let form = [("client_id", "countersign-cli"), ("scope", "openid offline_access")];
    let (status, json) = post(&format!("{base}/oauth2/v1/device_authorization"), &form).await;
    assert_eq!(status, 200, "{json}");
    json
}

pub async fn poll(base: &str, asked: &Value) -> (u16, Value) {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "countersign-cli"),
        ("device_code", asked["device_code"].as_str().unwrap()),
    ];
    post(&format!("{base}/oauth2/v1/token"), &form).await
}

pub async fn refresh(base: &str, token: &str) -> (u16, Value) {
    let form = [("grant_type", "refresh_token"), ("client_id", "countersign-cli"), ("refresh_token", token)];
    post(&format!("{base}/oauth2/v1/token"), &form).await
}
