//! Texts that people read.

/// Control characters, those that turn the direction of writing around, and those that nobody sees: with
/// them a name can look like another one, or like none.
pub fn is_hidden(symbol: char) -> bool {
    symbol.is_control()
        || matches!(
            symbol,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
                | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// A name that people read, such as that of a client or of a key: 1 to 100 visible characters.
pub fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(is_hidden) && !is_stacked(text);
    fits.then(|| text.to_owned())
}

/// Marks that stand on each other cover what is around them.
fn is_stacked(text: &str) -> bool {
    let is_mark = |symbol: char| {
        matches!(
            symbol,
            '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
                | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        )
    };
    let mut run = 0;
    text.chars().any(|symbol| {
        run = if is_mark(symbol) { run + 1 } else { 0 };
        run > 3
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_visible() {
        assert_eq!(label(" build server "), Some("build server".to_owned()));
        for bad in [
            "",
            "  ",
            "a\nb",
            "a\u{202e}b",
            "\u{2800}",
            "\u{3164}",
            "Ada\u{00AD}",
            "x\u{E0041}",
            "a\u{0300}\u{0301}\u{0302}\u{0303}",
            &"x".repeat(101),
        ] {
            assert_eq!(label(bad), None, "{bad:?}");
        }
    }
}
