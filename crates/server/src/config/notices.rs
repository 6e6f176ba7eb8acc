//! Who is told of what: mail and webhooks.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::secret::Plain;
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::sources::Reader;
use crate::flow::{detect, notices};
use crate::pages::LANGUAGES;

/// What webhooks can be told of.
const EVENTS: [&str; 2] = [notices::CONNECTED, detect::EVENT];

#[derive(Clone, Debug)]
pub struct Notices {
    /// People are told of each device that was connected to their account.
    pub new_device: bool,
    /// How long the link in such a notice is good.
    pub link_ttl: Duration,
    pub mail: Option<Mail>,
    pub webhooks: Vec<Webhook>,
    /// Networks that are not public and may be called all the same.
    pub allowed_networks: Vec<IpNet>,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// `smtp://` or `smtps://`, with user and password.
    pub url: Plain,
    pub from: String,
    /// In which language.
    pub language: String,
}

/// One of `webhooks.endpoints`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub id: String,
    pub url: String,
    /// `whsec_` and base64, as Standard Webhooks writes it.
    #[serde(default)]
    secret: Option<Plain>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    /// The key that signs.
    #[serde(skip)]
    pub key: Vec<u8>,
    /// Types of events. Empty: all.
    #[serde(default)]
    pub events: Vec<String>,
}

/// Nobody on the way can read it: TLS, or this very machine.
fn is_private(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else { return true };
    let tls = parsed.query_pairs().any(|(name, value)| name == "tls" && value == "required");
    // Of such a scheme, an address is just a name to the parser.
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    parsed.scheme() == "smtps" || tls || local
}

impl Webhook {
    fn complete(mut self) -> Result<Self, String> {
        let web = Url::parse(&self.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !web {
            return Err("its url is no http or https URL".to_owned());
        }
        let secret = match (&self.secret, &self.secret_file) {
            (Some(secret), None) => secret.reveal().to_owned(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?
                .trim_end()
                .to_owned(),
            _ => return Err("it needs a secret or a secret_file".to_owned()),
        };
        if let Some(odd) = self.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
            return Err(format!("`{odd}` is no event; use {}", EVENTS.join(", ")));
        }
        let bare = secret.strip_prefix("whsec_").unwrap_or(&secret);
        let key = STANDARD.decode(bare).ok().filter(|key| (24..=64).contains(&key.len()));
        self.key = key.ok_or("its secret is whsec_ and the base64 of 24 to 64 random bytes: printf whsec_; head -c 32 /dev/urandom | base64")?;
        Ok(self)
    }
}

impl Notices {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let spoken = |name: &str| LANGUAGES.iter().map(|(code, _)| *code).find(|code| *code == name);
        let language = read.named("mail.language", spoken, &LANGUAGES.map(|(code, _)| code));
        let (url, from) = (read.optional("mail.smtp_url"), read.optional("mail.from"));
        let mail = match (url, from) {
            (Some(url), Some(from)) => {
                if !(url.starts_with("smtp://") || url.starts_with("smtps://")) {
                    let why = "expected smtp:// or smtps://, such as smtps://user:password@mail.example.com";
                    read.problem("mail.smtp_url", why);
                }
                if !is_private(&url) {
                    let why =
                        "this would send mail and password in the clear: use smtps://, or add ?tls=required";
                    read.problem("mail.smtp_url", why);
                }
                Some(Mail { url: Plain::new(url), from, language: language.to_owned() })
            }
            (Some(_), None) => read.missing("mail.from", "mail.smtp_url is set"),
            (None, Some(_)) => read.missing("mail.smtp_url", "mail.from is set"),
            (None, None) => None,
        };
        let webhooks = read.identified("webhooks.endpoints", Webhook::complete, |webhook| &webhook.id);
        Self {
            new_device: read.parse("notices.new_device", "true or false").unwrap_or(true),
            link_ttl: read.span("notices.link_ttl", Duration::from_mins(1)..=Duration::from_hours(24 * 366)),
            mail,
            webhooks,
            allowed_networks: read.networks("webhooks.allowed_networks"),
        }
    }

    /// Whether anybody can be told anything.
    pub const fn any(&self) -> bool {
        self.mail.is_some() || !self.webhooks.is_empty()
    }
}
