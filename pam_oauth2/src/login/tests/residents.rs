//! Users of /etc/passwd, and people whose accounts come from elsewhere.

use super::*;

const ALLOW: &str = r#", "local_users": "allow""#;

fn resident(stage: &Stage, name: &str, uid: u32) -> Resolved {
    let home = stage.dir.path().join("home").join(name).display().to_string();
    let line = format!("{name}:x:{uid}:{uid}::{home}:/bin/zsh\n");
    let passwd = std::fs::read_to_string(&stage.machine.passwd).unwrap();
    std::fs::write(&stage.machine.passwd, passwd + &line).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    Resolved { name: name.into(), uid, gid: uid, home, shell: "/bin/zsh".into() }
}

/// The host of a user who resolves to this entry whenever it is asked.
fn host<'a>(stage: &'a Stage, entry: &Resolved, prompts: Prompts) -> ScriptedHost<'a> {
    let mut host = stage.host(&entry.name, prompts);
    host.resolves = Some(RefCell::new(std::iter::repeat_n(Some(entry.clone()), 8).collect()));
    host
}

fn sign_in_as(stage: &Stage, entry: &Resolved, subject: &str) -> Result<Admission, Exit> {
    run(stage, &mut host(stage, entry, first_prompts()), &approved(claims(&entry.name, subject, &["s"])))
}

fn account_of(stage: &Stage, entry: &Resolved) -> Result<(), Exit> {
    account(&stage.machine, &mut host(stage, entry, Prompts::new()), &TestClock::at(NOW), false)
}

fn is_left_alone(outcome: &Result<Admission, Exit>) -> bool {
    matches!(outcome, Err(Exit::NotOurs(NotOurs::LocalUser)))
}

#[test]
fn a_user_of_the_machine_signs_in_under_the_account_they_have() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    let admission = sign_in_as(&stage, &dora, "s1").unwrap();
    assert!(dora.is(&admission.account) && admission.provisioned.first);
    let file = MappedFile::open_owned_by(stage.machine.nss_db(), stage.machine.places.owner).unwrap();
    let published = Snapshot::open(file.bytes()).unwrap().person_by_name(b"dora").unwrap().unwrap();
    assert!(!published.visible, "/etc/passwd serves them");
    assert_eq!(published.supplementary().count(), 2, "the people group and the provider's");
    // pam_unix has a say: our account phase refuses or stays silent.
    assert!(matches!(account_of(&stage, &dora), Err(Exit::NotOurs(NotOurs::LocalUser))));
    stage.execute("UPDATE identity SET state = 'locked'");
    stage.publish();
    let Err(Exit::Failed(error)) = account_of(&stage, &dora) else { panic!() };
    assert_eq!(error.class().1, "locked");
}

#[test]
fn a_provider_that_says_nothing_about_groups_takes_no_way_in_from_people_of_the_machine() {
    let stage = Stage::new(r#", "local_users": "allow", "allowed_groups": ["s"]"#);
    let dora = resident(&stage, "dora", 1001);
    sign_in_as(&stage, &dora, "s1").unwrap();
    let refused = |groups: &[&str], expected: &str| {
        let script = approved(claims("dora", "s1", groups));
        assert_eq!(reason(run(&stage, &mut host(&stage, &dora, later_prompts()), &script)), expected);
    };
    refused(&[], "no_groups");
    assert!(matches!(account_of(&stage, &dora), Err(Exit::NotOurs(NotOurs::LocalUser))));
    refused(&["other"], "not_allowed");
    assert!(matches!(account_of(&stage, &dora), Err(Exit::Failed(_))), "another group is an answer");
}

#[test]
fn an_account_of_the_machine_stays_its_keepers() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    sign_in_as(&stage, &dora, "s1").unwrap();
    let changed = Resolved { shell: "/bin/fish".into(), gid: 1500, ..dora.clone() };
    assert!(matches!(account_of(&stage, &changed), Err(Exit::NotOurs(NotOurs::LocalUser))), "after chsh");
    let script = approved(claims("dora", "s1", &[]));
    assert!(run(&stage, &mut host(&stage, &changed, later_prompts()), &script).is_ok());
    assert_eq!(Store::open(&stage.machine.places).unwrap().people().unwrap()[0].account.shell, "/bin/fish");
    // Deleted there is deleted: the row never takes the place of the account, nor does it shadow who gets the uid.
    std::fs::write(&stage.machine.passwd, "root:x:0:0::/root:/bin/sh\ncarol:x:1001:1001::/:/bin/sh\n")
        .unwrap();
    stage.publish();
    let file = MappedFile::open_owned_by(stage.machine.nss_db(), stage.machine.places.owner).unwrap();
    assert!(!Snapshot::open(file.bytes()).unwrap().person_by_name(b"dora").unwrap().unwrap().visible);
}

#[test]
fn a_user_of_the_machine_who_was_bound_beforehand_keeps_every_way_in() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    sign_in_as(&stage, &dora, "s1").unwrap();
    stage.execute("UPDATE identity SET state = 'reserved', confirmed_day = NULL");
    stage.publish();
    assert!(matches!(account_of(&stage, &dora), Err(Exit::NotOurs(NotOurs::LocalUser))));
}

/// dora as `oauth2ctl user bind` leaves her: bound, never signed in, opened by her keys.
fn bound_beforehand(stage: &Stage) -> Resolved {
    let dora = resident(stage, "dora", 1001);
    sign_in_as(stage, &dora, "s1").unwrap();
    stage.execute("UPDATE identity SET state = 'reserved', confirmed_day = NULL");
    stage.publish();
    assert!(matches!(account_of(stage, &dora), Err(Exit::NotOurs(NotOurs::LocalUser))));
    dora
}

#[test]
fn whom_the_groups_refuse_at_the_first_sign_in_after_a_binding_loses_the_keys_until_one_is_admitted() {
    let stage = Stage::new(r#", "local_users": "allow", "allowed_groups": ["s"]"#);
    let dora = bound_beforehand(&stage);
    let sign_in = |subject: &str, groups: &[&str]| {
        let script = approved(claims("dora", subject, groups));
        run(&stage, &mut host(&stage, &dora, first_prompts()), &script)
    };
    let keys_open = || match account_of(&stage, &dora) {
        Err(Exit::NotOurs(NotOurs::LocalUser)) => true,
        Err(Exit::Failed(error)) => {
            assert_eq!(error.class().1, "not_allowed");
            false
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(sign_in("s2", &["other"])), "not_allowed");
    assert!(keys_open(), "somebody else's subject");
    assert_eq!(reason(sign_in("s1", &[])), "no_groups");
    assert!(keys_open(), "a provider that says nothing of groups");
    assert_eq!(reason(sign_in("s1", &["other"])), "not_allowed");
    assert!(!keys_open());
    assert_eq!(
        reason(sign_in("s1", &["other"])),
        "not_allowed",
        "may try, and is asked for Enter twice as before"
    );
    assert!(sign_in("s1", &["s"]).unwrap().provisioned.removed.is_empty());
    assert!(keys_open());
}

#[test]
fn a_user_of_the_machine_whom_nobody_has_bound_loses_nothing_by_a_sign_in_in_their_name() {
    let stage = Stage::new(r#", "local_users": "allow", "allowed_groups": ["s"]"#);
    let dora = resident(&stage, "dora", 1001);
    let before = stage.traces();
    let script = approved(claims("dora", "s1", &["other"]));
    assert_eq!(reason(run(&stage, &mut host(&stage, &dora, first_prompts()), &script)), "not_allowed");
    assert_eq!(stage.traces(), before, "whoever can choose a name at the provider shuts nobody out");
    assert!(matches!(account_of(&stage, &dora), Err(Exit::NotOurs(NotOurs::LocalUser))));
}

#[test]
fn a_user_of_the_machine_is_bound_to_one_subject() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    sign_in_as(&stage, &dora, "s1").unwrap();
    let again = |subject| {
        let script = approved(claims("dora", subject, &[]));
        run(&stage, &mut host(&stage, &dora, later_prompts()), &script)
    };
    assert!(again("s1").is_ok());
    assert_eq!(reason(again("s2")), "subject_mismatch");
}

#[test]
fn a_user_of_the_machine_who_types_a_password_is_asked_for_it_by_somebody_else() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    let prompts = [("Press Enter", Ok(Answer::Text))].into();
    assert!(is_left_alone(&run(&stage, &mut host(&stage, &dora, prompts), &Script::new(vec![]))));
    sign_in_as(&stage, &dora, "s1").unwrap();
    let prompts = [("Enter the code", Ok(Answer::Text))].into();
    assert!(is_left_alone(&run(&stage, &mut host(&stage, &dora, prompts), &Script::new(vec![device()]))));
}

#[test]
fn services_reserved_names_and_privileged_users_are_left_alone() {
    for (extra, name, uid, groups) in [
        (ALLOW, "dora", 999, vec![]),
        (ALLOW, "git", 1001, vec![]),
        (ALLOW, "dora", 1001, vec![(27, "admins".to_owned())]),
        (ALLOW, "dora", 1001, vec![(5000, "wheel".to_owned())]),
        ("", "dora", 1001, vec![]),
    ] {
        let stage = Stage::new(extra);
        std::fs::write(&stage.machine.group, "root:x:0:\nsudo:x:27:\n").unwrap();
        let entry = resident(&stage, name, uid);
        let mut host = host(&stage, &entry, Prompts::new());
        host.groups = groups;
        assert!(is_left_alone(&run(&stage, &mut host, &Script::new(vec![]))), "{extra} {name} {uid}");
    }
    let stage = Stage::new(r#", "local_users": "allow", "allowed_users": ["dora"]"#);
    std::fs::write(&stage.machine.group, "root:x:0:\nsudo:x:27:\n").unwrap();
    let entry = resident(&stage, "dora", 1001);
    let mut host = host(&stage, &entry, first_prompts());
    host.groups = vec![(27, "sudo".to_owned())];
    assert!(run(&stage, &mut host, &approved(claims("dora", "s1", &[]))).is_ok(), "named in allowed_users");
}

#[test]
fn a_locked_name_stays_refused_whatever_uid_its_account_gets_until_it_is_unlocked() {
    let stage = Stage::new(ALLOW);
    let dora = resident(&stage, "dora", 1001);
    sign_in_as(&stage, &dora, "s1").unwrap();
    let state = |state: &str| {
        stage.execute(&format!("UPDATE identity SET state = '{state}'"));
        stage.publish();
    };
    state("locked");
    let passwd = std::fs::read_to_string(&stage.machine.passwd).unwrap();
    std::fs::write(&stage.machine.passwd, passwd.replace(":1001:", ":1077:")).unwrap();
    let moved = Resolved { uid: 1077, ..dora.clone() };
    for publish in [false, true] {
        if publish {
            stage.publish();
        }
        let Err(Exit::Failed(error)) = account_of(&stage, &moved) else { panic!("{publish}") };
        assert_eq!(error.class().1, "locked");
        assert!(error.detail("dora").contains("oauth2ctl user unlock dora"));
        let outcome = run(&stage, &mut host(&stage, &moved, Prompts::new()), &Script::new(vec![]));
        assert_eq!(reason(outcome), "locked");
    }
    state("confirmed");
    assert!(
        matches!(account_of(&stage, &moved), Err(Exit::NotOurs(NotOurs::LocalUser))),
        "somebody new to us"
    );
}

#[test]
fn a_user_who_only_has_the_name_of_one_of_ours_notices_nothing() {
    for after in [
        "",
        "UPDATE identity SET state = 'locked'",
        "DELETE FROM identity; INSERT INTO tombstone VALUES ('ann', 5000, NULL, NULL, 1, 99)",
    ] {
        let stage = Stage::new(ALLOW);
        sign_in(&stage, "ann", "s1", &[]).unwrap();
        let namesake = resident(&stage, "ann", 1007);
        stage.execute(after);
        stage.publish();
        assert!(is_left_alone(&run(
            &stage,
            &mut host(&stage, &namesake, Prompts::new()),
            &Script::new(vec![])
        )));
        assert!(matches!(account_of(&stage, &namesake), Err(Exit::NotOurs(NotOurs::LocalUser))), "{after}");
    }
}

#[test]
fn useradd_mode_asks_nobody_behind_a_stack_that_jumps_over_local_users() {
    let stage = Stage::new("");
    let text = std::fs::read_to_string(&stage.machine.config).unwrap().replace("\"store\"", "\"useradd\"");
    secure_file::replace(&stage.machine.config, text.as_bytes(), 0o600).unwrap();
    stage.enable();
    let refused =
        |name: &str| reason(run(&stage, &mut stage.host(name, Prompts::new()), &Script::new(vec![])));
    assert_eq!(refused("ann"), "wrong_profile");
    let inputs = stage.machine.inputs().unwrap();
    parameters::enable(&stage.machine.places, &inputs, LOCAL_PROFILE, &SystemClock::new()).unwrap();
    assert_eq!(refused(&"a".repeat(33)), "name_not_admissible");
}

#[test]
fn without_provisioning_people_are_whoever_the_host_knows() {
    let stage = Stage::new("");
    let text = std::fs::read_to_string(&stage.machine.config).unwrap().replace("\"store\"", "\"none\"");
    secure_file::replace(&stage.machine.config, text.as_bytes(), 0o600).unwrap();
    parameters::disable(&stage.machine.places, &SystemClock::new()).unwrap();
    stage.publish();
    let entry = Resolved {
        name: "eve".into(),
        uid: 70_001,
        gid: 70_000,
        home: "/h/eve".into(),
        shell: "/bin/sh".into(),
    };
    let admission = sign_in_as(&stage, &entry, "s1").unwrap();
    assert!(entry.is(&admission.account));
    assert!(matches!(account_of(&stage, &entry), Err(Exit::NotOurs(NotOurs::LocalUser))), "SSSD has a say");
    let nobody = run(&stage, &mut stage.host("nobody-knows", Prompts::new()), &Script::new(vec![]));
    assert_eq!(reason(nobody), "not_enabled");
    let service = Resolved { name: "svc-x".into(), uid: 90, ..entry };
    assert!(is_left_alone(&run(&stage, &mut host(&stage, &service, Prompts::new()), &Script::new(vec![]))));
}
