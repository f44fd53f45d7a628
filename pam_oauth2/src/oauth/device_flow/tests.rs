use super::super::test_support::*;
use super::super::{Provider, ProviderError, ProviderErrorKind as Kind, Settings};
use super::DeviceGrant;
use serde_json::{Value, json};
use shared::types::Secret;

fn start(answer: Value) -> Result<DeviceGrant, ProviderError> {
    let script = Script::new(vec![(DEVICE, Reply::Json(200, answer))]);
    let settings = settings();
    let grant = Provider::new(&settings, &script, script.clock()).start();
    script.played();
    grant
}

/// [`device_answer`] with one member replaced, or removed by null.
fn answer_with(key: &str, value: Value) -> Value {
    let mut answer = device_answer();
    answer[key] = value;
    answer
}

fn answer_without(key: &str) -> Value {
    let mut answer = device_answer();
    answer.as_object_mut().unwrap().remove(key);
    answer
}

#[test]
fn the_answer_of_rfc_8628_is_understood() {
    let grant = start(device_answer()).unwrap();
    assert_eq!(grant.verification_uri, "https://id.example.com/activate");
    assert_eq!(
        grant.verification_uri_complete.as_deref(),
        Some("https://id.example.com/activate?user_code=WDJB-MJHT")
    );
    assert_eq!(grant.user_code, "WDJB-MJHT");
    assert_eq!((grant.expires_in.as_secs(), grant.interval.as_secs()), (600, 5));
}

#[test]
fn an_interval_is_clamped_and_nonsense_is_five_seconds() {
    let seconds = |answer| start(answer).unwrap().interval.as_secs();
    for (value, expected) in [
        (json!(0), 1),
        (json!(3600), 60),
        (json!(u64::MAX), 60),
        (json!(-1), 5),
        (json!(7.0), 7),
        (json!("9"), 9),
        (json!("soon"), 5),
        (Value::Null, 5),
        (json!([5]), 5),
    ] {
        assert_eq!(seconds(answer_with("interval", value.clone())), expected, "{value}");
    }
    assert_eq!(seconds(answer_without("interval")), 5);
}

#[test]
fn a_lifetime_may_be_a_string_and_is_ten_minutes_where_it_is_missing() {
    assert_eq!(start(answer_with("expires_in", json!("900"))).unwrap().expires_in.as_secs(), 900);
    assert_eq!(start(answer_with("expires_in", json!(u64::MAX))).unwrap().expires_in.as_secs(), u64::MAX);
    for answer in [answer_without("expires_in"), answer_with("expires_in", json!("later"))] {
        assert_eq!(start(answer).unwrap().expires_in.as_secs(), 600);
    }
}

#[test]
fn the_address_for_the_person_is_secure_and_printable() {
    for uri in [
        "http://id.example.com/",
        "javascript:alert(1)",
        "ftp://id.example.com",
        "https://u:p@id.example.com/",
    ] {
        let error = start(answer_with("verification_uri", json!(uri))).unwrap_err();
        assert!(matches!(error, ProviderError::Url { key: "verification_uri", .. }), "{uri}: {error}");
    }
    let shown = |uri: &str| start(answer_with("verification_uri", json!(uri))).unwrap().verification_uri;
    assert_eq!(shown("http://127.0.0.1:8080/activate"), "http://127.0.0.1:8080/activate");
    assert_eq!(shown("https://id.example.com/#/device"), "https://id.example.com/#/device");
    assert_eq!(shown("https://id.example.com/\u{1b}[2J\u{202e}x"), "https://id.example.com/%1B[2J%E2%80%AEx");
    assert!(shown("https://ex\u{e4}mple.com/").starts_with("https://xn--"));
    let complete = start(answer_with("verification_uri_complete", json!("http://evil.example/"))).unwrap();
    assert_eq!(complete.verification_uri_complete, None);
}

#[test]
fn the_older_name_of_the_address_is_understood() {
    let mut answer = answer_without("verification_uri");
    answer["verification_url"] = json!("https://id.example.com/old");
    assert_eq!(start(answer.clone()).unwrap().verification_uri, "https://id.example.com/old");
    answer["verification_uri"] = json!("https://id.example.com/new");
    assert_eq!(start(answer).unwrap().verification_uri, "https://id.example.com/new");
}

#[test]
fn a_user_code_reaches_the_terminal_without_control_characters() {
    assert_eq!(start(answer_with("user_code", json!("AB\u{1b}[2J\nCD"))).unwrap().user_code, "AB[2JCD");
    assert_eq!(start(answer_with("user_code", json!("A".repeat(1000)))).unwrap().user_code.len(), 64);
    assert!(start(answer_with("user_code", json!("\u{7}"))).is_err());
    assert!(start(answer_with("device_code", json!(""))).is_err());
}

#[test]
fn a_grant_never_prints_its_codes() {
    let text = format!("{:?}", start(device_answer()).unwrap());
    assert!(!text.contains("DEVICE-CODE") && !text.contains("WDJB"), "{text}");
}

#[test]
fn a_refused_client_is_told_by_its_code_and_never_by_its_secret() {
    for (description, expected) in [
        ("client is\u{1b}[31m disabled", "invalid_client (client is[31m disabled)"),
        ("secret s3/cr et is wrong", "invalid_client"),
        ("", "invalid_client"),
    ] {
        let answer = json!({"error": "invalid_client", "error_description": description});
        let script = Script::new(vec![(DEVICE, Reply::Json(401, answer))]);
        let client_secret = Some(Secret::new("s3/cr et".to_owned()));
        let settings = Settings { client_secret, ..settings() };
        let error = Provider::new(&settings, &script, script.clock()).start().unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}
