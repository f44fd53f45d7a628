//! `user list` and `user show`.

use crate::cli::PersonState;
use crate::failure::Failure;
use crate::output::{Color, colored, field, table};
use pam_oauth2::login::Machine;
use serde_json::{Value, json};
use shared::clock::{Clock, Day, SystemClock};
use shared::store::{Person, RowState, Store, Tombstone};
use shared::types::{LoginName, Uid};

/// What `person.revoked` means.
pub(super) const REVOKED: &str = "allowed_groups refused their last sign-in, and with it keys, cron and su; the next one that is \
                                  admitted ends that";

pub(super) fn list(
    machine: &Machine,
    state: Option<PersonState>,
    group: Option<&str>,
) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let config = machine.load_config().ok().map(|loaded| loaded.config);
    let today = SystemClock::new().today();
    let mut rows =
        vec![["NAME", "UID", "STATE", "LAST SIGN-IN", "EXPIRES", "GROUPS"].map(str::to_owned).to_vec()];
    let mut users = Vec::new();
    for person in store.people()?.iter().filter(|person| !person.probe) {
        let shown = super::state_of(person, config.as_ref(), today);
        let groups = groups(&store, &person.account.name)?;
        let is_in = group.is_none_or(|group| groups.iter().any(|name| name == group));
        if !is_in || state.is_some_and(|state| !matches(state, person, shown)) {
            continue;
        }
        users.push(object(&store, person, shown)?);
        rows.push(vec![
            person.account.name.to_string(),
            person.account.uid.to_string(),
            painted(shown),
            day(person.confirmed_day),
            day(person.expires_day),
            groups.join(","),
        ]);
    }
    table(&rows);
    field("users", users);
    Ok(())
}

pub(super) fn show(machine: &Machine, name: &str) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let login_name = super::known_name(name)?;
    match super::find(&store, name) {
        Ok(person) => {
            let config = machine.load_config().ok().map(|loaded| loaded.config);
            show_person(
                &store,
                &person,
                super::state_of(&person, config.as_ref(), SystemClock::new().today()),
            )
        }
        Err(Failure::NotFound(name)) => {
            match (store.tombstone(&login_name)?, store.former_name(&login_name)?) {
                (Some(removed), _) => Err(Failure::NotFoundBut(was_removed(&removed))),
                (None, Some(uid)) => Err(Failure::NotFoundBut(was_renamed(&store, &login_name, uid)?)),
                (None, None) => Err(Failure::NotFound(name)),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Somebody who is locked and has expired is both.
fn matches(wanted: PersonState, person: &Person, shown: &str) -> bool {
    match wanted {
        PersonState::Reserved => person.state == RowState::Reserved,
        PersonState::Confirmed => person.state == RowState::Confirmed,
        PersonState::Locked => person.state == RowState::Locked,
        PersonState::Denied => shown == "denied",
        PersonState::Expired => person.expires_day.is_some_and(|day| day <= SystemClock::new().today()),
    }
}

fn painted(state: &str) -> String {
    match state {
        "confirmed" => colored(state, Color::Green),
        "reserved" => colored(state, Color::Yellow),
        _ => colored(state, Color::Red),
    }
}

pub(super) fn object(store: &Store, person: &Person, shown: &str) -> Result<Value, Failure> {
    let account = &person.account;
    let (issuer, subject) = person.subject.as_ref().map(|(i, s)| (i.as_str(), s.as_str())).unzip();
    Ok(json!({
        "name": account.name.as_str(),
        "uid": account.uid.get(),
        "gid": account.gid.get(),
        "gecos": account.gecos,
        "home": account.home,
        "shell": account.shell,
        "state": person.state.as_str(),
        "effective_state": shown,
        "last_sign_in": person.confirmed_day.map(|day| day.to_string()),
        "expires": person.expires_day.map(|day| day.to_string()),
        "issuer": issuer,
        "subject": subject,
        "groups": store.group_names(&account.name)?,
        "local_groups": store.local_group_names(&account.name)?,
        "revoked": person.revoked,
        "existing_account": person.existing,
    }))
}

fn show_person(store: &Store, person: &Person, shown: &str) -> Result<(), Failure> {
    let account = &person.account;
    let (issuer, subject) = match &person.subject {
        Some((issuer, subject)) => (issuer.as_str(), subject.as_str()),
        None => ("-", "-"),
    };
    let state = match (person.state.as_str(), shown) {
        (state, shown) if state == shown => painted(state),
        (state, shown) => format!("{state}, {}", painted(shown)),
    };
    let state = if person.revoked { format!("{state}; {REVOKED}") } else { state };
    let rows = [
        ("name", account.name.to_string()),
        ("uid", account.uid.to_string()),
        ("gid", account.gid.to_string()),
        ("home", account.home.clone()),
        ("shell", account.shell.clone()),
        ("state", state),
        ("last sign-in", day(person.confirmed_day)),
        ("expires", day(person.expires_day)),
        ("issuer", issuer.to_owned()),
        ("subject", subject.to_owned()),
        ("groups", groups(store, &account.name)?.join(", ")),
    ];
    table(&rows.map(|(key, value)| vec![key.to_owned(), value]));
    field("user", object(store, person, shown)?);
    Ok(())
}

fn was_removed(removed: &Tombstone) -> String {
    let (name, uid) = (&removed.name, removed.uid);
    let whose = match &removed.subject {
        Some((issuer, subject)) => format!("subject {} of {}", subject.as_str(), issuer.as_str()),
        None => "never bound to a subject".into(),
    };
    format!(
        "{name} was removed (uid {uid}, {whose}): oauth2ctl user add {name} lets the same person in again"
    )
}

fn was_renamed(store: &Store, name: &LoginName, uid: Uid) -> Result<String, Failure> {
    let now = store.name_of(uid)?.unwrap_or_else(|| "nobody".into());
    Ok(format!("{name} was renamed: uid {uid} is {now} now, who signs in under that name"))
}

fn groups(store: &Store, name: &LoginName) -> Result<Vec<String>, Failure> {
    let mut groups = store.group_names(name)?;
    groups.extend(store.local_group_names(name)?);
    Ok(groups)
}

fn day(day: Option<Day>) -> String {
    day.map_or("-".into(), |day| day.to_string())
}
