//! `user sweep`: ends what is over. The account phase refuses whoever has expired at their next step by itself; what they
//! left running ends here.

use super::sessions::{self, Owner};
use super::{Change, existing, lock_many, processes, subids};
use crate::failure::Failure;
use crate::output::{changed, field, say, warn};
use pam_oauth2::login::Machine;
use serde_json::json;
use shared::clock::{Clock, Day, SystemClock};
use shared::config::{Config, Provisioning};
use shared::identity::account::Account;
use shared::store::publish::Inputs;
use shared::store::{Person, RowState};
use shared::types::Uid;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Somebody who is shut out.
struct Over {
    name: String,
    uid: Uid,
    reason: &'static str,
    /// They were removed: name and number may be somebody else's by now, whom this package does not know.
    is_gone: bool,
}

pub(super) fn run(machine: &Machine) -> Result<(), Failure> {
    let change = Change::begin(machine)?;
    let inputs = machine.inputs()?;
    let today = SystemClock::new().today();
    let mut failures = Vec::new();
    let is_settled = settle(&change, &mut failures);
    let mut over = Vec::new();
    let people: Vec<Person> = change.store.people()?.into_iter().filter(|person| !person.probe).collect();
    for person in &people {
        let Some(reason) = why(person, &change.config, today) else { continue };
        let Account { name, uid, .. } = &person.account;
        over.push(Over { name: name.to_string(), uid: *uid, reason, is_gone: false });
    }
    for removed in change.store.removed()? {
        let Ok(uid) = Uid::new(removed.uid) else { continue };
        over.push(Over { name: removed.name, uid, reason: "removed", is_gone: true });
    }
    drop(change);
    let names: BTreeSet<&str> = people.iter().map(|person| person.account.name.as_str()).collect();
    let ended = end_all(machine, &over, &inputs, &names, &mut failures)?;
    if ended.is_empty() && failures.is_empty() && !is_settled {
        say("no change: nobody who is shut out has anything running");
    }
    field("ended", ended);
    sessions::all_or(failures)
}

/// Shuts accounts that useradd mode made. `true`: a day of expiry is another one now.
fn settle(change: &Change<'_>, failures: &mut Vec<Failure>) -> bool {
    if change.config.provisioning != Provisioning::Useradd {
        return false;
    }
    let before = expiries(&change.machine.shadow);
    failures.extend(change.settle_local_accounts().err());
    let after = expiries(&change.machine.shadow);
    let is_new = |(name, day): &(&String, &String)| before.get(*name) != Some(*day);
    let names: Vec<&str> = after.iter().filter(is_new).map(|(name, _)| name.as_str()).collect();
    for name in &names {
        changed(&format!("user local expiry settled user={name}"));
        say(&format!("{name}: the expiry of the local account is settled"));
    }
    field("settled", &names);
    !names.is_empty()
}

/// The eighth field of shadow(5), by name.
fn expiries(shadow: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(shadow).unwrap_or_default();
    let day = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(6)?.to_owned()))
    };
    String::from_utf8_lossy(&text).lines().filter_map(day).collect()
}

/// Ends what runs of those who have something running: one look at the machine tells who has.
fn end_all(
    machine: &Machine,
    over: &[Over],
    inputs: &Inputs,
    names: &BTreeSet<&str>,
    failures: &mut Vec<Failure>,
) -> Result<Vec<serde_json::Value>, Failure> {
    let busy: BTreeSet<u32> = processes::all_processes().into_iter().map(|(_, uid)| uid).collect();
    let ranges = subids::owners()?;
    let jobs = sessions::at_jobs().unwrap_or_else(|failure| {
        failures.push(failure);
        Vec::new()
    });
    let waiting: BTreeSet<String> = jobs.into_iter().map(|(_, owner)| owner).collect();
    let mut ended = Vec::new();
    for person in over {
        let Over { name, uid, reason, .. } = person;
        let presumed = Owner::new(name, *uid, &inputs.local);
        let has_jobs = waiting.iter().any(|owner| presumed.owns(owner));
        let mut theirs = ranges.iter().filter(|(owner, _)| presumed.owns(owner));
        let is_busy = busy.contains(&uid.get())
            || theirs.any(|(_, (first, last))| busy.range(first..=last).next().is_some());
        if !is_busy && !has_jobs && !sessions::lingers(&presumed) {
            continue;
        }
        let owner = match owner(person, inputs, names) {
            Ok(owner) => owner,
            Err(Failure::Conflict(reason)) => {
                warn(&format!("what runs of {name} (uid {uid}) is left alone: {reason}"));
                continue;
            }
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let (done, outcome) = sessions::end(&owner, &inputs.local);
        failures.extend(outcome.err());
        if done.is_something() {
            changed(&format!(
                "user swept user={name} uid={uid} reason={reason} processes={}",
                done.processes
            ));
            say(&format!("{} ({reason})", done.sentence(name)));
            if let Ok(name) = super::known_name(name) {
                failures.extend(lock_many::note_ended(machine, &name, &done).err());
            }
            ended.push(json!({"name": name, "uid": uid.get(), "reason": reason, "ended": done}));
        }
    }
    Ok(ended)
}

/// Whose number it is, if it is nobody else's.
fn owner<'a>(person: &'a Over, inputs: &Inputs, names: &BTreeSet<&str>) -> Result<Owner<'a>, Failure> {
    let mut owner = Owner::new(&person.name, person.uid, &inputs.local);
    if person.is_gone {
        if let Some(reason) = existing::uid_taken(inputs, &owner)? {
            return Err(Failure::Conflict(reason));
        }
        owner.by_name =
            !names.contains(person.name.as_str()) && existing::name_taken(inputs, &owner)?.is_none();
    }
    sessions::check_owner(&owner, &inputs.local)?;
    Ok(owner)
}

/// Why a person is shut out now; `None`: they are not.
pub(super) fn why(person: &Person, config: &Config, today: Day) -> Option<&'static str> {
    if person.state == RowState::Locked {
        Some("locked")
    } else if person.expires_day.is_some_and(|day| day <= today) {
        Some("expired")
    } else if person.is_denied(config) {
        Some("denied")
    } else {
        None
    }
}
