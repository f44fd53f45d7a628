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
