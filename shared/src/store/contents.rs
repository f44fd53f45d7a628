//! The rows of the published database, and how they get into a file: patched into a copy, or written anew.

mod agreement;

pub use agreement::{Agreement, CompareError, compare};

use super::local_groups::LocalGroups;
use super::people::{PERSON, Person, RowState, groups_of, person_row};
use super::publish::{Base, Inputs, PublishError, Published};
use super::snapshot_file::{HeaderRow, PublishedPerson, SnapshotFile, WriteError, remove};
use super::{Store, StoreError, large_pieces, parameters};
use crate::config::Provisioning;
use crate::snapshot::State;
use crate::types::Gid;
use rusqlite::{Connection, Rows};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Shell of a locked row: it does not exist, so that sshd refuses the person even where PAM is not asked.
pub const LOCKED_SHELL: &str = "/nonexistent/oauth2-locked";

/// The same of an account that is not ours to serve, and so not ours to shut by a shell. It says that the *name* is locked:
/// whoever keeps the account may give it another uid, which takes no lock off.
pub const LOCKED_NAME_SHELL: &str = "/nonexistent/oauth2-locked-name";

/// What the store, the configuration and the machine's own names make of the published database.
pub(super) struct Contents<'a> {
    store: &'a Store,
    inputs: &'a Inputs,
    local_groups: LocalGroups<'a>,
    people_gid: Gid,
    beside: PathBuf,
}

impl<'a> Contents<'a> {
    pub(super) fn new(store: &'a Store, inputs: &'a Inputs, beside: PathBuf) -> Result<Self, PublishError> {
        let local_groups = LocalGroups::new(inputs);
        Ok(Self { store, inputs, local_groups, people_gid: parameters::people_gid(inputs)?, beside })
    }

    /// The temporary file.
    pub(super) fn beside(&self) -> &Path {
        &self.beside
    }

    fn connection(&self) -> &Connection {
        &self.store.connection
    }

    pub(super) fn write_error(&self, error: &WriteError) -> PublishError {
        PublishError::Write { path: self.beside.clone(), message: error.to_string() }
    }

    pub(super) fn header_row(&self) -> Result<(HeaderRow, i64), PublishError> {
        let sql = "SELECT store_id, generation, rebuild_generation FROM meta";
        let (store_id, generation, rebuild) =
            self.connection().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let config = &self.inputs.config;
        let row = HeaderRow {
            store_id,
            generation,
            inputs_digest: inputs_digest(self.inputs),
            max_confirmation_age: config.policy.max_confirmation_age,
            services: config.services.join(" "),
        };
        Ok((row, rebuild))
    }

    pub(super) fn patch_or_rebuild(
        &self,
        nss_db: &Path,
        base: &Base,
        row: &HeaderRow,
    ) -> Result<Published, PublishError> {
        match self.patch(nss_db, base, row) {
            Ok(true) => Ok(Published::Patched),
            // The old file is not what the store says it is, or has no room: start anew.
            Ok(false) | Err(WriteError::BucketFull | WriteError::Sqlite(_)) => self.rebuild(row),
            Err(error) => Err(self.write_error(&error)),
        }
    }

    /// `false` when the patched copy does not add up to the store.
    fn patch(&self, nss_db: &Path, base: &Base, row: &HeaderRow) -> Result<bool, WriteError> {
        remove(&self.beside)?;
        large_pieces::copy(nss_db, &self.beside)?;
        let file = SnapshotFile::open_copy(&self.beside, base.hash_key, base.rows)?;
        self.write_tombstones(&file, base.generation)?;
        self.write_people(&file, base.generation)?;
        self.write_groups(&file, base.generation)?;
        self.write_local_groups(&file)?;
        let Some(counts) = file.counts() else { return Ok(false) };
        if counts != self.expected_counts()? {
            return Ok(false);
        }
        file.finish(&self.beside, row, counts)?;
        Ok(true)
    }

    pub(super) fn rebuild(&self, row: &HeaderRow) -> Result<Published, PublishError> {
        let mut result = Err(WriteError::BucketFull);
        // A full bucket is a matter of luck: each try draws another key.
        for _ in 0..4 {
            result = self.build(row);
            if !matches!(result, Err(WriteError::BucketFull)) {
                break;
            }
        }
        result.map(|()| Published::Rebuilt).map_err(|error| self.write_error(&error))
    }

    fn build(&self, row: &HeaderRow) -> Result<(), WriteError> {
        remove(&self.beside)?;
        self.fill(SnapshotFile::create(&self.beside)?, row)
    }

    /// A whole file under the hash key of another one, to compare the two.
    pub(super) fn build_with_key(&self, row: &HeaderRow, key: [u8; 16]) -> Result<(), WriteError> {
        remove(&self.beside)?;
        self.fill(SnapshotFile::create_with_key(&self.beside, key)?, row)
    }

    fn fill(&self, file: SnapshotFile, row: &HeaderRow) -> Result<(), WriteError> {
        let people_group = self.inputs.config.accounts.people_group.as_str();
        if self.inputs.local.group(people_group).is_none() {
            // Everybody is in it; a list of everybody would be read by every `ls -l` of a group file.
            file.put_group(self.people_gid.get(), people_group, 0, &[])?;
        }
        self.write_tombstones(&file, -1)?;
        self.write_people(&file, -1)?;
        self.write_groups(&file, -1)?;
        self.write_local_groups(&file)?;
        let counts = self.expected_counts()?;
        file.finish(&self.beside, row, counts)
    }

    /// Rows that a complete file has in `passwd` and `grp`.
    fn expected_counts(&self) -> Result<(i64, i64), WriteError> {
        let people = self.connection().query_row("SELECT count(*) FROM identity", [], |row| row.get(0))?;
        let mut groups: i64 = 0;
        let mut statement = self.connection().prepare("SELECT provider_id, gid FROM idp_group")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            groups += i64::from(self.served_name(&row.get::<_, String>(0)?, row.get(1)?).is_some());
        }
        let local = self.local_groups.all(self.connection()).map_err(into_write)?.len();
        groups += i64::try_from(local).unwrap_or(i64::MAX);
        let people_group = self.inputs.config.accounts.people_group.as_str();
        Ok((people, groups + i64::from(self.inputs.local.group(people_group).is_none())))
    }

    /// A name or gid of /etc/group is never redefined.
    fn is_free(&self, name: &str, gid: u32) -> bool {
        let local = &self.inputs.local.group;
        !local.iter().any(|line| line.name == name || line.gid == gid)
    }

    /// The name under which a provider's group is served. `group_map` of now decides: what was taken out of it grants
    /// nothing any more, whatever the store remembers.
    fn served_name(&self, provider_id: &str, gid: u32) -> Option<&str> {
        let name = self.inputs.config.mapping.group_map.get(provider_id)?.as_str();
        self.is_free(name, gid).then_some(name)
    }

    fn write_people(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let mut statement = self.connection().prepare(&people_after())?;
        for person in statement.query_map([after], person_row)? {
            let person = person?.map_err(into_write)?;
            file.put_person(&self.published(&person)?)?;
        }
        Ok(())
    }

    fn published<'p>(&self, person: &'p Person) -> Result<PublishedPerson<'p>, WriteError> {
        let account = &person.account;
        let (name, uid) = (account.name.as_str(), account.uid.get());
        let local = &self.inputs.local;
        let namesake = local.user(name);
        let elsewhere = self.inputs.config.provisioning == Provisioning::None && !person.probe;
        let has_uid = local.passwd.iter().any(|line| line.uid == uid);
        let visible = namesake.is_none() && !has_uid && !elsewhere && !person.existing;
        let private_group = visible && self.is_free(name, uid);
        let config = &self.inputs.config;
        let state = match person.state {
            RowState::Locked => State::Locked,
            _ if person.is_denied(config) => State::Denied,
            RowState::Reserved => State::Reserved,
            RowState::Confirmed => State::Confirmed,
        };
        Ok(PublishedPerson {
            name,
            uid,
            gid: account.gid.get(),
            gecos: &account.gecos,
            home: &account.home,
            shell: match state {
                State::Locked if person.existing => LOCKED_NAME_SHELL,
                State::Locked => LOCKED_SHELL,
                _ => &account.shell,
            },
            state,
            confirmed_day: person.confirmed_day.map(|day| day.0),
            expires_day: person.expires_day.map(|day| day.0),
            visible,
            private_group,
            // A user of /etc/passwd who only has the same name inherits nothing.
            supplementary: match namesake {
                Some(line) if line.uid != uid => Vec::new(),
                _ => self.supplementary(person)?,
            },
        })
    }

    /// The people group, the served provider groups and the machine's own, packed. A probe proves the stacks and is
    /// nobody: it gets nothing.
    fn supplementary(&self, person: &Person) -> Result<Vec<u8>, WriteError> {
        let groups = groups_of(self.connection(), person.id).map_err(into_write)?;
        let served = groups.iter().filter(|(id, gid)| self.served_name(id, gid.get()).is_some());
        let mut gids: BTreeSet<u32> = served.map(|(_, gid)| gid.get()).collect();
        if !person.probe {
            let local = self.local_groups.gids_of(self.connection(), person.id).map_err(into_write)?;
            gids.extend(local);
        }
        gids.insert(self.people_gid.get());
        gids.remove(&person.account.gid.get());
        Ok(gids.into_iter().flat_map(u32::to_be_bytes).collect())
    }

    fn write_groups(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let mut statement =
            self.connection().prepare("SELECT provider_id, gid FROM idp_group WHERE generation > ?1")?;
        let mut members = self.connection().prepare(
            "SELECT login_name, uid FROM identity JOIN membership ON identity = id WHERE provider_id = ?1",
        )?;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let (id, gid): (String, u32) = (row.get(0)?, row.get(1)?);
            let Some(name) = self.served_name(&id, gid) else { continue };
            let mut named = BTreeMap::new();
            collect(&mut named, members.query([&id])?)?;
            let (count, packed) = self.pack(named);
            file.put_group(gid, name, count, &packed)?;
        }
        Ok(())
    }

    /// The members that are ours of the machine's own groups. All of them each time: everybody is a member of some.
    fn write_local_groups(&self, file: &SnapshotFile) -> Result<(), WriteError> {
        let everybody = "SELECT login_name, uid FROM identity WHERE state = 'confirmed' AND probe = 0";
        let some = "SELECT login_name, uid FROM identity JOIN local_membership ON identity = id \
                    WHERE group_name = ?1 AND probe = 0";
        for (gid, group) in self.local_groups.all(self.connection()).map_err(into_write)? {
            let mut members = BTreeMap::new();
            if group.is_everybodys {
                collect(&mut members, self.connection().prepare(everybody)?.query([])?)?;
            }
            for name in &group.of {
                collect(&mut members, self.connection().prepare(some)?.query([name])?)?;
            }
            let (count, packed) = self.pack(members);
            file.put_group(gid, &group.name, count, &packed)?;
        }
        Ok(())
    }

    /// Number of names, and the names as a row holds them. A user of /etc/passwd who only has the same name is left out.
    fn pack(&self, members: BTreeMap<String, u32>) -> (u32, Vec<u8>) {
        let (mut count, mut packed) = (0_u32, Vec::new());
        for (name, uid) in members {
            if self.inputs.local.user(&name).is_some_and(|line| line.uid != uid) {
                continue;
            }
            packed.extend_from_slice(name.as_bytes());
            packed.push(0);
            count = count.saturating_add(1);
        }
        (count, packed)
    }

    /// Before people: the name of somebody who was removed may be somebody else's now.
    fn write_tombstones(&self, file: &SnapshotFile, after: i64) -> Result<(), WriteError> {
        let mut statement =
            self.connection().prepare("SELECT login_name, uid FROM tombstone WHERE generation > ?1")?;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let (name, uid): (String, u32) = (row.get(0)?, row.get(1)?);
            file.remove_person(uid, &name)?;
            file.put_former_name(&name)?;
            file.put_former_uid(uid)?;
        }
        let mut names =
            self.connection().prepare("SELECT login_name FROM former_name WHERE generation > ?1")?;
        for name in names.query_map([after], |row| row.get::<_, String>(0))? {
            file.put_former_name(&name?)?;
        }
        let mut uids = self.connection().prepare("SELECT uid FROM former_uid WHERE generation > ?1")?;
        for uid in uids.query_map([after], |row| row.get(0))? {
            file.put_former_uid(uid?)?;
        }
        Ok(())
    }
}

/// The people of later generations than ?1. In no order: with one SQLite would walk through everybody by its index, and
/// fetch each of them from another page.
pub(super) fn people_after() -> String {
    format!("SELECT {PERSON} WHERE generation > ?1")
}

/// (name, uid) of every row.
fn collect(members: &mut BTreeMap<String, u32>, mut rows: Rows<'_>) -> Result<(), WriteError> {
    while let Some(row) = rows.next()? {
        members.insert(row.get(0)?, row.get(1)?);
    }
    Ok(())
}

/// A damaged row of the store, met while writing.
fn into_write(error: StoreError) -> WriteError {
    match error {
        StoreError::Sqlite(error) => WriteError::Sqlite(error),
        error => WriteError::Io(io::Error::other(error)),
    }
}

/// SHA-256 of everything besides the store that decides what is published.
fn inputs_digest(inputs: &Inputs) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(inputs.config.digest);
    let users = inputs.local.passwd.iter().map(|line| ("u", &line.name, line.uid));
    let groups = inputs.local.group.iter().map(|line| ("g", &line.name, line.gid));
    for (kind, name, id) in users.chain(groups) {
        // No name of passwd(5) or group(5) holds a newline.
        hash.update(format!("{kind}{id}:{name}\n"));
    }
    hash.finalize().into()
}
