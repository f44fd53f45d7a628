//! Random rosters, published by the code that publishes on a machine, one publication on top of the other: every answer
//! of the reader equals SQLite's, of the file as it stands at the path.
#![cfg(feature = "store")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test: a fault in it is a failure

mod answers;

use answers::{Asked, answers_agree};
use proptest::prelude::*;
use rusqlite::{Connection, OpenFlags};
use shared::clock::{Day, SystemClock};
use shared::config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::snapshot::{MappedFile, Snapshot};
use shared::store::publish::{Inputs, Published, Want, publish};
use shared::store::{By, GroupClaim, Places, Reservation, SignIn, Store};
use shared::types::{Gid, GroupName, Issuer, LoginName, Subject, Uid};
use std::collections::{BTreeMap, BTreeSet};

const BY: By<'static> = By { actor: "root", now: 1 };
const GROUPS: u32 = 1500;
const FIRST_UID: u32 = 1_879_048_192;
const FIRST_GID: u32 = 2_130_706_432;

/// What is done with one person before a publication.
#[derive(Clone, Debug)]
struct Step {
    who: usize,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    SignIn { groups: Vec<u32>, day: u32 },
    Reserve { groups: Vec<u32>, expires: Option<u32> },
    Lock,
    Remove,
}

/// Somebody who could be in the roster; number and name are their own.
#[derive(Clone, Debug)]
struct Candidate {
    name: String,
    uid: u32,
    gecos: String,
    home: String,
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let uid = prop_oneof![0..5000_u32, 0..200_000_000_u32];
    let one = ("[a-z][a-z0-9_+-]{0,20}(@[a-z0-9-]{1,9}\\.com)?", uid, "[ -9;-~é]{0,80}", "/[a-z/]{0,60}");
    proptest::collection::vec(one, 1..120).prop_map(|all| {
        let (mut names, mut uids) = (BTreeSet::new(), BTreeSet::new());
        all.into_iter()
            .filter(|(name, uid, ..)| names.insert(name.clone()) && uids.insert(*uid))
            .map(|(name, uid, gecos, home)| Candidate { name, uid: FIRST_UID + uid, gecos, home })
            .collect()
    })
}

/// None, a few, or so many that the list has pages of its own.
fn groups() -> impl Strategy<Value = Vec<u32>> {
    let few = proptest::collection::btree_set(0..20_u32, 0..6);
    let many = (1000..GROUPS).prop_map(|count| (0..count).collect());
    prop_oneof![30 => few, 1 => many].prop_map(|groups: BTreeSet<u32>| groups.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        6 => (groups(), 20_000..20_100_u32).prop_map(|(groups, day)| Action::SignIn { groups, day }),
        3 => (groups(), proptest::option::of(20_000..90_000_u32))
            .prop_map(|(groups, expires)| Action::Reserve { groups, expires }),
        1 => Just(Action::Lock),
        2 => Just(Action::Remove),
    ];
    (0..1000_usize, action).prop_map(|(who, action)| Step { who, action })
}

struct Machine {
    dir: tempfile::TempDir,
    places: Places,
    inputs: Inputs,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("private");
        let places = Places {
            store: private.join("store.db"),
            lock: private.join("publish.lock"),
            first_login: private.join("first-login"),
            nss_db: dir.path().join("nss.db"),
            owner: rustix::process::geteuid().as_raw(),
        };
        let map: BTreeMap<_, _> = (0..GROUPS).map(|n| (format!("g{n}"), format!("idp-{n}"))).collect();
        let text = serde_json::json!({
            "client_id": "c", "issuer": "https://i", "provisioning": "store", "max_confirmation_age": 30, "group_map": map,
        });
        let path = dir.path().join("config.json");
        std::fs::write(&path, text.to_string()).unwrap();
        let config = config::load(&path, places.owner, "passwd: files oauth2\n").unwrap().config;
        Store::migrate(&places, Day(20_000)).unwrap();
        // Some of the groups have members of the machine's own, one has a name that is ours.
        let local = LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"root:x:0:\nidp-7:x:1234:\n");
        Self { dir, places, inputs: Inputs { config, local } }
    }

    fn take(&self, candidate: &Candidate, action: &Action) {
        let mut store = Store::open(&self.places).unwrap();
        let name = LoginName::parse(&candidate.name).unwrap();
        let account = account(candidate);
        // What the store refuses changes nothing.
        let _ = match action {
            Action::SignIn { groups, day } => store
                .record(&SignIn {
                    account: &store.person(&name).unwrap().map_or(account, |known| known.account),
                    issuer: &Issuer::parse("https://i").unwrap(),
                    subject: &Subject::parse(&candidate.name).unwrap(),
                    groups: &claims(groups),
                    today: Day(*day),
                    now: 1,
                    publish_day: true,
                    existing: false,
                })
                .is_ok(),
            Action::Reserve { groups, expires } => {
                let claims = claims(groups);
                let mut wanted = Reservation::of_existing(&account, None);
                (wanted.groups, wanted.expires, wanted.existing) = (&claims, expires.map(Day), false);
                store.reserve(&wanted, BY).is_ok()
            }
            Action::Lock => store.lock(&name, BY).is_ok(),
            Action::Remove => store.remove(&name, 1, "root").unwrap(),
        };
    }

    fn publish(&self, want: Want) -> Published {
        publish(&self.places, &|| Ok(self.inputs.clone()), want, &SystemClock::new()).unwrap()
    }

    /// The published file, read by both; gives how many people it has.
    fn agrees(&self, asked: &Asked) -> usize {
        let path = self.places.nss_db.to_str().unwrap();
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let file = MappedFile::open_owned_by(path, self.places.owner).unwrap();
        let reader = Snapshot::open(file.bytes()).unwrap();
        let uids = answers_agree(&reader, &db, asked);
        let store = Store::open(&self.places).unwrap();
        for (name, uid) in &asked.people {
            let removed = store.tombstone(&LoginName::parse(name).unwrap()).unwrap().is_some();
            assert_eq!(reader.name_is_tombstoned(name.as_bytes()).unwrap(), removed, "{name} {uid}");
        }
        uids.len()
    }
}

fn account(candidate: &Candidate) -> Account {
    let uid = Uid::new(candidate.uid).unwrap();
    Account {
        name: LoginName::parse(&candidate.name).unwrap(),
        uid,
        gid: Gid::from(uid),
        gecos: candidate.gecos.clone(),
        home: candidate.home.clone(),
        shell: "/bin/bash".into(),
        supplementary: Vec::new(),
    }
}

fn claims(groups: &[u32]) -> Vec<GroupClaim> {
    let claim = |number: &u32| GroupClaim {
        provider_id: format!("g{number}"),
        name: GroupName::parse(&format!("idp-{number}")).unwrap(),
        gid: Gid::new(FIRST_GID + number).unwrap(),
    };
    groups.iter().map(claim).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reader_finds_in_what_is_published_what_sqlite_finds(
        everybody in candidates(),
        rounds in proptest::collection::vec(proptest::collection::vec(step(), 1..60), 1..4),
    ) {
        let machine = Machine::new();
        let asked = Asked {
            people: everybody.iter().map(|one| (one.name.clone(), one.uid)).collect(),
            groups: (0..GROUPS).step_by(3).map(|n| (format!("idp-{n}"), FIRST_GID + n)).collect(),
        };
        machine.publish(Want::UpToDate);
        for steps in &rounds {
            for step in steps {
                machine.take(&everybody[step.who % everybody.len()], &step.action);
            }
            machine.publish(Want::UpToDate);
            machine.agrees(&asked);
        }
        machine.publish(Want::Rebuild);
        machine.agrees(&asked);
    }
}

#[test]
fn a_roster_with_lists_on_pages_of_their_own_is_read_as_sqlite_reads_it() {
    let machine = Machine::new();
    let everybody: Vec<_> = (0..400_u32)
        .map(|n| Candidate {
            name: format!("person{n}@example.com"),
            uid: FIRST_UID + 11 * n,
            gecos: format!("Number {n}"),
            home: format!("/home/person{n}"),
        })
        .collect();
    for (n, candidate) in everybody.iter().enumerate() {
        // One of them is in all groups; everybody is in the first: its list of members has several pages.
        let groups = if n == 3 { (0..GROUPS).collect() } else { vec![0] };
        machine.take(candidate, &Action::SignIn { groups, day: 20_000 });
    }
    assert_eq!(machine.publish(Want::UpToDate), Published::Rebuilt);
    let asked = Asked {
        people: everybody.iter().map(|one| (one.name.clone(), one.uid)).collect(),
        groups: (0..GROUPS).map(|n| (format!("idp-{n}"), FIRST_GID + n)).collect(),
    };
    assert_eq!(machine.agrees(&asked), 400);
    machine.take(&everybody[5], &Action::Remove);
    assert_eq!(machine.publish(Want::UpToDate), Published::Patched);
    assert_eq!(machine.agrees(&asked), 399);
    assert!(machine.dir.path().join("nss.db").metadata().unwrap().len() > 20 * 4096);
}
