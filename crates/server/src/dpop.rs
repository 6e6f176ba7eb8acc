//! Proofs that whoever presents a token has the key that it is bound to (RFC 9449).

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::grant::Thumbprint;
use countersign_core::secret::{Digest, Plain};
use countersign_core::time::Timestamp;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::app::{Answer, App};
use crate::flow::once::{self, Shown};
use crate::http;
use crate::jws::{self, ASYMMETRIC};

const HEADER: &str = "dpop";
const TYPE: &str = "dpop+jwt";
/// So old a proof may be, and so far ahead its clock.
const OLDEST: Duration = Duration::from_mins(5);
const AHEAD: Duration = Duration::from_mins(1);
const BYTES: usize = 8 * 1024;
const JTI_BYTES: usize = 256;

/// Why a proof does not do; it says so to whoever sent it.
pub type Unproven = String;

/// A proof as it came with a request, and what became of it: it is good once, however often it is looked
/// at within that request.
#[derive(Debug)]
pub struct Proof {
    /// One, none, or too many.
    sent: Result<Option<String>, Unproven>,
    method: String,
    url: String,
    verified: Option<Result<(Thumbprint, Shown), Unproven>>,
    /// Once it was remembered: whether it was new.
    new: Option<bool>,
}

impl Proof {
    /// `url` is where the request went, without its query.
    pub fn of(headers: &HeaderMap, method: &str, url: String) -> Self {
        let mut values = headers.get_all(HEADER).iter();
        let sent = match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => match value.to_str() {
                Ok(text) if text.len() <= BYTES => Ok(Some(text.to_owned())),
                _ => Err("the DPoP header is not a JWT of at most 8 KiB".to_owned()),
            },
            (Some(_), Some(_)) => Err("there is more than one DPoP header".to_owned()),
        };
        Self { sent, method: method.to_owned(), url, verified: None, new: None }
    }

    /// Whether there is anything to look at.
    pub const fn is_there(&self) -> bool {
        !matches!(self.sent, Ok(None))
    }

    /// What was shown, if anything was.
    fn verified(&mut self, now: Timestamp) -> Result<Option<(Thumbprint, Shown)>, Unproven> {
        let text = match &self.sent {
            Ok(None) => return Ok(None),
            Ok(Some(text)) => text,
            Err(why) => return Err(why.clone()),
        };
        let verified = self.verified.get_or_insert_with(|| verify(text, &self.method, &self.url, None, now));
        verified.clone().map(Some)
    }

    /// The key that was shown, where `bound` must be or, without it, any may be; however often it was shown
    /// before. For what is harmless twice: strangers have nothing remembered.
    pub fn peek(
        &mut self,
        bound: Option<&Thumbprint>,
        required: bool,
        now: Timestamp,
    ) -> Result<Option<Thumbprint>, Unproven> {
        let key = self.verified(now)?.map(|(key, _)| key);
        match (key, bound) {
            (None, Some(_)) => Err("this is bound to a key: send a DPoP proof of it".to_owned()),
            (None, None) if required => Err("this client must send a DPoP proof".to_owned()),
            (Some(key), Some(bound)) if key != *bound => Err("this is bound to another key".to_owned()),
            (key, _) => Ok(key),
        }
    }

    /// The same for something that is handed out: from here on the proof is good for nothing else.
    pub async fn expect(
        &mut self,
        app: &App,
        bound: Option<&Thumbprint>,
        required: bool,
        now: Timestamp,
    ) -> Answer<Result<Option<Thumbprint>, Unproven>> {
        let key = self.peek(bound, required, now);
        let Ok(Some((_, shown))) = self.verified(now) else { return Ok(key) };
        if key.is_err() {
            return Ok(key);
        }
        let new = match self.new {
            Some(new) => new,
            None => *self.new.insert(once::show(app, &shown).await?),
        };
        Ok(if new { key } else { Err("this proof was shown before".to_owned()) })
    }
}

/// A key that was shown along with a token. The proof is good once, which is found out once the token is
/// known to be bound to that key: strangers have nothing remembered.
#[derive(Clone, Debug)]
pub struct Key {
    pub thumbprint: Thumbprint,
    pub shown: Shown,
}

/// A token as it was presented, and the key that was shown along with it.
#[derive(Debug)]
pub struct Presented {
    pub token: Plain,
    pub key: Option<Key>,
}

/// What the credentials of a request present: `Authorization: Bearer …`, another of `schemes`, or
/// `DPoP …` with a proof. None where it is something else.
pub fn presented(
    app: &App,
    parts: &Parts,
    credentials: &str,
    schemes: &[&str],
    now: Timestamp,
) -> Result<Option<Presented>, Unproven> {
    if let Some(token) = http::credential(credentials, schemes) {
        return Ok(Some(Presented { token, key: None }));
    }
    let Some(token) = http::credential(credentials, &[HEADER]) else { return Ok(None) };
    let proof = Proof::of(&parts.headers, parts.method.as_str(), app.public_url.join(parts.uri.path()));
    let text = proof.sent?.ok_or("a token with the scheme DPoP needs a proof in the DPoP header")?;
    let (thumbprint, shown) = verify(&text, &proof.method, &proof.url, Some(token.reveal()), now)?;
    Ok(Some(Presented { token, key: Some(Key { thumbprint, shown }) }))
}

/// Whether a token that is bound so, or not at all, came with what it is bound to, for the first time.
pub async fn holds(app: &App, bound: Option<&Thumbprint>, key: Option<&Key>) -> Answer<bool> {
    match (bound, key) {
        (None, None) => Ok(true),
        (Some(bound), Some(key)) if *bound == key.thumbprint => once::show(app, &key.shown).await,
        _ => Ok(false),
    }
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: Value,
    #[serde(default)]
    ath: Option<String>,
}

/// RFC 9449 §4.3, but for whether it was shown before.
fn verify(
    proof: &str,
    method: &str,
    url: &str,
    token: Option<&str>,
    now: Timestamp,
) -> Result<(Thumbprint, Shown), Unproven> {
    let said = |why: &str| why.to_owned();
    let head = jws::head(proof).ok_or_else(|| said("the DPoP proof is no JWT"))?;
    if head.get("typ").and_then(Value::as_str) != Some(TYPE) || head.contains_key("crit") {
        return Err(said("the head of the DPoP proof must say typ dpop+jwt, and nothing critical"));
    }
    let alg: Option<Algorithm> = head.get("alg").and_then(Value::as_str).and_then(|alg| alg.parse().ok());
    let alg = alg.filter(|alg| ASYMMETRIC.contains(alg));
    let alg = alg.ok_or_else(|| said("the DPoP proof is signed with an algorithm that is not supported"))?;
    let key = head.get("jwk").and_then(Value::as_object).ok_or_else(|| said("the DPoP proof has no jwk"))?;
    if jws::is_secret(key) {
        return Err(said("the jwk of the DPoP proof holds a secret key, which is nobody's business"));
    }
    let jwk: Jwk = serde_json::from_value(Value::Object(key.clone()))
        .map_err(|_| said("the jwk of the DPoP proof cannot be read"))?;
    let verifier = jws::usable(&jwk)?;
    if !jws::is_kind(&jwk.algorithm, alg) {
        return Err(said("the jwk of the DPoP proof is for another algorithm"));
    }
    let mut validation = Validation::new(alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(proof, &verifier, &validation)
        .map_err(|_| said("the DPoP proof lacks jti, htm, htu or iat, or its signature is wrong"))?
        .claims;
    if claims.htm != method {
        return Err(said("the DPoP proof is for another method"));
    }
    if !is_same_place(&claims.htu, url) {
        return Err(said("the DPoP proof is for another URL"));
    }
    let at = jws::number(&claims.iat).ok_or_else(|| said("iat of the DPoP proof is no number"))?;
    if at + OLDEST < now || at > now + AHEAD {
        return Err(said("the DPoP proof is too old, or from the future: is the clock right?"));
    }
    if !(1..=JTI_BYTES).contains(&claims.jti.len()) {
        return Err(said("jti of the DPoP proof has 1 to 256 bytes"));
    }
    if let Some(token) = token
        && claims.ath.as_deref() != Some(&URL_SAFE_NO_PAD.encode(Digest::of(token).as_bytes()))
    {
        return Err(said("the DPoP proof does not name this access token (ath)"));
    }
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok().and_then(|text| text.parse().ok());
    let thumbprint: Thumbprint =
        thumbprint.ok_or_else(|| said("the jwk of the DPoP proof has no thumbprint"))?;
    let digest = Digest::of(&format!("dpop {} {}", thumbprint.as_str(), claims.jti));
    // As long as it would be taken.
    Ok((thumbprint, Shown { digest, until: at + OLDEST + AHEAD }))
}

/// Whether two addresses are one, without query and fragment.
fn is_same_place(said: &str, ours: &str) -> bool {
    let bare = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    bare(said).is_some_and(|said| bare(ours) == Some(said))
}
