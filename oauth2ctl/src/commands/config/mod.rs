//! `config …`: what the configuration is, and what is wrong with it.

mod show;

use crate::cli::Config;
use crate::failure::Failure;
use crate::output::{answer, complain, field, say, warn};
use pam_oauth2::login::Machine;
use serde_json::{Value, json};
use shared::config::{ConfigError, Fault, Layer};
use std::path::{Path, PathBuf};

pub(super) fn run(machine: &Machine, command: Config) -> Result<(), Failure> {
    match command {
        Config::Validate => validate(machine),
        Config::Show { origin } => show::all(machine, origin),
        Config::Get { key } => show::one(machine, &key),
        Config::Schema => schema(),
    }
}

/// Needs nothing of the machine.
pub(super) fn schema() -> Result<(), Failure> {
    let schema = shared::config::schema();
    field("schema", &schema);
    answer(&format!("{schema:#}"));
    Ok(())
}

/// Lists every fault, one a line.
fn validate(machine: &Machine) -> Result<(), Failure> {
    let loaded = match machine.load_config() {
        Ok(loaded) => loaded,
        Err(ConfigError::Faults { path, faults }) => return Err(report(machine, &path, &faults)),
        Err(error) => return Err(error.into()),
    };
    loaded.warnings.iter().for_each(|warning| warn(warning));
    field("valid", true);
    field("faults", Vec::<Value>::new());
    say(&format!("{}: valid", machine.config.display()));
    Ok(())
}

fn report(machine: &Machine, path: &Path, faults: &[Fault]) -> Failure {
    let owner = machine.places.owner;
    let mut placed = shared::config::broken_files(&machine.config, owner);
    if placed.is_empty() {
        let layers = shared::config::layers(&machine.config, owner).unwrap_or_default();
        let file = |fault: &Fault| key_of(fault).and_then(|key| file_of(&layers, key));
        placed = faults
            .iter()
            .map(|fault| (file(fault).unwrap_or_else(|| path.to_owned()), fault.clone()))
            .collect();
    }
    placed.iter().for_each(|(file, fault)| complain(&format!("{}: {fault}", file.display())));
    field("valid", false);
    field("faults", placed.iter().map(|(file, fault)| object(file, fault)).collect::<Vec<_>>());
    Failure::Other(format!("{} fault(s)", placed.len()))
}

fn key_of(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::Unknown { key, .. } | Fault::Value { key, .. } => Some(key),
        Fault::Json { .. } | Fault::Missing(_) | Fault::Conflict(_) => None,
    }
}

/// The last file that says something about the key: it is the one that counts.
fn file_of(layers: &[Layer], key: &str) -> Option<PathBuf> {
    let outer = key.split('.').next().unwrap_or(key);
    let holds = |layer: &&Layer| layer.map.contains_key(key) || layer.map.contains_key(outer);
    layers.iter().rev().find(holds).map(|layer| layer.path.clone())
}

fn object(file: &Path, fault: &Fault) -> Value {
    let mut object = json!({"file": file, "message": fault.to_string(), "key": key_of(fault)});
    let extra = match fault {
        Fault::Json { line, column, .. } => json!({"line": line, "column": column}),
        Fault::Unknown { nearest, .. } => json!({"nearest": nearest}),
        Fault::Missing(key) => json!({"key": key}),
        Fault::Value { .. } | Fault::Conflict(_) => json!({}),
    };
    if let (Value::Object(object), Value::Object(extra)) = (&mut object, extra) {
        object.extend(extra);
    }
    object
}
