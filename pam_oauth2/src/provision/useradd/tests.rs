//! Accounts made by a script of commands.

mod expiry;
mod rig;

use super::*;
use crate::outcome::FailureClass;
use rig::*;
use shared::clock::SystemClock;
use shared::types::LoginName;

#[test]
fn somebody_new_gets_a_group_and_an_account_and_is_recorded() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Works);
    assert!(rig.provision("ann").unwrap().first);
    assert_eq!(rig.has("ann"), (true, true));
    assert!(rig.is_recorded("ann"));
}

#[test]
fn somebody_who_returns_runs_nothing() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Works);
    rig.provision("ann").unwrap();
    assert!(!rig.provision("ann").unwrap().first);
}

#[test]
fn an_account_left_by_a_login_that_was_killed_is_recorded_and_one_with_another_uid_is_somebody_elses() {
    let rig = Rig::new();
    rig.work("useradd", "ann", true);
    rig.shadow("ann:!:20779:0:99999:7:::");
    assert!(rig.provision("ann").unwrap().first);
    let rig = Rig::new();
    *rig.etc.borrow_mut() = LocalNames::parse(b"ann:x:1001:1001::/home/ann:/bin/sh\n", b"");
    assert_eq!(reason(rig.provision("ann")).0, "identity_changed");
    assert!(!rig.is_recorded("ann"));
}

#[test]
fn half_an_account_left_by_a_useradd_that_was_killed_is_made_anew() {
    for (has_group, shadow, group) in [(true, "", "-g 1900000007"), (false, "ann:!::::::", OWN_GROUP)] {
        let rig = Rig::new();
        rig.work("useradd", "ann", has_group);
        rig.shadow(shadow);
        rig.expect("userdel -- ann", Act::Works).expect(&useradd_with("ann", group, ""), Act::Works);
        assert!(rig.provision("ann").unwrap().first, "{group}");
        assert_eq!(rig.has("ann"), (true, true));
    }
    let rig = Rig::new();
    rig.work("useradd", "ann", true);
    rig.expect("userdel -- ann", Act::Fails(10));
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert!(!rig.is_recorded("ann"));
}

#[test]
fn an_account_of_others_is_recorded_as_it_is_whatever_its_group_and_its_shadow() {
    let rig = Rig::new();
    let line = format!("ann:x:{ID}:100::/home/ann:/bin/sh\n");
    for group in ["users:x:100:\n", "ann:x:1234:\n", ""] {
        *rig.etc.borrow_mut() = LocalNames::parse(line.as_bytes(), group.as_bytes());
        assert!(rig.provision_as("ann", Origin::Existing).is_ok(), "{group}");
        assert!(rig.has("ann").0);
        rig.execute("DELETE FROM identity");
    }
}

#[test]
fn half_an_account_that_was_given_a_password_is_somebodys() {
    let rig = Rig::new();
    rig.work("useradd", "ann", false);
    rig.shadow("ann:$6$x$y:20779::::::");
    assert_eq!(reason(rig.provision("ann")).0, "identity_changed");
    assert!(rig.has("ann").0);
}

#[test]
fn a_group_that_is_there_already_is_used_and_no_other_one() {
    let rig = Rig::new();
    rig.work("groupadd", "ann", false);
    rig.expect(&useradd_with("ann", &format!("-g {ID}"), ""), Act::Works);
    assert!(rig.provision("ann").is_ok());
    for group in ["ann:x:1001:", "staff:x:1900000007:"] {
        let rig = Rig::new();
        *rig.etc.borrow_mut() = LocalNames::parse(b"", group.as_bytes());
        assert_eq!(reason(rig.provision("ann")).0, "useradd_failed", "{group}");
    }
}

#[test]
fn when_useradd_fails_nothing_is_recorded_and_a_group_that_was_there_stays() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Fails(4));
    let error = rig.provision("ann").unwrap_err();
    assert_eq!(error.class(), (FailureClass::Broken, "useradd_failed"), "never a refusal");
    let detail = error.to_string();
    assert!(detail.starts_with("useradd: /") && detail.ends_with("exit status: 4: because"), "{detail}");
    assert!(!rig.is_recorded("ann"));
    rig.work("groupadd", "ann", false);
    rig.expect(&useradd_with("ann", &format!("-g {ID}"), ""), Act::Fails(4));
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert_eq!(rig.has("ann"), (false, true));
}

#[test]
fn what_a_failing_command_has_made_all_the_same_is_taken_away() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::WorksAndFails);
    rig.expect("userdel -- ann", Act::Works).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert_eq!(rig.has("ann"), (false, false));
    rig.expect(&useradd("ann"), Act::MakesAGroupAndFails).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert_eq!(rig.has("ann"), (false, false));
}

#[test]
fn a_useradd_that_says_it_worked_and_did_not_is_a_failure() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Prints(""));
    assert!(reason(rig.provision("ann")).1.contains("not in /etc/passwd"));
}

const NO_ROWS: &str = "CREATE TRIGGER full BEFORE INSERT ON identity BEGIN SELECT RAISE(ABORT, 'full'); END";

#[test]
fn when_the_store_fails_user_and_group_are_taken_away() {
    let rig = Rig::new();
    rig.meanwhile.replace(Some(NO_ROWS));
    rig.expect(&useradd("ann"), Act::Works);
    rig.expect("userdel -- ann", Act::Works).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "store");
    assert_eq!(rig.has("ann"), (false, false));
}

#[test]
fn when_undoing_fails_the_error_says_what_is_left() {
    let rig = Rig::new();
    rig.meanwhile.replace(Some(NO_ROWS));
    rig.expect(&useradd("ann"), Act::Works);
    rig.expect("userdel -- ann", Act::Fails(8));
    let (reason, detail) = reason(rig.provision("ann"));
    assert_eq!(reason, "useradd_failed");
    assert!(detail.contains("left on this machine: user ann (") && detail.ends_with("group ann"), "{detail}");
}

#[test]
fn an_account_that_was_recorded_stays_though_it_could_not_be_published() {
    let rig = Rig::new();
    std::fs::create_dir(&rig.places.nss_db).unwrap();
    rig.expect(&useradd("ann"), Act::Works);
    assert!(rig.provision("ann").is_err());
    assert!(rig.is_recorded("ann"));
    assert_eq!(rig.has("ann"), (true, true));
    std::fs::remove_dir(&rig.places.nss_db).unwrap();
    assert!(rig.provision("ann").is_ok(), "and the next login is a returning one");
}

#[test]
fn a_name_with_at_or_dot_asks_useradd_for_the_option_that_lets_it_pass() {
    for (help, option) in [
        ("  --badname    do not check for bad names\n", " --badname"),
        ("  -b, --badnames,  x\n", " --badnames"),
        ("  -b, --base-dir BASE_DIR\n", ""),
    ] {
        let (rig, name) = (Rig::new(), "john.doe@example.com");
        rig.expect("useradd --help", Act::Prints(help))
            .expect(&useradd_with(name, OWN_GROUP, option), Act::Works);
        assert!(rig.provision(name).is_ok(), "{help}");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused_before_anything_is_run() {
    let rig = Rig::new();
    assert_eq!(reason(rig.provision(&"a".repeat(33))).0, "useradd_failed");
    let longest = "a".repeat(32);
    rig.expect(&useradd(&longest), Act::Works);
    assert!(rig.provision(&longest).is_ok());
    assert!(LoginName::parse("-x").is_err(), "nor does such a name exist");
}

#[test]
fn somebody_with_a_row_stays_served_by_the_store() {
    let rig = Rig::new();
    rig.expect(&useradd("ann"), Act::Works);
    rig.provision("ann").unwrap();
    rig.work("userdel", "ann", false);
    assert!(rig.provision("ann").is_ok(), "known");
    rig.execute("UPDATE identity SET state = 'reserved'");
    let provisioned = rig.provision("ann").unwrap();
    assert!(provisioned.warnings[0].contains("not by /etc/passwd"), "{provisioned:?}");
}

#[test]
fn no_command_runs_on_after_the_deadline_of_the_login_but_what_undoes_it() {
    let rig = Rig::new();
    rig.left.set(7);
    rig.expect(&useradd("ann"), Act::MakesAGroupAndHangs).expect("groupdel -- ann", Act::Works);
    let (reason, detail) = reason(rig.provision("ann"));
    assert_eq!((reason, detail.contains("was killed after")), ("useradd_failed", true), "{detail}");
    let limits = rig.limits.borrow();
    let seconds: Vec<u64> = limits.iter().map(|limit| limit.as_secs_f32().ceil() as u64).collect();
    assert_eq!(seconds, [7, 12], "useradd, and five seconds more for groupdel");
}

#[test]
fn without_time_left_nothing_is_made() {
    let rig = Rig::new();
    rig.left.set(0);
    let (reason, detail) = reason(rig.provision("ann"));
    assert_eq!(reason, "useradd_failed");
    assert!(detail.contains("was not started"), "{detail}");
    assert_eq!((rig.has("ann"), rig.is_recorded("ann")), ((false, false), false));
}

#[test]
fn nobody_waits_for_the_lock_beyond_the_deadline() {
    let rig = Rig::new();
    rig.left.set(0);
    let _held = lock::lock(&rig.places, &SystemClock::new(), Duration::MAX).unwrap();
    let (reason, detail) = reason(rig.provision("ann"));
    assert_eq!(reason, "useradd_failed");
    assert!(detail.starts_with("lock: ") && detail.contains("useradd.lock"), "{detail}");
}
