use super::super::test_support::*;
use super::super::{HttpError, Outage, Provider, ProviderError, ProviderErrorKind as Kind, Settings};
use super::DeviceGrant;
use serde_json::{Value, json};
use shared::clock::Clock;
use std::time::Duration;

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
fn a_lifetime_may_be_a_string_but_not_missing() {
    assert_eq!(start(answer_with("expires_in", json!("900"))).unwrap().expires_in.as_secs(), 900);
    assert_eq!(start(answer_with("expires_in", json!(u64::MAX))).unwrap().expires_in.as_secs(), u64::MAX);
    for answer in [answer_without("expires_in"), answer_with("expires_in", json!("later"))] {
        assert!(matches!(start(answer), Err(ProviderError::Answer { .. })));
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
        ("secret s3cret is wrong", "invalid_client"),
        ("", "invalid_client"),
    ] {
        let answer = json!({"error": "invalid_client", "error_description": description});
        let script = Script::new(vec![(DEVICE, Reply::Json(401, answer))]);
        let settings = settings();
        let error = Provider::new(&settings, &script, script.clock()).start().unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

// From here on: polling.

fn pending() -> Reply {
    oauth_error("authorization_pending")
}

fn tokens() -> Reply {
    Reply::Json(
        200,
        json!({"access_token": "AT", "token_type": "Bearer", "expires_in": "3599", "scope": ["odd"]}),
    )
}

fn outage() -> Reply {
    Reply::Fault(HttpError::Unreachable {
        host: "id.example.com".to_owned(),
        fault: Outage::Connection,
        retry_after: None,
    })
}

fn certificate() -> Reply {
    Reply::Fault(HttpError::certificate("id.example.com", "UnknownIssuer"))
}

struct Case {
    name: &'static str,
    /// Seconds the person takes to press Enter.
    reading: u64,
    interval: u64,
    expires_in: u64,
    deadline: u64,
    replies: Vec<Reply>,
    /// The seconds at which the token endpoint is polled.
    polled_at: &'static [u64],
    outcome: Result<(), Kind>,
}

impl Case {
    fn new(
        name: &'static str,
        replies: Vec<Reply>,
        polled_at: &'static [u64],
        outcome: Result<(), Kind>,
    ) -> Self {
        Self { name, reading: 0, interval: 5, expires_in: 600, deadline: 110, replies, polled_at, outcome }
    }

    fn run(self) -> Option<ProviderError> {
        let mut answer = device_answer();
        answer["interval"] = json!(self.interval);
        answer["expires_in"] = json!(self.expires_in);
        let script = Script::new(vec![(DEVICE, Reply::Json(200, answer))]);
        let settings = settings();
        let provider = Provider::new(&settings, &script, script.clock());
        let grant = provider.start().unwrap();
        assert_eq!(script.open(), 0, "{}: no connection while the person reads", self.name);
        for reply in self.replies {
            script.expect(TOKEN, reply);
        }
        if self.outcome.is_ok() {
            script
                .expect(INTROSPECT, Reply::Json(200, json!({"active": true, "sub": "1", "username": "ann"})));
        }
        script.clock().sleep(Duration::from_secs(self.reading));
        let result = provider.poll(&grant, Duration::from_secs(self.deadline));
        let outcome = result.as_ref().map(|_| ()).map_err(ProviderError::kind);
        assert_eq!(outcome, self.outcome, "{}: {:?}", self.name, result);
        assert_eq!(script.times(TOKEN), self.polled_at, "{}", self.name);
        assert_eq!((script.connections(), script.open()), (2, 0), "{}: one connection per step", self.name);
        assert!(script.clock().monotonic().as_secs() <= self.deadline.max(self.reading), "{}", self.name);
        result.err()
    }
}

#[test]
fn every_answer_of_the_token_endpoint_has_its_consequence() {
    let cases = vec![
        Case::new("approved at once", vec![tokens()], &[5], Ok(())),
        Case { reading: 20, ..Case::new("first poll with Enter", vec![tokens()], &[20], Ok(())) },
        Case { reading: 2, ..Case::new("Enter before the interval", vec![tokens()], &[5], Ok(())) },
        Case::new("pending", vec![pending(), pending(), tokens()], &[5, 10, 15], Ok(())),
        Case::new(
            "slow_down adds five seconds for good",
            vec![oauth_error("slow_down"), pending(), oauth_error("slow_down"), tokens()],
            &[5, 15, 25, 40],
            Ok(()),
        ),
        Case::new(
            "the interval counts from the answer",
            vec![Reply::After(3, Box::new(pending())), tokens()],
            &[5, 13],
            Ok(()),
        ),
        Case::new("declined", vec![pending(), oauth_error("access_denied")], &[5, 10], Err(Kind::Denied)),
        Case::new(
            "Microsoft's declined",
            vec![oauth_error("authorization_declined")],
            &[5],
            Err(Kind::Denied),
        ),
        Case::new("expired_token", vec![oauth_error("expired_token")], &[5], Err(Kind::Expired)),
        Case::new("invalid_grant", vec![oauth_error("invalid_grant")], &[5], Err(Kind::Expired)),
        Case::new("invalid_client", vec![oauth_error("invalid_client")], &[5], Err(Kind::Misconfigured)),
        Case::new(
            "unauthorized_client",
            vec![oauth_error("unauthorized_client")],
            &[5],
            Err(Kind::Misconfigured),
        ),
        Case::new("invalid_scope", vec![oauth_error("invalid_scope")], &[5], Err(Kind::Misconfigured)),
        Case::new("unknown code", vec![oauth_error("teapot")], &[5], Err(Kind::Misconfigured)),
        Case::new("a page", vec![Reply::Text(404, "<html>")], &[5], Err(Kind::Misconfigured)),
        Case::new("a page with 200", vec![Reply::Text(200, "<html>")], &[5], Err(Kind::Misconfigured)),
        Case::new("an empty object", vec![Reply::Text(200, "{}")], &[5], Err(Kind::Misconfigured)),
        Case::new("a redirect", vec![Reply::Text(307, "")], &[5], Err(Kind::Misconfigured)),
        Case::new(
            "GitHub's error with 200",
            vec![
                Reply::Json(200, json!({"error": "authorization_pending", "error_description": 5})),
                tokens(),
            ],
            &[5, 10],
            Ok(()),
        ),
    ];
    for case in cases {
        case.run();
    }
}

#[test]
fn polling_ends_with_the_time_and_says_whose_time_it_was() {
    let ended = |case: Case| case.run().unwrap().to_string();
    let deadline = Case {
        deadline: 12,
        ..Case::new("deadline", vec![pending(), pending()], &[5, 10], Err(Kind::Expired))
    };
    assert!(ended(deadline).contains("time for this login"));
    let lifetime = Case { expires_in: 8, ..Case::new("lifetime", vec![pending()], &[5], Err(Kind::Expired)) };
    assert!(ended(lifetime).contains("lifetime"));
    let over = Case { reading: 120, ..Case::new("Enter after the end", vec![], &[], Err(Kind::Expired)) };
    assert!(ended(over).contains("time for this login"));
    let huge = Case {
        interval: u64::MAX,
        expires_in: u64::MAX,
        deadline: 100,
        ..Case::new("huge numbers", vec![oauth_error("slow_down")], &[60], Err(Kind::Expired))
    };
    ended(huge);
}

#[test]
fn an_outage_is_waited_out_with_growing_pauses() {
    let cases = vec![
        Case::new("refused twice", vec![outage(), outage(), tokens()], &[5, 15, 35], Ok(())),
        Case::new("503", vec![Reply::Text(503, "<html>"), tokens()], &[5, 15], Ok(())),
        Case::new(
            "500 with JSON",
            vec![Reply::Json(500, json!({"error": "server_error"})), tokens()],
            &[5, 15],
            Ok(()),
        ),
        Case::new(
            "temporarily_unavailable",
            vec![oauth_error("temporarily_unavailable"), tokens()],
            &[5, 15],
            Ok(()),
        ),
        Case::new(
            "an answer resets the pause",
            vec![outage(), pending(), outage(), tokens()],
            &[5, 15, 20, 30],
            Ok(()),
        ),
        Case::new("429 says when", vec![Reply::RetryAfter(429, 42), tokens()], &[5, 47], Ok(())),
        Case::new("429 says 1", vec![Reply::RetryAfter(429, 1), tokens()], &[5, 15], Ok(())),
        Case::new(
            "Retry-After is cut to a minute",
            vec![Reply::RetryAfter(503, 86_400), tokens()],
            &[5, 65],
            Ok(()),
        ),
        Case::new(
            "Retry-After beyond the end",
            vec![Reply::RetryAfter(503, u64::MAX), Reply::RetryAfter(503, u64::MAX)],
            &[5, 65],
            Err(Kind::Unreachable),
        ),
        Case {
            deadline: 60,
            ..Case::new(
                "a last try before the end",
                vec![outage(), outage(), outage(), tokens()],
                &[5, 15, 35, 58],
                Ok(()),
            )
        },
    ];
    for case in cases {
        case.run();
    }
}

#[test]
fn a_provider_that_never_answered_is_unreachable_and_not_slow() {
    let silent = || vec![outage(), outage(), outage()];
    Case { deadline: 40, ..Case::new("silent", silent(), &[5, 15, 35], Err(Kind::Unreachable)) }.run();
    let mut once = silent();
    once.insert(0, pending());
    Case { deadline: 45, ..Case::new("answered once", once, &[5, 10, 20, 40], Err(Kind::Expired)) }.run();
}

#[test]
fn a_bad_certificate_ends_the_login_at_once() {
    Case::new("at first", vec![certificate()], &[5], Err(Kind::Certificate)).run();
    Case::new("later", vec![pending(), certificate()], &[5, 10], Err(Kind::Certificate)).run();
}

#[test]
fn no_code_or_token_is_in_any_error() {
    let echo = json!({"error": "invalid_grant", "error_description": "no such device code DEVICE-CODE"});
    let error = Case::new("echo", vec![Reply::Json(400, echo)], &[5], Err(Kind::Expired)).run().unwrap();
    let text = format!("{error} {error:?}");
    assert!(text.contains("invalid_grant") && !text.contains("DEVICE-CODE"), "{text}");
    let tokens = json!({"access_token": "SECRET-TOKEN", "token_type": 5});
    let error =
        Case::new("odd", vec![Reply::Json(200, tokens)], &[5], Err(Kind::Misconfigured)).run().unwrap();
    assert!(!format!("{error} {error:?}").contains("SECRET-TOKEN"));
}

#[test]
fn a_request_never_lasts_beyond_the_deadline() {
    let script = Script::new(vec![
        (DEVICE, Reply::Json(200, device_answer())),
        (TOKEN, Reply::After(6, Box::new(outage()))),
    ]);
    let settings = settings();
    let provider = Provider::new(&settings, &script, script.clock());
    let grant = provider.start().unwrap();
    provider.poll(&grant, Duration::from_secs(9)).unwrap_err();
    let sent = script.played();
    assert_eq!(sent.first().unwrap().timeout, None);
    assert_eq!(sent.last().unwrap().timeout, Some(Duration::from_secs(4)));
}

#[test]
fn the_poll_is_the_form_of_rfc_8628() {
    let script =
        Script::new(vec![(DEVICE, Reply::Json(200, device_answer())), (TOKEN, oauth_error("access_denied"))]);
    let settings = Settings { client_secret: None, ..settings() };
    let provider = Provider::new(&settings, &script, script.clock());
    provider.poll(&provider.start().unwrap(), Duration::from_secs(60)).unwrap_err();
    let sent = script.played();
    let fields = |index: usize| {
        sent[index].fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(fields(0), [("scope", "openid profile"), ("client_id", "client")]);
    assert_eq!(
        fields(1),
        [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", "DEVICE-CODE"),
            ("client_id", "client")
        ]
    );
    assert!(sent.iter().all(|request| request.basic.is_none()));
}
