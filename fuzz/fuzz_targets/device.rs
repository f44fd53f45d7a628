//! Device authorization answers and everything after them: token answers, introspection, Graph's pages. Any number of
//! answers of any status, a zero byte between them. Nothing is shown to a person that a terminal would obey, and nobody is
//! let in without a good signature.
//!
//!     cargo +nightly fuzz run device fuzz/corpus/device
#![no_main]

use fuzz::Play;
use libfuzzer_sys::fuzz_target;
use pam_oauth2::oauth::{Settings, Validation};
use std::time::Duration;

fuzz_target!(|bytes: &[u8]| {
    let documented = || Play::default().answer(fuzz::discovery_document().to_string());
    if let Ok(grant) = fuzz::start(&fuzz::settings(), &documented().answers(bytes)) {
        let shown = [Some(&grant.verification_uri), Some(&grant.user_code), grant.verification_uri_complete.as_ref()];
        for text in shown.into_iter().flatten() {
            assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
        }
        assert!(grant.verification_uri.starts_with("http") && grant.verification_uri.is_ascii());
        assert!((Duration::from_secs(1)..=Duration::from_secs(60)).contains(&grant.interval));
    }
    assert!(fuzz::log_in(&fuzz::settings(), &documented().answers(bytes)).is_err());
    assert!(fuzz::log_in(&fuzz::entra_settings(), &Play::default().answers(bytes)).is_err());
    let introspection = Settings { validation: Validation::Introspection, ..fuzz::settings() };
    if let Ok(verified) = fuzz::log_in(&introspection, &documented().answers(bytes)) {
        let claims = verified.claims();
        assert!(!claims.username.is_empty() && !claims.subject.as_str().is_empty());
    }
    graph(bytes);
});

/// Somebody in too many groups, whose Graph answers any bytes.
fn graph(bytes: &[u8]) {
    let mut claims = fuzz::claims();
    claims["iss"] = fuzz::ENTRA_ISSUER.into();
    claims["tid"] = fuzz::TENANT.into();
    claims["oid"] = "o".into();
    claims["hasgroups"] = true.into();
    let token = fuzz::signed(br#"{"alg":"EdDSA","kid":"k"}"#, claims.to_string().as_bytes());
    let play = Play::default()
        .answer(fuzz::device_answer().to_string())
        .answer(fuzz::tokens(&token).to_string())
        .answer(fuzz::key_set().to_string())
        .answers(bytes);
    let _ = fuzz::log_in(&fuzz::entra_settings(), &play);
}
