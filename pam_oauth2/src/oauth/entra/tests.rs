//! Logins at a scripted Entra ID.

use super::*;
use crate::oauth::test_keys::{RSA, header, jwk};
use crate::oauth::test_support::{NOW, Reply, Script, openid_settings};
use crate::oauth::{Provider, ProviderErrorKind as Kind, TokenFault, VerifiedClaims};
use jsonwebtoken::{Algorithm, encode};
use serde_json::{Value, json};
use shared::types::Secret;
use std::time::Duration;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const OID: &str = "690222be-ff1a-4d56-abd1-7e4f7d38e474";

pub(super) const DEVICE: &str =
    "https://login.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/devicecode";
pub(super) const TOKEN: &str =
    "https://login.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token";
pub(super) const KEYS: &str =
    "https://login.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47/discovery/v2.0/keys";

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

pub(super) fn entra() -> Entra {
    Entra {
        tenant: Tenant::Id(id(TENANT)),
        allowed_tenants: [(id(TENANT), Vec::new())].into(),
        allow_guests: false,
        authority: "https://login.example.com".into(),
        graph: "https://graph.example.com".into(),
        issuer: "https://login.example.com".into(),
        issuer_v1: "https://sts.windows.net".into(),
    }
}

pub(super) fn settings(entra: Entra) -> Settings {
    let names = ["preferred_username", "upn", "sub"];
    let username_claims = names.iter().map(|&name| name.to_owned()).collect();
    Settings { entra: Some(entra), issuer: None, username_claims, ..openid_settings() }
}

pub(super) fn claims() -> Value {
    json!({
        "ver": "2.0",
        "iss": format!("https://login.example.com/{TENANT}/v2.0"),
        "aud": "client",
        "iat": NOW - 300,
        "nbf": NOW - 300,
        "exp": NOW + 3600,
        "tid": TENANT,
        "oid": OID,
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "preferred_username": "Ann@contoso.com",
        "groups": ["staff"],
    })
}

pub(super) fn keys(issuer: Option<&str>) -> Reply {
    let mut key = jwk("rsa", &RSA, Algorithm::RS256);
    if let Some(issuer) = issuer {
        key["issuer"] = json!(issuer);
    }
    key["x5c"] = json!(["MIIC"]);
    Reply::Json(200, json!({ "keys": [key] }))
}

pub(super) fn device() -> Reply {
    Reply::Json(
        200,
        json!({
            "device_code": "DAQABIQEAAAD", "user_code": "ABCDEFGHJ", "interval": 5, "expires_in": 900,
            "verification_uri": "https://microsoft.com/devicelogin", "message": "To sign in …",
        }),
    )
}

pub(super) fn tokens(claims: &Value) -> Reply {
    let id_token = encode(&header(Algorithm::RS256, "rsa"), claims, &RSA).unwrap();
    Reply::Json(200, json!({"token_type": "Bearer", "access_token": "AT", "id_token": id_token}))
}

/// A login whose provider plays `script`, which must be played to its end.
pub(super) fn log_in(
    settings: &Settings,
    script: Vec<(&'static str, Reply)>,
) -> (Script, Result<VerifiedClaims, ProviderError>) {
    let script = Script::new(script);
    let provider = Provider::new(settings, &script, script.clock());
    let verified = provider.start().and_then(|grant| provider.poll(&grant, Duration::from_secs(60)));
    script.played();
    (script, verified)
}

/// A login with one changed token, whose key is for the issuer given.
fn with_claims(
    settings: &Settings,
    key_issuer: Option<&str>,
    change: &dyn Fn(&mut Value),
) -> Result<VerifiedClaims, ProviderError> {
    let mut claims = claims();
    change(&mut claims);
    let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims)), (KEYS, keys(key_issuer))];
    log_in(settings, script).1
}

fn fault(settings: &Settings, change: &dyn Fn(&mut Value)) -> String {
    with_claims(settings, None, change).unwrap_err().to_string()
}

#[test]
fn tenant_and_object_id_are_the_person() {
    let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims())), (KEYS, keys(None))];
    let (script, verified) = log_in(&settings(entra()), script);
    let verified = verified.unwrap();
    let person = verified.claims();
    assert_eq!(person.issuer.as_str(), format!("https://login.example.com/{TENANT}/v2.0"));
    assert_eq!((person.subject.as_str(), person.username.as_str()), (OID, "Ann@contoso.com"));
    assert_eq!(person.groups, ["staff"]);
    for sent in script.played().iter().take(2) {
        assert!(sent.fields.contains(&("client_id".into(), "client".into())));
        assert!(sent.basic.is_none() && sent.fields.iter().all(|(name, _)| name != "client_secret"));
    }
}

#[test]
fn a_secret_is_sent_to_the_token_endpoint_alone() {
    let secret = Some(Secret::new("s3cret".into()));
    let settings = Settings { client_secret: secret, ..settings(entra()) };
    let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims())), (KEYS, keys(None))];
    let (script, verified) = log_in(&settings, script);
    assert!(verified.is_ok());
    let places: Vec<_> = script
        .played()
        .iter()
        .map(|sent| sent.fields.contains(&("client_secret".into(), "s3cret".into())))
        .collect();
    assert_eq!(places, [false, true, false]);
    assert!(script.played().iter().all(|sent| sent.basic.is_none()));
}

#[test]
fn a_token_of_either_version_is_of_the_same_person() {
    let old = |claims: &mut Value| {
        claims["iss"] = json!(format!("https://sts.windows.net/{TENANT}/"));
        claims["ver"] = json!("1.0");
        claims["upn"] = claims["preferred_username"].take();
    };
    let settings = settings(entra());
    let new = with_claims(&settings, None, &|_| ()).unwrap();
    assert_eq!(with_claims(&settings, None, &old).unwrap(), new);
}

#[test]
fn issuer_and_tenant_go_together() {
    let settings = settings(entra());
    for (change, part) in [
        (json!({"iss": format!("https://login.example.com/{OTHER}/v2.0")}), "iss is not"),
        (json!({"iss": format!("https://sts.windows.net/{TENANT}")}), "iss is not"),
        (json!({"iss": format!("https://login.example.com/{TENANT}/v2.0/")}), "iss is not"),
        (json!({"iss": [format!("https://login.example.com/{TENANT}/v2.0")]}), "iss is not"),
        (json!({"iss": null}), "iss is missing"),
        (json!({"tid": OTHER}), "iss is not"),
        (json!({"tid": "common"}), "tid is missing or malformed"),
        (json!({"tid": null}), "tid is missing or malformed"),
        (
            json!({"tid": OTHER, "iss": format!("https://login.example.com/{OTHER}/v2.0")}),
            "not among allowed_tenants",
        ),
        (json!({"oid": null}), "oid is missing or malformed"),
        (json!({"aud": "other"}), "aud is not this client"),
        (json!({"iat": NOW - 361}), "issued before this login began"),
    ] {
        let error = fault(&settings, &|claims| {
            claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        });
        assert!(error.contains(part), "{change}: {error}");
    }
}

#[test]
fn a_key_signs_for_its_own_issuer_only() {
    let settings = settings(entra());
    for (issuer, good) in [
        ("https://login.example.com/{tenantid}/v2.0".to_owned(), true),
        (format!("https://login.example.com/{TENANT}/v2.0"), true),
        (format!("https://sts.windows.net/{TENANT}/"), true),
        (format!("https://login.example.com/{OTHER}/v2.0"), false),
        ("https://login.example.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0".to_owned(), false),
        ("https://evil.example/{tenantid}/v2.0".to_owned(), false),
    ] {
        match with_claims(&settings, Some(&issuer), &|_| ()) {
            Ok(_) => assert!(good, "{issuer}"),
            Err(ProviderError::IdToken(fault)) => assert_eq!((fault, good), (TokenFault::KeyIssuer, false)),
            Err(other) => panic!("{issuer}: {other}"),
        }
    }
}

#[test]
fn a_key_whose_issuer_cannot_be_read_signs_for_nobody() {
    let mut key = jwk("rsa", &RSA, Algorithm::RS256);
    for issuer in [json!(["https://login.example.com/{tenantid}/v2.0"]), json!(5), Value::Null] {
        key["issuer"] = issuer.clone();
        let set = || Reply::Json(200, json!({ "keys": [key] }));
        let script = vec![(DEVICE, device()), (TOKEN, tokens(&claims())), (KEYS, set()), (KEYS, set())];
        let (_, verified) = log_in(&settings(entra()), script);
        assert!(matches!(verified, Err(ProviderError::IdToken(TokenFault::UnknownKey))), "{issuer}");
    }
}

#[test]
fn a_tenant_vouches_for_names_of_its_own_domains_only() {
    let allowed_tenants =
        [(id(TENANT), vec!["contoso.com".into()]), (id(OTHER), vec!["fabrikam.com".into()])].into();
    let settings = settings(Entra { allowed_tenants, ..entra() });
    assert!(with_claims(&settings, None, &|_| ()).is_ok());
    for name in ["ann@fabrikam.com", "ann", "ann@contoso.com@fabrikam.com", "ann@contoso.com.evil.example"] {
        let error =
            with_claims(&settings, None, &|claims| claims["preferred_username"] = json!(name)).unwrap_err();
        assert!(error.to_string().contains("whose domain allowed_tenants does not give to it"), "{error}");
        assert_eq!(error.kind(), Kind::NotPermitted);
    }
    let other = |claims: &mut Value| {
        claims["tid"] = json!(OTHER);
        claims["iss"] = json!(format!("https://login.example.com/{OTHER}/v2.0"));
    };
    assert!(fault(&settings, &other).contains("whose domain"), "the other tenant takes ann@contoso.com");
}

#[test]
fn guests_need_to_be_allowed() {
    let signs = [
        json!({"idp": format!("https://sts.windows.net/{OTHER}/")}),
        json!({"idp": "live.com"}),
        json!({"idp": 5}),
        json!({"acct": 1}),
        json!({"acct": "1"}),
        json!({"upn": "ann_gmail.com#EXT#@contoso.onmicrosoft.com"}),
        json!({"unique_name": "live.com#ext#ann"}),
    ];
    let open = settings(Entra { allow_guests: true, ..entra() });
    for sign in &signs {
        let change = |claims: &mut Value| {
            claims.as_object_mut().unwrap().extend(sign.as_object().unwrap().clone());
        };
        assert!(fault(&settings(entra()), &change).contains("guest"), "{sign}");
        assert!(with_claims(&open, None, &change).is_ok(), "{sign}");
    }
    for home in [json!({"acct": 0}), json!({"idp": format!("https://sts.windows.net/{TENANT}/")})] {
        let change = |claims: &mut Value| {
            claims.as_object_mut().unwrap().extend(home.as_object().unwrap().clone());
        };
        assert!(with_claims(&settings(entra()), None, &change).is_ok(), "{home}");
    }
}

#[test]
fn a_guest_never_has_a_members_name() {
    let allowed_tenants = [(id(TENANT), vec!["contoso.com".into()])].into();
    let settings = settings(Entra { allow_guests: true, allowed_tenants, ..entra() });
    let named = |name: &'static str| {
        move |claims: &mut Value| {
            claims["idp"] = json!(format!("https://sts.windows.net/{OTHER}/"));
            claims["preferred_username"] = json!(name);
        }
    };
    assert!(with_claims(&settings, None, &named("bob@gmail.com")).is_ok());
    for name in ["ann@contoso.com", "Ann@CONTOSO.com"] {
        let error = with_claims(&settings, None, &named(name)).unwrap_err();
        assert!(error.to_string().contains("is that of members"), "{error}");
    }
}

#[test]
fn a_domain_stands_for_the_tenant_that_discovery_names() {
    const DISCOVERY: &str = "https://login.example.com/contoso.com/v2.0/.well-known/openid-configuration";
    const AT_DEVICE: &str = "https://login.example.com/contoso.com/oauth2/v2.0/devicecode";
    const AT_TOKEN: &str = "https://login.example.com/contoso.com/oauth2/v2.0/token";
    const AT_KEYS: &str = "https://login.example.com/contoso.com/discovery/v2.0/keys";
    let settings = settings(Entra {
        tenant: Tenant::Domain("contoso.com".into()),
        allowed_tenants: [].into(),
        ..entra()
    });
    let login = |tenant: &str| {
        let document = json!({"issuer": format!("https://login.example.com/{tenant}/v2.0")});
        let script = vec![
            (DISCOVERY, Reply::Json(200, document)),
            (AT_DEVICE, device()),
            (AT_TOKEN, tokens(&claims())),
            (AT_KEYS, keys(None)),
        ];
        log_in(&settings, script).1
    };
    assert!(login(TENANT).is_ok());
    assert!(login(OTHER).unwrap_err().to_string().contains("not among allowed_tenants"));
    let unknown = json!({"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant … not found"});
    let (_, verified) = log_in(&settings, vec![(DISCOVERY, Reply::Json(400, unknown))]);
    let error = verified.unwrap_err().to_string();
    assert!(
        error.starts_with("discovery: AADSTS90002: ") && error.contains("check \"tenant_id\""),
        "{error}"
    );
    for issuer in ["https://login.example.com/{tenantid}/v2.0", "https://evil.example.com/x/v2.0"] {
        let (_, verified) =
            log_in(&settings, vec![(DISCOVERY, Reply::Json(200, json!({ "issuer": issuer })))]);
        assert!(verified.unwrap_err().to_string().contains("no issuer of one tenant"), "{issuer}");
    }
}

#[test]
fn an_error_of_entra_is_the_applications_or_the_persons() {
    let answer = |number: u64| {
        Reply::Json(
            400,
            json!({
                "error": "invalid_grant",
                "error_description": format!("AADSTS{number}: … Trace ID: 1"),
                "error_codes": [number],
            }),
        )
    };
    let settings = settings(entra());
    for (number, kind) in
        [(53003, Kind::NotPermitted), (50105, Kind::NotPermitted), (65001, Kind::Misconfigured)]
    {
        let (_, verified) = log_in(&settings, vec![(DEVICE, device()), (TOKEN, answer(number))]);
        let error = verified.unwrap_err();
        assert!(error.to_string().starts_with(&format!("token endpoint: AADSTS{number}: ")), "{error}");
        assert_eq!(error.kind(), kind);
    }
    let (_, verified) = log_in(&settings, vec![(DEVICE, answer(700_016))]);
    let error = verified.unwrap_err();
    assert!(error.to_string().contains("check \"client_id\""), "{error}");
}
