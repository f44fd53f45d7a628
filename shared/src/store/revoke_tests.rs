//! Whom the provider's groups let in no longer, down to what is published of them.

use super::publish::{Published, Want};
use super::test_machine::{Machine, machine, name};
use super::*;
use crate::snapshot::{Snapshot, State};
use crate::types::{Issuer, Subject, Uid};

const RULE: &str = r#","allowed_groups":["s"]"#;

fn revoke(m: &Machine, login: &str, uid: u32, issuer: &str, subject: &str) -> bool {
    let (issuer, subject) = (Issuer::parse(issuer).unwrap(), Subject::parse(subject).unwrap());
    let (name, uid) = (name(login), Uid::new(uid).unwrap());
    let whom = Whom { name: &name, uid, issuer: &issuer, subject: &subject };
    let is_bound = m.store().is_bound(whom).unwrap();
    let revoked = m.store().revoke(whom, "in none of allowed_groups", 1).unwrap();
    assert!(is_bound || !revoked, "the two agree on who it is");
    revoked
}

fn state(m: &Machine, login: &str) -> State {
    m.publish(Want::UpToDate);
    let file = m.open();
    Snapshot::open(file.bytes()).unwrap().person_by_name(login.as_bytes()).unwrap().unwrap().state
}

fn events(m: &Machine) -> Vec<String> {
    let connection = rusqlite::Connection::open(&m.places.store).unwrap();
    let sql = "SELECT kind || ' ' || actor FROM event WHERE kind IN ('revoked', 'reinstated') ORDER BY id";
    let mut statement = connection.prepare(sql).unwrap();
    let kinds = statement.query_map([], |row| row.get(0)).unwrap();
    kinds.collect::<Result<_, _>>().unwrap()
}

#[test]
fn somebody_who_is_revoked_is_published_as_denied_until_an_admitted_sign_in_of_the_same_day() {
    let m = machine(RULE);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    assert_eq!(state(&m, "ann"), State::Confirmed);
    assert!(revoke(&m, "ann", 5000, "https://i", "a"));
    assert_eq!(m.publish(Want::UpToDate), Published::Patched);
    assert_eq!(state(&m, "ann"), State::Denied);
    assert!(!revoke(&m, "ann", 5000, "https://i", "a"), "they were");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    assert_eq!(state(&m, "ann"), State::Confirmed);
    assert_eq!(events(&m), ["revoked sign-in", "reinstated sign-in"]);
}

#[test]
fn nobody_is_revoked_by_somebody_elses_token() {
    let m = machine(RULE);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    for (login, uid, issuer, subject) in [
        ("ann", 5000, "https://i", "b"),
        ("ann", 5000, "https://i", "x"),
        ("ann", 5000, "https://other", "a"),
        ("ann", 5001, "https://i", "a"),
        ("bob", 5000, "https://i", "a"),
        ("zoe", 5000, "https://i", "a"),
    ] {
        assert!(!revoke(&m, login, uid, issuer, subject), "{login} {uid} {issuer} {subject}");
    }
    assert!(!m.person("ann").revoked && !m.person("bob").revoked);
    assert!(events(&m).is_empty());
}

/// Of these the account phase is silent until the first sign-in, so that their keys open the account.
#[test]
fn somebody_bound_beforehand_to_an_account_of_others_is_revoked_too_and_reinstated_by_their_first_sign_in() {
    let m = machine(RULE);
    let key = || Some((Issuer::parse("https://i").unwrap(), Subject::parse("a").unwrap()));
    m.reserve("ann", 5000, |wanted| (wanted.subject, wanted.existing) = (key(), true)).unwrap();
    assert_eq!(state(&m, "ann"), State::Reserved);
    assert!(!revoke(&m, "ann", 5000, "https://i", "x"), "somebody else's subject");
    assert!(revoke(&m, "ann", 5000, "https://i", "a"));
    assert_eq!(state(&m, "ann"), State::Denied);
    assert_eq!(m.person("ann").state, RowState::Reserved, "nobody has signed in");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    assert_eq!(state(&m, "ann"), State::Confirmed);
    assert_eq!(events(&m), ["revoked sign-in", "reinstated sign-in"]);
}

#[test]
fn nothing_is_taken_from_whom_a_key_opens_nothing_or_whom_nobody_has_bound() {
    let m = machine(RULE);
    let key = || Some((Issuer::parse("https://i").unwrap(), Subject::parse("a").unwrap()));
    // A reserved row of ours: the account phase refuses its keys until the first sign-in anyway.
    m.reserve("ann", 5000, |wanted| wanted.subject = key()).unwrap();
    // An account of others that is bound to nobody: whoever can choose the name at the provider could shut it.
    m.reserve("bob", 5001, |wanted| wanted.existing = true).unwrap();
    assert!(!revoke(&m, "ann", 5000, "https://i", "a"));
    assert!(!revoke(&m, "bob", 5001, "https://i", "b"));
    assert_eq!((state(&m, "ann"), state(&m, "bob")), (State::Reserved, State::Reserved));
}

#[test]
fn a_lock_is_stronger_and_unlocking_does_not_reinstate() {
    let m = machine(RULE);
    let by = By { actor: "root", now: 1 };
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    assert!(revoke(&m, "ann", 5000, "https://i", "a"));
    m.store().lock(&name("ann"), by).unwrap();
    assert_eq!(state(&m, "ann"), State::Locked);
    m.store().unlock(&name("ann"), by).unwrap();
    assert_eq!(state(&m, "ann"), State::Denied);
    m.store().lock(&name("ann"), by).unwrap();
    assert!(!revoke(&m, "ann", 5000, "https://i", "a"), "a locked person never gets so far");
}

#[test]
fn without_allowed_groups_nobody_is_shut_out_by_them() {
    let mut m = machine(RULE);
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    revoke(&m, "ann", 5000, "https://i", "a");
    m.config.policy.allowed_groups = None;
    m.publish(Want::Rebuild);
    assert_eq!(state(&m, "ann"), State::Confirmed);
}
