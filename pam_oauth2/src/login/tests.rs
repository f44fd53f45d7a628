//! The pipeline over a scripted host, a scripted provider and a store in a temporary directory.

use super::*;
use crate::home::{CommandError, HomeOutcome, RunCommand};
use crate::host::{Answer, Host, HostError, Resolved};
use crate::oauth::test_support::{DEVICE, INTROSPECT, NOW, Reply, Script, TOKEN};
use crate::outcome::Barred;
use crate::provision::store::StoreProvisioner;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock, TestClock};
use shared::secure_file;
use shared::snapshot::{MappedFile, Snapshot};
use shared::store::publish::{Want, publish};
use shared::store::{Places, RowState, Store, parameters};
use std::cell::RefCell;
use std::collections::VecDeque;

mod explanations;
mod limits;
mod residents;
mod revoked;
mod stage;
mod unfinished;

use stage::*;

#[test]
fn somebody_the_machine_has_never_seen_is_in_on_the_first_try() {
    let stage = Stage::new("");
    let admission = sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    assert!(admission.provisioned.first);
    assert_eq!(admission.provisioned.added, ["idp-staff"]);
    assert!(stage.account("ann").is_ok(), "the account phase follows at once");
    assert!(setcred(&stage.machine, &mut stage.host("ann", Prompts::new())).is_ok());
}

#[test]
fn a_second_login_asks_once_publishes_nothing_and_needs_two_connections() {
    let stage = Stage::new("");
    let uid = sign_in(&stage, "ann", "s1", &[]).unwrap().account.uid;
    let before = stage.traces();
    std::fs::create_dir_all(stage.dir.path().join("home/ann")).unwrap();
    let script = approved(claims("ann", "s1", &[]));
    let admission = run(&stage, &mut stage.host("ann", later_prompts()), &script).unwrap();
    assert_eq!((admission.account.uid, admission.provisioned.first), (uid, false));
    assert_eq!(stage.traces(), before);
    assert_eq!(script.connections(), 2);
}

#[test]
fn unverified_or_unfitting_claims_leave_no_trace() {
    let inactive = json!({"active": false});
    let short = json!({"active": true, "username": "ann", "sub": "s1", "scope": "openid"});
    let nobody = json!({"active": true, "username": "ann", "scope": "openid profile"});
    let cases = [
        (claims("bob", "s1", &[]), "wrong_person"),
        (claims("Ann:x", "s1", &[]), "name_not_admissible"),
        (inactive, "bad_token"),
        (short, "bad_token"),
        (nobody, "bad_token"),
    ];
    for (claims, expected) in cases {
        let stage = Stage::new("");
        let before = stage.traces();
        let outcome = run(&stage, &mut stage.host("ann", first_prompts()), &approved(claims));
        assert_eq!(reason(outcome), expected);
        assert_eq!(stage.traces(), before, "{expected}");
    }
}

#[test]
fn the_policy_shuts_out_whom_it_should() {
    for (extra, groups, expected) in [
        (r#", "allowed_groups": ["x"]"#, &["s"] as &[&str], "not_allowed"),
        (r#", "allowed_groups": ["x"]"#, &[], "no_groups"),
        (r#", "allowed_users": ["bob"]"#, &["s"], "not_allowed"),
    ] {
        let stage = Stage::new(extra);
        assert_eq!(reason(sign_in(&stage, "ann", "s1", groups)), expected, "{extra}");
        assert_eq!(stage.traces().0, 0);
    }
    let stage = Stage::new(r#", "allowed_groups": ["x", "s"]"#);
    assert!(sign_in(&stage, "ann", "s1", &["s"]).is_ok());
}

#[test]
fn text_at_the_gate_reaches_nobody() {
    let stage = Stage::new("");
    let prompts = [("Press Enter", Ok(Answer::Text))].into();
    assert_eq!(reason(run(&stage, &mut stage.host("ann", prompts), &Script::new(vec![]))), "typed_text");
    let prompts = [("Press Enter", Err(HostError::NoPrompt))].into();
    assert_eq!(reason(run(&stage, &mut stage.host("ann", prompts), &Script::new(vec![]))), "no_prompt");
}

#[test]
fn a_gate_that_is_passed_too_late_costs_the_provider_nothing() {
    let stage = Stage::new("");
    let script = Script::new(vec![]);
    let mut host = stage.host("ann", [("Press Enter", Ok(Answer::Enter))].into());
    host.thinks = Some((script.clone(), std::time::Duration::from_secs(111)));
    assert_eq!(reason(run(&stage, &mut host, &script)), "expired");
}

#[test]
fn local_people_are_left_alone_whatever_the_state_of_the_package() {
    let stage = Stage::new("");
    let quiet = |stage: &Stage| {
        for name in ["root", "localu"] {
            let outcome = run(stage, &mut stage.host(name, Prompts::new()), &Script::new(vec![]));
            assert!(matches!(outcome, Err(Exit::NotOurs(NotOurs::LocalUser))), "{name}: {outcome:?}");
            assert!(matches!(stage.account(name), Err(Exit::NotOurs(NotOurs::LocalUser))));
        }
    };
    quiet(&stage);
    std::fs::write(&stage.machine.config, "{").unwrap();
    quiet(&stage);
    std::fs::write(&stage.machine.places.store, "x").unwrap();
    std::fs::write(&stage.machine.places.nss_db, "x").unwrap();
    quiet(&stage);
}

#[test]
fn names_that_could_be_something_else_are_refused_before_any_prompt() {
    let stage = Stage::new("");
    let refused = |name: &str| {
        let outcome = run(&stage, &mut stage.host(name, Prompts::new()), &Script::new(vec![]));
        let Err(Exit::Failed(error)) = outcome else { panic!("{name}") };
        (error.class().1, error.class().0.code() == pam::constants::PamResultCode::PAM_USER_UNKNOWN)
    };
    let long = "a".repeat(65);
    for name in ["0", "0.0", "Ann", "-x", "a:b", "\u{212a}elvin", &long] {
        assert_eq!(refused(name), ("name_not_admissible", true), "{name}");
    }
    for name in ["sudo", "redis", "root.root", "idp-staff", "oauth2-users"] {
        assert_eq!(refused(name), ("reserved_name", true), "{name}");
    }
    assert_eq!(refused("oauth2-probe-1").0, "probe");
}

#[test]
fn before_enable_and_after_a_change_of_the_configuration_no_stranger_gets_a_prompt() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    let try_as = |name, prompts| run(&stage, &mut stage.host(name, prompts), &Script::new(vec![]));
    stage.configure(r#", "shell": "/bin/sh""#);
    assert_eq!(reason(try_as("bob", Prompts::new())), "config_changed");
    std::fs::remove_file(&stage.machine.places.first_login).unwrap();
    assert_eq!(reason(try_as("bob", Prompts::new())), "not_enabled");
    // Whom the machine knows is not affected: the published entry still has the old shell.
    assert!(sign_in(&stage, "ann", "s1", &[]).is_ok());
}

#[test]
fn a_login_that_began_before_a_change_of_the_configuration_undoes_nothing() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    // While bob reads the code, the administrator shuts out everybody but bob, and publishes.
    let mut host = stage.host("bob", first_prompts());
    host.meanwhile = Some(|stage| {
        stage.configure(r#", "allowed_users": ["bob"]"#);
        stage.publish();
    });
    assert_eq!(reason(run(&stage, &mut host, &approved(claims("bob", "s2", &[])))), "config_changed");
    assert_eq!(stage.account_reason("ann"), "not_allowed");
}

#[test]
fn a_publication_that_fails_keeps_a_withdrawn_group_from_everybody() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    let beside = stage.dir.path().join("state/nss.db.new");
    std::fs::create_dir_all(beside.join("in the way")).unwrap();
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "publication");
    assert_eq!(
        reason(sign_in(&stage, "ann", "s1", &[])),
        "publication",
        "a second try grants it no more than the first"
    );
    std::fs::remove_dir_all(&beside).unwrap();
    assert!(sign_in(&stage, "ann", "s1", &[]).is_ok());
}

#[test]
fn a_store_that_counts_to_a_published_generation_again_publishes_whom_it_records() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    stage.execute("DELETE FROM identity; UPDATE meta SET generation = generation - 1");
    sign_in(&stage, "bob", "s2", &[]).unwrap();
    assert!(stage.account("bob").is_ok());
}

#[test]
fn a_name_that_another_source_serves_is_not_ours() {
    let stage = Stage::new("");
    let mut host = stage.host("zoe", Prompts::new());
    let other =
        Resolved { name: "zoe".into(), uid: 70_000, gid: 70_000, home: "/h".into(), shell: "/bin/sh".into() };
    host.resolves = Some(RefCell::new([Some(other)].into()));
    let outcome = run(&stage, &mut host, &Script::new(vec![]));
    assert!(matches!(outcome, Err(Exit::NotOurs(NotOurs::Name))), "{outcome:?}");
    let mut host = stage.host(r"CORP\john", Prompts::new());
    let john = Resolved {
        name: "john".into(),
        uid: 70_001,
        gid: 70_001,
        home: "/h".into(),
        shell: "/bin/sh".into(),
    };
    host.resolves = Some(RefCell::new([Some(john)].into()));
    let outcome = run(&stage, &mut host, &Script::new(vec![]));
    assert!(matches!(outcome, Err(Exit::NotOurs(NotOurs::Name))), "{outcome:?}");
}

#[test]
fn an_account_that_changes_while_the_person_approves_lets_nobody_in() {
    let stage = Stage::new("");
    let before = Resolved::from(&stage.machine.prospective("ann").unwrap());
    for after in [None, Some(Resolved { uid: before.uid + 1, ..before.clone() })] {
        let stage = Stage::new("");
        let before = Resolved::from(&stage.machine.prospective("ann").unwrap());
        let mut host = stage.host("ann", first_prompts());
        host.resolves = Some(RefCell::new([Some(before), after].into()));
        assert_eq!(reason(run(&stage, &mut host, &approved(claims("ann", "s1", &[])))), "identity_changed");
    }
}

#[test]
fn a_uid_or_a_home_that_is_there_already_is_never_handed_over() {
    let stage = Stage::new("");
    let uid = stage.machine.prospective("ann").unwrap().uid.get();
    let mut host = stage.host("ann", first_prompts());
    host.ids = vec![uid];
    assert_eq!(reason(run(&stage, &mut host, &approved(claims("ann", "s1", &[])))), "uid_collision");
    std::fs::create_dir_all(stage.dir.path().join("home/ann")).unwrap();
    let outcome = run(&stage, &mut stage.host("ann", Prompts::new()), &Script::new(vec![]));
    assert_eq!(reason(outcome), "home_exists");
}

#[test]
fn the_wrong_subject_is_refused_even_under_the_right_name() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    assert_eq!(reason(sign_in(&stage, "ann", "s2", &[])), "subject_mismatch");
    assert_eq!(reason(sign_in(&stage, "anna", "s1", &[])), "renamed");
}

#[test]
fn a_store_that_cannot_be_written_keeps_out_strangers_and_whoever_lost_a_group_but_nobody_else() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    stage.execute(
        "UPDATE identity SET confirmed_day = 1;
         CREATE TRIGGER full BEFORE UPDATE ON identity BEGIN SELECT RAISE(FAIL, 'disk full'); END;
         CREATE TRIGGER full2 BEFORE INSERT ON identity BEGIN SELECT RAISE(FAIL, 'disk full'); END;",
    );
    let admission = sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    assert!(admission.provisioned.warnings[0].contains("not recorded"), "{:?}", admission.provisioned);
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "store");
    assert_eq!(reason(sign_in(&stage, "bob", "s2", &[])), "store");
}

#[test]
fn a_local_group_that_was_taken_away_does_not_outlive_a_full_disk() {
    let with = r#", "local_groups": ["ops"]"#;
    let stage = Stage::new(with);
    std::fs::write(&stage.machine.group, "root:x:0:\nops:x:1600:\n").unwrap();
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    stage.execute(
        "UPDATE identity SET confirmed_day = 1;
         CREATE TRIGGER full BEFORE UPDATE ON identity BEGIN SELECT RAISE(FAIL, 'disk full'); END;",
    );
    assert!(sign_in(&stage, "ann", "s1", &[]).is_ok());
    stage.configure("");
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "store");
}

#[test]
fn the_account_phase_answers_from_what_is_published() {
    let stage = Stage::new(r#", "max_confirmation_age": 30"#);
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    assert!(stage.account("ann").is_ok());
    let today = TestClock::at(NOW).today().0;
    let cases = [
        ("state = 'locked'".to_owned(), "locked"),
        ("state = 'reserved'".to_owned(), "unconfirmed"),
        (format!("expires_day = {today}"), "account_expired"),
        (format!("confirmed_day = {}", today - 31), "confirmation_too_old"),
        (format!("confirmed_day = {}", today + 2), "confirmation_too_old"),
    ];
    for (change, expected) in cases {
        stage.execute(&format!("UPDATE identity SET {change}"));
        stage.publish();
        assert_eq!(stage.account_reason("ann"), expected);
        stage.execute(&format!(
            "UPDATE identity SET state = 'confirmed', expires_day = NULL, confirmed_day = {today}"
        ));
    }
    stage.publish();
    assert!(stage.account("ann").is_ok());
    assert_eq!(stage.account_reason("bob"), "unconfirmed", "sshd let a prospective name in by a key");
    stage.execute("UPDATE identity SET confirmed_day = 1");
    stage.publish();
    let clock = TestClock::at(NOW);
    let fresh = account(&stage.machine, &mut stage.host("ann", Prompts::new()), &clock, true);
    assert!(fresh.is_ok(), "verified a moment ago, though the disk was full: {fresh:?}");
    stage.execute(&format!("UPDATE identity SET confirmed_day = {today}"));
    stage.publish();
    let mut host = stage.host("ann", Prompts::new());
    host.resolves = Some(RefCell::new([None].into()));
    let outcome = account(&stage.machine, &mut host, &TestClock::at(NOW), false);
    assert!(matches!(outcome, Err(Exit::Failed(LoginError::Barred(Barred::IdentityChanged)))), "{outcome:?}");
}

#[test]
fn who_was_removed_is_refused_by_name() {
    let stage = Stage::new("");
    let admission = sign_in(&stage, "ann", "s1", &[]).unwrap();
    let mut store = Store::open(&stage.machine.places).unwrap();
    assert_eq!(store.person(&admission.account.name).unwrap().unwrap().state, RowState::Confirmed);
    store.remove(&admission.account.name, NOW, "root").unwrap();
    stage.publish();
    assert_eq!(stage.account_reason("ann"), "tombstoned");
    let outcome = run(&stage, &mut stage.host("ann", Prompts::new()), &Script::new(vec![]));
    assert_eq!(reason(outcome), "tombstoned");
}

struct Helper(RefCell<Vec<String>>);

impl RunCommand for Helper {
    fn output(
        &self,
        program: &str,
        arguments: &[&str],
        _: std::time::Duration,
    ) -> Result<String, CommandError> {
        self.0.borrow_mut().push(format!("{program} {}", arguments.join(" ")));
        Ok(String::new())
    }
}

#[test]
fn only_a_confirmed_person_gets_a_home_directory() {
    let stage = Stage::new("");
    let helper = Helper(RefCell::default());
    let open = |name| open_session(&stage.machine, &mut stage.host(name, Prompts::new()), &helper);
    assert!(matches!(open("ann"), Err(Exit::NotOurs(NotOurs::Name))));
    assert!(matches!(open("localu"), Err(Exit::NotOurs(NotOurs::LocalUser))));
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    let home = stage.dir.path().join("home/ann");
    // The directory above is in /tmp, which others can write to.
    assert!(open("ann").unwrap().is_err());
    std::fs::create_dir_all(&home).unwrap();
    assert!(open("ann").unwrap().is_err(), "a directory of root's was not made for ann");
    assert!(helper.0.borrow().is_empty());
    if rustix::process::geteuid().is_root() {
        let uid = stage.machine.prospective("zoe").unwrap().uid.get();
        std::os::unix::fs::chown(&home, Some(ann_uid(&stage)), Some(uid)).unwrap();
        assert_eq!(open("ann").unwrap().unwrap(), HomeOutcome::Present);
    }
}

fn ann_uid(stage: &Stage) -> u32 {
    match known::standing(&stage.machine, "ann") {
        Ok(Some(known::Standing::Row(row))) => row.entry.uid,
        other => panic!("{other:?}"),
    }
}
