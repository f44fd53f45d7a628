//! The provider's groups as the store knows them.

use super::former::holder;
use super::people::next_rebuild;
use super::roster::{By, RosterError};
use super::{GroupClaim, Store, StoreError};
use crate::types::Gid;
use rusqlite::{OptionalExtension, params};

/// A group of the provider that somebody is, or was, in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// The provider's id.
    pub provider_id: String,
    /// The local name, as `group_map` had it last.
    pub name: String,
    /// The gid, for ever.
    pub gid: Gid,
    /// Login names of its members.
    pub members: Vec<String>,
}

impl Store {
    /// Every group of the provider that the store knows, by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn provider_groups(&self) -> Result<Vec<StoredGroup>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT provider_id, name, gid FROM idp_group ORDER BY name")?;
        let mut members = self.connection.prepare(
            "SELECT login_name FROM identity JOIN membership ON identity = id WHERE provider_id = ?1 \
             ORDER BY login_name",
        )?;
        let mut rows = statement.query([])?;
        let mut groups = Vec::new();
        while let Some(row) = rows.next()? {
            let provider_id: String = row.get(0)?;
            let names = members.query_map([&provider_id], |row| row.get(0))?;
            groups.push(StoredGroup {
                members: names.collect::<Result<_, _>>()?,
                provider_id,
                name: row.get(1)?,
                gid: Gid::new(row.get(2)?).map_err(|_| StoreError::Damaged("idp_group.gid"))?,
            });
        }
        Ok(groups)
    }

    /// Settles the gid of a group of the provider before anybody is in it. `false`: it is that one already.
    ///
    /// # Errors
    /// See [`RosterError`]; the gid of a group never changes, and one that is somebody's is not taken.
    pub fn settle_group(&mut self, group: &GroupClaim, by: By<'_>) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let sql = "SELECT gid FROM idp_group WHERE provider_id = ?1";
        let known: Option<u32> =
            transaction.query_row(sql, [&group.provider_id], |row| row.get(0)).optional()?;
        match known {
            Some(gid) if gid == group.gid.get() => return Ok(false),
            Some(gid) => {
                return Err(RosterError::GroupTaken(format!("{} (it has gid {gid} for ever)", group.name)));
            }
            None => {}
        }
        if let Some(holder) = holder(&transaction, group.gid.get())? {
            return Err(RosterError::GroupTaken(format!("{} (gid {} is {holder})", group.name, group.gid)));
        }
        let generation = next_rebuild(&transaction)?;
        transaction.execute(
            "INSERT INTO idp_group VALUES (?1, ?2, ?3, ?4)",
            params![group.provider_id, group.name.as_str(), group.gid.get(), generation],
        )?;
        let detail = format!("id={} name={} gid={}", group.provider_id, group.name, group.gid);
        super::people::event(
            &transaction,
            super::people::seconds(by.now),
            "group_settled",
            "",
            by.actor,
            &detail,
        )?;
        transaction.commit()?;
        Ok(true)
    }
}
