//! Every answer of the reader beside SQLite's own to the same question.

use rusqlite::Connection;
use shared::snapshot::{self, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;

/// Names and ids that are looked up; of those that are in the file all of them, and others.
pub(crate) struct Asked {
    /// Login names and uids.
    pub(crate) people: Vec<(String, u32)>,
    /// Group names and gids.
    pub(crate) groups: Vec<(String, u32)>,
}

/// Compares lookups by name and by id, the ids next to them, and both enumerations. Gives the uids in the file.
pub(crate) fn answers_agree(reader: &Snapshot<'_>, db: &Connection, asked: &Asked) -> BTreeSet<u32> {
    let expected = people_by_sqlite(db);
    let by_name: BTreeMap<&str, &str> = expected.values().map(|(name, line)| (&**name, &**line)).collect();
    for (name, uid) in &asked.people {
        let person = reader.person_by_name(name.as_bytes()).unwrap();
        assert_eq!(person.as_ref().map(shown).as_deref(), by_name.get(&**name).copied());
        for uid in [uid.saturating_sub(1), *uid, uid.saturating_add(1)] {
            let line = expected.get(&uid).map(|(_, line)| line.clone());
            assert_eq!(reader.person_by_uid(uid).unwrap().as_ref().map(shown), line);
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(person) = reader.people_after(seen.last().copied()).unwrap() {
        assert!(seen.insert(person.uid.get()));
    }
    assert!(seen.iter().eq(expected.keys()));
    groups_agree(reader, db, asked);
    seen
}

fn groups_agree(reader: &Snapshot<'_>, db: &Connection, asked: &Asked) {
    let expected = groups_by_sqlite(db);
    let by_name: BTreeMap<&str, &str> = expected.values().map(|(name, line)| (&**name, &**line)).collect();
    let shown =
        |group: &snapshot::Group<'_>| format!("{} {} {:?}", group.name, group.gid, group.members().unwrap());
    for (name, gid) in &asked.groups {
        let group = reader.group_by_name(name.as_bytes()).unwrap();
        assert_eq!(group.as_ref().map(shown).as_deref(), by_name.get(&**name).copied());
        for gid in [gid.saturating_sub(1), *gid, gid.saturating_add(1)] {
            let line = expected.get(&gid).map(|(_, line)| line.clone());
            assert_eq!(reader.group_by_gid(gid).unwrap().as_ref().map(shown), line);
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(group) = reader.groups_after(seen.last().copied()).unwrap() {
        assert!(seen.insert(group.gid));
    }
    assert!(seen.iter().eq(expected.keys()));
}

/// The gids other than `skip`, copied into so many places at a time.
#[allow(unsafe_code)]
fn copied(person: &snapshot::Person<'_>, skip: u32, places: usize) -> Vec<u32> {
    let (mut gids, mut copied) = (person.supplementary(), Vec::new());
    let mut places = vec![MaybeUninit::uninit(); places];
    loop {
        let filled = gids.copy_to(&mut places, skip).unwrap();
        // SAFETY: so many places were filled.
        copied.extend(places[..filled].iter().map(|place| unsafe { place.assume_init() }));
        if filled < places.len() {
            return copied;
        }
    }
}

/// One line for all fields, so that a difference is readable.
fn shown(person: &snapshot::Person<'_>) -> String {
    let gids: Vec<u32> = person.supplementary().map(Result::unwrap).collect();
    let skip = gids.get(gids.len() / 2).copied().unwrap_or(u32::MAX);
    let others: Vec<_> = gids.iter().copied().filter(|gid| *gid != skip).collect();
    for places in [1, 7, 5000] {
        assert_eq!(copied(person, u32::MAX, places), gids);
        assert_eq!(copied(person, skip, places), others);
    }
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
    let days = (person.confirmed_day, person.expires_day);
    let flags = (person.visible, person.private_group);
    let (gecos, home, shell) = (text(person.gecos), text(person.home), text(person.shell));
    let state = person.state.number();
    format!(
        "{} {} {} {gecos} {home} {shell} {state} {days:?} {flags:?} {gids:?}",
        person.name, person.uid, person.gid
    )
}

fn people_by_sqlite(db: &Connection) -> BTreeMap<u32, (String, String)> {
    let mut select = db.prepare("SELECT * FROM passwd ORDER BY uid").unwrap();
    let rows = select.query_map([], |row| {
        let (uid, name, gid): (u32, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (gecos, home, shell): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let state: i64 = row.get(6)?;
        let days: (Option<u32>, Option<u32>) = (row.get(7)?, row.get(8)?);
        let flags: (bool, bool) = (row.get(9)?, row.get(10)?);
        let gids: Vec<u8> = row.get(11)?;
        let gids: Vec<u32> = gids.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        let line = format!("{name} {uid} {gid} {gecos} {home} {shell} {state} {days:?} {flags:?} {gids:?}");
        Ok((uid, (name, line)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn groups_by_sqlite(db: &Connection) -> BTreeMap<u32, (String, String)> {
    let mut select = db.prepare("SELECT gid, name, members FROM grp ORDER BY gid").unwrap();
    let rows = select.query_map([], |row| {
        let (gid, name, members): (u32, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let mut members: Vec<&[u8]> = members.split(|byte| *byte == 0).collect();
        members.pop();
        let members: Vec<_> = members.into_iter().map(String::from_utf8_lossy).collect();
        Ok((gid, (name.clone(), format!("{name} {gid} {members:?}"))))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
