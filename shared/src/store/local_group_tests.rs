//! Membership in the machine's own groups.

use super::publish::{PublishError, Want, publish};
use super::test_machine::{Machine, machine, staff};
use crate::clock::SystemClock;
use crate::etc::LocalNames;
use crate::snapshot::Snapshot;

const GROUP: &[u8] = b"root:x:0:\nsudo:x:27:\nadmins:x:27:\nusers2:x:1500:\nzero:x:0:\nops:x:1600:\n";

fn with_local_groups(keys: &str) -> Machine {
    let mut m = machine(keys);
    m.local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", GROUP);
    m
}

fn gids(m: &Machine, name: &str) -> Vec<u32> {
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    snapshot.person_by_name(name.as_bytes()).unwrap().unwrap().supplementary().map(Result::unwrap).collect()
}

fn members(m: &Machine, group: &str) -> Option<(u32, Vec<String>)> {
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let group = snapshot.group_by_name(group.as_bytes()).unwrap()?;
    Some((group.gid, group.members().unwrap()))
}

#[test]
fn everybody_is_in_a_local_group_under_its_own_gid() {
    let m = with_local_groups(r#", "local_group": "users2""#);
    m.sign_in("ann", 5000, "a", &[staff(6000)]).unwrap();
    m.publish(Want::UpToDate);
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    m.publish(Want::UpToDate);
    let people = m.config.accounts.people_gid.get();
    assert_eq!(gids(&m, "ann"), [1500, 6000, people]);
    assert_eq!(gids(&m, "bob"), [1500, people]);
    assert_eq!(members(&m, "users2"), Some((1500, vec!["ann".into(), "bob".into()])));
    assert_eq!(m.integrity(), "ok");
}

#[test]
fn a_group_that_is_missing_or_roots_by_any_name_is_granted_to_nobody() {
    let m = with_local_groups(r#", "local_groups": ["missing", "zero", "admins"]"#);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.publish(Want::UpToDate);
    assert_eq!(gids(&m, "ann"), [m.config.accounts.people_gid.get()]);
    assert_eq!((members(&m, "admins"), members(&m, "zero")), (None, None));
    let ungranted: Vec<String> = m.inputs().ungranted_groups().map(str::to_owned).collect();
    assert_eq!(ungranted, ["missing", "zero", "admins"]);
}

#[test]
fn a_privileged_group_is_granted_when_it_is_named_twice() {
    let m = with_local_groups(r#", "local_groups": ["sudo"], "allow_privileged_groups": ["sudo"]"#);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.publish(Want::UpToDate);
    assert_eq!(gids(&m, "ann"), [27, m.config.accounts.people_gid.get()]);
    assert_eq!(members(&m, "sudo"), Some((27, vec!["ann".into()])));
}

#[test]
fn a_membership_of_one_person_is_theirs_alone() {
    let m = with_local_groups("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    m.execute("INSERT INTO local_membership SELECT id, 'ops' FROM identity WHERE login_name = 'ann'");
    m.execute("INSERT INTO local_membership SELECT id, 'sudo' FROM identity WHERE login_name = 'ann'");
    m.publish(Want::Rebuild);
    assert_eq!(gids(&m, "ann"), [1600, m.config.accounts.people_gid.get()]);
    assert_eq!(gids(&m, "bob"), [m.config.accounts.people_gid.get()]);
    assert_eq!(members(&m, "ops"), Some((1600, vec!["ann".into()])));
    assert_eq!(members(&m, "sudo"), None, "an old row of a group that is not allowed");
    m.sign_in("eve", 5002, "e", &[]).unwrap();
    m.publish(Want::UpToDate);
    assert_eq!(members(&m, "ops"), Some((1600, vec!["ann".into()])));
}

#[test]
fn two_names_of_one_gid_are_one_group() {
    let mut m = with_local_groups("");
    m.local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"ops:x:1600:\nops2:x:1600:\n");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    m.execute("INSERT INTO local_membership SELECT id, 'ops' FROM identity WHERE login_name = 'ann'");
    m.execute("INSERT INTO local_membership SELECT id, 'ops2' FROM identity WHERE login_name = 'bob'");
    m.publish(Want::Rebuild);
    assert_eq!(members(&m, "ops"), Some((1600, vec!["ann".into(), "bob".into()])));
    assert_eq!(members(&m, "ops2"), None);
}

#[test]
fn the_people_group_is_no_other_name_of_a_privileged_one() {
    let mut m = with_local_groups(r#", "people_group": "admins""#);
    let refused = publish(&m.places, &|| Ok(m.inputs()), Want::Rebuild, &SystemClock::new());
    assert!(matches!(refused, Err(PublishError::PeopleGroup(_))), "{refused:?}");
    m.local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"admins:x:1700:\n");
    m.publish(Want::Rebuild);
}

#[test]
fn a_user_of_the_machine_with_the_name_of_a_person_is_no_member() {
    let mut m = with_local_groups(r#", "local_group": "users2""#);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\nann:x:1001:1001::/:/bin/sh\n", GROUP);
    m.publish(Want::Rebuild);
    assert_eq!(gids(&m, "ann"), [] as [u32; 0]);
    assert_eq!(members(&m, "users2"), Some((1500, Vec::new())));
}
