//! Printing: lines, tables, JSON. A closed pipe is no error worth words.

use std::fmt::Write as _;
use std::io::Write as _;

use countersign_core::text::is_hidden;
use serde::Serialize;

use crate::failure::Outcome;

/// What others wrote may hold what a terminal takes for commands, or what turns writing around: it is not
/// printed.
fn shown(text: &str) -> String {
    text.chars()
        .map(|symbol| if !matches!(symbol, '\n' | '\t') && is_hidden(symbol) { '\u{fffd}' } else { symbol })
        .collect()
}

pub fn line(text: impl AsRef<str>) -> Outcome {
    verbatim(&shown(text.as_ref()))
}

fn verbatim(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// For what is no result: progress, and where things are.
pub fn note(text: impl AsRef<str>) -> Outcome {
    writeln!(std::io::stderr().lock(), "{}", shown(text.as_ref()))?;
    Ok(())
}

pub fn json<T: Serialize + ?Sized>(value: &T) -> Outcome {
    // All of these stand in strings, where they can be said without being shown.
    let mut text = String::new();
    for symbol in serde_json::to_string_pretty(value)?.chars() {
        if symbol == '\n' || !is_hidden(symbol) {
            text.push(symbol);
        } else {
            let mut units = [0; 2];
            for unit in symbol.encode_utf16(&mut units) {
                write!(text, "\\u{unit:04x}")?;
            }
        }
    }
    verbatim(&text)
}

/// Columns as wide as their widest cell; the last one runs free.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> Outcome {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(heads.get(at).map(|head| head.len())).max().unwrap_or(0)
    };
    let print = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(at, cell)| {
                let pad = width(at).saturating_sub(cell.chars().count());
                format!("{cell}{}", " ".repeat(pad))
            })
            .collect();
        line(padded.join("  ").trim_end())
    };
    print(&heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>())?;
    rows.iter().try_for_each(|row| print(row))
}
