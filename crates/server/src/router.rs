//! Every route, in one table, and what surrounds every request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use countersign_core::id::RequestId;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use crate::app::App;
use crate::http::{ClientAddress, RequestIdOf};
use crate::telemetry::trace;
use crate::{admin, api, oauth, openapi, origin, pages, ws};

/// What a caller must bring. A test holds every route against an attempt without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// An OAuth client's credentials.
    Client,
    /// An access token.
    Bearer,
    /// Either of the two.
    ClientOrBearer,
    /// A form of ours, from the browser that it was given to.
    Form,
    /// A signed-in person; anybody else is sent to the sign-in page.
    Person,
    /// Both.
    PersonsForm,
    /// A signed-in person, by session, token of ours or token of a trusted issuer.
    Caller,
    /// A credential of any door.
    Credential,
    /// An administrator's credential, or a client's that may administer.
    Administrator,
}

pub struct Endpoint {
    pub method: Method,
    pub path: String,
    pub access: Access,
    handler: MethodRouter<Arc<App>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.access)
    }
}

impl Endpoint {
    /// What an administrator began is done also if nobody waits for it any more: half a sweep, or an answer
    /// that is not kept for whoever asks again, helps nobody.
    fn done_to_its_end(self) -> Self {
        if self.method == Method::GET {
            return self;
        }
        Self { handler: self.handler.layer(from_fn(to_its_end)), ..self }
    }
}

async fn to_its_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

fn endpoint(method: Method, path: &str, access: Access, handler: MethodRouter<Arc<App>>) -> Endpoint {
    Endpoint { method, path: path.to_owned(), access, handler }
}

/// The routes of the public listener, below the public URL's path.
#[rustfmt::skip]
pub fn table(verification_path: &str) -> Vec<Endpoint> {
    use Access::{Bearer, Caller, Client, ClientOrBearer, Credential, Form, Person, PersonsForm, Public};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    const PUT: Method = Method::PUT;
    let mut all = vec![
        endpoint(GET,  "/.well-known/openid-configuration",       Public,         get(oauth::metadata::discovery)),
        endpoint(GET,  "/.well-known/oauth-authorization-server", Public,         get(oauth::metadata::discovery)),
        endpoint(GET,  "/.well-known/jwks.json",                  Public,         get(oauth::metadata::jwks)),
        endpoint(GET,  "/oauth2/v1/jwks",                         Public,         get(oauth::metadata::jwks)),
        endpoint(POST, "/oauth2/v1/device_authorization",         Client,         post(oauth::device_authorization)),
        endpoint(POST, "/oauth2/v1/token",                        Client,         post(oauth::token)),
        endpoint(POST, "/oauth2/v1/introspect",                   ClientOrBearer, post(oauth::introspect)),
        endpoint(POST, "/oauth2/v1/revoke",                       Client,         post(oauth::revoke)),
        endpoint(GET,  "/oauth2/v1/authorize",                    Public,         get(oauth::authorize)),
        endpoint(POST, "/oauth2/v1/authorize",                    Public,         post(oauth::authorize)),
        endpoint(POST, "/oauth2/v1/par",                          Client,         post(oauth::push)),
        endpoint(GET,  "/oauth2/v1/end_session",                  Public,         get(oauth::end_session)),
        endpoint(POST, "/oauth2/v1/end_session",                  Public,         post(oauth::end_session)),
        endpoint(POST, "/oauth2/v1/register",                     Bearer,         post(oauth::register)),
        endpoint(GET,  "/oauth2/v1/register/{id}",                Bearer,         get(oauth::look)),
        endpoint(PUT,  "/oauth2/v1/register/{id}",                Bearer,         put(oauth::change)),
        endpoint(DELETE, "/oauth2/v1/register/{id}",              Bearer,         delete(oauth::unregister)),
        endpoint(GET,  "/authorize",                              Public,         get(pages::authorize)),
        endpoint(GET,  "/oauth2/v1/userinfo",                     Bearer,         get(oauth::userinfo)),
        endpoint(POST, "/oauth2/v1/userinfo",                     Bearer,         post(oauth::userinfo)),
        endpoint(POST, "/v1/auth/device",                         Public,         post(api::device)),
        endpoint(POST, "/v1/auth/device/token",                   Public,         post(api::token)),
        endpoint(POST, "/v1/auth/device/authorize",               Caller,         post(api::authorize)),
        endpoint(POST, "/v1/auth/dashboard-code",                 Caller,         post(api::dashboard_code)),
        endpoint(POST, "/v1/auth/cli-verify",                     Public,         post(api::verify)),
        endpoint(GET,  "/v1/auth/devices",                        Credential,     get(api::keys::list_keys_as_devices)),
        endpoint(DELETE, "/v1/auth/devices/{id}",                 Credential,     delete(api::keys::revoke_key_as_device)),
        endpoint(GET,  "/v1/auth/me",                             Credential,     get(api::me)),
        endpoint(GET,  "/v1/auth/api-keys",                       Credential,     get(api::keys::list_keys)),
        endpoint(POST, "/v1/auth/api-keys",                       Caller,         post(api::keys::create_key)),
        endpoint(DELETE, "/v1/auth/api-keys/{id}",                Credential,     delete(api::keys::revoke_key)),
        endpoint(POST, "/v1/auth/api-keys/{id}/rotate",           Caller,         post(api::keys::rotate_key)),
        endpoint(POST, "/v1/auth/api-keys/report",                Public,         post(api::keys::report_key)),
        endpoint(GET,  "/v1/devices",                             Caller,         get(api::list_devices)),
        endpoint(DELETE, "/v1/devices/{id}",                      Caller,         delete(api::revoke_device)),
        endpoint(GET,  "/ws",                                     Public,         get(ws::upgrade)),
        endpoint(GET,  "/openapi.json",                           Public,         get(openapi::openapi)),
        endpoint(GET,  "/openrpc.json",                           Public,         get(openapi::openrpc)),
        endpoint(GET,  "/docs",                                   Public,         get(openapi::docs)),
        endpoint(GET,  "/",                                       Public,         get(pages::home)),
        endpoint(GET,  "/assets/{name}",                          Public,         get(pages::asset)),
        endpoint(GET,  "/login",                                  Public,         get(pages::login)),
        endpoint(POST, "/login",                                  Form,           post(pages::sign_in)),
        endpoint(GET,  "/login/second",                           Public,         get(pages::second)),
        endpoint(POST, "/login/second",                           Form,           post(pages::complete)),
        endpoint(GET,  "/login/passkey",                          Public,         get(pages::passkey)),
        endpoint(POST, "/login/passkey",                          Form,           post(pages::use_passkey)),
        endpoint(GET,  "/login/upstream/{id}",                     Public,         get(pages::begin)),
        endpoint(GET,  "/login/upstream/{id}/callback",            Public,         get(pages::back)),
        endpoint(GET,  "/login/upstream/{id}/icon",                Public,         get(pages::icon)),
        endpoint(GET,  "/logout",                                 Public,         get(pages::logout)),
        endpoint(POST, "/logout",                                 Form,           post(pages::leave)),
        endpoint(GET,  verification_path,                         Person,         get(pages::device)),
        endpoint(POST, verification_path,                         PersonsForm,    post(pages::enter)),
        endpoint(GET,  "/account",                                Person,         get(pages::account)),
        endpoint(POST, "/account",                                PersonsForm,    post(pages::change)),
        endpoint(GET,  "/revoke/{token}",                         Public,         get(pages::ask)),
        endpoint(POST, "/revoke/{token}",                         Form,           post(pages::follow)),
        endpoint(POST, "/language",                               Form,           post(pages::language)),
        endpoint(GET,  "/account/passkey",                        Person,         get(pages::new_passkey)),
        endpoint(POST, "/account/passkey",                        PersonsForm,    post(pages::add_passkey)),
        endpoint(GET,  "/account/totp",                           Person,         get(pages::totp)),
        endpoint(POST, "/account/totp",                           PersonsForm,    post(pages::enrol)),
        endpoint(GET,  "/account/connect/{id}",                   Person,         get(pages::connecting)),
    ];
    all.extend(administration());
    all
}

/// The administration, over HTTP and on pages.
#[rustfmt::skip]
fn administration() -> Vec<Endpoint> {
    use Access::{Administrator, Person, PersonsForm};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    const PATCH: Method = Method::PATCH;
    let table = vec![
        endpoint(GET,  "/admin/api/v1/clients",                   Administrator,  get(admin::clients)),
        endpoint(POST, "/admin/api/v1/clients",                   Administrator,  post(admin::add_client)),
        endpoint(GET,  "/admin/api/v1/clients/{id}",              Administrator,  get(admin::client)),
        endpoint(PATCH, "/admin/api/v1/clients/{id}",             Administrator,  patch(admin::edit_client)),
        endpoint(DELETE, "/admin/api/v1/clients/{id}",            Administrator,  delete(admin::remove_client)),
        endpoint(POST, "/admin/api/v1/clients/{id}/rotate-secret", Administrator, post(admin::rotate_secret)),
        endpoint(GET,  "/admin/api/v1/users",                     Administrator,  get(admin::users)),
        endpoint(POST, "/admin/api/v1/users",                     Administrator,  post(admin::add_user)),
        endpoint(GET,  "/admin/api/v1/users/{id}",                Administrator,  get(admin::user)),
        endpoint(PATCH, "/admin/api/v1/users/{id}",               Administrator,  patch(admin::edit_user)),
        endpoint(DELETE, "/admin/api/v1/users/{id}",              Administrator,  delete(admin::remove_user)),
        endpoint(POST, "/admin/api/v1/users/{id}/password",       Administrator,  post(admin::password)),
        endpoint(POST, "/admin/api/v1/users/{id}/disable",        Administrator,  post(admin::disable)),
        endpoint(POST, "/admin/api/v1/users/{id}/enable",         Administrator,  post(admin::enable)),
        endpoint(POST, "/admin/api/v1/users/{id}/sign-out",       Administrator,  post(admin::sign_out)),
        endpoint(POST, "/admin/api/v1/users/{id}/reset-factors",  Administrator,  post(admin::reset_factors)),
        endpoint(GET,  "/admin/api/v1/devices",                   Administrator,  get(admin::devices)),
        endpoint(POST, "/admin/api/v1/devices/revoke",            Administrator,  post(admin::sweep)),
        endpoint(DELETE, "/admin/api/v1/devices/{id}",            Administrator,  delete(admin::revoke_device)),
        endpoint(POST, "/admin/api/v1/devices/{id}/assign",       Administrator,  post(admin::assign)),
        endpoint(GET,  "/admin/api/v1/keys",                      Administrator,  get(admin::keys)),
        endpoint(POST, "/admin/api/v1/keys/rotate",               Administrator,  post(admin::rotate_keys)),
        endpoint(GET,  "/admin/api/v1/audit",                     Administrator,  get(admin::audit)),
        endpoint(GET,  "/admin/api/v1/audit/export",              Administrator,  get(admin::export_audit)),
        endpoint(GET,  "/admin/api/v1/audit/verify",              Administrator,  get(admin::verify_audit)),
        endpoint(GET,  "/admin/api/v1/notices",                   Administrator,  get(admin::notices)),
        endpoint(POST, "/admin/api/v1/notices/{id}/replay",       Administrator,  post(admin::replay_notice)),
        endpoint(GET,  "/admin",                                  Person,         get(pages::admin::overview)),
        endpoint(GET,  "/admin/clients",                          Person,         get(pages::admin::clients)),
        endpoint(GET,  "/admin/clients/new",                      Person,         get(pages::admin::new_client)),
        endpoint(POST, "/admin/clients/new",                      PersonsForm,    post(pages::admin::make_client)),
        endpoint(GET,  "/admin/clients/{id}",                     Person,         get(pages::admin::client)),
        endpoint(POST, "/admin/clients/{id}",                     PersonsForm,    post(pages::admin::change_client)),
        endpoint(GET,  "/admin/users",                            Person,         get(pages::admin::users)),
        endpoint(GET,  "/admin/users/new",                        Person,         get(pages::admin::new_user)),
        endpoint(POST, "/admin/users/new",                        PersonsForm,    post(pages::admin::make_user)),
        endpoint(GET,  "/admin/users/{id}",                       Person,         get(pages::admin::user)),
        endpoint(POST, "/admin/users/{id}",                       PersonsForm,    post(pages::admin::change_user)),
        endpoint(GET,  "/admin/devices",                          Person,         get(pages::admin::devices)),
        endpoint(POST, "/admin/devices",                          PersonsForm,    post(pages::admin::revoke)),
        endpoint(GET,  "/admin/keys",                             Person,         get(pages::admin::keys)),
        endpoint(POST, "/admin/keys",                             PersonsForm,    post(pages::admin::rotate)),
        endpoint(GET,  "/admin/audit",                            Person,         get(pages::admin::audit)),
        endpoint(GET,  "/admin/audit/export",                     Person,         get(pages::admin::export)),
        endpoint(GET,  "/admin/notices",                          Person,         get(pages::admin::notices)),
        endpoint(POST, "/admin/notices",                          PersonsForm,    post(pages::admin::replay)),
        endpoint(GET,  "/admin/api/v1/figures",                   Administrator,  get(admin::figures)),
    ];
    table.into_iter().map(Endpoint::done_to_its_end).collect()
}

pub fn router(app: Arc<App>) -> Router {
    let mut routes = Router::new();
    for endpoint in table(&app.config.device.verification_path) {
        routes = routes.route(&endpoint.path, endpoint.handler);
    }
    let base = app.public_url.base_path();
    let all = if base.is_empty() {
        routes
    } else {
        // RFC 8414 §3.1 puts the well-known part before the issuer's path.
        let inserted = format!("/.well-known/oauth-authorization-server{base}");
        Router::new()
            .nest(base, routes)
            .route(&format!("{base}/"), get(pages::home))
            .route(&inserted, get(oauth::metadata::discovery))
    };
    let caught = CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
        tracing::error!("a handler panicked");
        (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.").into_response()
    });
    let area = Area::of(base);
    let area_too = area.clone();
    all.fallback(async move |State(app): State<Arc<App>>, parts: Parts| match area.find(parts.uri.path()) {
        Some(Which::Api) => api::missing(),
        Some(Which::Admin) => admin::missing(),
        None => pages::missing(State(app), parts).await,
    })
    .method_not_allowed_fallback(async move |parts: Parts| match area_too.find(parts.uri.path()) {
        Some(Which::Api) => api::method_not_allowed(),
        Some(Which::Admin) => admin::method_not_allowed(),
        None => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    })
    .layer(caught)
    .layer(from_fn_with_state(app.clone(), surround))
    .with_state(app)
}

/// Which door tells that there is nothing.
#[derive(Clone, Debug)]
struct Area {
    api: String,
    admin: String,
}

enum Which {
    Api,
    Admin,
}

impl Area {
    fn of(base: &str) -> Self {
        Self { api: format!("{base}/v1"), admin: format!("{base}/admin/api") }
    }

    fn find(&self, path: &str) -> Option<Which> {
        let below = |whole: &str| {
            path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below(&self.api) { Some(Which::Api) } else { below(&self.admin).then_some(Which::Admin) }
    }
}

/// The peer of the connection, put in by the listener.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No script, no frame, nothing from elsewhere, forms only to ourselves.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Names the request, finds out who calls, measures, logs, and sets the headers of every answer.
async fn surround(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let start = app.clock.now();
    let id = RequestId::new(start, app.entropy.id().unwrap_or_default());
    let peer =
        request.extensions().get::<Peer>().map_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)), |peer| peer.0);
    let address =
        origin::client_address(peer, request.headers(), &app.config.trusted_proxies, app.config.hop_header);
    request.extensions_mut().insert(ClientAddress(address));
    request.extensions_mut().insert(RequestIdOf(id));
    // The route's pattern, never the path or query: those may hold a user code.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", %id, %method, %route, %address);
    let traced = trace::request(id, known_method(&method), &route);
    if app.config.trusted_proxies.iter().any(|network| network.contains(&peer.ip().to_canonical())) {
        trace::continued(&traced, request.headers());
    }
    let mut response = next.run(request).instrument(span.clone()).instrument(traced.clone()).await;
    let status = response.status().as_u16();
    let took = app.clock.now().since(start);
    app.metrics.request(known_method(&method), &route, status, took);
    trace::answered(&traced, status);
    span.in_scope(|| {
        tracing::info!(status, micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
    });
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    // A page with a script of ours says so itself.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CSP);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not no-referrer: with it browsers send `Origin: null` along with forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if app.public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Methods are a label of a metric, and anybody can invent methods.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
