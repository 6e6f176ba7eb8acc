//! Errors as people read them: what went wrong, and a hint on what to do.

use std::process::ExitCode;

use countersign_client::Error;
use countersign_server::flow::clients::ClientRefusal;
use countersign_server::flow::office::Refused;

use crate::desk::is_misuse;

pub type Outcome<T = ()> = Result<T, anyhow::Error>;

/// A hint under an error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub message: String,
    pub hint: Option<String>,
    pub code: u8,
}

pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
const DENIED: u8 = 3;
const EXPIRED: u8 = 4;

pub fn failure(message: impl Into<String>, hint: &str) -> anyhow::Error {
    Failure { message: message.into(), hint: Some(hint.to_owned()), code: FAILED }.into()
}

pub fn usage(message: impl Into<String>, hint: &str) -> anyhow::Error {
    Failure { message: message.into(), hint: Some(hint.to_owned()), code: USAGE }.into()
}

/// Prints the error and chooses the exit code: 1 failed, 2 usage, 3 denied, 4 expired.
#[expect(clippy::print_stderr, reason = "the one place where errors are printed")]
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error}");
    let misused = error.downcast_ref::<ClientRefusal>().is_some_and(ClientRefusal::is_misuse)
        || error.downcast_ref::<Refused>().is_some_and(is_misuse);
    let (hint, code) = match (error.downcast_ref::<Failure>(), error.downcast_ref::<Error>()) {
        (None, None) if misused => (None, USAGE),
        (Some(failure), _) => (failure.hint.clone(), failure.code),
        (None, Some(error)) => (client_hint(error).map(str::to_owned), client_code(error)),
        (None, None) => (None, FAILED),
    };
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code)
}

/// What administers a server from elsewhere.
pub const ADMINISTERING: &str = "an administrator's API key with the scope admin does (COUNTERSIGN_API_KEY), or an administrator's login, with a second factor where one is demanded, through a client that may have that scope: countersign login --server URL --client-id ID --scope 'openid offline_access admin'";

const fn client_code(error: &Error) -> u8 {
    match error {
        Error::Denied => DENIED,
        Error::Expired => EXPIRED,
        _ => FAILED,
    }
}

fn client_hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Denied => Some("if that was a mistake, run the command again and approve"),
        Error::Expired => Some("run the command again for a new code"),
        Error::CodeUnknown => Some("look at the code again, or have a new one shown on your account page"),
        Error::CodeUsed => Some(
            "have a new code shown on your account page; if you did not use this one, revoke its key there",
        ),
        Error::Limited { .. } => Some("too many attempts; wait, then try again"),
        Error::Network { why, .. } if why.contains("certificate") => Some(
            "its certificate is not trusted on this machine: name your own authority's in SSL_CERT_FILE, or have the operator renew it",
        ),
        Error::Network { .. } => Some("check the address and that the server runs"),
        Error::Address { .. } | Error::Protocol { .. } => {
            Some("--server takes the server's public URL, such as https://login.example.com")
        }
        Error::Refused { error, .. } => match error.as_str() {
            "invalid_client" | "unauthorized_client" => {
                Some("check --client-id; the operator lists clients with `countersign client list`")
            }
            "invalid_scope" => Some("ask for fewer scopes with --scope"),
            "invalid_grant" | "invalid_token" => {
                Some("this device was disconnected; run `countersign login` again")
            }
            "unauthorized" => Some(
                "this key or login was revoked or has expired: take another COUNTERSIGN_API_KEY if that is set, else run `countersign login` again",
            ),
            "forbidden" => Some(ADMINISTERING),
            "slow_down" => Some("too many logins were started; wait a minute"),
            _ => None,
        },
        _ => None,
    }
}
