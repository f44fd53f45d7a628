//! Whom `allowed_groups` shuts out at their own sign-in, and whom it does not.

use super::*;

const RULE: &str = r#", "allowed_groups": ["s"]"#;

/// A machine where ann has signed in.
fn stage_of_ann() -> Stage {
    let stage = Stage::new(RULE);
    sign_in(&stage, "ann", "s1", &["s"]).unwrap();
    assert!(stage.account("ann").is_ok());
    stage
}

#[test]
fn a_person_without_the_group_loses_every_way_in_until_the_provider_gives_it_back() {
    for groups in [&["other"] as &[&str], &[]] {
        let stage = stage_of_ann();
        let expected = if groups.is_empty() { "no_groups" } else { "not_allowed" };
        assert_eq!(reason(sign_in(&stage, "ann", "s1", groups)), expected);
        assert_eq!(stage.account_reason("ann"), "not_allowed");
        assert_eq!(reason(sign_in(&stage, "ann", "s1", groups)), expected, "may try, and is refused again");
        let admission = sign_in(&stage, "ann", "s1", &["s"]).unwrap();
        assert!(!admission.provisioned.first);
        assert!(stage.account("ann").is_ok());
    }
}

#[test]
fn no_other_refusal_takes_anything_from_anybody() {
    let inactive = json!({"active": false, "username": "ann", "sub": "s1"});
    let mut other_client = claims("ann", "s1", &[]);
    other_client["client_id"] = "another".into();
    for (answer, expected) in [
        (claims("bob", "s2", &[]), "wrong_person"),
        (claims("bob", "s1", &[]), "wrong_person"),
        // Somebody else who could choose the name, and is in no group: the name is not theirs.
        (claims("ann", "s2", &[]), "no_groups"),
        (claims("ann", "s2", &["s"]), "subject_mismatch"),
        (inactive, "bad_token"),
        (other_client, "bad_token"),
    ] {
        let stage = stage_of_ann();
        let before = stage.traces();
        let outcome = run(&stage, &mut stage.host("ann", later_prompts()), &approved(answer));
        assert_eq!(reason(outcome), expected);
        assert_eq!(stage.traces(), before, "{expected}");
        assert!(stage.account("ann").is_ok(), "{expected}");
    }
}

#[test]
fn allowed_users_still_refuses_before_any_network() {
    let stage = stage_of_ann();
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "no_groups");
    stage.configure(r#", "allowed_groups": ["s"], "allowed_users": ["bob"]"#);
    stage.publish();
    let outcome = run(&stage, &mut stage.host("ann", Prompts::new()), &Script::new(vec![]));
    assert_eq!(reason(outcome), "not_allowed");
}

#[test]
fn a_lock_and_an_expiry_bar_whoever_is_revoked_before_any_network() {
    for (change, expected) in [("state = 'locked'", "locked"), ("expires_day = 1", "account_expired")] {
        let stage = stage_of_ann();
        assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "no_groups");
        stage.execute(&format!("UPDATE identity SET {change}"));
        stage.publish();
        let outcome = run(&stage, &mut stage.host("ann", Prompts::new()), &Script::new(vec![]));
        assert_eq!(reason(outcome), expected);
    }
}

#[test]
fn who_is_revoked_stays_out_where_the_return_cannot_be_recorded() {
    let stage = stage_of_ann();
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "no_groups");
    stage.execute("CREATE TRIGGER full BEFORE UPDATE ON identity BEGIN SELECT RAISE(FAIL, 'disk full'); END");
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &["s"])), "store");
    assert_eq!(stage.account_reason("ann"), "not_allowed");
}

#[test]
fn a_revocation_that_cannot_be_recorded_is_a_refusal_all_the_same() {
    let stage = stage_of_ann();
    stage.execute("CREATE TRIGGER full BEFORE UPDATE ON identity BEGIN SELECT RAISE(FAIL, 'disk full'); END");
    assert_eq!(reason(sign_in(&stage, "ann", "s1", &[])), "no_groups");
}
