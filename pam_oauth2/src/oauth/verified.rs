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
    /// The userinfo answer is about another `sub` than the id_token.
    #[error("userinfo is about another subject than the id_token")]
    OtherSubject,
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
    claims.get(name).and_then(whole_number)
}

/// A JSON number that is not negative, its fraction cut off.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|float| float.is_finite() && *float >= 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates: a far future stays one"
    )]
    value.as_u64().or_else(|| float().map(|float| float as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> ClaimMap {
        value.as_object().cloned().unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_first_claim_that_holds_text_is_the_username() {
        let claims = map(json!({"upn": "", "name": 5, "nick": null, "a": {"b": "deep"}, "sub": "s"}));
        assert_eq!(username(&claims, &names(&["upn", "name", "nick", "missing", "sub", "a.b"])), Some("s"));
        assert_eq!(username(&claims, &names(&["a.b", "sub"])), Some("deep"));
        assert_eq!(username(&claims, &names(&["name", "a"])), None);
        assert_eq!(username(&claims, &[]), None);
    }

    #[test]
    fn an_unverified_email_is_never_a_username() {
        for verified in [json!(false), json!("true"), json!(1), Value::Null] {
            let claims = map(json!({"email": "root@example.com", "email_verified": verified}));
            assert_eq!(username(&claims, &names(&["email"])), None, "{verified}");
        }
        assert_eq!(username(&map(json!({"email": "ann@example.com"})), &names(&["email"])), None);
        let claims = map(json!({"email": "ann@example.com", "email_verified": true}));
        assert_eq!(username(&claims, &names(&["email"])), Some("ann@example.com"));
    }

    #[test]
    fn groups_are_found_under_dots_and_under_names_with_dots() {
        let claims = map(json!({
            "groups": ["a", 5, "b"],
            "group": "c",
            "realm_access": {"roles": ["d"]},
            "resource_access": {"my.client": {"roles": ["e"]}},
            "https://example.com/groups": ["f"],
        }));
        for (path, expected) in [
            ("groups", &["a", "b"][..]),
            ("group", &["c"]),
            ("realm_access.roles", &["d"]),
            ("resource_access.my.client.roles", &["e"]),
            ("https://example.com/groups", &["f"]),
            ("realm_access", &[]),
            ("missing.path", &[]),
            ("groups.0", &[]),
            (".", &[]),
            ("", &[]),
        ] {
            assert_eq!(groups(&claims, path), expected, "{path}");
        }
    }

    #[test]
    fn a_date_is_a_number_and_not_before_1970() {
        let claims = map(json!({"a": 5, "b": 5.9, "c": -1, "d": "5", "e": 1e300, "f": null}));
        let read = |name| seconds(&claims, name);
        assert_eq!([read("a"), read("b"), read("c"), read("d")], [Some(5), Some(5), None, None]);
        assert_eq!([read("e"), read("f"), read("g")], [Some(u64::MAX), None, None]);
    }
}
