//! Mail to people, over SMTP.

use countersign_core::id::NoticeId;
use countersign_core::secret::Plain;
use countersign_core::text::is_hidden;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::app::App;
use crate::config;
use crate::flow::notices::{Connected, Data, Notice};
use crate::pages::Lang;

/// RFC 5321 §4.5.3.1.3.
const ADDRESS_BYTES: usize = 254;

/// Whether mail can be sent there, and to nobody else.
pub fn is_address(text: &str) -> bool {
    let odd = |c: char| matches!(c, '"' | ',' | ';' | '<' | '>') || c.is_whitespace() || is_hidden(c);
    text.len() <= ADDRESS_BYTES
        && text.matches('@').count() == 1
        && !text.chars().any(odd)
        && text.parse::<lettre::Address>().is_ok()
}

/// How mail is sent, where it is.
pub struct Mailer(Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox, Lang)>);

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mailer").field(&self.0.is_some()).finish()
    }
}

impl Mailer {
    /// # Errors
    /// What of the configuration cannot be used. It never repeats the URL, in which a password stands.
    pub fn new(configured: Option<&config::Mail>) -> Result<Self, String> {
        let Some(mail) = configured else { return Ok(Self(None)) };
        let from = mail.from.parse().map_err(|_| format!("mail.from: `{}` is no address", mail.from))?;
        let transport = transport(&mail.url)?;
        let language = Lang::named(&mail.language)
            .ok_or_else(|| format!("mail.language: `{}` is not spoken here", mail.language))?;
        Ok(Self(Some((transport, from, language))))
    }

    pub async fn send(&self, app: &App, id: NoticeId, notice: &Notice) -> Result<(), String> {
        let Some((transport, from, lang)) = &self.0 else { return Err("mail is not configured".to_owned()) };
        let Data::Connected(connected) = &notice.data else { return Err("it is not for people".to_owned()) };
        let to = connected.email.as_deref().unwrap_or_default();
        let to: Mailbox = to.parse().map_err(|_| "their address cannot be used".to_owned())?;
        let message = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(lang.text_with("mail-subject", &[("device", connected.name.as_str().into())]))
            // The same when it comes again.
            .message_id(Some(format!("<{id}@{}>", app.public_url.host())))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(text(app, lang, connected))
            .map_err(|error| error.to_string())?;
        transport.send(message).await.map(drop).map_err(|error| error.to_string())
    }
}

fn transport(url: &Plain) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.reveal());
    let bad = |_| {
        "mail.smtp_url cannot be used: write smtps://user:password@host:465, or smtp://user:password@host:587?tls=required".to_owned()
    };
    Ok(builder.map_err(bad)?.build())
}

fn text(app: &App, lang: &Lang, connected: &Connected) -> String {
    let said = |key: &str, name: &'static str, value: &str| lang.text_with(key, &[(name, value.into())]);
    let place = crate::pages::place(app, lang, &connected.address);
    let program = connected.user_agent.clone().unwrap_or_else(|| lang.text("unknown"));
    [
        said("mail-hello", "name", &connected.username),
        String::new(),
        said("mail-connected", "device", &connected.name),
        String::new(),
        format!("  {}: {place}", lang.text("confirm-from")),
        format!("  {}: {program}", lang.text("confirm-with")),
        String::new(),
        lang.text("mail-was-you"),
        lang.text("mail-was-not-you"),
        String::new(),
        connected.revoke_url.clone(),
        String::new(),
        said("mail-from", "server", app.public_url.issuer()),
        String::new(),
    ]
    .join("\r\n")
}
