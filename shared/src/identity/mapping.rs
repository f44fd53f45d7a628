//! Claims -> login name and groups (pure).

use super::claims::Claims;
use crate::config::Mapping;
use crate::types::{GroupName, LoginName, NameError};

/// Why the provider's name for a person is no login name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The syntax.
    #[error("the provider's name for the person is no login name: {0}")]
    Name(#[from] NameError),
    /// `strip_domain` and another domain, or none.
    #[error("the provider's name for the person does not end in the domain of strip_domain")]
    Domain,
}

/// The login name that the provider's name stands for.
///
/// # Errors
/// See [`MappingError`].
pub fn login_name(claims: &Claims, mapping: &Mapping) -> Result<LoginName, MappingError> {
    let mut name = claims.username.clone();
    if !mapping.preserve_case {
        name.make_ascii_lowercase();
    }
    if let Some(domain) = &mapping.strip_domain {
        let (local, own) = name.rsplit_once('@').ok_or(MappingError::Domain)?;
        if !own.eq_ignore_ascii_case(domain) {
            return Err(MappingError::Domain);
        }
        name = local.to_owned();
    }
    Ok(LoginName::parse(&name)?)
}

/// The mapped groups among the claimed ones: (provider id, local name), each once. Unmapped groups are not shown.
#[must_use]
pub fn groups(claims: &Claims, mapping: &Mapping) -> Vec<(String, GroupName)> {
    let claimed = |(id, _): &(&String, &GroupName)| claims.groups.contains(id);
    mapping.group_map.iter().filter(claimed).map(|(id, name)| (id.clone(), name.clone())).collect()
}
