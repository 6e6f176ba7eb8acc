//! `countersign demo`: the whole way in one terminal, against a throw-away server.

mod approver;

use countersign_core::audit::By;
use std::io::IsTerminal as _;

use countersign_client::{Login, Plain, Provider, TokenResponse};
use countersign_server::config::{Config, Sources, Value as Setting};
use countersign_server::flow::accounts::{self, NewAccount};
use countersign_server::flow::clients::{self, ClientSettings, Proving};
use countersign_server::serve::{Running, start};
use countersign_server::world::{Clock, Entropy};
use serde_json::Value;

use crate::args::DemoOptions;
use crate::failure::{Outcome, failure};
use crate::output::{line, note};
use crate::show;

const USER: &str = "demo";
const CLIENT: &str = "demo-tv";

pub async fn run(options: DemoOptions) -> Outcome {
    let folder = tempfile::tempdir()?;
    let running = start(config(folder.path())?, Clock::System, Entropy::Os).await?;
    let outcome = tokio::select! {
        outcome = show_the_way(&running, options.approve || !std::io::stdin().is_terminal()) => outcome,
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted", "the demo left nothing behind")),
    };
    running.shutdown().await;
    outcome
}

fn config(folder: &std::path::Path) -> Outcome<Config> {
    let mut sources = Sources::default();
    let folder = folder.display().to_string();
    let settings = [
        ("data_dir", folder.as_str()),
        ("server.listen", "127.0.0.1:0"),
        ("ops.listen", "127.0.0.1:0"),
        ("device.interval", "1s"),
    ];
    for (key, value) in settings {
        sources.put(key, Setting::One(value.to_owned()), "demo");
    }
    Ok(Config::from_sources(&sources)?)
}

async fn show_the_way(running: &Running, by_itself: bool) -> Outcome {
    let app = &running.app;
    let now = app.clock.now();
    let issuer = app.public_url.issuer();
    let password = Plain::new(app.entropy.password()?);
    let account = NewAccount {
        name: USER.parse()?,
        email: Some("demo@example.com".to_owned()),
        full_name: Some("Demo Person".to_owned()),
        tier: None,
        admin: false,
        password: password.clone(),
    };
    accounts::add(app, &By::COMMAND_LINE, account, now).await??;
    let settings = ClientSettings { name: Some("Demo TV".to_owned()), ..ClientSettings::default() };
    clients::add(app, &By::COMMAND_LINE, CLIENT.parse()?, Proving::Nothing, settings, now).await??;
    note(format!("A throw-away Countersign server is up at {issuer}"))?;
    note("A device without a keyboard asks to be connected:")?;

    let provider = Provider::discover(issuer).await?;
    let mut login = Login::ask(&provider, CLIENT, "openid profile email offline_access").await?;
    show::invitation(login.verification_uri(), login.user_code(), login.link())?;
    let tokens = if by_itself {
        let link = login.verification_uri_complete().unwrap_or_else(|| login.verification_uri()).to_owned();
        let code = login.user_code().to_owned();
        let person = approver::approve(&link, USER, &password, &code);
        let device = show::wait(&mut login);
        tokio::try_join!(person, device)?.1
    } else {
        note(format!("  Sign in as {USER} with the password {}", password.reveal()))?;
        note("")?;
        show::wait(&mut login).await?
    };
    verified(&provider, &tokens).await
}

/// Shows what came back, and succeeds only if it verifies against the published keys.
async fn verified(provider: &Provider, tokens: &TokenResponse) -> Outcome {
    let verifier = provider.verifier().await?;
    let access = verifier.access_token(&tokens.access_token, provider.issuer())?;
    let id_token = tokens
        .id_token
        .as_ref()
        .ok_or_else(|| failure("no ID token came back", "this is a bug; please report it"))?;
    let id = verifier.id_token(id_token, CLIENT)?;
    let who = provider.userinfo(&tokens.access_token).await?;
    let text = |claims: &Value, name: &str| match claims.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    };
    line("The device is connected. It got:")?;
    line(format!(
        "  access token   verified, for {} seconds, scope {}",
        tokens.expires_in,
        text(&access, "scope")
    ))?;
    line(format!(
        "  ID token       verified, {} signed in by {}",
        text(&who, "preferred_username"),
        text(&id, "amr")
    ))?;
    line(format!("  refresh token  {}", if tokens.refresh_token.is_some() { "yes" } else { "no" }))?;
    line(format!("  subject        {}", text(&id, "sub")))?;
    line(format!("  issuer         {}", text(&id, "iss")))
}
