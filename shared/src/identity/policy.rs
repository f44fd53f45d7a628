//! Claims and configuration -> decision; each rule has a name. Pure.

use super::claims::Claims;
use super::mapping::{self, MappingError};
use crate::config::Config;
use crate::types::LoginName;

/// A person who is who they say, and may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The requested name, which is also the mapped one.
    pub name: LoginName,
    /// (provider id, local name) of the mapped groups.
    pub groups: Vec<(String, crate::types::GroupName)>,
}

/// Which rule said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The provider's name is no name here.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// Somebody else approved (rule 4).
    #[error("the person who approved is {approved}")]
    WrongPerson {
        /// The login name of whoever approved.
        approved: LoginName,
    },
    /// `allowed_users`.
    #[error("the name is not in allowed_users")]
    NotAllowedUser,
    /// `allowed_groups`.
    #[error("the person is in none of allowed_groups")]
    NotInAllowedGroup,
    /// `allowed_groups`, and the provider sent no group at all.
    #[error("allowed_groups is set, but the provider sent no groups: {}", no_groups(claim, *entra))]
    NoGroups {
        /// `groups_claim`.
        claim: String,
        /// Microsoft Entra ID is asked.
        entra: bool,
    },
}

impl Denied {
    /// Is it a group that the person lacks, and nothing else? The name fits then, and is permitted.
    #[must_use]
    pub fn lacks_groups(&self) -> bool {
        matches!(self, Self::NotInAllowedGroup | Self::NoGroups { .. })
    }
}

fn no_groups(claim: &str, entra: bool) -> String {
    if entra {
        "in the application's registration, under Token configuration, add the optional claim \"groups\" to the ID token; or \
         the person is in no group at all"
            .into()
    } else {
        format!("let it put groups into the claim {claim:?}; or the person is in no group at all")
    }
}

/// A rule of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What an explanation calls it.
    pub name: &'static str,
    check: fn(&Claims, &LoginName, &Config) -> Result<(), Denied>,
}

impl Rule {
    /// Does this rule alone let the person in under the requested name?
    ///
    /// # Errors
    /// It says no.
    pub fn check(&self, claims: &Claims, requested: &LoginName, config: &Config) -> Result<(), Denied> {
        (self.check)(claims, requested, config)
    }
}

/// Every rule, in the order of a login.
pub const RULES: [Rule; 4] = [
    Rule { name: "mapping", check: maps },
    Rule { name: "requested_name", check: is_requested },
    Rule { name: "allowed_users", check: is_allowed_user },
    Rule { name: "allowed_groups", check: is_in_allowed_group },
];

/// Every rule, in order; the first that says no ends it.
///
/// # Errors
/// The rule that said no.
pub fn decide(claims: &Claims, requested: &LoginName, config: &Config) -> Result<Allowed, Denied> {
    RULES.iter().try_for_each(|rule| rule.check(claims, requested, config))?;
    Ok(Allowed { groups: mapping::groups(claims, &config.mapping), name: requested.clone() })
}

fn maps(claims: &Claims, _: &LoginName, config: &Config) -> Result<(), Denied> {
    Ok(mapping::login_name(claims, &config.mapping).map(drop)?)
}

fn is_requested(claims: &Claims, requested: &LoginName, config: &Config) -> Result<(), Denied> {
    let approved = mapping::login_name(claims, &config.mapping)?;
    if approved == *requested { Ok(()) } else { Err(Denied::WrongPerson { approved }) }
}

fn is_allowed_user(_: &Claims, requested: &LoginName, config: &Config) -> Result<(), Denied> {
    if permits_user(requested, config) { Ok(()) } else { Err(Denied::NotAllowedUser) }
}

fn is_in_allowed_group(claims: &Claims, _: &LoginName, config: &Config) -> Result<(), Denied> {
    let Some(allowed) = &config.policy.allowed_groups else { return Ok(()) };
    if claims.groups.is_empty() {
        let (claim, entra) = (config.mapping.groups_claim.clone(), config.provider.entra.is_some());
        return Err(Denied::NoGroups { claim, entra });
    }
    let is_in = claims.groups.iter().any(|group| allowed.contains(group));
    if is_in { Ok(()) } else { Err(Denied::NotInAllowedGroup) }
}

/// `allowed_users` alone: the rule that the publisher can evaluate without claims.
#[must_use]
pub fn permits_user(name: &LoginName, config: &Config) -> bool {
    config.policy.allowed_users.as_ref().is_none_or(|users| users.contains(name))
}
