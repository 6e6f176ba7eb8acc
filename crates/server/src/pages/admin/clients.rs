//! One client: its settings as a form.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::admin::{ClientChange, ClientView, NewClient, Rotation};
use countersign_core::client::{Field, GrantType};
use countersign_core::time::Span;

use super::{Desk, Page, Said, get, post, status};
use crate::app::App;
use crate::flow::office::Refused;
use crate::http::{BadForm, Form, PathId, in_path};
use crate::pages::{Outcome, PageError, redirect, render};

#[derive(Template)]
#[template(path = "admin/client.html")]
struct ClientPage {
    page: Page,
    said: Option<Said>,
    title: String,
    path: String,
    form: ClientForm,
    secret: Option<String>,
}

/// What stands in the form, as text.
#[derive(Clone, Debug, Default)]
struct ClientForm {
    new: bool,
    client_id: String,
    auth_method: String,
    name: String,
    scopes: String,
    chosen: Vec<GrantType>,
    redirect_uris: String,
    post_logout_redirect_uris: String,
    resources: String,
    token_format: String,
    id_token_alg: String,
    code_ttl: String,
    interval: String,
    access_ttl: String,
    refresh_ttl: String,
    refresh_idle_ttl: String,
    dpop_bound: bool,
    require_par: bool,
    jwks: String,
    policy: String,
    revision: u32,
    old_secret_until: Option<String>,
}

const GRANTS: [(GrantType, &str, &str); 4] = [
    (GrantType::DeviceCode, "device_code", "the device flow: people type a code"),
    (GrantType::AuthorizationCode, "authorization_code", "the browser flow: authorization codes with PKCE"),
    (GrantType::RefreshToken, "refresh_token", "refresh tokens: it stays connected"),
    (GrantType::ClientCredentials, "client_credentials", "tokens of its own, in nobody's name"),
];

impl ClientForm {
    fn blank() -> Self {
        Self {
            new: true,
            auth_method: "none".to_owned(),
            chosen: vec![GrantType::DeviceCode, GrantType::RefreshToken],
            token_format: "jwt".to_owned(),
            id_token_alg: "ES256".to_owned(),
            ..Self::default()
        }
    }

    fn of(client: &ClientView) -> Self {
        let span = |span: Option<Span>| span.map_or_else(String::new, |span| span.to_string());
        Self {
            new: false,
            client_id: client.client_id.clone(),
            auth_method: client.auth_method.clone(),
            name: client.name.clone(),
            scopes: client.scopes.join(" "),
            chosen: client.grants.iter().filter_map(|name| name.parse().ok()).collect(),
            redirect_uris: client.redirect_uris.join("\n"),
            post_logout_redirect_uris: client.post_logout_redirect_uris.join("\n"),
            resources: client.resources.join("\n"),
            token_format: client.token_format.clone(),
            id_token_alg: client.id_token_alg.clone(),
            code_ttl: span(client.code_ttl),
            interval: span(client.interval),
            access_ttl: span(client.access_ttl),
            refresh_ttl: span(client.refresh_ttl),
            refresh_idle_ttl: span(client.refresh_idle_ttl),
            dpop_bound: client.dpop_bound,
            require_par: client.require_par,
            jwks: client.jwks.as_ref().map_or_else(String::new, ToString::to_string),
            // An error is no TOML, so that saving it in the policy's place is refused.
            policy: toml::to_string(&client.policy).unwrap_or_else(|error| error.to_string()),
            revision: client.revision,
            old_secret_until: client.old_secret_until.clone(),
        }
    }

    /// As it was filled in; what cannot be filled in stays as it was.
    fn filled(self, form: &Form) -> Self {
        let text = |name: &str| form.one(name).unwrap_or_default().trim().to_owned();
        let chosen = GRANTS.iter().filter(|(_, name, _)| form.one(&format!("grant_{name}")).is_some());
        let new = self.new;
        Self {
            client_id: if new { text("client_id") } else { self.client_id.clone() },
            auth_method: if new { text("auth_method") } else { self.auth_method.clone() },
            name: text("name"),
            scopes: text("scopes"),
            chosen: chosen.map(|(grant, _, _)| *grant).collect(),
            redirect_uris: text("redirect_uris"),
            post_logout_redirect_uris: text("post_logout_redirect_uris"),
            resources: text("resources"),
            token_format: text("token_format"),
            id_token_alg: text("id_token_alg"),
            code_ttl: text("code_ttl"),
            interval: text("interval"),
            access_ttl: text("access_ttl"),
            refresh_ttl: text("refresh_ttl"),
            refresh_idle_ttl: text("refresh_idle_ttl"),
            dpop_bound: form.one("dpop_bound").is_some(),
            require_par: form.one("require_par").is_some(),
            jwks: text("jwks"),
            policy: text("policy"),
            revision: form.one("revision").and_then(|revision| revision.parse().ok()).unwrap_or(0),
            ..self
        }
    }

    /// The whole of it takes the place of what was there.
    fn change(&self) -> Result<ClientChange, Refused> {
        let lines = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let span = |text: &str| match text {
            "" => Ok(None),
            text => text.parse::<Span>().map(Some).map_err(|error| Refused::Invalid(error.to_string())),
        };
        let policy = toml::from_str(&self.policy)
            .map_err(|error| Refused::Invalid(format!("The policy cannot be read: {}", error.message())))?;
        let jwks = match self.jwks.as_str() {
            "" => None,
            text => Some(
                serde_json::from_str(text)
                    .map_err(|error| Refused::Invalid(format!("The keys are no JSON: {error}")))?,
            ),
        };
        Ok(ClientChange {
            name: Some(self.name.clone()),
            scopes: Some(lines(&self.scopes)),
            grants: Some(self.chosen.iter().map(ToString::to_string).collect()),
            resources: Some(lines(&self.resources)),
            token_format: Some(self.token_format.clone()),
            id_token_alg: Some(self.id_token_alg.clone()),
            code_ttl: span(&self.code_ttl)?,
            interval: span(&self.interval)?,
            policy: Some(policy),
            redirect_uris: Some(lines(&self.redirect_uris)),
            post_logout_redirect_uris: Some(lines(&self.post_logout_redirect_uris)),
            access_ttl: span(&self.access_ttl)?,
            refresh_ttl: span(&self.refresh_ttl)?,
            refresh_idle_ttl: span(&self.refresh_idle_ttl)?,
            dpop_bound: Some(self.dpop_bound),
            require_par: Some(self.require_par),
            jwks,
            // What is left empty goes back to its default.
            reset: if self.new {
                Vec::new()
            } else {
                Field::NAMES.iter().map(|name| (*name).to_owned()).collect()
            },
        })
    }

    /// Each with whether it is the one.
    fn methods(&self) -> [(&'static str, &'static str, bool); 5] {
        [
            ("none", "nothing: a public client"),
            ("client_secret", "a secret, in any way"),
            ("client_secret_basic", "a secret, by HTTP Basic alone"),
            ("client_secret_post", "a secret, in the form alone"),
            ("private_key_jwt", "signing with its own key"),
        ]
        .map(|(value, name)| (value, name, self.auth_method == value))
    }

    fn grants(&self) -> Vec<(&'static str, &'static str, bool)> {
        GRANTS.iter().map(|(grant, name, label)| (*name, *label, self.chosen.contains(grant))).collect()
    }

    fn spans(&self) -> [(&'static str, &'static str, &str); 5] {
        [
            ("code_ttl", "Codes live", &self.code_ttl),
            ("interval", "Devices wait between polls", &self.interval),
            ("access_ttl", "Access tokens live (a day at most)", &self.access_ttl),
            ("refresh_ttl", "Logins live", &self.refresh_ttl),
            ("refresh_idle_ttl", "Unused refresh tokens live", &self.refresh_idle_ttl),
        ]
    }

    fn has_secret(&self) -> bool {
        self.auth_method.contains("client_secret")
    }
}

fn path_of(id: &str) -> String {
    format!("/admin/clients/{}", in_path(id))
}

fn show(
    desk: &Desk<'_>,
    status: StatusCode,
    form: ClientForm,
    said: Option<Said>,
    secret: Option<String>,
) -> Outcome {
    let (title, path) = if form.new {
        ("Add a client".to_owned(), "/admin/clients/new".to_owned())
    } else {
        (form.name.clone(), path_of(&form.client_id))
    };
    render(status, &ClientPage { page: desk.page(), said, title, path, form, secret })
}

fn refused(desk: &Desk<'_>, form: ClientForm, refused: &Refused) -> Outcome {
    show(desk, status(refused), form, Said::wrong(refused.to_string()), None)
}

pub async fn new_client(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| show(&desk, StatusCode::OK, ClientForm::blank(), None, None)).await
}

pub async fn make_client(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |desk, sent| {
        let form = ClientForm::blank().filled(sent);
        let settings = match form.change() {
            Ok(settings) => settings,
            Err(wrong) => return refused(&desk, form, &wrong),
        };
        let new = NewClient {
            client_id: form.client_id.clone(),
            auth_method: Some(form.auth_method.clone()),
            settings,
        };
        match desk.office().add_client(new).await? {
            Ok(client) => {
                let secret = client.client_secret.as_ref().map(|secret| secret.reveal().to_owned());
                let said = Said::done("The client is added.");
                show(&desk, StatusCode::CREATED, ClientForm::of(&client), said, secret)
            }
            Err(wrong) => refused(&desk, form, &wrong),
        }
    })
    .await
}

async fn found(desk: &Desk<'_>, id: &str) -> Result<ClientForm, PageError> {
    match desk.office().client(id).await? {
        Ok(client) => Ok(ClientForm::of(&client)),
        Err(_) => Err(PageError::Missing),
    }
}

pub async fn client(State(app): State<Arc<App>>, PathId(id): PathId, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let form = found(&desk, &id).await?;
        show(&desk, StatusCode::OK, form, None, None)
    })
    .await
}

pub async fn change_client(State(app): State<Arc<App>>, PathId(id): PathId, request: Request) -> Response {
    post(app, request, async |desk, sent| {
        let known = found(&desk, &id).await?;
        let seen = sent.one("revision").and_then(|revision| revision.parse().ok());
        match sent.one("action") {
            Some("save") => {
                let form = known.filled(sent);
                let change = match form.change() {
                    Ok(change) => change,
                    Err(wrong) => return refused(&desk, form, &wrong),
                };
                match desk.office().edit_client(&id, change, seen).await? {
                    Ok(client) => {
                        show(&desk, StatusCode::OK, ClientForm::of(&client), Said::done("Saved."), None)
                    }
                    Err(wrong) => refused(&desk, form, &wrong),
                }
            }
            Some("rotate") => {
                let overlap = sent.one("overlap").map(|text| text.trim().parse::<Span>()).transpose();
                let overlap = match overlap {
                    Ok(overlap) => overlap,
                    Err(bad) => return refused(&desk, known, &Refused::Invalid(bad.to_string())),
                };
                match desk.office().rotate_secret(&id, Rotation { overlap }, seen).await? {
                    Ok(client) => {
                        let secret = client.client_secret.as_ref().map(|secret| secret.reveal().to_owned());
                        let said = Said::done("There is a new secret.");
                        show(&desk, StatusCode::OK, ClientForm::of(&client), said, secret)
                    }
                    Err(wrong) => refused(&desk, known, &wrong),
                }
            }
            Some("remove") if sent.one("sure") != Some(id.as_str()) => refused(
                &desk,
                known,
                &Refused::Invalid("Nothing was removed: type the client's id to go on.".to_owned()),
            ),
            Some("remove") => match desk.office().remove_client(&id, None).await? {
                Ok(()) => redirect(desk.app, "/admin/clients"),
                Err(wrong) => refused(&desk, known, &wrong),
            },
            _ => Err(PageError::Form(BadForm::Broken)),
        }
    })
    .await
}
