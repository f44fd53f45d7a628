//! What a minute may hold, and keys, in the pipeline.

use super::*;
use crate::oauth::test_support::Sent;
use pam::constants::PamResultCode;
use std::time::Duration;

const TWO_A_MINUTE: &str = r#", "limits": {"starts_per_minute": 2}"#;

/// A stranger who presses Enter, gets a code and declines.
fn declined() -> Script {
    let denied = json!({"error": "access_denied"});
    Script::new(vec![device(), (TOKEN, Reply::Json(400, denied))])
}

fn stranger(stage: &Stage, name: &str, rhost: &'static str) -> &'static str {
    let mut host = stage.host(name, first_prompts());
    host.rhost = Some(rhost);
    reason(run(stage, &mut host, &declined()))
}

/// One who is refused after the first Enter, before any request.
fn refused(stage: &Stage, rhost: &'static str) -> LoginError {
    let prompts = [("Press Enter to get a sign-in code", Ok(Answer::Enter))].into();
    let mut host = stage.host("zoe", prompts);
    host.rhost = Some(rhost);
    match run(stage, &mut host, &Script::new(vec![])) {
        Err(Exit::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_over_the_limit_of_their_address_are_refused_before_any_request() {
    let stage = Stage::new(TWO_A_MINUTE);
    for name in ["eve", "mallory"] {
        assert_eq!(stranger(&stage, name, "192.0.2.7"), "denied");
    }
    let error = refused(&stage, "192.0.2.7");
    let (class, reason) = error.class();
    assert_eq!(
        (class.code(), reason, class.result()),
        (PamResultCode::PAM_MAXTRIES, "too_many_starts", "refused")
    );
    assert!(error.user_message("zoe").starts_with("Too many sign-ins were started from your address."));
    assert_eq!(stranger(&stage, "zoe", "192.0.2.8"), "denied", "another address");
}

#[test]
fn strangers_over_their_share_of_the_requests_are_refused_without_blame() {
    let stage = Stage::new(r#", "limits": {"provider_requests_per_minute": 10}"#);
    // Two requests each; the share is five.
    for rhost in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(stranger(&stage, "eve", rhost), "denied");
    }
    let (class, reason) = refused(&stage, "192.0.2.4").class();
    assert_eq!(
        (class.code(), reason, class.result()),
        (PamResultCode::PAM_MAXTRIES, "too_many_requests", "unavailable")
    );
}

#[test]
fn a_gate_that_nobody_passes_is_not_counted() {
    let stage = Stage::new(TWO_A_MINUTE);
    for _ in 0..5 {
        let prompts = [("Press Enter", Err(HostError::NoPrompt))].into();
        assert_eq!(reason(run(&stage, &mut stage.host("eve", prompts), &Script::new(vec![]))), "no_prompt");
    }
    assert!(!stage.counters().exists());
    assert!(sign_in(&stage, "ann", "s1", &[]).is_ok());
}

/// When the code was asked for, in seconds after the call.
fn known(stage: &Stage, after: u64) -> u64 {
    let script = approved(claims("ann", "s1", &[]));
    script.clock().sleep(Duration::from_secs(after));
    run(stage, &mut stage.host("ann", later_prompts()), &script).unwrap();
    let sent: Vec<Sent> = script.played();
    sent[0].at - after
}

#[test]
fn somebody_known_is_never_refused_and_waits_ten_seconds_at_most() {
    let stage = Stage::new(TWO_A_MINUTE);
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    assert_eq!(stranger(&stage, "eve", "192.0.2.7"), "denied");
    refused(&stage, "192.0.2.7");
    let waited: Vec<_> = (0..4).map(|_| known(&stage, 0)).collect();
    assert_eq!(waited, [0, 0, 10, 10]);
    assert_eq!(known(&stage, 57), 3);
    assert_eq!(known(&stage, 60), 0, "the next minute");
}

#[test]
fn the_wait_of_somebody_known_leaves_half_of_the_time_until_the_deadline() {
    let stage = Stage::new(r#", "limits": {"starts_per_minute": 1}, "login_grace": 30"#);
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    assert_eq!(known(&stage, 0), 0);
    // 14 of the 20 seconds of this login have gone into a lookup.
    let script = approved(claims("ann", "s1", &[]));
    let mut host = stage.host("ann", later_prompts());
    host.lookup = Some((script.clone(), Duration::from_secs(14)));
    run(&stage, &mut host, &script).unwrap();
    assert_eq!(script.played()[0].at, 14 + 3);
}

#[test]
fn without_an_address_nobody_is_held_back() {
    let stage = Stage::new(r#", "limits": {"starts_per_minute": 1}"#);
    for _ in 0..3 {
        let mut host = stage.host("eve", first_prompts());
        host.rhost = None;
        assert_eq!(reason(run(&stage, &mut host, &declined())), "denied");
    }
}

#[test]
fn counters_that_cannot_be_kept_limit_nobody() {
    let stage = Stage::new(r#", "limits": {"starts_per_minute": 1}"#);
    std::fs::create_dir_all(stage.counters()).unwrap();
    for _ in 0..3 {
        assert_eq!(stranger(&stage, "eve", "192.0.2.7"), "denied");
    }
    assert!(sign_in(&stage, "ann", "s1", &[]).is_ok());
    assert_eq!((known(&stage, 0), known(&stage, 0)), (0, 0));
}

#[test]
fn who_has_shown_no_key_where_one_is_wanted_is_refused_before_any_prompt() {
    let stage = Stage::new(r#", "require_publickey": true"#);
    sign_in(&stage, "ann", "s1", &[]).unwrap();
    for name in ["ann", "zoe"] {
        let mut host = stage.host(name, Prompts::new());
        host.lacks_publickey = true;
        let Err(Exit::Failed(error)) = run(&stage, &mut host, &Script::new(vec![])) else { panic!("{name}") };
        let (class, reason) = error.class();
        assert_eq!((class.code(), reason), (PamResultCode::PAM_PERM_DENIED, "publickey_required"));
        assert!(error.user_message(name).contains("SSH key"));
    }
    let mut local = stage.host("localu", Prompts::new());
    local.lacks_publickey = true;
    let outcome = run(&stage, &mut local, &Script::new(vec![]));
    assert!(matches!(outcome, Err(Exit::NotOurs(NotOurs::LocalUser))), "{outcome:?}");
}

#[test]
fn a_key_is_wanted_only_where_the_configuration_says_so() {
    let stage = Stage::new("");
    let mut host = stage.host("ann", first_prompts());
    host.lacks_publickey = true;
    assert!(run(&stage, &mut host, &approved(claims("ann", "s1", &[]))).is_ok());
}
