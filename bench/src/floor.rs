//! The floor: what the HTTP stack costs before anything is done.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const AUTHORIZATION: &str = r#"{"device_code":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","user_code":"AAAA-AAAA","verification_uri":"http://localhost:8628/device","verification_uri_complete":"http://localhost:8628/device?user_code=AAAA-AAAA","expires_in":1800,"interval":5}"#;
const PENDING: &str =
    r#"{"error":"authorization_pending","error_description":"nobody has decided yet; keep polling"}"#;

const JSON: [(header::HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];

async fn authorize(_: Bytes) -> impl IntoResponse {
    (JSON, AUTHORIZATION)
}

async fn token(_: Bytes) -> impl IntoResponse {
    (StatusCode::BAD_REQUEST, JSON, PENDING)
}

/// Serves until it is killed. The first line of its output is the address.
pub async fn serve() -> anyhow::Result<()> {
    let router: Router = Router::new()
        .route("/oauth2/v1/device_authorization", post(authorize))
        .route("/oauth2/v1/token", post(token));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                router.clone().oneshot(request.map(Body::new))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(10))
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}
