//! Migrations: the files of `migrations/`, in order. `PRAGMA user_version` is the number of those applied.

use super::StoreError;
use super::people::COLUMNS;
use rusqlite::{Connection, TransactionBehavior};

/// Every migration, oldest first; the position is the version it brings.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_roster.sql"),
    include_str!("../../../migrations/0003_revoked.sql"),
];

/// The schema version that this code was written for.
pub const VERSION: usize = MIGRATIONS.len();

/// Columns of `identity` by the version that brought them. Where one is missing it says 0.
const LATER_COLUMNS: [(&str, usize); 3] = [("adopt_home", 2), ("existing", 2), ("revoked", 3)];

/// Tables by the version that brought them. Where one is missing it is empty.
const LATER_TABLES: [(&str, &str, usize); 2] = [
    ("former_name", "login_name, uid, since, generation", 2),
    ("former_uid", "uid, login_name, issuer, subject, since, generation", 2),
];

/// Applies what is missing, all of it or nothing; returns how many migrations were applied. `before` is called with the
/// version that is there, while nobody else can write.
pub(super) fn migrate(
    connection: &mut Connection,
    before: impl FnOnce(usize) -> Result<(), StoreError>,
) -> Result<usize, StoreError> {
    apply(connection, &MIGRATIONS, before)
}

pub(super) fn apply(
    connection: &mut Connection,
    migrations: &[&str],
    before: impl FnOnce(usize) -> Result<(), StoreError>,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let missing = migrations.get(version..).unwrap_or_default();
    if !missing.is_empty() {
        before(version)?;
    }
    for (offset, migration) in missing.iter().enumerate() {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to_i64(version + offset + 1))?;
    }
    transaction.commit()?;
    Ok(missing.len())
}

/// May this code work on the store? A newer schema is additive and says which readers it still serves. An older one is
/// enough for sign-ins: between the unpacking of a new version and its migration nobody may be locked out.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found == 0 {
        return Err(StoreError::NotMigrated { found, needed: VERSION });
    }
    let min_reader: i64 = connection.query_row("SELECT min_reader FROM meta", [], |row| row.get(0))?;
    if min_reader > to_i64(VERSION) { Err(StoreError::TooNew { found }) } else { Ok(()) }
}

/// May an administrator change people? An older schema could not hold all of it.
pub(super) fn check_current(connection: &Connection) -> Result<(), StoreError> {
    // That of the bridge: if the store was migrated since, this connection still has its own empty tables.
    let found: i64 = connection.query_row("PRAGMA temp.user_version", [], |row| row.get(0))?;
    let found = usize::try_from(found).map_err(|_| StoreError::Damaged("user_version"))?;
    if found < VERSION { Err(StoreError::NotMigrated { found, needed: VERSION }) } else { Ok(()) }
}

/// Lets every query read as if the schema were the one of now: `person` is `identity` with all its columns, and a missing
/// table is an empty one of this connection. Nothing of it is in the file. To write what an older schema cannot hold fails,
/// as `identity` itself lacks the column.
pub(super) fn bridge(connection: &Connection) -> Result<(), StoreError> {
    let version = version(connection)?;
    let column = |name: &&str| match LATER_COLUMNS.iter().find(|(later, _)| later == name) {
        Some((_, since)) if version < *since => format!("0 AS {name}"),
        _ => (*name).to_owned(),
    };
    let columns: Vec<_> = COLUMNS.iter().map(column).collect();
    let view = format!("CREATE TEMP VIEW person AS SELECT {} FROM main.identity", columns.join(", "));
    connection.execute_batch(&format!("PRAGMA temp.user_version = {version}; {view}"))?;
    for (table, columns, _) in LATER_TABLES.iter().filter(|(_, _, since)| version < *since) {
        connection.execute_batch(&format!("CREATE TEMP TABLE {table}({columns})"))?;
    }
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Damaged("user_version"))
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
