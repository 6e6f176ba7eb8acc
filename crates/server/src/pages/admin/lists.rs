//! What there is, page by page: clients, people, devices, keys, the audit trail, notices.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_core::admin::{ClientView, DeviceView, KeyView, SweepRequest, UserView};
use countersign_core::grant::Door;

use super::filters::{Field, choice, field, following};
use super::{Desk, Page, Said, get, post, status};
use crate::app::{App, rfc3339};
use crate::flow::audit::{self, Asked, Filter};
use crate::flow::notices;
use crate::flow::office::{DeviceQuery, Refused, moment};
use crate::http::{BadForm, Form, in_path};
use crate::pages::{Outcome, PageError, is_own_path, redirect, render};

#[derive(Template)]
#[template(path = "admin/list.html")]
struct ListPage {
    page: Page,
    said: Option<Said>,
    title: &'static str,
    path: &'static str,
    /// What makes a new one.
    add: Option<(&'static str, &'static str)>,
    filters: Vec<Field>,
    heads: Vec<&'static str>,
    rows: Vec<Row>,
    /// What stands there where there is nothing.
    none: &'static str,
    /// The query of the next page.
    next: Option<String>,
    more: Vec<(String, &'static str)>,
    /// Whether rows have something to do.
    actions: bool,
    forms: Vec<Panel>,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    link: Option<String>,
    action: Option<Action>,
    /// It is over.
    dim: bool,
}

struct Action {
    name: &'static str,
    id: String,
    shown: &'static str,
    /// For those who hear it without the row.
    label: String,
}

/// Something that is done to many at once.
struct Panel {
    title: &'static str,
    text: &'static str,
    fields: Vec<Field>,
    action: &'static str,
    button: &'static str,
    harms: bool,
}

/// Rows of one page.
const ROWS: u32 = 50;
/// So long programs may keep the published keys, and not know new ones.
const WELL_KNOWN: Duration = Duration::from_mins(5);

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// A list, or the same page with what is wrong about the search.
fn show(mut list: ListPage, refused: Option<&Refused>) -> Outcome {
    match refused {
        None => render(StatusCode::OK, &list),
        Some(refused) => {
            // Nothing was looked for.
            list.none = "";
            list.said = Said::wrong(refused.to_string());
            render(status(refused), &list)
        }
    }
}

fn empty(desk: &Desk<'_>, title: &'static str, path: &'static str, none: &'static str) -> ListPage {
    ListPage {
        page: desk.page(),
        said: None,
        title,
        path,
        add: None,
        filters: Vec::new(),
        heads: Vec::new(),
        rows: Vec::new(),
        none,
        next: None,
        more: Vec::new(),
        actions: false,
        forms: Vec::new(),
    }
}

pub async fn clients(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        let mut list = empty(&desk, "Clients", "/admin/clients", "No client fits.");
        list.add = Some(("/admin/clients/new", "Add a client"));
        list.filters = vec![field(&query, "q", "Id or name", None)];
        list.heads = vec!["Name", "Id", "Proves who it is by", "May use", "Added"];
        let found = desk.office().clients(query.one("cursor"), query.one("q"), ROWS).await?;
        let page = match found {
            Ok(page) => page,
            Err(refused) => return show(list, Some(&refused)),
        };
        let row = |client: ClientView| Row {
            link: Some(format!("/admin/clients/{}", in_path(&client.client_id))),
            cells: vec![
                client.name,
                client.client_id,
                client.auth_method,
                client.grants.join(", ").replace("urn:ietf:params:oauth:grant-type:", ""),
                client.created_at,
            ],
            ..Row::default()
        };
        list.rows = page.items.into_iter().map(row).collect();
        list.next = following(&list.filters, page.next);
        show(list, None)
    })
    .await
}

pub async fn users(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        let mut list = empty(&desk, "People", "/admin/users", "Nobody fits.");
        list.add = Some(("/admin/users/new", "Add somebody"));
        list.filters = vec![field(&query, "q", "Name or e-mail address", None)];
        list.heads = vec!["Name", "Full name", "E-mail", "Tier", "Administrator", "Status", "Added"];
        let found = desk.office().users(query.one("cursor"), query.one("q"), ROWS).await?;
        let page = match found {
            Ok(page) => page,
            Err(refused) => return show(list, Some(&refused)),
        };
        let row = |user: UserView| Row {
            link: Some(format!("/admin/users/{}", in_path(&user.name))),
            dim: user.status == "disabled",
            cells: vec![
                user.name,
                or_dash(user.full_name),
                or_dash(user.email),
                user.tier,
                if user.admin { "yes" } else { "no" }.to_owned(),
                user.status,
                user.created_at,
            ],
            ..Row::default()
        };
        list.rows = page.items.into_iter().map(row).collect();
        list.next = following(&list.filters, page.next);
        show(list, None)
    })
    .await
}

async fn device_list(desk: &Desk<'_>, query: &Form, said: Option<Said>) -> Outcome {
    let mut list = empty(desk, "Devices", "/admin/devices", "No device fits.");
    list.filters = vec![
        field(query, "q", "Name", None),
        field(query, "user", "User", None),
        field(query, "client", "Client", None),
        field(query, "address", "Address", None),
        choice(query, "door", "Door", &Door::ALL.map(Door::name)),
        choice(query, "status", "Status", &["active"]),
    ];
    list.heads = vec!["Name", "User", "Door", "Client", "From", "Connected", "Last used", "Status"];
    list.actions = true;
    let panel = |name, label, hint| Field { name, label, value: String::new(), hint, choices: Vec::new() };
    list.forms = vec![Panel {
        title: "Disconnect many at once",
        text: "Everything that fits all of these is revoked, and open questions are denied.",
        fields: vec![
            panel("from", "Asked for from this address or network", Some("203.0.113.0/24")),
            panel("client", "Of this client", None),
            panel("since", "Connected at this time or later (UTC)", Some("2026-01-31T08:00:00Z")),
            panel("until", "Connected before", None),
        ],
        action: "sweep",
        button: "Disconnect all that fit",
        harms: true,
    }];
    let text = |name: &str| query.one(name).map(str::to_owned);
    let wanted = DeviceQuery {
        user: text("user"),
        client: text("client"),
        address: text("address"),
        words: text("q"),
        door: text("door"),
        active: query.one("status") == Some("active"),
    };
    let page = match desk.office().devices(query.one("cursor"), wanted, ROWS).await? {
        Ok(page) => page,
        Err(refused) => return show(list, Some(&refused)),
    };
    let row = |device: DeviceView| {
        let live = device.status == "active";
        Row {
            dim: !live,
            action: live.then(|| Action {
                name: "revoke",
                label: format!("Disconnect {} of {}", device.name, device.user),
                id: device.id,
                shown: "Disconnect",
            }),
            cells: vec![
                device.name,
                device.user,
                device.door,
                or_dash(device.client),
                device.address,
                device.created_at,
                or_dash(device.last_used),
                device.status,
            ],
            link: None,
        }
    };
    list.rows = page.items.into_iter().map(row).collect();
    list.next = following(&list.filters, page.next);
    list.said = said;
    show(list, None)
}

pub async fn devices(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        device_list(&desk, &query, None).await
    })
    .await
}

/// Back to the list that somebody came from.
fn back(desk: &Desk<'_>, form: &Form, otherwise: &str) -> Outcome {
    let base = desk.app.public_url.base_path();
    let path = form.one("back").filter(|path| is_own_path(path)).unwrap_or(otherwise);
    let path = path.strip_prefix(base).unwrap_or(path);
    redirect(desk.app, if path.starts_with(otherwise) { path } else { otherwise })
}

pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |desk, form| {
        let nothing = Form::default();
        match form.one("action") {
            Some("revoke") => match desk.office().revoke_device(form.one("id").unwrap_or_default()).await? {
                Ok(()) => back(&desk, form, "/admin/devices"),
                Err(refused) => device_list(&desk, &nothing, Said::wrong(refused.to_string())).await,
            },
            Some("sweep") => {
                let text = |name: &str| form.one(name).map(|text| text.trim().to_owned());
                let wanted = SweepRequest {
                    from: text("from"),
                    client: text("client"),
                    since: text("since"),
                    until: text("until"),
                };
                let said = match desk.office().sweep(wanted).await? {
                    Ok(swept) => Said::done(format!(
                        "Disconnected: {}. Open questions denied: {}.",
                        swept.revoked.len(),
                        swept.denied
                    )),
                    Err(refused) => Said::wrong(refused.to_string()),
                };
                device_list(&desk, &nothing, said).await
            }
            _ => Err(PageError::Form(BadForm::Broken)),
        }
    })
    .await
}

async fn key_list(desk: &Desk<'_>, said: Option<Said>) -> Outcome {
    let mut list = empty(desk, "Signing keys", "/admin/keys", "There is no key.");
    list.heads = vec!["Id", "Algorithm", "Stage", "Made", "Signs since", "Retired"];
    let row = |key: KeyView| Row {
        dim: key.stage == "retired",
        cells: vec![
            key.id,
            key.alg,
            key.stage,
            key.created_at,
            or_dash(key.active_at),
            or_dash(key.retired_at),
        ],
        ..Row::default()
    };
    list.rows = desk.office().keys().await?.into_iter().map(row).collect();
    list.forms = vec![Panel {
        title: "Rotate",
        text: "The next keys sign from now on, and new next ones are made. Old ones stay published until what they signed has expired.",
        fields: Vec::new(),
        action: "rotate",
        button: "Rotate the keys",
        harms: false,
    }];
    list.said = said;
    show(list, None)
}

pub async fn keys(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| key_list(&desk, None).await).await
}

/// Whether the keys that sign now took over from others a moment ago: somebody may press twice.
async fn just_rotated(desk: &Desk<'_>) -> Result<bool, PageError> {
    let lately = |key: &KeyView| {
        let active = key.active_at.as_deref().filter(|at| *at != key.created_at);
        key.stage == "current"
            && active.and_then(|at| moment(at).ok()).is_some_and(|at| desk.now < at + WELL_KNOWN)
    };
    Ok(desk.office().keys().await?.iter().any(lately))
}

pub async fn rotate(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |desk, form| {
        if form.one("action") != Some("rotate") {
            return Err(PageError::Form(BadForm::Broken));
        }
        let said = if just_rotated(&desk).await? {
            Said::wrong("They were rotated within the last five minutes. Programs that keep the published keys may not know the next ones yet: wait, then rotate again.")
        } else {
            match desk.office().rotate_keys().await? {
                Ok(_) => Said::done("The keys are rotated."),
                Err(refused) => Said::wrong(refused.to_string()),
            }
        };
        key_list(&desk, said).await
    })
    .await
}

/// What of the trail is wanted; what cannot be is said.
async fn filter(app: &App, query: &Form) -> Result<Result<Filter, Refused>, PageError> {
    let asked = Asked::of(|name| query.one(name).map(str::to_owned));
    Ok(asked.filter(app).await?.map_err(Refused::Invalid))
}

pub async fn audit(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        let mut list = empty(&desk, "Audit trail", "/admin/audit", "Nothing fits.");
        list.filters = vec![
            field(&query, "action", "Action", Some("grant, or grant.approved")),
            field(&query, "user", "User", None),
            field(&query, "client", "Client", None),
            field(&query, "address", "Address", None),
            field(&query, "since", "Since (UTC)", Some("2026-01-31T08:00:00Z")),
            field(&query, "until", "Before", None),
        ];
        list.heads = vec!["At", "Action", "Outcome", "About", "By", "From", "Reason"];
        let wanted = match filter(desk.app, &query).await? {
            Ok(wanted) => wanted,
            Err(refused) => return show(list, Some(&refused)),
        };
        let Ok(before) = query.one("cursor").map(str::parse).transpose() else {
            let refused = Refused::Invalid("this cursor is none of ours; begin again without one".to_owned());
            return show(list, Some(&refused));
        };
        let mut rows = audit::list(desk.app, &wanted, before, ROWS + 1).await?;
        let beyond = rows.len() > ROWS as usize;
        rows.truncate(ROWS as usize);
        let cursor = rows.last().filter(|_| beyond).map(|oldest| oldest.stored.id.to_string());
        let row = |one: audit::Entry| {
            let outcome = one.outcome().name().to_owned();
            let by = match &one.stored.actor {
                Some(actor) => actor.clone(),
                None if one.stored.account.is_some() || one.stored.client.is_some() => "self".to_owned(),
                None => one.actor(),
            };
            let about = one.user.or_else(|| one.stored.client.clone());
            Row {
                cells: vec![
                    rfc3339(one.stored.at),
                    one.stored.action,
                    outcome,
                    or_dash(about),
                    by,
                    or_dash(one.stored.address),
                    or_dash(one.stored.detail),
                ],
                ..Row::default()
            }
        };
        list.rows = rows.into_iter().map(row).collect();
        let all = following(&list.filters, Some(String::new())).unwrap_or_default();
        list.more =
            vec![(format!("/admin/audit/export?{all}"), "Download everything that fits (JSON lines)")];
        list.next = following(&list.filters, cursor);
        show(list, None)
    })
    .await
}

/// The same rows for a program to read.
pub async fn export(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        let Ok(wanted) = filter(desk.app, &query).await? else {
            return redirect(desk.app, "/admin/audit");
        };
        audit::exported(desk.app, &desk.by(), desk.now).await?;
        let mut response = audit::lines(desk.app.clone(), wanted).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let name = HeaderValue::from_static("attachment; filename=\"countersign-audit.jsonl\"");
        headers.insert(header::CONTENT_DISPOSITION, name);
        Ok(response)
    })
    .await
}

async fn notice_list(desk: &Desk<'_>, said: Option<Said>) -> Outcome {
    let mut list =
        empty(desk, "Notices", "/admin/notices", "Every notice arrived, or there was none to send.");
    list.heads = vec!["What", "By", "To", "Written", "Tried", "State", "What went wrong"];
    list.actions = true;
    let row = |notice: notices::Waiting| Row {
        action: notice.failed.then(|| Action {
            name: "replay",
            id: notice.id.to_string(),
            shown: "Send again",
            label: format!("Send {} to {} again", notice.event, notice.target),
        }),
        cells: vec![
            notice.event,
            notice.kind,
            notice.target,
            rfc3339(notice.created_at),
            notice.attempts.to_string(),
            if notice.failed { "given up" } else { "waits" }.to_owned(),
            or_dash(notice.error),
        ],
        ..Row::default()
    };
    list.rows = notices::waiting(desk.app, ROWS).await?.into_iter().map(row).collect();
    list.said = said;
    show(list, None)
}

/// What did not arrive yet, and what nobody tries any more.
pub async fn notices(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| notice_list(&desk, None).await).await
}

pub async fn replay(State(app): State<Arc<App>>, request: Request) -> Response {
    post(app, request, async |desk, form| {
        let done = match form.one("id").and_then(|id| id.parse().ok()) {
            Some(id) => notices::replay(desk.app, &desk.by(), id, desk.now).await?,
            None => false,
        };
        let said = if done {
            Said::done("It is sent again.")
        } else {
            Said::wrong("It is not there any more, or is on its way already.")
        };
        notice_list(&desk, said).await
    })
    .await
}
