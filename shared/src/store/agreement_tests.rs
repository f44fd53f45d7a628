//! Random histories of a roster: sign-ins, reservations, locks, removals, renames, new uids and bindings. After each step
//! the ids are looked at, and what is published by patches is compared with what the store makes anew.

use super::publish::{Published, Want, publish};
use super::test_machine::{Machine, account, machine, name};
use super::*;
use crate::clock::{Day, SystemClock};
use crate::etc::LocalNames;
use crate::identity::ids::{IdKey, IdRange, derive_gid, derive_uid};
use crate::snapshot::{Snapshot, State};
use crate::types::{GroupName, Issuer, LoginName, Subject, Uid};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 7] = ["ann", "bob", "carl", "dora", "erik", "fay", "gus"];
const GROUPS: [(&str, &str); 3] = [("s", "idp-staff"), ("t", "idp-team"), ("u", "idp-users")];
const LOCAL_GROUP: &str = "ops";
const BY: By<'static> = By { actor: "root", now: 1 };
/// So few ids that names and groups share some.
const UIDS: (u32, u32) = (5000, 5019);
const GIDS: (u32, u32) = (6000, 6004);

/// What happens to whom; a number stands for a name, or for a subject of the provider.
#[derive(Clone, Debug)]
enum Step {
    SignIn { name: usize, subject: usize, groups: Vec<usize>, day: u32 },
    Reserve { name: usize, subject: Option<usize>, groups: Vec<usize>, local: bool, reuse: bool },
    Lock(usize),
    Unlock(usize),
    Expire(usize, Option<u32>),
    Remove(usize),
    Rename { old: usize, new: usize, reuse: bool },
    Bind { name: usize, subject: usize, force: bool },
    Pin { name: usize, uid: u32, force: bool },
    Probe,
    Publish,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    let groups = || proptest::sample::subsequence(vec![0, 1, 2], 0..=GROUPS.len());
    prop_oneof![
        // Most people have the subject of their name; some sign in as somebody else.
        6 => (who.clone(), prop_oneof![9 => Just(0_usize), 1 => who.clone()], groups(), 20_000..20_003_u32).prop_map(
            |(name, other, groups, day)| Step::SignIn { name, subject: name + other, groups, day }),
        2 => (who.clone(), proptest::option::of(who.clone()), groups(), any::<(bool, bool)>()).prop_map(
            |(name, subject, groups, (local, reuse))| Step::Reserve { name, subject, groups, local, reuse }),
        1 => who.clone().prop_map(Step::Lock),
        1 => who.clone().prop_map(Step::Unlock),
        1 => (who.clone(), proptest::option::of(20_000..30_000_u32)).prop_map(|(name, day)| Step::Expire(name, day)),
        2 => who.clone().prop_map(Step::Remove),
        2 => (who.clone(), who.clone(), any::<bool>()).prop_map(|(old, new, reuse)| Step::Rename { old, new, reuse }),
        1 => (who.clone(), who.clone(), any::<bool>()).prop_map(
            |(name, subject, force)| Step::Bind { name, subject, force }),
        1 => (who, UIDS.0..=UIDS.1, any::<bool>()).prop_map(|(name, uid, force)| Step::Pin { name, uid, force }),
        1 => Just(Step::Probe),
        3 => Just(Step::Publish),
    ]
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..40)
}

fn world(everybody_is_in_a_local_group: bool) -> Machine {
    let mut m = machine(r#", "max_confirmation_age": 30"#);
    m.local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"root:x:0:\nops:x:1600:\n");
    m.config.mapping.group_map =
        GROUPS.iter().map(|(id, name)| ((*id).to_owned(), GroupName::parse(name).unwrap())).collect();
    if everybody_is_in_a_local_group {
        m.config.groups.local = vec![GroupName::parse(LOCAL_GROUP).unwrap()];
    }
    m
}

fn uid_of(name: &LoginName) -> Uid {
    derive_uid(name, &IdRange::new(UIDS.0, UIDS.1).unwrap(), &IdKey::default()).unwrap()
}

fn claims(groups: &[usize]) -> Vec<GroupClaim> {
    let range = IdRange::new(GIDS.0, GIDS.1).unwrap();
    let claim = |(id, name): (&str, &str)| GroupClaim {
        provider_id: id.to_owned(),
        name: GroupName::parse(name).unwrap(),
        gid: derive_gid(id, &range, &IdKey::default()).unwrap(),
    };
    groups.iter().map(|index| claim(GROUPS[*index])).collect()
}

fn key(subject: usize) -> (Issuer, Subject) {
    let subject = format!("subject-{}", subject % NAMES.len());
    (Issuer::parse("https://i").unwrap(), Subject::parse(&subject).unwrap())
}

fn login(index: usize) -> LoginName {
    name(NAMES[index])
}

/// Does it, as the commands and logins do; what the store refuses changes nothing.
fn take(m: &Machine, step: &Step) {
    match step {
        Step::SignIn { name, subject, groups, day } => {
            let _ = sign_in(m, *name, *subject, groups, *day);
        }
        Step::Reserve { name, subject, groups, local, reuse } => {
            reserve(m, *name, *subject, groups, *local, *reuse);
        }
        Step::Lock(name) => _ = m.store().lock(&login(*name), BY),
        Step::Unlock(name) => _ = m.store().unlock(&login(*name), BY),
        Step::Expire(name, day) => _ = m.store().set_expiry(&login(*name), day.map(Day), BY),
        Step::Remove(name) => _ = m.store().remove(&login(*name), 1, "root").unwrap(),
        Step::Rename { old, new, reuse } => _ = m.store().rename(&login(*old), &login(*new), *reuse, BY),
        Step::Bind { name, subject, force } => {
            let (issuer, subject) = key(*subject);
            let _ = m.store().bind(&login(*name), (&issuer, &subject), *force, BY);
        }
        Step::Pin { name, uid, force } => {
            let _ = m.store().pin(&login(*name), Uid::new(*uid).unwrap(), *force, BY);
        }
        Step::Probe => {
            m.store().set_probes(&[(account("oauth2-probe-a", 7000), RowState::Confirmed)], 1).unwrap();
        }
        Step::Publish => _ = m.publish(Want::UpToDate),
    }
}

fn sign_in(
    m: &Machine,
    name: usize,
    subject: usize,
    groups: &[usize],
    day: u32,
) -> Result<Recorded, RecordError> {
    let login = login(name);
    // Somebody known keeps the account they have.
    let known = m.store().person(&login).unwrap();
    let account = known.map_or_else(|| account(NAMES[name], uid_of(&login).get()), |person| person.account);
    let (issuer, subject) = key(subject);
    m.store().record(&SignIn {
        account: &account,
        issuer: &issuer,
        subject: &subject,
        groups: &claims(groups),
        today: Day(day),
        now: 1,
        publish_day: true,
        existing: false,
    })
}

fn reserve(m: &Machine, name: usize, subject: Option<usize>, groups: &[usize], local: bool, reuse: bool) {
    let login = login(name);
    let mut store = m.store();
    // Somebody who returns has the old uid; the new owner of an old name another one.
    let removed = store.tombstone(&login).unwrap().filter(|_| !reuse);
    let uid = removed.map_or_else(|| uid_of(&login), |tombstone| tombstone.uid);
    let local_groups = if local { vec![LOCAL_GROUP.to_owned()] } else { Vec::new() };
    let _ = store.reserve(
        &Reservation {
            account: &account(NAMES[name], uid.get()),
            subject: subject.map(key),
            expires: None,
            groups: &claims(groups),
            local_groups: &local_groups,
            reuse_name: reuse,
            adopt_home: false,
            existing: false,
        },
        BY,
    );
}

/// Everything that a reader can find in a published file, one line each.
fn contents(places: &Places) -> Vec<String> {
    let file = crate::snapshot::MappedFile::open_owned_by(places.nss_db.to_str().unwrap(), places.owner);
    let file = file.unwrap();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let header = snapshot.header().unwrap();
    let mut lines = vec![format!(
        "{} {} {} {:?} {}",
        header.generation, header.people, header.group_rows, header.max_confirmation_age, header.services
    )];
    let mut uid = None;
    while let Some(person) = snapshot.people_after(uid).unwrap() {
        uid = Some(person.uid.get());
        let by_name = snapshot.person_by_name(person.name.as_bytes()).unwrap();
        assert_eq!(format!("{:?}", by_name.unwrap()), format!("{person:?}"));
        lines
            .push(format!("{person:?} {:?}", person.supplementary().map(Result::unwrap).collect::<Vec<_>>()));
    }
    let mut gid = None;
    while let Some(group) = snapshot.groups_after(gid).unwrap() {
        gid = Some(group.gid);
        let by_name = snapshot.group_by_name(group.name.as_bytes()).unwrap().unwrap();
        assert_eq!(by_name.members().unwrap(), group.members().unwrap());
        lines.push(format!("{} {} {:?}", group.name, group.gid, group.members().unwrap()));
    }
    let names = NAMES.iter().filter(|name| snapshot.name_is_tombstoned(name.as_bytes()).unwrap());
    let uids = (UIDS.0..=UIDS.1).filter(|uid| snapshot.uid_is_tombstoned(*uid).unwrap());
    lines.push(format!("gone: {:?} {:?}", names.collect::<Vec<_>>(), uids.collect::<Vec<_>>()));
    lines
}

/// Publishes by patches, and beside it anew from the same store: both are the same, and are what the store holds.
fn agree(m: &Machine) {
    m.publish(Want::UpToDate);
    let anew = Places { nss_db: m.dir.path().join("anew.db"), ..m.places.clone() };
    publish(&anew, &|| Ok(m.inputs()), Want::Rebuild, &SystemClock::new()).unwrap();
    assert_eq!(contents(&m.places), contents(&anew));
    let file = m.open();
    let snapshot = Snapshot::open(file.bytes()).unwrap();
    let people = m.store().people().unwrap();
    assert_eq!(snapshot.header().unwrap().people, i64::try_from(people.len()).unwrap());
    for person in people {
        let published = snapshot.person_by_uid(person.account.uid.get()).unwrap().unwrap();
        let state = match person.state {
            RowState::Reserved => State::Reserved,
            RowState::Confirmed => State::Confirmed,
            RowState::Locked => State::Locked,
        };
        assert_eq!((published.name, published.state), (person.account.name.as_str(), state));
        assert_eq!(published.confirmed_day, person.confirmed_day.map(|day| day.0));
    }
}

/// What the ids of people were so far.
#[derive(Default)]
struct Ids {
    /// Whose a uid is: of those who have signed in, and so have files.
    owners: BTreeMap<u32, String>,
}

impl Ids {
    fn check(&mut self, m: &Machine, step: &Step) {
        let store = m.store();
        let people = store.people().unwrap();
        let people: Vec<_> = people.iter().filter(|person| !person.probe).collect();
        let mut taken = BTreeSet::new();
        for person in &people {
            let uid = person.account.uid.get();
            assert!((UIDS.0..=UIDS.1).contains(&uid), "{uid} has left the range");
            assert_eq!(person.account.gid.get(), uid);
            assert!(taken.insert(uid), "two people have {uid}");
            assert!(store.tombstone(&person.account.name).unwrap().is_none_or(|tomb| tomb.uid.get() != uid));
            let Some((_, subject)) = person.subject.as_ref().filter(|_| person.confirmed_day.is_some())
            else {
                assert!(!self.owners.contains_key(&uid) || self.returns(uid, person), "{uid} is given away");
                continue;
            };
            self.owns(uid, subject.as_str(), matches!(step, Step::Bind { force: true, .. }));
        }
        for (provider_id, _) in GROUPS {
            let Some(gid) = store.group_gid(provider_id).unwrap() else { continue };
            assert!((GIDS.0..GIDS.1).contains(&gid.get()), "{gid} has left the range");
            assert!(taken.insert(gid.get()), "{gid} is two groups', or somebody's");
        }
    }

    /// Somebody who was removed, or whose sign-in was the former self's, has the old uid before they sign in again.
    fn returns(&self, uid: u32, person: &Person) -> bool {
        let owner = self.owners.get(&uid).map(String::as_str);
        person.subject.as_ref().is_none_or(|(_, subject)| Some(subject.as_str()) == owner)
    }

    /// Only an administrator, with force, says that another subject is the same person.
    fn owns(&mut self, uid: u32, subject: &str, rebinds: bool) {
        let owner = self.owners.insert(uid, subject.to_owned());
        assert!(rebinds || owner.is_none_or(|owner| owner == subject), "{uid} is {subject}'s all at once");
    }
}

/// Every uid of before is still where it was, unless a removal or an administrator's new uid was the step.
fn nobody_moves(before: &[Person], after: &[Person], step: &Step) {
    if matches!(step, Step::Remove(_) | Step::Pin { .. } | Step::Probe) {
        return;
    }
    let uids =
        |people: &[Person]| people.iter().map(|person| person.account.uid.get()).collect::<BTreeSet<_>>();
    assert!(uids(after).is_superset(&uids(before)));
    if matches!(step, Step::Rename { .. }) {
        return;
    }
    for person in before {
        let now = after.iter().find(|now| now.account.name == person.account.name).unwrap();
        assert_eq!(now.account.uid, person.account.uid);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_and_the_published_database_always_agree(steps in history(), everybody in any::<bool>()) {
        let m = world(everybody);
        for step in &steps {
            take(&m, step);
            if matches!(step, Step::Publish) {
                agree(&m);
            }
        }
        agree(&m);
        prop_assert_eq!(m.integrity(), "ok");
    }

    #[test]
    fn ids_never_collide_leave_their_range_or_move(steps in history()) {
        let m = world(false);
        let mut ids = Ids::default();
        for step in &steps {
            let before = m.store().people().unwrap();
            take(&m, step);
            ids.check(&m, step);
            nobody_moves(&before, &m.store().people().unwrap(), step);
        }
    }

    #[test]
    fn reconcile_is_idempotent(steps in history(), who in 0..NAMES.len(), groups in proptest::sample::subsequence(vec![0, 1, 2], 0..=3)) {
        let m = world(true);
        steps.iter().for_each(|step| take(&m, step));
        let Ok(first) = sign_in(&m, who, who, &groups, 20_005) else { return Ok(()) };
        m.publish(Want::UpToDate);
        let (published, people) = (contents(&m.places), m.store().people().unwrap());
        let mut wanted: BTreeSet<_> = claims(&groups).iter().map(|claim| claim.name.to_string()).collect();
        for refused in &first.refused_groups {
            wanted.remove(refused);
        }
        let has: BTreeSet<_> = m.store().group_names(&login(who)).unwrap().into_iter().collect();
        prop_assert_eq!(has, wanted, "the memberships are what the provider says");
        let again = sign_in(&m, who, who, &groups, 20_005).unwrap();
        prop_assert!(!again.first && again.added.is_empty() && again.removed.is_empty());
        prop_assert_eq!(again.refused_groups, first.refused_groups);
        prop_assert_eq!(m.publish(Want::UpToDate), Published::Current);
        prop_assert_eq!(m.store().people().unwrap(), people);
        m.publish(Want::Rebuild);
        prop_assert_eq!(contents(&m.places), published);
    }
}
