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

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory?")?;
    for (name, people, groups) in [("few", 3, 1), ("leaves", 250, 2), ("overflow", 8, 1)] {
        let work = std::env::temp_dir().join(format!("seed-{name}-{}", std::process::id()));
        let places = places(&work)?;
        make(&work, &places, people, groups, name == "overflow")?;
        std::fs::copy(&places.nss_db, Path::new(&directory).join(format!("published-{name}")))?;
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

fn make(work: &Path, places: &Places, people: u32, groups: u32, long: bool) -> Result<(), Box<dyn Error>> {
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
    for number in 0..people {
        let uid = Uid::new(5000 + 7 * number)?;
        let count = if long && number == 2 { MOST_GROUPS } else { groups };
        let claims: Result<Vec<_>, Box<dyn Error>> = (0..count).map(claim).collect();
        let name = if number == 0 { "ann".to_owned() } else { format!("p{number}") };
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
    store.remove(&LoginName::parse("p1")?, 1, "root")?;
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
