//! `user remove`.

use super::leftovers::Leftovers;
use super::sessions::{self, Owner};
use super::{Change, archive, lock, lock_many};
use crate::failure::Failure;
use crate::output::{changed, confirm, field, say};
use pam_oauth2::login::Machine;
use shared::identity::account::Account;
use shared::store::By;
use shared::types::{LoginName, Uid};
use std::path::{Path, PathBuf};

/// Whose account goes, or went.
struct Leaving {
    name: LoginName,
    uid: Uid,
    home: String,
    /// The account is somebody else's to keep.
    existing: bool,
}

pub(super) fn run(machine: &Machine, name: &str, purge: bool, archive: Option<&Path>) -> Result<(), Failure> {
    let change = Change::begin(machine)?;
    let leaving = leaving(&change, name)?;
    if leaving.existing && (purge || archive.is_some()) {
        return Err(Failure::Refused(format!(
            "the account of {name} was not made by this package: purge or archive it where it is kept"
        )));
    }
    let has_home = std::fs::symlink_metadata(&leaving.home).is_ok();
    let archive = archive.filter(|_| has_home);
    if let Some(directory) = archive {
        archive::check(&leaving.home, leaving.uid, directory)?;
        confirm(&format!("{} is archived in {} and removed.", leaving.home, directory.display()))?;
    } else if purge {
        confirm(&format!("Crontab, mail, jobs, sessions and subordinate ids of {name} are deleted."))?;
    }
    drop(change);
    let kept = match archive {
        Some(directory) => Some(put_away(machine, &leaving, directory)?),
        None => None,
    };
    remove_row(machine, &leaving.name)?;
    if purge {
        purge_all(machine, &leaving)?;
    }
    if let Some(file) = kept {
        archive::remove(&leaving.home)?;
        note(machine, &leaving.name, "home_archived", &format!("{} in {}", leaving.home, file.display()))?;
        changed(&format!("user home archived user={} file={}", leaving.name, file.display()));
        say(&format!("{} is in {}, and removed", leaving.home, file.display()));
        field("archive", file);
    }
    tell_what_is_left(&leaving)
}

/// Of somebody who was removed before, the home directory is the one that the configuration gives the name.
fn leaving(change: &Change<'_>, name: &str) -> Result<Leaving, Failure> {
    match super::find(&change.store, name) {
        Ok(person) => {
            let Account { name, uid, home, .. } = person.account;
            Ok(Leaving { name, uid, home, existing: person.existing })
        }
        Err(Failure::NotFound(shown)) => {
            let name = super::known_name(name)?;
            let removed = change.store.tombstone(&name)?.ok_or(Failure::NotFound(shown))?;
            let home = change.config.accounts.home.replace("{name}", name.as_str());
            Ok(Leaving { name, uid: removed.uid, home, existing: false })
        }
        Err(failure) => Err(failure),
    }
}

/// Nobody may change what is being archived: they are locked first, and everything of theirs is ended.
fn put_away(machine: &Machine, leaving: &Leaving, directory: &Path) -> Result<PathBuf, Failure> {
    let store = shared::store::Store::open(&machine.places)?;
    let person = store.person(&leaving.name)?;
    drop(store);
    match person {
        Some(person) => {
            lock::lock(machine, std::slice::from_ref(&person))?;
            lock_many::end(machine, &person)?;
        }
        None => {
            sessions::end(&Owner { name: leaving.name.as_str(), uid: leaving.uid }, &machine.local()?)?;
        }
    }
    archive::write(&leaving.home, leaving.name.as_str(), leaving.uid, directory).map_err(|failure| {
        Failure::Other(format!("{failure}. {} is locked, and the home directory is as it was", leaving.name))
    })
}

fn remove_row(machine: &Machine, name: &LoginName) -> Result<(), Failure> {
    let mut change = Change::begin(machine)?;
    let Some(person) = change.store.person(name)?.filter(|person| !person.probe) else {
        return change.no_change(&format!("{name} was removed before"));
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
    shut
}

fn purge_all(machine: &Machine, leaving: &Leaving) -> Result<(), Failure> {
    let owner = Owner { name: leaving.name.as_str(), uid: leaving.uid };
    let left = Leftovers::find(&owner, &leaving.home)?;
    if !left.can_be_purged() {
        return Ok(());
    }
    sessions::end(&owner, &machine.local()?)?;
    let purged = left.purge(&owner)?;
    note(machine, &leaving.name, "purged", &purged.join(", "))?;
    changed(&format!("user purged user={}", leaving.name));
    purged.iter().for_each(|line| say(&format!("deleted: {line}")));
    field("purged", purged);
    Ok(())
}

fn tell_what_is_left(leaving: &Leaving) -> Result<(), Failure> {
    let owner = Owner { name: leaving.name.as_str(), uid: leaving.uid };
    let left = Leftovers::find(&owner, &leaving.home)?;
    let lines = left.lines();
    if !lines.is_empty() {
        say("kept:");
        lines.iter().for_each(|line| say(&format!("  {line}")));
    }
    if left.can_be_purged() {
        say(&format!(
            "oauth2ctl user remove {} --purge deletes these, but not the home directory",
            leaving.name
        ));
    }
    field("left", left);
    Ok(())
}

fn note(machine: &Machine, name: &LoginName, kind: &str, detail: &str) -> Result<(), Failure> {
    use shared::clock::{Clock, SystemClock};
    let by = By { actor: &crate::output::actor(), now: SystemClock::new().unix_seconds() };
    Ok(shared::store::Store::open(&machine.places)?.note_person(kind, name, detail, by)?)
}
