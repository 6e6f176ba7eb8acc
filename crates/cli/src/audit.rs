//! `countersign audit`.

use std::io::Write as _;

use countersign_core::audit::By;
use countersign_server::app::App;
use countersign_server::flow::accounts;
use countersign_server::flow::audit::{self, Entry, Filter};
use countersign_server::store::Opening;
use serde_json::json;

use crate::admin::{open, username};
use crate::args::{AuditCommand, AuditFilter, Global};
use crate::failure::{Outcome, failure};
use crate::output::{self, line, note, table, time};

/// Rows that are read at once.
const PAGE: u32 = 500;

async fn filter(app: &App, said: AuditFilter) -> Outcome<Filter> {
    let account = match &said.user {
        None => None,
        Some(name) => {
            let found = accounts::find(app, &username(name)?).await?;
            let unknown = || {
                failure(
                    format!("there is no user `{name}`"),
                    "`countersign user list` shows those that exist",
                )
            };
            Some(found.ok_or_else(unknown)?.id)
        }
    };
    Ok(Filter {
        action: said.action,
        account,
        client: said.client,
        device: said.device,
        address: said.from,
        since: said.since,
        until: said.until,
    })
}

pub async fn run(global: &Global, command: AuditCommand) -> Outcome {
    let app = open(global, Opening::Existing).await?;
    match command {
        AuditCommand::List { filter: said, limit, json } => {
            let filter = filter(&app, said).await?;
            let mut entries = Vec::new();
            while entries.len() < limit as usize {
                let rest = limit - u32::try_from(entries.len()).unwrap_or(limit);
                let before = entries.last().map(|entry: &Entry| entry.stored.id);
                let page = audit::list(&app, &filter, before, rest.min(PAGE)).await?;
                if page.is_empty() {
                    break;
                }
                entries.extend(page);
            }
            if json {
                return output::json(&entries.iter().map(Entry::view).collect::<Vec<_>>());
            }
            let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
            table(&["AT", "ACTION", "OUTCOME", "ABOUT", "BY", "FROM", "REASON"], &rows)
        }
        AuditCommand::Export { filter: said, output } => {
            let filter = filter(&app, said).await?;
            audit::exported(&app, &By::COMMAND_LINE, app.clock.now()).await?;
            export(&app, &filter, output.as_deref()).await
        }
        AuditCommand::Verify { json } => {
            let verdict = audit::verify(&app, None).await?;
            let (last, hash) = verdict.last.clone().unwrap_or_default();
            if json {
                output::json(&json!({
                    "intact": verdict.broken.is_none(),
                    "broken": verdict.broken,
                    "rows": verdict.rows,
                    "unsealed": verdict.unsealed,
                    "last": last,
                    "hash": hash,
                }))?;
            } else if verdict.broken.is_none() {
                line(format!("{} rows stand as they were sealed; the last is {last}.", verdict.rows))?;
                line(format!("Its hash: {hash}"))?;
                if verdict.unsealed > 0 {
                    line(format!(
                        "{} rows are not sealed yet; a running server does that every second.",
                        verdict.unsealed
                    ))?;
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
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let stored = &entry.stored;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let about = entry.user.clone().or_else(|| stored.client.clone());
    vec![
        time(stored.at),
        stored.action.clone(),
        entry.outcome().name().to_owned(),
        or_dash(about),
        or_dash(stored.actor.clone()),
        or_dash(stored.address.clone()),
        or_dash(stored.detail.clone()),
    ]
}

async fn export(app: &App, filter: &Filter, output: Option<&std::path::Path>) -> Outcome {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut out: Box<dyn std::io::Write> = match output {
        Some(file) => {
            Box::new(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?)
        }
        None => Box::new(std::io::stdout()),
    };
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
    match output {
        Some(file) => note(format!("{rows} rows are in {}.", file.display())),
        None => Ok(()),
    }
}
