//! `group …`: groups of the provider under names of this machine. What this writes stands in a file of its own, which is
//! laid over config.json.

use super::{load_with, publish_now};
use crate::cli::Group as Command;
use crate::failure::Failure;
use crate::output::{actor, changed, field, say, table};
use pam_oauth2::login::Machine;
use pam_oauth2::name_service;
use serde_json::{Map, Value, json};
use shared::clock::{Clock, SystemClock};
use shared::config::Config;
use shared::identity::ids::derive_gid;
use shared::secure_file::{self, SecureFileError};
use shared::store::{By, GroupClaim, Store, StoredGroup};
use shared::text::{log_value, printable};
use shared::types::{Gid, GroupName, LoginName};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Beside config.json.
const FILE: &str = "config.d/50-groups.json";
/// Largest file of ours that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

pub(super) fn run(machine: &Machine, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => list(machine),
        Command::Show { group } => show(machine, &group),
        Command::Map { id, name, gid } => map(machine, &id, &name, gid),
        Command::Unmap { group } => unmap(machine, &group),
    }
}

/// A group as it is shown.
struct Shown {
    id: String,
    name: String,
    gid: Option<Gid>,
    members: Vec<String>,
    mapped: bool,
}

impl Shown {
    fn object(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "gid": self.gid.map(Gid::get),
            "members": self.members,
            "mapped": self.mapped,
        })
    }

    fn gid(&self) -> String {
        self.gid.map_or("-".into(), |gid| gid.to_string())
    }
}

/// Those of `group_map`, and those that were in it and keep their gid.
fn groups(machine: &Machine) -> Result<Vec<Shown>, Failure> {
    let config = machine.load_config()?.config;
    let mut stored = Store::open(&machine.places)?.provider_groups()?;
    let mut groups = Vec::new();
    for (id, name) in &config.mapping.group_map {
        let known = stored.iter().position(|group| group.provider_id == *id).map(|at| stored.swap_remove(at));
        let (gid, members) = match known {
            Some(StoredGroup { gid, members, .. }) => (Some(gid), members),
            None => (derive_gid(id, &config.accounts.gid_range, &config.accounts.id_key), Vec::new()),
        };
        groups.push(Shown { id: id.clone(), name: name.to_string(), gid, members, mapped: true });
    }
    groups.extend(stored.into_iter().map(|group| Shown {
        id: group.provider_id,
        name: group.name,
        gid: Some(group.gid),
        members: group.members,
        mapped: false,
    }));
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

fn list(machine: &Machine) -> Result<(), Failure> {
    let groups = groups(machine)?;
    let mut rows = vec![["NAME", "GID", "MEMBERS", "SHOWN", "ID"].map(str::to_owned).to_vec()];
    for group in &groups {
        let shown = if group.mapped { "yes" } else { "no" };
        let members = group.members.len().to_string();
        rows.push(vec![group.name.clone(), group.gid(), members, shown.into(), printable(&group.id, 128)]);
    }
    table(&rows);
    field("groups", groups.iter().map(Shown::object).collect::<Vec<_>>());
    Ok(())
}

fn show(machine: &Machine, wanted: &str) -> Result<(), Failure> {
    let group = find(groups(machine)?, wanted)?;
    let rows = [
        ("name", group.name.clone()),
        ("gid", group.gid()),
        ("id", printable(&group.id, 128)),
        ("shown", if group.mapped { "yes".into() } else { "no: it is not in \"group_map\"".into() }),
        ("members", group.members.join(", ")),
    ];
    table(&rows.map(|(key, value)| vec![key.to_owned(), value]));
    field("group", group.object());
    Ok(())
}

fn find(groups: Vec<Shown>, wanted: &str) -> Result<Shown, Failure> {
    let mut groups = groups.into_iter();
    groups
        .find(|group| group.name == wanted || group.id == wanted)
        .ok_or_else(|| Failure::NoGroup(printable(wanted, 64)))
}

fn map(machine: &Machine, id: &str, name: &GroupName, gid: Option<Gid>) -> Result<(), Failure> {
    let config = machine.load_config()?.config;
    let is_mapped = config.mapping.group_map.get(id) == Some(name);
    let file = file(machine);
    let mut own = read(machine, &file)?;
    let entries = own.entry("group_map").or_insert_with(|| json!({}));
    if let Some(entries) = entries.as_object_mut() {
        entries.insert(id.to_owned(), json!(name.as_str()));
    }
    let text = text(&own);
    let after = load_with(machine, &file, &text)?;
    check_name(machine, name)?;
    let settled = match gid {
        Some(gid) => settle(machine, &after.config, id, name, gid)?,
        None => false,
    };
    if is_mapped && !settled {
        super::publish_missing(machine)?;
        say(&format!("no change: {} is {name}", printable(id, 128)));
        return Ok(());
    }
    if !is_mapped {
        write(&file, &text)?;
    }
    changed(&format!("group mapped id={} name={name}", log_value(id)));
    super::audit(machine, "group_mapped", &format!("id={} name={name}", log_value(id)))?;
    publish_now(machine)?;
    say(&format!("{} is {name} here, for people who sign in from now on", printable(id, 128)));
    Ok(())
}

/// A name of /etc/group, or of a person, is not given to a group of the provider.
fn check_name(machine: &Machine, name: &GroupName) -> Result<(), Failure> {
    if machine.local()?.group(name.as_str()).is_some() {
        return Err(Failure::Conflict(format!("{name} is a group of /etc/group: choose another name")));
    }
    let person = LoginName::parse(name.as_str()).ok();
    let store = Store::open(&machine.places)?;
    match person.map(|name| store.person(&name)).transpose()?.flatten() {
        Some(_) => Err(Failure::Conflict(format!("{name} is the name of a person: choose another one"))),
        None => Ok(()),
    }
}

fn settle(machine: &Machine, config: &Config, id: &str, name: &GroupName, gid: Gid) -> Result<bool, Failure> {
    let mut store = Store::open(&machine.places)?;
    // The configuration may write the id in another way (Entra's in capitals).
    let known = config.mapping.group_map.iter().find(|(_, other)| *other == name);
    let provider_id = known.map_or(id, |(id, _)| id).to_owned();
    if store.group_gid(&provider_id)? != Some(gid) {
        if config.accounts.uid_range.contains(gid.get()) {
            return Err(Failure::Refused(format!("gid {gid} is in \"uid_range\", where people are")));
        }
        match name_service::has_id(gid.get()) {
            Ok(false) => {}
            Ok(true) => return Err(Failure::Conflict(format!("gid {gid} is taken (getent group {gid})"))),
            Err(error) => return Err(Failure::Other(error.to_string())),
        }
    }
    let by = By { actor: &actor(), now: SystemClock::new().unix_seconds() };
    Ok(store.settle_group(&GroupClaim { provider_id, name: name.clone(), gid }, by)?)
}

fn unmap(machine: &Machine, wanted: &str) -> Result<(), Failure> {
    let config = machine.load_config()?.config;
    let file = file(machine);
    let mut own = read(machine, &file)?;
    let entries = own.get_mut("group_map").and_then(Value::as_object_mut);
    let taken = entries.and_then(|entries| {
        let is_it = |(id, name): (&String, &Value)| *id == wanted || name.as_str() == Some(wanted);
        let id = entries.iter().find(|entry| is_it(*entry)).map(|(id, _)| id.clone())?;
        entries.remove(&id).map(|_| id)
    });
    let Some(id) = taken else {
        let map = &config.mapping.group_map;
        if map.iter().any(|(id, name)| id == wanted || name.as_str() == wanted) {
            return Err(Failure::Conflict(format!(
                "{} stands in config.json, or in another file than {}: take it out of \"group_map\" there, and run oauth2ctl publish",
                printable(wanted, 64),
                file.display()
            )));
        }
        super::publish_missing(machine)?;
        say(&format!("no change: {} is not shown", printable(wanted, 64)));
        return Ok(());
    };
    if own.get("group_map").and_then(Value::as_object).is_some_and(Map::is_empty) {
        own.remove("group_map");
    }
    let text = text(&own);
    load_with(machine, &file, &text)?;
    if own.is_empty() {
        remove(&file)?
    } else {
        write(&file, &text)?
    }
    changed(&format!("group unmapped id={}", log_value(&id)));
    super::audit(machine, "group_unmapped", &format!("id={}", log_value(&id)))?;
    publish_now(machine)?;
    say(&format!("{} is not shown any more; its gid stays its own", printable(&id, 128)));
    Ok(())
}

fn file(machine: &Machine) -> PathBuf {
    machine.config.parent().unwrap_or(Path::new("/")).join(FILE)
}

fn read(machine: &Machine, file: &Path) -> Result<Map<String, Value>, Failure> {
    let bytes = match secure_file::read(file, machine.places.owner, LIMIT) {
        Err(SecureFileError::Missing(_)) => return Ok(Map::new()),
        contents => contents?.bytes,
    };
    serde_json::from_slice(&bytes).map_err(|error| Failure::Other(format!("{}: {error}", file.display())))
}

fn text(map: &Map<String, Value>) -> String {
    let mut text = serde_json::to_string_pretty(map).unwrap_or_default();
    text.push('\n');
    text
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::Other(format!("{}: {error}", directory.display())));
        }
        _ => {}
    }
    Ok(secure_file::replace(file, text.as_bytes(), 0o600)?)
}

fn remove(file: &Path) -> Result<(), Failure> {
    std::fs::remove_file(file).map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    Ok(secure_file::sync_directory_of(file)?)
}
