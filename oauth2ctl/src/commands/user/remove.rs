//! `user remove`.

use super::Change;
use crate::failure::Failure;
use crate::output::say;
use pam_oauth2::login::Machine;

pub(super) fn run(machine: &Machine, name: &str) -> Result<(), Failure> {
    let mut change = Change::begin(machine)?;
    let person = match super::find(&change.store, name) {
        Err(Failure::NotFound(_)) if change.store.tombstone(&super::known_name(name)?)?.is_some() => {
            return change.no_change(&format!("{name} was removed before"));
        }
        found => found?,
    };
    let account = &person.account;
    change.make(|store, by| Ok(store.remove(&account.name, by.now, by.actor)?))?;
    let shut = change.settle_local_accounts();
    change.publish(
        &format!("user removed user={} uid={}", account.name, account.uid),
        &format!(
            "{} (uid {}) is removed; the name, the uid and the person stay shut out",
            account.name, account.uid
        ),
    )?;
    change.warn_where_it_does_not_bite(&person)?;
    shut?;
    say(&format!("{} is kept: archive or delete it by hand", account.home));
    Ok(())
}
