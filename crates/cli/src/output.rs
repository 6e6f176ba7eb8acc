//! Printing: lines, tables, JSON. A closed pipe is no error worth words.

use std::io::Write as _;

use serde::Serialize;

use crate::failure::Outcome;

pub fn line(text: impl AsRef<str>) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.as_ref())?;
    out.flush()?;
    Ok(())
}

/// For what is no result: progress, and where things are.
pub fn note(text: impl AsRef<str>) -> Outcome {
    writeln!(std::io::stderr().lock(), "{}", text.as_ref())?;
    Ok(())
}

pub fn json<T: Serialize + ?Sized>(value: &T) -> Outcome {
    line(serde_json::to_string_pretty(value)?)
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
