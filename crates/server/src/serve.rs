//! The process: two listeners, a sweep, and a way to stop that finishes what is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::{self, App, Fault};
use crate::config::{Config, Tls};
use crate::flow::{audit, figures, setup};
use crate::http::HEAD_BYTES;
use crate::router::Peer;
use crate::store::Opening;
use crate::world::{Clock, Entropy};
use crate::{notices, ops, presence, router, sweep, ws};

/// A request's head must be here by then.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Connections of the private listener.
const OPS_PLACES: usize = 256;
/// What is under way when the server stops may take this long.
const GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {key} = {address}: {why}")]
    Listen { key: &'static str, address: SocketAddr, why: String },
    #[error("cannot use {path} for TLS: {why}")]
    Tls { path: String, why: String },
    #[error(transparent)]
    App(#[from] Fault),
}

/// A server that is up.
#[derive(Debug)]
pub struct Running {
    pub app: Arc<App>,
    pub address: SocketAddr,
    pub ops_address: SocketAddr,
    stop: CancellationToken,
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    tasks: JoinSet<()>,
}

/// Opens the store, binds both listeners and starts to serve.
pub async fn start(config: Config, clock: Clock, entropy: Entropy) -> Result<Running, ServeError> {
    let tls = config.tls.as_ref().map(certificate).transpose()?.map(watch::Sender::new);
    let (listener, address) = bind("server.listen", config.listen).await?;
    let (ops_listener, ops_address) = bind("ops.listen", config.ops_listen).await?;
    let app = Arc::new(setup::open(config, Opening::Migrate, address, clock, entropy).await?);
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the number of open files stays as it is, and with it the number of connections");
    }
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let places = app.config.max_connections as usize;
    let newest = tls.as_ref().map(watch::Sender::subscribe);
    tasks.spawn(accept(listener, router::router(app.clone()), newest, places, stop.clone()));
    tasks.spawn(accept(ops_listener, ops::router(app.clone(), stop.clone()), None, OPS_PLACES, stop.clone()));
    tasks.spawn(sweep::run(app.clone(), stop.clone()));
    tasks.spawn(app.store.listen(stop.clone()));
    tasks.spawn(ws::news::run(app.clone(), stop.clone()));
    tasks.spawn(presence::run(app.clone(), stop.clone()));
    tasks.spawn(notices::run(app.clone(), stop.clone()));
    tasks.spawn(sweep::codes(app.clone(), stop.clone()));
    tasks.spawn(audit::run(app.clone(), stop.clone()));
    tasks.spawn(figures::run(app.clone(), stop.clone()));
    if !ops_address.ip().is_loopback() {
        tracing::warn!(%ops_address, "whoever reaches the private listener can stop this server: keep it from the public");
    }
    if app.config.pairing.by_itself {
        tracing::warn!(
            "pairing.approval = \"self\": whoever reaches this server can pair a device without asking anybody"
        );
    }
    tracing::info!(%address, public_url = app.public_url.issuer(), %ops_address, "listening");
    Ok(Running { app, address, ops_address, stop, tls, tasks })
}

impl Running {
    /// Waits until somebody asks the server to stop, on the private listener.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Reads the certificate and its key anew, for connections from now on. Files that cannot be used change
    /// nothing.
    pub fn reload(&self) {
        let (Some(sender), Some(tls)) = (&self.tls, &self.app.config.tls) else {
            tracing::info!("there is no certificate to read anew");
            return;
        };
        match certificate(tls) {
            Ok(newest) => {
                sender.send_replace(newest);
                tracing::info!("the certificate was read anew");
            }
            Err(error) => tracing::error!(%error, "the certificate stays as it is"),
        }
    }

    /// Stops accepting, finishes what is under way, closes the store.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if ended.is_err() {
                tracing::error!("a task ended badly");
            }
        }
        self.app.store.close().await;
        tracing::info!("stopped");
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error: std::io::Error| ServeError::Listen { key, address, why: error.to_string() };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Whether everything that a configuration names outside of the database can be used.
pub fn check(config: &Config) -> Result<(), ServeError> {
    if let Some(tls) = &config.tls {
        check_tls(tls)?;
    }
    Ok(app::check(config)?)
}

/// Whether the files can be used.
pub fn check_tls(tls: &Tls) -> Result<(), ServeError> {
    certificate(tls).map(drop)
}

fn certificate(tls: &Tls) -> Result<Arc<ServerConfig>, ServeError> {
    let failed =
        |path: &std::path::Path, why: String| ServeError::Tls { path: path.display().to_string(), why };
    let chain = CertificateDer::pem_file_iter(&tls.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&tls.cert_file, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file)
        .map_err(|error| failed(&tls.key_file, error.to_string()))?;
    // Named, not taken from the process: another crate may bring a second provider along.
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&tls.cert_file, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| failed(&tls.cert_file, error.to_string()))?;
    Ok(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    places: usize,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(places));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, place) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: let some connections end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if stream.set_nodelay(true).is_err() {
            continue; // It is gone already.
        }
        let (router, stop) = (router.clone(), stop.clone());
        let tls = tls.as_ref().map(|newest| TlsAcceptor::from(newest.borrow().clone()));
        connections.spawn(async move {
            let _place = place;
            match tls {
                None => serve(stream, peer, router, stop).await,
                Some(tls) => match tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, peer, router, stop).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
        });
    }
    drop(listener);
    // Idle connections end at once, the others after the answer that is under way.
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// The next connection, once there is a place for it. Until then it waits in the system's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn serve<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
