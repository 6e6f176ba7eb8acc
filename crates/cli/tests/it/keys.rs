//! A command line that logs in at the CLI door, in every way, with our own program and with the one that
//! was published for this interface.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::process::{
    Person, Server, add_user, countersign, failure, json as read_json, run, run_with_input, stdout,
};

const CREDENTIALS: &str = "kept/credentials.json";

/// Runs a program that shows a code after these words, decides, and returns what it said at the end.
async fn approve(command: &mut Command, words: &str, server: &Server, decision: &str) -> Output {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let code = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "login ended early");
        if let Some((_, code)) = line.split_once(words) {
            break code.trim().to_owned();
        }
    };
    Person::sign_in(&server.url, "alice").await.decide(&code, decision).await;
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = rest;
    output
}

async fn reverse_code(server: &Server) -> String {
    let mut person = Person::sign_in(&server.url, "alice").await;
    person.connect().await
}

async fn me(server: &Server, key: &str) -> reqwest::Response {
    reqwest::Client::new().get(format!("{}/v1/auth/me", server.url)).bearer_auth(key).send().await.unwrap()
}

fn start(folder: &Path) -> Server {
    let server = Server::start(folder, &["--set", "cli.interval=1s"]);
    add_user(folder, "alice");
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_line_logs_in_forward_is_known_and_logs_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let mut command = countersign(folder.path());
    command.args(["login", "--for", "cli", "--name", "build server", "--scope", "deploy"]);
    command.args(["--server", &server.url, "--credentials", CREDENTIALS]);
    let said = stdout(&approve(&mut command, "and enter ", &server, "approve").await);
    assert!(said.contains("as alice") && said.contains("The API key is in kept/credentials.json"), "{said}");
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = folder.path().join(CREDENTIALS);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let run = |args: &[&str]| run(folder.path(), &[args, &["--credentials", CREDENTIALS]].concat());
    assert!(stdout(&run(&["whoami"])).starts_with("alice (a@example.com) at http://localhost:"));
    let shown = read_json(&run(&["whoami", "--json"]));
    assert_eq!(shown["credential"]["scopes"], json!(["deploy"]));
    let key = stdout(&run(&["token"])).trim().to_owned();
    assert!(key.starts_with("cs_sk_"));
    let operator =
        |args: &[&str]| crate::process::run(folder.path(), &[&["--data-dir", "data"], args].concat());
    let devices = read_json(&operator(&["device", "list", "--json"]));
    let line = (&devices[0]["door"], &devices[0]["name"], &devices[0]["status"]);
    assert_eq!(line, (&json!("cli"), &json!("build server"), &json!("active")));
    assert!(stdout(&run(&["logout"])).contains("Logged out"));
    assert_eq!(me(&server, &key).await.status(), 401);
    assert_eq!(failure(&run(&["whoami"])).0, Some(1));
    let devices = read_json(&operator(&["device", "list", "--json"]));
    assert_eq!(devices[0]["status"], "revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_ends_the_login_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let mut command = countersign(folder.path());
    command.args(["login", "--for", "cli", "--server", &server.url, "--credentials", CREDENTIALS]);
    let (code, error) = failure(&approve(&mut command, "and enter ", &server, "deny").await);
    assert!(code == Some(3) && error.contains("denied"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_the_account_page_logs_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let code = reverse_code(&server).await;
    let login = |code: &str| {
        let args = ["login", "--server", &server.url, "--credentials", CREDENTIALS, "--code", code];
        run(folder.path(), &args)
    };
    assert!(stdout(&login(&code.to_lowercase())).contains("as alice"));
    let (status, error) = failure(&login(&code));
    assert!(status == Some(1) && error.contains("already been used") && error.contains("hint: "), "{error}");
    let (status, error) = failure(&login("AAAAAA"));
    assert!(status == Some(1) && error.contains("not right or has expired"), "{error}");
    // It is kept from before.
    let whoami = run(folder.path(), &["whoami", "--credentials", CREDENTIALS]);
    assert!(stdout(&whoami).starts_with("alice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_pasted_or_comes_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let code = reverse_code(&server).await;
    let args = ["login", "--server", &server.url, "--credentials", "first.json", "--code", &code];
    stdout(&run(folder.path(), &args));
    let key = stdout(&run(folder.path(), &["token", "--credentials", "first.json"])).trim().to_owned();
    let args = ["login", "--api-key", "--server", &server.url, "--credentials", CREDENTIALS];
    assert!(stdout(&run_with_input(folder.path(), &args, &format!("{key}\n"))).contains("as alice"));
    let (status, error) = failure(&run_with_input(folder.path(), &args, "cs_sk_nonsense\n"));
    assert!(status == Some(1) && error.contains("unauthorized") && !error.contains("nonsense"), "{error}");
    assert_eq!(failure(&run_with_input(folder.path(), &args, "\n")).0, Some(2));
    // Nothing is kept here, and nothing will be.
    let mut command = countersign(folder.path());
    command.args(["whoami", "--credentials", "none.json"]);
    command.env("COUNTERSIGN_API_KEY", &key).env("COUNTERSIGN_SERVER", &server.url);
    assert!(stdout(&command.output().unwrap()).starts_with("alice"));
    assert!(!folder.path().join("none.json").exists());
    let mut command = countersign(folder.path());
    command.args(["token", "--credentials", "none.json"]).env("COUNTERSIGN_API_KEY", &key);
    let (status, error) = failure(&command.output().unwrap());
    assert!(status == Some(2) && error.contains("COUNTERSIGN_SERVER"), "{error}");
}

/// What was answered holds, whatever becomes of the server a moment later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_outlives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let code = reverse_code(&server).await;
    let verify = async |server: &Server| {
        let body = json!({ "cli_code": code });
        let url = format!("{}/v1/auth/cli-verify", server.url);
        reqwest::Client::new().post(url).json(&body).send().await.unwrap()
    };
    let got: serde_json::Value = verify(&server).await.json().await.unwrap();
    server.kill();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(me(&server, got["api_key"].as_str().unwrap()).await.status(), 200);
    assert_eq!(verify(&server).await.status(), 400, "it stays used");
}

/// alprina-cli 0.4.6 from `PyPI`, which was written for this interface, unmodified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs alprina-cli: run it with scripts/published-client"]
async fn the_published_client_logs_in_both_ways() {
    let program = std::env::var("COUNTERSIGN_TEST_ALPRINA").expect("run this with scripts/published-client");
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let alprina = |home: &str, args: &[&str]| {
        let mut command = Command::new(&program);
        let home = folder.path().join(home);
        std::fs::create_dir_all(&home).unwrap();
        command.args(args).current_dir(&home).env("HOME", &home);
        command.env("ALPRINA_BACKEND", format!("{}/v1", server.url)).env("PYTHONUNBUFFERED", "1");
        // Its browser prints where it is sent to.
        command.env("BROWSER", "sh -c 'echo opened \"$0\" >&2' %s");
        command.env("COLUMNS", "200").env_remove("ALPRINA_API_KEY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let stored = |home: &str| {
        let file = folder.path().join(home).join(".alprina/token");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default()
    };

    let code = reverse_code(&server).await;
    let said = alprina("reverse", &["auth", "login", "--code", &code.to_lowercase()]).output().unwrap();
    let key = stored("reverse")["token"].as_str().unwrap_or_else(|| panic!("{}", shown(&said))).to_owned();
    assert_eq!(me(&server, &key).await.status(), 200);
    let said = alprina("again", &["auth", "login", "--code", &code]).output().unwrap();
    assert!(shown(&said).contains("already been used"), "{}", shown(&said));
    let said = alprina("wrong", &["auth", "login", "--code", "AAAAAA"]).output().unwrap();
    assert!(shown(&said).contains("Invalid or expired CLI code"), "{}", shown(&said));

    let said = approve(&mut alprina("forward", &["auth", "login"]), "user_code=", &server, "approve").await;
    let kept = stored("forward");
    let key = kept["token"].as_str().unwrap_or_else(|| panic!("{}", shown(&said)));
    assert_eq!(me(&server, key).await.status(), 200);
    assert_eq!(kept["user"]["email"], "a@example.com");
    let status = shown(&alprina("forward", &["auth", "status"]).output().unwrap());
    assert!(status.contains("Authenticated") && status.contains("a@example.com"), "{status}");

    let said = approve(&mut alprina("denied", &["auth", "login"]), "user_code=", &server, "deny").await;
    assert!(shown(&said).contains("Error: the request was denied"), "it stops polling: {}", shown(&said));

    let said = alprina("pasted", &["auth", "login", "--api-key", key]).output().unwrap();
    assert_eq!(stored("pasted")["token"].as_str(), Some(key), "{}", shown(&said));
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
