//! What is going on: how things stand, the funnel, how long people take, who logs in, what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::response::Response;
use countersign_core::admin::Standing;
use countersign_core::grant::Door;
use countersign_core::time::Timestamp;

use super::plot::{Stack, bars, columns};
use super::{Page, Said, get};
use crate::app::App;
use crate::flow::figures::{self, HOUR, Overview, hour_of};
use crate::flow::standing;
use crate::pages::account::WITH_SCRIPT;
use crate::pages::{assets, render};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    page: Page,
    said: Option<Said>,
    script: &'static str,
    spans: [(u32, &'static str, bool); 3],
    as_of: String,
    /// What it is, how much of it there is, and where more of it stands.
    now: [(&'static str, i64, &'static str); 7],
    funnel: String,
    denied: i64,
    expired: i64,
    approved: i64,
    approval: String,
    redeemed: i64,
    logins: String,
    clients: String,
    refusals: usize,
    refused: String,
}

const SPANS: [(u32, &str); 3] = [(1, "Day"), (7, "Week"), (30, "Month")];

pub async fn overview(State(app): State<Arc<App>>, parts: Parts) -> Response {
    get(app, parts, async |desk| {
        let query = desk.query()?;
        let days = query.one("days").and_then(|days| days.parse().ok());
        let days = days.filter(|days| SPANS.iter().any(|(known, _)| known == days)).unwrap_or(7);
        let since = desk.now - Duration::from_hours(24) * days;
        let found = figures::overview(desk.app, since).await?;
        let standing = standing::now(desk.app).await?;
        let count = |name: &str| found.funnel.get(name).copied().unwrap_or(0);
        let steps =
            [("Asked", "asked"), ("Opened", "opened"), ("Approved", "approved"), ("Connected", "redeemed")];
        let steps: Vec<(String, i64)> =
            steps.iter().map(|(label, name)| ((*label).to_owned(), count(name))).collect();
        let shown = OverviewPage {
            page: desk.page(),
            said: None,
            script: assets::admin_name(),
            spans: SPANS.map(|(span, name)| (span, name, span == days)),
            as_of: stamp(desk.now, "%Y-%m-%d %H:%M:%S UTC"),
            now: rows(&standing),
            funnel: bars("From question to login", &steps, true)?,
            denied: count("denied"),
            expired: count("expired"),
            approved: count("approved"),
            approval: columns("Time to approval", within(&found), 480)?,
            redeemed: count("redeemed"),
            logins: columns("Logins", logins(&found, since, desk.now, days), 480)?,
            clients: bars("Logins by client", &named(&found.by_client), false)?,
            refusals: found.refused.len(),
            refused: bars("Refusals", &found.refused, false)?,
        };
        let mut response = render(StatusCode::OK, &shown)?;
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, WITH_SCRIPT);
        Ok(response)
    })
    .await
}

fn rows(standing: &Standing) -> [(&'static str, i64, &'static str); 7] {
    let all = |counts: &BTreeMap<String, i64>| counts.values().sum();
    let devices = |door: Door| standing.devices.get(door.name()).copied().unwrap_or(0);
    [
        ("Questions that wait for somebody", all(&standing.questions), ""),
        ("Devices by OAuth", devices(Door::OAuth), "/admin/devices"),
        ("Devices of command lines", devices(Door::Cli), "/admin/devices"),
        ("Devices by socket", devices(Door::Socket), "/admin/devices"),
        ("Browsers that are signed in", standing.sessions, ""),
        ("Notices on their way", standing.notices_waiting, "/admin/notices"),
        ("Notices that were given up", standing.notices_dead, "/admin/notices"),
    ]
}

fn stamp(at: Timestamp, format: &str) -> String {
    let at = jiff::Timestamp::from_microsecond(at.micros());
    at.map_or_else(|_| String::new(), |at| at.strftime(format).to_string())
}

/// Where no client says that it asks.
fn named(clients: &[(String, i64)]) -> Vec<(String, i64)> {
    let name = |name: &String| if name == "-" { "(no client)".to_owned() } else { name.clone() };
    clients.iter().map(|(client, count)| (name(client), *count)).collect()
}

fn within(found: &Overview) -> Vec<Stack> {
    let words = |seconds: u64| {
        if seconds < 60 { format!("{seconds}s") } else { format!("{}m", seconds / 60) }
    };
    let known: BTreeMap<u64, i64> = found.approval.iter().copied().collect();
    let buckets = crate::telemetry::APPROVAL.map(u64::from);
    let mut stacks: Vec<Stack> = buckets
        .iter()
        .map(|seconds| Stack {
            tick: words(*seconds),
            label: format!("within {}", words(*seconds)),
            parts: vec![("bar", known.get(seconds).copied().unwrap_or(0))],
        })
        .collect();
    stacks.push(Stack {
        tick: "more".to_owned(),
        label: "more".to_owned(),
        parts: vec![("bar", found.slower)],
    });
    stacks
}

/// Hours are drawn together where there are many.
fn logins(found: &Overview, since: Timestamp, now: Timestamp, days: u32) -> Vec<Stack> {
    let (step, every, format) = match days {
        1 => (HOUR, 6, "%H:00"),
        7 => (HOUR * 6, 4, "%a"),
        _ => (HOUR * 24, 7, "%d %b"),
    };
    let mut stacks = Vec::new();
    let mut from = hour_of(since);
    while from <= now {
        let until = from + step;
        let mut doors: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, counts) in found.logins.range(from..until) {
            for (door, count) in counts {
                *doors.entry(door.as_str()).or_default() += count;
            }
        }
        let part = |door: Door| (door.name(), doors.get(door.name()).copied().unwrap_or(0));
        let tick = if stacks.len() % every == 0 { stamp(from, format) } else { String::new() };
        stacks.push(Stack {
            tick,
            label: stamp(from, "%Y-%m-%d %H:00"),
            parts: Door::ALL.map(part).to_vec(),
        });
        from = until;
    }
    stacks
}
