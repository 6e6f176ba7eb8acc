//! `countersign audit`, on the database here or through a server.

use std::io::Write;
use std::path::Path;

use countersign_client::Admin;
use countersign_core::admin::{AuditView, Page, Verdict};
use countersign_core::audit::By;
use countersign_server::app::App;
use countersign_server::flow::audit::{self, Asked, Entry, Filter};
use countersign_server::store::Opening;
use reqwest::Method;
use url::form_urlencoded::Serializer;

use crate::args::{At, AuditCommand, AuditFilter, Global};
use crate::desk::{Desk, NOTHING};
use crate::failure::{Outcome, failure};
use crate::output::{self, line, note, table};

/// Rows that are read at once.
const PAGE: u32 = 500;

pub async fn run(global: &Global, at: At<AuditCommand>) -> Outcome {
    let desk = Desk::open(global, at.server.as_deref(), Opening::Existing).await?;
    match at.command {
        AuditCommand::List { filter, limit, json } => {
            let entries = match &desk {
                Desk::Here(app) => read(app, filter, limit).await?,
                Desk::There(admin) => fetch(admin, &filter, limit).await?,
            };
            if json {
                return output::json(&entries);
            }
            let rows: Vec<Vec<String>> = entries.into_iter().map(row).collect();
            table(&["AT", "ACTION", "OUTCOME", "ABOUT", "BY", "FROM", "REASON"], &rows)
        }
        AuditCommand::Export { filter, output } => {
            let rows = match &desk {
                Desk::Here(app) => {
                    let filter = known(app, filter).await?;
                    audit::exported(app, &By::COMMAND_LINE, app.clock.now()).await?;
                    export(app, &filter, &mut *target(output.as_deref())?).await?
                }
                Desk::There(admin) => download(admin, &filter, output.as_deref()).await?,
            };
            output.map_or(Ok(()), |file| note(format!("{rows} rows are in {}.", file.display())))
        }
        AuditCommand::Verify { json } => {
            let verdict = match &desk {
                Desk::Here(app) => audit::verify(app).await?.view(),
                Desk::There(admin) => admin.call(Method::GET, "/audit/verify", NOTHING).await?,
            };
            tell(verdict, json)
        }
    }
}

fn tell(verdict: Verdict, json: bool) -> Outcome {
    if json {
        output::json(&verdict)?;
    } else if verdict.intact {
        line(format!("{} rows stand as they were sealed; the last is {}.", verdict.rows, verdict.last))?;
        if !verdict.hash.is_empty() {
            line(format!("Its hash: {}", verdict.hash))?;
        }
        if verdict.unsealed > 0 {
            let unsealed = verdict.unsealed;
            line(format!("Not sealed yet: {unsealed}; a running server does that every second."))?;
        }
    }
    match verdict.broken {
        None => Ok(()),
        Some(broken) => Err(failure(
            format!("the audit trail was changed: {broken}"),
            "somebody wrote to the database past the server; compare with a backup and with the log, where the server writes the end of the trail every hour",
        )),
    }
}

async fn known(app: &App, said: AuditFilter) -> Outcome<Filter> {
    let AuditFilter { action, user, client, device, from, since, until } = said;
    let asked = Asked { action, user, client, device, address: from, since, until };
    asked.filter(app).await?.map_err(|why| failure(why, "`countersign audit list --help` shows what fits"))
}

async fn read(app: &App, said: AuditFilter, limit: u32) -> Outcome<Vec<AuditView>> {
    let filter = known(app, said).await?;
    let (mut views, mut before) = (Vec::new(), None);
    while views.len() < limit as usize {
        let rest = limit - u32::try_from(views.len()).unwrap_or(limit);
        let page = audit::list(app, &filter, before, rest.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.stored.id);
        views.extend(page.iter().map(Entry::view));
    }
    Ok(views)
}

async fn export(app: &App, filter: &Filter, out: &mut dyn Write) -> Outcome<usize> {
    let (mut before, mut rows) = (None, 0);
    loop {
        let page = audit::list(app, filter, before, PAGE).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.stored.id);
        rows += page.len();
        for entry in &page {
            writeln!(out, "{}", entry.line())?;
        }
    }
    out.flush()?;
    Ok(rows)
}

/// The filter as a server takes it.
fn query(said: &AuditFilter) -> Serializer<'static, String> {
    let fields = [
        ("action", &said.action),
        ("user", &said.user),
        ("client", &said.client),
        ("device", &said.device),
        ("address", &said.from),
        ("since", &said.since),
        ("until", &said.until),
    ];
    let mut query = Serializer::new(String::new());
    query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
    query
}

async fn fetch(admin: &Admin, said: &AuditFilter, limit: u32) -> Outcome<Vec<AuditView>> {
    let mut views = Vec::new();
    let mut cursor = None;
    while views.len() < limit as usize {
        let rest = limit - u32::try_from(views.len()).unwrap_or(limit);
        let mut query = query(said);
        query.append_pair("limit", &rest.min(Admin::PAGE).to_string());
        query.extend_pairs(cursor.map(|cursor: String| ("cursor", cursor)));
        let path = format!("/audit?{}", query.finish());
        let page: Page<AuditView> = admin.call(Method::GET, &path, NOTHING).await?;
        views.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(views)
}

async fn download(admin: &Admin, said: &AuditFilter, output: Option<&Path>) -> Outcome<usize> {
    let path = format!("/audit/export?{}", query(said).finish());
    let mut response = admin.send(Method::GET, &path, NOTHING).await?;
    let mut out = target(output)?;
    let mut rows = 0;
    while let Some(part) = response.chunk().await? {
        rows += part.split(|byte| *byte == b'\n').count() - 1;
        out.write_all(&part)?;
    }
    out.flush()?;
    Ok(rows)
}

fn row(view: AuditView) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let themselves = [
        view.user_id.map(|id| format!("user {id}")),
        view.client_id.as_ref().map(|id| format!("client {id}")),
    ];
    let by = if themselves.contains(&Some(view.actor.clone())) { "self".to_owned() } else { view.actor };
    // To the second.
    let at = view.at.split_once('.').map_or_else(|| view.at.clone(), |(at, _)| format!("{at}Z"));
    vec![
        at,
        view.action,
        view.outcome,
        or_dash(view.username.or(view.client_id)),
        by,
        or_dash(view.address),
        or_dash(view.reason),
    ]
}

/// A new file for its owner alone, or standard output.
fn target(output: Option<&Path>) -> Outcome<Box<dyn Write>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    Ok(match output {
        Some(file) => {
            let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            Box::new(opened.map_err(|error| {
                failure(
                    format!("cannot write {}: {error}", file.display()),
                    "name a file that is not there yet",
                )
            })?)
        }
        None => Box::new(std::io::stdout()),
    })
}
