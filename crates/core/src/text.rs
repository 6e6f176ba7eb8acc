//! Texts that people read.

/// Control characters, and those that turn the direction of writing around: with them a name can
/// look like another one.
pub fn is_hidden(symbol: char) -> bool {
    symbol.is_control()
        || matches!(symbol, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
