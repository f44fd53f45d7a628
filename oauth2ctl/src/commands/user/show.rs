//! `user list` and `user show`.

use crate::failure::Failure;
use crate::output::table;
use pam_oauth2::login::Machine;
use shared::clock::Day;
use shared::config::Config;
use shared::identity::policy;
use shared::store::{Person, RowState, Store, Tombstone};
use shared::types::{LoginName, Uid};

/// What `person.revoked` means.
pub(super) const REVOKED: &str = "allowed_groups refused their last sign-in, and with it keys, cron and su; the next one that is \
                                  admitted ends that";

pub(super) fn list(machine: &Machine) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let mut rows = vec![["NAME", "UID", "STATE", "LAST SIGN-IN", "GROUPS"].map(str::to_owned).to_vec()];
    for person in store.people()?.iter().filter(|person| !person.probe) {
        rows.push(vec![
            person.account.name.to_string(),
            person.account.uid.to_string(),
            if person.revoked && person.state == RowState::Confirmed {
                "denied".into()
            } else {
                person.state.as_str().into()
            },
            day(person.confirmed_day),
            groups(&store, &person.account.name)?.join(","),
        ]);
    }
    table(&rows);
    Ok(())
}

pub(super) fn show(machine: &Machine, name: &str) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let login_name = super::known_name(name)?;
    match super::find(&store, name) {
        Ok(person) => {
            let config = machine.load_config().ok().map(|loaded| loaded.config);
            show_person(&store, &person, config.as_ref())
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

fn show_person(store: &Store, person: &Person, config: Option<&Config>) -> Result<(), Failure> {
    let account = &person.account;
    let (issuer, subject) = match &person.subject {
        Some((issuer, subject)) => (issuer.as_str(), subject.as_str()),
        None => ("-", "-"),
    };
    let rows = [
        ("name", account.name.to_string()),
        ("uid", account.uid.to_string()),
        ("gid", account.gid.to_string()),
        ("home", account.home.clone()),
        ("shell", account.shell.clone()),
        ("state", state(person, config)),
        ("last sign-in", day(person.confirmed_day)),
        ("expires", day(person.expires_day)),
        ("issuer", issuer.to_owned()),
        ("subject", subject.to_owned()),
        ("groups", groups(store, &account.name)?.join(", ")),
    ];
    table(&rows.map(|(key, value)| vec![key.to_owned(), value]));
    Ok(())
}

/// In plain words, with what ends it.
fn state(person: &Person, config: Option<&Config>) -> String {
    let mut state = person.state.as_str().to_owned();
    if person.revoked {
        state.push_str("; ");
        state.push_str(REVOKED);
    }
    if config.is_some_and(|config| !policy::permits_user(&person.account.name, config)) {
        state.push_str("; shut out by allowed_users");
    }
    state
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
