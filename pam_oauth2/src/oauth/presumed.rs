//! Claims that nobody has verified, read as verified ones would be: for an administrator who asks what a login would come to.
//! The result is plain [`Claims`], with which nobody can be admitted.

use super::entra::{Trust, overage};
use super::http::Endpoint;
use super::id_token::{self, TokenFault, Verified};
use super::provider::person_of_entra;
use super::verified::{self, ClaimFault, ClaimMap};
use super::{ProviderError, Settings, Validation, introspection};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared::config::TenantId;
use shared::identity::claims::Claims;
use shared::types::Secret;
use shared::unique_keys::UniqueKeys;

/// What would be believed if a signature, or the provider, vouched for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presumed {
    /// The claims.
    pub claims: Claims,
    /// The groups did not fit in; a login would ask Microsoft Graph for them.
    pub groups_elsewhere: bool,
}

/// Reads the payload of an id_token, or an introspection answer where that validates.
///
/// # Errors
/// A claim is missing, or names somebody who is not believed.
pub fn presume(claims: ClaimMap, settings: &Settings, now: u64) -> Result<Presumed, ProviderError> {
    let groups_elsewhere = groups_are_elsewhere(&claims, settings);
    let verified = match (&settings.entra, settings.validation) {
        (Some(entra), _) => {
            let tenant = claims.get("tid").and_then(Value::as_str).and_then(TenantId::parse);
            let tenant = tenant.ok_or(TokenFault::Claim("tid"))?;
            let trust = Trust::for_tenant(entra, tenant);
            let token = Verified { claims, key_issuer: None };
            let (issuer, subject, username) = person_of_entra(&trust, &token, &settings.username_claims)?;
            let groups = verified::groups(&token.claims, &settings.groups_claim);
            verified::assemble(issuer, subject, username, groups)?
        }
        (None, Validation::IdToken) => {
            let issuer = settings.issuer.clone().ok_or(TokenFault::Claim("iss"))?;
            let token = Verified { claims, key_issuer: None };
            id_token::is_from(&token, issuer.as_str())?;
            let claims = &token.claims;
            let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenFault::Claim("sub"))?;
            let username = verified::username(claims, &settings.username_claims)
                .ok_or_else(|| ClaimFault::Username(settings.username_claims.join(", ")))?;
            verified::assemble(issuer, subject, username, verified::groups(claims, &settings.groups_claim))?
        }
        (None, Validation::Introspection) => {
            let token_url =
                settings.token_url.as_deref().or(settings.issuer.as_ref().map(|url| url.as_str()));
            let endpoint = Endpoint::parse(token_url.unwrap_or_default())
                .map_err(|fault| ProviderError::Url { key: "oauth_token_url", fault })?;
            introspection::verify(&claims, settings, &endpoint, now)?
        }
    };
    Ok(Presumed { claims: verified.claims().clone(), groups_elsewhere })
}

/// Did the groups not fit into the token, so that a login would ask Microsoft Graph for them?
#[must_use]
pub fn groups_are_elsewhere(claims: &ClaimMap, settings: &Settings) -> bool {
    settings.entra.is_some() && overage(claims, &settings.groups_claim)
}

/// The payload of a JSON Web Token, its signature not looked at.
///
/// # Errors
/// [`TokenFault::Malformed`].
pub fn payload(token: &Secret) -> Result<ClaimMap, TokenFault> {
    let part = token.expose().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = part.and_then(|json| serde_json::from_slice::<UniqueKeys>(&json).ok());
    claims.map(|claims| claims.0).ok_or(TokenFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::test_support::{ISSUER, NOW, settings};
    use serde_json::json;
    use shared::types::Issuer;

    fn map(value: Value) -> ClaimMap {
        value.as_object().cloned().unwrap()
    }

    fn id_token_settings() -> Settings {
        let issuer = Some(Issuer::parse(ISSUER).unwrap());
        Settings { validation: Validation::IdToken, issuer, ..settings() }
    }

    #[test]
    fn claims_are_read_as_those_of_a_token() {
        let claims = json!({"iss": ISSUER, "sub": "s", "preferred_username": "Ann", "groups": ["g"]});
        let presumed = presume(map(claims), &id_token_settings(), NOW).unwrap();
        assert_eq!((presumed.claims.subject.as_str(), presumed.claims.groups), ("s", vec!["g".to_owned()]));
        assert!(!presumed.groups_elsewhere);
    }

    #[test]
    fn another_issuer_or_a_missing_claim_is_no_person() {
        for claims in [
            json!({"iss": "https://other.example", "sub": "s", "preferred_username": "ann"}),
            json!({"sub": "s", "preferred_username": "ann"}),
            json!({"iss": ISSUER, "preferred_username": "ann"}),
            json!({"iss": ISSUER, "sub": "s"}),
        ] {
            assert!(presume(map(claims.clone()), &id_token_settings(), NOW).is_err(), "{claims}");
        }
    }

    #[test]
    fn an_introspection_answer_is_held_to_its_rules() {
        let answer = json!({"active": true, "sub": "s", "username": "ann"});
        let settings = Settings { validation: Validation::Introspection, ..settings() };
        assert_eq!(presume(map(answer), &settings, NOW).unwrap().claims.username, "ann");
        let answer = json!({"active": false, "sub": "s", "username": "ann"});
        assert!(presume(map(answer), &settings, NOW).is_err());
    }

    #[test]
    fn a_payload_is_the_middle_of_a_token() {
        let token = |text: &str| Secret::new(format!("e30.{}.x", URL_SAFE_NO_PAD.encode(text)));
        assert_eq!(payload(&token("{\"sub\":\"s\"}")).unwrap(), map(json!({"sub": "s"})));
        for bad in [token("[]"), token("{\"a\":1,\"a\":2}"), Secret::new("opaque".into())] {
            assert!(payload(&bad).is_err());
        }
    }
}
