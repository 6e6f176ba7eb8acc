//! Verifying tokens against the server's published keys.

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::{Error, Plain};

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: String,
    keys: JwkSet,
}

impl Verifier {
    pub(crate) const fn new(issuer: String, keys: JwkSet) -> Self {
        Self { issuer, keys }
    }

    /// The claims of an ID token for `client_id` (OIDC Core §3.1.3.7).
    ///
    /// # Errors
    /// [`Error::Unverified`] with the reason.
    pub fn id_token(&self, token: &Plain, client_id: &str) -> Result<Value, Error> {
        self.verify("ID token", None, token, client_id)
    }

    /// The claims of an access token for `audience` (RFC 9068 §4).
    ///
    /// # Errors
    /// [`Error::Unverified`] with the reason.
    pub fn access_token(&self, token: &Plain, audience: &str) -> Result<Value, Error> {
        self.verify("access token", Some("at+jwt"), token, audience)
    }

    /// Whether the key that a token names is among these.
    pub fn knows(&self, token: &Plain) -> bool {
        let header = jsonwebtoken::decode_header(token.reveal()).ok();
        header.and_then(|header| header.kid).is_some_and(|kid| self.keys.find(&kid).is_some())
    }

    fn verify(
        &self,
        what: &'static str,
        typ: Option<&str>,
        token: &Plain,
        audience: &str,
    ) -> Result<Value, Error> {
        let refused = |why: String| Error::Unverified { token: what, why };
        let header =
            jsonwebtoken::decode_header(token.reveal()).map_err(|error| refused(error.to_string()))?;
        if typ.is_some() && header.typ.as_deref() != typ {
            return Err(refused("it is of another type".to_owned()));
        }
        let kid = header.kid.ok_or_else(|| refused("it names no key".to_owned()))?;
        let jwk = self.keys.find(&kid).ok_or_else(|| refused(format!("its key {kid} is not published")))?;
        // The published key decides the algorithm, never the token.
        let algorithm =
            algorithm(jwk).ok_or_else(|| refused("its key is for another algorithm".to_owned()))?;
        let key = DecodingKey::from_jwk(jwk).map_err(|error| refused(error.to_string()))?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Value>(token.reveal(), &key, &validation)
            .map(|data| data.claims)
            .map_err(|error| refused(error.to_string()))
    }
}

fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    match jwk.common.key_algorithm? {
        KeyAlgorithm::ES256 => Some(Algorithm::ES256),
        KeyAlgorithm::RS256 => Some(Algorithm::RS256),
        KeyAlgorithm::EdDSA => Some(Algorithm::EdDSA),
        _ => None,
    }
}
