//! Accounts that this package did not make: users of /etc/passwd (`local_users`), or of another source (`provisioning:
//! none`). They are taken as they are.

use super::sessions::Owner;
use crate::failure::Failure;
use pam_oauth2::host::{HostError, Resolved};
use pam_oauth2::name_service;
use shared::config::{LocalUsers, Provisioning};
use shared::etc::PasswdLine;
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

/// Why nothing may be done in the name of somebody whom this package gives an account no more, or in their number: another
/// account has it. One that useradd mode made is theirs still.
pub(super) fn taken(inputs: &Inputs, owner: &Owner<'_>) -> Result<Option<String>, Failure> {
    Ok(name_taken(inputs, owner)?.or(uid_taken(inputs, owner)?))
}

/// As [`taken`], of somebody who has an account here: by /etc/passwd alone.
pub(super) fn in_passwd(inputs: &Inputs, owner: &Owner<'_>) -> Option<String> {
    let is_another = |line: &&PasswdLine| {
        (line.name == owner.name || line.uid == owner.uid.get())
            && !is_made_here(inputs, owner, &line.name, line.uid)
    };
    let line = inputs.local.passwd.iter().find(is_another)?;
    Some(format!("/etc/passwd has the user {} with uid {}", line.name, line.uid))
}

/// As [`taken`], of the name alone.
pub(super) fn name_taken(inputs: &Inputs, owner: &Owner<'_>) -> Result<Option<String>, Failure> {
    sentence(inputs, owner, name_service::user_by_name(owner.name))
}

/// As [`taken`], of the number alone.
pub(super) fn uid_taken(inputs: &Inputs, owner: &Owner<'_>) -> Result<Option<String>, Failure> {
    // libc finds the first of several names of a number.
    let uid = owner.uid.get();
    let is_another = |line: &&PasswdLine| line.uid == uid && !is_made_here(inputs, owner, &line.name, uid);
    if let Some(line) = inputs.local.passwd.iter().find(is_another) {
        return Ok(Some(format!("/etc/passwd has the user {} with uid {uid}", line.name)));
    }
    sentence(inputs, owner, name_service::user_by_id(uid))
}

fn sentence(
    inputs: &Inputs,
    owner: &Owner<'_>,
    found: Result<Option<Resolved>, HostError>,
) -> Result<Option<String>, Failure> {
    let found = found.map_err(|error| Failure::Other(error.to_string()))?;
    let elsewhere = found.filter(|user| !is_made_here(inputs, owner, &user.name, user.uid));
    Ok(elsewhere.map(|user| {
        format!("this machine has the user {0} with uid {1} (getent passwd {0})", user.name, user.uid)
    }))
}

/// Is the account of /etc/passwd the one that useradd mode made for them?
fn is_made_here(inputs: &Inputs, owner: &Owner<'_>, name: &str, uid: u32) -> bool {
    let accounts = &inputs.config.accounts;
    let settled = LoginName::parse(name).ok().and_then(|name| accounts.uid_overrides.get(&name).copied());
    inputs.config.provisioning == Provisioning::Useradd
        && (name, uid) == (owner.name, owner.uid.get())
        && inputs.local.user(name).is_some_and(|line| line.uid == uid)
        && (accounts.uid_range.contains(uid) || settled == Some(owner.uid))
}

fn resolve(name: &LoginName) -> Result<Option<Resolved>, Failure> {
    name_service::user_by_name(name.as_str()).map_err(|error| Failure::Other(error.to_string()))
}
