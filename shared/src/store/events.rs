//! Reading the audit trail, and cutting its beginning off.

use super::people::{event, seconds};
use super::{By, Store, StoreError};
use crate::types::LoginName;
use rusqlite::{TransactionBehavior, params};

/// A line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number; later lines have greater ones.
    pub id: i64,
    /// Seconds since 1970.
    pub at: u64,
    /// What happened, in a word.
    pub kind: String,
    /// Whom it is about; empty: the machine.
    pub login_name: String,
    /// Who did it.
    pub actor: String,
    /// More, for a reader.
    pub detail: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Not before this moment, in seconds since 1970.
    pub since: u64,
    /// About this person only.
    pub login_name: Option<String>,
    /// Of this kind only.
    pub kind: Option<String>,
    /// With a greater number than this.
    pub after: i64,
}

impl Store {
    /// Adds a line about a person, beside the one of the change itself.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn note_person(
        &mut self,
        kind: &str,
        name: &LoginName,
        detail: &str,
        by: By<'_>,
    ) -> Result<(), StoreError> {
        event(&self.connection, seconds(by.now), kind, name.as_str(), by.actor, detail)
    }

    /// The lines that are wanted, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn events(&self, wanted: &EventFilter) -> Result<Vec<Event>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT id, at, kind, login_name, actor, detail FROM event WHERE id > ?1 AND at >= ?2 \
             AND (?3 IS NULL OR login_name = ?3) AND (?4 IS NULL OR kind = ?4) ORDER BY id",
        )?;
        let values = params![wanted.after, seconds(wanted.since), wanted.login_name, wanted.kind];
        let events = statement.query_map(values, |row| {
            Ok(Event {
                id: row.get(0)?,
                at: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                kind: row.get(2)?,
                login_name: row.get(3)?,
                actor: row.get(4)?,
                detail: row.get(5)?,
            })
        })?;
        Ok(events.collect::<Result<_, _>>()?)
    }

    /// How many lines are older than `before`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn count_events_before(&self, before: u64) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM event WHERE at < ?1";
        let count: i64 = self.connection.query_row(sql, [seconds(before)], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Deletes the lines that are older than `before`, and leaves one that says so. Returns how many they were.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was deleted then.
    pub fn prune_events(&mut self, before: u64, by: By<'_>) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = transaction.execute("DELETE FROM event WHERE at < ?1", [seconds(before)])?;
        if deleted > 0 {
            let detail = format!("before={before} deleted={deleted}");
            event(&transaction, seconds(by.now), "audit_pruned", "", by.actor, &detail)?;
        }
        transaction.commit()?;
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }
}
