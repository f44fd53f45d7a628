//! What a provider says about a person. Plain data: whether it may be believed is told by the type that wraps it
//! (`VerifiedClaims` of the PAM module), not by this one.

use crate::types::{Issuer, Subject};

/// The claims that decide a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who vouches.
    pub issuer: Issuer,
    /// Whom the issuer means; with the issuer, the key of a person.
    pub subject: Subject,
    /// The provider's name for the person, not yet mapped to a login name.
    pub username: String,
    /// Group ids as the provider gives them.
    pub groups: Vec<String>,
}
