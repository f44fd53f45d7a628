//! What administrators change about people, down to what is published of it.

use super::publish::{Published, Want};
use super::test_machine::{Machine, account, machine, name, staff};
use super::*;
use crate::clock::Day;
use crate::identity::account::Account;
use crate::snapshot::{Snapshot, State};
use crate::types::{Issuer, Subject, Uid};

pub(super) const BY: By<'static> = By { actor: "root", now: 1 };

pub(super) fn uid(uid: u32) -> Uid {
    Uid::new(uid).unwrap()
}

fn key(subject: &str) -> (Issuer, Subject) {
    (Issuer::parse("https://i").unwrap(), Subject::parse(subject).unwrap())
}

pub(super) fn reservation(account: &Account) -> Reservation<'_> {
    Reservation {
        account,
        subject: None,
        expires: None,
        groups: &[],
        local_groups: &[],
        reuse_name: false,
        adopt_home: false,
        existing: false,
    }
}

impl Machine {
    pub(super) fn reserve(
        &self,
        login: &str,
        uid: u32,
        change: impl FnOnce(&mut Reservation<'_>),
    ) -> Result<(), RosterError> {
        let account = account(login, uid);
        let mut wanted = reservation(&account);
        change(&mut wanted);
        self.store().reserve(&wanted, BY)
    }

    fn bind(&self, login: &str, subject: &str, force: bool) -> Result<bool, RosterError> {
        let (issuer, subject) = key(subject);
        self.store().bind(&name(login), (&issuer, &subject), force, BY)
    }

    pub(super) fn rename(&self, old: &str, new: &str, reuse_name: bool) -> Result<bool, RosterError> {
        self.store().rename(&name(old), &name(new), reuse_name, BY)
    }

    pub(super) fn remove(&self, login: &str) {
        assert!(self.store().remove(&name(login), 1, "root").unwrap());
    }

    /// (state, uid, shell) as published, after an ordinary publication.
    pub(super) fn published(&self, login: &str) -> Option<(State, u32, String)> {
        self.publish(Want::UpToDate);
        let file = self.open();
        let snapshot = Snapshot::open(file.bytes()).unwrap();
        let person = snapshot.person_by_name(login.as_bytes()).unwrap()?;
        Some((person.state, person.uid.get(), String::from_utf8(person.shell.to_vec()).unwrap()))
    }

    pub(super) fn is_published_as_former(&self, login: &str, uid: u32) -> (bool, bool) {
        self.publish(Want::UpToDate);
        let file = self.open();
        let snapshot = Snapshot::open(file.bytes()).unwrap();
        (snapshot.name_is_tombstoned(login.as_bytes()).unwrap(), snapshot.uid_is_tombstoned(uid).unwrap())
    }

    fn events(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(&self.places.store).unwrap();
        let mut statement = connection
            .prepare("SELECT kind || ' ' || login_name || ' ' || actor FROM event ORDER BY id")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

#[test]
fn a_lock_is_published_and_taken_off_to_what_the_person_was() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.reserve("bob", 5001, |wanted| wanted.subject = Some(key("b"))).unwrap();
    for (login, state) in [("ann", State::Confirmed), ("bob", State::Reserved)] {
        assert!(m.store().lock(&name(login), BY).unwrap());
        assert!(!m.store().lock(&name(login), BY).unwrap());
        let published = m.published(login).unwrap();
        assert_eq!((published.0, published.2.as_str()), (State::Locked, LOCKED_SHELL));
        assert!(m.store().unlock(&name(login), BY).unwrap());
        assert!(!m.store().unlock(&name(login), BY).unwrap());
        assert_eq!(m.published(login).unwrap().0, state, "bound is not confirmed");
    }
    assert!(matches!(m.store().lock(&name("eve"), BY), Err(RosterError::NotFound(_))));
}

#[test]
fn nobody_signs_in_while_locked() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.store().lock(&name("ann"), BY).unwrap();
    assert!(matches!(m.sign_in("ann", 5000, "a", &[]), Err(RecordError::Locked)));
    assert_eq!(m.person("ann").state, RowState::Locked);
}

#[test]
fn a_day_of_expiry_is_published_and_taken_away() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    let expires = |m: &Machine| {
        m.publish(Want::UpToDate);
        let file = m.open();
        Snapshot::open(file.bytes()).unwrap().person_by_name(b"ann").unwrap().unwrap().expires_day
    };
    assert!(m.store().set_expiry(&name("ann"), Some(Day(21_000)), BY).unwrap());
    assert!(!m.store().set_expiry(&name("ann"), Some(Day(21_000)), BY).unwrap());
    assert_eq!(expires(&m), Some(21_000));
    assert!(m.store().set_expiry(&name("ann"), None, BY).unwrap());
    assert_eq!(expires(&m), None);
}

#[test]
fn a_reserved_person_is_published_with_their_groups_and_confirmed_by_the_first_sign_in() {
    let mut m = machine("");
    m.local = crate::etc::LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"ops:x:1600:\n");
    let (groups, local) = ([staff(6000)], ["ops".to_owned()]);
    let ann = account("ann", 7000);
    let wanted = Reservation { groups: &groups, local_groups: &local, ..reservation(&ann) };
    m.store().reserve(&wanted, BY).unwrap();
    assert_eq!(m.published("ann").unwrap().0, State::Reserved);
    let gids = |m: &Machine| -> Vec<u32> {
        let file = m.open();
        let snapshot = Snapshot::open(file.bytes()).unwrap();
        snapshot.person_by_name(b"ann").unwrap().unwrap().supplementary().map(Result::unwrap).collect()
    };
    let people = m.config.accounts.people_gid.get();
    assert_eq!(gids(&m), [1600, 6000, people]);
    assert!(matches!(m.sign_in("ann", 5000, "a", &[]), Err(RecordError::AccountChanged)));
    assert!(!m.sign_in("ann", 7000, "a", &[]).unwrap().first);
    assert_eq!(m.published("ann").unwrap().0, State::Confirmed);
    assert_eq!(
        gids(&m),
        [1600, people],
        "the provider decides about its groups, the administrator about the machine's"
    );
}

#[test]
fn a_binding_beforehand_keeps_everybody_else_out() {
    let m = machine("");
    m.reserve("ann", 5000, |wanted| wanted.subject = Some(key("a"))).unwrap();
    assert!(matches!(m.sign_in("ann", 5000, "b", &[]), Err(RecordError::SubjectMismatch { .. })));
    m.sign_in("ann", 5000, "a", &[]).unwrap();
}

#[test]
fn what_is_taken_is_not_reserved() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[staff(6000)]).unwrap();
    let taken = |login, uid| m.reserve(login, uid, |_| ()).unwrap_err();
    assert!(matches!(taken("ann", 5001), RosterError::NameTaken(_)));
    assert!(matches!(taken("bob", 5000), RosterError::UidTaken { .. }));
    assert!(matches!(taken("bob", 6000), RosterError::UidTaken { .. }));
    assert!(matches!(taken("idp-staff", 5001), RosterError::GroupName(_)));
    let known = m.reserve("bob", 5001, |wanted| wanted.subject = Some(key("a")));
    assert!(matches!(known, Err(RosterError::SubjectKnown(name)) if name.as_str() == "ann"));
    let mut shared_home = account("bob", 5001);
    shared_home.home = "/home/ann".into();
    assert!(matches!(m.store().reserve(&reservation(&shared_home), BY), Err(RosterError::HomeTaken { .. })));
    let clash = [GroupClaim { provider_id: "t".into(), ..staff(5000) }];
    let bob = account("bob", 5001);
    let wanted = Reservation { groups: &clash, ..reservation(&bob) };
    assert!(matches!(m.store().reserve(&wanted, BY), Err(RosterError::GroupTaken(_))));
    assert_eq!(m.store().people().unwrap().len(), 1, "nothing of a refused change stays");
}

#[test]
fn who_was_removed_returns_as_themselves_only() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.remove("ann");
    assert!(matches!(m.reserve("ann", 5001, |_| ()), Err(RosterError::Removed { .. })));
    let other = m.reserve("ann", 5000, |wanted| wanted.subject = Some(key("b")));
    assert!(matches!(other, Err(RosterError::Removed { .. })));
    m.reserve("ann", 5000, |_| ()).unwrap();
    let person = m.person("ann");
    assert_eq!((person.state, person.subject), (RowState::Reserved, Some(key("a"))));
    assert_eq!(m.is_published_as_former("ann", 5000), (false, false));
    assert!(matches!(m.sign_in("ann", 5000, "b", &[]), Err(RecordError::SubjectMismatch { .. })));
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.remove("ann");
    assert_eq!(m.is_published_as_former("ann", 5000), (true, true));
}

#[test]
fn a_reused_name_inherits_neither_uid_nor_home_nor_person() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.remove("ann");
    assert!(matches!(
        m.reserve("ann", 5000, |wanted| wanted.reuse_name = true),
        Err(RosterError::UidTaken { .. })
    ));
    m.reserve("ann", 6000, |wanted| wanted.reuse_name = true).unwrap();
    assert_eq!(m.published("ann").unwrap().1, 6000);
    assert!(m.is_published_as_former("ann", 5000).1, "the old uid goes to nobody");
    assert!(matches!(m.sign_in("bob", 5000, "b", &[]), Err(RecordError::Tombstoned)));
    assert!(
        matches!(m.sign_in("ann", 6000, "a", &[]), Err(RecordError::Tombstoned)),
        "nor does the old person"
    );
    let old_person = m.bind("ann", "a", false);
    assert!(matches!(old_person, Err(RosterError::ShutOut(name)) if name == "ann"));
    m.sign_in("ann", 6000, "c", &[]).unwrap();
    // The second of the name is removed in turn: both uids, and both people, stay shut out.
    m.remove("ann");
    assert_eq!(m.is_published_as_former("ann", 5000), (true, true));
    assert_eq!(m.is_published_as_former("ann", 6000), (true, true));
    for subject in ["a", "c"] {
        assert!(matches!(m.sign_in("zoe", 7000, subject, &[]), Err(RecordError::Tombstoned)), "{subject}");
    }
    assert!(matches!(m.reserve("eve", 5000, |_| ()), Err(RosterError::UidTaken { .. })));
    m.reserve("ann", 6000, |_| ()).unwrap();
    assert_eq!(m.person("ann").subject, Some(key("c")));
}

#[test]
fn a_renamed_person_keeps_everything_but_the_name() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[staff(6000)]).unwrap();
    m.publish(Want::Rebuild);
    assert!(m.rename("ann", "anna", false).unwrap());
    assert!(!m.rename("ann", "anna", false).unwrap(), "said again");
    let person = m.person("anna");
    assert_eq!((person.account.uid.get(), person.account.home.as_str()), (5000, "/home/ann"));
    assert_eq!((person.subject, person.state), (Some(key("a")), RowState::Confirmed));
    assert_eq!(m.published("anna").unwrap().1, 5000);
    assert_eq!(m.published("ann"), None);
    assert_eq!(m.is_published_as_former("ann", 5000), (true, false));
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    assert_eq!(snapshot.group_by_name(b"idp-staff").unwrap().unwrap().members().unwrap(), ["anna"]);
    let mut renamed = account("anna", 5000);
    renamed.home = "/home/ann".into();
    m.sign_in_as(&renamed, "a").unwrap();
    assert!(matches!(m.sign_in("ann", 5000, "a", &[]), Err(RecordError::KnownAs(_))));
    assert!(matches!(m.sign_in("ann", 5001, "b", &[]), Err(RecordError::Tombstoned)));
}

#[test]
fn a_former_name_goes_to_nobody_by_itself() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    m.rename("ann", "anna", false).unwrap();
    assert!(
        matches!(m.reserve("ann", 6000, |_| ()), Err(RosterError::FormerName { now, .. }) if now == "anna")
    );
    assert!(matches!(m.rename("bob", "ann", false), Err(RosterError::FormerName { .. })));
    assert!(matches!(m.rename("bob", "anna", false), Err(RosterError::NameTaken(_))));
    assert!(m.rename("anna", "ann", false).unwrap(), "their own former name is theirs");
    assert_eq!(m.is_published_as_former("ann", 5000), (false, false));
    m.rename("ann", "anna", false).unwrap();
    let home = m.reserve("ann", 6000, |wanted| wanted.reuse_name = true);
    assert!(matches!(home, Err(RosterError::HomeTaken { .. })), "anna lives there");
    let mut elsewhere = account("ann", 6000);
    elsewhere.home = "/home/ann2".into();
    m.store().reserve(&Reservation { reuse_name: true, ..reservation(&elsewhere) }, BY).unwrap();
    assert_eq!(m.published("ann").unwrap().1, 6000);
    assert_eq!(m.published("anna").unwrap().1, 5000);
}

#[test]
fn a_removed_persons_name_is_taken_by_a_rename_only_when_that_is_meant() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    m.remove("ann");
    assert!(matches!(m.rename("bob", "ann", false), Err(RosterError::Removed { .. })));
    assert!(m.rename("bob", "ann", true).unwrap());
    assert_eq!(m.published("ann").unwrap().1, 5001);
    assert!(m.is_published_as_former("ann", 5000).1);
    // A former name also outlives its person.
    m.remove("ann");
    assert!(matches!(m.reserve("bob", 6000, |_| ()), Err(RosterError::FormerName { .. })));
}

#[test]
fn a_binding_is_changed_by_force_only_and_keeps_the_account() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    assert!(!m.bind("ann", "a", false).unwrap());
    assert!(matches!(m.bind("ann", "a2", false), Err(RosterError::Bound { .. })));
    assert!(matches!(m.bind("ann", "b", true), Err(RosterError::SubjectKnown(_))));
    assert!(m.bind("ann", "a2", true).unwrap());
    assert_eq!(m.person("ann").state, RowState::Confirmed);
    assert!(matches!(m.sign_in("ann", 5000, "a", &[]), Err(RecordError::SubjectMismatch { .. })));
    m.sign_in("ann", 5000, "a2", &[]).unwrap();
    m.remove("bob");
    assert!(matches!(m.bind("ann", "b", true), Ok(true)), "by force also a subject that was removed");
    m.sign_in("ann", 5000, "b", &[]).unwrap();
    assert_eq!(m.is_published_as_former("bob", 5001), (true, true));
}

#[test]
fn what_changes_neither_name_nor_uid_is_patched_into_what_is_published() {
    let m = machine("");
    m.sign_in("ann", 5000, "a", &[]).unwrap();
    m.publish(Want::UpToDate);
    let (ann, bob) = (name("ann"), name("bob"));
    let changes: [&dyn Fn() -> bool; 6] = [
        &|| m.store().lock(&ann, BY).unwrap(),
        &|| m.store().unlock(&ann, BY).unwrap(),
        &|| m.store().set_expiry(&ann, Some(Day(21_000)), BY).unwrap(),
        &|| m.bind("ann", "a2", true).unwrap(),
        &|| m.reserve("bob", 5001, |_| ()).is_ok(),
        &|| m.store().adopt_home(&bob, BY).unwrap(),
    ];
    for (step, change) in changes.iter().enumerate() {
        assert!(change());
        assert_eq!(m.publish(Want::UpToDate), Published::Patched, "{step}");
    }
    m.remove("bob");
    assert_eq!(m.publish(Want::UpToDate), Published::Patched);
    m.reserve("bob", 5001, |_| ()).unwrap();
    assert_eq!(m.publish(Want::UpToDate), Published::Rebuilt, "bob is published as former");
    assert_eq!(m.is_published_as_former("bob", 5001), (false, false));
}

#[test]
fn a_home_is_adopted_for_somebody_who_has_not_signed_in() {
    let m = machine("");
    m.reserve("ann", 5000, |_| ()).unwrap();
    assert!(!m.person("ann").adopt_home);
    assert!(m.store().adopt_home(&name("ann"), BY).unwrap());
    assert!(!m.store().adopt_home(&name("ann"), BY).unwrap());
    assert!(m.person("ann").adopt_home);
    m.sign_in("bob", 5001, "b", &[]).unwrap();
    assert!(!m.store().adopt_home(&name("bob"), BY).unwrap());
}

#[test]
fn every_change_is_in_the_audit_trail_with_its_actor() {
    let m = machine("");
    let by = By { actor: "root (sudo: carol)", now: 1 };
    let ann = account("ann", 5000);
    m.store().reserve(&reservation(&ann), by).unwrap();
    m.store().lock(&name("ann"), by).unwrap();
    m.store().unlock(&name("ann"), by).unwrap();
    m.store().set_expiry(&name("ann"), Some(Day(21_000)), by).unwrap();
    let (issuer, subject) = key("a");
    m.store().bind(&name("ann"), (&issuer, &subject), false, by).unwrap();
    m.store().pin(&name("ann"), uid(5001), false, by).unwrap();
    m.store().rename(&name("ann"), &name("anna"), false, by).unwrap();
    let events = m.events();
    for kind in [
        "reserved ann",
        "locked ann",
        "unlocked ann",
        "expiry_set ann",
        "bound ann",
        "pinned ann",
        "renamed anna",
    ] {
        assert!(events.contains(&format!("{kind} {}", by.actor)), "{kind}: {events:?}");
    }
}

#[test]
fn probes_are_nobody_to_an_administrator() {
    let m = machine("");
    m.store().set_probes(&[(account("oauth2-probe-a", 7000), RowState::Confirmed)], 1).unwrap();
    assert!(matches!(m.store().lock(&name("oauth2-probe-a"), BY), Err(RosterError::NotFound(_))));
    assert!(matches!(m.rename("oauth2-probe-a", "ann", false), Err(RosterError::NotFound(_))));
}
