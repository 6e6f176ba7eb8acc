//! Signing keys: made on first start, sealed at rest, rotated with overlap.
//!
//! For each algorithm one key is *next* (published, so that caches know it before it is used), one
//! *current*, and any number *retired* (published until everything that they signed has expired).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::client::{MAX_ACCESS_TTL, SigningAlg};
use countersign_core::time::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::store::feed::Event;
use crate::store::keys::StoredKey;
use crate::store::{Committed, Store, StoreError, keys};
use crate::vault::{Vault, VaultError};
use crate::world::Entropy;

/// How soon a rotation on another node, or by the command line, is seen here.
const REFRESH: Duration = Duration::from_secs(1);
/// How long others may remember the published keys.
pub const JWKS_CACHED: Duration = Duration::from_mins(5);
/// Retired keys stay published this much longer than the tokens that they signed.
const OVERLAP_MARGIN: Duration = Duration::from_hours(1);

#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("there is no current {} key", .0.name())]
    NoKey(SigningAlg),
    #[error("making or using a key failed: {0}")]
    Crypto(&'static str),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Next,
    Current,
    Retired,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retired => "retired",
        }
    }

    pub const fn of(key: &StoredKey) -> Self {
        match (key.active_at, key.retired_at) {
            (None, _) => Self::Next,
            (Some(_), None) => Self::Current,
            (Some(_), Some(_)) => Self::Retired,
        }
    }
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Pair {
    fn generate(alg: SigningAlg) -> Result<(Self, Zeroizing<Vec<u8>>), SigningError> {
        let failed = |_| SigningError::Crypto("generating a key");
        let pkcs8 = match alg {
            SigningAlg::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
            SigningAlg::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec())),
            SigningAlg::EdDsa => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec()),
        };
        let pkcs8 = Zeroizing::new(pkcs8.map_err(failed)?);
        Ok((Self::parse(alg, &pkcs8)?, pkcs8))
    }

    fn parse(alg: SigningAlg, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let pair = match alg {
            SigningAlg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256)
            }
            SigningAlg::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rs256),
            SigningAlg::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
        };
        pair.map_err(|_| SigningError::Crypto("reading a key"))
    }

    fn verifier(&self) -> DecodingKey {
        match self {
            Self::Es256(pair) => DecodingKey::from_ec_der(pair.public_key().as_ref()),
            Self::Rs256(pair) => DecodingKey::from_rsa_der(pair.public_key().as_ref()),
            Self::EdDsa(pair) => DecodingKey::from_ed_der(pair.public_key().as_ref()),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError::Crypto("signing");
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

const fn algorithm(alg: SigningAlg) -> (Algorithm, KeyAlgorithm) {
    match alg {
        SigningAlg::Es256 => (Algorithm::ES256, KeyAlgorithm::ES256),
        SigningAlg::Rs256 => (Algorithm::RS256, KeyAlgorithm::RS256),
        SigningAlg::EdDsa => (Algorithm::EdDSA, KeyAlgorithm::EdDSA),
    }
}

/// The public half as it is published; its `kid` is its thumbprint (RFC 7638).
fn public_jwk(alg: SigningAlg, pair: &Pair) -> Result<Jwk, SigningError> {
    let failed = |_| SigningError::Crypto("describing a key");
    let (algorithm, name) = algorithm(alg);
    let mut jwk = Jwk::from_decoding_key(&pair.verifier(), Some(algorithm)).map_err(failed)?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(failed)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_algorithm = Some(name);
    Ok(jwk)
}

struct Key {
    id: String,
    alg: SigningAlg,
    pair: Pair,
    verifier: DecodingKey,
}

struct KeySet {
    loaded_at: Timestamp,
    current: HashMap<SigningAlg, Arc<Key>>,
    all: HashMap<String, Arc<Key>>,
    published: Arc<JwkSet>,
}

/// Signs with the current keys and verifies with all that are published.
pub struct Signer {
    keys: RwLock<Option<Arc<KeySet>>>,
    /// Retired keys are published this long.
    overlap: Duration,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    pub fn new(access_ttl: Duration) -> Self {
        Self { keys: RwLock::new(None), overlap: access_ttl.max(MAX_ACCESS_TTL) + OVERLAP_MARGIN }
    }

    /// The keys may be others now.
    pub fn hear(&self, event: &Event) {
        if matches!(event, Event::Keys | Event::Missed) {
            *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
    }

    pub const fn overlap(&self) -> Duration {
        self.overlap
    }

    async fn keys(&self, store: &Store, vault: &Vault, now: Timestamp) -> Result<Arc<KeySet>, SigningError> {
        let cached = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(keys) = &cached
            && now.since(keys.loaded_at) < REFRESH
        {
            return Ok(keys.clone());
        }
        let known = cached.as_ref().map(|keys| &keys.all);
        let keys = Arc::new(self.load(store, vault, now, known).await?);
        *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(keys.clone());
        Ok(keys)
    }

    async fn load(
        &self,
        store: &Store,
        vault: &Vault,
        now: Timestamp,
        known: Option<&HashMap<String, Arc<Key>>>,
    ) -> Result<KeySet, SigningError> {
        let mut set = KeySet {
            loaded_at: now,
            current: HashMap::new(),
            all: HashMap::new(),
            published: Arc::default(),
        };
        let mut published = JwkSet { keys: Vec::new() };
        for stored in keys::list(store).await? {
            if stored.retired_at.is_some_and(|at| now >= at + self.overlap) {
                continue;
            }
            let key = match known.and_then(|known| known.get(&stored.id)) {
                Some(key) => key.clone(),
                None => {
                    let pkcs8 = vault.open(&purpose(&stored.id), &stored.sealed)?;
                    let pair = Pair::parse(stored.alg, &pkcs8)?;
                    let verifier = pair.verifier();
                    Arc::new(Key { id: stored.id.clone(), alg: stored.alg, pair, verifier })
                }
            };
            published.keys.push(public_jwk(key.alg, &key.pair)?);
            if Stage::of(&stored) == Stage::Current {
                set.current.insert(stored.alg, key.clone());
            }
            set.all.insert(stored.id, key);
        }
        set.published = Arc::new(published);
        Ok(set)
    }

    pub async fn published(
        &self,
        store: &Store,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<Arc<JwkSet>, SigningError> {
        Ok(self.keys(store, vault, now).await?.published.clone())
    }

    /// A compact JWS of `claims` (RFC 7515 §7.1) under the current key of `alg`.
    pub async fn sign<T: Serialize + Sync>(
        &self,
        store: &Store,
        vault: &Vault,
        now: Timestamp,
        alg: SigningAlg,
        typ: &str,
        claims: &T,
    ) -> Result<String, SigningError> {
        let keys = self.keys(store, vault, now).await?;
        let key = keys.current.get(&alg).ok_or(SigningError::NoKey(alg))?;
        let header = serde_json::json!({ "alg": alg.name(), "kid": key.id, "typ": typ });
        let claims = serde_json::to_vec(claims).map_err(|_| SigningError::Crypto("writing claims"))?;
        let mut jws = URL_SAFE_NO_PAD.encode(header.to_string());
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut jws);
        let signature = key.pair.sign(jws.as_bytes())?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }

    /// The claims of a token that one of our published keys signed, whatever its age: the caller
    /// checks times against `now`, issuer and audience. `None` for anything else.
    pub async fn verify<T: DeserializeOwned>(
        &self,
        store: &Store,
        vault: &Vault,
        now: Timestamp,
        typ: &str,
        token: &str,
    ) -> Result<Option<T>, SigningError> {
        let Ok(header) = jsonwebtoken::decode_header(token) else { return Ok(None) };
        let keys = self.keys(store, vault, now).await?;
        let Some(key) = header.kid.as_ref().and_then(|kid| keys.all.get(kid)) else { return Ok(None) };
        if header.typ.as_deref() != Some(typ) {
            return Ok(None);
        }
        // The key decides the algorithm, never the token.
        let mut validation = Validation::new(algorithm(key.alg).0);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(jsonwebtoken::decode::<T>(token, &key.verifier, &validation).ok().map(|data| data.claims))
    }
}

fn purpose(kid: &str) -> String {
    format!("signing key {kid}")
}

fn make(
    alg: SigningAlg,
    vault: &Vault,
    entropy: &Entropy,
    now: Timestamp,
    active_at: Option<Timestamp>,
) -> Result<StoredKey, SigningError> {
    let (pair, pkcs8) = Pair::generate(alg)?;
    let id = public_jwk(alg, &pair)?.common.key_id.ok_or(SigningError::Crypto("naming a key"))?;
    let sealed = vault.seal(&purpose(&id), &pkcs8, entropy)?;
    Ok(StoredKey { id, alg, sealed, created_at: now, active_at, retired_at: None })
}

/// Makes the current and next keys that are missing. Of nodes that start at once one wins.
pub async fn ensure(
    store: &Store,
    vault: &Vault,
    entropy: &Entropy,
    now: Timestamp,
    algs: &[SigningAlg],
) -> Result<(), SigningError> {
    let stored = keys::list(store).await?;
    let mut batch = Vec::new();
    for alg in algs {
        for (stage, active_at) in [(Stage::Current, Some(now)), (Stage::Next, None)] {
            if !stored.iter().any(|key| key.alg == *alg && Stage::of(key) == stage) {
                batch.push(keys::insert(&make(*alg, vault, entropy, now, active_at)?));
            }
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    match store.commit(batch).await? {
        Committed::Done { .. } => Ok(()),
        // Another node made them at the same moment: then all of them are there.
        Committed::Conflict => {
            let stored = keys::list(store).await?;
            let has_all = |alg: &SigningAlg| {
                stored.iter().any(|key| key.alg == *alg && Stage::of(key) == Stage::Current)
            };
            algs.iter().find(|alg| !has_all(alg)).map_or(Ok(()), |alg| Err(SigningError::NoKey(*alg)))
        }
    }
}

/// The next key of each algorithm becomes current, the current one retires, a new next is made.
/// False if somebody else rotated at the same moment.
pub async fn rotate(
    store: &Store,
    vault: &Vault,
    entropy: &Entropy,
    now: Timestamp,
    mut also: Vec<crate::store::Stmt>,
) -> Result<bool, SigningError> {
    let mut batch = Vec::new();
    let stored = keys::list(store).await?;
    for current in stored.iter().filter(|key| Stage::of(key) == Stage::Current) {
        let next = stored
            .iter()
            .find(|key| key.alg == current.alg && Stage::of(key) == Stage::Next)
            .ok_or(SigningError::NoKey(current.alg))?;
        batch.push(keys::retire(&current.id, now));
        batch.push(keys::activate(&next.id, now));
        batch.push(keys::insert(&make(current.alg, vault, entropy, now, None)?));
    }
    batch.append(&mut also);
    Ok(store.commit(batch).await?.is_done())
}
