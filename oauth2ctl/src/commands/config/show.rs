//! `config show`, `config get`: every key in effect, and where its value comes from.

use crate::failure::Failure;
use crate::output::{answer, field, table, warn};
use pam_oauth2::login::Machine;
use serde_json::{Map, Value, json};
use shared::config::keys::{self, KEYS, Key};
use shared::config::{Config, Layer};
use std::path::Path;

/// The configuration, and the files that it is made of.
struct Effective {
    config: Config,
    layers: Vec<Layer>,
}

impl Effective {
    fn load(machine: &Machine) -> Result<Self, Failure> {
        let loaded = machine.load_config()?;
        loaded.warnings.iter().for_each(|warning| warn(warning));
        let layers = shared::config::layers(&machine.config, machine.places.owner)?;
        Ok(Self { config: loaded.config, layers })
    }

    /// The value of a key, and the files that say it: none for a default.
    fn value(&self, key: &Key) -> (Value, Vec<&Path>) {
        let mut value = Value::Null;
        let mut files = Vec::new();
        for layer in &self.layers {
            match (layer.map.get(key.name), &mut value) {
                (None, _) => continue,
                // As the files are merged: objects key by key, everything else replaced.
                (Some(Value::Object(above)), Value::Object(below)) => below.extend(above.clone()),
                (Some(written), _) => {
                    value = written.clone();
                    files.clear();
                }
            }
            files.push(layer.path.as_path());
        }
        let default = key.default(&self.config);
        match (&mut value, default) {
            (Value::Null, default) => return (default, Vec::new()),
            // Members that are not written have theirs.
            (Value::Object(written), Value::Object(default)) => {
                let missing = default.into_iter().filter(|(name, _)| !written.contains_key(name));
                let missing: Vec<_> = missing.collect();
                written.extend(missing);
            }
            _ => {}
        }
        (value, files)
    }
}

pub(super) fn all(machine: &Machine, origin: bool) -> Result<(), Failure> {
    let effective = Effective::load(machine)?;
    let mut rows = vec![vec!["KEY".to_owned(), "VALUE".into(), if origin { "FROM" } else { "" }.into()]];
    let mut object = Map::new();
    for key in KEYS {
        let (value, files) = effective.value(&key);
        let shown = key.shown(&value);
        let from: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        object.insert(
            key.name.to_owned(),
            json!({"value": shown, "default": from.is_empty(), "origin": if from.is_empty() { vec!["default".into()] } else { from.clone() }}),
        );
        let mark = match (from.is_empty(), origin) {
            (true, _) => "default".to_owned(),
            (false, true) => from.join(", "),
            (false, false) => String::new(),
        };
        // What is not set and has no default says nothing.
        if !shown.is_null() {
            rows.push(vec![key.name.to_owned(), plain(&shown), mark]);
        }
    }
    field("config", object);
    table(&rows);
    Ok(())
}

pub(super) fn one(machine: &Machine, name: &str) -> Result<(), Failure> {
    let outer = name.split('.').next().unwrap_or(name);
    let known = keys::find(outer).ok_or_else(|| unknown(name))?;
    let effective = Effective::load(machine)?;
    let (value, files) = effective.value(known);
    let mut shown = known.shown(&value);
    if let Some((_, inner)) = name.split_once('.') {
        let is_known = keys::find(name).is_some();
        match shown.get(inner) {
            Some(value) => shown = value.clone(),
            None if is_known => shown = Value::Null,
            None => return Err(unknown(name)),
        }
    }
    field("key", name);
    field("default", files.is_empty());
    if !shown.is_null() {
        answer(&plain(&shown));
    }
    field("value", shown);
    Ok(())
}

fn unknown(name: &str) -> Failure {
    let shown = shared::text::printable(name, 64);
    let nearest = keys::nearest(name).map(|near| format!(", did you mean \"{near}\"?")).unwrap_or_default();
    Failure::NotFoundBut(format!("there is no key \"{shown}\"{nearest}"))
}

/// A string as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shared::text::printable(text, 1024),
        other => other.to_string(),
    }
}
