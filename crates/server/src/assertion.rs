//! Clients that prove who they are by signing (RFC 7523, `private_key_jwt`).

use std::time::Duration;

use countersign_core::client::ClientId;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::Value;

use crate::flow::once::Shown;
use crate::jws::{self, ASYMMETRIC};

/// The one value of `client_assertion_type` (RFC 7523 §2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// None is good for longer: it must be remembered as long.
const LONGEST: Duration = Duration::from_hours(1);
/// Clocks differ.
const LEEWAY: Duration = Duration::from_secs(30);
const JTI_BYTES: usize = 256;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: Value,
    #[serde(default)]
    nbf: Option<Value>,
    #[serde(default)]
    iat: Option<Value>,
    #[serde(default)]
    jti: Option<String>,
}

/// The client that an assertion says it is of. Nothing is verified by that.
pub fn subject(assertion: &str) -> Option<String> {
    jws::body(assertion)?.get("sub")?.as_str().map(str::to_owned)
}

/// Whether this client signed it for us, and it is good now; it must not be taken twice. The reason why
/// not is for the log.
pub fn verify(
    client: &ClientId,
    jwks: &str,
    audiences: &[String],
    assertion: &str,
    now: Timestamp,
) -> Result<Shown, String> {
    let set: JwkSet = serde_json::from_str(jwks).map_err(|error| error.to_string())?;
    let header = jsonwebtoken::decode_header(assertion).map_err(|error| error.to_string())?;
    if jws::has_critical(assertion) {
        return Err("there is something in its head that is not understood".to_owned());
    }
    let alg: Algorithm = header.alg;
    if !ASYMMETRIC.contains(&alg) {
        return Err("its algorithm is not one that only the client can sign with".to_owned());
    }
    let jwk = jws::find(&set, header.kid.as_deref(), alg).ok_or("none of the client's keys fits")?;
    let mut validation = Validation::new(alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(assertion, &jws::usable(jwk)?, &validation)
        .map_err(|error| error.to_string())?
        .claims;
    if claims.iss != client.as_str() || claims.sub != client.as_str() {
        return Err("iss and sub must be the client's id".to_owned());
    }
    let ours = |aud: &Value| aud.as_str().is_some_and(|aud| audiences.iter().any(|ours| ours == aud));
    let meant = match &claims.aud {
        Value::Array(many) => many.iter().any(ours),
        one => ours(one),
    };
    if !meant {
        return Err("its aud is another server".to_owned());
    }
    let time = |value: &Value| jws::number(value).ok_or("a time in it is no number");
    let until = time(&claims.exp)?;
    if now >= until + LEEWAY {
        return Err("it has expired".to_owned());
    }
    if until > now + LONGEST {
        return Err("it is good for more than an hour".to_owned());
    }
    for from in [&claims.nbf, &claims.iat].into_iter().flatten() {
        if time(from)? > now + LEEWAY {
            return Err("it is not valid yet".to_owned());
        }
    }
    let jti = claims.jti.filter(|jti| (1..=JTI_BYTES).contains(&jti.len())).ok_or("it has no jti")?;
    let digest = Digest::of(&format!("assertion {client} {jti}"));
    Ok(Shown { digest, until: until + LEEWAY })
}
