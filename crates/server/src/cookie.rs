//! The cookies of a browser, and what shows that a request really came from one of our pages in it.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::secret::Digest;

use crate::app::App;

/// The hidden field of every form of ours in the browser with this cookie.
pub fn csrf(app: &App, cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(app.vault.csrf(cookie).as_bytes())
}

pub fn is_csrf(app: &App, cookie: &str, token: &str) -> bool {
    matches(token, &app.vault.csrf(cookie))
}

/// Whether a request comes from a page of ours, as far as its headers tell.
pub fn is_own_origin(app: &App, headers: &HeaderMap) -> bool {
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(|origin| app.public_url.is_own_origin(origin)),
        // No browser of the last years leaves it out; scripts do, and still need the token.
        None => true,
    }
}

/// Compares a MAC that came as text, in constant time.
pub fn matches(given: &str, expected: &Digest) -> bool {
    let bytes: Option<[u8; 32]> = URL_SAFE_NO_PAD.decode(given).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.is_some_and(|bytes| Digest::from_bytes(bytes).matches(expected))
}

/// With `__Host-` no other host, not even a sibling, can plant the cookie.
fn cookie_name(app: &App) -> &'static str {
    if app.public_url.is_https() { "__Host-countersign" } else { "countersign" }
}

/// Of the cookie that tells a browser in which somebody signed in before.
fn known_name(app: &App) -> &'static str {
    if app.public_url.is_https() { "__Host-countersign-known" } else { "countersign-known" }
}

const KNOWN: u64 = 365 * 86_400;

/// Lets this browser be known again.
pub fn bake_known(app: &App, value: &str) -> Option<HeaderValue> {
    bake_as(app, known_name(app), value, Some(KNOWN))
}

/// What this browser is known by, if it is.
pub fn read_known<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    read_as(known_name(app), headers)
}

/// In which language somebody wants to read.
pub fn bake_language(app: &App, code: &str) -> Option<HeaderValue> {
    bake_as(app, language_name(app), code, Some(KNOWN))
}

pub fn read_language<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    read_as(language_name(app), headers)
}

fn language_name(app: &App) -> &'static str {
    if app.public_url.is_https() { "__Host-countersign-language" } else { "countersign-language" }
}

/// A `Set-Cookie` header. Without `seconds` the cookie ends with the browser.
pub fn bake(app: &App, value: &str, seconds: Option<u64>) -> Option<HeaderValue> {
    bake_as(app, cookie_name(app), value, seconds)
}

fn bake_as(app: &App, name: &str, value: &str, seconds: Option<u64>) -> Option<HeaderValue> {
    let secure = if app.public_url.is_https() { "; Secure" } else { "" };
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The value of our cookie, if it looks like one.
pub fn read<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    let looks_right = |value: &&str| {
        value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    read_as(cookie_name(app), headers).filter(looks_right)
}

fn read_as<'a>(name: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
