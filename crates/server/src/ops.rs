//! The private listener: is it alive, is it ready, what does it do, stop it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::App;

#[derive(Clone)]
struct Ops {
    app: Arc<App>,
    stop: CancellationToken,
}

pub fn router(app: Arc<App>, stop: CancellationToken) -> Router {
    let routes = || {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/shutdown", post(shutdown))
    };
    routes()
        .nest("/admin/v1", routes())
        .nest("/admin/api/v1", routes())
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found" }))))
        .with_state(Ops { app, stop })
}

async fn livez() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// A database that needs longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ready: the database takes writes and has the right schema, there is a key to sign with, and nobody
/// has asked the server to stop.
async fn readyz(State(ops): State<Ops>) -> Response {
    let unready =
        |why: &str| (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": why }))).into_response();
    if ops.stop.is_cancelled() {
        return unready("stopping");
    }
    match tokio::time::timeout(PATIENCE, ops.app.store.ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "not ready");
            return unready("the database does not answer, takes no writes or is not migrated");
        }
        Err(_) => {
            tracing::error!("not ready: the database does not answer in time");
            return unready("the database does not answer in time");
        }
    }
    let now = ops.app.clock.now();
    match ops.app.signer.published(&ops.app.store, &ops.app.vault, now).await {
        Ok(keys) if !keys.keys.is_empty() => Json(json!({ "status": "ok" })).into_response(),
        Ok(_) => unready("there are no signing keys"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            unready("the signing keys cannot be read")
        }
    }
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.app.metrics.render() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn shutdown(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    // Browsers name the page behind every POST. No page has any business here, whatever it tells the
    // operator's browser to send to this machine.
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        let why = json!({ "error": "forbidden", "error_description": "not for browsers" });
        return (StatusCode::FORBIDDEN, Json(why)).into_response();
    }
    tracing::info!("asked to stop");
    ops.stop.cancel();
    (StatusCode::ACCEPTED, Json(json!({ "status": "stopping" }))).into_response()
}
