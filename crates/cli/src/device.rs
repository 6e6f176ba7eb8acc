//! The device's side: `login`, `whoami`, `token`, `logout`.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use countersign_client::pairing::{self, Device, Pairing};
use countersign_client::storage::{Credentials, Kept, KeptDevice, KeptKey, Place, Storage};
use countersign_client::{
    BrowserLogin, Door, Error, KeyRequest, Keys, Login, Me, Plain, Provider, TokenResponse,
};
use countersign_core::client::CLI_CLIENT;
use serde_json::Value;

use crate::args::{
    KeepingOptions, LoginDoor, LoginOptions, LogoutOptions, PairOptions, ServerOption, WhoamiOptions,
};
use crate::failure::{ADMINISTERING, Outcome, failure, usage};
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

/// A key in the environment is used instead of what is kept, and is never written down.
const KEY_VARIABLE: &str = "COUNTERSIGN_API_KEY";
const SCOPES: &str = "openid profile email offline_access";

pub async fn login(options: LoginOptions) -> Outcome {
    if let Some(code) = &options.code {
        let keys = door(&options)?;
        let got = keys.redeem(code).await?;
        return keep_key(&options, &keys, got.api_key, got.key.id, got.key.name).await;
    }
    if options.api_key {
        let keys = door(&options)?;
        let key = paste().await?;
        let me = keys.me(&key).await?;
        let fact =
            |name: &str| me.credential.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if fact("type") != "api_key" {
            return Err(failure("this is no API key", "paste a key that your account page or API made"));
        }
        return keep_key(&options, &keys, key, fact("id"), fact("name")).await;
    }
    match options.door {
        LoginDoor::Cli => login_for_key(&options).await,
        LoginDoor::Oauth => login_for_tokens(&options).await,
    }
}

fn door(options: &LoginOptions) -> Outcome<Keys> {
    Ok(if options.insecure_http { Keys::at_insecure(&options.server)? } else { Keys::at(&options.server)? })
}

/// Never from an argument, which others on this machine and the shell's history would see.
async fn paste() -> Outcome<Plain> {
    let typed = tokio::task::spawn_blocking(|| {
        if std::io::stdin().is_terminal() {
            return rpassword::prompt_password("API key (not shown): ");
        }
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    });
    let typed = Plain::new(typed.await??.trim().to_owned());
    if typed.reveal().is_empty() {
        return Err(usage(
            "no key was given",
            "paste it, or pipe it in: countersign login --api-key < key.txt",
        ));
    }
    Ok(typed)
}

/// Shows the code, opens a browser where there is one, and waits.
async fn wait<D: Door>(options: &LoginOptions, mut login: Login<D>) -> Outcome<D::Got> {
    show::invitation(login.verification_uri(), login.user_code(), login.link())?;
    browse(login.link(), options.no_browser)?;
    tokio::select! {
        got = show::wait(&mut login) => got,
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted", "nothing was stored; the code ends by itself")),
    }
}

/// Opens the page, if there is a browser that somebody sees.
fn browse(link: Option<&str>, not: bool) -> Outcome {
    if !not
        && has_browser()
        && let Some(link) = link
        && open::that_detached(link).is_ok()
    {
        note("  The page was opened in your browser.")?;
    }
    Ok(())
}

pub async fn pair(options: PairOptions) -> Outcome {
    let storage = storage(&options.keeping)?;
    let id = match options.device_id {
        Some(id) => id,
        // Pairing again keeps this machine's place in its owner's list.
        None => match stored(&storage, Some(&options.server)).await {
            Ok(Kept::Device(kept)) => kept.device_id,
            _ => uuid::Uuid::new_v4().to_string(),
        },
    };
    let device = Device {
        id: id.clone(),
        name: options.name.clone(),
        kind: options.kind,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut pairing = if options.insecure_http {
        Pairing::ask_insecure(&options.server, device).await?
    } else {
        Pairing::ask(&options.server, device).await?
    };
    let link = pairing.link();
    show::invitation(pairing.verification_uri(), pairing.code(), link.as_deref())?;
    browse(link.as_deref(), options.no_browser)?;
    let paired = tokio::select! {
        paired = show::wait_paired(&mut pairing) => paired?,
        _ = tokio::signal::ctrl_c() => return Err(failure("interrupted", "nothing was stored; the code ends by itself")),
    };
    let server = options.server.trim_end_matches('/').to_owned();
    let kept = KeptDevice {
        server: server.clone(),
        device_token: paired.device_token,
        device_id: id,
        name: options.name.clone(),
    };
    let place = keep(&storage, Kept::Device(kept)).await?;
    line(format!("Paired “{}” with {server}. The device token is {place}.", options.name))
}

async fn login_for_key(options: &LoginOptions) -> Outcome {
    let keys = door(options)?;
    let request = KeyRequest {
        client_id: options.client_id.clone(),
        name: options.name.clone(),
        scopes: options.scope.clone(),
    };
    let got = wait(options, keys.ask(&request).await?).await?;
    keep_key(options, &keys, got.api_key, got.key.id, got.key.name).await
}

async fn keep_key(options: &LoginOptions, keys: &Keys, api_key: Plain, id: String, name: String) -> Outcome {
    let who = keys.me(&api_key).await.map_or_else(|_| String::new(), |me| format!(" as {}", who(&me)));
    let kept = KeptKey { server: keys.server().to_owned(), api_key, id, name };
    let place = keep(&storage(&options.keeping)?, Kept::Key(kept)).await?;
    line(format!("Logged in to {}{who}. The API key is {place}.", keys.server()))
}

async fn login_for_tokens(options: &LoginOptions) -> Outcome {
    if options.name.is_some() {
        return Err(usage("--name is for API keys", "say --for cli with it"));
    }
    let provider = if options.insecure_http {
        Provider::discover_insecure(&options.server).await?
    } else {
        Provider::discover(&options.server).await?
    };
    let client_id = options.client_id.as_deref().unwrap_or(CLI_CLIENT);
    let scope = options.scope.as_deref().unwrap_or(SCOPES);
    let tokens = match in_browser(options, &provider, client_id, scope).await? {
        Some(tokens) => tokens,
        None => wait(options, Login::ask(&provider, client_id, scope).await?).await?,
    };
    let credentials = Credentials::new(provider.issuer(), client_id, &tokens);
    let name = name(&provider, &tokens).await;
    let place = keep(&storage(&options.keeping)?, Kept::Tokens(credentials)).await?;
    let name = name.map_or_else(String::new, |name| format!(" as {name}"));
    line(format!("Logged in to {}{name}. The tokens are {place}.", provider.issuer()))
}

/// Through the browser of this machine, where there is one and the server knows how. Otherwise, and where
/// it cannot be opened, a code will do.
async fn in_browser(
    options: &LoginOptions,
    provider: &Provider,
    client_id: &str,
    scope: &str,
) -> Outcome<Option<TokenResponse>> {
    if options.device || options.no_browser || !has_browser() {
        return Ok(None);
    }
    let Some(login) = BrowserLogin::begin(provider, client_id, scope).await? else { return Ok(None) };
    if open::that_detached(login.url()).is_err() {
        return Ok(None);
    }
    note("  Your browser was opened: sign in there, and approve.")?;
    note("  It did not open? Press Ctrl-C, and log in with a code: countersign login --device")?;
    tokio::select! {
        got = login.wait() => Ok(Some(got?)),
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted", "nothing was stored; to log in with a code, say --device")),
    }
}

/// Keeps a login, and says where.
async fn keep(storage: &Storage, login: Kept) -> Outcome<String> {
    let place = {
        let storage = storage.clone();
        blocking(move || storage.save(&login)).await?
    };
    Ok(match place {
        Place::Keyring => "in the system's keyring".to_owned(),
        Place::File => format!("in {} (only you can read it)", storage.path().display()),
    })
}

fn who(me: &Me) -> String {
    me.user.username.clone().unwrap_or_else(|| me.user.id.clone())
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

async fn kept(storage: &Storage, server: Option<&String>) -> Outcome<Option<Kept>> {
    let (storage, server) = (storage.clone(), server.cloned());
    blocking(move || storage.load(server.as_deref())).await
}

async fn stored(storage: &Storage, server: Option<&String>) -> Outcome<Kept> {
    kept(storage, server)
        .await?
        .ok_or_else(|| failure("this device is not logged in", "run `countersign login --server URL`"))
}

/// What this device has: a key of the environment, or what is kept.
enum Having {
    Tokens(Box<(Provider, Credentials)>),
    Key(Keys, Plain),
}

async fn having(options: &ServerOption) -> Outcome<Having> {
    if let Some(key) = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty()) {
        let server = options.server.as_ref().ok_or_else(|| {
            usage(
                format!("{KEY_VARIABLE} is set, but no server"),
                "say it with --server or COUNTERSIGN_SERVER",
            )
        })?;
        return Ok(Having::Key(Keys::at(server)?, Plain::new(key)));
    }
    let storage = storage(&options.keeping)?;
    match stored(&storage, options.server.as_ref()).await? {
        // Whether plain http would do was decided at login.
        Kept::Key(kept) => Ok(Having::Key(Keys::at_insecure(&kept.server)?, kept.api_key)),
        Kept::Device(kept) => Ok(Having::Key(Keys::at_insecure(&kept.server)?, kept.device_token)),
        Kept::Tokens(credentials) => {
            Ok(Having::Tokens(Box::new(fresh(&storage, options, credentials).await?)))
        }
    }
}

/// Credentials whose access token is good for a while.
async fn fresh(
    storage: &Storage,
    options: &ServerOption,
    credentials: Credentials,
) -> Outcome<(Provider, Credentials)> {
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
    let credentials = match stored(storage, options.server.as_ref()).await? {
        Kept::Tokens(credentials) => credentials,
        Kept::Key(_) | Kept::Device(_) => {
            return Err(failure("somebody logged in anew at this moment", "run the command again"));
        }
    };
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
    let (kept, storage) = (Kept::Tokens(renewed.clone()), storage.clone());
    blocking(move || storage.save(&kept)).await?;
    Ok((provider, renewed))
}

/// What administers a server: the API key of the environment, or the login to it.
pub async fn administering(server: &str) -> Outcome<Plain> {
    let keeping =
        KeepingOptions { credentials: std::env::var_os("COUNTERSIGN_CREDENTIALS").map(PathBuf::from) };
    let options = ServerOption { server: Some(server.trim_end_matches('/').to_owned()), keeping };
    let nobody = std::env::var_os(KEY_VARIABLE).is_none_or(|key| key.is_empty())
        && kept(&storage(&options.keeping)?, options.server.as_ref()).await?.is_none();
    if nobody {
        return Err(failure("this machine is not logged in to that server", ADMINISTERING));
    }
    Ok(match having(&options).await? {
        Having::Tokens(having) => having.1.access_token,
        Having::Key(_, key) => key,
    })
}

pub async fn whoami(options: WhoamiOptions) -> Outcome {
    let (claims, server) = match having(&options.at).await? {
        Having::Tokens(having) => {
            let (provider, credentials) = *having;
            (provider.userinfo(&credentials.access_token).await?, provider.issuer().to_owned())
        }
        Having::Key(keys, key) => {
            let me = keys.me(&key).await?;
            if options.json {
                return output::json(&me);
            }
            let claims = serde_json::json!({
                "sub": me.user.id,
                "preferred_username": me.user.username,
                "name": me.user.full_name,
                "email": me.user.email,
            });
            (claims, keys.server().to_owned())
        }
    };
    if options.json {
        return output::json(&claims);
    }
    let claim = |name: &str| claims.get(name).and_then(Value::as_str);
    let who = claim("preferred_username").or_else(|| claim("sub")).unwrap_or("somebody");
    let more: Vec<&str> = ["name", "email"].into_iter().filter_map(claim).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    line(format!("{who}{more} at {server}"))
}

pub async fn token(options: ServerOption) -> Outcome {
    match having(&options).await? {
        Having::Tokens(having) => line(having.1.access_token.reveal()),
        Having::Key(_, key) => line(key.reveal()),
    }
}

pub async fn logout(options: LogoutOptions) -> Outcome {
    let LogoutOptions { at: options, local } = options;
    let storage = storage(&options.keeping)?;
    // Another process may be about to spend the refresh token and to keep its successor.
    let _lock = {
        let storage = storage.clone();
        blocking(move || storage.lock()).await?
    };
    let login = stored(&storage, options.server.as_ref()).await?;
    let revoked = if local { None } else { Some(revoke(&login).await) };
    match &revoked {
        None | Some(Ok(())) => {}
        // It does not know this client or token any more: there is nothing left to revoke.
        Some(Err(error)) if is_final(error) => note(format!("note: {error}"))?,
        Some(Err(error)) => {
            return Err(failure(
                error.to_string(),
                "the login is still valid and still here; try again later, or forget them here with --local",
            ));
        }
    }
    let server = login.server().to_owned();
    {
        let server = server.clone();
        blocking(move || storage.forget(&server)).await?;
    }
    if revoked.is_none() {
        return line(format!("Forgot the login to {server}. The server still honours it."));
    }
    line(format!("Logged out of {server}."))
}

/// The server has decided, and will not decide otherwise tomorrow.
fn is_final(error: &Error) -> bool {
    error.code().is_some_and(|code| !matches!(code, "server_error" | "temporarily_unavailable" | "slow_down"))
}

async fn revoke(login: &Kept) -> Result<(), Error> {
    // Whether plain http would do was decided at login.
    match login {
        Kept::Key(kept) => Keys::at_insecure(&kept.server)?.revoke(&kept.api_key, &kept.id).await,
        Kept::Device(kept) => pairing::revoke(&kept.server, &kept.device_token, &kept.device_id).await,
        Kept::Tokens(credentials) => {
            let provider = Provider::discover_insecure(&credentials.server).await?;
            // The refresh token takes everything along; without one there is only the access token.
            let token = credentials.refresh_token.as_ref().unwrap_or(&credentials.access_token);
            provider.revoke(&credentials.client_id, token).await
        }
    }
}
