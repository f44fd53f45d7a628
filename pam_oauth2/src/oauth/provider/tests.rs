use super::super::test_keys::*;
use super::super::test_support::*;
use super::super::{ProviderErrorKind as Kind, Validation};
use super::*;
use jsonwebtoken::Algorithm;
use serde_json::json;

fn keys(kid: &str) -> Reply {
    Reply::Json(200, json!({"keys": [jwk(kid, &RSA, Algorithm::RS256)]}))
}

fn tokens(id_token: Value) -> Reply {
    Reply::Json(200, json!({"access_token": "AT", "token_type": "Bearer", "id_token": id_token}))
}

/// A login by id_token whose token endpoint answers `tokens`, and whose provider then plays `rest`.
fn log_in(
    tokens: Reply,
    rest: Vec<(&'static str, Reply)>,
) -> (Script, Result<VerifiedClaims, ProviderError>) {
    let script = Script::new(vec![
        (DISCOVERY, Reply::Json(200, discovery_document())),
        (DEVICE, Reply::Json(200, device_answer())),
        (TOKEN, tokens),
    ]);
    for (url, reply) in rest {
        script.expect(url, reply);
    }
    let settings = openid_settings();
    let provider = Provider::new(&settings, &script, script.clock());
    let grant = provider.start().unwrap();
    let verified = provider.poll(&grant, Duration::from_secs(60));
    assert_eq!((script.connections(), script.open()), (2, 0));
    (script, verified)
}

#[test]
fn an_id_token_names_the_person() {
    let (script, verified) = log_in(tokens(json!(token(|_| ()))), vec![(KEYS, keys("rsa"))]);
    let verified = verified.unwrap();
    let claims = verified.claims();
    assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), (ISSUER, "248289761001"));
    assert_eq!((claims.username.as_str(), claims.groups.as_slice()), ("ann", &["staff".to_owned()][..]));
    assert_eq!(script.played().len(), 4);
}

#[test]
fn a_token_in_hand_is_verified_but_for_its_age_and_nothing_else_is_asked() {
    let check = |token: String| {
        let script =
            Script::new(vec![(DISCOVERY, Reply::Json(200, discovery_document())), (KEYS, keys("rsa"))]);
        let settings = openid_settings();
        let verified = Provider::new(&settings, &script, script.clock()).verify(&Secret::new(token));
        script.played();
        verified
    };
    let old = token(|claims| claims["iat"] = json!(NOW - 3000));
    assert_eq!(check(old).unwrap().username, "ann");
    let expired = token(|claims| claims["exp"] = json!(NOW - 61));
    assert_eq!(check(expired).unwrap_err().kind(), Kind::BadToken);
    assert_eq!(check(encode_with_other_key()).unwrap_err().kind(), Kind::BadToken);
    // A login would ask userinfo.
    let nameless = token(|claims| claims["preferred_username"] = json!(""));
    assert!(matches!(check(nameless), Err(ProviderError::Claims(ClaimFault::Username(_)))));
}

#[test]
fn an_unknown_kid_refetches_the_keys_once() {
    let good = || tokens(json!(token(|_| ())));
    let (script, verified) = log_in(good(), vec![(KEYS, keys("old")), (KEYS, keys("rsa"))]);
    assert!(verified.is_ok());
    script.played();
    let (script, verified) = log_in(good(), vec![(KEYS, keys("old")), (KEYS, keys("old"))]);
    assert!(matches!(verified, Err(ProviderError::IdToken(TokenFault::UnknownKey))));
    script.played();
}

#[test]
fn any_other_fault_of_a_token_never_refetches_the_keys() {
    let forged = encode_with_other_key();
    let (script, verified) = log_in(tokens(json!(forged)), vec![(KEYS, keys("rsa"))]);
    assert_eq!(verified.unwrap_err().kind(), Kind::BadToken);
    script.played();
}

fn encode_with_other_key() -> String {
    jsonwebtoken::encode(&header(Algorithm::RS256, "rsa"), &claims(), &OTHER_RSA).unwrap()
}

#[test]
fn without_an_id_token_nobody_is_verified() {
    for missing in [Value::Null, json!(5), json!({"a": "b"})] {
        let (script, verified) = log_in(tokens(missing), vec![]);
        assert!(matches!(verified, Err(ProviderError::IdToken(TokenFault::Absent))));
        script.played();
    }
    let (_, verified) = log_in(tokens(json!("")), vec![(KEYS, keys("rsa"))]);
    assert!(matches!(verified, Err(ProviderError::IdToken(TokenFault::Malformed))));
}

#[test]
fn without_keys_nobody_is_verified() {
    let good = || tokens(json!(token(|_| ())));
    for (reply, kind) in [
        (Reply::Text(404, "{}"), Kind::BadAnswer),
        (Reply::Text(200, "<html>"), Kind::BadAnswer),
        (Reply::Text(200, "{\"keys\": 5}"), Kind::BadAnswer),
        (Reply::Json(403, json!({"keys": [jwk("rsa", &RSA, Algorithm::RS256)]})), Kind::Misconfigured),
        (Reply::RetryAfter(503, 60), Kind::Unreachable),
    ] {
        let (script, verified) = log_in(good(), vec![(KEYS, reply)]);
        assert_eq!(verified.unwrap_err().kind(), kind);
        script.played();
    }
    let (_, verified) =
        log_in(good(), vec![(KEYS, Reply::Text(200, "{\"keys\": []}")), (KEYS, keys("none"))]);
    assert_eq!(verified.unwrap_err().kind(), Kind::BadToken);
}

/// A login whose id_token names nobody, and whose userinfo endpoint answers `reply`.
fn log_in_by_userinfo(reply: Reply) -> (Script, Result<VerifiedClaims, ProviderError>) {
    let nameless = token(|claims| {
        claims["preferred_username"] = json!("");
        claims.as_object_mut().unwrap().remove("groups");
    });
    log_in(tokens(json!(nameless)), vec![(KEYS, keys("rsa")), (USERINFO, reply)])
}

#[test]
fn userinfo_names_a_person_whom_the_id_token_does_not() {
    let answer = json!({"sub": "248289761001", "preferred_username": "ann", "groups": ["staff"]});
    let (script, verified) = log_in_by_userinfo(Reply::Json(200, answer));
    let verified = verified.unwrap();
    assert_eq!((verified.claims().username.as_str(), verified.claims().groups.len()), ("ann", 1));
    assert_eq!(script.played().last().unwrap().bearer.as_deref(), Some("AT"));
}

#[test]
fn userinfo_about_somebody_else_is_never_believed() {
    for subject in [json!("1"), json!(248_289_761_001_u64), Value::Null] {
        let answer = json!({"sub": subject, "preferred_username": "root"});
        let (_, verified) = log_in_by_userinfo(Reply::Json(200, answer));
        assert!(matches!(verified, Err(ProviderError::Claims(ClaimFault::OtherSubject))), "{subject}");
    }
    let (_, verified) = log_in_by_userinfo(Reply::Json(403, json!({"error": "insufficient_scope"})));
    assert_eq!(verified.unwrap_err().kind(), Kind::Misconfigured);
}

#[test]
fn the_id_token_and_userinfo_never_vouch_for_each_others_email() {
    let settings = Settings { username_claims: vec!["email".to_owned()], ..openid_settings() };
    let id_token = token(|claims| claims["email"] = json!("root@example.com"));
    let answer = json!({"sub": "248289761001", "email": "ann@example.com", "email_verified": true});
    let script = Script::new(vec![
        (DISCOVERY, Reply::Json(200, discovery_document())),
        (DEVICE, Reply::Json(200, device_answer())),
        (TOKEN, tokens(json!(id_token))),
        (KEYS, keys("rsa")),
        (USERINFO, Reply::Json(200, answer)),
    ]);
    let provider = Provider::new(&settings, &script, script.clock());
    let verified = provider.poll(&provider.start().unwrap(), Duration::from_secs(60)).unwrap();
    assert_eq!(verified.claims().username, "ann@example.com");
}

#[test]
fn without_a_username_nobody_is_verified() {
    let answer = json!({"sub": "248289761001", "name": "Ann"});
    let (_, verified) = log_in_by_userinfo(Reply::Json(200, answer));
    assert!(verified.unwrap_err().to_string().contains("preferred_username"));
}

#[test]
fn a_token_of_an_earlier_login_is_never_taken() {
    let old = token(|claims| claims["iat"] = json!(NOW - 61));
    let (_, verified) = log_in(tokens(json!(old)), vec![(KEYS, keys("rsa"))]);
    assert!(matches!(verified, Err(ProviderError::IdToken(TokenFault::Stale))));
}

#[test]
fn no_token_is_in_any_error() {
    let forged = encode_with_other_key();
    let signature = forged.rsplit('.').next().unwrap();
    let (_, verified) = log_in(tokens(json!(forged)), vec![(KEYS, keys("rsa"))]);
    let error = verified.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(signature));
}

#[test]
fn introspection_asks_about_the_access_token_with_the_clients_own_credentials() {
    let script = Script::new(vec![
        (DISCOVERY, Reply::Json(200, discovery_document())),
        (DEVICE, Reply::Json(200, device_answer())),
        (TOKEN, tokens(Value::Null)),
        (INTROSPECT, Reply::Json(200, json!({"active": true, "sub": "1", "username": "ann", "iss": ISSUER}))),
    ]);
    let client_secret = settings().client_secret;
    let settings = Settings { client_secret, validation: Validation::Introspection, ..openid_settings() };
    let provider = Provider::new(&settings, &script, script.clock());
    let verified = provider.poll(&provider.start().unwrap(), Duration::from_secs(60)).unwrap();
    assert_eq!(verified.claims().issuer.as_str(), ISSUER);
    let sent = script.played();
    let asked = sent.last().unwrap();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(asked.fields, [field("token", "AT"), field("token_type_hint", "access_token")]);
    assert_eq!(asked.basic, Some(field("client", "s3cret")));
}

#[test]
fn an_inactive_token_or_a_refused_introspection_never_verifies() {
    for (reply, kind) in [
        (Reply::Json(200, json!({"active": false})), Kind::BadToken),
        (Reply::Json(401, json!({"error": "invalid_client"})), Kind::Misconfigured),
        (Reply::Json(403, json!({"active": true, "sub": "1", "username": "ann"})), Kind::Misconfigured),
        (Reply::Text(200, "true"), Kind::BadAnswer),
    ] {
        let script = Script::new(vec![
            (DEVICE, Reply::Json(200, device_answer())),
            (TOKEN, tokens(Value::Null)),
            (INTROSPECT, reply),
        ]);
        let settings = settings();
        let provider = Provider::new(&settings, &script, script.clock());
        let verified = provider.poll(&provider.start().unwrap(), Duration::from_secs(60));
        assert_eq!(verified.unwrap_err().kind(), kind);
        script.played();
    }
}

#[test]
fn a_provider_that_cannot_be_reached_is_told_before_anything_is_shown() {
    let fault = super::super::Outage::Name;
    let error = super::super::HttpError::unreachable("id.example.com", fault);
    let script = Script::new(vec![(DISCOVERY, Reply::Fault(error))]);
    let settings = openid_settings();
    let error = Provider::new(&settings, &script, script.clock()).start().unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert_eq!(error.to_string(), "discovery: id.example.com cannot be reached: its name does not resolve");
    assert_eq!(script.open(), 0);
}
