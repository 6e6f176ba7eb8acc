//! Where administrative commands work: on the database that the configuration names, or through a
//! server's administration over HTTP.

use countersign_client::{Admin, Plain};
use countersign_core::admin::{
    Assignment, ClientChange, ClientView, DeviceView, Items, KeyView, NewClient, NewPassword, NewUser,
    Rotation, SweepRequest, Swept, UserChange, UserView,
};
use countersign_core::audit::By;
use countersign_server::app::App;
use countersign_server::flow::accounts::UserAct;
use countersign_server::flow::office::{DeviceQuery, Office, PAGE, Refused};
use countersign_server::http::in_path;
use countersign_server::store::Opening;
use reqwest::Method;
use serde::Deserialize;

use crate::admin::open;
use crate::args::Global;
use crate::device::administering;
use crate::failure::Outcome;

#[derive(Debug)]
pub enum Desk {
    Here(Box<App>),
    There(Admin),
}

#[derive(Default, Deserialize)]
struct Made {
    password: Option<Plain>,
}

/// The body of a request without one.
pub const NOTHING: Option<&()> = None;

/// Reads every page of a list.
macro_rules! pages {
    ($app:expr, $list:ident $(, $filter:expr)*) => {{
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = office($app).$list(cursor.as_deref() $(, $filter)*, PAGE).await??;
            all.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break all,
            }
        }
    }};
}

fn office(app: &App) -> Office<'_> {
    Office { app, by: By::COMMAND_LINE, now: app.clock.now() }
}

impl Desk {
    /// `opening` is for the database of this machine.
    pub async fn open(global: &Global, server: Option<&str>, opening: Opening) -> Outcome<Self> {
        match server {
            None => Ok(Self::Here(Box::new(open(global, opening).await?))),
            Some(server) => Ok(Self::There(Admin::at(server, administering(server).await?)?)),
        }
    }

    /// A server that runs has seen what was written.
    async fn settled(app: &App) {
        app.store.settled().await;
    }

    pub async fn clients(&self) -> Outcome<Vec<ClientView>> {
        match self {
            Self::Here(app) => Ok(pages!(app, clients, None)),
            Self::There(admin) => Ok(admin.all("/clients").await?),
        }
    }

    pub async fn client(&self, id: &str) -> Outcome<ClientView> {
        match self {
            Self::Here(app) => Ok(office(app).client(id).await??),
            Self::There(admin) => {
                Ok(admin.call(Method::GET, &format!("/clients/{}", in_path(id)), NOTHING).await?)
            }
        }
    }

    pub async fn add_client(&self, new: NewClient) -> Outcome<ClientView> {
        match self {
            Self::Here(app) => Ok(office(app).add_client(new).await??),
            Self::There(admin) => Ok(admin.call(Method::POST, "/clients", Some(&new)).await?),
        }
    }

    pub async fn edit_client(&self, id: &str, change: ClientChange) -> Outcome<ClientView> {
        match self {
            Self::Here(app) => {
                let client = office(app).edit_client(id, change, None).await??;
                Self::settled(app).await;
                Ok(client)
            }
            Self::There(admin) => {
                let path = format!("/clients/{}", in_path(id));
                Ok(admin.call(Method::PATCH, &path, Some(&change)).await?)
            }
        }
    }

    pub async fn rotate_secret(&self, id: &str, rotation: Rotation) -> Outcome<ClientView> {
        match self {
            Self::Here(app) => {
                let client = office(app).rotate_secret(id, rotation, None).await??;
                Self::settled(app).await;
                Ok(client)
            }
            Self::There(admin) => {
                let path = format!("/clients/{}/rotate-secret", in_path(id));
                Ok(admin.call(Method::POST, &path, Some(&rotation)).await?)
            }
        }
    }

    pub async fn remove_client(&self, id: &str) -> Outcome {
        match self {
            Self::Here(app) => {
                office(app).remove_client(id, None).await??;
                Self::settled(app).await;
                Ok(())
            }
            Self::There(admin) => Ok(admin.act(Method::DELETE, &format!("/clients/{}", in_path(id))).await?),
        }
    }

    pub async fn users(&self) -> Outcome<Vec<UserView>> {
        match self {
            Self::Here(app) => Ok(pages!(app, users, None)),
            Self::There(admin) => Ok(admin.all("/users").await?),
        }
    }

    pub async fn add_user(&self, new: NewUser) -> Outcome<UserView> {
        match self {
            Self::Here(app) => Ok(office(app).add_user(new).await??),
            Self::There(admin) => Ok(admin.call(Method::POST, "/users", Some(&new)).await?),
        }
    }

    pub async fn edit_user(&self, name: &str, change: UserChange) -> Outcome<UserView> {
        match self {
            Self::Here(app) => Ok(office(app).edit_user(name, change, None).await??),
            Self::There(admin) => {
                let path = format!("/users/{}", in_path(name));
                Ok(admin.call(Method::PATCH, &path, Some(&change)).await?)
            }
        }
    }

    /// The new password, if it was made.
    pub async fn set_password(&self, name: &str, chosen: Option<Plain>) -> Outcome<Option<Plain>> {
        match self {
            Self::Here(app) => Ok(office(app).set_password(name, chosen, None).await??),
            Self::There(admin) => {
                let path = format!("/users/{}/password", in_path(name));
                let (makes, new) = (chosen.is_none(), NewPassword { password: chosen });
                if makes {
                    let made: Made = admin.call(Method::POST, &path, Some(&new)).await?;
                    return Ok(made.password);
                }
                let _done = admin.send(Method::POST, &path, Some(&new)).await?;
                Ok(None)
            }
        }
    }

    pub async fn act_on_user(&self, name: &str, act: UserAct) -> Outcome {
        match self {
            Self::Here(app) => Ok(office(app).act_on_user(name, act, None).await??),
            Self::There(admin) => {
                let user = format!("/users/{}", in_path(name));
                let (method, path) = match act {
                    UserAct::Remove => (Method::DELETE, user),
                    UserAct::Disable => (Method::POST, format!("{user}/disable")),
                    UserAct::Enable => (Method::POST, format!("{user}/enable")),
                    UserAct::SignOut => (Method::POST, format!("{user}/sign-out")),
                    UserAct::ResetFactors => (Method::POST, format!("{user}/reset-factors")),
                };
                Ok(admin.act(method, &path).await?)
            }
        }
    }

    pub async fn devices(&self, wanted: DeviceQuery) -> Outcome<Vec<DeviceView>> {
        match self {
            Self::Here(app) => Ok(pages!(app, devices, wanted.clone())),
            Self::There(admin) => {
                let DeviceQuery { user, client, address, words, door, active } = wanted;
                let status = active.then(|| "active".to_owned());
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                let said = [("user", user), ("client", client), ("address", address)];
                for (name, value) in
                    said.into_iter().chain([("q", words), ("door", door), ("status", status)])
                {
                    query.extend_pairs(value.map(|value| (name, value)));
                }
                Ok(admin.all(&format!("/devices?{}", query.finish())).await?)
            }
        }
    }

    pub async fn revoke_device(&self, id: &str) -> Outcome {
        match self {
            Self::Here(app) => Ok(office(app).revoke_device(id).await??),
            Self::There(admin) => Ok(admin.act(Method::DELETE, &format!("/devices/{}", in_path(id))).await?),
        }
    }

    pub async fn sweep(&self, request: SweepRequest) -> Outcome<Swept> {
        match self {
            Self::Here(app) => Ok(office(app).sweep(request).await??),
            Self::There(admin) => Ok(admin.call(Method::POST, "/devices/revoke", Some(&request)).await?),
        }
    }

    pub async fn assign(&self, id: &str, owner: String) -> Outcome {
        match self {
            Self::Here(app) => Ok(office(app).assign(id, &owner).await??),
            Self::There(admin) => {
                let path = format!("/devices/{}/assign", in_path(id));
                let _done = admin.send(Method::POST, &path, Some(&Assignment { owner })).await?;
                Ok(())
            }
        }
    }

    pub async fn keys(&self) -> Outcome<Vec<KeyView>> {
        match self {
            Self::Here(app) => Ok(office(app).keys().await?),
            Self::There(admin) => {
                let keys: Items<KeyView> = admin.call(Method::GET, "/keys", NOTHING).await?;
                Ok(keys.items)
            }
        }
    }

    pub async fn rotate_keys(&self) -> Outcome<Vec<KeyView>> {
        match self {
            Self::Here(app) => {
                let keys = office(app).rotate_keys().await??;
                Self::settled(app).await;
                Ok(keys)
            }
            Self::There(admin) => {
                let keys: Items<KeyView> = admin.call(Method::POST, "/keys/rotate", NOTHING).await?;
                Ok(keys.items)
            }
        }
    }
}

/// Whether it was said wrongly, rather than refused for what is there.
pub const fn is_misuse(refused: &Refused) -> bool {
    matches!(refused, Refused::Invalid(_))
}
