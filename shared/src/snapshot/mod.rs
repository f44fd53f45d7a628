//! The published database, `nss.db`: an ordinary SQLite file (schema.sql beside this), read without SQLite.
//!
//! [`Snapshot`] reads bytes; [`MappedFile`] maps a file for one use; [`SharedSnapshot`] keeps the newest one mapped
//! for a process that looks up often. Nothing here writes, locks, logs or panics; a damaged or hostile file gives an
//! error. Why no SQLite library: it would be in every process that resolves a name, with its memory, its kept
//! descriptor and its global mutexes, which a fork in another thread freezes for ever.

mod error;
mod file;
mod gids;
mod hash;
mod map;
mod members;
mod rows;
mod search;
mod table;

pub use error::SnapshotError;
pub use file::{APPLICATION_ID, FORMAT, PAGE_SIZE, RETIRED_BYTE};
pub use gids::Gids;
pub use hash::{SLOTS, hash_name, hash_tombstone_name, hash_tombstone_uid};
pub use map::{INTERVAL, Mapped, MappedFile, SharedSnapshot};
pub use members::{NameEnds, is_packed_names, name_ends};
pub use rows::{Group, Person, State, TEXT_MAX};
pub use table::{Blob, Chunks};

use crate::types::{NAME_MAX, login_name};
use file::Pages;
use table::{Columns, count, seek};

/// The CREATE TABLE statements of the published database.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Tables, indexes and whatever else an administrator's `sqlite3` may have added: more is not ours.
const SCHEMA_ROWS: usize = 64;

/// The one row of the table `header`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Key of every hash in the file.
    pub hash_key: [u8; 16],
    /// Which store the file was made from.
    pub store_id: [u8; 16],
    /// The store's generation that is in the file.
    pub generation: i64,
    /// Digest of what the publisher looked at besides the store.
    pub inputs_digest: [u8; 32],
    /// Rows of `passwd`.
    pub people: i64,
    /// Rows of `grp`.
    pub group_rows: i64,
    /// Whole days after which a confirmation is too old.
    pub max_confirmation_age: Option<u32>,
    /// PAM services that the age applies to, separated by spaces.
    pub services: &'a str,
}

/// Where the tables of a file begin, and its key: read once for every mapping.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    hash_key: [u8; 16],
    header: u32,
    passwd: u32,
    passwd_name: u32,
    grp: u32,
    grp_name: u32,
    tombstone: u32,
}

/// The bytes of a published database.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    pages: Pages<'a>,
    layout: Layout,
}

impl<'a> Snapshot<'a> {
    /// Finds the tables.
    ///
    /// # Errors
    /// Not a published database of this format, or a damaged one.
    pub fn open(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let pages = Pages::open(bytes)?;
        let mut snapshot = Self { pages, layout: Layout::read(pages)? };
        snapshot.layout.hash_key = snapshot.header()?.hash_key;
        Ok(snapshot)
    }

    /// As [`Self::open`], for bytes that it has accepted before.
    fn reopen(bytes: &'a [u8], layout: Layout) -> Self {
        Self { pages: Pages::reopen(bytes), layout }
    }

    /// What the file says about itself.
    ///
    /// # Errors
    /// The row is missing or damaged.
    pub fn header(&self) -> Result<Header<'a>, SnapshotError> {
        let header = self.exactly(self.layout.header, 1, |_, columns| Header::decode(columns))?;
        header.ok_or(SnapshotError::Damaged("no header"))
    }

    /// The person of this name, whether visible or not.
    ///
    /// # Errors
    /// The file is damaged or the row must not be served.
    pub fn person_by_name(&self, name: &[u8]) -> Result<Option<Person<'a>>, SnapshotError> {
        self.named(self.layout.passwd_name, name, Person::by_name)
    }

    /// The person with this uid, whether visible or not.
    ///
    /// # Errors
    /// As [`Self::person_by_name`].
    pub fn person_by_uid(&self, uid: u32) -> Result<Option<Person<'a>>, SnapshotError> {
        self.exactly(self.layout.passwd, i64::from(uid), Person::by_uid)
    }

    /// The group of this name. Private groups of people have no row: see [`Person::private_group`].
    ///
    /// # Errors
    /// As [`Self::person_by_name`].
    pub fn group_by_name(&self, name: &[u8]) -> Result<Option<Group<'a>>, SnapshotError> {
        self.named(self.layout.grp_name, name, Group::by_name)
    }

    /// The group with this gid; as [`Self::group_by_name`].
    ///
    /// # Errors
    /// As [`Self::person_by_name`].
    pub fn group_by_gid(&self, gid: u32) -> Result<Option<Group<'a>>, SnapshotError> {
        self.exactly(self.layout.grp, i64::from(gid), Group::by_gid)
    }

    /// The person with the smallest uid, or with the smallest above `uid`.
    ///
    /// # Errors
    /// As [`Self::person_by_name`].
    pub fn people_after(&self, uid: Option<u32>) -> Result<Option<Person<'a>>, SnapshotError> {
        self.following(self.layout.passwd, uid, Person::by_uid)
    }

    /// The group with the smallest gid, or with the smallest above `gid`.
    ///
    /// # Errors
    /// As [`Self::person_by_name`].
    pub fn groups_after(&self, gid: Option<u32>) -> Result<Option<Group<'a>>, SnapshotError> {
        self.following(self.layout.grp, gid, Group::by_gid)
    }

    /// Was somebody of this name removed?
    ///
    /// # Errors
    /// The file is damaged.
    pub fn name_is_tombstoned(&self, name: &[u8]) -> Result<bool, SnapshotError> {
        let hash = hash_tombstone_name(&self.layout.hash_key, name);
        Ok(seek(self.pages, self.layout.tombstone, hash)?.is_some_and(|row| row.key == hash))
    }

    /// Was somebody with this uid removed?
    ///
    /// # Errors
    /// The file is damaged.
    pub fn uid_is_tombstoned(&self, uid: u32) -> Result<bool, SnapshotError> {
        let hash = hash_tombstone_uid(&self.layout.hash_key, uid);
        Ok(seek(self.pages, self.layout.tombstone, hash)?.is_some_and(|row| row.key == hash))
    }

    /// People and groups in the file, counted; `None` where the tables by name have another number of them. Looks at one
    /// line of each page.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn counted(&self) -> Result<Option<(i64, i64)>, SnapshotError> {
        let Layout { passwd, passwd_name, grp, grp_name, .. } = self.layout;
        let rows = |root| count(self.pages, root).map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
        let (people, groups) = (rows(passwd)?, rows(grp)?);
        let agree = people == rows(passwd_name)? && groups == rows(grp_name)?;
        Ok(agree.then_some((people, groups)))
    }

    /// The row with exactly this key, decoded by its key and the columns behind it.
    fn exactly<T>(
        &self,
        root: u32,
        key: i64,
        decode: impl FnOnce(i64, &mut Columns<'a>) -> Result<T, SnapshotError>,
    ) -> Result<Option<T>, SnapshotError> {
        let Some(mut row) = seek(self.pages, root, key)?.filter(|row| row.key == key) else {
            return Ok(None);
        };
        row.columns.skip_key()?;
        decode(row.key, &mut row.columns).map(Some)
    }

    /// The first row, or the first with a larger key than `id`, decoded in the same way.
    fn following<T>(
        &self,
        root: u32,
        id: Option<u32>,
        decode: impl FnOnce(i64, &mut Columns<'a>) -> Result<T, SnapshotError>,
    ) -> Result<Option<T>, SnapshotError> {
        let first = id.map_or(i64::MIN, |id| i64::from(id) + 1);
        let Some(mut row) = seek(self.pages, root, first)? else { return Ok(None) };
        row.columns.skip_key()?;
        decode(row.key, &mut row.columns).map(Some)
    }

    /// The row of `name`, in one of the slots of its bucket, any of which may be empty; decoded by the name as it stands
    /// in the file and the columns behind it. What is no login name is nobody's.
    fn named<T>(
        &self,
        root: u32,
        name: &[u8],
        decode: impl FnOnce(&'a str, &mut Columns<'a>) -> Result<T, SnapshotError>,
    ) -> Result<Option<T>, SnapshotError> {
        if name.len() > NAME_MAX {
            return Ok(None);
        }
        let bucket = hash_name(&self.layout.hash_key, name);
        let last = bucket | (SLOTS - 1);
        let mut slot = bucket;
        while let Some(mut row) = seek(self.pages, root, slot)?.filter(|row| row.key <= last) {
            row.columns.skip_key()?;
            let found = row.columns.text()?;
            if found == name {
                let Some(found) = login_name(found) else { return Ok(None) };
                return decode(found, &mut row.columns).map(Some);
            }
            let Some(next) = row.key.checked_add(1) else { break };
            slot = next;
        }
        Ok(None)
    }
}

impl<'a> Header<'a> {
    fn decode(columns: &mut Columns<'a>) -> Result<Self, SnapshotError> {
        const NO_HEADER: SnapshotError = SnapshotError::Damaged("a header column of another size");
        Ok(Self {
            hash_key: columns.bytes()?.try_into().map_err(|_| NO_HEADER)?,
            store_id: columns.bytes()?.try_into().map_err(|_| NO_HEADER)?,
            generation: columns.integer()?,
            inputs_digest: columns.bytes()?.try_into().map_err(|_| NO_HEADER)?,
            people: columns.integer()?,
            group_rows: columns.integer()?,
            max_confirmation_age: columns
                .optional_integer()?
                .map(u32::try_from)
                .transpose()
                .map_err(|_| NO_HEADER)?,
            services: std::str::from_utf8(columns.text()?).map_err(|_| NO_HEADER)?,
        })
    }
}

impl Layout {
    /// From the schema table, which begins on page 1: type, name, table name, root page, SQL (§2.6).
    fn read(pages: Pages<'_>) -> Result<Self, SnapshotError> {
        let mut layout = Self::default();
        let mut key = i64::MIN;
        for _ in 0..SCHEMA_ROWS {
            let Some(mut row) = seek(pages, 1, key)? else { break };
            key = row.key.saturating_add(1);
            let (kind, name) = (row.columns.text()?, row.columns.text()?);
            row.columns.text()?;
            let root = row.columns.integer()?;
            if kind == b"table"
                && let Some(table) = layout.table(name)
            {
                *table =
                    u32::try_from(root).map_err(|_| SnapshotError::Damaged("a table outside the file"))?;
            }
        }
        let Self { header, passwd, passwd_name, grp, grp_name, tombstone, .. } = layout;
        if [header, passwd, passwd_name, grp, grp_name, tombstone].contains(&0) {
            return Err(SnapshotError::Format("a table is missing"));
        }
        Ok(layout)
    }

    fn table(&mut self, name: &[u8]) -> Option<&mut u32> {
        match name {
            b"header" => Some(&mut self.header),
            b"passwd" => Some(&mut self.passwd),
            b"passwd_name" => Some(&mut self.passwd_name),
            b"grp" => Some(&mut self.grp),
            b"grp_name" => Some(&mut self.grp_name),
            b"tombstone" => Some(&mut self.tombstone),
            _ => None,
        }
    }
}
