//! Accounts that this package did not make: users of /etc/passwd (`local_users`), or of another source (`provisioning:
//! none`). They are taken as they are.

use crate::failure::Failure;
use pam_oauth2::host::Resolved;
use pam_oauth2::name_service;
use shared::config::{LocalUsers, Provisioning};
use shared::identity::account::Account;
use shared::identity::admissible::is_reserved;
use shared::store::Tombstone;
use shared::store::publish::Inputs;
use shared::types::{Gid, LoginName, Uid};

/// Is the account of this name somebody else's to change?
pub(super) fn is_elsewhere(inputs: &Inputs, name: &LoginName) -> bool {
    inputs.config.provisioning == Provisioning::None || inputs.local.user(name.as_str()).is_some()
}

/// The account of somebody who may sign in with it, though the store has no row of them yet.
pub(super) fn account(inputs: &Inputs, name: &LoginName) -> Result<Option<Account>, Failure> {
    let allowed = inputs.config.provisioning == Provisioning::None
        || inputs.local.user(name.as_str()).is_some() && inputs.config.local_users == LocalUsers::Allow;
    if !allowed || is_reserved(name.as_str()) {
        return Ok(None);
    }
    resolved_account(name)
}

fn resolved_account(name: &LoginName) -> Result<Option<Account>, Failure> {
    let Some(resolved) = resolve(name)? else { return Ok(None) };
    let (Ok(uid), Ok(gid)) = (Uid::new(resolved.uid), Gid::new(resolved.gid)) else {
        return Err(Failure::Refused(format!("{name}: uid and primary group must be 1000 or more")));
    };
    Ok(Some(Account {
        name: name.clone(),
        uid,
        gid,
        gecos: String::new(),
        home: resolved.home,
        shell: resolved.shell,
        supplementary: Vec::new(),
    }))
}

/// The account of somebody who was removed and comes back, where useradd mode made it and /etc/passwd has it still.
pub(super) fn kept(
    inputs: &Inputs,
    name: &LoginName,
    removed: Option<&Tombstone>,
) -> Result<Option<Account>, Failure> {
    let (Some(removed), Some(line)) = (removed, inputs.local.user(name.as_str())) else { return Ok(None) };
    if inputs.config.provisioning != Provisioning::Useradd {
        return Ok(None);
    }
    if line.uid != removed.uid.get() {
        return Err(Failure::Conflict(format!(
            "/etc/passwd has a user {name} with uid {}, but whoever was removed had uid {}: that account is somebody else's",
            line.uid, removed.uid
        )));
    }
    resolved_account(name)
}

/// Has somebody with this uid the name already, by whoever keeps the account?
pub(super) fn has(name: &LoginName, uid: Uid) -> Result<bool, Failure> {
    Ok(resolve(name)?.is_some_and(|resolved| resolved.uid == uid.get()))
}

fn resolve(name: &LoginName) -> Result<Option<Resolved>, Failure> {
    name_service::user_by_name(name.as_str()).map_err(|error| Failure::Other(error.to_string()))
}
