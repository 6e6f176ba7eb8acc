//! Where a device keeps its tokens: the system's keyring, or a file that only its owner can read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use countersign_core::wire::{reveal, reveal_option};
use serde::{Deserialize, Serialize};

use crate::{Error, Plain, TokenResponse, ring, unix_time};

/// The tokens of one login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    pub server: String,
    pub client_id: String,
    #[serde(serialize_with = "reveal")]
    pub access_token: Plain,
    #[serde(default, serialize_with = "reveal_option", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Plain>,
    /// Of the access token, in seconds since the epoch.
    pub expires_at: i64,
    #[serde(default)]
    pub scope: String,
}

impl Credentials {
    pub fn new(server: &str, client_id: &str, tokens: &TokenResponse) -> Self {
        Self {
            server: server.to_owned(),
            client_id: client_id.to_owned(),
            access_token: tokens.access_token.clone(),
            refresh_token: tokens.refresh_token.clone(),
            expires_at: unix_time().saturating_add(i64::try_from(tokens.expires_in).unwrap_or(i64::MAX)),
            scope: tokens.scope.clone(),
        }
    }

    /// Whether the access token will last at least `seconds` more.
    pub fn lasts(&self, seconds: i64) -> bool {
        self.expires_at.saturating_sub(unix_time()) >= seconds
    }
}

/// The API key of one login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptKey {
    pub server: String,
    #[serde(serialize_with = "reveal")]
    pub api_key: Plain,
    /// The server's id for it.
    pub id: String,
    #[serde(default)]
    pub name: String,
}

/// The device token of one pairing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptDevice {
    pub server: String,
    #[serde(serialize_with = "reveal")]
    pub device_token: Plain,
    /// What the device calls itself.
    pub device_id: String,
    #[serde(default)]
    pub name: String,
}

/// What one login ended in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kept {
    Tokens(Credentials),
    Key(KeptKey),
    Device(KeptDevice),
}

impl Kept {
    /// The public URL of the server that gave it.
    pub fn server(&self) -> &str {
        match self {
            Self::Tokens(credentials) => &credentials.server,
            Self::Key(key) => &key.server,
            Self::Device(device) => &device.server,
        }
    }
}

/// What the file holds: which server was used last, and the tokens of those that no keyring took.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Contents {
    current: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logins: BTreeMap<String, Kept>,
}

/// The place where logins are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    file: PathBuf,
    keyring: bool,
}

/// Where a login was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Keyring,
    File,
}

impl Storage {
    /// Keeps logins in `file` (0600) and, if `keyring`, their tokens in the system's keyring where
    /// there is one.
    pub const fn new(file: PathBuf, keyring: bool) -> Self {
        Self { file, keyring }
    }

    /// The file that holds what no keyring does.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Remembers a login and makes its server the current one.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be written.
    pub fn save(&self, login: &Kept) -> Result<Place, Error> {
        let text = serde_json::to_string(login).map_err(|error| self.failed(&error.to_string()))?;
        let server = login.server().to_owned();
        let kept = self.keyring && ring::put(server, text);
        let mut contents = self.contents()?;
        contents.current = Some(login.server().to_owned());
        if kept {
            contents.logins.remove(login.server());
        } else {
            contents.logins.insert(login.server().to_owned(), login.clone());
        }
        self.write(&contents)?;
        Ok(if kept { Place::Keyring } else { Place::File })
    }

    /// The login at `server`, or at the one that was used last.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be read.
    pub fn load(&self, server: Option<&str>) -> Result<Option<Kept>, Error> {
        let mut contents = self.contents()?;
        let Some(server) = server.map(|server| server.trim_end_matches('/').to_owned()).or(contents.current)
        else {
            return Ok(None);
        };
        if let Some(login) = contents.logins.remove(&server) {
            return Ok(Some(login));
        }
        if !self.keyring {
            return Ok(None);
        }
        let text = ring::get(server);
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Forgets the login at `server`.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be written.
    pub fn forget(&self, server: &str) -> Result<(), Error> {
        if self.keyring {
            // Not there, or no keyring at all: either way it holds nothing of ours now.
            ring::delete(server.to_owned());
        }
        let mut contents = self.contents()?;
        contents.logins.remove(server);
        if contents.current.as_deref() == Some(server) {
            contents.current = contents.logins.keys().next().cloned();
        }
        self.write(&contents)
    }

    /// Holds other processes of the same person off while tokens are refreshed.
    ///
    /// # Errors
    /// [`Error::Storage`] if the lock file cannot be made.
    pub fn lock(&self) -> Result<File, Error> {
        self.create_folder()?;
        let path = self.file.with_extension("lock");
        let file = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(path)
            .map_err(|error| self.failed(&error.to_string()))?;
        file.lock().map_err(|error| self.failed(&error.to_string()))?;
        Ok(file)
    }

    fn contents(&self) -> Result<Contents, Error> {
        let mut text = String::new();
        match File::open(&self.file) {
            Ok(mut file) => {
                file.read_to_string(&mut text).map_err(|error| self.failed(&error.to_string()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Contents::default()),
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        serde_json::from_str(&text)
            .map_err(|error| self.failed(&format!("it is damaged ({error}); remove it and log in again")))
    }

    /// Writes beside the file and renames, so that a crash leaves the old or the new one.
    fn write(&self, contents: &Contents) -> Result<(), Error> {
        self.create_folder()?;
        let text = serde_json::to_string_pretty(contents).map_err(|error| self.failed(&error.to_string()))?;
        let beside = self.file.with_extension("new");
        let written = match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => private(OpenOptions::new().write(true).create_new(true))
                .open(&beside)
                .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
                .and_then(|()| std::fs::rename(&beside, &self.file)),
        };
        written.map_err(|error| self.failed(&error.to_string()))
    }

    fn create_folder(&self) -> Result<(), Error> {
        match self.file.parent() {
            Some(folder) => std::fs::create_dir_all(folder).map_err(|error| self.failed(&error.to_string())),
            None => Ok(()),
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::Storage { place: self.file.display().to_string(), why: why.to_owned() }
    }
}

/// Readable by its owner alone from the moment it exists.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(server: &str) -> Kept {
        Kept::Tokens(Credentials {
            server: server.to_owned(),
            client_id: "tool".to_owned(),
            access_token: Plain::new("at".to_owned()),
            refresh_token: Some(Plain::new("rt".to_owned())),
            expires_at: unix_time() + 100,
            scope: "openid".to_owned(),
        })
    }

    fn key(server: &str) -> Kept {
        let (api_key, id, name) = (Plain::new("cs_sk_x".to_owned()), "1".to_owned(), "ci".to_owned());
        Kept::Key(KeptKey { server: server.to_owned(), api_key, id, name })
    }

    #[test]
    fn what_is_saved_is_found_private_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().join("a/credentials.json"), false);
        assert!(storage.load(None).unwrap().is_none());
        assert_eq!(storage.save(&credentials("https://a")).unwrap(), Place::File);
        storage.save(&key("https://b")).unwrap();
        let Kept::Key(found) = storage.load(None).unwrap().unwrap() else { panic!("it is a key") };
        assert_eq!((found.server.as_str(), found.api_key.reveal()), ("https://b", "cs_sk_x"));
        let Kept::Tokens(found) = storage.load(Some("https://a/")).unwrap().unwrap() else {
            panic!("they are tokens")
        };
        assert_eq!(found.refresh_token.unwrap().reveal(), "rt");
        assert!(found.access_token.reveal() == "at" && storage.load(Some("https://c")).unwrap().is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(storage.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        storage.forget("https://b").unwrap();
        assert_eq!(storage.load(None).unwrap().unwrap().server(), "https://a");
        storage.forget("https://a").unwrap();
        assert!(storage.load(None).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().join("credentials.json"), false);
        std::fs::write(storage.path(), "{").unwrap();
        assert!(storage.load(None).unwrap_err().to_string().contains("log in again"));
    }
}
