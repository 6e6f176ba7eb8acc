//! User codes: what a person reads on one screen and types on another (RFC 8628 §6.1).

use std::fmt;
use std::str::FromStr;

/// The shapes that an operator can choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeStyle {
    /// 8 of 31 symbols without look-alikes, shown `XXXX-YYYY`.
    Unambiguous8,
    /// 10 of the same, shown `XXXXX-YYYYY`.
    Unambiguous10,
    /// 8 of 20 consonants (RFC 8628 §6.1), which spell no words.
    Consonants8,
    /// 9 digits, shown `123-456-789`, for number pads.
    Digits9,
}

impl CodeStyle {
    pub const ALL: [(&'static str, Self); 4] = [
        ("unambiguous-8", Self::Unambiguous8),
        ("unambiguous-10", Self::Unambiguous10),
        ("consonants-8", Self::Consonants8),
        ("digits-9", Self::Digits9),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unambiguous8 => "unambiguous-8",
            Self::Unambiguous10 => "unambiguous-10",
            Self::Consonants8 => "consonants-8",
            Self::Digits9 => "digits-9",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, style)| style)
    }

    pub const fn alphabet(self) -> &'static [u8] {
        match self {
            Self::Unambiguous8 | Self::Unambiguous10 => b"ABCDEFGHJKMNPQRSTUVWXYZ23456789",
            Self::Consonants8 => b"BCDFGHJKLMNPQRSTVWXZ",
            Self::Digits9 => b"0123456789",
        }
    }

    pub const fn length(self) -> usize {
        match self {
            Self::Unambiguous8 | Self::Consonants8 => 8,
            Self::Unambiguous10 => 10,
            Self::Digits9 => 9,
        }
    }

    const fn group(self) -> usize {
        match self {
            Self::Unambiguous8 | Self::Consonants8 => 4,
            Self::Unambiguous10 => 5,
            Self::Digits9 => 3,
        }
    }

    /// Draws a code. `None` if `random` ran out, which with 64 bytes happens less than once in 10²⁰ draws.
    pub fn draw(self, random: &[u8]) -> Option<UserCode> {
        draw(self.alphabet(), self.length(), random)
    }

    /// The code as people should see it, in groups.
    pub fn show(self, code: &UserCode) -> String {
        let mut shown = String::with_capacity(code.0.len() + 2);
        for (at, symbol) in code.0.chars().enumerate() {
            if at > 0 && at % self.group() == 0 {
                shown.push('-');
            }
            shown.push(symbol);
        }
        shown
    }
}

/// How many symbols a code has that goes the other way: a person reads it in the browser and types it
/// into a command line.
pub const REVERSE_LENGTH: std::ops::RangeInclusive<usize> = 6..=12;

/// Draws a reverse code, of the symbols of [`CodeStyle::Unambiguous8`].
pub fn draw_reverse(length: usize, random: &[u8]) -> Option<UserCode> {
    draw(CodeStyle::Unambiguous8.alphabet(), length, random)
}

/// Draws a pairing code: six digits.
pub fn draw_pairing(random: &[u8]) -> Option<UserCode> {
    draw(CodeStyle::Digits9.alphabet(), 6, random)
}

/// Draws without bias: bytes that would favour some symbols are thrown away. `None` if `random` ran
/// out, which with 64 bytes happens less than once in 10²⁰ draws.
fn draw(alphabet: &[u8], length: usize, random: &[u8]) -> Option<UserCode> {
    let fair = 256 - 256 % alphabet.len();
    let symbols: String = random
        .iter()
        .filter(|byte| usize::from(**byte) < fair)
        .filter_map(|byte| alphabet.get(usize::from(*byte) % alphabet.len()))
        .take(length)
        .map(|symbol| char::from(*symbol))
        .collect();
    (symbols.len() == length).then_some(UserCode(symbols))
}

/// A user code in its bare form: upper-case, no dashes. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// The longest input that is looked at; nobody types more.
    pub const MAX_INPUT: usize = 64;

    /// Reads what a person typed: case, spaces and dashes do not matter, and neither do the
    /// full-width forms that some keyboards type. `None` for what cannot be a code at all.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > Self::MAX_INPUT {
            return None;
        }
        let symbols: String = typed
            .chars()
            .map(narrow)
            .filter(|symbol| !(symbol.is_whitespace() || is_dash(*symbol)))
            .map(|symbol| symbol.to_ascii_uppercase())
            .collect();
        let plausible = (4..=16).contains(&symbols.len())
            && symbols.bytes().all(|symbol| symbol.is_ascii_uppercase() || symbol.is_ascii_digit());
        plausible.then_some(Self(symbols))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

/// Full-width ASCII (U+FF01 to U+FF5E) to plain ASCII.
fn narrow(symbol: char) -> char {
    match u32::from(symbol) {
        wide @ 0xFF01..=0xFF5E => char::from_u32(wide - 0xFEE0).unwrap_or(symbol),
        _ => symbol,
    }
}

fn is_dash(symbol: char) -> bool {
    matches!(symbol, '-' | '_' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{00AD}')
}

/// Two digits that somebody reads in a browser and types on a device.
#[derive(Clone)]
pub struct Pin(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a PIN is the two digits that the browser shows after Approve")]
pub struct BadPin;

impl Pin {
    pub fn is(&self, right: &str) -> bool {
        self.0 == right
    }
}

impl FromStr for Pin {
    type Err = BadPin;

    fn from_str(text: &str) -> Result<Self, BadPin> {
        let text = text.trim();
        let fits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadPin) }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_style_shows_its_groups() {
        let random: Vec<u8> = (0..64).collect();
        let shown = CodeStyle::ALL
            .map(|(_, style)| style.draw(&random).map(|code| style.show(&code)).unwrap_or_default());
        assert_eq!(shown, ["ABCD-EFGH", "ABCDE-FGHJK", "BCDF-GHJK", "012-345-678"]);
    }

    #[test]
    fn alphabets_have_no_look_alikes() {
        let alphabet = CodeStyle::Unambiguous8.alphabet();
        assert_eq!(alphabet.len(), 31);
        assert!(b"01OIL".iter().all(|symbol| !alphabet.contains(symbol)));
        assert_eq!(CodeStyle::Consonants8.alphabet().len(), 20);
    }

    #[test]
    fn biased_bytes_are_thrown_away() {
        assert_eq!(CodeStyle::Unambiguous8.draw(&[255; 64]), None, "248..=255 would favour A to H");
        assert_eq!(CodeStyle::Digits9.draw(&[250; 64]), None);
    }

    proptest! {
        #[test]
        fn a_code_survives_any_way_of_typing_it(
            random in proptest::collection::vec(0_u8..200, 64),
            style in 0_usize..4,
            lower: bool,
            noise in proptest::collection::vec(proptest::sample::select(vec!["-", " ", "\u{2013}", "\u{3000}", "", "_"]), 12),
        ) {
            let (_, style) = CodeStyle::ALL[style];
            let code = style.draw(&random).unwrap();
            let mut typed = String::new();
            for (at, symbol) in style.show(&code).chars().enumerate() {
                typed.push_str(noise[at % noise.len()]);
                typed.push(if lower { symbol.to_ascii_lowercase() } else { symbol });
            }
            prop_assert_eq!(UserCode::parse(&typed), Some(code));
        }

        #[test]
        fn nothing_that_is_typed_panics_or_yields_odd_symbols(typed in ".{0,80}") {
            if let Some(code) = UserCode::parse(&typed) {
                prop_assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
                prop_assert!((4..=16).contains(&code.as_str().len()));
            }
        }
    }
}
