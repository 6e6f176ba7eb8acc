//! Plots that the server draws: SVG that reads in a browser without scripts, and by ear.

use askama::Template;

use crate::app::Fault;

#[derive(Template)]
#[template(path = "admin/hbars.svg", escape = "html")]
struct HorizontalBars<'a> {
    title: &'a str,
    /// The same in words.
    words: String,
    height: usize,
    bars: Vec<Bar>,
}

struct Bar {
    label: String,
    shown: String,
    y: usize,
    text_y: usize,
    width: u32,
    /// Whether the whole is drawn behind it.
    rest: bool,
}

/// How wide a bar is at most.
const BAR: i64 = 230;
const LINE: usize = 30;
/// What fits before a bar.
const LABEL: usize = 20;

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    label.chars().take(LABEL - 1).chain(['…']).collect()
}

fn rendered(template: &impl Template) -> Result<String, Fault> {
    template.render().map_err(|error| Fault::Page(error.to_string()))
}

fn part(count: i64, of: i64, whole: i64) -> u32 {
    u32::try_from(count.saturating_mul(whole) / of.max(1)).unwrap_or(0)
}

/// Bars from left to right, one below the other; `funnel` shows each as a part of the first.
pub fn bars(title: &str, items: &[(String, i64)], funnel: bool) -> Result<String, Fault> {
    let first = items.first().map_or(0, |(_, count)| *count);
    let most = items.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let of = if funnel { first } else { most };
    let bar = |(at, (label, count)): (usize, &(String, i64))| {
        let shown = if funnel && at > 0 && first > 0 {
            format!("{count} ({} %)", (count * 100 + first / 2) / first)
        } else {
            count.to_string()
        };
        // Something is never drawn as nothing.
        let width = part((*count).min(of), of, BAR).max(u32::from(*count > 0) * 2);
        Bar { label: short(label), shown, y: at * LINE + 4, text_y: at * LINE + 19, width, rest: funnel }
    };
    let words: Vec<String> = items.iter().map(|(label, count)| format!("{label} {count}")).collect();
    let bars: Vec<Bar> = items.iter().enumerate().map(bar).collect();
    rendered(&HorizontalBars { title, words: words.join(", "), height: bars.len() * LINE + 4, bars })
}

/// One moment, or one range: what it is called below and in full, and its parts from below.
#[derive(Clone, Debug)]
pub struct Stack {
    pub tick: String,
    pub label: String,
    pub parts: Vec<(&'static str, i64)>,
}

#[derive(Template)]
#[template(path = "admin/columns.svg", escape = "html")]
struct SideBySide<'a> {
    title: &'a str,
    words: String,
    width: u32,
    most: i64,
    columns: Vec<Column>,
}

struct Column {
    x: u32,
    width: u32,
    middle: u32,
    tick: String,
    label: String,
    shown: i64,
    parts: Vec<Part>,
}

struct Part {
    class: &'static str,
    y: u32,
    height: u32,
}

/// The highest column, and where they stand.
const HIGH: i64 = 140;
const FOOT: u32 = 165;

/// Columns side by side, in a picture of this width.
pub fn columns(title: &str, stacks: Vec<Stack>, width: u32) -> Result<String, Fault> {
    let total = |stack: &Stack| stack.parts.iter().map(|(_, count)| count).sum::<i64>();
    let most = stacks.iter().map(total).max().unwrap_or(0);
    let each = width / u32::try_from(stacks.len().max(1)).unwrap_or(1);
    let words: Vec<String> = stacks
        .iter()
        .filter(|stack| total(stack) > 0)
        .map(|stack| format!("{} {}", stack.label, total(stack)))
        .collect();
    let mut x = 0;
    let columns = stacks.into_iter().map(|stack| {
        let shown = total(&stack);
        let mut y = FOOT;
        let parts = stack.parts.iter().filter(|(_, count)| *count > 0).map(|(class, count)| {
            let height = part(*count, most, HIGH).max(2);
            y = y.saturating_sub(height);
            Part { class, y, height }
        });
        let parts = parts.collect();
        let column = Column {
            x: x + 1,
            width: each.saturating_sub(3).max(1),
            middle: x + each / 2,
            tick: stack.tick,
            label: stack.label,
            shown,
            parts,
        };
        x += each;
        column
    });
    let columns = columns.collect();
    rendered(&SideBySide { title, words: words.join(", "), width, most, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_named_stays_text() {
        let items = vec![("</svg><script>alert(1)</script>".to_owned(), 3), ("b".to_owned(), 0)];
        let svg = bars("x", &items, false).unwrap();
        assert!(!svg.contains("<script>") && svg.contains("&#60;/svg&#62;"), "{svg}");
        assert!(svg.contains("width=\"230\"") && svg.contains("width=\"0\""), "{svg}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(bars("x", &[], true).is_ok());
        let stack = Stack { tick: String::new(), label: "1".to_owned(), parts: vec![("oauth", 0)] };
        assert!(!columns("x", vec![stack], 100).unwrap().contains("<rect"));
        assert!(columns("x", Vec::new(), 100).is_ok());
    }
}
