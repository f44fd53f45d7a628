//! Makes the changes. The journal is on the disk before the first of them.

use super::super::{enable, nsswitch, sshd, stack};
use super::plan::Plan;
use super::roll_back::{self, Occasion};
use super::schedule::schedule;
use crate::failure::Failure;
use crate::output::{changed, complain, field, has_changed, say, set_changed};
use crate::system::journal::{Journal, Phase, Wait};
use crate::system::{UNDO, make_directory, undo};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::store::Store;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directories that may have to be made, the outer ones first.
const DIRECTORIES: [&str; 5] = [
    shared::paths::CONFIG_DIR,
    "/etc/ssh/sshd_config.d",
    shared::paths::STATE_DIR,
    shared::paths::PRIVATE_DIR,
    UNDO,
];

/// What keeps something for a later `disable`.
const PARTS: [&str; 3] = ["nss", "pam", "sshd"];

/// # Errors
/// A change failed: everything was put back, as far as that was possible.
pub(super) fn run(machine: &Machine, plan: &Plan, confirm: Option<Duration>) -> Result<(), Failure> {
    let lock = roll_back::lock()?;
    let changed_before = has_changed();
    if Journal::find()?.is_some() {
        return Err(Failure::Conflict("another setup is under way".into()));
    }
    let mut journal =
        Journal::of(&machine.config, files(machine, plan), plan.changes(), &open(plan), &DIRECTORIES)?;
    journal.begun = SystemClock::new().unix_seconds();
    journal.wait = confirm.map(|time| Wait::from(journal.begun, time.as_secs()));
    if journal.had_store {
        journal.people = roll_back::people(&Store::open(&machine.places)?)?;
    }
    if let Err(failure) = journal.write() {
        let _ = Journal::remove();
        journal.remove_directories();
        return Err(failure);
    }
    let scheduled = confirm.map_or(Ok(()), |time| schedule(&machine.config, time));
    let made = scheduled.and_then(|()| {
        // After the process that waits was started: that one may be stopped like any other.
        crate::interrupts::hold();
        lock.share();
        make(machine, plan, &mut journal)?;
        finish(machine, plan, &mut journal)
    });
    if let Err(failure) = made {
        complain("a change failed: everything is put back");
        if roll_back::take_back(&journal, Occasion::AnyTime)? {
            // It is as it was when this command began to change it.
            set_changed(changed_before);
        }
        return Err(failure);
    }
    changed("machine set up");
    if let Some(wait) = journal.wait {
        field("deadline", wait.until);
        say(
            "everything is put back at the time you named, unless somebody new has signed in by then, or you say: \
             oauth2ctl setup confirm",
        );
    }
    drop(lock);
    sshd::reload(true);
    say("done. Keep this root shell open, and try a login by ssh from another terminal");
    Ok(())
}

/// From here on the changes stay, or wait for their confirmation.
fn finish(machine: &Machine, plan: &Plan, journal: &mut Journal) -> Result<(), Failure> {
    super::super::audit(machine, "setup", plan.config.provider.client_id.as_str())?;
    if journal.wait.is_none() {
        return Journal::remove();
    }
    journal.phase = Phase::Waiting;
    journal.write()
}

/// Files that other programs write: what they will be is not known before.
fn open(plan: &Plan) -> Vec<PathBuf> {
    if plan.profile.is_some() { stack::files() } else { Vec::new() }
}

/// Every file that may change, in an order whose reverse is safe: the promise to strangers goes first.
fn files(machine: &Machine, plan: &Plan) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = plan.files.iter().map(|change| change.path.clone()).collect();
    files.push(machine.config.clone());
    files.extend(nsswitch::file(machine));
    files.extend(stack::files());
    files.extend([sshd::CONFIG.into(), sshd::DROP_IN.into()]);
    files.extend(PARTS.iter().map(|part| undo::record(part)));
    files.push(machine.places.first_login.clone());
    files.sort();
    files.dedup();
    files
}

fn make(machine: &Machine, plan: &Plan, journal: &mut Journal) -> Result<(), Failure> {
    if let Some(directory) = machine.config.parent() {
        make_directory(directory, 0o755)?;
    }
    for change in &plan.files {
        change.make()?;
    }
    if let Some(change) = &plan.nsswitch {
        nsswitch::make(change)?;
    }
    if let Some(profile) = plan.profile {
        stack::switch_on(profile)?;
        journal.note(&open(plan))?;
    }
    if let Some(change) = &plan.include {
        make_directory(Path::new("/etc/ssh/sshd_config.d"), 0o755)?;
        change.make()?;
    }
    if let Some(change) = &plan.drop_in {
        sshd::write_drop_in(change)?;
    }
    if plan.enable {
        enable::enable(machine, plan.drop_in.is_some())?;
        return sshd::check();
    }
    if machine.places.store.exists() {
        super::super::publish_now(machine)?;
    }
    Ok(())
}
