//! `user rename`.

use super::{Change, existing, known_name, subids};
use crate::failure::Failure;
use crate::output::{changed, say};
use pam_oauth2::login::Machine;
use shared::types::LoginName;

pub(super) fn run(machine: &Machine, old: &str, new: &str, reuse_name: bool) -> Result<(), Failure> {
    let old = known_name(old)?;
    let mut change = Change::begin(machine)?;
    let new = super::add::parse_name(&change.config, new)?;
    if change.store.person(&new)?.is_none() {
        check(&change, &old, &new)?;
        // Of a name that is somebody's by now, the ranges are theirs: the tombstone of the former owner stays for ever.
        if reuse_name {
            super::add::retire_subordinate_ids_of_former(&change, &new)?;
        }
    }
    if !change.make(|store, by| store.rename(&old, &new, reuse_name, by))? {
        // What an earlier run may not have come to.
        move_subordinate_ids(&change, &old, &new)?;
        return change.no_change(&format!("{new} is the name"));
    }
    let account = super::find(&change.store, new.as_str())?.account;
    let moved = move_subordinate_ids(&change, &old, &new);
    change.publish(
        &format!("user renamed user={new} old={old} uid={}", account.uid),
        &format!(
            "{old} is {new} from now on, with uid {} and home {}; {old} goes to nobody by itself",
            account.uid, account.home
        ),
    )?;
    say(&format!(
        "what names {old} is not changed: crontab, mail spool, sudoers, sshd_config, allowed_users, uid_overrides"
    ));
    moved
}

/// Ranges of subordinate ids stand under the name: a person keeps theirs.
fn move_subordinate_ids(change: &Change<'_>, old: &LoginName, new: &LoginName) -> Result<(), Failure> {
    let person = super::find(&change.store, new.as_str())?;
    let is_theirs = change.store.former_name(old)? == Some(person.account.uid) && !person.existing;
    if is_theirs && change.store.person(old)?.is_none() && subids::rename(old.as_str(), new.as_str())? {
        changed(&format!("subordinate ids moved user={new} old={old}"));
    }
    Ok(())
}

/// Whoever keeps an account that this package did not make has to rename it first.
fn check(change: &Change<'_>, old: &LoginName, new: &LoginName) -> Result<(), Failure> {
    let inputs = change.machine.inputs()?;
    let Some(person) = change.store.person(old)? else { return Ok(()) };
    if existing::has(new, person.account.uid)? {
        return Ok(());
    }
    if existing::is_elsewhere(&inputs, old) {
        return Err(Failure::Conflict(format!(
            "the account of {old} was not made by this package: rename it there first (usermod -l {new} {old})"
        )));
    }
    super::add::check_name(&inputs, new)
}
