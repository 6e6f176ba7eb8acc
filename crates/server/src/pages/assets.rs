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

/// The name changes with the content, so that caches may keep it for good.
pub fn style_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let digest: String = Digest::of(STYLE)
            .as_bytes()
            .iter()
            .take(6)
            .fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        format!("style.{digest}.css")
    });
    &NAME
}

pub async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>, parts: Parts) -> Response {
    let (kind, body, cache) = match name.as_str() {
        "icon.svg" => ("image/svg+xml", ICON, "public, max-age=86400"),
        name if name == style_name() => {
            ("text/css; charset=utf-8", STYLE, "public, max-age=31536000, immutable")
        }
        _ => return missing(State(app), parts).await,
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
