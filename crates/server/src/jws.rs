//! What all signed JSON that comes from elsewhere has in common (RFC 7515, RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::time::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// Signatures that only whoever has the secret key can make.
pub const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// Whether there is something in its head that must be understood (RFC 7515 §4.1.11), or no head at all.
pub fn has_critical(token: &str) -> bool {
    head(token).is_none_or(|head| head.contains_key("crit"))
}

/// What its head says, before anything is verified.
pub fn head(token: &str) -> Option<Map<String, Value>> {
    part(token, 0)
}

/// What its body says, before anything is verified.
pub fn body(token: &str) -> Option<Map<String, Value>> {
    part(token, 1)
}

fn part(token: &str, at: usize) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The key of this name, or the only one that will do for a token that names none.
pub fn find<'a>(set: &'a JwkSet, kid: Option<&str>, alg: Algorithm) -> Option<&'a Jwk> {
    let name = format!("{alg:?}");
    let mut fitting = set.keys.iter().filter(|jwk| {
        let signs = jwk.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
        // What the key says of its algorithm decides, never the token.
        let same = jwk.common.key_algorithm.is_none_or(|own| own.to_string() == name);
        let named = kid.is_none_or(|kid| jwk.common.key_id.as_deref() == Some(kid));
        signs && same && named && is_kind(&jwk.algorithm, alg)
    });
    match (fitting.next(), fitting.next(), kid) {
        (Some(first), None, _) | (Some(first), Some(_), Some(_)) => Some(first),
        _ => None,
    }
}

/// Whether a key of this kind makes signatures of this algorithm.
pub fn is_kind(key: &AlgorithmParameters, alg: Algorithm) -> bool {
    match alg {
        Algorithm::ES256 | Algorithm::ES384 => matches!(key, AlgorithmParameters::EllipticCurve(_)),
        Algorithm::EdDSA => matches!(key, AlgorithmParameters::OctetKeyPair(_)),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => false,
        _ => matches!(key, AlgorithmParameters::RSA(_)),
    }
}

/// A time as JWTs write it.
pub fn number(value: &Value) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a second do not matter")]
    let secs = value.as_i64().or_else(|| value.as_f64().map(|secs| secs as i64))?;
    Some(Timestamp::from_secs(secs))
}

/// What of a JSON Web Key is secret (RFC 7518 §6.2.2, §6.3.2, §6.4).
const SECRET: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Whether there is something in a key that nobody else should have.
pub fn is_secret(key: &Map<String, Value>) -> bool {
    SECRET.iter().any(|name| key.contains_key(*name))
}

/// The algorithm that a key signs with, if it is one of ours.
pub fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    if let Some(said) = jwk.common.key_algorithm {
        let said: Algorithm = said.to_string().parse().ok()?;
        return Some(said).filter(|alg| ASYMMETRIC.contains(alg) && is_kind(&jwk.algorithm, *alg));
    }
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        _ => None,
    }
}

/// RSA keys from which on nobody factors them (RFC 7518 §3.3).
const RSA_BYTES: usize = 256;

/// Whether signatures can be held against it: the key itself is well formed and strong enough.
pub fn usable(jwk: &Jwk) -> Result<DecodingKey, String> {
    if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
        return Err("a key is not for signatures".to_owned());
    }
    if algorithm(jwk).is_none() {
        return Err("a key is of a kind that is not known here: use EC (P-256, P-384), OKP (Ed25519) or RSA"
            .to_owned());
    }
    if let AlgorithmParameters::RSA(key) = &jwk.algorithm {
        let modulus = URL_SAFE_NO_PAD.decode(&key.n).unwrap_or_default();
        if modulus.iter().skip_while(|byte| **byte == 0).count() < RSA_BYTES {
            return Err("an RSA key has fewer than 2048 bits".to_owned());
        }
    }
    DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())
}

/// Signatures of keys that a client may show: those of [`ASYMMETRIC`], by name.
pub fn names() -> Vec<String> {
    ASYMMETRIC.iter().map(|alg| format!("{alg:?}")).collect()
}

/// Keys in one set.
const KEYS: usize = 20;
/// A set in text.
const BYTES: usize = 32 * 1024;

/// Reads a set of public keys (RFC 7517 §5) and writes it as it is kept.
pub fn read_keys(text: &str) -> Result<String, String> {
    if text.len() > BYTES {
        return Err(format!("they are longer than {BYTES} bytes"));
    }
    let set: Value = serde_json::from_str(text).map_err(|error| format!("they are no JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("there is no list `keys`")?;
    if !(1..=KEYS).contains(&keys.len()) {
        return Err(format!("there are {} of them; 1 to {KEYS} will do", keys.len()));
    }
    let mut read = JwkSet { keys: Vec::new() };
    for key in keys {
        if key.as_object().is_none_or(is_secret) {
            return Err("a secret key is in them: give the public half alone".to_owned());
        }
        let jwk: Jwk = serde_json::from_value(key.clone()).map_err(|error| error.to_string())?;
        usable(&jwk)?;
        let twin = |other: &Jwk| other.common.key_id == jwk.common.key_id;
        if read.keys.iter().any(twin) {
            return Err("two of them have one kid, or none".to_owned());
        }
        read.keys.push(jwk);
    }
    serde_json::to_string(&read).map_err(|error| error.to_string())
}
