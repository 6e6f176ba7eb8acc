//! Steps 3 and 4: the code box, the confirm page, the result, and *this wasn't me*.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::account::Account;
use countersign_core::code::UserCode;
use countersign_core::grant::{self, Ask};
use countersign_core::id::GrantId;
use countersign_core::scope::Scopes;
use countersign_core::secret::Plain;
use countersign_core::text::is_hidden;
use countersign_core::time::Timestamp;

use super::authorize::{elsewhere, host, let_through};
use super::browser::Browser;
use super::factors::step_up;
use super::lang::Lang;
use super::login::{Next, plausible};
use super::{Outcome, Page, PageError, ResultPage, get, post, redirect, render};
use crate::app::App;
use crate::flow::authorize;
use crate::flow::caller::{Caller, Proof};
use crate::flow::decide::{self, CodeBox, Decided, Decision, Found, Opened};
use crate::flow::policy::{Apart, Lacking};
use crate::http::{self, BadForm, Form};

#[derive(Template)]
#[template(path = "device.html")]
struct CodePage {
    page: Page,
    code: String,
    notice: CodeNotice,
}

/// What stands above the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeNotice {
    None,
    FilledIn,
    /// Links do not do for this one.
    TypeIt,
    Wrong,
}

/// Whom the device said it expects. It may say anything, so a long text is not repeated.
enum Hint {
    None,
    Named(String),
    Other,
}

impl Hint {
    fn read(hint: Option<&str>, account: &Account) -> Self {
        let Some(hint) = hint else { return Self::None };
        let is = |known: &str| hint.eq_ignore_ascii_case(known);
        let name = &account.name;
        if is(name.as_str()) || is(&account.id.to_string()) || account.email.as_deref().is_some_and(is) {
            return Self::None;
        }
        let odd = |symbol: char| symbol.is_whitespace() || is_hidden(symbol);
        let plain = hint.chars().count() <= 64 && !hint.chars().any(odd);
        if plain { Self::Named(hint.to_owned()) } else { Self::Other }
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    page: Page,
    lead: String,
    /// Of an API key: its name, and how long it lasts.
    key: Option<(String, String)>,
    /// Of a node: its kind, its version, what it calls itself.
    node: Option<(String, String, String)>,
    /// Where it asked, and where its person is, if that is not the same network.
    elsewhere: Option<String>,
    /// Which of the person's devices it would take the place of.
    replaces: Option<String>,
    name: String,
    hint: Hint,
    code: String,
    scopes: Vec<String>,
    age: String,
    address: String,
    user_agent: String,
    ticket: String,
    linked: bool,
    own_missing: bool,
    /// Where the answer goes, if a browser carries it.
    returns: Option<String>,
}

/// Shows the code box. A code in the link is filled in and never submitted.
pub async fn device(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |app, parts, browser, _| {
        let query = Form::parse(parts.uri.query().unwrap_or_default()).map_err(PageError::Form)?;
        let code = plausible(query.one("user_code").unwrap_or_default());
        if browser.account().is_none() {
            return redirect(app, &Next::Device { code }.login_path(false));
        }
        let notice = if code.is_empty() { CodeNotice::None } else { CodeNotice::FilledIn };
        let page = Page::new(app, browser);
        render(StatusCode::OK, &CodePage { page, code: shown(app, &code), notice })
    })
    .await
}

/// The code as the device shows it; a pairing code has no groups.
fn shown(app: &App, code: &str) -> String {
    UserCode::parse(code).map_or_else(String::new, |code| match code.as_str().len() {
        6 => code.as_str().to_owned(),
        _ => app.config.device.user_code.show(&code),
    })
}

/// Takes the three forms of this page: a code, a decision, an undo.
pub async fn enter(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |app, parts, browser, form, now| {
        let typed = form.one("user_code").unwrap_or_default();
        let Some((session, account)) = browser.session.clone() else {
            return redirect(app, &Next::Device { code: plausible(typed) }.login_path(false));
        };
        let caller = Caller { account, proof: Proof::Session(session) };
        let linked = form.one("linked").is_some();
        let visit = Visit { linked, app, parts, browser, caller: &caller, now };
        if form.one("undo").is_some() {
            return visit.undo(form.one("grant")).await;
        }
        match form.one("decision") {
            None => visit.open(typed).await,
            Some("approve") => visit.decide(form, typed, Decision::Approve).await,
            Some("deny") => visit.decide(form, typed, Decision::Deny).await,
            Some(_) => Err(PageError::Form(BadForm::Broken)),
        }
    })
    .await
}

/// One request of a signed-in person.
pub struct Visit<'a> {
    /// The code was filled in, as a link does.
    pub linked: bool,
    pub app: &'a Arc<App>,
    pub parts: &'a Parts,
    pub browser: &'a Browser,
    pub caller: &'a Caller,
    pub now: Timestamp,
}

impl Visit<'_> {
    fn page(&self) -> Page {
        Page::new(self.app, self.browser)
    }

    /// Looks a code up, which counts as a wrong one unless it is right.
    async fn lookup(&self, typed: &str) -> Result<Option<Found>, PageError> {
        let (account, address) = (&self.caller.account, http::address(self.parts));
        match decide::open(self.app, account, address, typed, CodeBox::Any, self.now).await? {
            Opened::Found(found) => Ok(Some(found)),
            Opened::Wrong => Ok(None),
            Opened::Limited(wait) => Err(PageError::Limited(wait)),
        }
    }

    async fn open(&self, typed: &str) -> Outcome {
        let Some(found) = self.lookup(typed).await? else { return self.wrong(typed) };
        let here = http::origin(self.parts);
        if self.linked && !found.ruling(self.app, &here).policy.complete_uri {
            decide::typed_instead(self.app, self.caller, &found, &here, self.now).await?;
            let (page, code) = (self.page(), String::new());
            return render(StatusCode::OK, &CodePage { page, code, notice: CodeNotice::TypeIt });
        }
        match decide::lacks(self.app, self.caller, &found, &here, self.now).await? {
            Some(lacking) => self.step_up(lacking, typed).await,
            None => self.confirm(&found, typed, false),
        }
    }

    fn wrong(&self, typed: &str) -> Outcome {
        let code: String = typed.chars().take(UserCode::MAX_INPUT).collect();
        let page = CodePage { page: self.page(), code, notice: CodeNotice::Wrong };
        render(StatusCode::BAD_REQUEST, &page)
    }

    async fn step_up(&self, lacking: Lacking, typed: &str) -> Outcome {
        step_up(self.app, self.caller, lacking, &Next::Device { code: plausible(typed) }).await
    }

    pub fn confirm(&self, found: &Found, typed: &str, own_missing: bool) -> Outcome {
        let page = self.page();
        let grant = &found.grant;
        let account = &self.caller.account;
        let name = account.name.to_string();
        let client = found.client.as_ref().map(|client| client.name.as_str());
        let (lead, key, node, hint) = match (&grant.ask, client) {
            (Ask::Tokens(ask), client) => {
                let lead = page.t2("confirm-lead", "client", client.unwrap_or_default(), "name", &name);
                (lead, None, None, Hint::read(ask.options.login_hint.as_deref(), account))
            }
            (Ask::Pairing(ask), _) => {
                let lead = page.t2("confirm-pair-lead", "device", &ask.facts.name, "name", &name);
                let facts = &ask.facts;
                let node = (facts.kind.to_string(), facts.version.clone(), facts.node.to_string());
                (lead, None, Some(node), Hint::None)
            }
            (Ask::Key(ask), client) => {
                let lead = match client {
                    Some(client) => page.t2("confirm-key-lead", "client", client, "name", &name),
                    None => page.t1("confirm-key-lead-nobody", "name", &name),
                };
                let lifetime = lifetime(&page.lang, self.app.config.cli.key_ttl);
                (lead, Some((ask.name.clone(), lifetime)), None, Hint::None)
            }
        };
        let here = http::origin(self.parts);
        let ruling = found.ruling(self.app, &here);
        let elsewhere = ruling.warning().map(|apart| match apart {
            Apart::Country { asked, here } => {
                let spoken = page.lang.language();
                page.t2("confirm-elsewhere-country", "there", asked.name(spoken), "here", here.name(spoken))
            }
            Apart::Network | Apart::No => {
                page.t2("confirm-elsewhere", "there", &grant.from.address, "here", &here.address)
            }
        });
        let confirm = ConfirmPage {
            lead,
            hint,
            code: shown(self.app, typed),
            scopes: if key.is_some() {
                key_words(&page.lang, grant.scopes())
            } else {
                scope_words(&page.lang, grant.scopes())
            },
            key,
            node,
            elsewhere,
            replaces: found.replaces.as_ref().filter(|node| node.owner == Some(account.id)).map(|node| {
                page.t2(
                    "confirm-pair-replaces",
                    "device",
                    &node.facts.name,
                    "day",
                    &super::date(&page.lang, Some(node.paired_at)),
                )
            }),
            age: age(&page.lang, self.now.since(grant.asked_at)),
            address: place(self.app, &page.lang, &grant.from.address),
            user_agent: grant.from.user_agent.clone().unwrap_or_else(|| page.t("unknown")),
            ticket: self.browser.ticket(self.app, grant.id),
            linked: self.linked,
            own_missing,
            returns: authorize::code_of(grant).map(|code| host(&code.redirect_uri)),
            name,
            page,
        };
        let status = if own_missing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let mut response = render(status, &confirm)?;
        if let Some(code) = authorize::code_of(grant) {
            let_through(&mut response, &code.redirect_uri);
        }
        Ok(response)
    }

    /// The grant of a confirm page: by its ticket, which a late decision still has, else by code.
    async fn decided_grant(&self, form: &Form, typed: &str) -> Result<Option<Found>, PageError> {
        match form.one("ticket") {
            None => self.lookup(typed).await,
            Some(ticket) => match self.browser.read_ticket(self.app, ticket) {
                Some(id) => Ok(decide::reopen(self.app, id).await?),
                None => Ok(None),
            },
        }
    }

    async fn decide(&self, form: &Form, typed: &str, decision: Decision) -> Outcome {
        let Some(found) = self.decided_grant(form, typed).await? else {
            return match form.one("ticket") {
                // The page was opened in another session: only the code can lead back to it.
                Some(_) => self.say("lost-title", StatusCode::CONFLICT, |page| page.t("lost-text")),
                None => self.wrong(typed),
            };
        };
        if !authorize::leads_back(&found) {
            return self.late();
        }
        if decision == Decision::Approve && form.one("own_device").is_none() {
            return match found.grant.undecided(self.now) {
                Ok(()) => self.confirm(&found, typed, true),
                Err(_) => self.late(),
            };
        }
        let (id, who) = (found.grant.id, who(&self.page(), &found));
        let from = http::origin(self.parts);
        let carried = authorize::code_of(&found.grant).is_some();
        let next = if carried {
            Next::Authorize { request: authorize::handle(self.app, id) }
        } else {
            Next::Device { code: plausible(typed) }
        };
        match decide::decide(self.app, self.caller, found, decision, &from, self.now).await? {
            Decided::Approved { .. } | Decided::Denied if carried => self.back(id).await,
            Decided::Approved { pin } => self.approved(id, &who, pin.as_ref()),
            Decided::Denied => self.denied(&who),
            Decided::TooLate => self.late_or_again(id, decision).await,
            Decided::SignInTooOld => step_up(self.app, self.caller, Lacking::Freshness, &next).await,
            Decided::SignInTooWeak => step_up(self.app, self.caller, Lacking::SecondFactor, &next).await,
            Decided::Elsewhere => {
                self.say("elsewhere-title", StatusCode::CONFLICT, |page| page.t("elsewhere-text"))
            }
            Decided::Foreign => {
                self.say("foreign-title", StatusCode::CONFLICT, |page| page.t("foreign-text"))
            }
        }
    }

    /// To the client, with the answer.
    async fn back(&self, id: GrantId) -> Outcome {
        let decided = decide::reopen(self.app, id).await?;
        match decided.and_then(|found| authorize::answer(self.app, &found.grant)) {
            Some(url) => elsewhere(&url),
            None => self.late(),
        }
    }

    fn approved(&self, id: GrantId, who: &str, pin: Option<&Plain>) -> Outcome {
        let page = self.page();
        let (title, text) = match pin {
            Some(_) => ("pin-title", page.t1("pin-text", "client", who)),
            None => ("approved-title", page.t1("approved-text", "client", who)),
        };
        let pin = pin.map(|pin| pin.reveal().to_owned());
        render(StatusCode::OK, &ResultPage { page, title, text, pin, undo: Some(id.to_string()) })
    }

    fn denied(&self, who: &str) -> Outcome {
        self.say("denied-title", StatusCode::OK, |page| page.t1("denied-text", "client", who))
    }

    /// Loading the result page again sends its form again: then it says the same again.
    async fn late_or_again(&self, id: GrantId, decision: Decision) -> Outcome {
        let Some(found) = decide::reopen(self.app, id).await? else { return self.late() };
        let who = who(&self.page(), &found);
        match (decision, &found.grant.state) {
            (
                Decision::Approve,
                grant::State::Approved(approval) | grant::State::Redeemed { approval, .. },
            ) if approval.is_by(self.caller.account.id) => {
                self.approved(id, &who, decide::pin(self.app, &found.grant).as_ref())
            }
            (Decision::Deny, grant::State::Denied { .. }) => self.denied(&who),
            _ => self.late(),
        }
    }

    fn late(&self) -> Outcome {
        self.say("late-title", StatusCode::CONFLICT, |page| page.t("late-text"))
    }

    async fn undo(&self, grant: Option<&str>) -> Outcome {
        let undone = match grant.and_then(|grant| grant.parse().ok()) {
            Some(id) => {
                let from = http::origin(self.parts);
                decide::undo(self.app, &self.caller.account, id, &from, self.now).await?
            }
            None => false,
        };
        if undone {
            self.say("undone-title", StatusCode::OK, |page| page.t("undone-text"))
        } else {
            self.say("undo-nothing-title", StatusCode::NOT_FOUND, |page| page.t("undo-nothing-text"))
        }
    }

    fn say(&self, title: &str, status: StatusCode, text: impl FnOnce(&Page) -> String) -> Outcome {
        let page = self.page();
        let text = text(&page);
        render(status, &ResultPage { page, title, text, pin: None, undo: None })
    }
}

/// Who asked, as people should read it: a name that nobody vouches for is none.
pub fn who(page: &Page, found: &Found) -> String {
    let client = found.client.as_ref().map(|client| client.name.clone());
    client.unwrap_or_else(|| match &found.grant.ask {
        Ask::Pairing(ask) => page.t1("quoted", "name", &ask.facts.name),
        Ask::Tokens(_) | Ask::Key(_) => page.t("command-line"),
    })
}

/// An address, with its country where that is known.
pub fn place(app: &App, lang: &Lang, address: &str) -> String {
    match app.places.of(address).country {
        Some(country) => format!("{address} · {}", country.name(lang.language())),
        None => address.to_owned(),
    }
}

/// Scopes in plain words; those of other people's APIs by name.
pub fn scope_words(lang: &Lang, scopes: &Scopes) -> Vec<String> {
    if scopes.is_empty() {
        return vec![lang.text("scopes-none")];
    }
    let words = |scope: &str| match scope {
        "openid" => lang.text("scope-openid"),
        "profile" => lang.text("scope-profile"),
        "email" => lang.text("scope-email"),
        "offline_access" => lang.text("scope-offline"),
        "introspect" => lang.text("scope-introspect"),
        "devices" => lang.text("scope-devices"),
        "admin" => lang.text("scope-admin"),
        "operator.read" => lang.text("scope-operator-read"),
        other => lang.text_with("scope-other", &[("scope", other.into())]),
    };
    scopes.iter().map(words).collect()
}

/// What a key may do: its scopes mean nothing here, only to those whose APIs it is for.
pub fn key_words(lang: &Lang, scopes: &Scopes) -> Vec<String> {
    if scopes.is_empty() {
        return vec![lang.text("key-scopes-none")];
    }
    scopes.iter().map(|scope| lang.text_with("scope-other", &[("scope", scope.into())])).collect()
}

/// Rounded down: it must not promise more than is true.
fn lifetime(lang: &Lang, lifetime: Duration) -> String {
    match lifetime.as_secs() {
        seconds @ 0..120 => lang.count("confirm-key-seconds", seconds),
        seconds @ 120..7_200 => lang.count("confirm-key-minutes", seconds / 60),
        seconds @ 7_200..172_800 => lang.count("confirm-key-hours", seconds / 3_600),
        seconds => lang.count("confirm-key-days", seconds / 86_400),
    }
}

fn age(lang: &Lang, age: Duration) -> String {
    match age.as_secs() {
        0..5 => lang.text("age-now"),
        seconds @ 5..=90 => lang.count("age-seconds", seconds),
        seconds @ 91..=5400 => lang.count("age-minutes", seconds / 60),
        seconds => lang.count("age-hours", seconds / 3600),
    }
}
