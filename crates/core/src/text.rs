//! Texts that people read.

/// Control characters, and those that turn the direction of writing around: with them a name can
/// look like another one.
pub fn is_hidden(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// A name that people read, such as that of a client or of a key: 1 to 100 visible characters.
pub fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(is_hidden);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_visible() {
        assert_eq!(label(" build server "), Some("build server".to_owned()));
        for bad in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
            assert_eq!(label(bad), None, "{bad:?}");
        }
    }
}
