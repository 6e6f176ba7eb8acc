//! The guard as a tower layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::json;
use tower::{Layer, Service};

use crate::{Guard, Identity, Refusal};

/// Made by [`Guard::layer`].
#[derive(Clone, Debug)]
pub struct GuardLayer {
    guard: Guard,
    scopes: Arc<[String]>,
}

impl GuardLayer {
    pub(crate) fn new(guard: Guard, scopes: Arc<[String]>) -> Self {
        Self { guard, scopes }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, layer: self.clone() }
    }
}

/// A service behind a guard.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready is the one that is called.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let layer = self.layer.clone();
        Box::pin(async move {
            match check(&layer, request.headers()).await {
                Ok(identity) => {
                    request.extensions_mut().insert(Identity::clone(&identity));
                    inner.call(request).await
                }
                Err(refusal) => Ok(answer(&refusal)),
            }
        })
    }
}

async fn check(layer: &GuardLayer, headers: &HeaderMap) -> Result<Arc<Identity>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        // Two credentials are none.
        _ => None,
    };
    layer.guard.check(value, &layer.scopes).await
}

/// RFC 6750 §3.
fn answer<R: From<String>>(refusal: &Refusal) -> Response<R> {
    let (status, error, challenge) = match refusal {
        Refusal::Missing => (StatusCode::UNAUTHORIZED, "invalid_request", Some("Bearer".to_owned())),
        Refusal::Invalid => {
            (StatusCode::UNAUTHORIZED, "invalid_token", Some("Bearer error=\"invalid_token\"".to_owned()))
        }
        Refusal::Scope(scope) => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            (StatusCode::FORBIDDEN, "insufficient_scope", Some(challenge))
        }
        Refusal::Unavailable(error) => {
            tracing::error!(%error, "a credential could not be checked");
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", None)
        }
    };
    let body = json!({ "error": error, "error_description": refusal.to_string() });
    let mut response = Response::new(R::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(challenge) = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    response
}
