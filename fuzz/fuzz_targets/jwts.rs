//! Signed JSON that comes from elsewhere. An input is a token, a set of keys, or two lines, head and
//! claims, which are signed here with a good key, so that what is looked at behind the signature is
//! reached. What is accepted says what it must, is for us, is in time, and is refused with another
//! signature; a secret key is never kept.

#![no_main]

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::client::ClientId;
use countersign_core::time::Timestamp;
use countersign_server::dpop::Proof;
use countersign_server::{assertion, jws};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: i64 = 3_600;
const AUDIENCE: &str = "https://login.example.com";
const URL: &str = "https://login.example.com/oauth2/v1/token";
const CLIENT: &str = "job";

struct Signer {
    key: EncodingKey,
    jwk: Value,
    set: String,
    client: ClientId,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    // An Ed25519 key as PKCS #8 has it (RFC 8410 §7), of a seed that is no secret.
    let mut der =
        vec![0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend([7; 32]);
    let key = EncodingKey::from_ed_der(&der);
    let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
    let set = json!({ "keys": [jwk] }).to_string();
    Signer { key, jwk, set, client: CLIENT.parse().unwrap() }
});

/// Text for its meaning: whether there is a number of seconds in a claim, and which.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    claims.get(name).and_then(jws::number).map(Timestamp::secs)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// The same with another signature.
fn forged(token: &str) -> String {
    let (said, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn proof(token: &str, method: &str) -> Proof {
    let mut headers = HeaderMap::new();
    headers.insert("dpop", HeaderValue::from_str(token).unwrap());
    Proof::of(&headers, method, URL.to_owned())
}

fn asserted(token: &str) {
    let audiences = [AUDIENCE.to_owned(), URL.to_owned()];
    let verify = |token: &str| assertion::verify(&SIGNER.client, &SIGNER.set, &audiences, token, NOW);
    let Ok(shown) = verify(token) else { return };
    let claims = jws::body(token).expect("it was read");
    assert_eq!((text(&claims, "iss"), text(&claims, "sub")), (Some(CLIENT), Some(CLIENT)));
    assert_eq!(assertion::subject(token).as_deref(), Some(CLIENT));
    let named = |aud: &Value| aud.as_str().is_some_and(|aud| audiences.iter().any(|ours| ours == aud));
    assert!(claims["aud"].as_array().map_or_else(|| named(&claims["aud"]), |many| many.iter().any(named)));
    let until = seconds(&claims, "exp").expect("a time");
    assert!(until + 30 > NOW.secs() && until <= NOW.secs() + HOUR, "{until}");
    assert!(shown.until >= Timestamp::from_secs(until), "it is forgotten while it is good");
    assert!(text(&claims, "jti").is_some_and(|jti| !jti.is_empty()));
    assert!(!jws::has_critical(token));
    assert!(verify(&forged(token)).is_err());
}

fn proven(token: &str) {
    if HeaderValue::from_str(token).is_err() {
        return;
    }
    let Ok(Some(key)) = proof(token, "POST").peek(None, true, NOW) else { return };
    let (head, claims) = (jws::head(token).expect("a head"), jws::body(token).expect("claims"));
    assert_eq!(text(&head, "typ"), Some("dpop+jwt"));
    assert!(!head.contains_key("crit"));
    let jwk = head["jwk"].as_object().expect("a key");
    assert!(!jws::is_secret(jwk));
    assert_eq!((key.as_str().len(), text(&claims, "htm")), (43, Some("POST")));
    let at = seconds(&claims, "iat").expect("a time");
    assert!((NOW.secs() - 300..=NOW.secs() + 60).contains(&at), "{at}");
    assert!(proof(token, "GET").peek(None, true, NOW).is_err());
    assert!(proof(&forged(token), "POST").peek(None, true, NOW).is_err());
}

fn kept(text: &str) {
    let Ok(kept) = jws::read_keys(text) else { return };
    assert_eq!(jws::read_keys(&kept).as_ref(), Ok(&kept));
    let set: Value = serde_json::from_str(&kept).unwrap();
    for key in set["keys"].as_array().unwrap() {
        assert!(!jws::is_secret(key.as_object().unwrap()), "{kept}");
    }
}

fn try_all(token: &str) {
    let parsed = (jws::head(token), jws::body(token));
    assert_eq!(jws::has_critical(token), parsed.0.is_none_or(|head| head.contains_key("crit")));
    asserted(token);
    proven(token);
}

fuzz_target!(|text: &str| {
    kept(text);
    try_all(text);
    if let Some((head, claims)) = text.split_once('\n') {
        let head = head.replace("\"@jwk@\"", &SIGNER.jwk.to_string());
        let said = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(said.as_bytes(), &SIGNER.key, Algorithm::EdDSA).unwrap();
        try_all(&format!("{said}.{signature}"));
    }
});
