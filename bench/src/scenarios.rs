//! What is measured, on what, in which order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use clap::Args;

use crate::client::{Answer, Connection, get, post};
use crate::load::{Pace, Script, run as load};
use crate::process::{Installation, Server, floor};
use crate::table::{Row, Sample, print};

#[derive(Debug, Args)]
pub struct Options {
    /// The countersign binary
    #[arg(long, default_value = "target/release/countersign")]
    binary: PathBuf,
    /// How often everything is measured; the table has the medians
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Length of one measurement
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Pending grants that are polled
    #[arg(long, default_value_t = 100_000)]
    pending: usize,
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Also fill `SQLite` with a million pending grants, and measure memory and polls
    #[arg(long)]
    million: bool,
}

const CONNECTIONS: usize = 64;
const TOKENS: usize = 64;
const PASSWORD: &str = "correct horse battery";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ASK: &str = "/oauth2/v1/device_authorization";
const TOKEN: &str = "/oauth2/v1/token";

fn ask() -> Vec<u8> {
    post(ASK, &[("client_id", "tv"), ("scope", "openid offline_access")], &[])
}

fn poll(code: &str) -> Vec<u8> {
    post(TOKEN, &[("grant_type", DEVICE_CODE), ("client_id", "tv"), ("device_code", code)], &[])
}

fn expect(answer: &Answer<'_>, status: u16) -> anyhow::Result<()> {
    ensure!(answer.status == status, "{}: {}", answer.status, answer.body);
    Ok(())
}

/// The same requests again and again.
struct Fixed {
    requests: Arc<Vec<Vec<u8>>>,
    at: usize,
    step: usize,
    status: u16,
    words: &'static str,
}

impl Fixed {
    fn many(requests: &Arc<Vec<Vec<u8>>>, connections: usize, status: u16, words: &'static str) -> Vec<Self> {
        let one = |at| Self { requests: requests.clone(), at, step: connections, status, words };
        (0..connections).map(one).collect()
    }
}

impl Script for Fixed {
    fn next(&mut self) -> Vec<u8> {
        self.at += self.step;
        self.requests.get(self.at % self.requests.len()).cloned().unwrap_or_default()
    }

    fn answered(&mut self, answer: &Answer<'_>) -> anyhow::Result<()> {
        expect(answer, self.status)?;
        ensure!(answer.body.contains(self.words), "{}", answer.body);
        Ok(())
    }
}

/// Asks for codes and keeps them.
#[derive(Default)]
struct Collect {
    codes: Vec<String>,
    wanted: usize,
}

impl Script for Collect {
    fn next(&mut self) -> Vec<u8> {
        ask()
    }

    fn answered(&mut self, answer: &Answer<'_>) -> anyhow::Result<()> {
        expect(answer, 200)?;
        self.codes.push(answer.field("device_code")?.to_owned());
        Ok(())
    }

    fn counts(&self) -> bool {
        self.codes.len() <= self.wanted
    }
}

/// A person who is signed in, and the forms of that session.
#[derive(Clone)]
struct Session {
    cookie: String,
    csrf: String,
}

fn header(answer: &Answer<'_>, name: &str) -> Option<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.split(';').next().unwrap_or(value).to_owned())
}

fn csrf(answer: &Answer<'_>) -> anyhow::Result<String> {
    let found =
        answer.body.split_once("name=\"csrf_token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    found.map(|(token, _)| token.to_owned()).context("no form")
}

async fn sign_in(address: &str) -> anyhow::Result<Session> {
    let mut connection = Connection::open(address).await?;
    let page = connection.send(&get("/login", &[])).await?;
    let (cookie, token) = (header(&page, "set-cookie").context("no cookie")?, csrf(&page)?);
    let form = [("csrf_token", token.as_str()), ("username", "bench"), ("password", PASSWORD)];
    let answer = connection.send(&post("/login", &form, &[("Cookie", &cookie)])).await?;
    expect(&answer, 303)?;
    let cookie = header(&answer, "set-cookie").context("no session")?;
    let page = connection.send(&get("/device", &[("Cookie", &cookie)])).await?;
    let csrf = csrf(&page)?;
    Ok(Session { cookie, csrf })
}

/// Ask, approve, redeem: a login is three requests.
struct Login {
    session: Session,
    step: usize,
    device_code: String,
    user_code: String,
    refresh: Vec<String>,
    access: Vec<String>,
}

impl Login {
    fn new(session: Session) -> Self {
        let (device_code, user_code) = <(String, String)>::default();
        Self { session, step: 0, device_code, user_code, refresh: Vec::new(), access: Vec::new() }
    }
}

impl Script for Login {
    fn next(&mut self) -> Vec<u8> {
        self.step += 1;
        match self.step % 3 {
            1 => ask(),
            2 => post(
                "/device",
                &[
                    ("csrf_token", &self.session.csrf),
                    ("user_code", &self.user_code),
                    ("own_device", "yes"),
                    ("decision", "approve"),
                ],
                &[("Cookie", &self.session.cookie)],
            ),
            _ => poll(&self.device_code),
        }
    }

    fn answered(&mut self, answer: &Answer<'_>) -> anyhow::Result<()> {
        expect(answer, 200)?;
        match self.step % 3 {
            1 => {
                answer.field("device_code")?.clone_into(&mut self.device_code);
                answer.field("user_code")?.clone_into(&mut self.user_code);
            }
            2 => ensure!(answer.body.contains("Device connected"), "{}", answer.body),
            _ => {
                self.refresh = vec![answer.field("refresh_token")?.to_owned()];
                self.access = vec![answer.field("access_token")?.to_owned()];
            }
        }
        Ok(())
    }

    fn counts(&self) -> bool {
        self.step.is_multiple_of(3)
    }
}

/// Each refresh spends the token that the one before brought.
struct Refresh(String);

impl Script for Refresh {
    fn next(&mut self) -> Vec<u8> {
        post(TOKEN, &[("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", &self.0)], &[])
    }

    fn answered(&mut self, answer: &Answer<'_>) -> anyhow::Result<()> {
        expect(answer, 200)?;
        answer.field("refresh_token")?.clone_into(&mut self.0);
        Ok(())
    }
}

/// One engine, ready to be measured.
struct Subject {
    name: &'static str,
    server: Server,
    session: Session,
    /// They go on where they were: starting anew would poll some grants too soon.
    polls: Vec<Fixed>,
    introspections: Arc<Vec<Vec<u8>>>,
    refresh: Vec<String>,
    installation: Installation,
}

async fn prepare(
    name: &'static str,
    options: &Options,
    database: Option<(String, u32)>,
) -> anyhow::Result<Subject> {
    let mut settings: Vec<String> =
        ["rate_limit.enabled=false", "log.level=warn", "device.interval=1s", "device.code_ttl=6h"]
            .map(str::to_owned)
            .into();
    let postmaster = database.as_ref().map(|(_, pid)| *pid);
    settings.extend(database.map(|(url, _)| format!("database.url={url}")));
    let folder = tempfile::tempdir()?;
    let installation =
        Installation { binary: options.binary.canonicalize()?, folder, settings, database: postmaster };
    installation.command(&["user", "add", "bench", "--password-stdin"], PASSWORD)?;
    installation.command(&["client", "add", "--id", "tv", "--name", "TV"], "")?;
    let added =
        installation.command(&["client", "add", "--id", "api", "--name", "API", "--secret", "--json"], "")?;
    let added: serde_json::Value = serde_json::from_str(&added)?;
    let secret = added.get("client_secret").and_then(serde_json::Value::as_str).context("no secret")?;
    let (server, _) = installation.start()?;
    let session = sign_in(&server.address).await?;

    let logins = (0..TOKENS).map(|_| Login::new(session.clone())).collect();
    let (_, logins) = load(&server.address, logins, Pace::Closed, Duration::from_secs(2)).await?;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("api:{secret}"));
    let introspect = |token: &String| {
        post("/oauth2/v1/introspect", &[("token", token)], &[("Authorization", &format!("Basic {basic}"))])
    };
    let introspections = logins.iter().flat_map(|login| &login.access).map(introspect).collect();
    let refresh = logins.iter().flat_map(|login| login.refresh.clone()).collect();
    let polls = Arc::new(fill(&server, options.pending).await?);
    let polls = warm(&server, polls.len(), Fixed::many(&polls, CONNECTIONS, 400, "\"error\"")).await?;
    Ok(Subject {
        name,
        server,
        session,
        polls,
        introspections: Arc::new(introspections),
        refresh,
        installation,
    })
}

/// Asks for so many codes, and answers with the polls for them.
async fn fill(server: &Server, wanted: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut polls = Vec::new();
    while polls.len() < wanted {
        let scripts = (0..CONNECTIONS).map(|_| Collect::default()).collect();
        let (_, scripts) = load(&server.address, scripts, Pace::Closed, Duration::from_secs(2)).await?;
        polls.extend(scripts.iter().flat_map(|script| &script.codes).map(|code| poll(code)));
    }
    // Each grant is polled by one connection only, so none is ever polled too soon.
    polls.truncate(wanted - wanted % CONNECTIONS);
    Ok(polls)
}

/// Polls every grant once: a device polls some hundred times, and its first poll costs more.
async fn warm(server: &Server, grants: usize, mut scripts: Vec<Fixed>) -> anyhow::Result<Vec<Fixed>> {
    let mut polled = 0;
    while polled < grants {
        let (measured, back) = load(&server.address, scripts, Pace::Closed, Duration::from_secs(5)).await?;
        polled += usize::try_from(measured.count)?;
        scripts = back;
    }
    Ok(scripts)
}

/// Measures one scenario on one server, and what it cost the processor.
async fn sample<S: Script>(
    server: &Server,
    scripts: Vec<S>,
    pace: Pace,
    length: Duration,
) -> anyhow::Result<(Sample, Vec<S>)> {
    let before = server.cpu_micros();
    let (measured, scripts) = load(&server.address, scripts, pace, length).await?;
    Ok((Sample::new(&measured, server.cpu_micros() - before), scripts))
}

struct Table(Vec<Row>);

impl Table {
    fn add(&mut self, scenario: &'static str, server: &'static str, floor: &'static str, sample: Sample) {
        match self.0.iter_mut().find(|row| row.scenario == scenario && row.server == server) {
            Some(row) => row.samples.push(sample),
            None => self.0.push(Row { scenario, server, floor, samples: vec![sample] }),
        }
    }
}

const AUTHORIZE: &str = "device authorization, 64 connections";
const POLL: &str = "pending poll, 64 connections";
const STEADY: &str = "pending poll at half of the maximum";
const INTROSPECT: &str = "introspection, 64 connections";
const REFRESH: &str = "refresh, 64 connections";
const LOGIN: &str = "full login (3 requests), 16 connections";

pub async fn run(options: Options) -> anyhow::Result<()> {
    let length = Duration::from_secs(options.seconds);
    let floor = floor()?;
    let wanted = |scenario: &str| scenario.contains(&options.only);
    let constant = |request: Vec<u8>| Arc::new(vec![request]);
    let mut subjects = vec![prepare("SQLite", &options, None).await?];
    match postgres()? {
        Some(database) => subjects.push(prepare("PostgreSQL", &options, Some(database)).await?),
        None => eprintln!("PostgreSQL is left out: run this with scripts/bench"),
    }
    let mut table = Table(Vec::new());
    for run in 1..=options.runs {
        eprintln!("run {run} of {}", options.runs);
        let asks = || Fixed::many(&constant(ask()), CONNECTIONS, 200, "device_code");
        if wanted(AUTHORIZE) {
            let (found, _) = sample(&floor, asks(), Pace::Closed, length).await?;
            table.add(AUTHORIZE, "floor", AUTHORIZE, found);
            for subject in &subjects {
                let (found, _) = sample(&subject.server, asks(), Pace::Closed, length).await?;
                table.add(AUTHORIZE, subject.name, AUTHORIZE, found);
            }
        }
        let floor_polls = constant(poll("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        let polls =
            |requests: &Arc<Vec<Vec<u8>>>| Fixed::many(requests, CONNECTIONS, 400, "authorization_pending");
        let (found, _) = sample(&floor, polls(&floor_polls), Pace::Closed, length).await?;
        table.add(POLL, "floor", POLL, found);
        if wanted(POLL) {
            let half = Pace::Open(found.per_second / 2.0);
            let (steady, _) = sample(&floor, polls(&floor_polls), half, length).await?;
            table.add(STEADY, "floor", STEADY, steady);
            for subject in &mut subjects {
                let mut scripts = std::mem::take(&mut subject.polls);
                for script in &mut scripts {
                    script.words = "authorization_pending";
                }
                let (found, scripts) = sample(&subject.server, scripts, Pace::Closed, length).await?;
                table.add(POLL, subject.name, POLL, found);
                let half = Pace::Open(found.per_second / 2.0);
                let (steady, scripts) = sample(&subject.server, scripts, half, length).await?;
                table.add(STEADY, subject.name, STEADY, steady);
                subject.polls = scripts;
            }
        }
        for subject in &mut subjects {
            if wanted(INTROSPECT) {
                let scripts = Fixed::many(&subject.introspections, CONNECTIONS, 200, "\"active\":true");
                let (found, _) = sample(&subject.server, scripts, Pace::Closed, length).await?;
                table.add(INTROSPECT, subject.name, POLL, found);
            }
            if wanted(REFRESH) {
                let scripts = subject.refresh.drain(..).map(Refresh).collect();
                let (found, scripts) = sample(&subject.server, scripts, Pace::Closed, length).await?;
                subject.refresh = scripts.into_iter().map(|script: Refresh| script.0).collect();
                table.add(REFRESH, subject.name, POLL, found);
            }
            if wanted(LOGIN) {
                let logins = (0..16).map(|_| Login::new(subject.session.clone())).collect();
                let (found, _) = sample(&subject.server, logins, Pace::Closed, length).await?;
                table.add(LOGIN, subject.name, POLL, found);
            }
        }
    }
    print(&table.0);
    println!();
    for subject in subjects.into_iter().filter(|_| options.only.is_empty()) {
        println!("{}: {} KiB resident after all this", subject.name, subject.server.resident_kib());
        starts(subject)?;
    }
    if options.million {
        million(&options).await?;
    }
    Ok(())
}

/// Starts it again and again on the database that it has by now.
fn starts(subject: Subject) -> anyhow::Result<()> {
    drop(subject.server);
    let mut times = Vec::new();
    let mut idle = 0;
    for _ in 0..9 {
        let (server, time) = subject.installation.start()?;
        idle = server.resident_kib();
        times.push(time);
    }
    times.sort();
    let Some(median) = times.get(times.len() / 2) else { bail!("no starts") };
    println!(
        "{}: first answer {} ms after the start (median of 9), {idle} KiB resident when idle",
        subject.name,
        median.as_millis()
    );
    Ok(())
}

/// What a million pending grants cost.
async fn million(options: &Options) -> anyhow::Result<()> {
    let few = Options { binary: options.binary.clone(), only: String::new(), pending: 1_000, ..*options };
    let subject = prepare("SQLite", &few, None).await?;
    let length = Duration::from_secs(options.seconds);
    let (with_few, _) = sample(&subject.server, subject.polls, Pace::Closed, length).await?;
    let polls = Arc::new(fill(&subject.server, 1_000_000).await?);
    // Start anew, so that what asking for them needed is not counted.
    drop(subject.server);
    let (server, _) = subject.installation.start()?;
    let before = server.resident_kib();
    let scripts = Fixed::many(&polls, CONNECTIONS, 400, "\"error\"");
    let scripts = warm(&server, polls.len(), scripts).await?;
    let each = (server.resident_kib() - before) * 1024 / 1_000_000;
    let (with_many, _) = sample(&server, scripts, Pace::Closed, length).await?;
    println!(
        "a million pending grants: {each} bytes resident each once polled; CPU of a poll {:.1} µs against {:.1} µs with a thousand ({:.2}×)",
        with_many.cpu_micros,
        with_few.cpu_micros,
        with_many.cpu_micros / with_few.cpu_micros
    );
    Ok(())
}

/// The cluster that `scripts/with-postgres` started, and its first process.
pub fn postgres() -> anyhow::Result<Option<(String, u32)>> {
    let Ok(url) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else { return Ok(None) };
    let data = std::env::var("COUNTERSIGN_TEST_POSTGRES_DATA")?;
    let pid = std::fs::read_to_string(PathBuf::from(data).join("postmaster.pid"))?;
    Ok(Some((url, pid.lines().next().context("an empty pid file")?.parse()?)))
}
