//! Maps of ids, copies of the store, its check, and the audit trail.

use super::ids::by_key;
use super::publish::Want;
use super::restore::Candidate;
use super::test_machine::{Machine, account, machine, name, staff};
use super::*;
use crate::clock::SystemClock;

const BY: By<'_> = By { actor: "root", now: 7 };

fn reserve(machine: &Machine, login: &str, uid: u32, groups: &[GroupClaim]) {
    let wanted = Reservation {
        account: &account(login, uid),
        subject: None,
        expires: None,
        groups,
        local_groups: &[],
        reuse_name: false,
        adopt_home: false,
        existing: false,
    };
    machine.store().reserve(&wanted, BY).unwrap();
}

fn import(machine: &Machine, map: &[IdEntry]) -> Imported {
    machine.store().import_ids(map, &|_| None, false, BY).unwrap()
}

/// Everybody that a map can hold.
fn fleet() -> Machine {
    let machine = machine("");
    reserve(&machine, "ann", 4001, &[staff(4100)]);
    machine.sign_in("bob", 4002, "bob-sub", &[]).unwrap();
    machine.store().remove(&name("bob"), 8, "root").unwrap();
    machine.sign_in("carl", 4003, "carl-sub", &[]).unwrap();
    machine.store().pin(&name("carl"), crate::types::Uid::new(4004).unwrap(), true, BY).unwrap();
    machine.store().rename(&name("carl"), &name("karl"), false, BY).unwrap();
    machine.store().lock(&name("karl"), BY).unwrap();
    machine
}

fn differences(machine: &Machine) -> Vec<String> {
    check::differences(&machine.places, &|| Ok(machine.inputs()), &SystemClock::new()).unwrap()
}

// Maps

#[test]
fn an_imported_map_is_the_map_and_a_second_import_changes_nothing() {
    let (there, here) = (fleet(), machine(""));
    let map = there.store().id_map().unwrap();
    assert_eq!(import(&here, &map).added.len(), map.len());
    assert_eq!(by_key(&here.store().id_map().unwrap()), by_key(&map));
    assert_eq!(here.person("karl").state, RowState::Locked);
    assert_eq!(here.person("ann").state, RowState::Reserved);
    assert_eq!(here.store().group_names(&name("ann")).unwrap(), ["idp-staff"]);
    assert_eq!(import(&here, &map), Imported::default());
}

#[test]
fn who_was_removed_there_is_shut_out_here() {
    let (there, here) = (fleet(), machine(""));
    import(&here, &there.store().id_map().unwrap());
    let error = here.sign_in("bobby", 4500, "bob-sub", &[]).unwrap_err();
    assert!(matches!(error, RecordError::Tombstoned), "{error}");
    let error = here.sign_in("other", 4003, "other-sub", &[]).unwrap_err();
    assert!(matches!(error, RecordError::Tombstoned | RecordError::UidCollision), "{error}");
}

#[test]
fn a_trial_run_and_an_import_with_a_conflict_write_nothing() {
    let (there, here) = (fleet(), machine(""));
    let map = there.store().id_map().unwrap();
    let before = std::fs::read(&here.places.store).unwrap();
    let dry = here.store().import_ids(&map, &|_| None, true, BY).unwrap();
    assert_eq!((dry.added.len(), dry.conflicts.len()), (map.len(), 0));
    let objection = |entry: &IdEntry| matches!(entry, IdEntry::Person(_)).then(|| "taken".to_owned());
    let refused = here.store().import_ids(&map, &objection, false, BY).unwrap();
    assert_eq!(refused.conflicts.len(), 2, "{refused:?}");
    assert_eq!(std::fs::read(&here.places.store).unwrap(), before);
}

#[test]
fn every_disagreement_is_a_conflict_of_two_sides() {
    let person = |login: &str, uid, subject: Option<&str>| {
        IdEntry::Person(IdPerson {
            name: login.into(),
            uid,
            home: format!("/home/{login}"),
            shell: "/bin/bash".into(),
            gecos: String::new(),
            locked: false,
            expires_day: None,
            issuer: subject.map(|_| "https://i".into()),
            subject: subject.map(Into::into),
            groups: vec![],
        })
    };
    let former = |login: &str, uid, subject: Option<&str>| {
        IdEntry::Removed(FormerId {
            name: login.into(),
            uid,
            issuer: subject.map(|_| "https://i".into()),
            subject: subject.map(Into::into),
        })
    };
    let cases = [
        (person("ann", 4999, None), "ann has uid 4001"),
        (person("new", 4001, None), "4001 is ann's"),
        (person("new", 4002, None), "4002 is the former uid of bob"),
        (person("new", 4100, None), "4100 is the group idp-staff's"),
        (person("bob", 4998, None), "bob was removed, with uid 4002"),
        (person("carl", 4997, None), "carl is a former name, with uid 4004"),
        (person("karl", 4004, Some("x")), "karl is bound to https://i carl-sub"),
        (person("new", 4996, Some("carl-sub")), "karl is"),
        (person("new", 4996, Some("bob-sub")), "bob was, and was removed"),
        (former("ann", 4001, None), "uid 4001 is ann's"),
        (former("else", 4002, None), "uid 4002 was bob's"),
        (former("new", 4995, Some("carl-sub")), "the same person is karl"),
        (IdEntry::FormerName { name: "ann".into(), uid: 5 }, "ann has uid 4001"),
        (IdEntry::FormerName { name: "carl".into(), uid: 5 }, "former name of uid 4004"),
        (IdEntry::Group { provider_id: "s".into(), name: "x".into(), gid: 4101 }, "it has gid 4100"),
        (IdEntry::Group { provider_id: "t".into(), name: "x".into(), gid: 4001 }, "4001 is ann's"),
    ];
    let machine = fleet();
    for (entry, here) in cases {
        let imported = import(&machine, std::slice::from_ref(&entry));
        let [conflict] = imported.conflicts.as_slice() else { panic!("{entry:?}: {imported:?}") };
        assert!(conflict.here.contains(here), "{entry:?}: {conflict:?}");
    }
}

#[test]
fn a_name_that_was_given_to_somebody_new_there_is_theirs_here_too() {
    let (there, here) = (fleet(), fleet());
    let wanted = Reservation {
        account: &account("bob", 4600),
        subject: None,
        expires: None,
        groups: &[],
        local_groups: &[],
        reuse_name: true,
        adopt_home: false,
        existing: false,
    };
    there.store().reserve(&wanted, BY).unwrap();
    let imported = import(&here, &there.store().id_map().unwrap());
    assert_eq!(imported.conflicts, [], "{imported:?}");
    assert_eq!(here.person("bob").account.uid.get(), 4600);
    assert!(here.store().tombstone(&name("bob")).unwrap().is_some());
}

#[test]
fn a_binding_that_is_missing_here_is_taken_over() {
    let (there, here) = (machine(""), machine(""));
    there.sign_in("ann", 4001, "ann-sub", &[]).unwrap();
    reserve(&here, "ann", 4001, &[]);
    assert_eq!(import(&here, &there.store().id_map().unwrap()).added.len(), 1);
    assert_eq!(
        here.person("ann").subject.map(|(_, subject)| subject.as_str().to_owned()),
        Some("ann-sub".into())
    );
}

// Groups

#[test]
fn a_settled_gid_is_the_groups_for_ever() {
    let machine = fleet();
    let claim = |gid| GroupClaim { provider_id: "t".into(), ..staff(gid) };
    assert!(machine.store().settle_group(&claim(4200), BY).unwrap());
    assert!(!machine.store().settle_group(&claim(4200), BY).unwrap());
    for gid in [4201, 4001] {
        assert!(machine.store().settle_group(&claim(gid), BY).is_err());
    }
    assert!(
        machine.store().settle_group(&GroupClaim { provider_id: "u".into(), ..staff(4002) }, BY).is_err()
    );
    let groups = machine.store().provider_groups().unwrap();
    assert_eq!(groups.first().map(|group| group.members.clone()), Some(vec!["ann".to_owned()]));
}

// Check

#[test]
fn what_is_published_is_what_the_store_says_after_patches_and_after_a_rebuild() {
    let machine = fleet();
    machine.publish(Want::Rebuild);
    assert_eq!(differences(&machine), [] as [&str; 0]);
    for number in 0..50 {
        machine.sign_in(&format!("p{number}"), 5000 + number, &format!("s{number}"), &[staff(4100)]).unwrap();
        machine.publish(Want::UpToDate);
    }
    assert_eq!(differences(&machine), [] as [&str; 0]);
    assert_eq!(machine.leftovers(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    let machine = fleet();
    for (change, table) in [
        ("UPDATE identity SET shell = '/bin/x' WHERE login_name = 'ann'", "passwd_name"),
        ("DELETE FROM tombstone", "tombstone"),
        ("DELETE FROM membership", "grp"),
        ("UPDATE meta SET generation = generation + 1", "header"),
    ] {
        machine.publish(Want::Rebuild);
        assert_eq!(differences(&machine), [] as [&str; 0]);
        machine.execute(change);
        let found = differences(&machine).join("; ");
        assert!(found.contains(table), "{change}: {found}");
    }
    std::fs::write(&machine.places.nss_db, "nonsense").unwrap();
    assert_eq!(differences(&machine).len(), 1);
}

#[test]
fn a_row_that_nobody_would_have_written_is_a_fault() {
    let machine = fleet();
    assert_eq!(machine.store().faults().unwrap(), [] as [&str; 0]);
    machine.execute("UPDATE identity SET login_name = 'No Name' WHERE login_name = 'ann'");
    assert_eq!(machine.store().faults().unwrap().len(), 1);
}

// Copies

#[test]
fn a_restored_store_is_the_one_of_the_backup_and_the_other_is_kept() {
    let machine = fleet();
    let backup = machine.dir.path().join("backup.db");
    machine.store().backup(&backup).unwrap();
    assert!(machine.store().backup(&backup).is_err(), "an existing file is not overwritten");
    let candidate = Candidate::new(&machine.places, &backup).unwrap();
    assert!(candidate.consequences(&machine.store()).unwrap().same);
    drop(candidate);
    machine.store().remove(&name("ann"), 9, "root").unwrap();
    reserve(&machine, "dora", 4700, &[]);
    machine.publish(Want::UpToDate);
    let candidate = Candidate::new(&machine.places, &backup).unwrap();
    let consequences = candidate.consequences(&machine.store()).unwrap();
    assert_eq!(consequences.returning, ["ann"]);
    assert_eq!(consequences.lost, ["4700 is dora's, and would be nobody's"]);
    let kept = machine.dir.path().join("state/private/kept.db");
    candidate.take(&machine.places, &kept, BY, &SystemClock::new()).unwrap();
    machine.publish(Want::UpToDate);
    assert_eq!(differences(&machine), [] as [&str; 0]);
    assert!(machine.store().person(&name("dora")).unwrap().is_none());
    assert_eq!(machine.person("ann").account.uid.get(), 4001);
    assert!(kept.exists() && !machine.places.store.with_extension("db.restore").exists());
}

#[test]
fn a_backup_of_an_older_version_is_brought_to_this_one() {
    let machine = fleet();
    let file = machine.dir.path().join("old.db");
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch(include_str!("../../../migrations/0001_initial.sql")).unwrap();
    old.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(old);
    let candidate = Candidate::new(&machine.places, &file).unwrap();
    let lost = candidate.consequences(&machine.store()).unwrap().lost;
    assert_eq!(lost.len(), machine.store().id_map().unwrap().len() - 1, "all but the former name: {lost:?}");
}

#[test]
fn what_shuts_people_out_since_the_backup_is_named() {
    let machine = fleet();
    let backup = machine.dir.path().join("backup.db");
    machine.store().backup(&backup).unwrap();
    machine.execute(
        "UPDATE identity SET state = 'locked', revoked = 1, expires_day = 5, issuer = 'https://i', subject = 'new' \
         WHERE login_name = 'ann'",
    );
    let lifted =
        Candidate::new(&machine.places, &backup).unwrap().consequences(&machine.store()).unwrap().lifted;
    assert_eq!(lifted.len(), 4, "{lifted:?}");
    assert!(lifted.iter().all(|what| what.starts_with("ann ")), "karl was locked before: {lifted:?}");
}

#[test]
fn a_store_that_somebody_is_writing_to_is_not_replaced() {
    let machine = fleet();
    let backup = machine.dir.path().join("backup.db");
    machine.store().backup(&backup).unwrap();
    let writer = rusqlite::Connection::open(&machine.places.store).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let candidate = Candidate::new(&machine.places, &backup).unwrap();
    let kept = machine.dir.path().join("state/private/kept.db");
    assert!(candidate.take(&machine.places, &kept, BY, &SystemClock::new()).is_err());
    assert!(!kept.exists());
}

#[test]
fn whoever_has_the_old_store_open_cannot_write_to_it_any_more() {
    let machine = fleet();
    let backup = machine.dir.path().join("backup.db");
    machine.store().backup(&backup).unwrap();
    let mut slow = machine.store();
    slow.people().unwrap();
    let candidate = Candidate::new(&machine.places, &backup).unwrap();
    let kept = machine.dir.path().join("state/private/kept.db");
    candidate.take(&machine.places, &kept, BY, &SystemClock::new()).unwrap();
    assert!(slow.lock(&name("ann"), BY).is_err());
    assert_eq!(machine.person("ann").state, RowState::Reserved);
}

#[test]
fn the_journal_of_a_damaged_store_is_not_rolled_back_into_the_restored_one() {
    let machine = fleet();
    let backup = machine.dir.path().join("backup.db");
    machine.store().backup(&backup).unwrap();
    std::fs::write(&machine.places.store, "nonsense").unwrap();
    let mut journal = machine.places.store.clone().into_os_string();
    journal.push("-journal");
    std::fs::write(&journal, "what nobody can read").unwrap();
    let kept = machine.dir.path().join("state/private/kept.db");
    let candidate = Candidate::new(&machine.places, &backup).unwrap();
    candidate.take(&machine.places, &kept, BY, &SystemClock::new()).unwrap();
    assert!(!std::path::Path::new(&journal).exists());
    assert_eq!(std::fs::read(&kept).unwrap(), b"nonsense");
    assert_eq!(machine.store().faults().unwrap(), [] as [&str; 0]);
}

#[test]
fn what_is_no_backup_is_not_taken() {
    let machine = fleet();
    let file = machine.dir.path().join("backup.db");
    assert!(Candidate::new(&machine.places, &file).is_err());
    std::fs::write(&file, "nothing").unwrap();
    assert!(Candidate::new(&machine.places, &file).is_err());
    std::fs::remove_file(&file).unwrap();
    machine.store().backup(&file).unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch("UPDATE identity SET state = 'confirmed', home = '/x', shell = '/y', login_name = 'A B', probe = 1").unwrap_err();
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("UPDATE identity SET login_name = 'A B' WHERE login_name = 'ann'").unwrap();
    drop(other);
    assert!(Candidate::new(&machine.places, &file).is_err());
}

// Audit

#[test]
fn events_are_filtered_and_pruned_with_a_line_that_says_so() {
    let machine = fleet();
    machine.execute(
        "INSERT INTO event(at, kind, login_name, actor, detail) VALUES (3, 'locked', 'old', 'root', '')",
    );
    let events = |filter: EventFilter| machine.store().events(&filter).unwrap();
    let of_karl = events(EventFilter { login_name: Some("karl".into()), ..EventFilter::default() });
    assert_eq!(of_karl.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["renamed", "locked"]);
    assert_eq!(events(EventFilter { kind: Some("locked".into()), ..EventFilter::default() }).len(), 2);
    assert_eq!(events(EventFilter { since: 8, ..EventFilter::default() }).len(), 1);
    let last = events(EventFilter::default()).last().map_or(0, |event| event.id);
    assert_eq!(events(EventFilter { after: last, ..EventFilter::default() }), []);
    let before = events(EventFilter::default()).len();
    let old = machine.store().count_events_before(4).unwrap();
    assert_eq!(machine.store().prune_events(4, BY).unwrap(), old);
    assert_eq!(machine.store().prune_events(4, BY).unwrap(), 0);
    let kept = events(EventFilter::default());
    assert_eq!(kept.len() as u64, before as u64 - old + 1);
    assert_eq!(kept.last().map(|event| event.kind.as_str()), Some("audit_pruned"));
}
