//! `user sweep`: ends what is over. The account phase refuses whoever has expired at their next step by itself; what they
//! left running ends here.

use super::sessions::{self, Owner};
use super::{Change, lock_many};
use crate::failure::Failure;
use crate::output::{changed, field, say, warn};
use pam_oauth2::login::Machine;
use serde_json::json;
use shared::clock::{Clock, Day, SystemClock};
use shared::config::Config;
use shared::etc::LocalNames;
use shared::store::{Person, RowState};
use shared::types::Uid;
use std::collections::BTreeSet;

pub(super) fn run(machine: &Machine) -> Result<(), Failure> {
    let change = Change::begin(machine)?;
    let local = machine.local()?;
    let today = SystemClock::new().today();
    let settled = change.settle_local_accounts();
    let mut failures: Vec<String> = settled.err().map(|failure| failure.to_string()).into_iter().collect();
    let mut over = Vec::new();
    for person in change.store.people()?.iter().filter(|person| !person.probe) {
        let Some(reason) = why(person, &change.config, today) else { continue };
        over.push((person.account.name.to_string(), person.account.uid, reason));
    }
    for removed in change.store.removed()? {
        let Ok(uid) = Uid::new(removed.uid) else { continue };
        over.push((removed.name, uid, "removed"));
    }
    drop(change);
    let ended = end_all(machine, &over, &local, &mut failures)?;
    if ended.is_empty() && failures.is_empty() {
        say("no change: nobody who is shut out has anything running");
    }
    field("ended", ended);
    match failures.as_slice() {
        [] => Ok(()),
        _ => Err(Failure::Other(failures.join("; "))),
    }
}

/// Ends what runs of those who have something running: one look at the machine tells who has.
fn end_all(
    machine: &Machine,
    over: &[(String, Uid, &'static str)],
    local: &LocalNames,
    failures: &mut Vec<String>,
) -> Result<Vec<serde_json::Value>, Failure> {
    let busy: BTreeSet<u32> = sessions::all_processes().into_iter().map(|(_, uid)| uid).collect();
    let waiting: BTreeSet<String> = sessions::at_jobs()?.into_iter().map(|(_, owner)| owner).collect();
    let mut ended = Vec::new();
    for (name, uid, reason) in over {
        let has_jobs = waiting.contains(name) || waiting.contains(&uid.to_string());
        if !busy.contains(&uid.get()) && !has_jobs && !sessions::lingers(name) {
            continue;
        }
        let owner = Owner { name, uid: *uid };
        if sessions::check_owner(&owner, local).is_err() {
            warn(&format!(
                "uid {uid} of {name} is also somebody else's in /etc/passwd: what runs is left alone"
            ));
            continue;
        }
        match sessions::end(&owner, local) {
            Ok(done) if done.is_something() => {
                changed(&format!(
                    "user swept user={name} uid={uid} reason={reason} processes={}",
                    done.processes
                ));
                say(&format!("{} ({reason})", done.sentence(name)));
                if let Ok(name) = super::known_name(name) {
                    lock_many::note_ended(machine, &name, &done)?;
                }
                ended.push(json!({"name": name, "uid": uid.get(), "reason": reason, "ended": done}));
            }
            Ok(_) => {}
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    Ok(ended)
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
