//! One person, as an administrator sees them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::admin::{NewUser, UserChange, UserView};

use super::{Desk, Page, Said, get, post, status};
use crate::app::App;
use crate::flow::accounts::UserAct;
use crate::flow::office::Refused;
use crate::http::{BadForm, Form, PathId, in_path};
use crate::pages::{Outcome, PageError, render};

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    page: Page,
    said: Option<Said>,
    title: String,
    path: String,
    user: Option<UserView>,
    form: UserForm,
    password: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct UserForm {
    name: String,
    email: String,
    full_name: String,
    tier: String,
    admin: bool,
}

impl UserForm {
    fn of(user: &UserView) -> Self {
        Self {
            name: user.name.clone(),
            email: user.email.clone().unwrap_or_default(),
            full_name: user.full_name.clone().unwrap_or_default(),
            tier: user.tier.clone(),
            admin: user.admin,
        }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.one(name).unwrap_or_default().trim().to_owned();
        Self {
            name: text("name"),
            email: text("email"),
            full_name: text("full_name"),
            tier: text("tier"),
            admin: form.one("admin").is_some(),
        }
    }
}

fn path_of(name: &str) -> String {
    format!("/admin/users/{}", in_path(name))
}

struct Shown {
    status: StatusCode,
    user: Option<UserView>,
    form: UserForm,
    said: Option<Said>,
    password: Option<String>,
}

fn show(desk: &Desk<'_>, shown: Shown) -> Outcome {
    let Shown { status, user, form, said, password } = shown;
    let (title, path) = match &user {
        Some(user) => (user.name.clone(), path_of(&user.name)),
        None => ("Add somebody".to_owned(), "/admin/users/new".to_owned()),
    };
    render(status, &UserPage { page: desk.page(), said, title, path, user, form, password })
}

pub async fn new_user(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let form = UserForm::default();
        show(&desk, Shown { status: StatusCode::OK, user: None, form, said: None, password: None })
    })
    .await
}

pub async fn make_user(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |desk, sent| {
        let form = UserForm::read(sent);
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let new = NewUser {
            name: form.name.clone(),
            email: some(&form.email),
            full_name: some(&form.full_name),
            tier: some(&form.tier),
            admin: form.admin,
            password: None,
        };
        let shown = match desk.office().add_user(new).await? {
            Ok(user) => Shown {
                status: StatusCode::CREATED,
                form: UserForm::of(&user),
                said: Said::done("They are added."),
                password: user.password.as_ref().map(|password| password.reveal().to_owned()),
                user: Some(user),
            },
            Err(refused) => Shown {
                status: status(&refused),
                user: None,
                form,
                said: Said::wrong(refused.to_string()),
                password: None,
            },
        };
        show(&desk, shown)
    })
    .await
}

async fn found(desk: &Desk<'_>, name: &str) -> Result<UserView, PageError> {
    desk.office().user(name).await?.map_err(|_| PageError::Missing)
}

pub async fn user(State(app): State<Arc<App>>, PathId(name): PathId, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let user = found(&desk, &name).await?;
        let form = UserForm::of(&user);
        show(&desk, Shown { status: StatusCode::OK, user: Some(user), form, said: None, password: None })
    })
    .await
}

pub async fn change_user(State(app): State<Arc<App>>, PathId(name): PathId, request: Request) -> Response {
    post(app, request, async |desk, sent| {
        let known = found(&desk, &name).await?;
        let office = desk.office();
        let act = match sent.one("action") {
            Some("save") => return save(&desk, known, sent).await,
            Some("password") => {
                let (said, password, code) = match office.set_password(&name, None, None).await? {
                    Ok(made) => (Said::done("There is a new password."), made, StatusCode::OK),
                    Err(refused) => (Said::wrong(refused.to_string()), None, status(&refused)),
                };
                let password = password.map(|made| made.reveal().to_owned());
                let form = UserForm::of(&known);
                return show(&desk, Shown { status: code, user: Some(known), form, said, password });
            }
            Some("sign_out") => (UserAct::SignOut, "They are signed out everywhere."),
            Some("reset_factors") => (UserAct::ResetFactors, "They sign in with their password alone."),
            Some("disable") => (UserAct::Disable, "They are locked out."),
            Some("enable") => (UserAct::Enable, "They may sign in again."),
            _ => return Err(PageError::Form(BadForm::Broken)),
        };
        let (code, said) = match office.act_on_user(&name, act.0, None).await? {
            Ok(()) => (StatusCode::OK, Said::done(act.1)),
            Err(refused) => (status(&refused), Said::wrong(refused.to_string())),
        };
        let user = found(&desk, &name).await?;
        let form = UserForm::of(&user);
        show(&desk, Shown { status: code, user: Some(user), form, said, password: None })
    })
    .await
}

async fn save(desk: &Desk<'_>, known: UserView, sent: &Form) -> Outcome {
    let form = UserForm::read(sent);
    let seen = sent.one("revision").and_then(|revision| revision.parse().ok());
    let refusal = |refused: &Refused, form: UserForm| Shown {
        status: status(refused),
        user: Some(known.clone()),
        form,
        said: Said::wrong(refused.to_string()),
        password: None,
    };
    let change = UserChange {
        email: Some(form.email.clone()),
        full_name: Some(form.full_name.clone()),
        tier: Some(form.tier.clone()),
        admin: Some(form.admin),
    };
    match desk.office().edit_user(&known.name, change, seen).await? {
        Ok(user) => {
            let (form, said) = (UserForm::of(&user), Said::done("Saved."));
            show(desk, Shown { status: StatusCode::OK, user: Some(user), form, said, password: None })
        }
        Err(refused) => show(desk, refusal(&refused, form)),
    }
}
