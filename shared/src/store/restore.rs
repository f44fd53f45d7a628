//! A copy of the store, and a copy that becomes the store.

use super::check::integrity;
use super::people::{event, seconds};
use super::publish::{PublishError, lock};
use super::{By, IdEntry, Places, RowState, Store, StoreError, check_file, connect, schema};
use crate::clock::Clock;
use crate::secure_file::{self, SecureFileError};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What two stores of the same people agree in.
const PEOPLE: [(&str, &str); 7] = [
    (
        "person",
        "login_name, issuer, subject, uid, gid, gecos, home, shell, state, confirmed_day, expires_day, adopt_home, existing, \
         revoked",
    ),
    ("idp_group", "provider_id, name, gid"),
    ("membership JOIN identity ON identity = id", "login_name, provider_id"),
    ("local_membership JOIN identity ON identity = id", "login_name, group_name"),
    ("tombstone", "login_name, uid, issuer, subject"),
    ("former_name", "login_name, uid"),
    ("former_uid", "uid, login_name, issuer, subject"),
];

/// What a restoration would mean for people and numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// It would change nothing.
    pub same: bool,
    /// People who were removed since, and would be back.
    pub returning: Vec<String>,
    /// Numbers that are, or were, somebody's now, and of which the backup knows nothing, or another owner.
    pub lost: Vec<String>,
    /// Locks, days of expiry, refusals and bindings of now that the backup does not have.
    pub lifted: Vec<String>,
}

impl Store {
    /// Writes a whole copy of the store to a new file, mode 0600, and syncs it.
    ///
    /// # Errors
    /// The file exists already, or cannot be written: nothing is left behind then.
    pub fn backup(&self, file: &Path) -> Result<(), StoreError> {
        let fail = |source| StoreError::Io { path: file.to_owned(), source };
        let Some(name) = file.to_str() else {
            // SQLite takes no other path, and an empty one is a file that is gone when it is closed.
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8")));
        };
        // VACUUM INTO takes an empty file: so its mode is right from the first moment on.
        let made = File::options().write(true).create_new(true).mode(0o600).open(file).map_err(fail)?;
        let written = self
            .connection
            .execute("VACUUM INTO ?1", [name])
            .map_err(StoreError::from)
            .and_then(|_| made.sync_all().map_err(fail));
        if written.is_err() {
            let _ = std::fs::remove_file(file);
        }
        written?;
        Ok(secure_file::sync_directory_of(file)?)
    }

    fn digest(&self) -> Result<[u8; 32], StoreError> {
        let mut hash = Sha256::new();
        for (table, columns) in PEOPLE {
            let sql = format!("SELECT json_array({columns}) FROM {table} ORDER BY 1");
            let mut statement = self.connection.prepare(&sql)?;
            for line in statement.query_map([], |row| row.get::<_, String>(0))? {
                hash.update(line?);
                hash.update("\n");
            }
            hash.update("\n");
        }
        Ok(hash.finalize().into())
    }
}

/// A copy of a backup beside the store, checked, and brought to the schema of this version. Removed when it is dropped.
#[derive(Debug)]
pub struct Candidate {
    path: PathBuf,
    store: Store,
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Candidate {
    /// Copies and checks a backup.
    ///
    /// # Errors
    /// Not root's file or writable by others, damaged, or of a version that this one cannot use.
    pub fn new(places: &Places, backup: &Path) -> Result<Self, StoreError> {
        super::make_directories(places)?;
        let mut path = places.store.as_os_str().to_owned();
        path.push(".restore");
        let path = PathBuf::from(path);
        copy(backup, places.owner, &path)?;
        match Self::open(&path) {
            Ok(store) => Ok(Self { path, store }),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn open(path: &Path) -> Result<Store, StoreError> {
        let mut connection = connect(path)?;
        if !integrity(&connection)?.is_empty() {
            return Err(StoreError::Damaged("the backup"));
        }
        schema::migrate(&mut connection, |_| Ok(()))?;
        schema::check(&connection)?;
        schema::bridge(&connection)?;
        let store = Store { connection };
        match store.faults()?.is_empty() {
            true => Ok(store),
            false => Err(StoreError::Damaged("the backup")),
        }
    }

    /// What it would mean to take it instead of the store that is there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn consequences(&self, now: &Store) -> Result<Consequences, StoreError> {
        let (theirs, ours) = (holders(&self.store)?, holders(now)?);
        let mut consequences =
            Consequences { same: self.store.digest()? == now.digest()?, ..Consequences::default() };
        for (id, (name, is_live)) in ours {
            match theirs.get(&id) {
                Some((other, _)) if *other != name => {
                    consequences.lost.push(format!("{id} is {name}'s, and would be {other}'s"));
                }
                None => consequences.lost.push(format!("{id} is {name}'s, and would be nobody's")),
                Some((_, true)) if !is_live => consequences.returning.push(name),
                Some(_) => {}
            }
        }
        consequences.lifted = lifted(&self.store, now)?;
        Ok(consequences)
    }

    /// Puts it in the place of the store; what is there now is kept under `kept`.
    ///
    /// # Errors
    /// See [`PublishError`]; the store is the old one then.
    pub fn take(
        mut self,
        places: &Places,
        kept: &Path,
        by: By<'_>,
        clock: &dyn Clock,
    ) -> Result<(), PublishError> {
        let _lock = lock(places, clock)?;
        let fail = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
        // Nobody may be writing to the file that goes. Whoever has it open is refused by SQLite from then on (it sees
        // that the file was moved).
        let old = exclusive(&places.store)?;
        let generation = old.as_ref().map_or(0, |connection| generation(connection).unwrap_or(0));
        let transaction = self.store.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Later than everything that was ever published: no published file is patched across this.
        transaction.execute(
            "UPDATE meta SET generation = max(generation, ?1) + 1, rebuild_generation = max(generation, ?1) + 1",
            [generation],
        )?;
        event(&transaction, seconds(by.now), "store_restored", "", by.actor, "")?;
        transaction.commit()?;
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(|source| fail(&self.path, source))?;
        match std::fs::hard_link(&places.store, kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(kept, error).into()),
            _ => {}
        }
        // What SQLite could not roll back of a damaged store must not be rolled back into this one.
        match std::fs::rename(journal(&places.store), journal(kept)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(kept, error).into()),
            _ => {}
        }
        std::fs::rename(&self.path, &places.store).map_err(|source| fail(&places.store, source))?;
        secure_file::sync_directory_of(&places.store)?;
        drop(old);
        check_file(&places.store, places.owner)?;
        Ok(())
    }
}

/// SQLite's rollback journal of a file.
fn journal(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push("-journal");
    path.into()
}

/// The old store, closed to others; `None` where it is missing or damaged: then nobody writes to it either.
///
/// # Errors
/// Somebody is writing to it, or whether somebody does cannot be found out.
fn exclusive(store: &Path) -> Result<Option<Connection>, StoreError> {
    let unusable = |code| {
        matches!(code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
            || (code == ErrorCode::CannotOpen && !store.exists())
    };
    let closed = connect(store).and_then(|connection| {
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    });
    match closed {
        Ok(connection) => Ok(Some(connection)),
        Err(StoreError::Sqlite(rusqlite::Error::SqliteFailure(error, _))) if unusable(error.code) => Ok(None),
        Err(StoreError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn generation(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("SELECT generation FROM meta", [], |row| row.get(0))
}

/// Every number that is, or was, somebody's: whose, and whether they have it now.
fn holders(store: &Store) -> Result<BTreeMap<u32, (String, bool)>, StoreError> {
    let holder = |entry: IdEntry| match entry {
        IdEntry::Group { name, gid, .. } => Some((gid, (format!("group {name}"), true))),
        IdEntry::Person(person) => Some((person.uid, (person.name, true))),
        IdEntry::Removed(former) | IdEntry::FormerUid(former) => Some((former.uid, (former.name, false))),
        IdEntry::FormerName { .. } => None,
    };
    Ok(store.id_map()?.into_iter().filter_map(holder).collect())
}

/// What shuts somebody out now, and would not any more. Whoever is not in the backup is not let in by it.
fn lifted(backup: &Store, now: &Store) -> Result<Vec<String>, StoreError> {
    let backup = backup.people()?;
    let mut lifted = Vec::new();
    for person in now.people()?.into_iter().filter(|person| !person.probe) {
        let name = &person.account.name;
        let Some(then) = backup.iter().find(|then| then.account.name == *name) else { continue };
        if person.state == RowState::Locked && then.state != RowState::Locked {
            lifted.push(format!("{name} is locked"));
        }
        if person.revoked && !then.revoked {
            lifted.push(format!("{name} is shut out by allowed_groups"));
        }
        if person.expires_day.is_some_and(|day| then.expires_day.is_none_or(|then| then.0 > day.0)) {
            lifted.push(format!("{name} expires earlier"));
        }
        if person.subject.is_some() && person.subject != then.subject {
            lifted.push(format!("{name} is bound to somebody else, or only now"));
        }
    }
    Ok(lifted)
}

/// Copies root's own file, and no link, to a new one that only root can read.
fn copy(from: &Path, owner: u32, to: &Path) -> Result<(), StoreError> {
    let fail = |source| StoreError::Io { path: from.to_owned(), source };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source =
        File::options().read(true).custom_flags(flags.bits().cast_signed()).open(from).map_err(fail)?;
    let metadata = source.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(SecureFileError::NotRegular(from.to_owned()).into());
    }
    if metadata.uid() != owner {
        let (path, found) = (from.to_owned(), metadata.uid());
        return Err(SecureFileError::Owner { path, owner: found, expected: owner }.into());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(SecureFileError::Writable { path: from.to_owned(), mode }.into());
    }
    let _ = std::fs::remove_file(to);
    let fail = |source| StoreError::Io { path: to.to_owned(), source };
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(fail)?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(0o600)).map_err(|errno| fail(errno.into()))?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(fail)
}
