//! Copies of a SQLite database: taken while it is in use, put back while it is not.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrations::SCHEMA_VERSION;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database at {0}")]
    Missing(String),
    #[error("{0} exists already; choose another name, or remove it first")]
    Exists(String),
    #[error("{0} exists already; say --force to replace it, and it will be kept beside the new one")]
    WouldReplace(String),
    #[error("{0} is in use: stop the server first")]
    InUse(String),
    #[error("{file} is no backup that this program can use: {why}")]
    Unusable { file: String, why: String },
    #[error("cannot write {path}: {why}")]
    Write { path: String, why: String },
    #[error("the database failed: {0}")]
    Database(String),
}

type Result<T> = std::result::Result<T, BackupError>;

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    pub schema: i64,
    pub people: i64,
    pub devices: i64,
    pub bytes: u64,
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn written<T>(path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| BackupError::Write { path: path.display().to_string(), why: error.to_string() })
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: rusqlite::Error) -> BackupError {
    BackupError::Database(error.to_string())
}

/// A file with mode 0600 that did not exist before.
fn create(path: &Path) -> Result<File> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(path.display().to_string()))
        }
        other => written(path, other),
    }
}

/// Makes sure that what was written, and its name, outlive a loss of power.
fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Copies `database` as it is at one moment to the new file `to`. Nobody who uses it waits.
pub fn backup(database: &Path, to: &Path) -> Result<Contents> {
    if !database.exists() {
        return Err(BackupError::Missing(database.display().to_string()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.display().to_string()));
    }
    let partial = beside(to, ".partial");
    drop(create(&partial)?);
    let copied = copy(database, &partial).and_then(|()| inspect(&partial)).and_then(|contents| {
        // Its bytes are on the disk before it has its name. Unlike a rename this never replaces what
        // somebody put there meanwhile.
        written(&partial, sync(&partial))?;
        written(to, std::fs::hard_link(&partial, to))?;
        Ok(contents)
    });
    written(&partial, std::fs::remove_file(&partial))?;
    let contents = copied?;
    written(to, sync(to))?;
    Ok(contents)
}

fn copy(database: &Path, to: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
    let to = to.to_str().ok_or_else(|| BackupError::Database("the path is not UTF-8".to_owned()))?;
    // A transaction that reads: it sees one moment, and writers go on.
    connection.execute("VACUUM INTO ?1", [to]).map(drop).map_err(failed)
}

/// Reads what a copy holds, after checking that all of it can be read.
pub fn inspect(file: &Path) -> Result<Contents> {
    let unusable = |why: String| BackupError::Unusable { file: file.display().to_string(), why };
    if !file.exists() {
        return Err(unusable("there is no such file".to_owned()));
    }
    let open = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = open.map_err(|error| unusable(error.to_string()))?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let intact: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| unusable(error.to_string()))?;
    if intact != "ok" {
        return Err(unusable(intact));
    }
    let schema = number("SELECT COALESCE(MAX(version), 0) FROM schema_migration");
    let schema = schema.map_err(|_| unusable("it is no database of Countersign's".to_owned()))?;
    if schema > SCHEMA_VERSION {
        return Err(unusable(format!(
            "it has schema version {schema}, and this program knows {SCHEMA_VERSION}: use the newer countersign"
        )));
    }
    Ok(Contents {
        schema,
        people: number("SELECT COUNT(*) FROM account").map_err(failed)?,
        devices: number("SELECT COUNT(*) FROM token_family WHERE ended_at IS NULL").map_err(failed)?,
        bytes: written(file, std::fs::metadata(file))?.len(),
    })
}

/// Puts the copy `from` in the place of `database`. What was there before is kept beside it; its
/// name is the answer.
pub fn restore(from: &Path, database: &Path, force: bool) -> Result<(Contents, Option<PathBuf>)> {
    // A database in use has a log beside it, without which it is not whole.
    if LOGS.iter().any(|ending| std::fs::metadata(beside(from, ending)).is_ok_and(|log| log.len() > 0)) {
        let why = "there is a log beside it, so it is a database in use: copy that with `countersign backup`";
        return Err(BackupError::Unusable { file: from.display().to_string(), why: why.to_owned() });
    }
    inspect(from)?;
    if database.exists() && !force {
        return Err(BackupError::WouldReplace(database.display().to_string()));
    }
    // First everything that can fail without harm.
    let partial = beside(database, ".restoring");
    let mut file = create(&partial)?;
    let copied = File::open(from).and_then(|mut from| std::io::copy(&mut from, &mut file));
    let copied = copied.and_then(|_| file.flush()).and_then(|()| file.sync_all());
    let replaced = written(&partial, copied).and_then(|()| inspect(&partial)).and_then(|contents| {
        let kept = set_aside(database, &partial)?;
        Ok((contents, kept))
    });
    if replaced.is_err() {
        written(&partial, std::fs::remove_file(&partial))?;
    }
    let replaced = replaced?;
    written(database, sync(database))?;
    Ok(replaced)
}

/// What SQLite keeps beside a database while it is in use, and takes for the log of whatever stands
/// there under its name.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Puts `new` in the place of a database that nobody uses, and keeps that one under another name.
fn set_aside(database: &Path, new: &Path) -> Result<Option<PathBuf>> {
    // Held until the new one is there: a server that starts meanwhile finds the old one locked.
    let held = if database.exists() { alone(database)? } else { None };
    let mut kept = beside(database, ".replaced");
    let taken = |kept: &Path| kept.exists() || LOGS.iter().any(|ending| beside(kept, ending).exists());
    while taken(&kept) {
        kept = beside(&kept, "-before");
    }
    // A log that a crash left goes with its database, also if that is gone.
    let mut moved = false;
    for ending in LOGS.iter().filter(|ending| beside(database, ending).exists()) {
        written(&kept, std::fs::rename(beside(database, ending), beside(&kept, ending)))?;
        moved = true;
    }
    if database.exists() {
        // Two names for the old one, then one step: there is a database at every moment.
        if std::fs::hard_link(database, &kept).is_err() {
            written(&kept, std::fs::rename(database, &kept))?;
        }
        moved = true;
    }
    written(database, std::fs::rename(new, database))?;
    drop(held);
    Ok(moved.then_some(kept))
}

/// Opens a database so that nobody else can. `None` if it is too damaged for that.
fn alone(database: &Path) -> Result<Option<Connection>> {
    let connection = Connection::open(database).map_err(failed)?;
    // Leaving WAL mode folds the log into the file, and is refused while anybody else has it open.
    let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    let locked = mode.and_then(|mode| {
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(mode == "delete")
    });
    match locked {
        Ok(true) => Ok(Some(connection)),
        Err(rusqlite::Error::SqliteFailure(error, _))
            if matches!(error.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) =>
        {
            Ok(None)
        }
        Ok(false) | Err(_) => Err(BackupError::InUse(database.display().to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[tokio::test]
    async fn what_was_replaced_is_kept_and_what_is_no_backup_is_refused() {
        let (store, folder) = contract::sqlite().await;
        let database = folder.path().join("test.db");
        let copy = folder.path().join("copy");
        backup(&database, &copy).unwrap();
        assert!(matches!(backup(&database, &copy), Err(BackupError::Exists(_))));
        assert!(matches!(restore(&copy, &database, false), Err(BackupError::WouldReplace(_))));
        assert!(matches!(restore(&copy, &database, true), Err(BackupError::InUse(_))));
        store.close().await;
        let (_, kept) = restore(&copy, &database, true).unwrap();
        // A copy has no free pages.
        let bare = |file: &Path| Contents { bytes: 0, ..inspect(file).unwrap() };
        assert_eq!(bare(&kept.unwrap()), bare(&copy));
        let elsewhere = folder.path().join("new.db");
        assert_eq!(restore(&copy, &elsewhere, false).unwrap().1, None);
        for (name, bytes) in
            [("empty", b"".as_slice()), ("text", b"not a database, but long enough to be one")]
        {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            assert!(matches!(restore(&file, &database, true), Err(BackupError::Unusable { .. })), "{name}");
        }
        let mut damaged = std::fs::read(&copy).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 4096].fill(0x5A);
        std::fs::write(folder.path().join("damaged"), damaged).unwrap();
        assert!(restore(&folder.path().join("damaged"), &database, true).is_err());
        assert_eq!(inspect(&database).unwrap(), inspect(&copy).unwrap(), "nothing was changed");
    }

    #[tokio::test]
    async fn a_log_that_a_crash_left_does_not_spoil_what_is_restored() {
        let (store, folder) = contract::sqlite().await;
        let database = folder.path().join("test.db");
        let copy = folder.path().join("copy");
        backup(&database, &copy).unwrap();
        let (crashed, log) = (folder.path().join("crashed.db"), folder.path().join("crashed.db-wal"));
        std::fs::copy(beside(&database, "-wal"), &log).unwrap();
        assert!(std::fs::metadata(&log).unwrap().len() > 0);
        // The database itself was moved away, its log was not.
        let (_, kept) = restore(&copy, &crashed, false).unwrap();
        assert!(!log.exists() && beside(&kept.unwrap(), "-wal").exists());
        assert_eq!(inspect(&crashed).unwrap(), inspect(&copy).unwrap());
        // One that cannot even be opened is what restoring is for.
        std::fs::write(&crashed, [0x5A; 8192]).unwrap();
        let (_, kept) = restore(&copy, &crashed, true).unwrap();
        assert_eq!(std::fs::read(kept.unwrap()).unwrap(), [0x5A; 8192]);
        assert_eq!(inspect(&crashed).unwrap(), inspect(&copy).unwrap());
        // A database in use is no backup.
        let live = restore(&database, &folder.path().join("other.db"), false);
        assert!(matches!(live, Err(BackupError::Unusable { .. })));
        store.close().await;
    }
}
