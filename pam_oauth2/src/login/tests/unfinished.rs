//! Accounts in /etc/passwd of sign-ins that were killed between useradd(8) and the record.

use super::*;

/// A machine in useradd mode, where `ann` has the line that useradd(8) makes of `change`(her prospective account).
fn stage(change: impl Fn(String) -> String) -> (Stage, Resolved) {
    let stage = Stage::new("");
    let text = std::fs::read_to_string(&stage.machine.config).unwrap().replace("\"store\"", "\"useradd\"");
    secure_file::replace(&stage.machine.config, text.as_bytes(), 0o600).unwrap();
    let inputs = stage.machine.inputs().unwrap();
    parameters::enable(&stage.machine.places, &inputs, LOCAL_PROFILE, &SystemClock::new()).unwrap();
    stage.publish();
    let account = stage.machine.prospective("ann").unwrap();
    let Account { uid, gid, home, shell, .. } = &account;
    let line = change(format!("ann:x:{uid}:{gid}::{home}:{shell}\n"));
    std::fs::write(&stage.machine.passwd, format!("root:x:0:0::/root:/bin/sh\n{line}")).unwrap();
    std::fs::write(&stage.machine.group, format!("root:x:0:\nann:x:{gid}:\n")).unwrap();
    std::fs::write(&stage.machine.shadow, "root:*:1:0:99999:7:::\nann:!:20779:0:99999:7:::\n").unwrap();
    let entry = Resolved::from(&account);
    (stage, entry)
}

/// The host finds the line of /etc/passwd whenever it is asked, and the number too.
fn host<'a>(stage: &'a Stage, entry: &Resolved, prompts: Prompts) -> ScriptedHost<'a> {
    let mut host = stage.host("ann", prompts);
    host.resolves = Some(RefCell::new(std::iter::repeat_n(Some(entry.clone()), 8).collect()));
    host.ids = vec![entry.uid];
    host
}

fn account_of(stage: &Stage, entry: &Resolved) -> Result<(), Exit> {
    account(&stage.machine, &mut host(stage, entry, Prompts::new()), &TestClock::at(NOW), false)
}

/// Is the account a stranger's, in both phases?
fn is_a_strangers(stage: &Stage, entry: &Resolved) -> bool {
    let auth = run(stage, &mut host(stage, entry, Prompts::new()), &Script::new(vec![]));
    matches!(auth, Err(Exit::NotOurs(NotOurs::LocalUser)))
        && matches!(account_of(stage, entry), Err(Exit::NotOurs(NotOurs::LocalUser)))
}

#[test]
fn the_account_of_a_sign_in_that_was_killed_is_taken_over_by_the_next_one() {
    let (stage, ann) = stage(|line| line);
    let script = approved(claims("ann", "s1", &[]));
    let admission = run(&stage, &mut host(&stage, &ann, first_prompts()), &script).unwrap();
    assert!(ann.is(&admission.account) && admission.provisioned.first);
}

#[test]
fn so_is_one_whose_useradd_was_killed_before_shadow_and_group() {
    let (stage, ann) = stage(|line| line);
    std::fs::write(&stage.machine.shadow, "root:*:1:0:99999:7:::\n").unwrap();
    std::fs::write(&stage.machine.group, "root:x:0:\n").unwrap();
    let script = approved(claims("ann", "s1", &[]));
    assert!(run(&stage, &mut host(&stage, &ann, first_prompts()), &script).unwrap().provisioned.first);
}

#[test]
fn somebody_elses_approval_takes_nothing_over() {
    let (stage, ann) = stage(|line| line);
    let before = stage.traces();
    let script = approved(claims("mallory", "s2", &[]));
    assert_eq!(reason(run(&stage, &mut host(&stage, &ann, first_prompts()), &script)), "wrong_person");
    assert_eq!(stage.traces(), before);
}

#[test]
fn no_key_opens_an_account_that_nobody_has_been_recorded_for() {
    let (stage, ann) = stage(|line| line);
    let Err(Exit::Failed(error)) = account_of(&stage, &ann) else { panic!() };
    assert_eq!(error.class().1, "unconfirmed");
}

#[test]
fn a_line_that_differs_in_one_byte_is_a_strangers() {
    let changes: [fn(String) -> String; 6] = [
        |line| line.replace("/bin/bash", "/bin/zsh"),
        |line| line.replace("::", ":Ann:"),
        |line| line.replace("/home/ann", "/srv/ann"),
        |line| line.replace(":x:", ":*:"),
        |line| line.replacen(":x:1", ":x:01", 1),
        |line| line.clone() + &line,
    ];
    for change in changes {
        let (stage, ann) = stage(change);
        assert!(is_a_strangers(&stage, &ann), "{}", std::fs::read_to_string(&stage.machine.passwd).unwrap());
    }
}

#[test]
fn an_account_that_has_become_somebodys_is_a_strangers() {
    let spoil: [fn(&Stage); 6] = [
        |stage| std::fs::write(&stage.machine.shadow, "ann:$6$x$y:20779:0:99999:7:::\n").unwrap(),
        |stage| std::fs::remove_file(&stage.machine.shadow).unwrap(),
        |stage| std::fs::create_dir_all(stage.dir.path().join("home/ann")).unwrap(),
        |stage| std::fs::write(&stage.machine.group, "root:x:0:\nann:x:1001:\n").unwrap(),
        |stage| {
            stage.execute("INSERT INTO tombstone VALUES ('ann', 5000, NULL, NULL, 1, 99)");
            stage.publish();
        },
        |stage| std::fs::remove_file(&stage.machine.places.first_login).unwrap(),
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        let (stage, ann) = stage(|line| line);
        spoil(&stage);
        assert!(is_a_strangers(&stage, &ann), "{number}");
    }
}

#[test]
fn with_a_broken_configuration_it_is_a_strangers_and_in_another_mode_too() {
    for change in
        [|text: String| text.replace('{', ""), |text: String| text.replace("\"useradd\"", "\"store\"")]
    {
        let (stage, ann) = stage(|line| line);
        let text = change(std::fs::read_to_string(&stage.machine.config).unwrap());
        secure_file::replace(&stage.machine.config, text.as_bytes(), 0o600).unwrap();
        assert!(is_a_strangers(&stage, &ann));
    }
}
