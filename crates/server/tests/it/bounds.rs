//! Whatever is sent, the answer is the one that the interface names, and never a 5xx.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{DEVICE_CODE, Reply, Server, server};

const FORM: &str = "application/x-www-form-urlencoded";
const ENDPOINTS: [&str; 4] =
    ["/oauth2/v1/device_authorization", "/oauth2/v1/token", "/oauth2/v1/introspect", "/oauth2/v1/revoke"];

async fn raw(server: &Server, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = server.http.post(server.url(path)).header("content-type", content_type).body(body);
    Reply::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn bad_forms_are_invalid_requests() {
    let server = server().await;
    for path in ENDPOINTS {
        raw(&server, path, "application/json", "{}").await.refused(400, "invalid_request");
        raw(&server, path, "text/plain", "client_id=tv").await.refused(400, "invalid_request");
        raw(&server, path, FORM, "client_id=tv&client_id=tv").await.refused(400, "invalid_request");
        raw(&server, path, FORM, "client_id=%ff").await.refused(400, "invalid_request");
        raw(&server, path, FORM, vec![b'a', b'=', 0xFF]).await.refused(400, "invalid_request");
        raw(&server, path, FORM, "client_id=tv%00").await.refused(400, "invalid_request");
        raw(&server, path, FORM, vec![b'a'; 64 * 1024 + 1]).await.refused(413, "invalid_request");
    }
    raw(&server, ENDPOINTS[0], "Application/X-WWW-Form-URLencoded; charset=UTF-8", "client_id=tv").await.ok();
}

#[tokio::test]
async fn scopes_and_resources_are_bounded_before_anything_is_made_of_them() {
    let server = server().await;
    let ask = ENDPOINTS[0];
    let scopes = (0..10_000).map(|n| format!("{n:04}")).collect::<Vec<_>>().join(" ");
    server.post(ask, &[("client_id", "tv"), ("scope", &scopes)]).await.refused(400, "invalid_scope");
    let nine: Vec<String> = (0..9).map(|n| format!("https://api{n}.example")).collect();
    let with = async |resources: &[String]| {
        let mut form = vec![("client_id", "tv")];
        form.extend(resources.iter().map(|resource| ("resource", resource.as_str())));
        server.post(ask, &form).await
    };
    with(&nine[..8]).await.ok();
    with(&nine).await.refused(400, "invalid_request");
    with(&vec!["https://api.example/".to_owned(); 1_000]).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn pages_bound_their_forms_as_well() {
    let server = server().await;
    for path in ["/login", "/device", "/account", "/logout"] {
        assert_eq!(raw(&server, path, FORM, vec![b'a'; 64 * 1024 + 1]).await.status, 413, "{path}");
        assert_eq!(raw(&server, path, FORM, "a=%ff").await.status, 400, "{path}");
        assert_eq!(raw(&server, path, "application/json", "{}").await.status, 400, "{path}");
    }
    assert_eq!(server.get("/device?user_code=%ff").await.status, 400);
    assert_eq!(server.get("/nothing/here").await.status, 404);
    let method = server.http.delete(server.url("/oauth2/v1/token")).send().await.unwrap();
    assert_eq!((method.status().as_u16(), &method.headers()["allow"]), (405, &"POST".parse().unwrap()));
}

fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.running.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    // The server may close while we are still writing; what it said counts.
    drop(stream.read_to_string(&mut answer));
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_heads_are_refused() {
    let server = server().await;
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "a".repeat(17 * 1024));
    let answer = tokio::task::block_in_place(|| exchange(&server, huge.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let fits = format!(
        "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: {}\r\n\r\n",
        "a".repeat(12 * 1024)
    );
    let answer = tokio::task::block_in_place(|| exchange(&server, fits.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_senders_are_cut_off() {
    let server = server().await;
    // The rest of the head never comes: the connection ends by itself, ten seconds later.
    let answer = tokio::task::block_in_place(|| exchange(&server, b"GET / HTTP/1.1\r\nHost: x\r\n"));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_announced_as_too_large_is_refused_at_once() {
    let server = server().await;
    let head = format!(
        "POST /oauth2/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 700000\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    let answer = tokio::task::block_in_place(|| exchange(&server, head.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let server = server().await;
    let head = format!(
        "POST /oauth2/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 9\r\nConnection: close\r\n\r\nclient"
    );
    let answer = tokio::task::block_in_place(|| exchange(&server, head.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("30 seconds"), "{answer}");
}

/// The head comes in time, the body only after the code has expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_is_judged_by_the_time_at_the_end() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    server.signed_in("alice").await.approve(&device).await;
    let body = format!("grant_type={DEVICE_CODE}&client_id=tv&device_code={}", device.device_code);
    let head = format!(
        "POST /oauth2/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = tokio::task::block_in_place(|| {
        let mut stream = TcpStream::connect(server.running.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut seen = [0; 64];
        let read = stream.read(&mut seen).unwrap();
        assert!(seen[..read].starts_with(b"HTTP/1.1 100"), "the handler is waiting for the body");
        server.pass(1800);
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.contains("expired_token"), "{answer}");
}

#[tokio::test]
async fn every_answer_has_the_protecting_headers() {
    let server = server().await;
    for path in ["/login", "/nothing", "/oauth2/v1/jwks"] {
        let reply = server.get(path).await;
        let csp = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"), "{csp}");
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        assert!(reply.headers.contains_key("x-request-id"));
    }
}
