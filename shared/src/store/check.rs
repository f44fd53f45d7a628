//! Is everything as it should be? The store by SQLite's own check and ours, the published database by making it anew
//! and comparing.

use super::contents::Contents;
use super::publish::{Load, PublishError, lock};
use super::snapshot_file::remove;
use super::{Places, Store, StoreError, schema};
use crate::clock::Clock;
use crate::snapshot::{MappedFile, Snapshot};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tables of the published database, and the columns that two equal files agree in: the slot of a name depends on the
/// order in which people came.
const PUBLISHED: [(&str, &str); 6] = [
    ("header", "*"),
    ("passwd", "*"),
    (
        "passwd_name",
        "name, gid, gecos, home, shell, state, confirmed_day, expires_day, visible, private_group, uid, supplementary",
    ),
    ("grp", "*"),
    ("grp_name", "name, gid, member_count, members"),
    ("tombstone", "*"),
];

impl Store {
    /// What SQLite finds wrong with the file, and rows that this code would never have written.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn faults(&self) -> Result<Vec<String>, StoreError> {
        let mut faults = integrity(&self.connection)?;
        let sql = "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1";
        let stray: Option<String> = self.connection.query_row(sql, [], |row| row.get(0)).optional()?;
        faults.extend(stray.map(|table| format!("a row of {table} belongs to nobody")));
        if faults.is_empty() {
            // Each row is parsed.
            match self.people().and_then(|_| self.provider_groups()) {
                Err(error @ StoreError::Damaged(_)) => faults.push(error.to_string()),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(faults)
    }

    /// The number of migrations that were applied.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn schema_version(&self) -> Result<usize, StoreError> {
        schema::version(&self.connection)
    }
}

/// `PRAGMA integrity_check`, without its `ok`.
pub(super) fn integrity(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// In what the published database differs from what the store, the configuration and the machine say now; empty: in nothing.
/// Publishes nothing.
///
/// # Errors
/// See [`PublishError`]. A fault of the published file itself is no error: it stands in the result.
pub fn differences(places: &Places, load: Load<'_>, clock: &dyn Clock) -> Result<Vec<String>, PublishError> {
    let _lock = lock(places, clock)?;
    let inputs = load()?;
    let key = match look(places) {
        Ok(key) => key,
        Err(fault) => return Ok(vec![fault]),
    };
    let mut beside = places.nss_db.as_os_str().to_owned();
    beside.push(".check");
    let store = Store::open(places)?;
    let contents = Contents::new(&store, &inputs, beside.into())?;
    store.connection.execute_batch("BEGIN")?;
    let (row, _) = contents.header_row()?;
    let found = contents
        .build_with_key(&row, key)
        .and_then(|()| Ok(compare(&places.nss_db, contents.beside())?))
        .map_err(|error| contents.write_error(&error));
    let _ = remove(contents.beside());
    found
}

/// The hash key of the published file, once a reader would take it.
fn look(places: &Places) -> Result<[u8; 16], String> {
    let path = places.nss_db.to_str().unwrap_or_default();
    let mode = std::fs::symlink_metadata(path).map_err(|error| format!("{path}: {error}"))?.mode() & 0o7777;
    if mode != 0o644 {
        return Err(format!("{path} has mode {mode:04o}, not 0644"));
    }
    let file = MappedFile::open_owned_by(path, places.owner).map_err(|error| format!("{path}: {error}"))?;
    let snapshot = Snapshot::open(file.bytes()).map_err(|error| format!("{path}: {error}"))?;
    let header = snapshot.header().map_err(|error| format!("{path}: {error}"))?;
    // Every name must be found where a reader looks for it.
    let (mut uid, mut people) = (None, 0);
    while let Some(person) = snapshot.people_after(uid).map_err(|error| format!("{path}: {error}"))? {
        uid = Some(person.uid.get());
        people += 1;
        match snapshot.person_by_name(person.name.as_bytes()) {
            Ok(Some(named)) if named.uid == person.uid => {}
            _ => return Err(format!("{path}: {} is not found by name", person.name)),
        }
    }
    if people != header.people {
        return Err(format!("{path}: {people} people, and {} announced", header.people));
    }
    Ok(header.hash_key)
}

fn compare(published: &Path, fresh: &Path) -> Result<Vec<String>, rusqlite::Error> {
    // The published file announces a write version of its own: SQLite opens it read-only.
    let connection = Connection::open_with_flags(
        published,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let faults = integrity(&connection).unwrap_or_else(|error| vec![error.to_string()]);
    if !faults.is_empty() {
        return Ok(faults);
    }
    connection.execute("ATTACH ?1 AS fresh", [fresh.to_str().unwrap_or_default()])?;
    let mut differences = Vec::new();
    for (table, columns) in PUBLISHED {
        let rows = |from: &str, but: &str| {
            let sql = format!(
                "SELECT count(*) FROM (SELECT {columns} FROM {from}.{table} EXCEPT SELECT {columns} FROM {but}.{table})"
            );
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        let (stale, missing) = (rows("main", "fresh")?, rows("fresh", "main")?);
        if stale + missing > 0 {
            differences.push(format!("{table}: {missing} row(s) missing or changed, {stale} stale"));
        }
    }
    Ok(differences)
}
