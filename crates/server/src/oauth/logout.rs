//! Signing out at a client's wish (OpenID Connect RP-Initiated Logout 1.0). Who asks is found out here;
//! a page asks the person.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded;

use super::error::OAuthError;
use super::question::TEXT_BYTES;
use super::{Outcome, form};
use crate::app::App;
use crate::flow::access;
use crate::http::Form;

pub async fn end_session(State(app): State<Arc<App>>, request: Request) -> Outcome {
    let form = if request.method() == Method::POST {
        form(request).await?.1
    } else {
        Form::parse(request.uri().query().unwrap_or_default()).map_err(OAuthError::Body)?
    };
    let now = app.clock.now();
    let hinted = match form.one("id_token_hint") {
        Some(token) => access::id_token_client(&app, token, now).await?,
        None => None,
    };
    let said = form.one("client_id");
    // The two must be one client; then no address of either is any good.
    let client = match (&hinted, said) {
        (Some(hinted), Some(said)) if hinted.as_str() != said => None,
        (Some(hinted), _) => Some(hinted.as_str()),
        (None, said) => said,
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let (Some(client), Some(uri)) = (client, form.one("post_logout_redirect_uri")) {
        query.append_pair("client_id", client).append_pair("post_logout_redirect_uri", uri);
        if let Some(state) = form.one("state").filter(|state| state.len() <= TEXT_BYTES) {
            query.append_pair("state", state);
        }
    }
    let place = format!("{}/logout?{}", app.public_url.base_path(), query.finish());
    let mut response: Response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
