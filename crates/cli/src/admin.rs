//! `user`, `client`, `device`, `key`, `migrate`: they act on the database that the configuration
//! names, also while the server runs, or through a server with `--server`.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use countersign_client::Plain;
use countersign_core::account::Username;
use countersign_core::admin::{
    ClientChange, ClientView, DeviceView, KeyView, NewClient, NewUser, Rotation, SweepRequest, UserChange,
    UserView,
};
use countersign_core::client::AuthMethod;
use countersign_core::policy::Exceptions;
use countersign_core::scope::Scopes;
use countersign_core::time::{Span, Timestamp};
use countersign_server::app::App;
use countersign_server::flow::accounts::UserAct;
use countersign_server::flow::audit::exact;
use countersign_server::flow::office::DeviceQuery;
use countersign_server::flow::setup;
use countersign_server::signing::{JWKS_CACHED, Stage};
use countersign_server::store::Opening;
use countersign_server::world::{Clock, Entropy};
use serde_json::{Value, json};

use crate::args::{
    At, ClientCommand, ClientFields, DeviceCommand, DeviceFilter, Global, KeyCommand, SweepOptions,
    UserCommand,
};
use crate::config;
use crate::desk::Desk;
use crate::failure::{Outcome, failure, usage};
use crate::output::{self, line, table};

pub async fn open(global: &Global, opening: Opening) -> Outcome<App> {
    let config = config::load(global, &[])?;
    let listen = config.listen;
    Ok(setup::open(config, opening, listen, Clock::System, Entropy::Os).await?)
}

pub async fn migrate(global: &Global) -> Outcome {
    let app = open(global, Opening::Migrate).await?;
    app.store.ready().await?;
    app.store.close().await;
    line("The database is up to date.")
}

pub fn username(name: &str) -> Outcome<Username> {
    name.parse().map_err(|error| usage(format!("`{name}`: {error}"), "try letters, digits, dots and dashes"))
}

/// From standard input or from the terminal; none where it is to be made.
fn password(from_stdin: bool) -> Outcome<Option<Plain>> {
    if from_stdin {
        let mut text = String::new();
        std::io::stdin().lock().read_line(&mut text)?;
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        return Ok(Some(Plain::new(text.to_owned())));
    }
    if std::io::stdin().is_terminal() {
        let first = Plain::new(rpassword::prompt_password("Password: ")?);
        let second = Plain::new(rpassword::prompt_password("Once more: ")?);
        if !first.digest().matches(&second.digest()) {
            return Err(failure("the two passwords differ", "run the command again"));
        }
        return Ok(Some(first));
    }
    Ok(None)
}

/// Adding something may be the first thing that happens to an installation; anything else asks for
/// one that exists.
const fn opening(adds: bool) -> Opening {
    if adds { Opening::Create } else { Opening::Existing }
}

pub async fn user(global: &Global, at: At<UserCommand>) -> Outcome {
    let At { server, command } = at;
    let opening = opening(matches!(command, UserCommand::Add { .. }));
    let desk = Desk::open(global, server.as_deref(), opening).await?;
    match command {
        UserCommand::Add { name, email, full_name, tier, password_stdin, admin, json } => {
            let password = password(password_stdin)?;
            let name = username(&name)?.to_string();
            let user = desk.add_user(NewUser { name, email, full_name, tier, admin, password }).await?;
            if json {
                return output::json(&user);
            }
            line(format!("Added user {} ({}).", user.name, user.id))?;
            user.password.map_or(Ok(()), |made| line(format!("Password: {}", made.reveal())))
        }
        UserCommand::List { json } => {
            let people = desk.users().await?;
            if json {
                return output::json(&people);
            }
            let rows: Vec<Vec<String>> = people.into_iter().map(user_row).collect();
            table(&["NAME", "E-MAIL", "FULL NAME", "TIER", "ADMIN", "STATUS", "CREATED"], &rows)
        }
        UserCommand::Edit { name, email, full_name, tier, admin, json } => {
            let change = UserChange { email, full_name, tier, admin };
            let user = desk.edit_user(&name, change).await?;
            if json { output::json(&user) } else { line(format!("Changed {}.", user.name)) }
        }
        UserCommand::Password { name, password_stdin, json } => {
            let name = username(&name)?;
            let chosen = password(password_stdin)?;
            let made = desk.set_password(name.as_str(), chosen).await?;
            let new = made.as_ref().map(Plain::reveal);
            if json {
                let fields = [("name", Some(name.as_str())), ("password", new)];
                let shown: serde_json::Map<String, Value> = fields
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), json!(value?))))
                    .collect();
                return output::json(&shown);
            }
            line(format!("Changed the password of {name} and signed them out everywhere."))?;
            new.map_or(Ok(()), |new| line(format!("Password: {new}")))
        }
        UserCommand::Disable { name } => {
            desk.act_on_user(&name, UserAct::Disable).await?;
            line(format!("Disabled {name}; their devices are disconnected."))
        }
        UserCommand::Enable { name } => {
            desk.act_on_user(&name, UserAct::Enable).await?;
            line(format!("Enabled {name}."))
        }
        UserCommand::SignOut { name } => {
            desk.act_on_user(&name, UserAct::SignOut).await?;
            line(format!("Signed {name} out everywhere; their devices stay connected."))
        }
        UserCommand::ResetFactors { name } => {
            desk.act_on_user(&name, UserAct::ResetFactors).await?;
            line(format!("{name} signs in with their password alone, until they set something up."))
        }
        UserCommand::Remove { name } => {
            desk.act_on_user(&name, UserAct::Remove).await?;
            line(format!("Removed {name}; their devices are disconnected. The audit trail keeps their id."))
        }
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn user_row(user: UserView) -> Vec<String> {
    vec![
        user.name,
        or_dash(user.email),
        or_dash(user.full_name),
        user.tier,
        if user.admin { "yes" } else { "no" }.to_owned(),
        user.status,
        user.created_at,
    ]
}

fn change(fields: ClientFields) -> Outcome<ClientChange> {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let scopes: Vec<String> =
        fields.scopes.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned).collect();
    Ok(ClientChange {
        name: fields.name,
        scopes: some(scopes),
        grants: some(fields.grants.iter().map(ToString::to_string).collect()),
        resources: some(fields.resources),
        token_format: fields.token_format.map(|format| format.to_string()),
        id_token_alg: fields.id_token_alg.map(|alg| alg.to_string()),
        code_ttl: fields.code_ttl,
        interval: fields.interval,
        policy: fields.policy.as_deref().map(policy).transpose()?,
        redirect_uris: some(fields.redirect_uris),
        post_logout_redirect_uris: some(fields.post_logout_redirect_uris),
        access_ttl: fields.access_ttl,
        refresh_ttl: fields.refresh_ttl,
        refresh_idle_ttl: fields.refresh_idle_ttl,
        dpop_bound: fields.dpop_bound,
        require_par: fields.require_par,
        jwks: fields.jwks.as_deref().map(keys_of).transpose()?,
        reset: Vec::new(),
    })
}

fn keys_of(file: &Path) -> Outcome<Value> {
    let said = |why: String| usage(format!("{}: {why}", file.display()), "name a JSON Web Key Set");
    let text = std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| said(error.to_string()))
}

/// The exceptions that a file makes.
fn policy(file: &Path) -> Outcome<Exceptions> {
    let hint = "the keys are those below `approval.` in docs/configuration.md";
    let said = |why: String| usage(format!("{}: {why}", file.display()), hint);
    let text = std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
    toml::from_str(&text).map_err(|error| said(error.message().to_owned()))
}

/// How a new client proves who it is, in the words of the administration.
fn auth_method(secret: bool, method: Option<AuthMethod>) -> Outcome<Option<String>> {
    match (secret, method) {
        (true, Some(method @ (AuthMethod::None | AuthMethod::Key))) => Err(usage(
            format!("--secret and --auth-method {method} contradict each other"),
            "leave one of them out",
        )),
        (_, Some(method)) => Ok(Some(method.to_string())),
        (true, None) => Ok(Some("client_secret".to_owned())),
        (false, None) => Ok(None),
    }
}

pub async fn client(global: &Global, at: At<ClientCommand>) -> Outcome {
    let At { server, command } = at;
    let opening = opening(matches!(command, ClientCommand::Add { .. }));
    let desk = Desk::open(global, server.as_deref(), opening).await?;
    match command {
        ClientCommand::Add { id, fields, secret, public: _, auth_method: method, json } => {
            let auth_method = auth_method(secret, method)?;
            let new = NewClient { client_id: id.to_string(), auth_method, settings: change(fields)? };
            print_client(&desk.add_client(new).await?, json)
        }
        ClientCommand::List { json } => {
            let all = desk.clients().await?;
            if json {
                return output::json(&all);
            }
            let rows: Vec<Vec<String>> = all.into_iter().map(client_row).collect();
            table(&["ID", "NAME", "AUTHENTICATION", "SCOPES", "CREATED"], &rows)
        }
        ClientCommand::Show { id, json } => print_client(&desk.client(id.as_str()).await?, json),
        ClientCommand::Edit { id, fields, reset, json } => {
            let reset = reset.into_iter().map(|field| field.field().to_string()).collect();
            let change = ClientChange { reset, ..change(fields)? };
            print_client(&desk.edit_client(id.as_str(), change).await?, json)
        }
        ClientCommand::RotateSecret { id, overlap, json } => {
            print_client(&desk.rotate_secret(id.as_str(), Rotation { overlap }).await?, json)
        }
        ClientCommand::Remove { id } => {
            desk.remove_client(id.as_str()).await?;
            line(format!("Removed client {id}; its devices are disconnected."))
        }
    }
}

fn scopes(client: &ClientView) -> String {
    if client.scopes.is_empty() { Scopes::standard().to_string() } else { client.scopes.join(" ") }
}

fn client_row(client: ClientView) -> Vec<String> {
    let scopes = scopes(&client);
    vec![client.client_id, client.name, client.auth_method, scopes, client.created_at]
}

fn print_client(client: &ClientView, json: bool) -> Outcome {
    if json {
        return output::json(client);
    }
    let or_usual =
        |span: Option<Span>| span.map_or_else(|| "as configured".to_owned(), |span| span.to_string());
    let or_none =
        |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
    line(format!("Client        {}", client.client_id))?;
    line(format!("Name          {}", client.name))?;
    line(format!("Authenticates {}", client.auth_method))?;
    line(format!("Scopes        {}", scopes(client)))?;
    line(format!("Grants        {}", client.grants.join(", ")))?;
    line(format!("Resources     {}", or_none(&client.resources, "any")))?;
    line(format!("Tokens        {} (ID tokens {})", client.token_format, client.id_token_alg))?;
    line(format!(
        "Codes         live {}, polled every {}",
        or_usual(client.code_ttl),
        or_usual(client.interval)
    ))?;
    line(format!(
        "Lifetimes     access {}, login {}, unused refresh token {}",
        or_usual(client.access_ttl),
        or_usual(client.refresh_ttl),
        or_usual(client.refresh_idle_ttl)
    ))?;
    if !client.redirect_uris.is_empty() {
        line(format!("Redirects     {}", client.redirect_uris.join(", ")))?;
    }
    if !client.post_logout_redirect_uris.is_empty() {
        line(format!("After logout  {}", client.post_logout_redirect_uris.join(", ")))?;
    }
    for (demanded, what) in
        [(client.dpop_bound, "tokens bound to a key (DPoP)"), (client.require_par, "pushed requests (PAR)")]
    {
        if demanded {
            line(format!("Demands       {what}"))?;
        }
    }
    if !client.policy.is_empty() {
        line(format!("Policy        {}", json!(client.policy)))?;
    }
    line(format!("Created       {}", client.created_at))?;
    if let Some(until) = &client.old_secret_until {
        line(format!("Old secret    good until {until}"))?;
    }
    match &client.client_secret {
        Some(secret) => line(format!("Secret        {}  (shown this once)", secret.reveal())),
        None => Ok(()),
    }
}

pub async fn device(global: &Global, at: At<DeviceCommand>) -> Outcome {
    let At { server, command } = at;
    let desk = Desk::open(global, server.as_deref(), Opening::Existing).await?;
    match command {
        DeviceCommand::List { filter: DeviceFilter { user, client, from, active }, json } => {
            let wanted = DeviceQuery { user, client, address: from, active, ..DeviceQuery::default() };
            let all = desk.devices(wanted).await?;
            if json {
                return output::json(&all);
            }
            let row = |device: DeviceView| {
                vec![
                    device.id,
                    device.door,
                    device.user,
                    or_dash(device.client),
                    device.name,
                    device.status,
                    device.created_at,
                    or_dash(device.last_used),
                ]
            };
            let rows: Vec<Vec<String>> = all.into_iter().map(row).collect();
            table(&["ID", "DOOR", "USER", "CLIENT", "NAME", "STATUS", "CREATED", "LAST USED"], &rows)
        }
        DeviceCommand::Revoke { id: None, sweep } => {
            let SweepOptions { from, client, since, until } = sweep;
            let wanted = SweepRequest {
                from: from.map(|network| network.to_string()),
                client: client.map(|client| client.to_string()),
                since: since.map(exact),
                until: until.map(exact),
            };
            if wanted.from.is_none()
                && wanted.client.is_none()
                && wanted.since.is_none()
                && wanted.until.is_none()
            {
                let hint =
                    "name its id, or what they have in common with --from, --client, --since and --until";
                return Err(usage("nothing says what to disconnect", hint));
            }
            let swept = desk.sweep(wanted).await?;
            for device in &swept.revoked {
                line(format!("Disconnected {} ({}, {}).", device.id, device.name, device.user))?;
            }
            let devices = if swept.revoked.len() == 1 { "device" } else { "devices" };
            let questions = if swept.denied == 1 { "question" } else { "questions" };
            let (revoked, denied) = (swept.revoked.len(), swept.denied);
            line(format!("{revoked} {devices} disconnected, {denied} open {questions} denied."))
        }
        DeviceCommand::Revoke { id: Some(id), .. } => {
            desk.revoke_device(&id.to_string()).await?;
            line(format!("Disconnected {id}."))
        }
        DeviceCommand::Assign { id, owner } => {
            desk.assign(&id.to_string(), owner.clone()).await?;
            line(format!("{id} belongs to {owner} from now on."))
        }
    }
}

pub async fn key(global: &Global, at: At<KeyCommand>) -> Outcome {
    let At { server, command } = at;
    let desk = Desk::open(global, server.as_deref(), Opening::Existing).await?;
    let (listed, as_json) = match command {
        KeyCommand::List { json } => (desk.keys().await?, json),
        KeyCommand::Rotate { json } => {
            let before = desk.keys().await?;
            let young = |key: &&KeyView| key.stage == Stage::Next.name() && is_young(&key.created_at);
            if before.iter().any(|key| young(&key)) {
                output::note(format!(
                    "note: the keys now in use were published less than {} ago. Programs that remember the \
                     published keys for that long may refuse new tokens until then.",
                    Span(JWKS_CACHED)
                ))?;
            }
            (desk.rotate_keys().await?, json)
        }
    };
    if as_json {
        return output::json(&listed);
    }
    let row = |key: KeyView| {
        vec![key.id, key.alg, key.stage, key.created_at, or_dash(key.active_at), or_dash(key.retired_at)]
    };
    let rows: Vec<Vec<String>> = listed.into_iter().map(row).collect();
    table(&["ID", "ALG", "STAGE", "CREATED", "SIGNS SINCE", "RETIRED"], &rows)
}

/// Whether others may not know of a key yet that was made then.
fn is_young(created_at: &str) -> bool {
    let created: Option<jiff::Timestamp> = created_at.parse().ok();
    let now = Clock::System.now();
    created.is_some_and(|at| now.since(Timestamp::from_micros(at.as_microsecond())) < JWKS_CACHED)
}
