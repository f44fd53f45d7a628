use super::super::jwks::RawKeySet;
use super::super::test_keys::*;
use super::super::test_support::{ISSUER, NOW};
use super::*;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

/// The login began ten seconds ago.
const STARTED: u64 = NOW - 10;

pub(super) fn key_set(keys: &Value) -> KeySet {
    KeySet::from(serde_json::from_value::<RawKeySet>(json!({ "keys": keys })).unwrap())
}

/// One key of each kind, as a provider would publish them.
fn provider_keys() -> KeySet {
    key_set(&json!([
        {"kty": "AKP", "kid": "future", "alg": "ML-DSA-65", "pub": "AA"},
        {"kid": 5},
        "no key at all",
        jwk("rsa", &RSA, Algorithm::RS256),
        jwk("ec256", &EC256, Algorithm::ES256),
        jwk("ec384", &EC384, Algorithm::ES384),
        jwk("ed", &ED25519, Algorithm::EdDSA),
    ]))
}

pub(super) fn run(token: &str, keys: &KeySet) -> Result<ClaimMap, TokenFault> {
    run_backdated(token, keys, 0)
}

fn run_backdated(token: &str, keys: &KeySet, backdating: u64) -> Result<ClaimMap, TokenFault> {
    let issuer = |token: &Verified| is_from(token, ISSUER);
    let expected = Expected { issuer: &issuer, client_id: "client", started: STARTED, backdating, now: NOW };
    verify(token, keys, &expected).map(|verified| verified.claims)
}

/// The fault of a token whose claims are [`claims`] but for `change`.
fn fault_of(change: impl FnOnce(&mut Value)) -> Option<TokenFault> {
    run(&token(change), &provider_keys()).err()
}

/// The fault of a good RS256 token where the key set holds the right key with `change`.
fn fault_of_key(change: impl FnOnce(&mut Value)) -> Option<TokenFault> {
    let mut key = jwk("rsa", &RSA, Algorithm::RS256);
    change(&mut key);
    run(&token(|_| ()), &key_set(&json!([key]))).err()
}

pub(super) fn remove(object: &mut Value, key: &str) {
    object.as_object_mut().unwrap().remove(key);
}

#[test]
fn every_allowed_algorithm_verifies() {
    let rsa = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ];
    for algorithm in rsa {
        let token = encode(&header(algorithm, "rsa"), &claims(), &RSA).unwrap();
        let mut key = jwk("rsa", &RSA, algorithm);
        assert!(run(&token, &key_set(&json!([key]))).is_ok(), "{algorithm:?}");
        remove(&mut key, "alg");
        remove(&mut key, "use");
        assert!(
            run(&token, &key_set(&json!([key]))).is_ok(),
            "{algorithm:?}, a key that says nothing of itself"
        );
    }
    let others: [(Algorithm, &str, &EncodingKey); 3] = [
        (Algorithm::ES256, "ec256", &EC256),
        (Algorithm::ES384, "ec384", &EC384),
        (Algorithm::EdDSA, "ed", &ED25519),
    ];
    for (algorithm, kid, key) in others {
        let token = encode(&header(algorithm, kid), &claims(), key).unwrap();
        let claims = run(&token, &provider_keys()).unwrap();
        assert_eq!(claims.get("sub"), Some(&json!("248289761001")), "{algorithm:?}");
    }
}

#[test]
fn an_unsigned_or_symmetric_token_never_verifies() {
    let payload = base64url(&claims().to_string());
    for alg in ["none", "None", "nOnE", "", "RS1", "es512", "ES256K", "HS256 "] {
        let header = json!({"alg": alg, "kid": "rsa"}).to_string();
        let token = format!("{}.{payload}.", base64url(&header));
        assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Algorithm), "{alg}");
    }
    // The classic confusion: the public key, which everybody has, taken for the secret of an HMAC.
    let public = jwk("rsa", &RSA, Algorithm::RS256)["n"].as_str().unwrap().to_owned();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let key = EncodingKey::from_secret(public.as_bytes());
        let token = encode(&header(algorithm, "rsa"), &claims(), &key).unwrap();
        assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Algorithm));
    }
}

#[test]
fn a_symmetric_key_in_the_set_never_verifies() {
    let secret = json!([{"kty": "oct", "kid": "rsa", "k": base64url("secret"), "use": "sig"}]);
    let token_hs =
        encode(&header(Algorithm::HS256, "rsa"), &claims(), &EncodingKey::from_secret(b"secret")).unwrap();
    assert_eq!(run(&token_hs, &key_set(&secret)).err(), Some(TokenFault::Algorithm));
    assert_eq!(run(&token(|_| ()), &key_set(&secret)).err(), Some(TokenFault::UnfitKey));
}

#[test]
fn a_key_never_verifies_what_it_is_not_for() {
    use TokenFault::UnfitKey;
    assert_eq!(fault_of_key(|_| ()), None);
    assert_eq!(fault_of_key(|key| key["use"] = json!("enc")), Some(UnfitKey));
    assert_eq!(fault_of_key(|key| key["use"] = json!("tls")), Some(UnfitKey));
    assert_eq!(fault_of_key(|key| key["key_ops"] = json!(["encrypt", "wrapKey"])), Some(UnfitKey));
    assert_eq!(fault_of_key(|key| key["key_ops"] = json!(["verify"])), None);
    for alg in ["RS512", "PS256", "ES256", "RSA-OAEP", "HS256", "brand-new"] {
        assert_eq!(fault_of_key(|key| key["alg"] = json!(alg)), Some(UnfitKey), "{alg}");
    }
    assert_eq!(fault_of_key(|key| key["kty"] = json!("EC")), Some(UnfitKey));
    assert_eq!(fault_of_key(|key| key["n"] = json!("!!")), Some(UnfitKey));
}

#[test]
fn a_key_of_another_family_or_curve_never_verifies() {
    for (algorithm, key) in
        [(Algorithm::ES256, &*EC256), (Algorithm::EdDSA, &*ED25519), (Algorithm::RS256, &*RSA)]
    {
        for kid in ["rsa", "ec256", "ec384", "ed"] {
            let token = encode(&header(algorithm, kid), &claims(), key).unwrap();
            let verdict = run(&token, &provider_keys());
            let own = matches!(
                (algorithm, kid),
                (Algorithm::ES256, "ec256") | (Algorithm::EdDSA, "ed") | (Algorithm::RS256, "rsa")
            );
            assert_eq!(
                verdict.err(),
                if own { None } else { Some(TokenFault::UnfitKey) },
                "{algorithm:?} {kid}"
            );
        }
    }
    // A P-384 key that calls itself P-256.
    let mut liar = jwk("ec256", &EC384, Algorithm::ES384);
    liar["crv"] = json!("P-256");
    remove(&mut liar, "alg");
    let token = encode(&header(Algorithm::ES256, "ec256"), &claims(), &EC256).unwrap();
    assert_eq!(run(&token, &key_set(&json!([liar]))).err(), Some(TokenFault::Signature));
}

#[test]
fn among_keys_of_one_kid_the_fit_one_is_taken() {
    let mut for_encryption = jwk("rsa", &OTHER_RSA, Algorithm::RS256);
    for_encryption["use"] = json!("enc");
    let keys =
        json!([for_encryption, jwk("rsa", &EC256, Algorithm::ES256), jwk("rsa", &RSA, Algorithm::RS256)]);
    assert!(run(&token(|_| ()), &key_set(&keys)).is_ok());
}

#[test]
fn a_small_rsa_key_never_verifies() {
    for (bits, fault) in [
        (512, TokenFault::SmallKey),
        (1024, TokenFault::SmallKey),
        (2040, TokenFault::SmallKey),
        (2048, TokenFault::Signature),
    ] {
        let keys = key_set(&json!([rsa_of_bits("rsa", bits)]));
        assert_eq!(run(&token(|_| ()), &keys).err(), Some(fault), "{bits}");
    }
    // 1024 bits that leading zeros blow up to 2048.
    let mut padded = rsa_of_bits("rsa", 1024);
    padded["n"] = json!(base64url(&format!("{}{}", "\0".repeat(128), "\x7f".repeat(128))));
    assert_eq!(run(&token(|_| ()), &key_set(&json!([padded]))).err(), Some(TokenFault::SmallKey));
}

#[test]
fn a_header_that_asks_for_more_is_refused() {
    let mut critical = header(Algorithm::RS256, "rsa");
    critical.crit = Some(vec!["exp".to_owned()]);
    let token = encode(&critical, &claims(), &RSA).unwrap();
    assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Critical));
    let payload = claims().to_string();
    for (head, fault) in [
        (json!({"alg": "RS256"}), TokenFault::NoKeyId),
        (json!({"alg": "RS256", "kid": ""}), TokenFault::NoKeyId),
        (json!({"alg": "RS256", "kid": "no-such"}), TokenFault::UnknownKey),
        (json!({"alg": "RS256", "kid": "future"}), TokenFault::UnfitKey),
        (json!({"alg": "RS256", "kid": "rsa", "crit": []}), TokenFault::Critical),
        (json!({"kid": "rsa"}), TokenFault::Algorithm),
    ] {
        let token = raw_token(&head.to_string(), &payload);
        assert_eq!(run(&token, &provider_keys()).err(), Some(fault), "{head}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_never_used() {
    let mut own = header(Algorithm::RS256, "rsa");
    own.jwk = Some(serde_json::from_value(jwk("rsa", &OTHER_RSA, Algorithm::RS256)).unwrap());
    own.jku = Some("https://evil.example/keys".to_owned());
    let token = encode(&own, &claims(), &OTHER_RSA).unwrap();
    assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Signature));
}

#[test]
fn a_changed_token_never_verifies() {
    let good = token(|_| ());
    let parts: Vec<_> = good.split('.').collect();
    let other = token(|claims| claims["sub"] = json!("root"));
    let payload = other.split('.').nth(1).unwrap();
    for (forged, fault) in [
        (format!("{}.{payload}.{}", parts[0], parts[2]), TokenFault::Signature),
        (format!("{}.{}.", parts[0], parts[1]), TokenFault::Signature),
        (format!("{}.{}.AAAA", parts[0], parts[1]), TokenFault::Signature),
        (format!("{}.{}", parts[0], parts[1]), TokenFault::Malformed),
        (format!("{good}."), TokenFault::Malformed),
        (format!("{good}.a.b"), TokenFault::Malformed),
        (String::new(), TokenFault::Malformed),
        ("..".to_owned(), TokenFault::Malformed),
    ] {
        assert_eq!(run(&forged, &provider_keys()).err(), Some(fault), "{forged}");
    }
}

#[test]
fn a_token_without_a_required_claim_is_never_believed() {
    for claim in ["exp", "aud", "iss", "sub", "iat"] {
        assert_eq!(fault_of(|claims| remove(claims, claim)), Some(TokenFault::Claim(claim)));
        assert_eq!(fault_of(|claims| claims[claim] = json!(true)), Some(TokenFault::Claim(claim)));
        assert!(fault_of(|claims| claims[claim] = json!({"a": 1})).is_some());
        assert_eq!(fault_of(|claims| claims[claim] = Value::Null), Some(TokenFault::Claim(claim)));
    }
    assert_eq!(fault_of(|claims| claims["nbf"] = json!("tomorrow")), Some(TokenFault::Claim("nbf")));
    assert_eq!(fault_of(|claims| claims["exp"] = json!("9999999999")), Some(TokenFault::Claim("exp")));
    assert_eq!(fault_of(|claims| claims["iat"] = json!(-1)), Some(TokenFault::Claim("iat")));
}

#[test]
fn a_token_of_another_issuer_is_never_believed() {
    for issuer in [
        json!("https://id.example.com/"),
        json!("https://ID.example.com"),
        json!("http://id.example.com"),
        json!("https://evil.example.com"),
        json!(["https://evil.example.com", ISSUER]),
        json!([ISSUER]),
    ] {
        assert_eq!(fault_of(|claims| claims["iss"] = issuer.clone()), Some(TokenFault::Issuer), "{issuer}");
    }
}

#[test]
fn a_token_for_another_client_is_never_believed() {
    use TokenFault::{Audience, AuthorizedParty};
    let cases = [
        (json!("other"), None, Some(Audience)),
        (json!("Client"), None, Some(Audience)),
        (json!([]), None, Some(Audience)),
        (json!(["other"]), None, Some(Audience)),
        (json!(["other"]), Some(json!("client")), Some(Audience)),
        (json!(["client"]), None, None),
        (json!(["client", "other"]), None, Some(AuthorizedParty)),
        (json!(["client", "other"]), Some(json!("other")), Some(AuthorizedParty)),
        (json!(["client", "other"]), Some(json!("client")), None),
        (json!("client"), Some(json!("client")), None),
        (json!("client"), Some(json!("other")), Some(AuthorizedParty)),
        (json!("client"), Some(json!(["client"])), Some(AuthorizedParty)),
        (json!("client"), Some(Value::Null), Some(AuthorizedParty)),
    ];
    for (aud, azp, expected) in cases {
        let fault = fault_of(|claims| {
            claims["aud"] = aud.clone();
            if let Some(azp) = azp.clone() {
                claims["azp"] = azp;
            }
        });
        assert_eq!(fault, expected, "aud {aud} azp {azp:?}");
    }
}

#[test]
fn a_token_is_believed_only_in_its_time_and_only_for_this_login() {
    use TokenFault::{Expired, NotYetValid, Stale};
    for (claim, seconds, expected) in [
        ("exp", NOW - 59, None),
        ("exp", NOW - 60, Some(Expired)),
        ("exp", 0, Some(Expired)),
        ("exp", u64::MAX, None),
        ("nbf", NOW + 60, None),
        ("nbf", NOW + 61, Some(NotYetValid)),
        ("nbf", u64::MAX, Some(NotYetValid)),
        ("iat", STARTED - 60, None),
        ("iat", STARTED - 61, Some(Stale)),
        ("iat", 0, Some(Stale)),
    ] {
        assert_eq!(fault_of(|claims| claims[claim] = json!(seconds)), expected, "{claim} {seconds}");
    }
}

#[test]
fn a_claim_that_is_given_twice_is_never_believed() {
    let payload = claims().to_string();
    for claim in [
        "\"sub\":\"root\"",
        "\"aud\":\"other\"",
        "\"iss\":\"https://evil.example\"",
        "\"exp\":1",
        "\"tid\":1,\"tid\":2",
    ] {
        let twice = payload.replacen('{', &format!("{{{claim},"), 1);
        let token = raw_token(r#"{"alg":"RS256","kid":"rsa"}"#, &twice);
        assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Malformed), "{claim}");
        let token = raw_token_521(r#"{"alg":"ES512","kid":"ec521"}"#, &twice);
        let keys = key_set(&json!([jwk_521("ec521")]));
        assert_eq!(run(&token, &keys).err(), Some(TokenFault::Malformed), "ES512 {claim}");
    }
}

#[test]
fn a_provider_that_dates_its_tokens_back_is_given_as_much() {
    let backdated = |seconds| token(|claims| claims["iat"] = json!(STARTED - seconds));
    for (seconds, backdating, fault) in
        [(360, 300, None), (361, 300, Some(TokenFault::Stale)), (61, 0, Some(TokenFault::Stale))]
    {
        assert_eq!(
            run_backdated(&backdated(seconds), &provider_keys(), backdating).err(),
            fault,
            "{seconds}"
        );
    }
}

#[test]
fn a_payload_that_is_no_object_is_never_believed() {
    for payload in ["", "null", "[]", "\"text\"", "5", "{", "\u{0}"] {
        let token = raw_token(r#"{"alg":"RS256","kid":"rsa"}"#, payload);
        assert_eq!(run(&token, &provider_keys()).err(), Some(TokenFault::Malformed), "{payload:?}");
    }
}

#[test]
fn no_bytes_make_verification_panic_and_no_changed_byte_verifies() {
    let keys = provider_keys();
    let good = token(|_| ()).into_bytes();
    // xorshift64: the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(128)).unwrap();
        }
        if next(4) == 0 {
            bytes.truncate(next(good.len()));
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(run(&text, &keys).is_ok(), bytes == good, "{text}");
    }
    for length in 0..300 {
        let text: String = (0..length).map(|_| char::from(u8::try_from(next(256)).unwrap())).collect();
        assert!(run(&text, &keys).is_err());
    }
}
