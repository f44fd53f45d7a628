//! An explanation says what the login then does.

use super::*;
use crate::outcome::Reply as Answered;
use crate::provision::DryRun;
use shared::types::{Issuer, Subject};

fn explained(stage: &Stage, name: &str, provider_name: &str, subject: &str, groups: &[&str]) -> Explanation {
    let claims = shared::identity::claims::Claims {
        issuer: Issuer::parse("https://id.example.com").unwrap(),
        subject: Subject::parse(subject).unwrap(),
        username: provider_name.into(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    };
    on(stage, name, |login| explain(login, &claims).unwrap())
}

/// Whatever is asked of the network or of a person here is a fault.
fn on<T>(stage: &Stage, name: &str, ask: impl FnOnce(&mut Login<'_>) -> T) -> T {
    let clock = TestClock::at(NOW);
    let mut host = stage.host(name, Prompts::new());
    let connect = |_: &shared::config::Provider| -> Box<dyn crate::oauth::Connect> { panic!("a connection") };
    let mut dry = DryRun;
    ask(&mut Login {
        machine: &stage.machine,
        host: &mut host,
        connect: &connect,
        clock: &clock,
        provisioner: &mut dry,
        counters: None,
    })
}

fn why(explanation: &Explanation) -> &'static str {
    match &explanation.decision {
        Ok(_) => "admitted",
        Err(Exit::Failed(error)) => error.class().1,
        Err(Exit::NotOurs(_)) => "not_ours",
    }
}

#[test]
fn the_verdict_is_that_of_the_login_and_the_first_rule_that_refuses_is_its_reason() {
    for (extra, name, provider_name, groups) in [
        ("", "ann", "ann", &["s"] as &[&str]),
        ("", "ann", "Ann", &[]),
        ("", "ann", "bob", &[]),
        ("", "ann", "Ann:x", &[]),
        (r#", "allowed_groups": ["x"]"#, "ann", "ann", &["s"]),
        (r#", "allowed_groups": ["x"]"#, "ann", "ann", &[]),
        (r#", "allowed_users": ["bob"]"#, "ann", "ann", &["s"]),
    ] {
        let stage = Stage::new(extra);
        let before = stage.traces();
        let explanation = explained(&stage, name, provider_name, "s1", groups);
        assert_eq!(stage.traces(), before, "an explanation leaves no trace");
        let script = approved(claims(provider_name, "s1", groups));
        let outcome = run(&stage, &mut stage.host(name, first_prompts()), &script);
        let refusal = explanation.rules.iter().find_map(|verdict| verdict.outcome.as_ref().err());
        match outcome {
            Ok(admission) => {
                assert_eq!((why(&explanation), refusal.is_none()), ("admitted", true), "{extra}");
                assert_eq!(explanation.account.unwrap(), admission.account);
            }
            outcome => {
                let reason = reason(outcome);
                assert_eq!((why(&explanation), refusal.unwrap().class().1), (reason, reason), "{extra}");
            }
        }
    }
}

#[test]
fn every_rule_has_a_verdict_also_after_the_first_refusal() {
    let stage = Stage::new(r#", "allowed_users": ["bob"], "allowed_groups": ["x"]"#);
    let explanation = explained(&stage, "ann", "eve", "s1", &["s"]);
    let refusing = explanation.rules.iter().filter(|verdict| verdict.outcome.is_err());
    let refusing: Vec<&str> = refusing.map(|verdict| verdict.rule).collect();
    assert_eq!(refusing, ["requested_name", "allowed_users", "allowed_groups"]);
    assert_eq!(explanation.rules.len(), 9);
    assert!(explanation.signed_in.is_none());
}

#[test]
fn the_phases_after_a_sign_in_are_said_before_it_and_come_true() {
    let stage = Stage::new("");
    let explanation = explained(&stage, "ann", "ann", "s1", &[]);
    let all = Phases { account: Answered::Success, setcred: Answered::Success, session: Answered::Success };
    assert_eq!(on(&stage, "ann", |login| phases(login, explanation.signed_in.as_ref())).unwrap(), all);
    let barred = on(&stage, "ann", |login| phases(login, None)).unwrap();
    assert_eq!(barred.account, Answered::Failed(crate::outcome::FailureClass::Barred));
    assert_eq!((barred.setcred, barred.session), (Answered::NotOurs, Answered::NotOurs));
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    assert_eq!(on(&stage, "ann", |login| phases(login, None)).unwrap(), all);
}

#[test]
fn somebody_elses_subject_and_a_local_user_are_explained_too() {
    let stage = Stage::new("");
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    // The issuer of introspection is that of the token endpoint, and so is the explained one.
    assert_eq!(why(&explained(&stage, "ann", "ann", "s1", &[])), "admitted");
    assert_eq!(why(&explained(&stage, "ann", "ann", "s2", &[])), "subject_mismatch");
    assert_eq!(why(&explained(&stage, "localu", "localu", "s9", &[])), "not_ours");
}

#[test]
fn a_refusal_that_would_take_keys_away_says_so() {
    let stage = Stage::new(r#", "allowed_groups": ["s"]"#);
    sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    assert!(explained(&stage, "ann", "ann", "s1", &["x"]).revokes);
    assert!(!explained(&stage, "ann", "ann", "s2", &["x"]).revokes, "somebody else's subject");
    assert!(!explained(&stage, "ann", "ann", "s1", &["s"]).revokes);
    assert!(!explained(&stage, "bob", "bob", "s3", &["x"]).revokes, "somebody new");
}
