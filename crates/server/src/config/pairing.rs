//! Settings of the socket door.

use std::time::Duration;

use countersign_core::scope::Scopes;
use countersign_core::secret::{Digest, Plain};
use serde::Deserialize;

use super::sources::Reader;
use super::{CENTURY, SECOND};

#[derive(Clone, Debug)]
pub struct Pairing {
    pub code_ttl: Duration,
    pub cleanup_interval: Duration,
    /// The node may approve itself.
    pub by_itself: bool,
    /// None: until they are revoked.
    pub token_ttl: Option<Duration>,
    pub gateway_tokens: Vec<GatewayToken>,
    /// Whether an argon2id hash is kept of every token, to export it with.
    pub argon2id: bool,
    pub allowed_origins: Vec<String>,
    pub ping_interval: Duration,
    pub pong_timeout: Duration,
}

/// A token of the operator's, for sockets that are no node.
#[derive(Clone, Debug)]
pub struct GatewayToken {
    pub digest: Digest,
    pub role: String,
    pub scopes: Scopes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    token: Plain,
    role: String,
    #[serde(default)]
    scopes: Vec<String>,
}

/// Shorter ones could be guessed.
const TOKEN_CHARS: usize = 16;

impl Pairing {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        const TOKENS: &str = "pairing.gateway_tokens";
        let mut gateway_tokens = Vec::new();
        for written in read.tables::<Written>(TOKENS) {
            if written.token.reveal().chars().count() < TOKEN_CHARS {
                read.problem(
                    TOKENS,
                    &format!("the token of `{}` is shorter than 16 characters", written.role),
                );
            }
            match Scopes::from_names(&written.scopes) {
                Ok(scopes) => gateway_tokens.push(GatewayToken {
                    digest: written.token.digest(),
                    role: written.role,
                    scopes,
                }),
                Err(bad) => read.problem(TOKENS, &bad.to_string()),
            }
        }
        let token_ttl = read.optional("pairing.token_ttl").is_some();
        Self {
            code_ttl: read.seconds("pairing.code_ttl", 1..=86_400),
            cleanup_interval: read.span("pairing.cleanup_interval", SECOND..=Duration::from_hours(24)),
            by_itself: read.named(
                "pairing.approval",
                |name| match name {
                    "user" => Some(false),
                    "self" => Some(true),
                    _ => None,
                },
                &["user", "self"],
            ),
            token_ttl: token_ttl.then(|| read.span("pairing.token_ttl", SECOND..=CENTURY)),
            gateway_tokens,
            argon2id: read.named(
                "pairing.token_hash",
                |name| match name {
                    "sha256" => Some(false),
                    "argon2id" => Some(true),
                    _ => None,
                },
                &["sha256", "argon2id"],
            ),
            allowed_origins: read.origins("pairing.allowed_origins"),
            ping_interval: read
                .span("pairing.ping_interval", Duration::from_millis(1)..=Duration::from_hours(1)),
            pong_timeout: read
                .span("pairing.pong_timeout", Duration::from_millis(1)..=Duration::from_hours(1)),
        }
    }
}
