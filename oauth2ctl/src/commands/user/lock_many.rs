//! `user lock`: whom, and what of theirs is ended.

use super::lock;
use super::sessions::{self, Owner};
use crate::cli::Lock;
use crate::failure::Failure;
use crate::output::{actor, changed, field, say};
use pam_oauth2::login::Machine;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::store::{By, Person, RowState, Store};
use shared::text::log_value;
use shared::types::{Issuer, LoginName, Subject};

pub(super) fn run(machine: &Machine, request: &Lock) -> Result<(), Failure> {
    // Everybody is found before anybody is locked.
    let people = chosen(machine, &Store::open(&machine.places)?, request)?;
    if people.is_empty() {
        say("no change: nobody is in that group");
    }
    // What goes wrong with one of them, or with the publication, keeps nothing of the others from its end.
    let mut result = lock::lock(machine, &people);
    let mut users = Vec::new();
    for person in &people {
        let name = &person.account.name;
        let is_locked = result.is_ok() || is_locked(machine, name);
        let is_new = is_locked && person.state != RowState::Locked;
        if let Some(reason) = request.reason.as_deref().filter(|_| is_new) {
            result = result.and(note(machine, "lock_reason", name, reason));
        }
        let ended = request.kill.then(|| {
            let (ended, outcome) = end(machine, person);
            result = std::mem::replace(&mut result, Ok(())).and(outcome);
            ended
        });
        let state = if is_locked { "locked" } else { person.state.as_str() };
        users.push(json!({"name": name.as_str(), "changed": is_new, "state": state, "ended": ended}));
    }
    field("users", users);
    result
}

/// After a failure: how far did it come?
fn is_locked(machine: &Machine, name: &LoginName) -> bool {
    let person = Store::open(&machine.places).and_then(|store| store.person(name));
    person.is_ok_and(|person| person.is_some_and(|person| person.state == RowState::Locked))
}

/// Ends what runs of somebody who is shut out, and says what.
///
/// # Errors
/// See [`sessions::end`].
pub(super) fn end(machine: &Machine, person: &Person) -> (sessions::Ended, Result<(), Failure>) {
    let name = person.account.name.as_str();
    let local = match machine.local() {
        Ok(local) => local,
        Err(error) => return (sessions::Ended::default(), Err(error.into())),
    };
    let (ended, mut outcome) = sessions::end(&Owner::new(name, person.account.uid, &local), &local);
    if ended.is_something() {
        changed(&format!(
            "user ended user={name} uid={} processes={} linger={} at_jobs={}",
            person.account.uid,
            ended.processes,
            ended.linger,
            ended.at_jobs.len()
        ));
        outcome = outcome.and(note_ended(machine, &person.account.name, &ended));
    }
    if ended.is_something() || outcome.is_ok() {
        say(&ended.sentence(name));
    }
    (ended, outcome)
}

/// For the audit trail.
pub(super) fn note_ended(
    machine: &Machine,
    name: &LoginName,
    ended: &sessions::Ended,
) -> Result<(), Failure> {
    let detail =
        format!("processes={} linger={} at_jobs={}", ended.processes, ended.linger, ended.at_jobs.len());
    note(machine, "sessions_ended", name, &detail)
}

/// A line of the audit trail about a person.
pub(super) fn note(machine: &Machine, kind: &str, name: &LoginName, detail: &str) -> Result<(), Failure> {
    let by = By { actor: &actor(), now: SystemClock::new().unix_seconds() };
    Ok(Store::open(&machine.places)?.note_person(kind, name, detail, by)?)
}

fn chosen(machine: &Machine, store: &Store, request: &Lock) -> Result<Vec<Person>, Failure> {
    let mut people = Vec::new();
    for name in &request.names {
        people.push(super::find(store, name)?);
    }
    if let [issuer, subject] = request.subject.as_slice() {
        people.push(by_subject(store, issuer, subject)?);
    }
    if let Some(group) = &request.all_of {
        people.extend(members(machine, store, group)?);
    }
    people.sort_by(|a, b| a.account.name.cmp(&b.account.name));
    people.dedup_by(|a, b| a.account.name == b.account.name);
    Ok(people)
}

fn by_subject(store: &Store, issuer: &str, subject: &str) -> Result<Person, Failure> {
    let nobody = || Failure::NotFound(format!("subject {} of {}", log_value(subject), log_value(issuer)));
    let (Ok(issuer), Ok(subject)) = (Issuer::parse(issuer), Subject::parse(subject)) else {
        return Err(nobody());
    };
    let key = Some((issuer, subject));
    store.people()?.into_iter().find(|person| person.subject == key).ok_or_else(nobody)
}

/// Members of a group of the provider, by its local name or its id. A group in which nobody was ever is one of
/// `group_map`, or none.
fn members(machine: &Machine, store: &Store, group: &str) -> Result<Vec<Person>, Failure> {
    let config = machine.load_config()?.config;
    let map = &config.mapping.group_map;
    let mut ids = map.iter().filter(|(id, name)| name.as_str() == group || *id == group).map(|(id, _)| id);
    let Some(id) = ids.next() else { return Err(Failure::NoGroup(shared::text::printable(group, 64))) };
    let groups = store.provider_groups()?;
    let Some(known) = groups.iter().find(|group| group.provider_id == *id) else { return Ok(Vec::new()) };
    known.members.iter().map(|name| super::find(store, name)).collect()
}
