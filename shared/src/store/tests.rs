//! Store -> publication -> reader, in a temporary directory.

use super::publish::{Published, Want};
use super::test_machine::*;
use super::*;
use crate::clock::{Day, SystemClock};
use crate::etc::LocalNames;
use crate::snapshot::{Snapshot, State};
use crate::types::{GroupName, LoginName};

#[test]
fn a_first_sign_in_is_recorded_published_and_read() {
    let m = machine("");
    let recorded = m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    assert!(recorded.first);
    assert_eq!(recorded.added, ["idp-staff"]);
    assert_eq!(m.publish(Want::UpToDate), Published::Rebuilt);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let ann = snapshot.person_by_name(b"ann").unwrap().unwrap();
    assert_eq!(
        (ann.uid.get(), ann.state, ann.visible, ann.private_group),
        (5000, State::Confirmed, true, true)
    );
    let people = m.config.accounts.people_gid.get();
    assert_eq!(ann.supplementary().collect::<Result<Vec<_>, _>>().unwrap(), [6000, people]);
    assert_eq!(snapshot.person_by_uid(5000).unwrap().unwrap().name, "ann");
    assert_eq!(snapshot.group_by_gid(6000).unwrap().unwrap().members().unwrap(), ["ann"]);
    assert_eq!(snapshot.group_by_name(b"oauth2-users").unwrap().unwrap().gid, people);
    assert_eq!(m.integrity(), "ok");
    assert!(m.leftovers().is_empty());
}

#[test]
fn the_published_file_holds_no_subject_and_sqlite_does_not_write_to_it() {
    let m = machine("");
    m.sign_in("ann", 5000, "a-very-private-subject", &[]).unwrap();
    m.publish(Want::Rebuild);
    let bytes = std::fs::read(&m.places.nss_db).unwrap();
    assert!(!bytes.windows(22).any(|window| window == b"a-very-private-subject"));
    let connection = rusqlite::Connection::open(&m.places.nss_db).unwrap();
    assert!(connection.execute("DELETE FROM passwd", []).is_err());
}

#[test]
fn a_repeated_sign_in_changes_and_publishes_nothing() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.publish(Want::UpToDate);
    let before = std::fs::metadata(&m.places.nss_db).unwrap();
    let again = m.sign_in_on(Day(20_001), "ann", 5000, "s1", &[staff(6000)]).unwrap();
    assert!(!again.first && again.added.is_empty() && again.removed.is_empty());
    assert_eq!(m.publish(Want::UpToDate), Published::Current);
    let after = std::fs::metadata(&m.places.nss_db).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn a_second_person_is_patched_in_and_the_retired_file_is_marked() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.publish(Want::Rebuild);
    let old = m.open();
    assert!(!old.is_retired());
    m.sign_in("bob", 5001, "s2", &[staff(6000)]).unwrap();
    assert_eq!(m.publish(Want::UpToDate), Published::Patched);
    assert!(old.is_retired());
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert_eq!(snapshot.group_by_name(b"idp-staff").unwrap().unwrap().members().unwrap(), ["ann", "bob"]);
    assert_eq!(snapshot.header().unwrap().people, 2);
    assert_eq!(m.integrity(), "ok");
}

#[test]
fn the_mark_of_a_publisher_that_died_before_its_rename_is_taken_back() {
    use std::os::unix::fs::FileExt;
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[]).unwrap();
    m.publish(Want::Rebuild);
    let file = std::fs::OpenOptions::new().write(true).open(&m.places.nss_db).unwrap();
    file.write_all_at(&[1], crate::snapshot::RETIRED_BYTE as u64).unwrap();
    assert!(m.open().is_retired());
    assert_eq!(m.publish(Want::UpToDate), Published::Current);
    assert!(!m.open().is_retired());
}

#[test]
fn a_group_that_the_provider_takes_away_is_gone() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.publish(Want::Rebuild);
    let recorded = m.sign_in("ann", 5000, "s1", &[]).unwrap();
    assert_eq!(recorded.removed, ["idp-staff"]);
    m.publish(Want::UpToDate);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert!(snapshot.group_by_name(b"idp-staff").unwrap().unwrap().members().unwrap().is_empty());
    let ann = snapshot.person_by_name(b"ann").unwrap().unwrap();
    assert_eq!(ann.supplementary().count(), 1);
}

#[test]
fn bindings_that_do_not_hold_are_refused() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[]).unwrap();
    assert!(matches!(m.sign_in("ann", 5000, "s2", &[]), Err(RecordError::SubjectMismatch { .. })));
    assert!(
        matches!(m.sign_in("anna", 5002, "s1", &[]), Err(RecordError::KnownAs(name)) if name.as_str() == "ann")
    );
    assert!(matches!(m.sign_in("bob", 5000, "s3", &[]), Err(RecordError::UidCollision)));
    assert!(matches!(m.sign_in("ann", 5005, "s1", &[]), Err(RecordError::AccountChanged)));
}

#[test]
fn what_an_earlier_publication_failed_to_bring_about_comes_with_the_next_one_of_anybody() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.sign_in("bob", 5001, "s2", &[]).unwrap();
    m.publish(Want::UpToDate);
    m.sign_in("ann", 5000, "s1", &[]).unwrap(); // recorded, and then sshd killed the child
    m.sign_in("bob", 5001, "s2", &[]).unwrap();
    assert_eq!(m.publish(Want::UpToDate), Published::Patched);
    let file = m.open();
    let group = Snapshot::open(file.bytes()).unwrap().group_by_name(b"idp-staff").unwrap().unwrap();
    assert!(group.members().unwrap().is_empty());
}

#[test]
fn a_group_that_was_made_anew_at_the_provider_takes_the_name_over() {
    let mut m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.config.mapping.group_map = [("t".to_owned(), GroupName::parse("idp-staff").unwrap())].into();
    let made_anew = GroupClaim { provider_id: "t".into(), ..staff(6001) };
    assert_eq!(m.sign_in("ann", 5000, "s1", &[made_anew]).unwrap().added, ["idp-staff"]);
    m.publish(Want::UpToDate);
    let file = m.open();
    let group = Snapshot::open(file.bytes()).unwrap().group_by_name(b"idp-staff").unwrap().unwrap();
    assert_eq!((group.gid, group.members().unwrap()), (6001, vec!["ann".to_owned()]));
}

#[test]
fn a_removed_name_and_uid_stay_taken() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.publish(Want::Rebuild);
    let mut store = Store::open(&m.places).unwrap();
    let ann = LoginName::parse("ann").unwrap();
    assert!(store.remove(&ann, 2, "root").unwrap());
    assert!(!store.remove(&ann, 2, "root").unwrap());
    assert_eq!(m.publish(Want::UpToDate), Published::Patched);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert!(snapshot.person_by_name(b"ann").unwrap().is_none());
    assert!(snapshot.name_is_tombstoned(b"ann").unwrap() && snapshot.uid_is_tombstoned(5000).unwrap());
    assert!(snapshot.group_by_name(b"idp-staff").unwrap().unwrap().members().unwrap().is_empty());
    assert!(matches!(m.sign_in("ann", 5000, "s1", &[]), Err(RecordError::Tombstoned)));
    assert!(matches!(m.sign_in("bob", 5000, "s2", &[]), Err(RecordError::Tombstoned)));
    let renamed = m.sign_in("ann2", 5001, "s1", &[]);
    assert!(matches!(renamed, Err(RecordError::Tombstoned)), "the person was removed, not the name");
}

#[test]
fn a_published_file_that_does_not_add_up_is_made_anew() {
    let m = machine("");
    m.sign_in("ann", 5000, "s1", &[]).unwrap();
    m.publish(Want::Rebuild);
    // Somebody takes a row out behind our back: header and rows contradict each other from now on.
    let mut bytes = std::fs::read(&m.places.nss_db).unwrap();
    bytes[18] = 1;
    std::fs::write(&m.places.nss_db, bytes).unwrap();
    rusqlite::Connection::open(&m.places.nss_db)
        .unwrap()
        .execute("DELETE FROM passwd WHERE uid = 5000", [])
        .unwrap();
    m.sign_in("bob", 5001, "s2", &[]).unwrap();
    assert_eq!(m.publish(Want::UpToDate), Published::Rebuilt);
    let file = m.open();
    assert!(Snapshot::open(file.bytes()).unwrap().person_by_uid(5000).unwrap().is_some());
}

#[test]
fn what_a_killed_publication_left_is_taken_away_by_the_next() {
    let m = machine("");
    let left = ["new", "new.packed", "new.packed-journal"]
        .map(|end| m.places.nss_db.with_extension(format!("db.{end}")));
    for (number, name) in [(1, "ann"), (2, "bob")] {
        left.iter().for_each(|path| std::fs::write(path, b"half").unwrap());
        m.sign_in(name, 5000 + number, name, &[]).unwrap();
        // Made anew first, and then patched.
        let expected = if number == 1 { Published::Rebuilt } else { Published::Patched };
        assert_eq!(m.publish(Want::UpToDate), expected);
        assert!(!left.iter().any(|path| path.exists()));
    }
}

#[test]
fn a_publication_looks_for_what_has_changed_by_its_index() {
    let m = machine("");
    let store = m.store();
    let sql = format!("EXPLAIN QUERY PLAN {}", super::contents::people_after());
    let plan: String = store.connection.query_row(&sql, [0], |row| row.get(3)).unwrap();
    assert!(plan.contains("USING INDEX identity_generation (generation>?)"), "{plan}");
}

#[test]
fn a_file_made_anew_has_its_rows_in_order_and_its_pages_full() {
    let m = machine("");
    for number in 0..400 {
        m.sign_in(&format!("person{number}"), 5000 + number * 7 % 401, &format!("s{number}"), &[]).unwrap();
    }
    m.publish(Want::Rebuild);
    let length = std::fs::metadata(&m.places.nss_db).unwrap().len();
    let repacked = m.dir.path().join("repacked.db");
    rusqlite::Connection::open(&m.places.nss_db)
        .unwrap()
        .execute("VACUUM INTO ?1", [repacked.to_str()])
        .unwrap();
    assert_eq!(length, std::fs::metadata(repacked).unwrap().len());
    assert_eq!(m.open().bytes()[18], 3, "SQLite refuses to write to it");
}

#[test]
fn a_name_or_gid_of_the_machine_is_not_redefined() {
    let mut m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.local = LocalNames::parse(b"ann:x:5000:5000::/:/bin/sh\n", b"idp-staff:x:99:\noauth2-users:x:998:\n");
    m.publish(Want::Rebuild);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let ann = snapshot.person_by_name(b"ann").unwrap().unwrap();
    assert!(!ann.visible && !ann.private_group);
    assert!(snapshot.group_by_name(b"idp-staff").unwrap().is_none());
    assert!(snapshot.group_by_name(b"oauth2-users").unwrap().is_none());
    assert_eq!(snapshot.header().unwrap().group_rows, 0);
    assert!(ann.supplementary().any(|gid| gid == Ok(998)), "membership goes by the machine's own gid");
    m.local = LocalNames::parse(b"ann:x:1000:1000::/:/bin/sh\n", b"");
    m.publish(Want::Rebuild);
    let file = m.open();
    let ann = Snapshot::open(file.bytes()).unwrap().person_by_name(b"ann").unwrap().unwrap();
    assert_eq!(ann.supplementary().count(), 0, "a namesake with another uid inherits nothing");
}

#[test]
fn probes_come_and_go_without_a_trace() {
    let m = machine("");
    let mut store = Store::open(&m.places).unwrap();
    let probes = [
        (account("oauth2-probe-a", 7000), RowState::Reserved),
        (account("oauth2-probe-b", 7001), RowState::Confirmed),
    ];
    store.set_probes(&probes, 1).unwrap();
    m.publish(Want::UpToDate);
    let file = m.open();
    let person = Snapshot::open(file.bytes()).unwrap().person_by_name(b"oauth2-probe-b").unwrap().unwrap();
    assert_eq!(person.state, State::Confirmed);
    assert!(matches!(m.sign_in("oauth2-probe-b", 7001, "s", &[]), Err(RecordError::Locked)));
    store.set_probes(&[], 2).unwrap();
    assert_eq!(m.publish(Want::UpToDate), Published::Rebuilt);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert!(snapshot.person_by_uid(7001).unwrap().is_none());
    assert!(!snapshot.name_is_tombstoned(b"oauth2-probe-b").unwrap());
}

#[test]
fn a_day_is_published_only_where_an_age_is_configured() {
    for (extra, expected) in [("", Published::Current), (r#","max_confirmation_age":30"#, Published::Patched)]
    {
        let m = machine(extra);
        m.sign_in("ann", 5000, "s1", &[]).unwrap();
        m.publish(Want::Rebuild);
        m.sign_in_on(Day(20_001), "ann", 5000, "s1", &[]).unwrap();
        assert_eq!(m.publish(Want::UpToDate), expected);
    }
}

#[test]
fn people_whom_the_policy_shuts_out_are_published_as_denied() {
    let m = machine(r#","allowed_users":["bob"]"#);
    m.sign_in("ann", 5000, "s1", &[]).unwrap();
    m.publish(Want::Rebuild);
    let file = m.open();
    let ann = Snapshot::open(file.bytes()).unwrap().person_by_name(b"ann").unwrap().unwrap();
    assert_eq!(ann.state, State::Denied);
    assert_ne!(ann.shell, LOCKED_SHELL.as_bytes());
}

#[test]
fn a_publication_refreshes_the_parameters_but_never_makes_them() {
    let mut m = machine("");
    m.publish(Want::Rebuild);
    assert!(!m.places.first_login.exists());
    parameters::enable(&m.places, &m.inputs(), "oauth2", &SystemClock::new()).unwrap();
    m.config.accounts.shell = "/bin/zsh".into();
    m.publish(Want::Rebuild);
    let text = std::fs::read_to_string(&m.places.first_login).unwrap();
    assert_eq!(crate::first_login::FirstLogin::parse(&text).unwrap().shell, "/bin/zsh");
    assert!(parameters::disable(&m.places, &SystemClock::new()).unwrap());
    assert!(!parameters::disable(&m.places, &SystemClock::new()).unwrap());
}

#[test]
fn a_group_that_was_taken_out_of_group_map_grants_nothing_from_the_next_publication_on() {
    let mut m = machine("");
    m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
    m.config.mapping.group_map.clear();
    m.publish(Want::Rebuild);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert!(snapshot.group_by_name(b"idp-staff").unwrap().is_none());
    let ann = snapshot.person_by_name(b"ann").unwrap().unwrap();
    assert!(!ann.supplementary().any(|gid| gid == Ok(6000)));
    m.config.mapping.group_map.insert("s".into(), GroupName::parse("renamed").unwrap());
    m.publish(Want::Rebuild);
    let file = m.open();
    let renamed = Snapshot::open(file.bytes()).unwrap().group_by_name(b"renamed").unwrap().unwrap();
    assert_eq!((renamed.gid, renamed.members().unwrap()), (6000, vec!["ann".to_owned()]));
}

#[test]
fn twenty_sign_ins_at_once_share_publications_and_all_are_there() {
    let m = machine("");
    std::thread::scope(|scope| {
        for n in 0..20 {
            let m = &m;
            scope.spawn(move || {
                let name = format!("user{n}");
                m.sign_in(&name, 5000 + n, &name, &[staff(6000)]).unwrap();
                m.publish(Want::UpToDate);
                let file = m.open();
                let found = Snapshot::open(file.bytes()).unwrap().person_by_name(name.as_bytes()).unwrap();
                assert_eq!(found.unwrap().uid.get(), 5000 + n);
            });
        }
    });
    let file = m.open();
    let group = Snapshot::open(file.bytes()).unwrap().group_by_gid(6000).unwrap().unwrap();
    assert_eq!(group.members().unwrap().len(), 20);
    assert_eq!(m.integrity(), "ok");
}

#[test]
fn a_hundred_first_sign_ins_of_one_person_at_once_make_one_row() {
    let m = machine("");
    m.publish(Want::Rebuild);
    let firsts: Vec<bool> = std::thread::scope(|scope| {
        let sign_in = |_| {
            scope.spawn(|| {
                let recorded = m.sign_in("ann", 5000, "s1", &[staff(6000)]).unwrap();
                m.publish(Want::UpToDate);
                let file = m.open();
                let found = Snapshot::open(file.bytes()).unwrap().person_by_name(b"ann").unwrap();
                assert_eq!(found.unwrap().uid.get(), 5000);
                recorded.first
            })
        };
        let all: Vec<_> = (0..100).map(sign_in).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(firsts.iter().filter(|first| **first).count(), 1);
    assert_eq!(m.store().people().unwrap().len(), 1);
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let header = snapshot.header().unwrap();
    assert_eq!((header.generation, header.people), (1, 1), "one change, and all the others found it made");
    assert_eq!(snapshot.group_by_gid(6000).unwrap().unwrap().members().unwrap(), ["ann"]);
    assert_eq!(m.publish(Want::UpToDate), Published::Current);
}

#[test]
fn a_store_that_others_can_reach_or_that_is_missing_is_refused() {
    let m = machine("");
    set_mode(&m.places.store, 0o644).unwrap();
    assert!(matches!(Store::open(&m.places), Err(StoreError::File(_))));
    std::fs::remove_file(&m.places.store).unwrap();
    assert!(matches!(Store::open(&m.places), Err(StoreError::Missing(_))));
    std::fs::write(&m.places.store, "no database").unwrap();
    set_mode(&m.places.store, 0o600).unwrap();
    assert!(matches!(Store::open(&m.places), Err(StoreError::Sqlite(_))));
    drop(m.dir);
}
