//! Where values come from, and how bad ones are told.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use countersign_core::limit::Rule;
use countersign_core::policy::Network;
use countersign_core::time::Span;
use ipnet::IpNet;
use serde::de::DeserializeOwned;

use super::{SETTINGS, Setting, range_words};

/// A value as it was written, before it means anything.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    One(String),
    Many(Vec<String>),
}

impl Value {
    /// A JSON list, of strings or of tables; a table is kept as JSON.
    pub fn list(text: &str) -> Option<Self> {
        let items: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
        let item = |item: serde_json::Value| match item {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Some(Self::Many(items.into_iter().map(item).collect()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a secret.
        f.write_str(match self {
            Self::One(_) => "One(…)",
            Self::Many(_) => "Many(…)",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => f.write_str(text),
            Self::Many(items) => write!(f, "{items:?}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} ({origin}): {why}")]
pub struct Problem {
    pub key: String,
    pub origin: String,
    pub why: String,
}

/// Everything that is wrong, not only the first thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// The values that were set, each with the place that set it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    set: BTreeMap<&'static str, (Value, String)>,
    problems: Vec<Problem>,
}

/// The variables that somebody may have meant who wrote this after `COUNTERSIGN_`, with one underscore for
/// two, or without a section. Names of one word are left alone: orchestrators invent such.
fn meant(rest: &str) -> Vec<String> {
    let known = |key: &str| {
        let key = key.to_uppercase();
        let last = key.rsplit('.').next().unwrap_or_default();
        key.replace('.', "_") == rest || last == rest && last.contains('_')
    };
    let keys = SETTINGS.iter().map(|setting| setting.key);
    keys.filter(|key| key.contains('.') && known(key)).map(variable).collect()
}

/// The name of a key in the environment.
pub fn variable(key: &str) -> String {
    format!("COUNTERSIGN_{}", key.to_uppercase().replace('.', "__"))
}

impl Sources {
    /// Adds a TOML file.
    pub fn file(&mut self, path: &Path) -> Result<(), Problem> {
        let origin = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(&text, &origin),
            Err(error) => Err(Problem { key: "--config".to_owned(), origin, why: error.to_string() }),
        }
    }

    /// Adds what stands in a TOML file.
    pub fn text(&mut self, text: &str, origin: &str) -> Result<(), Problem> {
        let problem = |why| Problem { key: "--config".to_owned(), origin: origin.to_owned(), why };
        // The error's own text would show the line, which may hold a password.
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            problem(format!("line {line}: {}", error.message()))
        })?;
        self.table("", table, origin);
        Ok(())
    }

    fn table(&mut self, prefix: &str, table: toml::Table, origin: &str) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(inner) => self.table(&key, inner, origin),
                toml::Value::Array(items) => {
                    let items = items.iter().map(item).collect();
                    self.put(&key, Value::Many(items), origin);
                }
                other => self.put(&key, Value::One(scalar(&other)), origin),
            }
        }
    }

    /// Adds the variables `COUNTERSIGN_<SECTION>__<KEY>`, `COUNTERSIGN_DATA_DIR` and `COUNTERSIGN_UPSTREAM`. Others that
    /// begin alike are not ours to judge, unless they are a key's but for an underscore: orchestrators invent such names.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("COUNTERSIGN_") else { continue };
            if !rest.contains("__") && !matches!(rest, "DATA_DIR" | "UPSTREAM") {
                let meant = meant(rest);
                if !meant.is_empty() {
                    let why =
                        format!("two underscores stand between section and key: {}", meant.join(" or "));
                    self.add("environment", &name, why);
                }
                continue;
            }
            let key = rest.replace("__", ".").to_lowercase();
            let is_list = SETTINGS.iter().any(|setting| setting.key == key && setting.list);
            let value = if is_list {
                match Value::list(&text) {
                    Some(items) => items,
                    None => {
                        let why = "expected a JSON list, such as [\"10.0.0.0/8\"]".to_owned();
                        self.problems.push(Problem { key, origin: name, why });
                        continue;
                    }
                }
            } else {
                Value::One(text)
            };
            self.put(&key, value, &name);
        }
    }

    /// Adds one value, as a flag does. Unknown keys are remembered as problems.
    pub fn put(&mut self, key: &str, value: Value, origin: &str) {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            self.set.insert(setting.key, (value, origin.to_owned()));
            return;
        }
        let twin =
            key.strip_suffix("_file").and_then(|key| SETTINGS.iter().find(|s| s.secret && s.key == key));
        if let (Some(setting), Value::One(path)) = (twin, &value) {
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    let text = text.trim_end();
                    let list = if setting.list { Value::list(text) } else { None };
                    let value = list.unwrap_or_else(|| Value::One(text.to_owned()));
                    self.set.insert(setting.key, (value, origin.to_owned()));
                }
                Err(error) => self.add(key, origin, format!("cannot read {path}: {error}")),
            }
            return;
        }
        let nearest = SETTINGS
            .iter()
            .map(|setting| (strsim::damerau_levenshtein(setting.key, key), setting.key))
            .min()
            .map_or("", |(_, key)| key);
        self.add(key, origin, format!("there is no such key; did you mean {nearest}?"));
    }

    fn add(&mut self, key: &str, origin: &str, why: String) {
        self.problems.push(Problem { key: key.to_owned(), origin: origin.to_owned(), why });
    }

    /// Every key with its value and where it came from, secrets hidden.
    pub fn shown(&self) -> Vec<(&'static str, String, String)> {
        SETTINGS
            .iter()
            .map(|setting| match self.set.get(setting.key) {
                Some((_, origin)) if setting.secret => (setting.key, "(hidden)".to_owned(), origin.clone()),
                Some((value, origin)) => (setting.key, value.to_string(), origin.clone()),
                None if setting.list => (setting.key, "[]".to_owned(), "default".to_owned()),
                None => (setting.key, setting.default.to_owned(), "default".to_owned()),
            })
            .collect()
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { sources: self, problems: self.problems.clone() }
    }
}

/// First parts of paths that belong to other routes.
const RESERVED: [&str; 11] =
    ["account", "admin", "api", "assets", "docs", "favicon.ico", "login", "logout", "oauth2", "v1", "ws"];

/// One item of a list; a table is kept as JSON.
fn item(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => serde_json::to_string(table).unwrap_or_default(),
        other => scalar(other),
    }
}

fn scalar(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Gives values their meaning and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn setting(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    pub fn problem(&mut self, key: &str, why: &str) {
        let origin = self.sources.set.get(key).map_or("default", |(_, origin)| origin);
        self.problems.push(Problem { key: key.to_owned(), origin: origin.to_owned(), why: why.to_owned() });
    }

    pub fn missing<T>(&mut self, key: &str, because: &str) -> Option<T> {
        self.problem(key, &format!("it must be set, because {because}"));
        None
    }

    pub fn text(&mut self, key: &str) -> String {
        match self.sources.set.get(key) {
            Some((Value::One(text), _)) => text.clone(),
            Some((Value::Many(_), _)) => {
                self.problem(key, "expected one value, found a list");
                String::new()
            }
            None => Self::setting(key).map_or_else(String::new, |setting| setting.default.to_owned()),
        }
    }

    pub fn optional(&mut self, key: &str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    pub fn parse<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key);
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.problem(key, &format!("`{text}` does not fit: expected {expected}"));
        }
        parsed
    }

    pub fn socket(&mut self, key: &str) -> SocketAddr {
        self.parse(key, "an address and a port, such as 127.0.0.1:8628")
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn count(&mut self, key: &str) -> u32 {
        match self.parse(key, "a whole number from 1 on") {
            Some(0) => {
                self.problem(key, "`0` does not fit: expected a whole number from 1 on");
                1
            }
            other => other.unwrap_or(1),
        }
    }

    pub fn rule(&mut self, key: &str, window: Duration) -> Rule {
        Rule { attempts: self.count(key), window, grows: true }
    }

    pub fn span(&mut self, key: &str, range: RangeInclusive<Duration>) -> Duration {
        let text = self.text(key);
        match text.parse::<Span>() {
            Ok(Span(span)) if range.contains(&span) => span,
            Ok(_) => {
                let words = range_words(*range.start(), *range.end());
                self.problem(key, &format!("`{text}` does not fit: {words}"));
                *range.start()
            }
            Err(error) => {
                self.problem(key, &error.to_string());
                *range.start()
            }
        }
    }

    /// A duration that goes over the wire in seconds, so it must be whole.
    pub fn seconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        let span = self.span(key, Duration::from_secs(*range.start())..=Duration::from_secs(*range.end()));
        if span.subsec_nanos() > 0 {
            self.problem(key, "expected whole seconds");
        }
        span
    }

    pub fn named<T>(&mut self, key: &str, find: impl Fn(&str) -> Option<T>, known: &[&str]) -> T
    where
        T: Copy,
    {
        let text = self.text(key);
        if let Some(found) = find(&text) {
            return found;
        }
        self.problem(key, &format!("`{text}` is not known; use one of: {}", known.join(", ")));
        // A problem was noted, so this value is never used: any known one will do.
        let fallback = known.iter().find_map(|name| find(name));
        match fallback {
            Some(value) => value,
            None => unreachable!("{key} has no known names"),
        }
    }

    pub fn path(&mut self, key: &str) -> String {
        let path = self.text(key);
        let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "/-_".contains(symbol);
        let fits = path.len() > 1 && path.starts_with('/') && !path.ends_with('/') && path.chars().all(plain);
        let first = path.split('/').nth(1).unwrap_or_default();
        if RESERVED.contains(&first) {
            self.problem(
                key,
                &format!("`{path}` is taken by other pages; choose one that does not begin with /{first}"),
            );
        }
        if !fits || path.contains("//") {
            self.problem(
                key,
                &format!("`{path}` is not a path: begin with a slash and use letters, digits, - and _"),
            );
        }
        path
    }

    /// A level, or a list of `target=level` and levels.
    pub fn log_level(&mut self, key: &str) -> String {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let text = self.text(key);
        let known = |part: &str| LEVELS.contains(&part.rsplit('=').next().unwrap_or(part).trim());
        if !text.split(',').all(known) {
            let why = format!("`{text}` is not known; use one of: {}, or target=level", LEVELS.join(", "));
            self.problem(key, &why);
        }
        text
    }

    /// A list of tables with ids of their own, each made complete.
    pub fn identified<T: DeserializeOwned>(
        &mut self,
        key: &str,
        complete: impl Fn(T) -> Result<T, String>,
        id: impl Fn(&T) -> &String,
    ) -> Vec<T> {
        let mut all: Vec<T> = Vec::new();
        for table in self.tables::<T>(key) {
            let name = id(&table).clone();
            match complete(table) {
                Ok(_) if all.iter().any(|other| *id(other) == name) => {
                    self.problem(key, &format!("{name}: another one has the same id"));
                }
                Ok(table) => all.push(table),
                Err(why) => self.problem(key, &format!("{name}: {why}")),
            }
        }
        all
    }

    /// A list of tables.
    pub fn tables<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let items = match self.sources.set.get(key) {
            Some((Value::Many(items), _)) => items.clone(),
            Some((Value::One(_), _)) => {
                self.problem(key, "expected a list of tables, in JSON, such as [{\"id\": \"one\"}]; or [[tables]] in the file");
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut tables = Vec::new();
        for item in items {
            match serde_json::from_str(&item) {
                Ok(table) => tables.push(table),
                Err(error) => self.problem(key, &format!("an item does not fit: {error}")),
            }
        }
        tables
    }

    pub fn texts(&mut self, key: &str, example: &str) -> Vec<String> {
        match self.sources.set.get(key) {
            Some((Value::Many(items), _)) => items.clone(),
            Some((Value::One(_), _)) => {
                self.problem(key, &format!("expected a list, such as [\"{example}\"]"));
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Origins of web pages (RFC 6454 §6.2), or of programs that have some of their own.
    pub fn origins(&mut self, key: &str) -> Vec<String> {
        let items = self.texts(key, "https://app.example.com");
        for item in &items {
            let fits = item.split_once("://").is_some_and(|(scheme, host)| {
                !scheme.is_empty() && !host.contains('/') && !item.contains(char::is_whitespace)
            });
            if !fits && item != "null" {
                self.problem(key, &format!("`{item}` is no origin, such as https://app.example.com"));
            }
        }
        items
    }

    pub fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let items = self.texts(key, "10.0.0.0/8");
        let mut networks = Vec::new();
        for item in items {
            match item.parse::<Network>() {
                Ok(Network(network)) => networks.push(network),
                Err(error) => self.problem(key, &error.to_string()),
            }
        }
        networks
    }

    pub fn finish<T>(self, config: T) -> Result<T, Problems> {
        if self.problems.is_empty() { Ok(config) } else { Err(Problems(self.problems)) }
    }
}
