//! The device's side: `login`, `whoami`, `token`, `logout`.

use std::path::PathBuf;

use countersign_client::storage::{Credentials, Place, Storage};
use countersign_client::{Error, Login, Provider, TokenResponse};
use serde_json::Value;

use crate::args::{KeepingOptions, LoginOptions, LogoutOptions, ServerOption, WhoamiOptions};
use crate::failure::{Outcome, failure};
use crate::output::{self, line, note};
use crate::show;

/// An access token is refreshed when it has less than this many seconds to live.
const FRESH: i64 = 30;

fn storage(options: &KeepingOptions) -> Outcome<Storage> {
    if let Some(file) = &options.credentials {
        return Ok(Storage::new(file.clone(), false));
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder =
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config"))).ok_or_else(|| {
            failure(
                "neither XDG_CONFIG_HOME nor HOME is set",
                "say where to keep the tokens with --credentials FILE",
            )
        })?;
    Ok(Storage::new(folder.join("countersign/credentials.json"), true))
}

/// The keyring talks to another process, so it must not hold up the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Outcome<T> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

pub async fn login(options: LoginOptions) -> Outcome {
    let storage = storage(&options.keeping)?;
    let provider = if options.insecure_http {
        Provider::discover_insecure(&options.server).await?
    } else {
        Provider::discover(&options.server).await?
    };
    let mut login = Login::ask(&provider, &options.client_id, &options.scope).await?;
    show::invitation(&login)?;
    if !options.no_browser
        && has_browser()
        && let Some(link) = login.link()
        && open::that_detached(link).is_ok()
    {
        note("  The page was opened in your browser.")?;
    }
    let tokens = tokio::select! {
        tokens = show::wait(&mut login) => tokens?,
        _ = tokio::signal::ctrl_c() => return Err(failure("interrupted", "nothing was stored; the code ends by itself")),
    };
    let credentials = Credentials::new(provider.issuer(), &options.client_id, &tokens);
    let name = name(&provider, &tokens).await;
    let place = {
        let storage = storage.clone();
        blocking(move || storage.save(&credentials)).await?
    };
    let kept = match place {
        Place::Keyring => "in the system's keyring".to_owned(),
        Place::File => format!("in {} (only you can read it)", storage.path().display()),
    };
    let name = name.map_or_else(String::new, |name| format!(" as {name}"));
    line(format!("Logged in to {}{name}. The tokens are {kept}.", provider.issuer()))
}

async fn name(provider: &Provider, tokens: &TokenResponse) -> Option<String> {
    let claims = provider.userinfo(&tokens.access_token).await.ok()?;
    claims.get("preferred_username").and_then(Value::as_str).map(str::to_owned)
}

/// A browser that the person in front of this terminal can see.
fn has_browser() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("SSH_CONNECTION") && (cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY"))
}

async fn stored(storage: &Storage, server: Option<&String>) -> Outcome<Credentials> {
    let (storage, server) = (storage.clone(), server.cloned());
    let found = blocking(move || storage.load(server.as_deref())).await?;
    found.ok_or_else(|| failure("this device is not logged in", "run `countersign login --server URL`"))
}

/// Stored credentials whose access token is good for a while.
async fn fresh(options: &ServerOption) -> Outcome<(Provider, Credentials)> {
    let storage = storage(&options.keeping)?;
    let credentials = stored(&storage, options.server.as_ref()).await?;
    // Whether plain http would do was decided at login.
    let provider = Provider::discover_insecure(&credentials.server).await?;
    if credentials.lasts(FRESH) {
        return Ok((provider, credentials));
    }
    // Refresh tokens are spent by use: one process at a time, and the others take what it got.
    let _lock = {
        let storage = storage.clone();
        blocking(move || storage.lock()).await?
    };
    let credentials = stored(&storage, options.server.as_ref()).await?;
    if credentials.lasts(FRESH) {
        return Ok((provider, credentials));
    }
    let Some(refresh_token) = &credentials.refresh_token else {
        return Err(failure(
            "the access token has expired and there is no refresh token",
            "run `countersign login` again",
        ));
    };
    let tokens = provider.refresh(&credentials.client_id, refresh_token).await?;
    let mut renewed = Credentials::new(&credentials.server, &credentials.client_id, &tokens);
    renewed.refresh_token = renewed.refresh_token.or(credentials.refresh_token);
    let kept = renewed.clone();
    blocking(move || storage.save(&kept)).await?;
    Ok((provider, renewed))
}

pub async fn whoami(options: WhoamiOptions) -> Outcome {
    let (provider, credentials) = fresh(&options.at).await?;
    let claims = provider.userinfo(&credentials.access_token).await?;
    if options.json {
        return output::json(&claims);
    }
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);
    let who = claim("preferred_username").or_else(|| claim("sub")).unwrap_or("somebody");
    let more: Vec<&str> = ["name", "email"].into_iter().filter_map(claim).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    line(format!("{who}{more} at {}", provider.issuer()))
}

pub async fn token(options: ServerOption) -> Outcome {
    let (_, credentials) = fresh(&options).await?;
    line(credentials.access_token.reveal())
}

pub async fn logout(options: LogoutOptions) -> Outcome {
    let LogoutOptions { at: options, local } = options;
    let storage = storage(&options.keeping)?;
    // Another process may be about to spend the refresh token and to keep its successor.
    let _lock = {
        let storage = storage.clone();
        blocking(move || storage.lock()).await?
    };
    let credentials = stored(&storage, options.server.as_ref()).await?;
    let revoked = if local { None } else { Some(revoke(&credentials).await) };
    match &revoked {
        None | Some(Ok(())) => {}
        // It does not know this client or token any more: there is nothing left to revoke.
        Some(Err(error)) if is_final(error) => note(format!("note: {error}"))?,
        Some(Err(error)) => {
            return Err(failure(
                error.to_string(),
                "the tokens are still valid and still here; try again later, or forget them here with --local",
            ));
        }
    }
    let server = credentials.server.clone();
    blocking(move || storage.forget(&server)).await?;
    if revoked.is_none() {
        return line(format!("Forgot the tokens of {}. The server still honours them.", credentials.server));
    }
    line(format!("Logged out of {}.", credentials.server))
}

/// The server has decided, and will not decide otherwise tomorrow.
fn is_final(error: &Error) -> bool {
    error.code().is_some_and(|code| !matches!(code, "server_error" | "temporarily_unavailable" | "slow_down"))
}

/// The refresh token takes everything along; without one there is only the access token.
async fn revoke(credentials: &Credentials) -> Result<(), Error> {
    // Whether plain http would do was decided at login.
    let provider = Provider::discover_insecure(&credentials.server).await?;
    let token = credentials.refresh_token.as_ref().unwrap_or(&credentials.access_token);
    provider.revoke(&credentials.client_id, token).await
}
