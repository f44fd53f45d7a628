//! The map of names and numbers that a fleet shares: who has which uid, who had it, and which gid a group of the provider
//! has.

use super::people::groups_of;
use super::{RowState, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One entry of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum IdEntry {
    /// A group of the provider.
    Group {
        /// The provider's id.
        provider_id: String,
        /// Local name.
        name: String,
        /// gid.
        gid: u32,
    },
    /// Somebody who has an account.
    Person(IdPerson),
    /// Somebody who was removed.
    Removed(FormerId),
    /// A number that somebody had before.
    FormerUid(FormerId),
    /// A name that somebody had before.
    FormerName {
        /// The name.
        name: String,
        /// Whose it was.
        uid: u32,
    },
}

/// Somebody who has an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdPerson {
    /// Login name.
    pub name: String,
    /// uid, and gid of the private group.
    pub uid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Full name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gecos: String,
    /// Are they locked?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// First UTC day, since 1970, on which the account no longer works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_day: Option<u32>,
    /// The binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Provider ids of their groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Somebody who is not there any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerId {
    /// Login name of then.
    pub name: String,
    /// uid of then.
    pub uid: u32,
    /// Who is shut out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Who is shut out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Store {
    /// The map of this store: groups first, then people, then who and what was before; each by name. Accounts that this
    /// package did not make, and probes, are not in it: their numbers are somebody else's to share.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn id_map(&self) -> Result<Vec<IdEntry>, StoreError> {
        let mut map: Vec<IdEntry> = self
            .provider_groups()?
            .into_iter()
            .map(|group| IdEntry::Group {
                provider_id: group.provider_id,
                name: group.name,
                gid: group.gid.get(),
            })
            .collect();
        for person in self.people()?.into_iter().filter(|person| !person.probe && !person.existing) {
            let (issuer, subject) = person.subject.unzip();
            let groups = groups_of(&self.connection, person.id)?;
            map.push(IdEntry::Person(IdPerson {
                name: person.account.name.to_string(),
                uid: person.account.uid.get(),
                home: person.account.home,
                shell: person.account.shell,
                gecos: person.account.gecos,
                locked: person.state == RowState::Locked,
                expires_day: person.expires_day.map(|day| day.0),
                issuer: issuer.map(|issuer| issuer.as_str().to_owned()),
                subject: subject.map(|subject| subject.as_str().to_owned()),
                groups: groups.into_iter().map(|(id, _)| id).collect(),
            }));
        }
        map.extend(self.former("tombstone")?.into_iter().map(IdEntry::Removed));
        map.extend(self.former("former_uid")?.into_iter().map(IdEntry::FormerUid));
        let mut names =
            self.connection.prepare("SELECT login_name, uid FROM former_name ORDER BY login_name")?;
        for row in names.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (name, uid) = row?;
            map.push(IdEntry::FormerName { name, uid });
        }
        Ok(map)
    }

    /// Everybody who was removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn removed(&self) -> Result<Vec<FormerId>, StoreError> {
        self.former("tombstone")
    }

    /// Every number that is, or was, a person's or a group's.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn numbers(&self) -> Result<Vec<u32>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT uid FROM identity UNION SELECT gid FROM identity UNION SELECT gid FROM idp_group \
             UNION SELECT uid FROM tombstone UNION SELECT uid FROM former_uid",
        )?;
        let numbers = statement.query_map([], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    fn former(&self, table: &str) -> Result<Vec<FormerId>, StoreError> {
        let sql = format!("SELECT login_name, uid, issuer, subject FROM {table} ORDER BY login_name, uid");
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| {
            Ok(FormerId { name: row.get(0)?, uid: row.get(1)?, issuer: row.get(2)?, subject: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// A map by name of what it says, to compare two.
#[must_use]
pub fn by_key(map: &[IdEntry]) -> BTreeMap<String, String> {
    map.iter()
        .map(|entry| match entry {
            IdEntry::Group { provider_id, name, gid } => {
                (format!("group {name} ({provider_id})"), format!("gid {gid}"))
            }
            IdEntry::Person(person) => (format!("person {}", person.name), person_text(person)),
            IdEntry::Removed(former) => (format!("removed {} {}", former.name, former.uid), "removed".into()),
            IdEntry::FormerUid(former) => {
                (format!("former uid {} {}", former.uid, former.name), "retired".into())
            }
            IdEntry::FormerName { name, uid } => (format!("former name {name}"), format!("uid {uid}")),
        })
        .collect()
}

fn person_text(person: &IdPerson) -> String {
    let mut text = format!("uid {} home {} shell {}", person.uid, person.home, person.shell);
    if let Some((issuer, subject)) = person.issuer.as_ref().zip(person.subject.as_ref()) {
        text.push_str(&format!(" subject {issuer} {subject}"));
    }
    if person.locked {
        text.push_str(" locked");
    }
    text
}
