//! What outlives a person's row: names and numbers that somebody had, and who is shut out with them.

use super::people::seconds;
use super::{Store, StoreError, schema};
use crate::types::{Issuer, LoginName, Subject, Uid};
use rusqlite::{Connection, OptionalExtension, params};
use std::fmt;

/// Somebody who was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The name.
    pub name: LoginName,
    /// The uid.
    pub uid: Uid,
    /// (issuer, subject), if they were bound.
    pub subject: Option<(Issuer, Subject)>,
}

/// Who has, or had, a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdHolder {
    /// A person.
    Person(String),
    /// A group of the provider.
    Group(String),
    /// Somebody who was removed, or whose uid was changed.
    Former(String),
}

impl fmt::Display for IdHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "{name}'s"),
            Self::Group(name) => write!(f, "the group {name}'s"),
            Self::Former(name) => write!(f, "the former uid of {name}, and goes to nobody else"),
        }
    }
}

impl Store {
    /// Who was removed under this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tombstone(&self, name: &LoginName) -> Result<Option<Tombstone>, StoreError> {
        tombstone(&self.connection, name)
    }

    /// The uid of whoever left this name by a rename.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn former_name(&self, name: &LoginName) -> Result<Option<Uid>, StoreError> {
        former_name(&self.connection, name)
    }

    /// Who in the store has, or had, the number as a uid or a gid.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn id_holder(&self, id: u32) -> Result<Option<IdHolder>, StoreError> {
        holder(&self.connection, id)
    }

    /// The uid that whoever was given another one in place of this has now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn former_uid_owner(&self, uid: Uid) -> Result<Option<Uid>, StoreError> {
        schema::check_current(&self.connection)?;
        former_uid_owner(&self.connection, uid)
    }

    /// The name that a person of this uid has now, or had when they were removed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn name_of(&self, uid: Uid) -> Result<Option<String>, StoreError> {
        name_of(&self.connection, uid)
    }
}

pub(super) fn tombstone(connection: &Connection, name: &LoginName) -> Result<Option<Tombstone>, StoreError> {
    let row: Option<(u32, Option<String>, Option<String>)> = connection
        .query_row(
            "SELECT uid, issuer, subject FROM tombstone WHERE login_name = ?1",
            [name.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((uid, issuer, subject)) = row else { return Ok(None) };
    let uid = Uid::new(uid).map_err(|_| StoreError::Damaged("tombstone.uid"))?;
    let subject = match (issuer, subject) {
        (Some(issuer), Some(subject)) => Some((
            Issuer::parse(&issuer).map_err(|_| StoreError::Damaged("tombstone.issuer"))?,
            Subject::parse(&subject).map_err(|_| StoreError::Damaged("tombstone.subject"))?,
        )),
        _ => None,
    };
    Ok(Some(Tombstone { name: name.clone(), uid, subject }))
}

pub(super) fn former_name(connection: &Connection, name: &LoginName) -> Result<Option<Uid>, StoreError> {
    let sql = "SELECT uid FROM former_name WHERE login_name = ?1";
    let uid: Option<u32> = connection.query_row(sql, [name.as_str()], |row| row.get(0)).optional()?;
    uid.map(|uid| Uid::new(uid).map_err(|_| StoreError::Damaged("former_name.uid"))).transpose()
}

pub(super) fn name_of(connection: &Connection, uid: Uid) -> Result<Option<String>, StoreError> {
    let sql = "SELECT login_name FROM identity WHERE uid = ?1 \
               UNION ALL SELECT login_name FROM tombstone WHERE uid = ?1 \
               UNION ALL SELECT login_name FROM former_uid WHERE uid = ?1 LIMIT 1";
    Ok(connection.query_row(sql, [uid.get()], |row| row.get(0)).optional()?)
}

/// Whose former number it is, by their number of now: names change hands, numbers do not.
pub(super) fn former_uid_owner(connection: &Connection, uid: Uid) -> Result<Option<Uid>, StoreError> {
    let sql = "SELECT owner FROM pinned_uid JOIN former_uid USING (uid) WHERE uid = ?1";
    let owner: Option<u32> = connection.query_row(sql, [uid.get()], |row| row.get(0)).optional()?;
    owner.map(|owner| Uid::new(owner).map_err(|_| StoreError::Damaged("pinned_uid.owner"))).transpose()
}

/// The number is its owner's again.
pub(super) fn forget_former_uid(connection: &Connection, uid: Uid) -> Result<(), StoreError> {
    connection.execute("DELETE FROM former_uid WHERE uid = ?1", [uid.get()])?;
    connection.execute("DELETE FROM pinned_uid WHERE uid = ?1", [uid.get()])?;
    Ok(())
}

/// Somebody has another number from now on; the old one goes to nobody else.
pub(super) fn retire_uid(
    connection: &Connection,
    (old, new): (Uid, Uid),
    name: &LoginName,
    (now, generation): (u64, i64),
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO former_uid VALUES (?1, ?2, NULL, NULL, ?3, ?4)",
        params![old.get(), name.as_str(), seconds(now), generation],
    )?;
    connection.execute("INSERT INTO pinned_uid VALUES (?1, ?2)", params![old.get(), new.get()])?;
    Ok(())
}

/// The name of whoever was removed as this person of the provider's.
pub(super) fn shut_out(
    connection: &Connection,
    issuer: &Issuer,
    subject: &Subject,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT login_name FROM tombstone WHERE issuer = ?1 AND subject = ?2 \
               UNION ALL SELECT login_name FROM former_uid WHERE issuer = ?1 AND subject = ?2 LIMIT 1";
    Ok(connection.query_row(sql, [issuer.as_str(), subject.as_str()], |row| row.get(0)).optional()?)
}

/// Did the uid belong to somebody who has it no more?
pub(super) fn uid_is_retired(connection: &Connection, uid: u32) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM tombstone WHERE uid = ?1 UNION ALL SELECT 1 FROM former_uid WHERE uid = ?1 LIMIT 1";
    Ok(connection.query_row(sql, [uid], |_| Ok(())).optional()?.is_some())
}

/// Who in the store has the number, as a uid or a gid.
pub(super) fn holder(connection: &Connection, id: u32) -> Result<Option<IdHolder>, StoreError> {
    type Make = fn(String) -> IdHolder;
    let questions: [(&str, Make); 4] = [
        ("SELECT login_name FROM identity WHERE uid = ?1 OR gid = ?1", IdHolder::Person),
        ("SELECT name FROM idp_group WHERE gid = ?1", IdHolder::Group),
        ("SELECT login_name FROM tombstone WHERE uid = ?1", IdHolder::Former),
        ("SELECT login_name FROM former_uid WHERE uid = ?1", IdHolder::Former),
    ];
    for (sql, make) in questions {
        if let Some(name) = connection.query_row(sql, [id], |row| row.get(0)).optional()? {
            return Ok(Some(make(name)));
        }
    }
    Ok(None)
}
