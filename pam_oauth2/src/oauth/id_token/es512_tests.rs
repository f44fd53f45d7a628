//! ES512 is held to the rules of every other algorithm.

use super::super::test_keys::*;
use super::super::test_support::{ISSUER, NOW};
use super::tests::{key_set, remove, run};
use super::*;
use serde_json::json;

#[test]
fn es512_is_held_to_every_rule() {
    let header = |more: &str| format!(r#"{{"alg":"ES512"{more}}}"#);
    let good = header(r#","kid":"ec521""#);
    let keys = key_set(&json!([
        jwk("rsa", &RSA, Algorithm::RS256),
        jwk_521("ec521"),
        jwk("ec384", &EC384, Algorithm::ES384)
    ]));
    let run_with = |header: &str, change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        run(&raw_token_521(header, &claims.to_string()), &keys).err()
    };
    assert_eq!(run_with(&good, &|_| ()), None);
    for (header, fault) in [
        (header(""), TokenFault::NoKeyId),
        (header(r#","kid":"""#), TokenFault::NoKeyId),
        (header(r#","kid":"new""#), TokenFault::UnknownKey),
        (header(r#","kid":"rsa""#), TokenFault::UnfitKey),
        (header(r#","kid":"ec384""#), TokenFault::UnfitKey),
        (header(r#","kid":"ec521","crit":["exp"]"#), TokenFault::Critical),
        (header(r#","kid":"ec521","alg":"RS256""#), TokenFault::Malformed),
    ] {
        assert_eq!(run_with(&header, &|_| ()), Some(fault), "{header}");
    }
    for (claim, value, fault) in [
        ("iss", json!("https://evil.example"), TokenFault::Issuer),
        ("iss", json!([ISSUER]), TokenFault::Issuer),
        ("aud", json!("other"), TokenFault::Audience),
        ("aud", json!(["client", "other"]), TokenFault::AuthorizedParty),
        ("aud", Value::Null, TokenFault::Audience),
        ("sub", json!(5), TokenFault::Claim("sub")),
        ("exp", json!(NOW - 60), TokenFault::Expired),
        ("exp", json!("later"), TokenFault::Claim("exp")),
        ("iat", json!(0), TokenFault::Stale),
    ] {
        assert_eq!(run_with(&good, &|claims| claims[claim] = value.clone()), Some(fault), "{claim} {value}");
    }
    for claim in ["iss", "aud", "sub", "exp", "iat"] {
        assert_eq!(run_with(&good, &|claims| remove(claims, claim)), Some(TokenFault::Claim(claim)));
    }
}

#[test]
fn an_es512_key_verifies_nothing_that_it_is_not_for() {
    let token = raw_token_521(r#"{"alg":"ES512","kid":"ec521"}"#, &claims().to_string());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut key = jwk_521("ec521");
        change(&mut key);
        run(&token, &key_set(&json!([key]))).err()
    };
    assert_eq!(with(&|key| remove(key, "alg")), None);
    let changes: [&dyn Fn(&mut Value); 5] = [
        &|key| key["use"] = json!("enc"),
        &|key| key["alg"] = json!("ECDH-ES"),
        &|key| key["crv"] = json!("P-384"),
        &|key| key["x"] = json!("AAAA"),
        &|key| key["key_ops"] = json!(["sign"]),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(with(change), Some(TokenFault::UnfitKey), "{n}");
    }
    // Another point of the field, most likely not on the curve.
    let x = jwk_521("ec521")["y"].clone();
    assert_eq!(with(&|key| key["x"] = x.clone()), Some(TokenFault::Signature));
    let (message, signature) = token.rsplit_once('.').unwrap();
    for forged in [format!("{message}."), format!("{message}.AAAA"), format!("{message}.{signature}A")] {
        let fault = run(&forged, &key_set(&json!([jwk_521("ec521")]))).err();
        assert!(matches!(fault, Some(TokenFault::Signature | TokenFault::Malformed)), "{forged}: {fault:?}");
    }
}
