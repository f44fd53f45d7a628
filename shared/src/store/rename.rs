//! A person's new name. The key of a person is (issuer, subject): uid, home and keys stay theirs; the old name goes to
//! nobody by itself.

use super::former::{former_name, name_of, tombstone};
use super::people::{find, next_rebuild, seconds};
use super::roster::{By, RosterError, known, note, set_as_of};
use super::{Store, StoreError};
use crate::types::{LoginName, Uid};
use rusqlite::{Connection, OptionalExtension, params};

impl Store {
    /// Gives a person another name; uid, gid and home stay. `false`: that was done before.
    ///
    /// # Errors
    /// See [`RosterError`]; `reuse_name` takes a name that somebody else had.
    pub fn rename(
        &mut self,
        old: &LoginName,
        new: &LoginName,
        reuse_name: bool,
        by: By<'_>,
    ) -> Result<bool, RosterError> {
        let transaction = self.immediate()?;
        let person = match known(&transaction, old) {
            Err(RosterError::NotFound(_)) if is_former_name_of(&transaction, old, new)? => return Ok(false),
            found => found?,
        };
        if old == new {
            return Ok(false);
        }
        let uid = person.account.uid;
        free_name(&transaction, new, Some(uid), reuse_name)?;
        if let Some(tombstone) = tombstone(&transaction, new)?.filter(|_| !reuse_name) {
            return Err(RosterError::Removed { name: new.clone(), uid: tombstone.uid });
        }
        // What is published has the person under the old name.
        let generation = next_rebuild(&transaction)?;
        set_as_of(&transaction, generation, &person, "login_name = ?3", &[&new.as_str()])?;
        transaction.execute("DELETE FROM former_name WHERE login_name = ?1", [new.as_str()])?;
        transaction.execute(
            "INSERT INTO former_name VALUES (?1, ?2, ?3, ?4)",
            params![old.as_str(), uid.get(), seconds(by.now), generation],
        )?;
        note(&transaction, by, "renamed", new, &format!("old={old} uid={uid}"))?;
        transaction.commit()?;
        Ok(true)
    }

    /// May the name be somebody's who is new here? Tombstones are another matter.
    ///
    /// # Errors
    /// See [`RosterError`].
    pub fn check_name(&self, name: &LoginName, reuse_name: bool) -> Result<(), RosterError> {
        free_name(&self.connection, name, None, reuse_name)
    }
}

fn is_former_name_of(connection: &Connection, old: &LoginName, new: &LoginName) -> Result<bool, StoreError> {
    let Some(uid) = former_name(connection, old)? else { return Ok(false) };
    Ok(find(connection, "login_name = ?1", [new.as_str()])?.is_some_and(|person| person.account.uid == uid))
}

/// The name is nobody's and no group's, and whoever left it is the one of `own` uid. Tombstones are the caller's matter.
pub(super) fn free_name(
    connection: &Connection,
    name: &LoginName,
    own: Option<Uid>,
    reuse_name: bool,
) -> Result<(), RosterError> {
    if find(connection, "login_name = ?1", [name.as_str()])?.is_some() {
        return Err(RosterError::NameTaken(name.clone()));
    }
    let group = "SELECT 1 FROM idp_group WHERE name = ?1";
    if connection.query_row(group, [name.as_str()], |_| Ok(())).optional()?.is_some() {
        return Err(RosterError::GroupName(name.clone()));
    }
    match former_name(connection, name)? {
        Some(uid) if own != Some(uid) && !reuse_name => {
            let now = name_of(connection, uid)?.unwrap_or_else(|| "somebody".into());
            Err(RosterError::FormerName { name: name.clone(), now, uid })
        }
        _ => Ok(()),
    }
}
