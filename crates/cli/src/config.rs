//! `countersign config`, and how every command finds its configuration.

use std::path::Path;

use countersign_server::config::{Config, Sources, Value, reference};
use serde_json::json;

use crate::args::{ConfigCommand, Global};
use crate::failure::{Outcome, usage};
use crate::output::{self, line};

/// The file that is read where no other is named.
const FILE: &str = "countersign.toml";

/// Defaults, file, environment, flags, in this order.
pub fn sources(global: &Global, flags: &[(&str, &Option<String>)]) -> Outcome<Sources> {
    let mut sources = Sources::default();
    match &global.config {
        Some(file) => sources.file(file),
        None if Path::new(FILE).exists() => sources.file(Path::new(FILE)),
        None => Ok(()),
    }
    .map_err(|problem| usage(problem.to_string(), "the file must exist and be TOML"))?;
    sources.environment(std::env::vars());
    let mut put =
        |key: &str, value: &str, origin: &str| sources.put(key, Value::One(value.to_owned()), origin);
    for (key, value) in flags {
        if let Some(value) = value {
            put(key, value, "flag");
        }
    }
    if let Some(folder) = &global.data_dir {
        put("data_dir", folder, "--data-dir");
    }
    for pair in &global.set {
        let hint = "write it as --set key=value, such as --set device.code_ttl=5m";
        let (key, value) =
            pair.split_once('=').ok_or_else(|| usage(format!("--set {pair}: no `=`"), hint))?;
        let value = Value::list(value).unwrap_or_else(|| Value::One(value.to_owned()));
        sources.put(key, value, "--set");
    }
    Ok(sources)
}

pub fn load(global: &Global, flags: &[(&str, &Option<String>)]) -> Outcome<Config> {
    let hint = "`countersign config show` lists every key; docs/configuration.md explains them";
    Config::from_sources(&sources(global, flags)?)
        .map_err(|problems| usage(format!("the configuration is not usable:\n{problems}"), hint))
}

pub fn run(global: &Global, command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Check => {
            countersign_server::serve::check(&load(global, &[])?)
                .map_err(|error| usage(error.to_string(), "mend it in the configuration"))?;
            line("The configuration is good.")
        }
        ConfigCommand::Show { json: as_json } => {
            let shown = sources(global, &[])?.shown();
            if *as_json {
                let rows: Vec<_> = shown
                    .iter()
                    .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin }))
                    .collect();
                return output::json(&rows);
            }
            let rows: Vec<Vec<String>> =
                shown.into_iter().map(|(key, value, origin)| vec![key.to_owned(), value, origin]).collect();
            output::table(&["KEY", "VALUE", "FROM"], &rows)
        }
        ConfigCommand::Reference => line(reference().trim_end()),
    }
}
