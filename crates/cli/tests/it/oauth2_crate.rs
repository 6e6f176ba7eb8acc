//! A foreign judge: the `oauth2` crate logs in unmodified.

use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthUrl, ClientId, ClientSecret, DeviceAuthorizationUrl, HttpRequest, HttpResponse,
    Scope, StandardDeviceAuthorizationResponse, TokenResponse as _, TokenUrl,
};

use crate::process::{Person, Server, add_user, json, run};

/// The crate's own HTTP feature brings an older reqwest; this is ours.
#[derive(Clone)]
struct Http(reqwest::Client);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct HttpError(String);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let failed = |error: reqwest::Error| HttpError(error.to_string());
            let response = self.0.execute(request.try_into().map_err(failed)?).await.map_err(failed)?;
            let mut answer = HttpResponse::new(Vec::new());
            *answer.status_mut() = response.status();
            answer.headers_mut().clone_from(response.headers());
            *answer.body_mut() = response.bytes().await.map_err(failed)?.to_vec();
            Ok(answer)
        })
    }
}

async fn log_in(server: &Server, id: &str, secret: Option<&str>) {
    let url = |path: &str| format!("{}/oauth2/v1/{path}", server.url);
    let client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_auth_uri(AuthUrl::new(url("authorize")).unwrap())
        .set_token_uri(TokenUrl::new(url("token")).unwrap())
        .set_device_authorization_url(DeviceAuthorizationUrl::new(url("device_authorization")).unwrap());
    let client = match secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.to_owned())),
        None => client,
    };
    let http = Http(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap());
    let details: StandardDeviceAuthorizationResponse = client
        .exchange_device_code()
        .add_scope(Scope::new("openid".to_owned()))
        .request_async(&http)
        .await
        .unwrap();
    let code = details.user_code().secret().clone();
    Person::sign_in(&server.url, "alice").await.decide(&code, "approve").await;
    let tokens = client
        .exchange_device_access_token(&details)
        .request_async(&http, tokio::time::sleep, None)
        .await
        .unwrap();
    let renewed =
        client.exchange_refresh_token(tokens.refresh_token().unwrap()).request_async(&http).await.unwrap();
    assert_ne!(renewed.access_token().secret(), tokens.access_token().secret());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oauth2_crate_logs_in_unmodified() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    add_user(folder.path(), "alice");
    let args = ["--data-dir", "data", "client", "add", "--id", "api", "--name", "API", "--secret", "--json"];
    let secret = json(&run(folder.path(), &args))["client_secret"].as_str().unwrap().to_owned();
    log_in(&server, "countersign-cli", None).await;
    log_in(&server, "api", Some(&secret)).await;
}
