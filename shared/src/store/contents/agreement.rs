//! Does the published database say what the store says? Reads both, writes nothing.

use super::super::publish::{Inputs, PublishError};
use super::super::{Places, Store, StoreError};
use super::{Contents, PERSON, PublishedPerson, WriteError, person_row};
use crate::snapshot::{Header, MappedFile, Person, Snapshot, SnapshotError};
use std::path::PathBuf;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They agree: so many people, so many groups.
    Same {
        /// Rows of people.
        people: i64,
        /// Rows of groups.
        groups: i64,
    },
    /// The store has changed since.
    Behind,
    /// The configuration, /etc/passwd or /etc/group has changed since.
    OtherInputs,
    /// It was made from another store.
    OtherStore,
    /// They contradict each other; the word says in what.
    Differs(&'static str),
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The published database.
    #[error(transparent)]
    Published(#[from] SnapshotError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration, /etc/passwd or /etc/group.
    #[error(transparent)]
    Inputs(#[from] PublishError),
}

impl From<WriteError> for CompareError {
    fn from(error: WriteError) -> Self {
        Self::Store(match error {
            WriteError::Sqlite(error) => StoreError::Sqlite(error),
            _ => StoreError::Damaged("a row"),
        })
    }
}

/// Compares what is published with what the store and these inputs would publish now.
///
/// # Errors
/// One of the two cannot be read, or the published database is damaged.
pub fn compare(places: &Places, inputs: &Inputs) -> Result<Agreement, CompareError> {
    let file = MappedFile::open_owned_by(places.nss_db.to_str().unwrap_or_default(), places.owner)?;
    let snapshot = Snapshot::open(file.bytes())?;
    let header = snapshot.header()?;
    let store = Store::open(places)?;
    let contents = Contents::new(&store, inputs, PathBuf::new())?;
    // One consistent view of the store.
    store.connection.execute_batch("BEGIN").map_err(StoreError::from)?;
    let (row, _) = contents.header_row()?;
    if row.store_id != header.store_id {
        return Ok(Agreement::OtherStore);
    }
    if row.generation != header.generation {
        return Ok(Agreement::Behind);
    }
    if row.inputs_digest != header.inputs_digest {
        return Ok(Agreement::OtherInputs);
    }
    contents.agree(&snapshot, &header)
}

impl Contents<'_> {
    fn agree(&self, snapshot: &Snapshot<'_>, header: &Header<'_>) -> Result<Agreement, CompareError> {
        let (people, groups) = self.expected_counts()?;
        if (people, groups) != (header.people, header.group_rows) || count(snapshot)? != (people, groups) {
            return Ok(Agreement::Differs("the number of people or groups"));
        }
        let sql = format!("SELECT {PERSON}");
        let mut statement = self.connection().prepare(&sql).map_err(StoreError::from)?;
        for person in statement.query_map([], person_row).map_err(StoreError::from)? {
            let person = person.map_err(StoreError::from)??;
            let wanted = self.published(&person)?;
            let found = snapshot.person_by_name(wanted.name.as_bytes())?;
            let by_uid = snapshot.person_by_uid(wanted.uid)?;
            let is_wanted = |found: &Option<Person<'_>>| {
                found.as_ref().is_some_and(|found| wanted.is(found, header.max_confirmation_age.is_some()))
            };
            if ![found, by_uid].iter().all(is_wanted) {
                return Ok(Agreement::Differs("a person's entry"));
            }
        }
        Ok(Agreement::Same { people, groups })
    }
}

impl PublishedPerson<'_> {
    /// Is this what is published? The day of the last sign-in is published only where somebody asks for it.
    fn is(&self, found: &Person<'_>, with_day: bool) -> bool {
        let gids: Result<Vec<u32>, SnapshotError> = found.supplementary().collect();
        let packed = gids.map(|gids| gids.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>());
        (self.name, self.uid, self.gid, self.state)
            == (found.name, found.uid.get(), found.gid.get(), found.state)
            && (self.gecos.as_bytes(), self.home.as_bytes(), self.shell.as_bytes())
                == (found.gecos, found.home, found.shell)
            && (self.expires_day, self.visible, self.private_group)
                == (found.expires_day, found.visible, found.private_group)
            && (!with_day || self.confirmed_day == found.confirmed_day)
            && packed.is_ok_and(|packed| packed == self.supplementary)
    }
}

/// Walks every row by number; each name must lead to a row, too.
fn count(snapshot: &Snapshot<'_>) -> Result<(i64, i64), SnapshotError> {
    let (mut people, mut uid) = (0, None);
    while let Some(person) = snapshot.people_after(uid)? {
        uid = Some(person.uid.get());
        people += i64::from(snapshot.person_by_name(person.name.as_bytes())?.is_some());
    }
    let (mut groups, mut gid) = (0, None);
    while let Some(group) = snapshot.groups_after(gid)? {
        gid = Some(group.gid);
        groups += i64::from(snapshot.group_by_name(group.name.as_bytes())?.is_some());
    }
    Ok((people, groups))
}

#[cfg(test)]
mod tests {
    use super::super::super::publish::Want;
    use super::super::super::test_machine::*;
    use super::*;
    use crate::clock::Day;

    fn compared(machine: &Machine) -> Agreement {
        compare(&machine.places, &machine.inputs()).unwrap()
    }

    #[test]
    fn what_was_published_agrees_until_something_changes() {
        let mut m = machine("");
        m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
        assert!(matches!(
            compare(&m.places, &m.inputs()),
            Err(CompareError::Published(SnapshotError::Missing))
        ));
        m.publish(Want::UpToDate);
        assert_eq!(compared(&m), Agreement::Same { people: 1, groups: 2 });
        m.sign_in("bob", 5001, "s2", &[]).unwrap();
        assert_eq!(compared(&m), Agreement::Behind);
        m.publish(Want::UpToDate);
        assert_eq!(compared(&m), Agreement::Same { people: 2, groups: 2 });
        m.local.group.clear();
        assert_eq!(compared(&m), Agreement::OtherInputs);
    }

    #[test]
    fn a_row_that_differs_is_found_though_no_number_says_so() {
        for change in
            ["home = '/x'", "state = 'locked'", "expires_day = 20000", "login_name = 'zoe'", "uid = 5009"]
        {
            let m = machine("");
            m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
            m.publish(Want::UpToDate);
            m.execute(&format!("UPDATE identity SET {change}"));
            assert_eq!(compared(&m), Agreement::Differs("a person's entry"), "{change}");
        }
        let m = machine("");
        m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
        m.publish(Want::UpToDate);
        m.execute("DELETE FROM membership");
        assert_eq!(compared(&m), Agreement::Differs("a person's entry"));
        m.execute("DELETE FROM identity");
        assert_eq!(compared(&m), Agreement::Differs("the number of people or groups"));
        m.execute("UPDATE meta SET store_id = zeroblob(16)");
        assert_eq!(compared(&m), Agreement::OtherStore);
    }

    #[test]
    fn a_day_that_is_not_published_is_no_difference() {
        for (extra, agrees) in [("", true), (r#","max_confirmation_age":30"#, false)] {
            let m = machine(extra);
            m.sign_in("ann", 5000, "s1", &[]).unwrap();
            m.publish(Want::UpToDate);
            m.sign_in_on(Day(20_001), "ann", 5000, "s1", &[]).unwrap();
            assert_eq!(compared(&m) == Agreement::Same { people: 1, groups: 1 }, agrees, "{extra}");
        }
    }
}
