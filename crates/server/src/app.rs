//! What every handler gets.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_core::audit::{Action, Event};
use countersign_core::id::AuditId;
use countersign_core::time::Timestamp;
use tracing::Instrument as _;

use crate::config::{Config, PublicUrl};
use crate::flow::audit::Trail;
use crate::flow::passkeys::Verifier;
use crate::flow::standing::Latest;
use crate::hub::Hub;
use crate::issuers::Issuers;
use crate::limits::PerMinute;
use crate::notices::Mailer;
use crate::openapi::Documents;
use crate::password::{Hasher, PasswordError};
use crate::places::Places;
use crate::remembered::{Clients, Pending};
use crate::signing::{Signer, SigningError};
use crate::store::{Opening, Store, StoreError};
use crate::telemetry::Metrics;
use crate::upstream::Upstreams;
use crate::vault::{Given, Vault, VaultError};
use crate::world::{Clock, Entropy, NoEntropy};

#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub public_url: PublicUrl,
    pub store: Store,
    pub vault: Vault,
    pub signer: Arc<Signer>,
    pub hasher: Hasher,
    pub clock: Clock,
    pub entropy: Entropy,
    pub metrics: Metrics,
    pub standing: Latest,
    pub documents: Documents,
    pub pending: Arc<Pending>,
    pub clients: Arc<Clients>,
    pub issuers: Issuers,
    pub upstreams: Upstreams,
    pub codes_per_address: PerMinute,
    pub codes_per_client: PerMinute,
    pub pairing_codes_per_address: PerMinute,
    pub upgrades_per_address: PerMinute,
    pub imported_tokens_per_address: PerMinute,
    pub passkeys_per_address: PerMinute,
    pub passkeys: Verifier,
    pub upstream_sign_ins_per_address: PerMinute,
    pub asks_seen: PerMinute,
    pub told_of: PerMinute,
    pub password_changes: PerMinute,
    pub hub: Arc<Hub>,
    pub places: Places,
    pub mailer: Mailer,
    pub trail: Trail,
}

/// Something failed that no caller can help. It is logged once, at the door, with the request's id.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error("cannot use the data directory {path}: {why}")]
    DataDir { path: String, why: String },
    #[error("{0}")]
    Page(String),
    #[error("cannot make an HTTP client: {0}")]
    Http(String),
    #[error("cannot use a file of approval.geoip_file or approval.geoip_asn_file: {0}")]
    Places(String),
    #[error("mail cannot be sent: {0}")]
    Mail(String),
}

impl Fault {
    /// It will pass by itself: whoever asks again later is served.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Password(PasswordError::Busy)
                | Self::Store(StoreError::Unavailable(_))
                | Self::Signing(
                    SigningError::Store(StoreError::Unavailable(_))
                        | SigningError::Vault(VaultError::Store(StoreError::Unavailable(_)))
                )
                | Self::Vault(VaultError::Store(StoreError::Unavailable(_)))
        )
    }
}

pub type Answer<T> = Result<T, Fault>;

/// Runs `work` to its end even if nobody waits for it any more: a caller who hangs up must not leave
/// a count half made.
pub async fn uncancelled<T: Send + 'static>(
    work: impl Future<Output = Answer<T>> + Send + 'static,
) -> Answer<T> {
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|error| Fault::Page(format!("a task ended badly: {error}")))?
}

impl App {
    /// Opens the store and the key that the configuration names.
    ///
    /// `bound` is where the server listens, which the default public URL depends on.
    pub async fn open(
        config: Config,
        opening: Opening,
        bound: SocketAddr,
        clock: Clock,
        entropy: Entropy,
    ) -> Answer<Self> {
        let public_url = config.public_url(bound);
        let now = clock.now();
        if opening != Opening::Existing {
            create_private_folder(&config.data_dir)?;
        }
        let given = Given::from_environment()?;
        let store = Box::pin(Store::open(&config.database, opening, now)).await?;
        let vault = Vault::load(given.as_ref(), &config.key_file, &store, &entropy).await?;
        let source = given.map_or_else(|| config.key_file.display().to_string(), |given| given.source_name);
        vault.bind(&store, &source).await?;
        let signer = Arc::new(Signer::new(config.lifetimes.access));
        let (pending, clients) = (Arc::<Pending>::default(), Arc::<Clients>::default());
        let hub = Arc::<Hub>::default();
        {
            let (signer, pending, clients, hub) =
                (signer.clone(), pending.clone(), clients.clone(), hub.clone());
            store.feed().listen(move |event| {
                pending.hear(event);
                clients.hear(event);
                signer.hear(event);
                hub.hear(event);
            });
        }
        let issuers = Issuers::new(&config.cli.trusted_issuers).map_err(Fault::Http)?;
        Ok(Self {
            signer,
            issuers,
            upstreams: Upstreams::new(&config.upstreams).map_err(Fault::Http)?,
            hasher: Hasher::new(config.password_workers),
            metrics: Metrics::new(&store, now),
            standing: Latest::default(),
            documents: Documents::default(),
            pending,
            clients,
            codes_per_address: PerMinute::new(config.limits.device_codes_per_address, clock.clone()),
            pairing_codes_per_address: PerMinute::new(config.limits.pairing_codes_per_address, clock.clone()),
            passkeys_per_address: PerMinute::new(config.limits.passkeys_per_address, clock.clone()),
            passkeys: Verifier::new(&public_url),
            upstream_sign_ins_per_address: PerMinute::new(
                config.limits.upstream_sign_ins_per_address,
                clock.clone(),
            ),
            asks_seen: PerMinute::new(config.detection.asks_per_address, clock.clone()),
            told_of: PerMinute::new(1, clock.clone()),
            password_changes: PerMinute::new(5, clock.clone()),
            upgrades_per_address: PerMinute::new(config.limits.upgrades_per_address, clock.clone()),
            imported_tokens_per_address: PerMinute::new(
                config.limits.imported_tokens_per_address,
                clock.clone(),
            ),
            hub,
            trail: Trail::default(),
            mailer: Mailer::new(config.notices.mail.as_ref()).map_err(Fault::Mail)?,
            places: Places::open(&config.geoip).map_err(Fault::Places)?,
            codes_per_client: PerMinute::new(config.limits.device_codes_per_client, clock.clone()),
            config,
            public_url,
            store,
            vault,
            clock,
            entropy,
        })
    }

    pub fn event(&self, now: Timestamp, action: Action) -> Result<Event, NoEntropy> {
        Ok(Event::new(AuditId::new(now, self.entropy.id()?), now, action))
    }
}

/// Whether everything that a configuration names outside of the database can be used.
pub fn check(config: &Config) -> Answer<()> {
    let _mailer = Mailer::new(config.notices.mail.as_ref()).map_err(Fault::Mail)?;
    let _places = Places::open(&config.geoip).map_err(Fault::Places)?;
    let _given = Given::from_environment()?;
    Ok(())
}

fn create_private_folder(path: &std::path::Path) -> Answer<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed =
        |error: std::io::Error| Fault::DataDir { path: path.display().to_string(), why: error.to_string() };
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.secs());
    at.map_or_else(|_| String::new(), |at| at.to_string())
}
