//! `ids …`.

use super::id_files;
use crate::cli::{Ids, MapFormat};
use crate::failure::Failure;
use crate::output::{actor, answer, changed, complain, field, say, table, warn};
use pam_oauth2::login::Machine;
use pam_oauth2::name_service;
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::identity::admissible;
use shared::secure_file;
use shared::store::ids::by_key;
use shared::store::publish::Inputs;
use shared::store::{By, FormerId, IdEntry, Imported, Store};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest map that is read, in bytes: some hundred thousand people.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Bytes of a key.
const KEY: usize = 32;

pub(super) fn run(machine: &Machine, command: Ids) -> Result<(), Failure> {
    match command {
        Ids::Export { format, output } => export(machine, format, output.as_deref()),
        Ids::Import { file, dry_run } => import(machine, &read(machine, &file)?, dry_run),
        Ids::Diff { file } => diff(machine, &read(machine, &file)?),
        Ids::NewKey { file } => new_key(machine, file),
    }
}

fn export(machine: &Machine, format: MapFormat, output: Option<&Path>) -> Result<(), Failure> {
    let map = Store::open(&machine.places)?.id_map()?;
    let text = id_files::text(&map, format, &machine.name)?;
    let Some(file) = output else {
        answer(&text);
        field("ids", map);
        return Ok(());
    };
    let text = format!("{text}\n");
    if std::fs::read(file).is_ok_and(|old| old == text.as_bytes()) {
        say(&format!("no change: {} holds this map", file.display()));
        return Ok(());
    }
    write_new(file, text.as_bytes())?;
    changed(&format!("ids exported file={}", file.display()));
    say(&format!("{}: {} entries; it holds the subjects of people", file.display(), map.len()));
    field("file", file);
    Ok(())
}

fn import(machine: &Machine, map: &[IdEntry], dry_run: bool) -> Result<(), Failure> {
    let inputs = machine.inputs()?;
    let mut store = Store::open(&machine.places)?;
    let by = By { actor: &actor(), now: SystemClock::new().unix_seconds() };
    let imported = store.import_ids(map, &|entry| objection(&inputs, entry), dry_run, by)?;
    drop(store);
    report(&imported);
    let Imported { added, conflicts } = imported;
    if !conflicts.is_empty() {
        return Err(Failure::Conflict(format!("{} conflict(s): nothing was imported", conflicts.len())));
    }
    if added.is_empty() {
        super::publish_missing(machine)?;
        say("no change: everything of the map is known here");
        return Ok(());
    }
    if dry_run {
        say(&format!("{} entries would be new here", added.len()));
        return Ok(());
    }
    changed(&format!("ids imported added={}", added.len()));
    super::publish_now(machine).map_err(|failure| {
        Failure::Other(format!("imported; but that is not published yet: {failure}. Say it again"))
    })?;
    say(&format!("{} entries are new here", added.len()));
    Ok(())
}

fn report(imported: &Imported) {
    imported.added.iter().for_each(|line| say(&format!("new: {line}")));
    for conflict in &imported.conflicts {
        complain(&format!("the map: {}; here: {}", conflict.there, conflict.here));
    }
    field("added", &imported.added);
    field("conflicts", &imported.conflicts);
}

/// What on this machine, besides the store, is in the way of an entry that is new here.
fn objection(inputs: &Inputs, entry: &IdEntry) -> Option<String> {
    let accounts = &inputs.config.accounts;
    let (id, other_range) = match entry {
        IdEntry::Group { gid, .. } => (*gid, accounts.uid_range),
        IdEntry::Person(person) => (person.uid, accounts.gid_range),
        // What runs under the name and the number of somebody who was removed is ended: nobody may have them here.
        IdEntry::Removed(former) => return live(former),
        // What only is not given to anybody takes nothing away.
        _ => return None,
    };
    if other_range.contains(id) {
        return Some(format!(
            "{id} is in the range of {}",
            if is_group(entry) { "people" } else { "groups" }
        ));
    }
    if let IdEntry::Person(person) = entry
        && let Err(error) = admissible::check(&person.name, &inputs.local, inputs.config.group_names())
    {
        return Some(error.to_string());
    }
    if let IdEntry::Person(person) = entry
        && !matches!(name_service::user_by_name(&person.name), Ok(None))
    {
        return Some(format!(
            "another source of the name service knows {0} (getent passwd {0})",
            person.name
        ));
    }
    match name_service::has_id(id) {
        Ok(false) => None,
        Ok(true) => Some(format!("{id} is taken (getent passwd {id}; getent group {id})")),
        Err(error) => Some(error.to_string()),
    }
}

/// Who has the name or the number of somebody who was removed elsewhere.
fn live(former: &FormerId) -> Option<String> {
    let FormerId { name, uid, .. } = former;
    match (name_service::user_by_name(name), name_service::user_by_id(*uid)) {
        (Ok(None), Ok(None)) => None,
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        (Ok(Some(user)), _) => Some(format!("{name} has uid {} (getent passwd {name})", user.uid)),
        (_, Ok(Some(user))) => Some(format!("uid {uid} is {}'s (getent passwd {uid})", user.name)),
    }
}

fn is_group(entry: &IdEntry) -> bool {
    matches!(entry, IdEntry::Group { .. })
}

fn diff(machine: &Machine, map: &[IdEntry]) -> Result<(), Failure> {
    let here = by_key(&Store::open(&machine.places)?.id_map()?);
    let there = by_key(map);
    let keys: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let mut rows = vec![["WHAT", "HERE", "IN THE MAP"].map(str::to_owned).to_vec()];
    let mut differences: Vec<Value> = Vec::new();
    for key in keys {
        let (ours, theirs) = (here.get(key), there.get(key));
        if ours != theirs {
            let cell = |value: Option<&String>| value.cloned().unwrap_or_else(|| "-".into());
            rows.push(vec![shared::text::printable(key, 128), cell(ours), cell(theirs)]);
            differences.push(json!({"what": key, "here": ours, "there": theirs}));
        }
    }
    let same = differences.is_empty();
    field("differences", differences);
    if same {
        say("no difference");
        return Ok(());
    }
    table(&rows);
    Err(Failure::Warnings)
}

/// What decides whose a number is must be root's own, as a backup of the store must.
fn read(machine: &Machine, file: &Path) -> Result<Vec<IdEntry>, Failure> {
    let failed = |error: std::io::Error| Failure::Other(format!("{}: {error}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(LIMIT).read_to_string(&mut text).map_err(failed)?;
    } else {
        let contents = secure_file::read(file, machine.places.owner, LIMIT)?;
        text = String::from_utf8(contents.bytes)
            .map_err(|_| Failure::Refused(format!("{} is not UTF-8", file.display())))?;
    }
    id_files::parse(&text)
}

fn new_key(machine: &Machine, file: Option<PathBuf>) -> Result<(), Failure> {
    let configured = configured_key(machine);
    let Some(file) = file.or_else(|| configured.clone()) else {
        return Err(Failure::Usage(
            "say which file, such as /etc/pam_oauth2_device/id.key, or name it in \"id_key_file\" first"
                .into(),
        ));
    };
    let file = std::path::absolute(file).map_err(|error| Failure::Other(error.to_string()))?;
    let mut key = [0_u8; KEY];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut key))
        .map_err(|error| Failure::Other(format!("/dev/urandom: {error}")))?;
    // In text: an editor, or a copy by hand, cannot take a byte of it for a line's end.
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write_new(&file, format!("{text}\n").as_bytes())?;
    changed(&format!("id key made file={}", file.display()));
    super::audit(machine, "id_key_made", &file.display().to_string())?;
    say(&format!(
        "{}: a key of {KEY} random bytes. Copy this very file to every machine of the fleet",
        file.display()
    ));
    if configured.as_ref() != Some(&file) {
        say(&format!(
            "then write \"id_key_file\": \"{}\" into the configuration, and run oauth2ctl publish",
            file.display()
        ));
    }
    if Store::open(&machine.places).is_ok_and(|store| store.people().is_ok_and(|people| !people.is_empty())) {
        warn("people who are known here keep their uid; whoever is new gets one that depends on the key");
    }
    field("file", file);
    Ok(())
}

/// `id_key_file`, also where the configuration cannot be loaded because that file is what it lacks.
fn configured_key(machine: &Machine) -> Option<PathBuf> {
    let directory = machine.config.parent()?.join("config.d");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.insert(0, machine.config.clone());
    let named = |file: &PathBuf| {
        let contents = secure_file::read(file, machine.places.owner, LIMIT).ok()?;
        let value: Value = serde_json::from_slice(&contents.bytes).ok()?;
        value.get("id_key_file")?.as_str().map(PathBuf::from)
    };
    files.iter().filter_map(named).next_back()
}

/// Writes a file that is not there yet, mode 0600, synced.
fn write_new(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Conflict(format!("{} exists already, and is not overwritten", file.display()))
        }
        _ => Failure::Other(format!("{}: {error}", file.display())),
    };
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    let written = new.write_all(bytes).and_then(|()| new.sync_all()).map_err(failed);
    if written.is_err() {
        let _ = std::fs::remove_file(file);
    }
    written?;
    Ok(secure_file::sync_directory_of(file)?)
}
