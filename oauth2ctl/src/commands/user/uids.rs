//! Which uid a person gets, and whether it may be a person's.

use crate::failure::Failure;
use pam_oauth2::name_service;
use shared::config::Config;
use shared::etc::subordinate_ranges;
use shared::identity::ids::derive_uid;
use shared::store::{RosterError, Store};
use shared::types::{LoginName, Uid};

/// The uid that the configuration gives a name.
pub(super) fn configured(config: &Config, name: &LoginName) -> Result<Uid, Failure> {
    let accounts = &config.accounts;
    settled(config, name)
        .or_else(|| derive_uid(name, &accounts.uid_range, &accounts.id_key))
        .ok_or_else(|| Failure::Conflict("\"uid_range\" holds no uid for this name: say --uid N".into()))
}

/// `uid_overrides`.
pub(super) fn settled(config: &Config, name: &LoginName) -> Option<Uid> {
    config.accounts.uid_overrides.get(name).copied()
}

/// May this number be this person's? `is_theirs`: they had it before.
pub(super) fn check(
    store: &Store,
    config: &Config,
    name: &LoginName,
    uid: Uid,
    is_theirs: bool,
) -> Result<(), Failure> {
    if let Some(holder) = store.id_holder(uid.get())?.filter(|_| !is_theirs) {
        return Err(RosterError::UidTaken { uid, holder }.into());
    }
    let accounts = &config.accounts;
    if accounts.gid_range.contains(uid.get()) {
        return Err(Failure::Refused(format!(
            "uid {uid} is in \"gid_range\", where groups of the provider are"
        )));
    }
    let mut others = accounts.uid_overrides.iter().filter(|(other, _)| *other != name);
    if let Some((other, _)) = others.find(|(_, settled)| **settled == uid) {
        return Err(Failure::Conflict(format!("uid {uid} is settled for {other} in \"uid_overrides\"")));
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut ranges = subordinate_ranges(&text).into_iter();
        if ranges.any(|(first, last)| (first..=last).contains(&uid.get())) {
            return Err(Failure::Conflict(format!("uid {uid} is in a range of {file}: choose another one")));
        }
    }
    match name_service::has_id(uid.get()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Failure::Conflict(format!(
            "uid {uid} is taken (getent passwd {uid}; getent group {uid}): choose another one with --uid N"
        ))),
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}
