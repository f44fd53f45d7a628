use super::super::test_support::*;
use super::super::{HttpError, Outage, Provider, ProviderError, ProviderErrorKind as Kind, Settings};
use serde_json::json;
use shared::clock::Clock;
use std::time::Duration;

fn pending() -> Reply {
    oauth_error("authorization_pending")
}

fn waiting(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({ "error": code }))
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
fn polling_goes_on_at_the_pace_the_provider_asks_for() {
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
        Case::new("Auth0's slow_down", vec![waiting(429, "slow_down"), tokens()], &[5, 15], Ok(())),
        Case::new(
            "Google's pending",
            vec![waiting(428, "authorization_pending"), tokens()],
            &[5, 10],
            Ok(()),
        ),
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
fn every_other_answer_ends_the_login_at_once() {
    let cases = vec![
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
        Case::new("a page", vec![Reply::Text(404, "<html>")], &[5], Err(Kind::BadAnswer)),
        Case::new("a page with 200", vec![Reply::Text(200, "<html>")], &[5], Err(Kind::BadAnswer)),
        Case::new("an empty object", vec![Reply::Text(200, "{}")], &[5], Err(Kind::BadAnswer)),
        Case::new("a redirect", vec![Reply::Text(307, "")], &[5], Err(Kind::BadAnswer)),
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
    let error = Case::new("odd", vec![Reply::Json(200, tokens)], &[5], Err(Kind::BadAnswer)).run().unwrap();
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

#[test]
fn a_client_with_a_secret_is_named_in_the_form_of_the_first_request_only() {
    let script =
        Script::new(vec![(DEVICE, Reply::Json(200, device_answer())), (TOKEN, oauth_error("access_denied"))]);
    let settings = settings();
    let provider = Provider::new(&settings, &script, script.clock());
    provider.poll(&provider.start().unwrap(), Duration::from_secs(60)).unwrap_err();
    let sent = script.played();
    let names = |index: usize| sent[index].fields.iter().filter(|(name, _)| name == "client_id").count();
    assert_eq!((names(0), names(1)), (1, 0));
    assert!(sent.iter().all(|request| request.basic == Some(("client".to_owned(), "s3cret".to_owned()))));
    assert!(sent.iter().flat_map(|request| &request.fields).all(|(_, value)| value != "s3cret"));
}
