//! What the pages load besides themselves, from this server alone.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use countersign_core::secret::Digest;

use super::missing;
use crate::app::App;

const STYLE: &str = include_str!("../../assets/style.css");
const ICON: &str = include_str!("../../assets/icon.svg");

const SCRIPT: &str = include_str!("../../assets/connect.js");
const PASSKEY: &str = include_str!("../../assets/passkey.js");
const ADMIN: &str = include_str!("../../assets/admin.js");

/// The name changes with the content, so that caches may keep it for good.
fn fingerprint(content: &str) -> String {
    let digest = Digest::of(content);
    digest.as_bytes().iter().take(6).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

pub fn style_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("style.{}.css", fingerprint(STYLE)));
    &NAME
}

pub fn script_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("connect.{}.js", fingerprint(SCRIPT)));
    &NAME
}

pub fn passkey_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("passkey.{}.js", fingerprint(PASSKEY)));
    &NAME
}

pub fn admin_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("admin.{}.js", fingerprint(ADMIN)));
    &NAME
}

pub async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>, parts: Parts) -> Response {
    let (kind, body, cache) = match name.as_str() {
        "icon.svg" => ("image/svg+xml", ICON, "public, max-age=86400"),
        name if name == style_name() => {
            ("text/css; charset=utf-8", STYLE, "public, max-age=31536000, immutable")
        }
        name if name == script_name() => {
            ("text/javascript; charset=utf-8", SCRIPT, "public, max-age=31536000, immutable")
        }
        name if name == passkey_name() => {
            ("text/javascript; charset=utf-8", PASSKEY, "public, max-age=31536000, immutable")
        }
        name if name == admin_name() => {
            ("text/javascript; charset=utf-8", ADMIN, "public, max-age=31536000, immutable")
        }
        _ => return missing(State(app), parts).await,
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
