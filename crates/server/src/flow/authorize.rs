//! Questions that are asked through a browser: found again by a handle, and answered with a redirect.

use std::sync::Arc;

use countersign_core::client::Client;
use countersign_core::grant::{Ask, CodeOptions, Grant, State};
use countersign_core::id::GrantId;
use countersign_core::time::Timestamp;
use url::Url;

use crate::app::{Answer, App};
use crate::flow::clients;
use crate::flow::decide::{self, Found};

/// Why a browser is not sent back to the client: nobody knows whether it is the client's to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Client,
    RedirectUri,
    Expired,
}

impl Refused {
    pub const ALL: [Self; 3] = [Self::Client, Self::RedirectUri, Self::Expired];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::RedirectUri => "redirect_uri",
            Self::Expired => "expired",
        }
    }
}

/// Where a page says so.
pub const fn refused_path(refused: Refused) -> &'static str {
    match refused {
        Refused::Client => "/authorize?refused=client",
        Refused::RedirectUri => "/authorize?refused=redirect_uri",
        Refused::Expired => "/authorize?refused=expired",
    }
}

/// What a browser carries in place of the question: nobody else can make one.
pub fn handle(app: &App, grant: GrantId) -> String {
    app.vault.request(grant)
}

/// The page that asks.
pub fn path(handle: &str) -> String {
    format!("/authorize?request={handle}")
}

/// A question, and the client that asks.
#[derive(Debug)]
pub struct Asking {
    pub found: Found,
    pub client: Arc<Client>,
    pub code: CodeOptions,
}

/// The question behind a handle, while it can be answered.
pub async fn find(app: &App, handle: &str, now: Timestamp) -> Answer<Option<Asking>> {
    let Some(id) = app.vault.read_request(handle) else { return Ok(None) };
    let Some(found) = decide::reopen(app, id).await? else { return Ok(None) };
    let open = found.grant.undecided(now).is_ok() && leads_back(&found);
    Ok(match (code_of(&found.grant).cloned(), found.client.clone()) {
        (Some(code), Some(client)) if open => Some(Asking { found, client, code }),
        _ => None,
    })
}

/// How the answer to a question goes back, if it goes through the browser.
pub const fn code_of(grant: &Grant) -> Option<&CodeOptions> {
    match &grant.ask {
        Ask::Tokens(ask) => ask.options.code.as_ref(),
        Ask::Key(_) | Ask::Pairing(_) => None,
    }
}

/// Whether the client still has answers sent to where this one would go, if it goes through the browser.
pub fn leads_back(found: &Found) -> bool {
    let client = found.client.as_ref();
    code_of(&found.grant)
        .is_none_or(|code| client.is_some_and(|client| client.may_redirect(&code.redirect_uri)))
}

/// Where the browser goes with the answer; none if the address is none any more.
pub fn answer(app: &App, grant: &Grant) -> Option<String> {
    let code = code_of(grant)?;
    let said = match &grant.state {
        State::Approved(_) => vec![("code", app.vault.authorization_code(grant.id).reveal().to_owned())],
        State::Denied { .. } => vec![
            ("error", "access_denied".to_owned()),
            ("error_description", "the person said no".to_owned()),
        ],
        State::Pending | State::Redeemed { .. } => return None,
    };
    back(app, &code.redirect_uri, code.state.as_deref(), said)
}

/// Where a browser goes after signing out at a client's wish, if the client registered that.
pub async fn after_logout(
    app: &App,
    client: Option<&str>,
    uri: Option<&str>,
    state: Option<&str>,
) -> Answer<Option<String>> {
    let (Some(id), Some(uri)) = (client.and_then(|id| id.parse().ok()), uri) else { return Ok(None) };
    let client = clients::known(app, &id).await?;
    let known = client.is_some_and(|client| client.may_leave_to(uri));
    let mut url = match Url::parse(uri) {
        Ok(url) if known => url,
        _ => return Ok(None),
    };
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Ok(Some(url.into()))
}

/// The client's address with what it should hear, its own `state`, and who says it (RFC 9207).
pub fn back(
    app: &App,
    redirect_uri: &str,
    state: Option<&str>,
    said: impl IntoIterator<Item = (&'static str, String)>,
) -> Option<String> {
    let mut url = Url::parse(redirect_uri).ok()?;
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in said {
            query.append_pair(name, &value);
        }
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", app.public_url.issuer());
    }
    Some(url.into())
}
