//! Every route, called by somebody who may not. A new route without a case fails here.

use std::collections::BTreeMap;

use countersign_server::router::{Access, table};

use crate::support::{Server, server};

const FORM: &str = "application/x-www-form-urlencoded";

/// What a caller without any credential sends, and the status and words that it gets.
fn case(method: &str, path: &str) -> Option<(&'static str, u16, &'static str)> {
    let found = match (method, path) {
        ("POST", "/oauth2/v1/device_authorization") => ("scope=openid", 400, "client_id is missing"),
        ("POST", "/oauth2/v1/token") => {
            ("grant_type=refresh_token&refresh_token=x&client_id=no", 400, "invalid_client")
        }
        ("POST", "/oauth2/v1/introspect") => ("token=x&client_id=no", 400, "invalid_client"),
        ("POST", "/oauth2/v1/revoke") => ("token=x&client_id=no", 400, "invalid_client"),
        ("GET" | "POST", "/oauth2/v1/userinfo") => ("", 401, "access token is needed"),
        ("GET" | "DELETE", path) if path.starts_with("/admin/api/v1/") => ("", 401, "unauthorized"),
        ("POST" | "PATCH", path) if path.starts_with("/admin/api/v1/") => ("{}", 401, "unauthorized"),
        ("GET", path) if path.starts_with("/admin") => ("", 303, ""),
        ("POST", path) if path.starts_with("/admin") => ("action=save", 403, "Please try again"),
        ("POST", "/oauth2/v1/par") => ("response_type=code&client_id=no", 400, "invalid_client"),
        ("POST", "/oauth2/v1/register") | ("GET" | "PUT" | "DELETE", "/oauth2/v1/register/{id}") => {
            ("{}", 401, "access token is needed")
        }
        ("POST", "/login") => ("username=alice&password=x", 403, "Please try again"),
        ("POST", "/login/second") => ("totp=000000", 403, "Please try again"),
        ("POST", "/login/passkey") => ("credential={}", 403, "Please try again"),
        ("POST", "/revoke/{token}") => ("action=revoke", 403, "Please try again"),
        ("POST", "/language") => ("lang=de", 403, "Please try again"),
        ("POST", "/logout") => ("", 403, "Please try again"),
        ("GET", "/device") => ("", 303, ""),
        ("POST", "/device") => {
            ("user_code=ABCD-EFGH&decision=approve&own_device=yes", 403, "Please try again")
        }
        ("POST", "/v1/auth/device/authorize") => (r#"{"user_code":"ABCD-EFGH"}"#, 401, "unauthorized"),
        ("POST", "/v1/auth/dashboard-code") => ("", 401, "unauthorized"),
        ("GET", "/v1/auth/devices" | "/v1/auth/me" | "/v1/auth/api-keys" | "/v1/devices")
        | ("DELETE", "/v1/auth/devices/{id}" | "/v1/auth/api-keys/{id}" | "/v1/devices/{id}") => {
            ("", 401, "unauthorized")
        }
        ("POST", "/v1/auth/api-keys") => (r#"{"name":"x"}"#, 401, "unauthorized"),
        ("POST", "/v1/auth/api-keys/{id}/rotate") => ("{}", 401, "unauthorized"),
        ("GET", "/account/connect/{id}" | "/account/totp" | "/account/passkey") => ("", 303, ""),
        ("POST", "/account/totp") => ("totp=000000", 403, "Please try again"),
        ("POST", "/account/passkey") => ("credential={}", 403, "Please try again"),
        ("GET", "/account") => ("", 303, ""),
        ("POST", "/account") => ("action=revoke_all", 403, "Please try again"),
        _ => return None,
    };
    Some(found)
}

#[tokio::test]
async fn nobody_gets_in_without_what_a_route_needs() {
    let token = ("registration.initial_access_token", "a token that nobody here has");
    let server = Server::with(&[token]).await;
    let mut guarded = 0;
    for endpoint in table("/device") {
        let (method, path) = (endpoint.method.as_str(), endpoint.path.as_str());
        let Some((body, status, words)) = case(method, path) else {
            assert_eq!(endpoint.access, Access::Public, "{method} {path} has no unauthorised case");
            continue;
        };
        assert_ne!(endpoint.access, Access::Public, "{method} {path} is public");
        let json = path.starts_with("/v1/")
            || path.starts_with("/admin/api/")
            || path.starts_with("/oauth2/v1/register");
        let kind = if json { "application/json" } else { FORM };
        let request =
            server.http.request(endpoint.method.clone(), server.url(path)).header("content-type", kind);
        let response = request.body(body).send().await.unwrap();
        let got = response.status().as_u16();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        assert_eq!(got, status, "{method} {path}: {text}");
        assert!(text.contains(words), "{method} {path}: {text}");
        if status == 303 {
            assert!(location.is_some_and(|location| location.starts_with("/login")), "{method} {path}");
        }
        guarded += 1;
    }
    assert_eq!(guarded, 84);
}

/// The token is right, the session is not: a form of ours in a browser that nobody signed in to.
#[tokio::test]
async fn a_form_of_ours_is_not_yet_a_person() {
    let server = server().await;
    let device = server.ask("tv", "openid").await;
    let mut browser = server.browser();
    browser.get("/login").await;
    let csrf = browser.form("password")["csrf_token"].clone();
    let decision = [("user_code", device.user_code.as_str()), ("decision", "approve"), ("own_device", "yes")];
    let mut fields: BTreeMap<String, String> =
        decision.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.insert("csrf_token".to_owned(), csrf.clone());
    browser.post("/device", &fields).await;
    browser.expect(200, "Sign in");
    let fields =
        BTreeMap::from([("csrf_token".to_owned(), csrf), ("action".to_owned(), "revoke_all".to_owned())]);
    browser.post("/account", &fields).await;
    browser.expect(200, "Sign in");
    for path in ["/account/totp", "/account/passkey"] {
        browser.post(path, &fields).await;
        browser.expect(200, "Sign in");
    }
    server.poll(&device).await.refused(400, "authorization_pending");
}
