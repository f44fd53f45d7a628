//! `enable nss` and `disable nss`: our token in nsswitch.conf.

use super::authselect;
use crate::failure::Failure;
use crate::output::{answer, changed, field, say};
use crate::system::undo::{self, Undone};
use crate::system::{self, Change, FileState, nsswitch};
use pam_oauth2::login::Machine;
use shared::clock::SystemClock;
use shared::store::parameters;
use std::path::PathBuf;

/// The record of what nsswitch.conf was.
const PART: &str = "nss";

/// The change that `enable nss` makes.
pub(super) fn change(machine: &Machine) -> Result<Change, Failure> {
    let path = &machine.nsswitch;
    if authselect::looks_after(path) {
        return Err(Failure::Conflict(format!(
            "{} is authselect's: its profile oauth2 lists oauth2 there, and \"oauth2ctl enable pam\" selects it",
            path.display()
        )));
    }
    if let Ok(target) = std::fs::read_link(path) {
        return Err(Failure::Conflict(format!(
            "{} is a link to {}: another program looks after it, and it stays as it is. There oauth2 must stand directly after \
             files in \"passwd:\" and \"group:\"",
            path.display(),
            target.display()
        )));
    }
    let before = system::read(path)?;
    if before == FileState::Absent {
        return Err(Failure::Conflict(format!(
            "{} does not exist: make one with the lines \"passwd: files\" and \"group: files\"",
            path.display()
        )));
    }
    let text = std::str::from_utf8(before.bytes())
        .map_err(|_| Failure::Conflict(format!("{} is not UTF-8", path.display())))?;
    let edited = nsswitch::with_token(text);
    if !nsswitch::is_complete(&edited) {
        return Err(Failure::Conflict(format!(
            "{} has no line \"passwd:\" or no line \"group:\": add it, with the word files",
            path.display()
        )));
    }
    let after = before.with_bytes(edited.as_bytes(), 0o644);
    Ok(Change { path: path.clone(), before, after })
}

/// Do passwd and group list oauth2?
pub(super) fn is_complete(machine: &Machine) -> bool {
    nsswitch::is_complete(&std::fs::read_to_string(&machine.nsswitch).unwrap_or_default())
}

/// nsswitch.conf, where it is ours to edit.
pub(super) fn file(machine: &Machine) -> Option<PathBuf> {
    Some(machine.nsswitch.clone()).filter(|path| !authselect::looks_after(path))
}

/// Makes the change, keeping what stood there.
pub(super) fn make(change: &Change) -> Result<(), Failure> {
    undo::keep(PART, std::slice::from_ref(change))?;
    change.make().map(drop)
}

pub(super) fn enable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    if authselect::looks_after(&machine.nsswitch) && is_complete(machine) {
        say("no change: authselect's profile lists oauth2 in nsswitch.conf");
        return Ok(());
    }
    let change = change(machine)?;
    if change.is_nothing() {
        say(&format!("no change: {} lists oauth2", machine.nsswitch.display()));
        return Ok(());
    }
    answer(&change.show(&[]));
    field("diff", change.show(&[]));
    if dry_run {
        return Ok(());
    }
    make(&change)?;
    changed("name service enabled");
    super::audit(machine, "enabled", "nss")?;
    say("getent and every other program ask oauth2 from now on");
    Ok(())
}

pub(super) fn disable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    let path = &machine.nsswitch;
    if authselect::looks_after(path) {
        if !is_complete(machine) {
            say(&format!("no change: {} does not list oauth2", path.display()));
            return Ok(());
        }
        return Err(Failure::Conflict(format!(
            "{} is authselect's: \"oauth2ctl disable pam\" puts back what was selected before, without oauth2",
            path.display()
        )));
    }
    let before = system::read(path)?;
    let text = before.text();
    let exact =
        undo::planned(PART)?.and_then(|changes| changes.into_iter().find(|change| change.path == *path));
    let edited = before.with_bytes(nsswitch::without_token(&text).as_bytes(), 0o644);
    if before == FileState::Absent || edited == before {
        say(&format!("no change: {} does not list oauth2", path.display()));
        return if dry_run { Ok(()) } else { undo::forget(PART) };
    }
    let is_exact = exact.is_some();
    let change = exact.unwrap_or(Change { path: path.clone(), before, after: edited });
    answer(&change.show(&[]));
    field("diff", change.show(&[]));
    if dry_run {
        return Ok(());
    }
    // Nobody whom the name service does not know can be let in, and a promise that sshd cannot keep is none.
    parameters::disable(&machine.places, &SystemClock::new())?;
    if undo::put_back(PART)? == Undone::Not {
        change.make()?;
    }
    changed("name service disabled");
    super::audit(machine, "disabled", "nss")?;
    if is_exact {
        say(&format!("{} is what it was before, byte for byte", path.display()));
    } else {
        say(&format!(
            "{} was changed since, or set up by another hand: only the word oauth2 was taken out",
            path.display()
        ));
    }
    say("people of ours are unknown to this machine now; first logins are off");
    Ok(())
}
