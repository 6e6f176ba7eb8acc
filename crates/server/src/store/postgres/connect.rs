//! Where the database is and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_core::secret::Plain;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::store::{Result, StoreError};

/// How the database is reached, checked as far as it can be without connecting.
#[derive(Clone)]
pub struct Options {
    config: Config,
    place: String,
    pub ca_file: Option<PathBuf>,
    /// Connections that commits share, at most.
    pub pool: usize,
    /// Connections over which reads are pipelined.
    pub readers: usize,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Options {
    /// Reads a `postgres://` URL. The error says what is wrong with it and does not repeat it.
    pub fn parse(url: &Plain) -> std::result::Result<Self, String> {
        let mut config: Config = url.reveal().parse().map_err(|error: tokio_postgres::Error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            format!("it cannot be read: {why}; expected postgres://user:password@host:5432/database")
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host; expected postgres://user:password@host:5432/database".to_owned());
        }
        // Then the host is the rest of the password, and would be shown.
        let odd = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        if config.get_hosts().iter().any(odd) {
            return Err("there is an @ in the password: write it as %40".to_owned());
        }
        // Of several hosts the one that takes writes; what stands by may be behind.
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_user().is_none() {
            return Err("it names no user; expected postgres://user:password@host:5432/database".to_owned());
        }
        // Unless the URL says otherwise: TLS to other machines, none on this one.
        let query = url.reveal().rsplit_once('?').map_or("", |(_, query)| query);
        if !query.contains("sslmode=") {
            let addresses = config.get_hostaddrs();
            let local = if addresses.is_empty() {
                config.get_hosts().iter().all(is_this_machine)
            } else {
                addresses.iter().all(std::net::IpAddr::is_loopback)
            };
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        if config.get_application_name().is_none() {
            config.application_name("countersign");
        }
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let place = format!("postgres database {name} on {}", hosts.join(", "));
        Ok(Self {
            config,
            place,
            ca_file: None,
            pool: 16,
            readers: 2,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        })
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// Connections that write.
    pub fn write_pool(&self) -> Result<Pool> {
        // A node that was lost in the middle of a commit must not keep its locks.
        let timeout = self.statement_timeout.as_millis();
        let settings = format!(
            "-c default_transaction_isolation=read\\ committed -c idle_in_transaction_session_timeout={timeout}"
        );
        self.pool_of(self.pool, &settings)
    }

    /// Connections that only read, one statement at a time: what they see is committed.
    pub fn read_pool(&self) -> Result<Pool> {
        self.pool_of(1, "-c default_transaction_isolation=read\\ committed")
    }

    fn pool_of(&self, size: usize, settings: &str) -> Result<Pool> {
        let config = self.with_settings(settings);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, self.tls()?, manager);
        let timeouts = Timeouts {
            wait: Some(self.connect_timeout),
            create: Some(self.connect_timeout),
            recycle: Some(self.connect_timeout),
        };
        let built = Pool::builder(manager).max_size(size).timeouts(timeouts).runtime(Runtime::Tokio1).build();
        built.map_err(|error| StoreError::Database(error.to_string()))
    }

    /// The connection's own settings, after those that the URL brings along.
    pub(super) fn with_settings(&self, settings: &str) -> Config {
        let mut config = self.config.clone();
        let timeout = self.statement_timeout.as_millis();
        // Every statement finds its rows by an index, whatever the values: planning it once is enough,
        // and compiling it costs more than running it.
        let planning = "-c plan_cache_mode=force_generic_plan -c jit=off";
        let own = format!("-c statement_timeout={timeout} {planning} {settings}");
        let options = match config.get_options() {
            Some(given) => format!("{given} {own}"),
            None => own,
        };
        config
            .options(options)
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(self.statement_timeout);
        config
    }

    pub(super) fn tls(&self) -> Result<MakeRustlsConnect> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(file) => {
                for certificate in read_certificates(file)? {
                    roots.add(certificate).map_err(|error| path_error(file, &error.to_string()))?;
                }
            }
            // Without TLS nobody asks for them, and reading them takes time.
            None if self.config.get_ssl_mode() == SslMode::Disable => {}
            None => {
                let found = rustls_native_certs::load_native_certs();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    let why = "this system has no certificates to check the server's with; name the one to trust in database.ca_file";
                    return Err(StoreError::Database(why.to_owned()));
                }
            }
        }
        // Named, not taken from the process: another crate may bring a second provider along.
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::Database(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| path_error(file, &error.to_string()))?;
    if certificates.is_empty() {
        Err(path_error(file, "there is no certificate in it"))
    } else {
        Ok(certificates)
    }
}

fn path_error(file: &Path, why: &str) -> StoreError {
    StoreError::Path { path: file.display().to_string(), why: why.to_owned() }
}
