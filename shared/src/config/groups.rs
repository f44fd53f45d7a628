//! Which groups people get: the provider's under names of ours, and the machine's own.

use super::entra::TenantId;
use super::raw::{Fault, Fields};
use crate::identity::admissible::{is_reserved, reserved_names};
use crate::identity::privileged::is_privileged;
use crate::types::GroupName;
use std::collections::{BTreeMap, BTreeSet};

/// The groups of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Groups of /etc/group that everybody is a member of (`local_group`, `local_groups`).
    pub local: Vec<GroupName>,
    /// Privileged groups, and names reserved for services, that are meant all the same (`allow_privileged_groups`).
    pub allowed_privileged: Vec<GroupName>,
}

impl Groups {
    /// May people of ours be members of this group of /etc/group?
    #[must_use]
    pub fn may_grant(&self, name: &str) -> bool {
        !is_guarded(name) || self.is_allowed(name)
    }

    fn is_allowed(&self, name: &str) -> bool {
        self.allowed_privileged.iter().any(|allowed| allowed.as_str() == name)
    }
}

/// A privileged group, or one that belongs to a service of some distribution: whoever names it may not know what it opens.
#[must_use]
pub(super) fn is_guarded(name: &str) -> bool {
    is_privileged(name) || is_reserved(name)
}

/// `local_group`, `local_groups`, `allow_privileged_groups`.
pub(super) fn groups(fields: &mut Fields) -> Groups {
    let allowed_privileged = names(fields, "allow_privileged_groups").unwrap_or_default();
    let local = match (names(fields, "local_groups"), fields.text("local_group")) {
        (Some(_), Some(_)) => {
            let text = "\"local_group\" and \"local_groups\" exclude each other: write them as one list";
            fields.faults.push(Fault::Conflict(text.into()));
            Vec::new()
        }
        (Some(names), None) => names,
        (None, one) => one.and_then(|name| parsed(fields, "local_group", &name)).into_iter().collect(),
    };
    let groups = Groups { local, allowed_privileged };
    for name in groups.local.iter().filter(|name| !groups.may_grant(name.as_str())) {
        fields.faults.push(Fault::Conflict(format!(
            "\"{name}\" in \"local_groups\" is a privileged group or one of a service, and everybody who signs in would be \
             a member: if that is meant, name it in \"allow_privileged_groups\" too"
        )));
    }
    groups
}

/// `group_map`: sudo, wheel, docker …: sudoers and sshd_config give such names their power.
pub(super) fn group_map(fields: &mut Fields, groups: &Groups, is_entra: bool) -> BTreeMap<String, GroupName> {
    // Thousands of groups are looked up in each, at every login.
    let reserved: BTreeSet<String> = reserved_names().map(str::to_ascii_lowercase).collect();
    let is_guarded = |name: &str| is_privileged(name) || reserved.contains(name);
    let (mut map, mut names) = (BTreeMap::new(), BTreeSet::new());
    for (id, value) in fields.object("group_map") {
        let provider_id = provider_id(&id, is_entra);
        match value.as_str().map(GroupName::parse_lower) {
            Some(Ok(name)) if is_guarded(name.as_str()) && !groups.is_allowed(name.as_str()) => {
                fields.faults.push(Fault::Conflict(format!(
                    "\"{name}\" in \"group_map\" is a name of a privileged group or of a service: if that is meant, name \
                     it in \"allow_privileged_groups\" too"
                )));
            }
            Some(Ok(name)) if names.insert(name.clone()) => {
                map.insert(provider_id, name);
            }
            _ => fields.fault("group_map", format!("a group name of its own for \"{provider_id}\"")),
        }
    }
    map
}

/// A group's id as the provider writes it: Entra's are GUIDs, which people copy in capitals too.
pub(super) fn provider_id(written: &str, is_entra: bool) -> String {
    match TenantId::parse(written) {
        Some(guid) if is_entra => guid.as_str().to_owned(),
        _ => written.to_owned(),
    }
}

fn names(fields: &mut Fields, key: &str) -> Option<Vec<GroupName>> {
    let names = fields.list(key)?;
    Some(names.iter().filter_map(|name| parsed(fields, key, name)).collect())
}

fn parsed(fields: &mut Fields, key: &str, name: &str) -> Option<GroupName> {
    match GroupName::parse(name) {
        Ok(name) => Some(name),
        Err(error) => super::resolve::fault(fields, key, format!("of group names ({name:?}: {error})")),
    }
}
