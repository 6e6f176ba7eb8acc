//! The PIN that the browser shows, typed into our own commands.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::process::{Person, Server, add_user, code_of, countersign, failure, json, run, stdout};

fn other(pin: &str) -> String {
    format!("{:02}", (pin.parse::<u32>().unwrap() + 1) % 100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--set", "approval.initiation_check=pin"]);
    add_user(folder.path(), "alice");
    let start = |args: &[&str]| {
        let args = [args, &["--server", &server.url, "--credentials", "kept/credentials.json"]].concat();
        countersign(folder.path()).args(args).stdin(Stdio::piped()).spawn().unwrap()
    };
    for args in [&["login"][..], &["login", "--for", "cli"], &["pair", "--name", "Machine"]] {
        let mut child = start(args);
        let (code, mut lines) = code_of(&mut child);
        let pin = Person::sign_in(&server.url, "alice").await.approve_for_pin(&code).await;
        let typed = format!("what?\n{}\n{pin}\n", other(&pin));
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let mut said = String::new();
        lines.read_to_string(&mut said).unwrap();
        assert!(stdout(&child.wait_with_output().unwrap()).contains("kept/credentials.json"), "{said}");
        assert!(said.contains("Type the two digits that the browser shows"), "{said}");
        assert!(said.contains("That is not the PIN."), "{said}");
    }
    // Nobody can type anything.
    let mut child = start(&["login"]);
    let (code, mut lines) = code_of(&mut child);
    drop(child.stdin.take());
    Person::sign_in(&server.url, "alice").await.approve_for_pin(&code).await;
    let mut said = String::new();
    lines.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code() == Some(1) && said.contains("run the command in a terminal"), "{said}");
}

#[test]
fn a_client_gets_its_policy_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| run(folder.path(), &[&["--data-dir", "data", "client"], args].concat());
    let file = folder.path().join("policy.toml");
    let policy =
        "max_age = \"5m\"\nmismatch = \"deny\"\nscope_cap = [\"openid\"]\ninitiation_check = \"pin\"\n";
    std::fs::write(&file, policy).unwrap();
    let add = ["add", "--id", "vault", "--name", "Vault", "--policy", "policy.toml", "--json"];
    let expected = serde_json::json!({
        "max_age": "5m", "mismatch": "deny", "scope_cap": ["openid"], "initiation_check": "pin"
    });
    assert_eq!(json(&run(&add))["policy"], expected);
    assert!(stdout(&run(&["show", "vault"])).contains("Policy        {\"initiation_check\":\"pin\""));
    std::fs::write(&file, "mismach = \"deny\"\n").unwrap();
    let (code, said) = failure(&run(&["edit", "vault", "--policy", "policy.toml"]));
    assert!(code == Some(2) && said.contains("mismach") && said.contains("hint: "), "{said}");
    assert_eq!(json(&run(&["show", "vault", "--json"]))["policy"], expected, "nothing was changed");
    stdout(&run(&["edit", "vault", "--reset", "policy"]));
    assert_eq!(json(&run(&["show", "vault", "--json"]))["policy"], serde_json::json!({}));
}
