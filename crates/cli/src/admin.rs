//! `user`, `client`, `device`, `key`, `migrate`: they act on the database that the configuration
//! names, also while the server runs.

use countersign_core::audit::By;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use countersign_client::Plain;
use countersign_core::account::{Account, Username};
use countersign_core::client::{AuthMethod, Client};
use countersign_core::policy::{Exceptions, Network};
use countersign_core::scope::Scopes;
use countersign_core::time::Span;
use countersign_server::app::App;
use countersign_server::flow::accounts::{self, AccountRefusal, NewAccount};
use countersign_server::flow::clients::{self, ClientSettings, Proving};
use countersign_server::flow::nodes::{self, Assigned};
use countersign_server::flow::{devices, factors, keys, setup};
use countersign_server::signing::{JWKS_CACHED, Stage};
use countersign_server::store::Opening;
use countersign_server::world::{Clock, Entropy};
use serde_json::{Value, json};

use crate::args::{
    ClientCommand, ClientFields, DeviceCommand, Global, KeyCommand, Resettable, SweepOptions, UserCommand,
};
use crate::config;
use crate::failure::{Outcome, failure, usage};
use crate::output::{self, line, table, time};

pub async fn open(global: &Global, opening: Opening) -> Outcome<App> {
    let config = config::load(global, &[])?;
    let listen = config.listen;
    Ok(setup::open(config, opening, listen, Clock::System, Entropy::Os).await?)
}

/// Adding something may be the first thing that happens to an installation; anything else asks for
/// one that exists.
const fn opening(adds: bool) -> Opening {
    if adds { Opening::Create } else { Opening::Existing }
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

/// From standard input, from the terminal, or made here; the last is shown.
fn password(from_stdin: bool, app: &App) -> Outcome<(Plain, bool)> {
    if from_stdin {
        let mut text = String::new();
        std::io::stdin().lock().read_line(&mut text)?;
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        return Ok((Plain::new(text.to_owned()), false));
    }
    if std::io::stdin().is_terminal() {
        let first = Plain::new(rpassword::prompt_password("Password: ")?);
        let second = Plain::new(rpassword::prompt_password("Once more: ")?);
        if !first.digest().matches(&second.digest()) {
            return Err(failure("the two passwords differ", "run the command again"));
        }
        return Ok((first, false));
    }
    Ok((Plain::new(app.entropy.password()?), true))
}

pub async fn user(global: &Global, command: UserCommand) -> Outcome {
    let app = open(global, opening(matches!(command, UserCommand::Add { .. }))).await?;
    let now = app.clock.now();
    let done = |done: Result<(), AccountRefusal>, what: String| match done {
        Ok(()) => line(what),
        Err(refusal) => Err(refusal.into()),
    };
    match command {
        UserCommand::Add { name, email, full_name, tier, password_stdin, admin, json } => {
            let name = username(&name)?;
            let (password, made) = password(password_stdin, &app)?;
            let new = NewAccount { name, email, full_name, tier, admin, password: password.clone() };
            let account = accounts::add(&app, &By::COMMAND_LINE, new, now).await??;
            if json {
                let mut shown = shown_account(&account);
                if let (true, Some(shown)) = (made, shown.as_object_mut()) {
                    shown.insert("password".to_owned(), json!(password.reveal()));
                }
                return output::json(&shown);
            }
            line(format!("Added user {} ({}).", account.name, account.id))?;
            if made { line(format!("Password: {}", password.reveal())) } else { Ok(()) }
        }
        UserCommand::List { json } => {
            let people = accounts::list(&app).await?;
            if json {
                return output::json(&people.iter().map(shown_account).collect::<Vec<_>>());
            }
            let rows: Vec<Vec<String>> = people.iter().map(account_row).collect();
            table(&["NAME", "E-MAIL", "FULL NAME", "TIER", "ADMIN", "STATUS", "CREATED"], &rows)
        }
        UserCommand::Password { name, password_stdin, json } => {
            let name = username(&name)?;
            let (password, made) = password(password_stdin, &app)?;
            accounts::set_password(&app, &By::COMMAND_LINE, &name, &password, now).await??;
            let new = made.then(|| password.reveal());
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
            let name = username(&name)?;
            done(
                accounts::disable(&app, &By::COMMAND_LINE, &name, now).await?,
                format!("Disabled {name}; their devices are disconnected."),
            )
        }
        UserCommand::Enable { name } => {
            let name = username(&name)?;
            done(accounts::enable(&app, &By::COMMAND_LINE, &name, now).await?, format!("Enabled {name}."))
        }
        UserCommand::ResetFactors { name } => {
            let name = username(&name)?;
            if factors::reset(&app, &By::COMMAND_LINE, &name, now).await? {
                return line(format!(
                    "{name} signs in with their password alone, until they set something up."
                ));
            }
            Err(failure(
                format!("there is no user `{name}`"),
                "`countersign user list` shows those that exist",
            ))
        }
        UserCommand::Remove { name } => {
            let name = username(&name)?;
            done(
                accounts::remove(&app, &By::COMMAND_LINE, &name, now).await?,
                format!("Removed {name}; their devices are disconnected. The audit trail keeps their id."),
            )
        }
    }
}

fn shown_account(account: &Account) -> Value {
    json!({
        "id": account.id.to_string(),
        "name": account.name.as_str(),
        "email": account.email,
        "full_name": account.full_name,
        "tier": account.tier,
        "admin": account.admin,
        "created_at": time(account.created_at),
        "status": status(account),
    })
}

const fn status(account: &Account) -> &'static str {
    if account.is_enabled() { "enabled" } else { "disabled" }
}

fn account_row(account: &Account) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        account.name.to_string(),
        or_dash(&account.email),
        or_dash(&account.full_name),
        account.tier.clone(),
        if account.admin { "yes" } else { "no" }.to_owned(),
        status(account).to_owned(),
        time(account.created_at),
    ]
}

fn settings(fields: ClientFields) -> Outcome<ClientSettings> {
    let scopes = if fields.scopes.is_empty() {
        None
    } else {
        Some(Scopes::from_names(fields.scopes.iter().flat_map(|scope| scope.split_whitespace()))?)
    };
    let policy = fields.policy.as_deref().map(policy).transpose()?;
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    Ok(ClientSettings {
        name: fields.name,
        scopes,
        grants: (!fields.grants.is_empty()).then_some(fields.grants),
        resources: some(fields.resources),
        token_format: fields.token_format,
        id_token_alg: fields.id_token_alg,
        code_ttl: fields.code_ttl.map(|Span(ttl)| ttl),
        interval: fields.interval.map(|Span(interval)| interval),
        policy,
        redirect_uris: some(fields.redirect_uris),
        post_logout_redirect_uris: some(fields.post_logout_redirect_uris),
        access_ttl: fields.access_ttl.map(|Span(ttl)| ttl),
        refresh_ttl: fields.refresh_ttl.map(|Span(ttl)| ttl),
        refresh_idle_ttl: fields.refresh_idle_ttl.map(|Span(ttl)| ttl),
        dpop_bound: fields.dpop_bound,
        par_required: fields.require_par,
        jwks: fields.jwks.as_deref().map(keys_of).transpose()?,
        reset: Vec::new(),
    })
}

fn keys_of(file: &Path) -> Outcome<String> {
    let said =
        |error: std::io::Error| usage(format!("{}: {error}", file.display()), "name a JSON Web Key Set");
    std::fs::read_to_string(file).map_err(said)
}

/// The exceptions that a file makes.
fn policy(file: &Path) -> Outcome<Exceptions> {
    let hint = "the keys are those below `approval.` in docs/configuration.md";
    let said = |why: String| usage(format!("{}: {why}", file.display()), hint);
    let text = std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
    toml::from_str(&text).map_err(|error| said(error.message().to_owned()))
}

pub async fn client(global: &Global, command: ClientCommand) -> Outcome {
    let app = open(global, opening(matches!(command, ClientCommand::Add { .. }))).await?;
    let now = app.clock.now();
    match command {
        ClientCommand::Add { id, fields, secret, public: _, auth_method, json } => {
            let proving = match (secret, auth_method) {
                (true, Some(method @ (AuthMethod::None | AuthMethod::Key))) => {
                    return Err(usage(
                        format!("--secret and --auth-method {method} contradict each other"),
                        "leave one of them out",
                    ));
                }
                (true, method) => Proving::Secret(method),
                (false, Some(method)) => Proving::by(method),
                // Keys are how it proves who it is.
                (false, None) if fields.jwks.is_some() => Proving::Keys,
                (false, None) => Proving::Nothing,
            };
            let by = &By::COMMAND_LINE;
            let (client, secret) = clients::add(&app, by, id, proving, settings(fields)?, now).await??;
            print_client(&app, &client, secret.as_ref(), json)
        }
        ClientCommand::List { json } => {
            let all = clients::list(&app).await?;
            if json {
                return output::json(
                    &all.iter().map(|client| shown_client(client, None)).collect::<Vec<_>>(),
                );
            }
            let rows: Vec<Vec<String>> = all.iter().map(client_row).collect();
            table(&["ID", "NAME", "AUTHENTICATION", "SCOPES", "CREATED"], &rows)
        }
        ClientCommand::Show { id, json } => {
            let client = clients::find(&app, &id).await??;
            print_client(&app, &client, None, json)
        }
        ClientCommand::Edit { id, fields, reset, json } => {
            let reset = reset.into_iter().map(Resettable::field).collect();
            let settings = ClientSettings { reset, ..settings(fields)? };
            let client = clients::edit(&app, &By::COMMAND_LINE, &id, settings, None, now).await??;
            app.store.settled().await;
            print_client(&app, &client, None, json)
        }
        ClientCommand::RotateSecret { id, overlap, json } => {
            let overlap = overlap.map(|Span(overlap)| overlap).unwrap_or_default();
            let by = &By::COMMAND_LINE;
            let (client, secret) = clients::rotate_secret(&app, by, &id, overlap, None, now).await??;
            app.store.settled().await;
            print_client(&app, &client, Some(&secret), json)
        }
        ClientCommand::Remove { id } => {
            clients::remove(&app, &By::COMMAND_LINE, &id, now).await??;
            app.store.settled().await;
            line(format!("Removed client {id}; its devices are disconnected."))
        }
    }
}

fn authentication(client: &Client) -> String {
    let methods = client.authentication.methods();
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(", ")
}

fn shown_client(client: &Client, secret: Option<&Plain>) -> Value {
    let scopes: Vec<&str> = client.scopes.iter().collect();
    let grants: Vec<&str> = client.grants.iter().map(|grant| grant.name()).collect();
    let mut shown = json!({
        "client_id": client.id.as_str(),
        "name": client.name,
        "auth_method": authentication(client),
        "scopes": scopes,
        "grants": grants,
        "resources": client.resources,
        "token_format": client.token_format.name(),
        "id_token_alg": client.id_token_alg.name(),
        "code_ttl": client.code_ttl.map(|ttl| Span(ttl).to_string()),
        "interval": client.interval.map(|interval| Span(interval).to_string()),
        "policy": client.policy,
        "redirect_uris": client.details.redirect_uris,
        "post_logout_redirect_uris": client.details.post_logout_redirect_uris,
        "access_ttl": client.details.access_ttl,
        "refresh_ttl": client.details.refresh_ttl,
        "refresh_idle_ttl": client.details.refresh_idle_ttl,
        "dpop_bound": client.details.dpop_bound,
        "require_par": client.details.par_required,
        "created_at": time(client.created_at),
    });
    if let (Some(secret), Some(shown)) = (secret, shown.as_object_mut()) {
        shown.insert("client_secret".to_owned(), json!(secret.reveal()));
    }
    shown
}

fn client_row(client: &Client) -> Vec<String> {
    let scopes = if client.scopes.is_empty() { Scopes::standard() } else { client.scopes.clone() };
    vec![
        client.id.to_string(),
        client.name.clone(),
        authentication(client),
        scopes.to_string(),
        time(client.created_at),
    ]
}

fn print_client(app: &App, client: &Client, secret: Option<&Plain>, json: bool) -> Outcome {
    if json {
        return output::json(&shown_client(client, secret));
    }
    let or_default = |span: Option<std::time::Duration>, default| Span(span.unwrap_or(default)).to_string();
    let row = client_row(client);
    let [_, _, authentication, scopes, created] = row.as_slice() else { return Ok(()) };
    line(format!("Client        {}", client.id))?;
    line(format!("Name          {}", client.name))?;
    line(format!("Authenticates {authentication}"))?;
    line(format!("Scopes        {scopes}"))?;
    line(format!(
        "Grants        {}",
        client.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>().join(", ")
    ))?;
    line(format!(
        "Resources     {}",
        if client.resources.is_empty() { "any".to_owned() } else { client.resources.join(", ") }
    ))?;
    line(format!("Tokens        {} (ID tokens {})", client.token_format.name(), client.id_token_alg.name()))?;
    line(format!(
        "Codes         live {}, polled every {}",
        or_default(client.code_ttl, app.config.device.code_ttl),
        or_default(client.interval, app.config.device.interval)
    ))?;
    if !client.policy.is_empty() {
        line(format!("Policy        {}", json!(client.policy)))?;
    }
    line(format!("Created       {created}"))?;
    match secret {
        Some(secret) => line(format!("Secret        {}  (shown this once)", secret.reveal())),
        None => Ok(()),
    }
}

pub async fn device(global: &Global, command: DeviceCommand) -> Outcome {
    let app = open(global, Opening::Existing).await?;
    let now = app.clock.now();
    match command {
        DeviceCommand::List { json } => {
            let all = devices::all(&app, now).await?;
            if json {
                let shown = |device: &devices::Device| {
                    json!({
                        "id": device.id.to_string(),
                        "door": device.door.name(),
                        "user": device.user,
                        "client": device.client,
                        "name": device.name,
                        "scopes": device.scopes.iter().collect::<Vec<_>>(),
                        "created_at": time(device.created_at),
                        "last_used": device.last_used.map(time),
                        "status": device.status.name(),
                    })
                };
                return output::json(&all.iter().map(shown).collect::<Vec<_>>());
            }
            let row = |device: &devices::Device| {
                vec![
                    device.id.to_string(),
                    device.door.name().to_owned(),
                    device.user.clone(),
                    device.client.clone().unwrap_or_else(|| "-".to_owned()),
                    device.name.clone(),
                    device.status.name().to_owned(),
                    time(device.created_at),
                    device.last_used.map_or_else(|| "-".to_owned(), time),
                ]
            };
            table(
                &["ID", "DOOR", "USER", "CLIENT", "NAME", "STATUS", "CREATED", "LAST USED"],
                &all.iter().map(row).collect::<Vec<_>>(),
            )
        }
        DeviceCommand::Revoke { id: None, sweep } => {
            let SweepOptions { from, client, since, until } = &sweep;
            if from.is_none() && client.is_none() && since.is_none() && until.is_none() {
                let hint =
                    "name its id, or what they have in common with --from, --client, --since and --until";
                return Err(usage("nothing says what to disconnect", hint));
            }
            let sweep = devices::Sweep {
                network: sweep.from.map(|Network(network)| network),
                client: sweep.client.map(|client| client.to_string()),
                since: sweep.since,
                until: sweep.until,
            };
            let (revoked, denied) = devices::revoke_where(&app, &By::COMMAND_LINE, &sweep, now).await?;
            for device in &revoked {
                line(format!("Disconnected {} ({}, {}).", device.id, device.name, device.user))?;
            }
            line(format!("{} devices disconnected, {denied} open questions denied.", revoked.len()))
        }
        DeviceCommand::Revoke { id: Some(id), .. } => {
            if devices::revoke(&app, &By::COMMAND_LINE, id, now).await? {
                return line(format!("Disconnected {id}."));
            }
            Err(failure(format!("there is no connected device {id}"), "`countersign device list` shows them"))
        }
        DeviceCommand::Assign { id, owner } => {
            let owner = username(&owner)?;
            match nodes::assign(&app, &By::COMMAND_LINE, id, &owner, now).await? {
                Assigned::Done => line(format!("{id} belongs to {owner} from now on.")),
                Assigned::NoDevice => Err(failure(
                    format!("there is no paired node {id} that is nobody's"),
                    "`countersign device list` shows them; what is somebody's must be removed first",
                )),
                Assigned::NoUser => Err(failure(
                    format!("there is no enabled user `{owner}`"),
                    "`countersign user list` shows those that exist",
                )),
            }
        }
    }
}

pub async fn key(global: &Global, command: KeyCommand) -> Outcome {
    let app = open(global, Opening::Existing).await?;
    let now = app.clock.now();
    let (listed, as_json) = match command {
        KeyCommand::List { json } => (keys::list(&app).await?, json),
        KeyCommand::Rotate { json } => {
            let next_since = keys::list(&app).await?.into_iter().filter(|key| key.stage == Stage::Next);
            let next_since = next_since.map(|key| key.created_at).max().unwrap_or(now);
            if !keys::rotate(&app, &By::COMMAND_LINE, now).await? {
                return Err(failure(
                    "somebody else rotated the keys at the same moment",
                    "look with `countersign key list`",
                ));
            }
            app.store.settled().await;
            if now.since(next_since) < JWKS_CACHED {
                output::note(format!(
                    "note: the keys now in use were published less than {} ago. Programs that remember the \
                     published keys for that long may refuse new tokens until then.",
                    Span(JWKS_CACHED)
                ))?;
            }
            (keys::list(&app).await?, json)
        }
    };
    if as_json {
        let shown = |key: &keys::ListedKey| {
            json!({
                "id": key.id,
                "alg": key.alg,
                "stage": key.stage.name(),
                "created_at": time(key.created_at),
                "active_at": key.active_at.map(time),
                "retired_at": key.retired_at.map(time),
            })
        };
        return output::json(&listed.iter().map(shown).collect::<Vec<_>>());
    }
    let or_dash = |at: Option<_>| at.map_or_else(|| "-".to_owned(), time);
    let row = |key: &keys::ListedKey| {
        let stage = key.stage.name().to_owned();
        vec![
            key.id.clone(),
            key.alg.to_owned(),
            stage,
            time(key.created_at),
            or_dash(key.active_at),
            or_dash(key.retired_at),
        ]
    };
    table(
        &["ID", "ALG", "STAGE", "CREATED", "SIGNS SINCE", "RETIRED"],
        &listed.iter().map(row).collect::<Vec<_>>(),
    )
}
