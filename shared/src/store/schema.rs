//! Migrations: the files of `migrations/`, in order. `PRAGMA user_version` is the number of those applied.

use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Every migration, oldest first; the position is the version it brings.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_roster.sql"),
];

/// The schema version that this code was written for.
pub const VERSION: usize = MIGRATIONS.len();

/// Applies what is missing, all of it or nothing; returns how many migrations were applied.
pub(super) fn migrate(connection: &mut Connection) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let missing = MIGRATIONS.get(version..).unwrap_or_default();
    for (offset, migration) in missing.iter().enumerate() {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to_i64(version + offset + 1))?;
    }
    transaction.commit()?;
    Ok(missing.len())
}

/// May this code work on the store? A newer schema is additive and says which readers it still serves.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found < VERSION {
        return Err(StoreError::NotMigrated { found, needed: VERSION });
    }
    let min_reader: i64 = connection.query_row("SELECT min_reader FROM meta", [], |row| row.get(0))?;
    if min_reader > to_i64(VERSION) { Err(StoreError::TooNew { found }) } else { Ok(()) }
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    usize::try_from(version).map_err(|_| StoreError::Damaged("user_version"))
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
