//! The private listener: is it alive, is it ready, what does it do, stop it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use countersign_core::time::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::flow::standing;
use crate::router::Peer;

#[derive(Clone)]
struct Ops {
    app: Arc<App>,
    stop: CancellationToken,
    /// What was found last, and when.
    ready: Arc<Mutex<Option<(Timestamp, bool)>>>,
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
        .layer(axum::middleware::from_fn(known_name))
        .with_state(Ops { app, stop, ready: Arc::default() })
}

/// A page in a browser of this machine may come from a name that leads here since a moment ago (DNS
/// rebinding): who asks from here says an address, or localhost.
async fn known_name(request: Request, next: Next) -> Response {
    let local =
        request.extensions().get::<Peer>().is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    if local && !request.headers().get_all(header::HOST).iter().all(is_near) {
        return forbidden("ask for localhost, or for an address");
    }
    next.run(request).await
}

/// Who has a name of one word in this network is no stranger.
fn is_near(host: &HeaderValue) -> bool {
    let named = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    named.is_some_and(|named| {
        let host = named.host();
        !host.contains('.') || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    })
}

fn forbidden(why: &str) -> Response {
    let why = json!({ "error": "forbidden", "error_description": why });
    (StatusCode::FORBIDDEN, Json(why)).into_response()
}

async fn livez() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// A database that needs longer is as good as none.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long a scrape is told what was found before.
const FRESH: Duration = Duration::from_secs(5);

/// Ready: the database takes writes and has the right schema, there is a key to sign with, and nobody
/// has asked the server to stop.
async fn readyz(State(ops): State<Ops>) -> Response {
    match ops.readiness().await {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": why }))).into_response(),
    }
}

impl Ops {
    async fn readiness(&self) -> Result<(), &'static str> {
        let found = self.look().await;
        // Not held while it looks: who asks next must not wait for who asked before.
        *self.ready.lock().await = Some((self.app.clock.now(), found.is_ok()));
        found
    }

    async fn look(&self) -> Result<(), &'static str> {
        if self.stop.is_cancelled() {
            return Err("stopping");
        }
        match tokio::time::timeout(PATIENCE, self.app.store.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "not ready");
                return Err("the database does not answer, takes no writes or is not migrated");
            }
            Err(_) => {
                tracing::error!("not ready: the database does not answer in time");
                return Err("the database does not answer in time");
            }
        }
        let now = self.app.clock.now();
        match self.app.signer.published(&self.app.store, &self.app.vault, now).await {
            Ok(keys) if !keys.keys.is_empty() => Ok(()),
            Ok(_) => Err("there are no signing keys"),
            Err(error) => {
                tracing::error!(%error, "not ready");
                Err("the signing keys cannot be read")
            }
        }
    }

    /// Whoever scrapes often must not make the database write each time.
    async fn was_ready(&self) -> bool {
        let latest = *self.ready.lock().await;
        let now = self.app.clock.now();
        match latest {
            _ if self.stop.is_cancelled() => false,
            Some((at, ready)) if now < at + FRESH => ready,
            _ => self.readiness().await.is_ok(),
        }
    }
}

/// What the database knows is looked up for a scrape; without an answer in time it is unknown.
async fn metrics(State(ops): State<Ops>) -> Response {
    let (ready, standing) = tokio::join!(
        tokio::time::timeout(PATIENCE, ops.was_ready()),
        tokio::time::timeout(PATIENCE, standing::now(&ops.app)),
    );
    ops.app.metrics.ready(ready.unwrap_or(false));
    ops.app.metrics.stand(standing.ok().and_then(Result::ok).as_ref());
    ops.app.metrics.pool(ops.app.store.pool());
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
        return forbidden("not for browsers");
    }
    tracing::info!("asked to stop");
    ops.stop.cancel();
    (StatusCode::ACCEPTED, Json(json!({ "status": "stopping" }))).into_response()
}
