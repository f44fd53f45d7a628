//! `user add`: reserves a row for somebody who has not signed in yet, or lets somebody in again who was removed.

use super::groups::{self, Groups};
use super::{Change, existing, subids, uids};
use crate::cli::Add;
use crate::failure::Failure;
use crate::output::{changed, field, say, warn};
use pam_oauth2::home::is_adoptable;
use pam_oauth2::login::{Machine, PROBE_PREFIX};
use pam_oauth2::name_service;
use shared::clock::{Clock, SystemClock};
use shared::config::{Config, Provisioning};
use shared::identity::account::Account;
use shared::identity::{admissible, policy};
use shared::prospective::exists;
use shared::store::publish::Inputs;
use shared::store::{Person, Reservation, RowState, Store, Tombstone};
use shared::types::{Gid, Issuer, LoginName, Subject, Uid};

pub(super) fn run(machine: &Machine, request: &Add) -> Result<(), Failure> {
    reserve(machine, request)?;
    if request.subids {
        give_subordinate_ids(machine, request)?;
    }
    let (store, config) = (Store::open(&machine.places)?, machine.load_config()?.config);
    let person = super::find(&store, parse_name(&config, &request.name)?.as_str())?;
    let state = super::state_of(&person, Some(&config), SystemClock::new().today());
    field("user", super::show::object(&store, &person, state)?);
    Ok(())
}

/// Whoever has a range keeps it.
fn give_subordinate_ids(machine: &Machine, request: &Add) -> Result<(), Failure> {
    let config = machine.load_config()?.config;
    let name = parse_name(&config, &request.name)?;
    let uid = super::find(&Store::open(&machine.places)?, name.as_str())?.account.uid;
    if let Some((first, last)) = subids::give(name.as_str(), uid, &numbers_of_others(machine, &config)?)? {
        changed(&format!("subordinate ids given user={name} range={first}-{last}"));
        super::super::audit(machine, "subids_given", &format!("{name} {first}-{last}"))?;
        say(&format!("{name} has the subordinate ids {first}-{last} (/etc/subuid, /etc/subgid)"));
    }
    Ok(())
}

/// A name that is given away takes no range of its former owner along.
pub(super) fn retire_subordinate_ids_of_former(change: &Change<'_>, name: &LoginName) -> Result<(), Failure> {
    let removed = change.store.tombstone(name)?.map(|removed| removed.uid);
    let renamed = change.store.former_name(name)?;
    match removed.or(renamed) {
        Some(uid) if subids::retire(name.as_str(), uid)? => {
            changed(&format!("subordinate ids retired user={name} uid={uid}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whoever has a range of subordinate ids *is* those numbers in a container: it must hold nobody's.
fn numbers_of_others(machine: &Machine, config: &Config) -> Result<Vec<(u32, u32)>, Failure> {
    let ranges = [config.accounts.uid_range, config.accounts.gid_range];
    let mut numbers: Vec<(u32, u32)> = ranges.iter().map(|range| (range.first(), range.last())).collect();
    let local = machine.local()?;
    numbers.extend(local.passwd.iter().map(|line| (line.uid, line.uid)));
    numbers.extend(local.group.iter().map(|line| (line.gid, line.gid)));
    numbers.extend(Store::open(&machine.places)?.numbers()?.into_iter().map(|number| (number, number)));
    Ok(numbers)
}

fn reserve(machine: &Machine, request: &Add) -> Result<(), Failure> {
    let mut change = Change::begin(machine)?;
    let inputs = machine.inputs()?;
    let name = parse_name(&inputs.config, &request.name)?;
    let subject = request.subject()?;
    if let Some((issuer, _)) = &subject {
        warn_of_issuer(&inputs.config, issuer);
    }
    if let Some(person) = change.store.person(&name)?.filter(|person| !person.probe) {
        return known(change, &inputs, &person, request, subject.as_ref());
    }
    if inputs.config.provisioning == Provisioning::None {
        return Err(Failure::Refused(format!(
            "with \"provisioning\": \"none\" accounts are made elsewhere: oauth2ctl user bind {name} ISSUER SUBJECT binds one"
        )));
    }
    check_day(request)?;
    let removed = change.store.tombstone(&name)?.filter(|_| !request.reuse_name);
    let kept = existing::kept(&inputs, &name, removed.as_ref())?;
    if kept.is_none() {
        check_name(&inputs, &name)?;
    }
    change.store.check_name(&name, request.reuse_name)?;
    let is_kept = kept.is_some();
    let account = match kept {
        Some(kept) => {
            returning(kept, request, removed.as_ref().and_then(|removed| removed.subject.as_ref()))?
        }
        None => account(&change, &inputs.config, &name, request, removed.as_ref())?,
    };
    let groups = groups::resolve(&change.store, &inputs, &request.groups)?;
    let wanted = Reservation {
        account: &account,
        subject,
        expires: request.expires,
        groups: &groups.provider,
        local_groups: &groups.local,
        reuse_name: request.reuse_name,
        adopt_home: request.adopt_home,
        existing: is_kept,
    };
    if is_kept {
        // Shut until they have signed in, keys included, whatever has been done about it since the removal.
        change.settle_local_accounts()?;
    }
    if request.reuse_name {
        retire_subordinate_ids_of_former(&change, &name)?;
    }
    change.make(|store, by| store.reserve(&wanted, by))?;
    if !policy::permits_user(&name, &inputs.config) {
        warn("\"allowed_users\" does not name them: they are refused until it does");
    }
    let again = if removed.is_some() { " again, for the person who had it" } else { "" };
    change.publish(
        &format!("user reserved user={name} uid={}", account.uid),
        &format!("{name} is reserved{again}: uid {}, home {}", account.uid, account.home),
    )
}

/// The account that somebody who comes back has in /etc/passwd, as it is: with the files and the keys that are theirs.
fn returning(account: Account, request: &Add, bound: Option<&(Issuer, Subject)>) -> Result<Account, Failure> {
    let (name, home) = (&account.name, &account.home);
    if bound.is_none() && request.subject.is_empty() {
        return Err(Failure::Refused(format!(
            "nobody had signed in as {name} before the removal: say whose the account of /etc/passwd is, with --subject"
        )));
    }
    if request.uid.is_some_and(|uid| uid != account.uid)
        || request.home.as_ref().is_some_and(|other| other != home)
    {
        return Err(Failure::Conflict(format!(
            "{name} has an account in /etc/passwd still, with uid {} and home {home}: it is taken as it is",
            account.uid
        )));
    }
    Ok(account)
}

/// The syntax that the configuration has for names.
pub(super) fn parse_name(config: &Config, name: &str) -> Result<LoginName, Failure> {
    let parse = if config.mapping.preserve_case { LoginName::parse } else { LoginName::parse_lower };
    let shown = shared::text::printable(name, 64);
    parse(name).map_err(|error| Failure::Refused(format!("{shown} cannot be a login name: {error}")))
}

/// May the name be given to a person (design, rule 5)? Who has it in the store, the store itself says.
pub(super) fn check_name(inputs: &Inputs, name: &LoginName) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::Refused(format!("{name}: {error}"));
    admissible::check(name.as_str(), &inputs.local, inputs.config.group_names())
        .map_err(|error| refused(&error))?;
    if name.as_str() == inputs.config.accounts.people_group.as_str()
        || name.as_str().starts_with(PROBE_PREFIX)
    {
        return Err(refused(&"the name is used by this package"));
    }
    match name_service::user_by_name(name.as_str()) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Failure::Conflict(format!(
            "another source of the name service knows {name} (getent passwd {name}): this package leaves them alone"
        ))),
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}

/// A subject of an issuer that nobody signs in at is a binding that shuts everybody out.
pub(super) fn warn_of_issuer(config: &Config, issuer: &Issuer) {
    if let Some(own) = config.provider.issuer.as_ref().filter(|own| *own != issuer) {
        warn(&format!(
            "the issuer of the configuration is {}: nobody who signs in there is of issuer {}",
            own.as_str(),
            issuer.as_str()
        ));
    }
}

fn check_day(request: &Add) -> Result<(), Failure> {
    match request.expires {
        Some(day) if day <= SystemClock::new().today() => Err(Failure::Refused(format!(
            "with --expires {} the account would never work: the day must be later than today",
            day
        ))),
        _ => Ok(()),
    }
}

/// The row exists: the command may be said again, but it changes nothing that was decided (except that a home may
/// still be adopted by somebody who has not signed in yet).
fn known(
    mut change: Change<'_>,
    inputs: &Inputs,
    person: &Person,
    request: &Add,
    subject: Option<&(Issuer, Subject)>,
) -> Result<(), Failure> {
    let account = &person.account;
    let name = &account.name;
    let groups = groups::resolve(&change.store, inputs, &request.groups)?;
    if let Some((what, command)) = difference(&change, person, request, subject, &groups)? {
        return Err(Failure::Conflict(format!(
            "{name} is known here already, with another {what}: {command}"
        )));
    }
    let sentence = format!("{name} is known ({}, uid {})", person.state.as_str(), account.uid);
    if request.adopt_home && person.state == RowState::Reserved {
        check_home(account, true)?;
        if change.make(|store, by| store.adopt_home(name, by))? {
            let home = &account.home;
            return change.publish(
                &format!("user home adopted user={name} home={home}"),
                &format!("{home} is {name}'s"),
            );
        }
    }
    change.no_change(&sentence)
}

/// What is asked for and not so, and the command that changes it.
fn difference(
    change: &Change<'_>,
    person: &Person,
    request: &Add,
    subject: Option<&(Issuer, Subject)>,
    groups: &Groups,
) -> Result<Option<(&'static str, String)>, Failure> {
    let (name, account) = (&person.account.name, &person.account);
    if request.uid.is_some_and(|uid| uid != account.uid) {
        return Ok(Some(("uid", format!("oauth2ctl user pin {name} --uid N changes it"))));
    }
    if subject.is_some_and(|subject| Some(subject) != person.subject.as_ref()) {
        return Ok(Some(("subject", format!("oauth2ctl user bind {name} ISSUER SUBJECT changes it"))));
    }
    if request.expires.is_some_and(|day| Some(day) != person.expires_day) {
        return Ok(Some(("day of expiry", format!("oauth2ctl user expire {name} DATE changes it"))));
    }
    if request.home.as_ref().is_some_and(|home| *home != account.home) {
        return Ok(Some(("home directory", "it stays as it is".into())));
    }
    let (mapped, local) = (change.store.group_names(name)?, change.store.local_group_names(name)?);
    let has_all = groups.provider.iter().all(|group| mapped.iter().any(|name| name == group.name.as_str()))
        && groups.local.iter().all(|group| local.contains(group));
    let remedy = "the provider decides about its groups at each sign-in".to_owned();
    Ok((!has_all).then_some(("set of groups", remedy)))
}

fn account(
    change: &Change<'_>,
    config: &Config,
    name: &LoginName,
    request: &Add,
    removed: Option<&Tombstone>,
) -> Result<Account, Failure> {
    let uid = uid(change, config, name, request, removed)?;
    uids::check(&change.store, config, name, uid, removed.is_some_and(|removed| removed.uid == uid))?;
    let home = match &request.home {
        Some(home) => home.clone(),
        None => config.accounts.home.replace("{name}", name.as_str()),
    };
    let account = Account {
        name: name.clone(),
        uid,
        gid: Gid::from(uid),
        gecos: String::new(),
        home,
        shell: config.accounts.shell.clone(),
        supplementary: Vec::new(),
    };
    if request.reuse_name && request.adopt_home {
        return Err(Failure::Refused(
            "--adopt-home with --reuse-name would give a new person somebody else's files: move the directory away, or \
             choose another one with --home DIR"
                .into(),
        ));
    }
    check_home(&account, request.adopt_home)?;
    Ok(account)
}

fn uid(
    change: &Change<'_>,
    config: &Config,
    name: &LoginName,
    request: &Add,
    removed: Option<&Tombstone>,
) -> Result<Uid, Failure> {
    if let Some(removed) = removed {
        // Another one is refused by the store, which names the remedy.
        return Ok(request.uid.unwrap_or(removed.uid));
    }
    let had_an_owner = change.store.tombstone(name)?.is_some() || change.store.former_name(name)?.is_some();
    match request.uid.or_else(|| uids::settled(config, name)) {
        Some(uid) => Ok(uid),
        None if request.reuse_name && had_an_owner => Err(Failure::Refused(format!(
            "the uid that belongs to the name {name} is its former owner's: say --uid N, or settle it for all machines in \
             \"uid_overrides\""
        ))),
        None => uids::configured(config, name),
    }
}

/// An old home may hold keys of somebody else.
fn check_home(account: &Account, adopt: bool) -> Result<(), Failure> {
    let (home, uid) = (&account.home, account.uid);
    if !exists(home, None) || adopt && is_adoptable(home, uid.get()) {
        return Ok(());
    }
    Err(Failure::Conflict(if adopt {
        format!(
            "{home} cannot be adopted: it must be a directory that belongs to uid {uid}, below directories that only root \
             can write to (chown -R {uid}:{uid} {home}, if all that is in it is theirs)"
        )
    } else {
        format!(
            "{home} exists, and may hold keys of somebody else: move it away, or say --adopt-home if it is theirs (it must \
             belong to uid {uid}), or --home DIR"
        )
    }))
}
