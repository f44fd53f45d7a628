//! Store -> published database (design, section 6): copy + delta under a temporary name, sync, a byte in the file that is
//! to be retired, which tells every process that has it mapped to look at the path, rename. Logins that wait for the lock
//! find their change published by whoever held it (group commit).

use super::contents::Contents;
use super::retire::{self, Retiring};
use super::snapshot_file::{HeaderRow, remove};
use super::{Places, Store, StoreError, parameters};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::etc::LocalNames;
use crate::secure_file::{self, SecureFileError};
use crate::snapshot::{self, MappedFile, Snapshot};
use crate::types::IdError;
use rustix::fs::{FlockOperation, Mode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a publication waits for the one before it.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// What the readers' coarse clock may be behind ours, and more.
const MARGIN: Duration = Duration::from_millis(100);

/// What a publication is made from besides the store.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The configuration.
    pub config: Config,
    /// /etc/passwd and /etc/group.
    pub local: LocalNames,
}

/// Reads the inputs as they are now. Called under the publication lock: a login that began before the administrator
/// changed something must not publish what it read then.
pub type Load<'a> = &'a dyn Fn() -> Result<Inputs, PublishError>;

/// What a caller needs published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Everything that the store holds now.
    UpToDate,
    /// Everything, made anew.
    Rebuild,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was there already.
    Current,
    /// The old file was copied and patched.
    Patched,
    /// A file was made from the whole store.
    Rebuilt,
}

/// Why nothing was published; the old file is untouched then.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// The new database cannot be written.
    #[error("{path} cannot be written: {message}")]
    Write {
        /// The temporary file.
        path: PathBuf,
        /// What SQLite or the system said.
        message: String,
    },
    /// Another publication does not end.
    #[error("another publication holds {0} for more than ten seconds")]
    Locked(PathBuf),
    /// `people_group` has the gid of root's or of a privileged group in /etc/group.
    #[error("the people group cannot have gid {}, which /etc/group gives to root or to a privileged group", .0.0)]
    PeopleGroup(IdError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// /etc/passwd or /etc/group.
    #[error("/etc/passwd or /etc/group cannot be read: {0}")]
    Etc(io::Error),
}

impl From<rusqlite::Error> for PublishError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Publishes what is wanted, and brings the parameter file of first logins up to date where there is one.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(
    places: &Places,
    load: Load<'_>,
    want: Want,
    clock: &dyn Clock,
) -> Result<Published, PublishError> {
    let _lock = lock(places, clock)?;
    let inputs = load()?;
    let published = publish_locked(places, &inputs, want, clock)?;
    parameters::refresh(places, &inputs)?;
    Ok(published)
}

fn publish_locked(
    places: &Places,
    inputs: &Inputs,
    want: Want,
    clock: &dyn Clock,
) -> Result<Published, PublishError> {
    let store = Store::open(places)?;
    let contents = Contents::new(&store, inputs, beside(&places.nss_db))?;
    // One consistent view of the store for everything that follows.
    store.connection.execute_batch("BEGIN")?;
    let (row, rebuild_generation) = contents.header_row()?;
    let made = match usable(places, &row, rebuild_generation, want) {
        Usable::Current { retired } => {
            // By a publisher that died before its rename: every lookup would look at the path until the next one.
            if retired {
                retire::take_back(&places.nss_db);
            }
            return Ok(Published::Current);
        }
        Usable::Base(base) => contents.patch_or_rebuild(&places.nss_db, &base, &row),
        Usable::No => contents.rebuild(&row),
    };
    let published =
        made.and_then(|published| replace(&places.nss_db, contents.beside(), clock).map(|()| published));
    if published.is_err() {
        // On a full disk it would be in the way of everybody else.
        let _ = remove(contents.beside());
    }
    published
}

/// Is the file that is published now enough, something to build on, or neither?
enum Usable {
    Current { retired: bool },
    Base(Base),
    No,
}

/// A published file that lacks only what came after its generation.
pub(super) struct Base {
    pub(super) hash_key: [u8; 16],
    pub(super) generation: i64,
    /// Of people and of groups.
    pub(super) rows: (i64, i64),
}

fn usable(places: &Places, row: &HeaderRow, rebuild_generation: i64, want: Want) -> Usable {
    if want == Want::Rebuild {
        return Usable::No;
    }
    // Whatever is wrong with the old file, a new one is made from the store.
    let path = places.nss_db.to_str().unwrap_or_default();
    let Ok(file) = MappedFile::open_owned_by(path, places.owner) else { return Usable::No };
    let Ok(snapshot) = Snapshot::open(file.bytes()) else { return Usable::No };
    let Ok(header) = snapshot.header() else { return Usable::No };
    let generation = header.generation;
    if !row.same_origin(&header) || generation < rebuild_generation || generation > row.generation {
        return Usable::No;
    }
    // Not "what this login needs": an earlier publication may have failed, and only the next one brings it about.
    if generation == row.generation {
        return Usable::Current { retired: file.is_retired() };
    }
    // Counted, not believed: what is patched onto must be whole.
    let Ok(Some(rows)) = snapshot.counted() else { return Usable::No };
    Usable::Base(Base { hash_key: header.hash_key, generation, rows })
}

/// Takes the publication lock; released when the file is closed.
pub(super) fn lock(places: &Places, clock: &dyn Clock) -> Result<File, PublishError> {
    let path = places.lock.as_path();
    let io = |source| SecureFileError::Io { path: path.to_owned(), source };
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let give_up = clock.monotonic().saturating_add(LOCK_PATIENCE);
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if clock.monotonic() < give_up => {
                clock.sleep(Duration::from_millis(2))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(PublishError::Locked(path.to_owned())),
            Err(errno) => return Err(io(errno.into()).into()),
        }
    }
}

/// Puts the finished file in the place of the published one. Those who have the old one mapped are told before: whoever
/// has not been told may answer without a look at the path.
fn replace(nss_db: &Path, beside: &Path, clock: &dyn Clock) -> Result<(), PublishError> {
    let io = |path: &Path, source| SecureFileError::Io { path: path.to_owned(), source };
    let new = File::open(beside).map_err(|source| io(beside, source))?;
    rustix::fs::fchmod(&new, Mode::from_raw_mode(0o644)).map_err(|errno| io(beside, errno.into()))?;
    new.sync_all().map_err(|source| io(beside, source))?;
    let old = Retiring::mark(nss_db);
    if let Err(source) = std::fs::rename(beside, nss_db) {
        old.take_back();
        return Err(io(nss_db, source).into());
    }
    if !old.is_told() {
        // A login must not go on while its own process still takes the old file for the newest: sshd would ask it for the
        // person's groups. Under the lock, for those who find their change published are no better off.
        clock.sleep(snapshot::INTERVAL.saturating_add(MARGIN));
    }
    Ok(secure_file::sync_directory_of(nss_db)?)
}

fn beside(nss_db: &Path) -> PathBuf {
    let mut name = nss_db.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
