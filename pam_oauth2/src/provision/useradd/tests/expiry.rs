//! The expiry of local accounts, with a usermod that writes a file.

use super::*;
use crate::home::CommandError;
use shared::clock::Day;
use shared::store::By;
use std::cell::RefCell;
use std::path::PathBuf;

/// usermod(8), which sets the day of one account in a file of one line.
struct Usermod {
    shadow: PathBuf,
    runs: RefCell<u32>,
    fails: bool,
}

impl RunCommand for Usermod {
    fn output(&self, program: &str, arguments: &[&str], _: Duration) -> Result<String, CommandError> {
        assert!(program.ends_with("/usermod"));
        let ["--expiredate", day, "--", "ann"] = arguments else { panic!("{arguments:?}") };
        *self.runs.borrow_mut() += 1;
        if self.fails {
            let (program, stderr) = (program.into(), String::new());
            return Err(CommandError::Failed { program, status: "exit status: 1".into(), stderr });
        }
        set(&self.shadow, day);
        Ok(String::new())
    }
}

fn set(shadow: &Path, day: &str) {
    std::fs::write(shadow, format!("root:*:1:0:99999:7::1:\nann:!:20779:0:99999:7::{day}:\n")).unwrap();
}

fn day(rig: &Rig) -> String {
    let shadow = std::fs::read_to_string(rig.dir.path().join("shadow")).unwrap();
    shadow.lines().last().unwrap().split(':').nth(7).unwrap().to_owned()
}

/// Returns how often usermod ran.
fn settle(rig: &Rig) -> u32 {
    try_settle(rig, false).unwrap()
}

fn try_settle(rig: &Rig, fails: bool) -> Result<u32, ExpiryError> {
    let (shadow, clock) = (rig.dir.path().join("shadow"), SystemClock::new());
    let usermod = Usermod { shadow: shadow.clone(), runs: RefCell::default(), fails };
    let (config, local) = (rig.config(), rig.etc.borrow().clone());
    let tools = Tools { commands: &usermod, clock: &clock, deadline: Duration::MAX };
    let expiry = LocalExpiry { tools, places: &rig.places, shadow: &shadow, config: &config, local: &local };
    expiry.settle_all()?;
    Ok(usermod.runs.take())
}

/// ann, whom useradd made; an administrator has set `day`.
fn rig(day: &str) -> Rig {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Works);
    rig.provision("ann").unwrap();
    set(&rig.dir.path().join("shadow"), day);
    rig
}

/// The day of whoever is shut, as usermod and shadow(5) have it.
const OURS: &str = "37";

const BY: By<'_> = By { actor: "test", now: 1 };

fn ann() -> LoginName {
    LoginName::parse("ann").unwrap()
}

fn store(rig: &Rig) -> Store {
    Store::open(&rig.places).unwrap()
}

#[test]
fn a_lock_gives_an_administrators_own_day_back() {
    for own in ["", "21000", "1", "0", "-5"] {
        let rig = rig(own);
        assert_eq!(settle(&rig), 0, "nobody is shut");
        store(&rig).lock(&ann(), BY).unwrap();
        let earlier = own == "0" || own == "1";
        assert_eq!((settle(&rig), day(&rig).as_str()), if earlier { (0, own) } else { (1, OURS) });
        assert_eq!(settle(&rig), 0, "and it stays so");
        store(&rig).unlock(&ann(), BY).unwrap();
        let back = if own == "-5" { "" } else { own };
        assert_eq!((settle(&rig), day(&rig).as_str()), (u32::from(!earlier), back), "{own:?}");
    }
}

#[test]
fn a_day_that_an_administrator_sets_meanwhile_counts() {
    let rig = rig("21000");
    store(&rig).lock(&ann(), BY).unwrap();
    settle(&rig);
    set(&rig.dir.path().join("shadow"), "22000");
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, OURS), "it is locked all the same");
    store(&rig).unlock(&ann(), BY).unwrap();
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, "22000"));
}

/// What usermod(8), chage(1) and habit make of "shut it now", said while the account is shut by us.
#[test]
fn an_administrator_who_shuts_somebody_whom_we_have_shut_has_shut_them_when_we_open() {
    for own in ["0", "1"] {
        let rig = rig("21000");
        store(&rig).lock(&ann(), BY).unwrap();
        settle(&rig);
        set(&rig.dir.path().join("shadow"), own);
        assert_eq!((settle(&rig), day(&rig).as_str()), (0, own));
        store(&rig).unlock(&ann(), BY).unwrap();
        assert_eq!((settle(&rig), day(&rig).as_str()), (0, own));
    }
}

#[test]
fn a_day_of_ours_as_earlier_versions_wrote_it_becomes_the_one_of_now_and_is_taken_off_as_well() {
    for is_locked in [true, false] {
        let rig = rig("1");
        let record = rig.places.lock.with_file_name("local-expiry");
        let uid = rig.etc.borrow().user("ann").unwrap().uid;
        shared::secure_file::replace(&record, format!("{uid} 21000 1\n").as_bytes(), 0o600).unwrap();
        if is_locked {
            store(&rig).lock(&ann(), BY).unwrap();
        }
        assert_eq!((settle(&rig), day(&rig).as_str()), (1, if is_locked { OURS } else { "21000" }));
    }
}

#[test]
fn the_day_of_whoever_is_shut_is_one_constant() {
    assert_eq!(OURS.parse(), Ok(super::super::expiry::SHUT));
}

#[test]
fn the_earlier_of_the_administrators_day_and_ours_wins() {
    let rig = rig("21000");
    let expire = |day: Option<u32>| store(&rig).set_expiry(&ann(), day.map(Day), BY).unwrap();
    for (ours, stands) in [
        (Some(20_500), "20500"),
        (Some(20_600), "20600"),
        (Some(22_000), "21000"),
        (Some(0), OURS),
        (None, "21000"),
    ] {
        expire(ours);
        settle(&rig);
        assert_eq!(day(&rig), stands, "{ours:?}");
    }
    let record = rig.places.lock.with_file_name("local-expiry");
    assert_eq!(std::fs::read_to_string(record).unwrap(), "", "nothing of ours stands there any more");
}

#[test]
fn whoever_is_removed_is_shut_until_they_have_signed_in_again() {
    let rig = rig("21000");
    store(&rig).remove(&ann(), 1, "test").unwrap();
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, OURS));
    rig.execute(
        "INSERT INTO identity(login_name, issuer, subject, uid, gid, home, shell, state, created_at, generation, existing) \
         SELECT login_name, issuer, subject, uid, uid, '/nonexistent/ann', '/bin/bash', 'reserved', 1, 9, 1 FROM tombstone; \
         DELETE FROM tombstone",
    );
    assert_eq!((settle(&rig), day(&rig).as_str()), (0, OURS), "their keys wait");
    rig.expect("usermod --expiredate 21000 -- ann", Act::Prints(""));
    rig.provision("ann").unwrap();
}

#[test]
fn a_return_that_was_cut_short_before_the_account_was_opened_is_brought_to_its_end_by_the_next_sign_in() {
    let rig = rig("21000");
    rig.execute("UPDATE identity SET state = 'locked'");
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, OURS));
    rig.execute("UPDATE identity SET state = 'confirmed'");
    rig.expect("usermod --expiredate 21000 -- ann", Act::Prints(""));
    assert!(!rig.provision("ann").unwrap().first);
}

#[test]
fn whom_allowed_users_does_not_name_is_shut_and_opened_again() {
    let rig = rig("");
    let path = rig.dir.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let allow = |users: &str| {
        let text = text.replace("{\"client_id\"", &format!("{{\"allowed_users\": {users}, \"client_id\""));
        shared::secure_file::replace(&path, text.as_bytes(), 0o600).unwrap();
        settle(&rig);
        day(&rig)
    };
    assert_eq!([allow("[\"bob\"]"), allow("[\"bob\", \"ann\"]")], [OURS, ""]);
}

#[test]
fn whom_the_providers_groups_shut_out_is_shut_as_long_as_there_is_the_rule() {
    let rig = rig("21000");
    rig.execute("UPDATE identity SET revoked = 1");
    assert_eq!((settle(&rig), day(&rig).as_str()), (0, "21000"), "no rule");
    let path = rig.dir.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("{\"client_id\"", "{\"allowed_groups\": [\"staff\"], \"client_id\"");
    shared::secure_file::replace(&path, text.as_bytes(), 0o600).unwrap();
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, OURS));
    rig.execute("UPDATE identity SET revoked = 0");
    assert_eq!((settle(&rig), day(&rig).as_str()), (1, "21000"));
}

#[test]
fn accounts_of_others_are_left_alone() {
    let rig = rig("21000");
    store(&rig).lock(&ann(), BY).unwrap();
    for line in
        ["ann:x:1001:1001::/:/bin/sh\n", "ann:x:1900000008:1::/:/bin/sh\n", "bob:x:1900000007:1::/:/bin/sh\n"]
    {
        *rig.etc.borrow_mut() = LocalNames::parse(line.as_bytes(), b"");
        assert_eq!(settle(&rig), 0, "{line}");
    }
}

#[test]
fn a_change_that_failed_or_was_cut_short_loses_no_day() {
    let rig = rig("21000");
    store(&rig).lock(&ann(), BY).unwrap();
    assert!(try_settle(&rig, true).is_err());
    settle(&rig);
    assert_eq!(day(&rig), OURS);
    // From one day of ours to another, killed before usermod and after it.
    store(&rig).unlock(&ann(), BY).unwrap();
    store(&rig).set_expiry(&ann(), Some(Day(20_500)), BY).unwrap();
    assert!(try_settle(&rig, true).is_err());
    set(&rig.dir.path().join("shadow"), "20500");
    store(&rig).set_expiry(&ann(), Some(Day(20_600)), BY).unwrap();
    assert!(try_settle(&rig, true).is_err());
    store(&rig).set_expiry(&ann(), None, BY).unwrap();
    settle(&rig);
    assert_eq!(day(&rig), "21000");
}
