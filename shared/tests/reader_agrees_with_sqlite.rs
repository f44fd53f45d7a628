//! Random databases, read by the reader and by SQLite: every answer must be the same. The files are as untidy as SQLite
//! can make them (rows inserted in any order, some deleted again, not vacuumed), which a publisher's are not.
#![cfg(feature = "store")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test: a fault in it is a failure

mod answers;

use answers::{Asked, answers_agree};
use proptest::prelude::*;
use rusqlite::{Connection, params};
use shared::snapshot::{self, APPLICATION_ID, FORMAT, SCHEMA, SLOTS, Snapshot};
use shared::types::is_login_name;
use std::collections::BTreeSet;

const KEY: [u8; 16] = [0x5a; 16];

#[derive(Clone, Debug)]
struct Person {
    name: String,
    uid: u32,
    gid: u32,
    gecos: String,
    home: String,
    state: i64,
    days: (Option<u32>, Option<u32>),
    flags: (bool, bool),
    supplementary: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Login names only, by construction: a filter that rejects too many ends the test.
fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_@+-]{0,20}(\\.[a-z0-9_@+-]{1,9}){0,2}".prop_map(|name| {
        assert!(is_login_name(name.as_bytes()), "{name}");
        name
    })
}

/// Small, large, and in between: integers of every width.
fn id() -> impl Strategy<Value = u32> {
    prop_oneof![1000..60_000_u32, 70_000..9_000_000_u32, 1_879_048_192..=u32::MAX - 1]
}

fn person() -> impl Strategy<Value = Person> {
    let days = (proptest::option::of(0..100_000_u32), proptest::option::of(0..100_000_u32));
    let lengths = prop_oneof![4 => 0..20_usize, 1 => 900..1100_usize, 1 => 0..6000_usize];
    let supplementary = lengths.prop_flat_map(|length| proptest::collection::vec(1..u32::MAX, length));
    let text = "[ -9;-~é]{0,100}";
    (name(), id(), id(), text, text, 0..4_i64, days, any::<(bool, bool)>(), supplementary).prop_map(
        |(name, uid, gid, gecos, home, state, days, flags, supplementary)| Person {
            name,
            uid,
            gid,
            gecos,
            home,
            state,
            days,
            flags,
            supplementary,
        },
    )
}

fn group() -> impl Strategy<Value = Group> {
    let members = prop_oneof![3 => 0..5_usize, 1 => 0..800_usize];
    let members = members.prop_flat_map(|count| proptest::collection::vec(name(), count));
    (name(), 1..u32::MAX, members).prop_map(|(name, gid, members)| Group { name, gid, members })
}

/// People and groups whose names and ids are their own.
fn world() -> impl Strategy<Value = (Vec<Person>, Vec<Group>)> {
    let sizes = prop_oneof![3 => 0..10_usize, 1 => 0..400_usize];
    sizes
        .prop_flat_map(|size| {
            (proptest::collection::vec(person(), size), proptest::collection::vec(group(), size / 2))
        })
        .prop_map(|(mut people, mut groups)| {
            let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
            people.retain(|person| names.insert(person.name.clone()) && ids.insert(person.uid));
            let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
            groups.retain(|group| names.insert(group.name.clone()) && ids.insert(group.gid));
            (people, groups)
        })
}

fn words(gids: &[u32]) -> Vec<u8> {
    gids.iter().flat_map(|gid| gid.to_be_bytes()).collect()
}

fn packed(members: &[String]) -> Vec<u8> {
    members.iter().flat_map(|name| [name.as_bytes(), &[0]].concat()).collect()
}

/// The first free slot of the bucket, beginning at any of its four.
fn slot(taken: &mut BTreeSet<i64>, name: &str, first: u32) -> Option<i64> {
    let bucket = snapshot::hash_name(&KEY, name.as_bytes());
    let free =
        (0..SLOTS).map(|n| bucket + (n + i64::from(first)) % SLOTS).find(|slot| !taken.contains(slot))?;
    taken.insert(free);
    Some(free)
}

fn write(db: &Connection, people: &[Person], groups: &[Group]) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA};
         INSERT INTO header VALUES (1, x'{}', x'{}', 7, x'{}', 1, 2, NULL, 'sshd su');
         BEGIN",
        "5a".repeat(16),
        "01".repeat(16),
        "02".repeat(32),
    ))?;
    let mut taken = BTreeSet::new();
    for p in people {
        let gids = words(&p.supplementary);
        db.execute(
            "INSERT INTO passwd VALUES (?,?,?,?,?,'/bin/sh',?,?,?,?,?,?)",
            params![
                p.uid, p.name, p.gid, p.gecos, p.home, p.state, p.days.0, p.days.1, p.flags.0, p.flags.1,
                gids
            ],
        )?;
        let slot = slot(&mut taken, &p.name, p.uid);
        db.execute(
            "INSERT INTO passwd_name VALUES (?,?,?,?,?,'/bin/sh',?,?,?,?,?,?,?)",
            params![
                slot, p.name, p.gid, p.gecos, p.home, p.state, p.days.0, p.days.1, p.flags.0, p.flags.1,
                p.uid, gids
            ],
        )?;
    }
    let mut taken = BTreeSet::new();
    for g in groups {
        let (count, members) = (g.members.len() as i64, packed(&g.members));
        db.execute("INSERT INTO grp VALUES (?,?,?,?)", params![g.gid, g.name, count, members])?;
        let slot = slot(&mut taken, &g.name, g.gid);
        db.execute("INSERT INTO grp_name VALUES (?,?,?,?,?)", params![slot, g.name, g.gid, count, members])?;
    }
    db.execute_batch("COMMIT")
}

/// Every third row goes again: free cells, free pages, leaves that end before their parent's key.
fn delete_some(db: &Connection, people: &[Person], groups: &[Group]) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN")?;
    for p in people.iter().step_by(3) {
        db.execute("DELETE FROM passwd WHERE uid = ?", [p.uid])?;
        db.execute("DELETE FROM passwd_name WHERE name = ?", [&p.name])?;
        db.execute(
            "INSERT OR IGNORE INTO tombstone VALUES (?)",
            [snapshot::hash_tombstone_uid(&KEY, p.uid)],
        )?;
        let hash = snapshot::hash_tombstone_name(&KEY, p.name.as_bytes());
        db.execute("INSERT OR IGNORE INTO tombstone VALUES (?)", [hash])?;
    }
    for g in groups.iter().step_by(3) {
        db.execute("DELETE FROM grp WHERE gid = ?", [g.gid])?;
        db.execute("DELETE FROM grp_name WHERE name = ?", [&g.name])?;
    }
    db.execute_batch("COMMIT")
}

fn compare(bytes: &[u8], db: &Connection, people: &[Person], groups: &[Group]) {
    let reader = Snapshot::open(bytes).unwrap();
    assert_eq!(reader.header().unwrap().hash_key, KEY);
    assert_eq!(reader.header().unwrap().services, "sshd su");
    let asked = Asked {
        people: people.iter().map(|p| (p.name.clone(), p.uid)).collect(),
        groups: groups.iter().map(|g| (g.name.clone(), g.gid)).collect(),
    };
    let left = answers_agree(&reader, db, &asked);
    for p in people {
        let gone = !left.contains(&p.uid);
        assert_eq!(reader.uid_is_tombstoned(p.uid).unwrap(), gone);
        assert_eq!(reader.name_is_tombstoned(p.name.as_bytes()).unwrap(), gone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reader_finds_what_sqlite_finds((people, groups) in world()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nss.db");
        let db = Connection::open(&path).unwrap();
        write(&db, &people, &groups).unwrap();
        compare(&std::fs::read(&path).unwrap(), &db, &people, &groups);
        delete_some(&db, &people, &groups).unwrap();
        compare(&std::fs::read(&path).unwrap(), &db, &people, &groups);
        db.execute_batch("VACUUM").unwrap();
        compare(&std::fs::read(&path).unwrap(), &db, &people, &groups);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_run_on(
        (people, groups) in world(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nss.db");
        let db = Connection::open(&path).unwrap();
        write(&db, &people, &groups).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let Ok(reader) = Snapshot::open(&bytes) else { return Ok(()) };
        for p in &people {
            if let Ok(Some(person)) = reader.person_by_name(p.name.as_bytes()) {
                let _ = person.supplementary().take_while(Result::is_ok).count();
            }
            let _ = reader.person_by_uid(p.uid);
            let _ = reader.uid_is_tombstoned(p.uid);
        }
        for g in &groups {
            if let Ok(Some(group)) = reader.group_by_gid(g.gid) {
                let _ = group.members();
            }
            let _ = reader.group_by_name(g.name.as_bytes());
        }
        let mut after = None;
        while let Ok(Some(person)) = reader.people_after(after) {
            assert!(after.is_none_or(|after| person.uid.get() > after));
            after = Some(person.uid.get());
        }
    }
}

#[test]
fn a_page_that_is_its_own_child_ends_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nss.db");
    let db = Connection::open(&path).unwrap();
    write(&db, &[], &[]).unwrap();
    let root: u32 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'passwd'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let root = root as usize;
    let page = &mut bytes[(root - 1) * 4096..root * 4096];
    // An interior page without cells whose right child is itself.
    page[..12].copy_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, u8::try_from(root).unwrap()]);
    let reader = Snapshot::open(&bytes).unwrap();
    assert!(reader.person_by_uid(5000).is_err());
    assert!(reader.people_after(None).is_err());
    assert!(matches!(reader.person_by_name(b"ann"), Ok(None)));
}
