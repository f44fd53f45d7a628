//! `--group`: groups of the provider by the names of `group_map`, and groups of /etc/group.

use crate::failure::Failure;
use pam_oauth2::name_service;
use shared::identity::ids::derive_gid;
use shared::store::publish::Inputs;
use shared::store::{GroupClaim, Store};

/// The groups of a reservation.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) provider: Vec<GroupClaim>,
    pub(super) local: Vec<String>,
}

/// Resolves the names that were given.
pub(super) fn resolve(store: &Store, inputs: &Inputs, names: &[String]) -> Result<Groups, Failure> {
    let mut groups = Groups::default();
    for name in names {
        let mut mapped = inputs.config.mapping.group_map.iter();
        match mapped.find(|(_, local)| local.as_str() == name) {
            Some((provider_id, _)) => groups.provider.push(of_provider(store, inputs, provider_id)?),
            None => groups.local.push(of_machine(inputs, name)?),
        }
    }
    Ok(groups)
}

fn of_provider(store: &Store, inputs: &Inputs, provider_id: &str) -> Result<GroupClaim, Failure> {
    let (config, id) = (&inputs.config, provider_id.to_owned());
    let unknown = || Failure::NotFound(id.clone());
    let name = config.mapping.group_map.get(provider_id).ok_or_else(unknown)?.clone();
    if let Some(gid) = store.group_gid(provider_id)? {
        return Ok(GroupClaim { provider_id: id, name, gid });
    }
    let accounts = &config.accounts;
    let taken =
        || Failure::Conflict(format!("the gid of the group {name} is taken: nobody can be given it here"));
    let gid = derive_gid(provider_id, &accounts.gid_range, &accounts.id_key).ok_or_else(taken)?;
    match name_service::has_id(gid.get()) {
        Ok(false) => Ok(GroupClaim { provider_id: id, name, gid }),
        Ok(true) => Err(taken()),
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}

fn of_machine(inputs: &Inputs, name: &str) -> Result<String, Failure> {
    let shown = shared::text::printable(name, 64);
    if inputs.local.group(name).is_none() {
        return Err(Failure::NoGroup(shown));
    }
    if !inputs.may_grant(name) {
        return Err(Failure::Refused(format!(
            "the group {shown} makes its members as powerful as root, or nearly: if that is meant, name it in \
             \"allow_privileged_groups\" (gid 0 is never given)"
        )));
    }
    Ok(name.to_owned())
}
