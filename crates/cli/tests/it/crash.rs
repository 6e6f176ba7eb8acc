//! What was answered holds, whatever happens to the process.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Person, Server, add_user, ask, poll, refresh};

fn error(answer: &(u16, Value)) -> &str {
    answer.1["error"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let (pending, approved, denied, spent) =
        (ask(&server.url).await, ask(&server.url).await, ask(&server.url).await, ask(&server.url).await);
    let mut person = Person::sign_in(&server.url, "alice").await;
    let code = |asked: &Value| asked["user_code"].as_str().unwrap().to_owned();
    person.decide(&code(&approved), "approve").await;
    person.decide(&code(&spent), "approve").await;
    let (_, tokens) = poll(&server.url, &spent).await;
    // The very last answer before the crash.
    person.decide(&code(&denied), "deny").await;
    server.kill();

    let server = Server::start(folder.path(), &[]);
    assert_eq!(error(&poll(&server.url, &pending).await), "authorization_pending");
    assert_eq!(error(&poll(&server.url, &denied).await), "access_denied");
    assert_eq!(error(&poll(&server.url, &spent).await), "invalid_grant");
    assert_eq!(poll(&server.url, &approved).await.0, 200);
    let (status, renewed) = refresh(&server.url, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{renewed}");
    server.kill();

    let server = Server::start(folder.path(), &[]);
    assert_eq!(error(&poll(&server.url, &approved).await), "invalid_grant");
    assert_eq!(refresh(&server.url, renewed["refresh_token"].as_str().unwrap()).await.0, 200);
}

/// Whoever renews certificates sends it to every server.
#[test]
fn a_hangup_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    assert_eq!(server.terminate().0, Some(0));
}

/// The body of a request is still on its way when the server is told to stop.
#[test]
fn what_is_under_way_is_finished_before_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let connect = |url: &str| {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut slow = connect(&server.url);
    let head = "POST /oauth2/v1/device_authorization HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 25\r\n\r\n";
    slow.write_all(head.as_bytes()).unwrap();
    let mut seen = [0; 64];
    let read = slow.read(&mut seen).unwrap();
    assert!(seen[..read].starts_with(b"HTTP/1.1 100"), "the handler is waiting for the body");
    let mut ops = connect(&server.ops);
    ops.write_all(
        b"POST /shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let mut answer = String::new();
    ops.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    slow.write_all(b"client_id=countersign-cli").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("device_code"), "{answer}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
