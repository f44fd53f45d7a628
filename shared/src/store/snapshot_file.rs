//! Writing the published database (`snapshot/schema.sql`) through the SQLite library, always under a temporary name.

use super::large_pieces;
use crate::snapshot::{self, Header, State};
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SCHEMA: &str = include_str!("../snapshot/schema.sql");

/// Offset of the file format's write version; 3 makes SQLite refuse to write (SQLite file format, section 1.3.3).
const WRITE_VERSION: u64 = 18;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Four names in one bucket already: another hash key is needed.
    #[error("a bucket of names is full")]
    BucketFull,
}

/// A person as published.
pub(super) struct PublishedPerson<'a> {
    pub(super) name: &'a str,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) gecos: &'a str,
    pub(super) home: &'a str,
    pub(super) shell: &'a str,
    pub(super) state: State,
    pub(super) confirmed_day: Option<u32>,
    pub(super) expires_day: Option<u32>,
    pub(super) visible: bool,
    pub(super) private_group: bool,
    pub(super) supplementary: Vec<u8>,
}

/// What the one row of the header table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderRow {
    pub(super) store_id: [u8; 16],
    pub(super) generation: i64,
    pub(super) inputs_digest: [u8; 32],
    pub(super) max_confirmation_age: Option<u32>,
    pub(super) services: String,
}

impl HeaderRow {
    /// Is a published file what this row describes, up to its generation?
    pub(super) fn same_origin(&self, header: &Header<'_>) -> bool {
        header.store_id == self.store_id && header.inputs_digest == self.inputs_digest
    }
}

/// A published database in the making.
pub(super) struct SnapshotFile {
    connection: Connection,
    hash_key: [u8; 16],
    /// Its pages are as the order of the insertions left them, and it will be read for long.
    is_loose: bool,
    rows: Cell<Rows>,
}

/// How many rows the tables have, kept while they are written: SQLite would read every page of a copy to count them.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    passwd: i64,
    passwd_name: i64,
    grp: i64,
    grp_name: i64,
}

impl SnapshotFile {
    /// An empty database under a fresh hash key.
    pub(super) fn create(path: &Path) -> Result<Self, WriteError> {
        // The mode is opened up when the file is complete.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let connection = open(path)?;
        connection.execute_batch(&format!("PRAGMA page_size = {}; BEGIN", snapshot::PAGE_SIZE))?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "application_id", snapshot::APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", snapshot::FORMAT)?;
        let hash_key = connection.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
        Ok(Self { connection, hash_key, is_loose: true, rows: Cell::default() })
    }

    /// An empty database under the hash key of another one, to be compared with that and thrown away.
    pub(super) fn create_with_key(path: &Path, hash_key: [u8; 16]) -> Result<Self, WriteError> {
        Ok(Self { hash_key, is_loose: false, ..Self::create(path)? })
    }

    /// A copy of a published file, made writable again. `people` and `groups` are its rows.
    pub(super) fn open_copy(
        path: &Path,
        hash_key: [u8; 16],
        (people, groups): (i64, i64),
    ) -> Result<Self, WriteError> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&[1], WRITE_VERSION)?;
        file.write_all_at(&[0], snapshot::RETIRED_BYTE as u64)?;
        drop(file);
        let connection = open(path)?;
        connection.execute_batch("BEGIN")?;
        let rows = Rows { passwd: people, passwd_name: people, grp: groups, grp_name: groups };
        Ok(Self { connection, hash_key, is_loose: false, rows: Cell::new(rows) })
    }

    /// How many rows it changed.
    fn execute(&self, sql: &str, values: impl Params) -> Result<i64, WriteError> {
        let changed = self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(i64::try_from(changed).unwrap_or(i64::MAX))
    }

    /// Writes a person, or replaces the one of the same uid and name.
    pub(super) fn put_person(&self, person: &PublishedPerson<'_>) -> Result<(), WriteError> {
        self.remove_person(person.uid, person.name)?;
        let slot = self.free_slot("passwd_name", person.name)?;
        let fields = "name, gid, gecos, home, shell, state, confirmed_day, expires_day, visible, private_group, \
                      supplementary";
        let p = person;
        let by_uid = format!(
            "INSERT INTO passwd(uid, {fields}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        );
        self.execute(
            &by_uid,
            params![
                p.uid,
                p.name,
                p.gid,
                p.gecos,
                p.home,
                p.shell,
                p.state as u8,
                p.confirmed_day,
                p.expires_day,
                p.visible,
                p.private_group,
                p.supplementary
            ],
        )?;
        let by_name = format!(
            "INSERT INTO passwd_name(hash, uid, {fields}) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
        );
        self.execute(
            &by_name,
            params![
                slot,
                p.uid,
                p.name,
                p.gid,
                p.gecos,
                p.home,
                p.shell,
                p.state as u8,
                p.confirmed_day,
                p.expires_day,
                p.visible,
                p.private_group,
                p.supplementary
            ],
        )?;
        self.count(|rows| (rows.passwd, rows.passwd_name) = (rows.passwd + 1, rows.passwd_name + 1));
        Ok(())
    }

    /// Takes a person out, if they are there.
    pub(super) fn remove_person(&self, uid: u32, name: &str) -> Result<(), WriteError> {
        let by_uid = self.execute("DELETE FROM passwd WHERE uid = ?1", [uid])?;
        let by_name = self.clear_slot("passwd_name", name)?;
        self.count(|rows| {
            (rows.passwd, rows.passwd_name) = (rows.passwd - by_uid, rows.passwd_name - by_name)
        });
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut Rows)) {
        let mut rows = self.rows.get();
        change(&mut rows);
        self.rows.set(rows);
    }

    /// Writes a group, or replaces the one of the same gid and name. `members` are NUL-ended names.
    pub(super) fn put_group(
        &self,
        gid: u32,
        name: &str,
        count: u32,
        members: &[u8],
    ) -> Result<(), WriteError> {
        let by_gid = self.execute("DELETE FROM grp WHERE gid = ?1", [gid])?;
        let by_name = self.clear_slot("grp_name", name)?;
        let slot = self.free_slot("grp_name", name)?;
        self.execute(
            "INSERT INTO grp(gid, name, member_count, members) VALUES (?1, ?2, ?3, ?4)",
            params![gid, name, count, members],
        )?;
        self.execute(
            "INSERT INTO grp_name(hash, name, gid, member_count, members) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![slot, name, gid, count, members],
        )?;
        self.count(|rows| (rows.grp, rows.grp_name) = (rows.grp + 1 - by_gid, rows.grp_name + 1 - by_name));
        Ok(())
    }

    /// Notes that a name belonged to somebody who has it no more.
    pub(super) fn put_former_name(&self, name: &str) -> Result<(), WriteError> {
        self.put_hash(snapshot::hash_tombstone_name(&self.hash_key, name.as_bytes()))
    }

    /// Notes that a uid belonged to somebody who has it no more.
    pub(super) fn put_former_uid(&self, uid: u32) -> Result<(), WriteError> {
        self.put_hash(snapshot::hash_tombstone_uid(&self.hash_key, uid))
    }

    fn put_hash(&self, hash: i64) -> Result<(), WriteError> {
        self.execute("INSERT OR IGNORE INTO tombstone(hash) VALUES (?1)", [hash])?;
        Ok(())
    }

    fn bucket(&self, name: &str) -> (i64, i64) {
        let first = snapshot::hash_name(&self.hash_key, name.as_bytes());
        (first, first.saturating_add(snapshot::SLOTS - 1))
    }

    fn clear_slot(&self, table: &str, name: &str) -> Result<i64, WriteError> {
        let (first, last) = self.bucket(name);
        let sql = format!("DELETE FROM {table} WHERE hash BETWEEN ?1 AND ?2 AND name = ?3");
        self.execute(&sql, params![first, last, name])
    }

    fn free_slot(&self, table: &str, name: &str) -> Result<i64, WriteError> {
        let (first, last) = self.bucket(name);
        let sql = format!("SELECT 1 FROM {table} WHERE hash = ?1");
        let mut taken = self.connection.prepare_cached(&sql)?;
        for slot in first..=last {
            if taken.query_row([slot], |_| Ok(())).optional()?.is_none() {
                return Ok(slot);
            }
        }
        Err(WriteError::BucketFull)
    }

    /// (rows of passwd, rows of grp); the tables by name must have as many.
    pub(super) fn counts(&self) -> Option<(i64, i64)> {
        let Rows { passwd, passwd_name, grp, grp_name } = self.rows.get();
        (passwd == passwd_name && grp == grp_name).then_some((passwd, grp))
    }

    /// Writes the header and closes the file; SQLite refuses to write to it from now on.
    pub(super) fn finish(
        self,
        path: &Path,
        header: &HeaderRow,
        counts: (i64, i64),
    ) -> Result<(), WriteError> {
        self.execute(
            "INSERT OR REPLACE INTO header(id, hash_key, store_id, generation, inputs_digest, people, group_rows, \
             max_confirmation_age, services) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                self.hash_key,
                header.store_id,
                header.generation,
                header.inputs_digest,
                counts.0,
                counts.1,
                header.max_confirmation_age,
                header.services
            ],
        )?;
        self.connection.execute_batch("COMMIT")?;
        self.connection.flush_prepared_statement_cache();
        if self.is_loose {
            self.pack(path);
        }
        // The loose file is gone with the connection: never are there more than two.
        self.connection.close().map_err(|(_, error)| error)?;
        if self.is_loose {
            in_large_pieces(path);
        }
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&[3], WRITE_VERSION)?;
        Ok(())
    }

    /// Puts the rows into full pages, in the order of their keys: names come by their hashes, so that a third of each page is
    /// empty and neighbours are far from each other. Every later publication copies this file, and every lookup reads it.
    /// A file that cannot be packed, on a disk that has no room for two, is as right as it is: a lock must not wait for room.
    fn pack(&self, path: &Path) {
        let packed = packed(path);
        let written = self.write_packed(&packed).and_then(|()| Ok(fs::rename(&packed, path)?));
        if written.is_err() {
            let _ = fs::remove_file(with_suffix(&packed, "-journal"));
            let _ = fs::remove_file(packed);
        }
    }

    fn write_packed(&self, path: &Path) -> Result<(), WriteError> {
        // SQLite takes an empty file as it is, with its mode.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        self.execute("VACUUM INTO ?1", [path.to_str()])?;
        Ok(())
    }
}

/// Writes the file at `path` once more, in large pieces. As with packing, one that stays as it is is right.
fn in_large_pieces(path: &Path) {
    let again = packed(path);
    if large_pieces::copy(path, &again).and_then(|()| fs::rename(&again, path)).is_err() {
        let _ = fs::remove_file(again);
    }
}

/// Takes away what an interrupted publication has left, and makes room for this one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    // VACUUM INTO keeps a journal for its target.
    for path in [path, &packed(path), &with_suffix(&packed(path), "-journal")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Where a file is written anew into full pages.
fn packed(path: &Path) -> PathBuf {
    with_suffix(path, ".packed")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn open(path: &Path) -> Result<Connection, WriteError> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(32);
    // A crash leaves a file under a temporary name that the next publication throws away: no journal, no sync.
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
         PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
    )?;
    Ok(connection)
}
