//! What the provider answers about the access token (RFC 7662); rule 3 of the design.

use super::Settings;
use super::verified::{self, ClaimFault, ClaimMap, VerifiedClaims};
use super::{error::ProviderError, http::Endpoint};
use oauth2::TokenIntrospectionResponse;
use oauth2::basic::BasicTokenIntrospectionResponse;
use shared::text::printable;
use shared::types::Issuer;

/// The rule an introspection answer breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionFault {
    /// Not what RFC 7662 §2.2 describes.
    #[error("the answer is not one of RFC 7662")]
    Malformed,
    /// `active` is false.
    #[error("the token is not active")]
    Inactive,
    /// `exp` is past.
    #[error("the token has expired (is the clock right?)")]
    Expired,
    /// `client_id` is another client.
    #[error("client_id is not this client")]
    Client,
    /// `aud` does not hold the client id, and there is no `client_id`.
    #[error("aud is not this client")]
    Audience,
    /// `iss` is not the configured issuer.
    #[error("iss is not the configured issuer")]
    Issuer,
    /// A configured scope was not granted.
    #[error("scope \"{0}\" was not granted")]
    Scope(String),
}

/// The claims of an introspection answer, if every rule holds.
///
/// # Errors
/// The rule it breaks, or the claim it lacks.
pub(super) fn verify(
    answer: &ClaimMap,
    settings: &Settings,
    token_endpoint: &Endpoint,
    now: u64,
) -> Result<VerifiedClaims, ProviderError> {
    let standard: BasicTokenIntrospectionResponse =
        serde_json::from_value(answer.clone().into()).map_err(|_| IntrospectionFault::Malformed)?;
    check(&standard, settings, now)?;
    let username = username(&standard, answer, settings)?;
    let subject = match standard.sub() {
        Some(subject) => subject,
        None if settings.subject_from_username => username,
        None => return Err(ClaimFault::NoSubject.into()),
    };
    let issuer = match &settings.issuer {
        Some(issuer) => issuer.clone(),
        None => Issuer::parse(&token_endpoint.origin()).map_err(ClaimFault::from)?,
    };
    Ok(verified::assemble(issuer, subject, username, verified::groups(answer, &settings.groups_claim))?)
}

fn check(
    answer: &BasicTokenIntrospectionResponse,
    settings: &Settings,
    now: u64,
) -> Result<(), IntrospectionFault> {
    if !answer.active() {
        return Err(IntrospectionFault::Inactive);
    }
    if answer.exp().is_some_and(|exp| u64::try_from(exp.timestamp()).unwrap_or(0) <= now) {
        return Err(IntrospectionFault::Expired);
    }
    check_client(answer, &settings.client_id)?;
    if let (Some(given), Some(configured)) = (answer.iss(), &settings.issuer)
        && given != configured.as_str()
    {
        return Err(IntrospectionFault::Issuer);
    }
    let Some(granted) = answer.scopes() else { return Ok(()) };
    match settings.scopes.iter().find(|wanted| !granted.iter().any(|scope| scope.as_str() == *wanted)) {
        Some(missing) => Err(IntrospectionFault::Scope(printable(missing, 64))),
        None => Ok(()),
    }
}

/// `client_id` is the client that was given the token. The `aud` of an access token is whom it is for, by right a
/// resource server's name (RFC 7662 §2.2), and decides only where the answer says nothing of the client.
fn check_client(answer: &BasicTokenIntrospectionResponse, client_id: &str) -> Result<(), IntrospectionFault> {
    match (answer.client_id(), answer.aud()) {
        (Some(client), _) if client.as_str() != client_id => Err(IntrospectionFault::Client),
        (None, Some(audiences)) if !audiences.iter().any(|audience| audience == client_id) => {
            Err(IntrospectionFault::Audience)
        }
        _ => Ok(()),
    }
}

/// The configured claims first: they are the administrator's choice; then the standard's own `username`.
fn username<'a>(
    standard: &'a BasicTokenIntrospectionResponse,
    answer: &'a ClaimMap,
    settings: &Settings,
) -> Result<&'a str, ClaimFault> {
    verified::username(answer, &settings.username_claims)
        .or_else(|| standard.username().filter(|name| !name.is_empty()))
        .ok_or_else(|| ClaimFault::Username(settings.username_claims.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::test_support::{ISSUER, NOW, TOKEN, settings};
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "active": true,
            "sub": "248289761001",
            "username": "ann",
            "client_id": "client",
            "scope": "openid profile email",
            "exp": NOW + 1,
            "groups": ["staff"],
        })
    }

    /// [`good`] with one member replaced.
    fn with(key: &str, value: Value) -> Value {
        let mut answer = good();
        answer[key] = value;
        answer
    }

    fn without(key: &str) -> Value {
        let mut answer = good();
        answer.as_object_mut().unwrap().remove(key);
        answer
    }

    fn run(answer: &Value, settings: &Settings) -> Result<VerifiedClaims, ProviderError> {
        verify(answer.as_object().unwrap(), settings, &Endpoint::parse(TOKEN).unwrap(), NOW)
    }

    fn fault(answer: &Value, settings: &Settings) -> IntrospectionFault {
        match run(answer, settings) {
            Err(ProviderError::Introspection(fault)) => fault,
            other => panic!("{answer}: {other:?}"),
        }
    }

    #[test]
    fn an_active_token_of_this_client_names_the_person() {
        let verified = run(&good(), &settings()).unwrap();
        let claims = verified.claims();
        assert_eq!((claims.subject.as_str(), claims.username.as_str()), ("248289761001", "ann"));
        assert_eq!((claims.issuer.as_str(), claims.groups.as_slice()), (ISSUER, &["staff".to_owned()][..]));
    }

    #[test]
    fn an_answer_that_breaks_a_rule_is_never_believed() {
        use IntrospectionFault::{Audience, Client, Expired, Inactive, Malformed, Scope};
        let mut audience = with("aud", json!(["other"]));
        audience.as_object_mut().unwrap().remove("client_id");
        for (answer, expected) in [
            (with("active", json!(false)), Inactive),
            (with("active", json!("true")), Malformed),
            (with("active", json!(1)), Malformed),
            (with("active", Value::Null), Malformed),
            (without("active"), Malformed),
            (with("exp", json!(NOW)), Expired),
            (with("exp", json!(-1)), Expired),
            (with("exp", json!("soon")), Malformed),
            (with("client_id", json!("other")), Client),
            (with("client_id", json!(["client"])), Malformed),
            (audience, Audience),
            (with("scope", json!("openid")), Scope("profile".to_owned())),
            (with("scope", json!("")), Scope("openid".to_owned())),
            (with("sub", json!(5)), Malformed),
        ] {
            assert_eq!(fault(&answer, &settings()), expected, "{answer}");
        }
    }

    #[test]
    fn members_that_are_optional_may_be_missing() {
        for key in ["exp", "client_id", "scope", "groups"] {
            assert!(run(&without(key), &settings()).is_ok(), "{key}");
        }
    }

    #[test]
    fn the_audience_of_an_access_token_may_be_a_resource_server() {
        assert!(run(&with("aud", json!("account")), &settings()).is_ok());
        let mut without_client = without("client_id");
        without_client["aud"] = json!(["account", "client"]);
        assert!(run(&without_client, &settings()).is_ok());
    }

    #[test]
    fn the_issuer_is_the_configured_one_else_the_token_endpoints() {
        let issuer = Some(Issuer::parse("https://id.example.com/realm").unwrap());
        let configured = Settings { issuer, ..settings() };
        let verified = run(&good(), &configured).unwrap();
        assert_eq!(verified.claims().issuer.as_str(), "https://id.example.com/realm");
        assert_eq!(fault(&with("iss", json!(ISSUER)), &configured), IntrospectionFault::Issuer);
        assert!(run(&with("iss", json!("https://anything.example")), &settings()).is_ok());
    }

    #[test]
    fn a_username_is_never_taken_for_the_subject_unless_configured() {
        let error = run(&without("sub"), &settings()).unwrap_err();
        assert!(matches!(error, ProviderError::Claims(ClaimFault::NoSubject)));
        let lenient = Settings { subject_from_username: true, ..settings() };
        assert_eq!(run(&without("sub"), &lenient).unwrap().claims().subject.as_str(), "ann");
        assert_eq!(run(&good(), &lenient).unwrap().claims().subject.as_str(), "248289761001");
    }

    #[test]
    fn a_configured_claim_comes_before_the_standard_username() {
        let answer = with("preferred_username", json!("ann@example.com"));
        assert_eq!(run(&answer, &settings()).unwrap().claims().username, "ann@example.com");
        let error = run(&without("username"), &settings()).unwrap_err();
        assert!(error.to_string().contains("preferred_username"), "{error}");
        assert!(run(&with("username", json!("")), &settings()).is_err());
    }

    #[test]
    fn a_subject_that_is_no_identifier_is_refused() {
        for subject in ["", "a\nb", &"x".repeat(256)] {
            assert!(matches!(
                run(&with("sub", json!(subject)), &settings()),
                Err(ProviderError::Claims(ClaimFault::Identifier(_)))
            ));
        }
    }
}
