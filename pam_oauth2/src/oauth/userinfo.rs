//! What the UserInfo endpoint says beyond the id_token (OpenID Connect Core §5.3).
//!
//! Several providers put a person's name into this answer only. It comes over TLS from an endpoint of the issuer's own
//! document, for the access token that came with the id_token, and counts only for the same subject.

use super::error::{EndpointName, ProviderError};
use super::exchange::{Exchange, object};
use super::http::{Endpoint, Request};
use super::verified::{ClaimFault, ClaimMap};
use serde_json::Value;
use shared::types::Secret;

/// The claims about `subject`.
///
/// # Errors
/// No answer, a refusal, or an answer about somebody else (§5.3.2: the `sub` "MUST be verified to exactly match").
pub(super) fn fetch(
    exchange: &Exchange<'_>,
    url: &Endpoint,
    access_token: &Secret,
    subject: &str,
) -> Result<ClaimMap, ProviderError> {
    let endpoint = EndpointName::UserInfo;
    let request = Request::get_as(url.clone(), access_token.clone());
    let response = exchange.send_persistently(endpoint, &request)?;
    let claims = object(endpoint, &request, &response)?;
    if claims.get("sub").and_then(Value::as_str) == Some(subject) {
        Ok(claims)
    } else {
        Err(ClaimFault::OtherSubject.into())
    }
}
