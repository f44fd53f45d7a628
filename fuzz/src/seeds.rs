//! Writes the first files of the reader's corpus, made by the publication itself: `cargo run --bin seeds DIRECTORY`.

use shared::clock::{Day, SystemClock};
use shared::config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::store::publish::{Inputs, Want, publish};
use shared::store::{By, GroupClaim, Places, Reservation, Store};
use shared::types::{Gid, GroupName, LoginName, Uid};
use std::error::Error;
use std::path::Path;

/// Long lists of groups have pages of their own.
const MOST_GROUPS: u32 = 1200;

/// What is to be published.
struct Seed {
    name: &'static str,
    people: u32,
    /// Of each person.
    groups: u32,
    /// Has one of them [`MOST_GROUPS`] instead?
    many_groups: bool,
    /// At the end of each login name: with a long one, a list of members has pages of its own.
    suffix: &'static str,
}

const SEEDS: [Seed; 4] = [
    Seed { name: "few", people: 3, groups: 1, many_groups: false, suffix: "" },
    Seed { name: "leaves", people: 250, groups: 2, many_groups: false, suffix: "" },
    Seed {
        name: "members",
        people: 90,
        groups: 1,
        many_groups: false,
        suffix: "-with-the-name-that-the-whole-address-makes@example.com",
    },
    Seed { name: "overflow", people: 8, groups: 1, many_groups: true, suffix: "" },
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory?")?;
    for seed in SEEDS {
        let work = std::env::temp_dir().join(format!("seed-{}-{}", seed.name, std::process::id()));
        let places = places(&work)?;
        make(&work, &places, &seed)?;
        std::fs::copy(&places.nss_db, Path::new(&directory).join(format!("published-{}", seed.name)))?;
        std::fs::remove_dir_all(&work)?;
    }
    Ok(())
}

fn places(work: &Path) -> Result<Places, Box<dyn Error>> {
    let private = work.join("private");
    std::fs::create_dir_all(work)?;
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(work)?);
    Ok(Places {
        store: private.join("store.db"),
        lock: private.join("publish.lock"),
        first_login: private.join("first-login"),
        nss_db: work.join("nss.db"),
        owner,
    })
}

fn make(work: &Path, places: &Places, seed: &Seed) -> Result<(), Box<dyn Error>> {
    let file = work.join("config.json");
    let map: Vec<_> = (0..MOST_GROUPS).map(|n| format!(r#""g{n}": "idp-{n}""#)).collect();
    let text = format!(
        r#"{{"client_id": "c", "issuer": "https://id.example.com", "provisioning": "store",
            "max_confirmation_age": 30, "group_map": {{{}}}}}"#,
        map.join(", ")
    );
    std::fs::write(&file, text)?;
    let config = config::load(&file, places.owner, "passwd: files oauth2\n")?.config;
    Store::migrate(places, Day(20_000))?;
    let mut store = Store::open(places)?;
    for number in 0..seed.people {
        let uid = Uid::new(5000 + 7 * number)?;
        let count = if seed.many_groups && number == 2 { MOST_GROUPS } else { seed.groups };
        let claims: Result<Vec<_>, Box<dyn Error>> = (0..count).map(claim).collect();
        let name = if number == 0 { "ann".to_owned() } else { format!("p{number}{}", seed.suffix) };
        let account = Account {
            home: format!("/home/{name}"),
            name: LoginName::parse(&name)?,
            uid,
            gid: Gid::from(uid),
            gecos: String::new(),
            shell: "/bin/sh".into(),
            supplementary: Vec::new(),
        };
        let mut reservation = Reservation::of_existing(&account, None);
        let claims = claims?;
        (reservation.groups, reservation.existing) = (&claims, false);
        store.reserve(&reservation, By { actor: "root", now: 1 })?;
    }
    store.remove(&LoginName::parse(&format!("p1{}", seed.suffix))?, 1, "root")?;
    let inputs = Inputs { config, local: LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"root:x:0:\n") };
    publish(places, &|| Ok(inputs.clone()), Want::UpToDate, &SystemClock::new())?;
    Ok(())
}

fn claim(number: u32) -> Result<GroupClaim, Box<dyn Error>> {
    Ok(GroupClaim {
        provider_id: format!("g{number}"),
        name: GroupName::parse(&format!("idp-{number}"))?,
        gid: Gid::new(2_130_706_500 + number)?,
    })
}
