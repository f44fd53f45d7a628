//! Membership of our people in groups of /etc/group: through initgroups, and as members of a group that nsswitch.conf
//! merges (`group: files [SUCCESS=merge] oauth2`). /etc/group itself is never edited.

use super::StoreError;
use super::publish::Inputs;
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

    /// gid and name of every group that somebody is in, and whether everybody is.
    pub(super) fn all(&self, connection: &Connection) -> Result<BTreeMap<u32, (String, bool)>, StoreError> {
        let mut statement = connection.prepare("SELECT DISTINCT group_name FROM local_membership")?;
        let mut rows = statement.query([])?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if let Some(gid) = gid(self.inputs, &name) {
                all.insert(gid, (name, false));
            }
        }
        all.extend(self.everybodys.iter().map(|(gid, name)| (*gid, (name.clone(), true))));
        Ok(all)
    }
}

/// The gid of a group of /etc/group, if people may be given it: not root's, not one that another name makes privileged,
/// and privileged ones only as the configuration allows.
fn gid(inputs: &Inputs, name: &str) -> Option<u32> {
    let gid = inputs.local.group(name)?.gid;
    let names = inputs.local.group.iter().filter(|line| line.gid == gid);
    let may_grant = |name: &str| inputs.config.groups.may_grant(name);
    (gid != 0 && names.map(|line| line.name.as_str()).all(may_grant)).then_some(gid)
}

impl Inputs {
    /// Groups of `local_groups` that nobody gets: missing in /etc/group, or a name of a privileged group.
    pub fn ungranted_groups(&self) -> impl Iterator<Item = &str> {
        let names = self.config.groups.local.iter().map(|name| name.as_str());
        names.filter(|name| gid(self, name).is_none())
    }
}
