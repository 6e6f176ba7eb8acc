//! What people and programs type and send as codes, tokens, keys, ids and names. An input is a line, or
//! the random bytes that codes and tokens are drawn from. What parses prints, and parses to the same;
//! what is drawn is recognised; what is altered is not.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use countersign_core::account::Username;
use countersign_core::client::{ClientId, GrantType, SigningAlg};
use countersign_core::code::{CodeStyle, Pin, REVERSE_LENGTH, UserCode, draw_pairing, draw_reverse};
use countersign_core::grant::Thumbprint;
use countersign_core::id::{AccountId, DeviceId};
use countersign_core::key::{self, KeyPrefix};
use countersign_core::node::NodeKind;
use countersign_core::policy::Network;
use countersign_core::scope::Scopes;
use countersign_core::secret::{Plain, TokenKind};
use countersign_core::text::{is_hidden, label};
use countersign_core::time::Span;
use libfuzzer_sys::fuzz_target;

/// What is read is printed, and read to the same print.
fn round<T: FromStr + Display>(text: &str) -> Option<String> {
    let shown = text.parse::<T>().ok()?.to_string();
    let again = shown.parse::<T>().ok().map(|again| again.to_string());
    assert_eq!(again.as_ref(), Some(&shown), "from {text:?}");
    Some(shown)
}

fn typed(text: &str) {
    if let Some(code) = UserCode::parse(text) {
        assert_eq!(UserCode::parse(code.as_str()), Some(code.clone()));
        assert!(!format!("{code:?}").contains(code.as_str()));
        for (_, style) in CodeStyle::ALL {
            assert_eq!(UserCode::parse(&style.show(&code)), Some(code.clone()));
            assert_eq!(CodeStyle::from_name(style.name()), Some(style));
        }
    }
    if let Ok(pin) = text.parse::<Pin>() {
        assert!(pin.is(text.trim()));
    }
    if let Some(name) = label(text) {
        assert_eq!(label(&name), Some(name.clone()));
        assert!(!name.chars().any(is_hidden));
    }
}

fn printed(text: &str) {
    round::<AccountId>(text);
    round::<DeviceId>(text);
    round::<KeyPrefix>(text);
    round::<ClientId>(text);
    round::<NodeKind>(text);
    round::<GrantType>(text);
    round::<SigningAlg>(text);
    round::<Username>(text);
    round::<Span>(text);
    if let Some(network) = text.parse::<Network>().ok().map(|Network(network)| network) {
        assert_eq!(network.to_string().parse::<Network>().map(|Network(again)| again).ok(), Some(network));
    }
    if let Ok(scopes) = text.parse::<Scopes>() {
        let shown = scopes.to_string();
        assert_eq!(shown.parse::<Scopes>().as_ref(), Ok(&scopes));
        assert_eq!(Scopes::from_names(scopes.iter()).as_ref(), Ok(&scopes));
        assert_eq!(scopes.first_outside(&scopes), None);
        assert_eq!(scopes.within(&scopes), scopes);
        assert!(shown.bytes().all(|byte| (0x20..0x7F).contains(&byte)));
    }
    if let Ok(thumbprint) = text.parse::<Thumbprint>() {
        assert_eq!(thumbprint.as_str(), text);
    }
    if let Some(kind) = TokenKind::recognise(text) {
        assert!(text.starts_with(kind.prefix()) && text.is_ascii());
    }
    if key::recognise(text) {
        assert!(text.is_ascii() && text.contains("_sk_"));
    }
    let plain = Plain::new(text.to_owned());
    assert!(plain.digest().matches(&Plain::new(plain.reveal().to_owned()).digest()));
}

/// One symbol of it is another one.
fn altered(text: &str, at: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = usize::from(at) % bytes.len();
    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

fn drawn(random: &[u8; 64]) {
    let entropy = random.first_chunk::<32>().unwrap();
    for kind in TokenKind::ALL {
        let token = kind.mint(entropy);
        assert_eq!(TokenKind::recognise(token.reveal()), Some(kind));
        assert_eq!(TokenKind::recognise(&altered(token.reveal(), random[63])), None);
    }
    let (made, start) = key::mint(&KeyPrefix::usual(), entropy);
    assert!(key::recognise(made.reveal()) && made.reveal().starts_with(&start));
    let wrong = altered(made.reveal(), random[63]);
    // In the prefix it is another prefix.
    assert!(!key::recognise(&wrong) || wrong.get(2..) == made.reveal().get(2..), "{wrong}");
    for (_, style) in CodeStyle::ALL {
        if let Some(code) = style.draw(random) {
            assert_eq!(code.as_str().len(), style.length());
            assert!(code.as_str().bytes().all(|byte| style.alphabet().contains(&byte)));
            assert_eq!(UserCode::parse(&style.show(&code).to_lowercase()), Some(code));
        }
    }
    for length in REVERSE_LENGTH {
        if let Some(code) = draw_reverse(length, random) {
            assert_eq!((code.as_str().len(), UserCode::parse(code.as_str())), (length, Some(code.clone())));
        }
    }
    if let Some(code) = draw_pairing(random) {
        assert!(code.as_str().len() == 6 && code.as_str().bytes().all(|byte| byte.is_ascii_digit()));
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        typed(text);
        printed(text);
    }
    if let Some(random) = data.first_chunk::<64>() {
        drawn(random);
    }
});
