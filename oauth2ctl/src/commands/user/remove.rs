//! `user remove`.

use super::leftovers::Leftovers;
use super::sessions::{self, Owner};
use super::{Change, archive, existing, lock, lock_many, subids};
use crate::failure::Failure;
use crate::output::{changed, confirm, field, say};
use pam_oauth2::login::Machine;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::types::{LoginName, Uid};
use std::path::{Path, PathBuf};

/// Whose account goes, or went.
struct Leaving {
    name: LoginName,
    uid: Uid,
    home: String,
    /// Why the account is somebody else's to keep.
    elsewhere: Option<String>,
}

impl Leaving {
    fn owner(&self, local: &LocalNames) -> Owner<'_> {
        Owner::new(self.name.as_str(), self.uid, local)
    }
}

pub(super) fn run(machine: &Machine, name: &str, purge: bool, archive: Option<&Path>) -> Result<(), Failure> {
    let change = Change::begin(machine)?;
    let leaving = leaving(&change, name)?;
    if let Some(reason) = leaving.elsewhere.as_ref().filter(|_| purge || archive.is_some()) {
        return Err(Failure::Refused(format!("{reason}: purge or archive it where it is kept")));
    }
    if archive.is_some() && std::fs::symlink_metadata(&leaving.home).is_err() {
        return Err(Failure::NotFoundBut(format!(
            "{} of {name} is not there: without --archive the command works all the same",
            leaving.home
        )));
    }
    if let Some(directory) = archive {
        archive::check(&leaving.home, leaving.uid, directory)?;
        confirm(&format!("{} is archived in {} and removed.", leaving.home, directory.display()))?;
    } else if purge {
        confirm(&format!("Crontab, mail, jobs and sessions of {name} are deleted."))?;
    }
    drop(change);
    let kept = match archive {
        Some(directory) => Some(put_away(machine, &leaving, directory)?),
        None => None,
    };
    remove_row(machine, &leaving.name)?;
    let retired = retire_subordinate_ids(&leaving);
    if purge {
        purge_all(machine, &leaving)?;
    }
    if let Some(file) = kept {
        archive::remove(&leaving.home, leaving.uid)
            .map_err(|failure| Failure::Other(format!("{failure}. {} has all of it", file.display())))?;
        changed(&format!("user home removed user={}", leaving.name));
        let detail = format!("{} in {}", leaving.home, file.display());
        lock_many::note(machine, "home_archived", &leaving.name, &detail)?;
        say(&format!("{} is in {}, and removed", leaving.home, file.display()));
    }
    tell_what_is_left(machine, &leaving)?;
    retired
}

/// Whoever gets the name one day gets none of their ranges with it, and nobody else does.
fn retire_subordinate_ids(leaving: &Leaving) -> Result<(), Failure> {
    if leaving.elsewhere.is_none() && subids::retire(leaving.name.as_str(), leaving.uid)? {
        changed(&format!("subordinate ids retired user={} uid={}", leaving.name, leaving.uid));
    }
    Ok(())
}

/// Of somebody who was removed before, the home directory is the one that the configuration gives the name.
fn leaving(change: &Change<'_>, name: &str) -> Result<Leaving, Failure> {
    match super::find(&change.store, name) {
        Ok(person) => {
            let Account { name, uid, home, .. } = person.account;
            let elsewhere = if person.existing {
                Some(format!("the account of {name} was not made by this package"))
            } else {
                let inputs = change.machine.inputs()?;
                existing::in_passwd(&inputs, &Owner::new(name.as_str(), uid, &inputs.local))
            };
            Ok(Leaving { name, uid, home, elsewhere })
        }
        Err(Failure::NotFound(shown)) => {
            let name = super::known_name(name)?;
            let removed = change.store.tombstone(&name)?.ok_or(Failure::NotFound(shown))?;
            // What an earlier run could not publish: their own former entry is nobody else's account.
            if super::super::publish_missing(change.machine)? {
                say("what was not published before is published now");
            }
            let home = change.config.accounts.home.replace("{name}", name.as_str());
            let inputs = change.machine.inputs()?;
            let elsewhere = existing::taken(&inputs, &Owner::new(name.as_str(), removed.uid, &inputs.local))?;
            Ok(Leaving { name, uid: removed.uid, home, elsewhere })
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
            lock_many::end(machine, &person).1?;
        }
        None => end_former(machine, leaving)?,
    }
    let file = archive::write(&leaving.home, leaving.name.as_str(), leaving.uid, directory);
    let file = file.map_err(|failure| {
        Failure::Other(format!(
            "{failure}. {} is shut out, and the home directory is as it was",
            leaving.name
        ))
    })?;
    changed(&format!("user home archived user={} file={}", leaving.name, file.display()));
    field("archive", &file);
    Ok(file)
}

/// Ends what runs of somebody who has no row any more.
fn end_former(machine: &Machine, leaving: &Leaving) -> Result<(), Failure> {
    let local = machine.local()?;
    let (ended, outcome) = sessions::end(&leaving.owner(&local), &local);
    if ended.is_something() {
        changed(&format!("user ended user={} uid={}", leaving.name, leaving.uid));
        lock_many::note_ended(machine, &leaving.name, &ended)?;
    }
    outcome
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
    let local = machine.local()?;
    let owner = leaving.owner(&local);
    let left = Leftovers::find(&owner, &leaving.home, &local)?;
    if !left.can_be_purged() {
        return Ok(());
    }
    end_former(machine, leaving)?;
    let (done, outcome) = left.purge(&owner);
    // Ended above.
    let Leftovers { at_jobs, linger, processes, .. } = left;
    let purged = Leftovers { at_jobs, linger, processes, ..done }.lines();
    if !purged.is_empty() {
        changed(&format!("user purged user={}", leaving.name));
        lock_many::note(machine, "purged", &leaving.name, &purged.join(", "))?;
    }
    purged.iter().for_each(|line| say(&format!("deleted: {line}")));
    field("purged", purged);
    outcome
}

fn tell_what_is_left(machine: &Machine, leaving: &Leaving) -> Result<(), Failure> {
    if let Some(reason) = &leaving.elsewhere {
        say(&format!("{reason}: it is left as it is"));
        field("left", Leftovers::default());
        return Ok(());
    }
    let local = machine.local()?;
    let left = Leftovers::find(&leaving.owner(&local), &leaving.home, &local)?;
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
