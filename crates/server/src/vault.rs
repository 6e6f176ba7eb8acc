//! The server's own key: it seals what must be recovered and keys the hashes of short codes.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_core::code::{UserCode, draw_reverse};
use countersign_core::id::{AccountId, GrantId, NoticeId};
use countersign_core::secret::{Digest, MacKey, Plain};
use zeroize::Zeroizing;

use crate::store::{Store, StoreError, installation};
use crate::world::{Entropy, NoEntropy};

/// The first byte of everything sealed, so that the format can change.
const FORMAT: u8 = 1;
/// How many bytes of the key's fingerprint a sealed value carries.
const KEY_ID: usize = 4;

pub struct Vault {
    seal: LessSafeKey,
    fingerprint: Digest,
    codes: MacKey,
    reverse: MacKey,
    forms: MacKey,
    buckets: MacKey,
    trail: MacKey,
}

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("cannot use the key file {path}: {why}")]
    File { path: String, why: String },
    #[error(
        "the key file {path} is missing, and this database was sealed with it: put it back, or set COUNTERSIGN_SECRET_KEY or COUNTERSIGN_SECRET_KEY_FILE"
    )]
    Missing { path: String },
    #[error("{source_name} must be 32 bytes in base64 (make one with: openssl rand -base64 32)")]
    Given { source_name: String },
    #[error("cannot read {source_name}: {why}")]
    Unreadable { source_name: String, why: String },
    #[error("COUNTERSIGN_SECRET_KEY and COUNTERSIGN_SECRET_KEY_FILE are both set: leave one of them out")]
    Both,
    #[error(
        "this database was sealed with another key than {source_name}: use the key it was first started with"
    )]
    OtherKey { source_name: String },
    #[error("a sealed value does not open: it was damaged or sealed with another key")]
    Sealed,
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key from elsewhere than the key file.
pub struct Given {
    key: Zeroizing<[u8; 32]>,
    pub source_name: String,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given(… from {})", self.source_name)
    }
}

impl Given {
    const VARIABLE: &str = "COUNTERSIGN_SECRET_KEY";
    const FILE: &str = "COUNTERSIGN_SECRET_KEY_FILE";

    /// What the environment holds or names. Whoever mounts secrets for a service chooses the mode of such a
    /// file, so it is not looked at.
    pub fn from_environment() -> Result<Option<Self>, VaultError> {
        match (std::env::var(Self::VARIABLE).ok(), std::env::var_os(Self::FILE)) {
            (Some(_), Some(_)) => Err(VaultError::Both),
            (Some(text), None) => Self::read(&Zeroizing::new(text), Self::VARIABLE.to_owned()).map(Some),
            (None, Some(path)) => {
                let source_name = format!("{} ({})", Self::FILE, Path::new(&path).display());
                match std::fs::read_to_string(&path) {
                    Ok(text) => Self::read(&Zeroizing::new(text), source_name).map(Some),
                    Err(error) => Err(VaultError::Unreadable { source_name, why: error.to_string() }),
                }
            }
            (None, None) => Ok(None),
        }
    }

    fn read(base64: &str, source_name: String) -> Result<Self, VaultError> {
        let bytes = Zeroizing::new(STANDARD.decode(base64.trim()).unwrap_or_default());
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self { key: Zeroizing::new(key), source_name }),
            Err(_) => Err(VaultError::Given { source_name }),
        }
    }

    /// Whether the key file is of no concern.
    pub fn is_there() -> bool {
        [Self::VARIABLE, Self::FILE].iter().any(|name| std::env::var_os(name).is_some())
    }
}

impl Vault {
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Result<Self, VaultError> {
        let root = MacKey::new(**key);
        let seal =
            UnboundKey::new(&AES_256_GCM, root.derive("seal").expose()).map_err(|_| VaultError::Sealed)?;
        Ok(Self {
            seal: LessSafeKey::new(seal),
            fingerprint: root.derive("fingerprint").mac(&[]),
            codes: root.derive("user codes"),
            reverse: root.derive("reverse codes"),
            forms: root.derive("forms"),
            buckets: root.derive("limits"),
            trail: root.derive("audit trail"),
        })
    }

    /// Takes the key from the environment or the file. The file is made on first start, and never
    /// for a database that was sealed with a key before.
    pub async fn load(
        given: Option<&Given>,
        file: &Path,
        store: &Store,
        entropy: &Entropy,
    ) -> Result<Self, VaultError> {
        match given {
            Some(given) => Self::new(&given.key),
            None => {
                let sealed = installation::read(store, installation::KEY_FINGERPRINT).await?.is_some();
                if sealed && !file.exists() {
                    return Err(VaultError::Missing { path: file.display().to_string() });
                }
                Self::new(&key_file(file, entropy)?)
            }
        }
    }

    /// Binds the database to this key on first use, and refuses another key ever after.
    pub async fn bind(&self, store: &Store, source_name: &str) -> Result<(), VaultError> {
        let mine = self.fingerprint.as_bytes().as_slice();
        let insert = installation::insert(installation::KEY_FINGERPRINT, mine);
        let first = installation::read(store, installation::KEY_FINGERPRINT).await?;
        if first.is_none() && store.commit(vec![insert]).await?.is_done() {
            return Ok(());
        }
        let known = installation::read(store, installation::KEY_FINGERPRINT).await?;
        if known.as_deref() == Some(mine) {
            Ok(())
        } else {
            Err(VaultError::OtherKey { source_name: source_name.to_owned() })
        }
    }

    /// Seals `plain`; `purpose` must be the same when it is opened.
    pub fn seal(&self, purpose: &str, plain: &[u8], entropy: &Entropy) -> Result<Vec<u8>, VaultError> {
        let random = entropy.bytes()?;
        let nonce: [u8; NONCE_LEN] =
            random.get(..NONCE_LEN).and_then(|bytes| bytes.try_into().ok()).ok_or(VaultError::Sealed)?;
        let mut sealed = vec![FORMAT];
        sealed.extend(self.key_id());
        sealed.extend(nonce);
        let mut body = plain.to_vec();
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut body,
            )
            .map_err(|_| VaultError::Sealed)?;
        sealed.extend(body);
        Ok(sealed)
    }

    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (head, rest) = sealed.split_at_checked(1 + KEY_ID).ok_or(VaultError::Sealed)?;
        let mut expected = vec![FORMAT];
        expected.extend(self.key_id());
        if head != expected {
            return Err(VaultError::Sealed);
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(VaultError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Sealed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .seal
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body)
            .map_err(|_| VaultError::Sealed)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn key_id(&self) -> impl Iterator<Item = u8> {
        self.fingerprint.as_bytes().iter().copied().take(KEY_ID)
    }

    /// What is stored of a user code.
    pub fn code(&self, code: &UserCode) -> Digest {
        self.codes.mac(&[b"user", code.as_str().as_bytes()])
    }

    /// The reverse code of a grant: random to everybody else, but found again for the page that shows it.
    /// `None` happens less than once in 10²⁰ grants.
    pub fn reverse_code(&self, grant: GrantId, length: usize) -> Option<UserCode> {
        let half = |number: u8| self.reverse.mac(&[b"draw", grant.as_bytes(), &[number]]);
        draw_reverse(length, &[*half(0).as_bytes(), *half(1).as_bytes()].concat())
    }

    /// What is stored of a reverse code.
    pub fn reverse(&self, code: &UserCode) -> Digest {
        self.reverse.mac(&[b"code", code.as_str().as_bytes()])
    }

    /// Two digits that the browser shows and the device asks for: found again, and kept nowhere.
    pub fn pin(&self, grant: GrantId) -> String {
        let mac = self.reverse.mac(&[b"pin", grant.as_bytes()]);
        // Of so many numbers the remainder prefers none that anybody could tell.
        let number = mac.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:02}", number % 100)
    }

    /// What a browser takes back to a client once its person said yes: found again, and kept nowhere.
    pub fn authorization_code(&self, grant: GrantId) -> Plain {
        Plain::from_entropy(self.codes.mac(&[b"authorization", grant.as_bytes()]).as_bytes())
    }

    /// What a browser carries in place of a question.
    pub fn request(&self, grant: GrantId) -> String {
        format!(
            "{grant}.{}",
            URL_SAFE_NO_PAD.encode(self.forms.mac(&[b"request", grant.as_bytes()]).as_bytes())
        )
    }

    pub fn read_request(&self, handle: &str) -> Option<GrantId> {
        let (grant, _) = handle.split_once('.')?;
        let grant: GrantId = grant.parse().ok()?;
        Digest::of(&self.request(grant)).matches(&Digest::of(handle)).then_some(grant)
    }

    /// What is stored of a recovery code.
    pub fn recovery(&self, account: AccountId, code: &UserCode) -> Digest {
        self.codes.mac(&[b"recovery", account.as_bytes(), code.as_str().as_bytes()])
    }

    /// The hidden field that shows that a form came from one of our pages in this browser.
    pub fn csrf(&self, cookie: &str) -> Digest {
        self.forms.mac(&[b"csrf", cookie.as_bytes()])
    }

    /// Shows that somebody signed in, with the password of this hash, in the browser that was given this
    /// nonce.
    pub fn known(&self, account: AccountId, hash: &str, nonce: &str) -> Digest {
        self.forms.mac(&[b"known", account.as_bytes(), hash.as_bytes(), nonce.as_bytes()])
    }

    /// Shows that this browser found this grant by its code.
    pub fn ticket(&self, cookie: &str, grant: GrantId) -> Digest {
        self.forms.mac(&[b"ticket", cookie.as_bytes(), grant.as_bytes()])
    }

    /// Shows that a link came from one of our pages in this browser.
    pub fn link(&self, cookie: &str, upstream: &str) -> Digest {
        self.forms.mac(&[b"link", cookie.as_bytes(), upstream.as_bytes()])
    }

    /// What stands in the link of a notice: its id, and what shows that the link is of ours.
    pub fn revoke_token(&self, link: NoticeId) -> String {
        let mac = self.forms.mac(&[b"revoke", link.as_bytes()]);
        format!("{link}.{}", URL_SAFE_NO_PAD.encode(mac.as_bytes()))
    }

    pub fn read_revoke_token(&self, token: &str) -> Option<NoticeId> {
        let (link, _) = token.split_once('.')?;
        let link: NoticeId = link.parse().ok()?;
        Digest::of(&self.revoke_token(link)).matches(&Digest::of(token)).then_some(link)
    }

    /// A link of the audit trail.
    pub fn trail(&self, parts: &[&[u8]]) -> Digest {
        self.trail.mac(parts)
    }

    /// The name of a tally, which must not tell whose it is.
    pub fn bucket(&self, kind: &str, subject: &str) -> Digest {
        self.buckets.mac(&[kind.as_bytes(), subject.as_bytes()])
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

fn key_file(path: &Path, entropy: &Entropy) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |why: String| VaultError::File { path: path.display().to_string(), why };
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = Zeroizing::new(entropy.bytes()?);
            match write_whole(path, key.as_slice(), entropy.id()?) {
                // Another process was faster: its key is the key.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => key_file(path, entropy),
                Err(error) => Err(failed(error.to_string())),
                Ok(()) => Ok(key),
            }
        }
        Ok(mut file) => {
            let mode = file.metadata().map_err(|error| failed(error.to_string()))?.mode();
            if mode & 0o077 != 0 {
                return Err(failed(format!(
                    "others may read it (mode {:o}); mend with: chmod 600 {}",
                    mode & 0o777,
                    path.display()
                )));
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(33));
            file.read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
            let key: [u8; 32] = bytes
                .as_slice()
                .try_into()
                .map_err(|_| failed(format!("it holds {} bytes instead of 32", bytes.len())))?;
            Ok(Zeroizing::new(key))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// A new private file that is there whole or not at all, also after a crash: written beside, synced,
/// then given its name, which fails if somebody else has it.
fn write_whole(path: &Path, bytes: &[u8], unique: countersign_core::id::IdEntropy) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = unique.into_iter().fold(0_u128, |number, byte| number << 8 | u128::from(byte));
    let beside = folder.join(format!(".{name}.{unique:020x}"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let linked = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&beside, path))
        .and_then(|()| std::fs::File::open(folder)?.sync_all());
    std::fs::remove_file(&beside)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&Zeroizing::new([byte; 32])).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_only_as_it_was() {
        let (vault, other) = (vault(1), vault(2));
        let sealed = vault.seal("key x", b"secret", &Entropy::seeded(1)).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(vault.open("key x", &sealed).unwrap().as_slice(), b"secret");
        assert!(vault.open("key y", &sealed).is_err());
        assert!(other.open("key x", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(vault.open("key x", &damaged).is_err(), "byte {at}");
        }
        assert!(vault.open("key x", &sealed[..10]).is_err());
    }

    #[test]
    fn the_key_file_is_made_once_and_must_be_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let first = *key_file(&path, &Entropy::Os).unwrap();
        assert_eq!(*key_file(&path, &Entropy::Os).unwrap(), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key_file(&path, &Entropy::Os).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(key_file(&path, &Entropy::Os).unwrap_err().to_string().contains("5 bytes"));
    }

    #[tokio::test]
    async fn a_database_keeps_to_its_first_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::Sqlite::open(
            &folder.path().join("x.db"),
            crate::store::Opening::Create,
            countersign_core::time::Timestamp::default(),
        );
        let store = Store::Sqlite(store.unwrap());
        vault(1).bind(&store, "a").await.unwrap();
        vault(1).bind(&store, "a").await.unwrap();
        assert!(matches!(vault(2).bind(&store, "b").await, Err(VaultError::OtherKey { .. })));
    }
}
