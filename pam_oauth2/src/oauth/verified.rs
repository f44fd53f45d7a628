//! Claims that have been verified, and how the deciding ones are found in what the provider sends.

use serde_json::{Map, Value};
use shared::identity::claims::Claims;
use shared::types::{IdentifierError, Issuer, Subject};

/// A JSON object of claims.
pub(super) type ClaimMap = Map<String, Value>;

/// Claims whose origin is proved. Only this module makes them, so that nothing can be admitted, written or created on
/// behalf of claims that are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaims(Claims);

impl VerifiedClaims {
    pub(in crate::oauth) fn new(claims: Claims) -> Self {
        Self(claims)
    }

    /// What the provider says about the person.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Claims that a test takes for verified.
    #[cfg(test)]
    pub(crate) fn assumed(claims: Claims) -> Self {
        Self(claims)
    }
}

/// What a verified answer lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// None of the configured claims holds a username.
    #[error("none of username_claims holds a username ({0})")]
    Username(String),
    /// No `sub`, and `subject_from_username` is not set.
    #[error("no sub (subject_from_username would take the username for it)")]
    NoSubject,
    /// `sub` or the issuer is no identifier.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
}

/// The value at `path`. A whole path that is itself a key comes first, since names such as
/// `https://example.com/groups` hold dots; then every dot may lead into an object.
pub(super) fn claim_at<'a>(claims: &'a ClaimMap, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let inner = claims.get(path.get(..dot)?)?.as_object()?;
            claim_at(inner, path.get(dot + 1..)?)
        })
    })
}

fn text_at<'a>(claims: &'a ClaimMap, path: &str) -> Option<&'a str> {
    claim_at(claims, path)?.as_str().filter(|text| !text.is_empty())
}

/// The first of `names` that holds text. An e-mail address counts only when the provider has verified it: at many
/// providers everybody may write any address into their own profile.
pub(super) fn username<'a>(claims: &'a ClaimMap, names: &[String]) -> Option<&'a str> {
    names
        .iter()
        .filter(|name| *name != "email" || claims.get("email_verified") == Some(&Value::Bool(true)))
        .find_map(|name| text_at(claims, name))
}

/// The groups at `path`: an array of strings, or one string. Anything else is no group.
pub(super) fn groups(claims: &ClaimMap, path: &str) -> Vec<String> {
    match claim_at(claims, path) {
        Some(Value::String(group)) => vec![group.clone()],
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The deciding claims, put together.
pub(super) fn assemble(
    issuer: Issuer,
    subject: &str,
    username: &str,
    groups: Vec<String>,
) -> Result<VerifiedClaims, ClaimFault> {
    let subject = Subject::parse(subject)?;
    Ok(VerifiedClaims::new(Claims { issuer, subject, username: username.to_owned(), groups }))
}

/// A NumericDate (RFC 7519 §2) in whole seconds.
pub(super) fn seconds(claims: &ClaimMap, name: &str) -> Option<u64> {
    let value = claims.get(name)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    value.as_u64().or_else(|| value.as_f64().filter(|f| f.is_finite() && *f >= 0.0).map(|f| f as u64))
}
