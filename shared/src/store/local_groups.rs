//! Membership of our people in groups of /etc/group: through initgroups, and as members of a group that nsswitch.conf
//! merges (`group: files [SUCCESS=merge] oauth2`). /etc/group itself is never edited.

use super::publish::Inputs;
use super::{Store, StoreError};
use crate::types::LoginName;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// The groups that may be granted, of those that configuration and store name.
pub(super) struct LocalGroups<'a> {
    inputs: &'a Inputs,
    /// gid -> name of the groups that everybody is in.
    everybodys: BTreeMap<u32, String>,
}

impl<'a> LocalGroups<'a> {
    pub(super) fn new(inputs: &'a Inputs) -> Self {
        let names = inputs.config.groups.local.iter().map(|name| name.as_str());
        let everybodys = names.filter_map(|name| Some((gid(inputs, name)?, name.to_owned()))).collect();
        Self { inputs, everybodys }
    }

    /// gids of the groups that a person is in.
    pub(super) fn gids_of(
        &self,
        connection: &Connection,
        identity: i64,
    ) -> Result<BTreeSet<u32>, StoreError> {
        let mut statement =
            connection.prepare_cached("SELECT group_name FROM local_membership WHERE identity = ?1")?;
        let mut rows = statement.query([identity])?;
        let mut gids: BTreeSet<u32> = self.everybodys.keys().copied().collect();
        while let Some(row) = rows.next()? {
            gids.extend(gid(self.inputs, &row.get::<_, String>(0)?));
        }
        Ok(gids)
    }

    /// Every group that somebody is in, by gid. Several names of one gid are one group, under the first of /etc/group.
    pub(super) fn all(&self, connection: &Connection) -> Result<BTreeMap<u32, Membership>, StoreError> {
        let mut statement = connection.prepare("SELECT DISTINCT group_name FROM local_membership")?;
        let mut rows = statement.query([])?;
        let mut all: BTreeMap<u32, Membership> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if let Some(gid) = gid(self.inputs, &name) {
                all.entry(gid).or_insert_with(|| self.membership(gid)).of.push(name);
            }
        }
        for gid in self.everybodys.keys() {
            all.entry(*gid).or_insert_with(|| self.membership(*gid)).is_everybodys = true;
        }
        Ok(all)
    }

    fn membership(&self, gid: u32) -> Membership {
        let first = self.inputs.local.group.iter().find(|line| line.gid == gid);
        Membership { name: first.map_or_else(String::new, |line| line.name.clone()), ..Membership::default() }
    }
}

/// Who of ours is in a group of the machine.
#[derive(Default)]
pub(super) struct Membership {
    /// Its name.
    pub(super) name: String,
    /// Everybody who has signed in.
    pub(super) is_everybodys: bool,
    /// Those who are in one of these, by the store.
    pub(super) of: Vec<String>,
}

/// The gid of a group of /etc/group, if people may be given it: not root's, not one that another name makes privileged,
/// and privileged ones only as the configuration allows.
pub(super) fn gid(inputs: &Inputs, name: &str) -> Option<u32> {
    gid_if(inputs, name, &|name| inputs.config.groups.may_grant(name))
}

/// As [`gid`] for the people group, whose own name is nobody else's.
pub(super) fn people_gid(inputs: &Inputs, people_group: &str) -> Option<u32> {
    gid_if(inputs, people_group, &|name| name == people_group || inputs.config.groups.may_grant(name))
}

fn gid_if(inputs: &Inputs, name: &str, may_grant: &dyn Fn(&str) -> bool) -> Option<u32> {
    let gid = inputs.local.group(name)?.gid;
    let mut names = inputs.local.group.iter().filter(|line| line.gid == gid);
    (gid != 0 && names.all(|line| may_grant(&line.name))).then_some(gid)
}

impl Store {
    /// gids of the machine's own groups that this person is given now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn local_gids(&self, inputs: &Inputs, name: &LoginName) -> Result<BTreeSet<u32>, StoreError> {
        let Some(person) = self.person(name)? else { return Ok(BTreeSet::new()) };
        LocalGroups::new(inputs).gids_of(&self.connection, person.id)
    }
}

impl Inputs {
    /// Is this a group of /etc/group that people of ours may be members of?
    #[must_use]
    pub fn may_grant(&self, name: &str) -> bool {
        gid(self, name).is_some()
    }

    /// Groups of `local_groups` that nobody gets: missing in /etc/group, or a name of a privileged group.
    pub fn ungranted_groups(&self) -> impl Iterator<Item = &str> {
        let names = self.config.groups.local.iter().map(|name| name.as_str());
        names.filter(|name| gid(self, name).is_none())
    }
}
