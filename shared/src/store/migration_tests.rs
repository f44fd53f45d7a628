//! Stores of earlier versions: what works before they are migrated, and what a migration leaves behind.

use super::publish::Want;
use super::schema::{self, VERSION};
use super::test_machine::{Machine, machine, name, staff};
use super::*;
use crate::snapshot::Snapshot;
use std::os::unix::fs::PermissionsExt;

const FILES: [&str; 3] = [
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_roster.sql"),
    include_str!("../../../migrations/0003_revoked.sql"),
];

/// A machine whose store an earlier version has made: ann has signed in, bob was removed, cid is reserved.
fn machine_of(version: usize) -> Machine {
    let m = machine("");
    std::fs::remove_file(&m.places.store).unwrap();
    std::fs::write(&m.places.store, "").unwrap();
    set_mode(&m.places.store, 0o600).unwrap();
    for file in FILES.get(..version).unwrap() {
        m.execute(file);
    }
    m.execute(&format!(
        "PRAGMA user_version = {version};
         INSERT INTO identity(id, login_name, issuer, subject, uid, gid, home, shell, state, confirmed_day, created_at, \
         generation) VALUES (1, 'ann', 'https://i', 'a', 5000, 5000, '/home/ann', '/bin/bash', 'confirmed', 19999, 1, 1),
         (2, 'cid', NULL, NULL, 5002, 5002, '/home/cid', '/bin/bash', 'reserved', NULL, 1, 1);
         INSERT INTO tombstone VALUES ('bob', 5001, 'https://i', 'b', 1, 1);"
    ));
    m
}

fn earlier() -> impl Iterator<Item = Machine> {
    assert_eq!(FILES.len(), VERSION, "every migration stands above");
    (1..VERSION).map(machine_of)
}

fn migrate(m: &Machine) -> Result<Migrated, StoreError> {
    Store::migrate(&m.places, Day(20_779))
}

fn backups(m: &Machine) -> Vec<PathBuf> {
    let files = std::fs::read_dir(m.places.store.parent().unwrap()).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().contains("store.db."));
    paths.sort();
    paths
}

fn version(path: &Path) -> usize {
    schema::version(&rusqlite::Connection::open(path).unwrap()).unwrap()
}

#[test]
fn everybody_signs_in_on_the_store_of_any_earlier_version_before_it_is_migrated() {
    for m in earlier() {
        let old = version(&m.places.store);
        assert!(!m.sign_in("ann", 5000, "a", &[staff(6000)]).unwrap().first);
        assert!(m.sign_in("zoe", 5003, "z", &[]).unwrap().first, "somebody new");
        assert!(m.sign_in("cid", 5002, "c", &[]).is_ok(), "somebody reserved");
        m.publish(Want::UpToDate);
        let file = m.open();
        let snapshot = Snapshot::open(file.bytes()).unwrap();
        assert_eq!(snapshot.group_by_name(b"idp-staff").unwrap().unwrap().members().unwrap(), ["ann"]);
        assert!(snapshot.person_by_name(b"zoe").unwrap().is_some());
        assert!(snapshot.name_is_tombstoned(b"bob").unwrap());
        // Whom the old version refused, the new one refuses on the old store too.
        assert!(matches!(m.sign_in("bob", 5001, "b", &[]), Err(RecordError::Tombstoned)));
        assert!(matches!(m.sign_in("ann", 5000, "x", &[]), Err(RecordError::SubjectMismatch { .. })));
        assert_eq!(version(&m.places.store), old, "a sign-in migrates nothing");
    }
}

#[test]
fn an_administrator_changes_people_only_after_the_migration() {
    for m in earlier() {
        let by = By { actor: "root", now: 1 };
        let refused =
            |error: RosterError| matches!(error, RosterError::Store(StoreError::NotMigrated { .. }));
        assert!(refused(m.store().lock(&name("ann"), by).unwrap_err()));
        assert!(refused(m.store().rename(&name("ann"), &name("anna"), false, by).unwrap_err()));
        let removal = m.store().remove(&name("ann"), 1, "root");
        assert!(matches!(removal, Err(StoreError::NotMigrated { .. })));
        assert_eq!(m.person("ann").state, RowState::Confirmed);
        migrate(&m).unwrap();
        assert!(m.store().lock(&name("ann"), by).unwrap());
    }
}

#[test]
fn a_store_that_was_opened_before_its_migration_changes_nobody_after_it() {
    for m in earlier() {
        let mut store = Store::open(&m.places).unwrap();
        migrate(&m).unwrap();
        let outcome = store.lock(&name("ann"), By { actor: "root", now: 1 });
        assert!(matches!(outcome, Err(RosterError::Store(StoreError::NotMigrated { .. }))), "{outcome:?}");
    }
}

#[test]
fn a_migration_keeps_everybody_and_leaves_a_copy_of_the_old_store_that_only_its_owner_reads() {
    for m in earlier() {
        let old = version(&m.places.store);
        let done = migrate(&m).unwrap();
        assert_eq!((done.applied, version(&m.places.store)), (VERSION - old, VERSION));
        assert_eq!(m.person("ann").state, RowState::Confirmed);
        assert!(!m.person("ann").adopt_home);
        assert!(m.store().tombstone(&name("bob")).unwrap().unwrap().subject.is_some());
        let backup = done.backup.unwrap();
        assert!(
            backup.to_str().unwrap().ends_with(&format!("/store.db.schema-{old}.2026-11-22")),
            "{backup:?}"
        );
        assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(version(&backup), old);
        let people = "SELECT count(*) FROM identity";
        let copy = rusqlite::Connection::open(&backup).unwrap();
        assert_eq!(copy.query_row(people, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
    }
}

/// What a version that knows 0001 alone says to the store.
const OLD_INSERT: &str = "INSERT INTO identity(login_name, issuer, subject, uid, gid, gecos, home, shell, state, \
                          confirmed_day, created_at, generation) VALUES";

#[test]
fn after_a_downgrade_everybody_signs_in_and_nobody_gets_what_was_somebody_elses() {
    let m = machine_of(1);
    migrate(&m).unwrap();
    let by = By { actor: "root", now: 1 };
    m.store().rename(&name("ann"), &name("anna"), false, by).unwrap();
    m.store().pin(&name("anna"), crate::types::Uid::new(5010).unwrap(), true, by).unwrap();
    m.execute("INSERT INTO former_uid VALUES (5011, 'eve', 'https://i', 'e', 1, 1)");
    let old = rusqlite::Connection::open(&m.places.store).unwrap();
    let min_reader: i64 = old.query_row("SELECT min_reader FROM meta", [], |row| row.get(0)).unwrap();
    assert!(min_reader <= 1, "version 1 opens it");
    let sign_in = |login: &str, number: u32, subject: &str| {
        let values = format!(
            "('{login}', 'https://i', '{subject}', {number}, {number}, '', '/home/{login}', '/bin/sh', \
                              'confirmed', 20000, 1, 9)"
        );
        old.execute(&format!("{OLD_INSERT} {values}"), []).map_err(|error| error.to_string())
    };
    assert_eq!(sign_in("new", 5020, "n"), Ok(1), "somebody new");
    let again = "UPDATE identity SET state = 'confirmed', issuer = 'https://i', subject = 'a', confirmed_day = 20001 \
                 WHERE login_name = 'anna'";
    assert_eq!(old.execute(again, []).unwrap(), 1, "somebody known");
    let bound = "UPDATE identity SET state = 'confirmed', issuer = 'https://i', subject = ?1 WHERE login_name = 'cid'";
    assert!(old.execute(bound, ["e"]).is_err(), "a reserved name for somebody who was removed");
    assert_eq!(old.execute(bound, ["c"]).unwrap(), 1);
    for (login, number, subject) in [("ann", 5021, "x"), ("zoe", 5000, "x"), ("zoe", 5021, "e")] {
        let refused = sign_in(login, number, subject).unwrap_err();
        assert!(refused.contains("before") || refused.contains("removed"), "{refused}");
    }
    assert!(old.execute("INSERT INTO idp_group VALUES ('g', 'lab', 5000, 9)", []).is_err());
    // And back to the new version: what it knew, it knows.
    assert_eq!(m.store().former_name(&name("ann")).unwrap().unwrap().get(), 5010);
}

#[test]
fn a_second_copy_of_the_day_overwrites_nothing() {
    let m = machine_of(1);
    let first = migrate(&m).unwrap().backup.unwrap();
    std::fs::copy(&first, &m.places.store).unwrap();
    let second = migrate(&m).unwrap().backup.unwrap();
    assert_eq!(backups(&m), [first, second]);
}

#[test]
fn migrating_twice_or_a_new_store_leaves_no_copy() {
    let m = machine("");
    assert_eq!(migrate(&m).unwrap(), Migrated::default());
    assert!(backups(&m).is_empty());
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let m = machine_of(1);
    let before = std::fs::read(&m.places.store).unwrap();
    let broken = [FILES[0], FILES[1], FILES[2], "CREATE TABLE half(a); INSERT INTO nowhere VALUES (1)"];
    let mut connection = connect(&m.places.store).unwrap();
    let failed = schema::apply(&mut connection, &broken, |_| Ok(()));
    assert!(matches!(failed, Err(StoreError::Sqlite(_))), "{failed:?}");
    drop(connection);
    assert_eq!(std::fs::read(&m.places.store).unwrap(), before);
    assert!(m.sign_in("ann", 5000, "a", &[]).is_ok());
}

#[test]
fn without_room_for_the_copy_nothing_is_migrated() {
    let m = machine_of(1);
    let before = std::fs::read(&m.places.store).unwrap();
    for number in 1..=20 {
        let again = if number == 1 { String::new() } else { format!(".{number}") };
        let mut path = m.places.store.clone().into_os_string();
        path.push(format!(".schema-1.2026-11-22{again}"));
        std::fs::create_dir(path).unwrap();
    }
    assert!(matches!(migrate(&m), Err(StoreError::Backup { .. })));
    assert_eq!(std::fs::read(&m.places.store).unwrap(), before);
}
