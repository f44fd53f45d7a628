//! The live store: SQLite, root only (design, section 6). Nobody but root's processes may ever open it; what others
//! may know is published ([`publish`]).

mod audit;
mod backup;
pub mod check;
mod contents;
mod events;
mod former;
pub mod ids;
mod import;
mod large_pieces;
mod local_groups;
pub mod parameters;
mod people;
mod provider_groups;
pub mod publish;
mod rename;
mod reserve;
pub mod restore;
mod retire;
mod revoke;
mod roster;
mod schema;
mod sign_in;
mod snapshot_file;

pub use contents::{Agreement, CompareError, LOCKED_NAME_SHELL, LOCKED_SHELL, compare};
pub use events::{Event, EventFilter};
pub use former::{IdHolder, Tombstone};
pub use ids::{FormerId, IdEntry, IdPerson};
pub use import::{Conflict, Imported};
pub use people::{Person, RowState};
pub use provider_groups::StoredGroup;
pub use reserve::Reservation;
pub use revoke::Whom;
pub use roster::{By, RosterError};
pub use schema::VERSION;
pub use sign_in::{GroupClaim, RecordError, Recorded, SignIn};

use crate::clock::Day;
use crate::secure_file::SecureFileError;
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the store and what is published of it live.
#[derive(Clone, Debug)]
pub struct Places {
    /// The live store.
    pub store: PathBuf,
    /// Serialises publications.
    pub lock: PathBuf,
    /// The parameters of prospective entries.
    pub first_login: PathBuf,
    /// The published database.
    pub nss_db: PathBuf,
    /// uid that every file must belong to.
    pub owner: u32,
}

impl Places {
    /// The places of a machine; `root` is `/`, or the directory of an image.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let place = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            store: place(crate::paths::STORE),
            lock: place(crate::paths::PUBLISH_LOCK),
            first_login: place(crate::paths::FIRST_LOGIN),
            nss_db: place(crate::paths::NSS_DB),
            owner: crate::secure_file::ROOT,
        }
    }
}

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(10);

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("{0} does not exist: run oauth2ctl store migrate")]
    Missing(PathBuf),
    /// It, or its directory, is not trustworthy.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// It was made by an older version, and what is asked for needs the schema of this one.
    #[error("the store has schema {found}, this version needs {needed}: run oauth2ctl store migrate")]
    NotMigrated {
        /// Its schema.
        found: usize,
        /// Ours.
        needed: usize,
    },
    /// It was made by a version that does not serve this one any more.
    #[error("the store has schema {found}, which this version cannot use: upgrade the package")]
    TooNew {
        /// Its schema.
        found: usize,
    },
    /// It holds something this code would never have written.
    #[error("the store is damaged ({0}): restore it from a backup")]
    Damaged(&'static str),
    /// No copy could be made of it, and so it was not migrated.
    #[error("the store was not migrated, because no backup of it could be made ({path}: {message})")]
    Backup {
        /// The copy.
        path: PathBuf,
        /// What SQLite or the system said.
        message: String,
    },
    /// SQLite's own error: busy, full, read-only, corrupt.
    #[error("the store cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The system's error.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied.
    pub applied: usize,
    /// The copy of the store as it was before; none of a store that was made just now.
    pub backup: Option<PathBuf>,
}

/// The open store. Made, used and dropped within one call of the host.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the store that is there, also one of an earlier version: sign-ins go on before it is migrated.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(places: &Places) -> Result<Self, StoreError> {
        check_file(&places.store, places.owner)?;
        let store = Self { connection: connect(&places.store)? };
        schema::check(&store.connection)?;
        schema::bridge(&store.connection)?;
        Ok(store)
    }

    /// Makes the store, or brings the one that is there to the schema of this version, with a copy of it beside it.
    ///
    /// # Errors
    /// See [`StoreError`]; the store is as it was then.
    pub fn migrate(places: &Places, today: Day) -> Result<Migrated, StoreError> {
        make(places)?;
        check_file(&places.store, places.owner)?;
        let mut connection = connect(&places.store)?;
        let mut backup = None;
        let applied = schema::migrate(&mut connection, |version| {
            if version > 0 {
                backup = Some(backup::make(&places.store, version, today)?);
            }
            Ok(())
        })?;
        schema::check(&connection)?;
        Ok(Migrated { applied, backup })
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite would refuse a link anywhere on the way; only the directory itself was checked, and is root's own.
    let canonical = path.parent().unwrap_or(Path::new("/")).canonicalize();
    let directory = canonical.map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    let connection =
        Connection::open_with_flags(directory.join(path.file_name().unwrap_or_default()), flags)?;
    connection.busy_timeout(BUSY)?;
    // EXTRA syncs the directory after the journal is gone: a commit that was published must not be undone by a power cut.
    // temp_store: SQLite would otherwise look for a directory in the environment of the host process.
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA synchronous = EXTRA;",
    )?;
    Ok(connection)
}

/// The directory is root's own; within it nobody can exchange the file between this look and SQLite's open.
fn check_file(path: &Path, owner: u32) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    for (path, forbidden, is_file) in [(directory, 0o022, false), (path, 0o066, true)] {
        let metadata = std::fs::symlink_metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(path.to_owned()),
            _ => StoreError::Io { path: path.to_owned(), source },
        })?;
        if metadata.is_file() != is_file || metadata.is_dir() == is_file {
            return Err(SecureFileError::NotRegular(path.to_owned()).into());
        }
        if metadata.uid() != owner {
            let (owner, expected) = (metadata.uid(), owner);
            return Err(SecureFileError::Owner { path: path.to_owned(), owner, expected }.into());
        }
        let mode = metadata.mode() & 0o7777;
        if mode & forbidden != 0 {
            return Err(SecureFileError::Writable { path: path.to_owned(), mode }.into());
        }
    }
    Ok(())
}

/// The directories and an empty store, with their modes from the first moment on.
fn make(places: &Places) -> Result<(), StoreError> {
    make_directories(places)?;
    let io = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
    let store = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&places.store);
    match store {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(&places.store, error)),
        _ => Ok(()),
    }
}

fn make_directories(places: &Places) -> Result<(), StoreError> {
    let io = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
    for (file, mode) in [(&places.nss_db, 0o755), (&places.store, 0o700)] {
        let directory = file.parent().unwrap_or(Path::new("/"));
        match std::fs::DirBuilder::new().mode(mode).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(directory, error)),
            Err(_) => {}
            // The umask of whoever calls must not decide who can resolve names.
            Ok(()) => set_mode(directory, mode).map_err(|source| io(directory, source))?,
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod agreement_tests;
#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod local_group_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod pin_tests;
#[cfg(test)]
mod revoke_tests;
#[cfg(test)]
mod roster_tests;
#[cfg(test)]
mod test_machine;
#[cfg(test)]
mod tests;
