//! Secrets: shown once, stored as digests, told apart by their looks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// 256 random bits.
pub type Entropy = [u8; 32];

/// A plaintext secret on its way to the one who may see it, once.
///
/// It can be printed only on purpose ([`Plain::reveal`]), and cannot be compared.
#[derive(Clone)]
pub struct Plain(Zeroizing<String>);

impl Plain {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// 256 bits as base64url without padding: 43 characters.
    pub fn from_entropy(entropy: &Entropy) -> Self {
        Self::new(URL_SAFE_NO_PAD.encode(entropy))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(…)")
    }
}

/// What is stored of a secret. Comparison takes constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for Digest {}

impl Digest {
    /// SHA-256: enough for secrets of 256 random bits, which cannot be guessed.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A key of the server for keyed hashes: of short codes, which a plain hash would not hide, of
/// names in limits, and of form tokens. Each purpose gets a key of its own.
#[derive(Clone)]
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key for one purpose, so that no MAC can be taken for another's.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        Self::new(*self.mac(&[b"countersign key for ", purpose.as_bytes()]).as_bytes())
    }

    /// HMAC-SHA-256 over the parts, each preceded by its length.
    pub fn mac(&self, parts: &[&[u8]]) -> Digest {
        // HMAC takes a key of any length (RFC 2104 §2), so the other arm is never taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return Digest([0; 32]);
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Digest(mac.finalize().into_bytes().into())
    }

    /// The raw key, for sealing.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// The kinds of opaque token. Each has a prefix, so that scanners know a leaked one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Access,
    Refresh,
    ClientSecret,
    /// Of a paired node.
    Device,
    /// With which a client that registered itself changes itself.
    Registration,
}

impl TokenKind {
    pub const ALL: [Self; 5] =
        [Self::Access, Self::Refresh, Self::ClientSecret, Self::Device, Self::Registration];

    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "cs_at_",
            Self::Refresh => "cs_rt_",
            Self::ClientSecret => "cs_cs_",
            Self::Device => "cs_dt_",
            Self::Registration => "cs_rg_",
        }
    }

    /// Makes a token: prefix, 43 base62 characters of 256 random bits, 6 of their CRC-32.
    pub fn mint(self, entropy: &Entropy) -> Plain {
        let body = base62(entropy, 43);
        Plain::new(format!("{}{body}{}", self.prefix(), checksum(&body)))
    }

    /// Which kind `text` is, if it is one at all: junk is refused before the database is asked.
    pub fn recognise(text: &str) -> Option<Self> {
        let (kind, rest) = Self::ALL
            .into_iter()
            .find_map(|kind| text.strip_prefix(kind.prefix()).map(|rest| (kind, rest)))?;
        let (body, crc) = rest.split_at_checked(43)?;
        (crc == checksum(body)).then_some(kind)
    }
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The CRC-32 of a token's random part, as six symbols.
pub(crate) fn checksum(body: &str) -> String {
    base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), 6)
}

/// `bytes` as one big-endian number in base 62, padded with `0` to `width`.
pub(crate) fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut symbols = Vec::with_capacity(width);
    while symbols.len() < width {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        symbols.push(BASE62.get(remainder as usize).copied().unwrap_or(b'0'));
    }
    symbols.iter().rev().map(|symbol| char::from(*symbol)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_what_scanners_were_told() {
        let prefixes = TokenKind::ALL.map(TokenKind::prefix);
        assert_eq!(prefixes, ["cs_at_", "cs_rt_", "cs_cs_", "cs_dt_", "cs_rg_"]);
    }

    #[test]
    fn minted_tokens_are_recognised_and_altered_ones_are_not() {
        for kind in TokenKind::ALL {
            let token = kind.mint(&[0xA7; 32]);
            let text = token.reveal();
            assert_eq!(text.len(), 6 + 43 + 6);
            assert_eq!(TokenKind::recognise(text), Some(kind));
            let mut altered = text.to_owned();
            altered.pop();
            assert_eq!(TokenKind::recognise(&altered), None);
            altered.push(if text.ends_with('x') { 'y' } else { 'x' });
            assert_eq!(TokenKind::recognise(&altered), None);
        }
        assert_eq!(TokenKind::recognise("cs_rt_é"), None);
    }

    #[test]
    fn base62_is_positional_and_padded() {
        assert_eq!(base62(&[0, 0], 3), "000");
        assert_eq!(base62(&[0, 61], 3), "00z");
        assert_eq!(base62(&[0, 62], 3), "010");
        assert_eq!(base62(&u32::MAX.to_be_bytes(), 6), "4gfFC3");
    }

    #[test]
    fn debug_shows_nothing() {
        let plain = Plain::new("hunter2".to_owned());
        let shown = format!("{plain:?} {:?} {:?}", plain.digest(), MacKey::new([7; 32]));
        assert_eq!(shown, "Plain(…) Digest(…) MacKey(…)");
    }

    #[test]
    fn macs_do_not_run_together() {
        let key = MacKey::new([1; 32]);
        assert!(!key.mac(&[b"ab", b"c"]).matches(&key.mac(&[b"a", b"bc"])));
        assert!(!key.derive("x").mac(&[b"a"]).matches(&key.derive("y").mac(&[b"a"])));
    }
}
