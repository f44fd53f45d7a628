//! `migrate`: from another module that signed people in here.

mod aad;
mod ancestor;
mod authd;
mod draft;
mod ini;
mod pam_lines;
mod source;
mod stfc;
mod take_over;

use crate::cli::Migrate;
use crate::failure::Failure;
use crate::output::{answer, changed, confirm, field, say, warn};
use pam_oauth2::login::Machine;
use serde_json::{Map, Value};
use shared::config::ConfigError;
use shared::secure_file::{self, SecureFileError};
use source::Source;
use std::path::{Path, PathBuf};

/// Largest configuration that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

pub(super) fn run(machine: &Machine, request: &Migrate) -> Result<(), Failure> {
    let modules = pam_lines::find();
    let source = match source::find(machine, request, &modules) {
        Ok(source) => Some(source),
        // Accounts can be taken over after the configuration was.
        Err(Failure::NotFoundBut(_)) if request.take_over_users.is_some() && machine.config.exists() => None,
        Err(failure) => return Err(failure),
    };
    let wrote = match &source {
        Some(source) => configuration(machine, request, source)?,
        None => false,
    };
    pam_lines::report(&modules, source.as_ref());
    let took = match &request.take_over_users {
        Some(names) => take_over::run(machine, request, names)?,
        None => false,
    };
    match (request.dry_run, wrote || took) {
        (true, true) => say("nothing was written (--dry-run)"),
        (false, true) => next_steps(machine),
        (_, false) => say("no change"),
    }
    Ok(())
}

/// Shows what the configuration becomes, and writes it. Returns whether there is something to write.
fn configuration(machine: &Machine, request: &Migrate, source: &Source) -> Result<bool, Failure> {
    let mut draft = source.draft(machine, request)?;
    draft.keep_null_out();
    let text = format!("{:#}\n", Value::Object(draft.map.clone()));
    let loaded = check(machine, &text);
    field("from", source.module);
    field("file", &source.path);
    field("notes", &draft.notes);
    field("config", draft.shown());
    let current = secure_file::read(&machine.config, machine.places.owner, LIMIT);
    let current = match current {
        Ok(contents) => Some(contents.bytes),
        Err(SecureFileError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let is_same =
        current.as_deref().and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(bytes).ok())
            == Some(draft.map.clone());
    say(&format!("{}: the configuration of {}", source.path.display(), source.title()));
    if source.is_read_as_it_is() && !is_same {
        say("This package reads it as it is. What it means here, and what would be written:");
    }
    draft.notes.iter().for_each(|note| say(&format!("  - {note}")));
    if is_same {
        say(&format!("{} says all that already", machine.config.display()));
        loaded?;
        return Ok(false);
    }
    answer(&format!("{:#}", Value::Object(draft.shown())));
    loaded.map_err(|error| not_valid(&source.path, &error))?;
    if request.dry_run {
        return Ok(true);
    }
    confirm(&format!("Write this to {}?", machine.config.display()))?;
    write(machine, source, &text, current.as_deref())?;
    Ok(true)
}

/// Would a login take it, with what config.d says?
fn check(machine: &Machine, text: &str) -> Result<(), ConfigError> {
    super::load_with(machine, &machine.config, text).map(drop)
}

fn not_valid(path: &Path, error: &ConfigError) -> Failure {
    let faults = match error {
        ConfigError::Faults { faults, .. } => {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    Failure::Refused(format!(
        "this would be no configuration yet: {faults}. Nothing was written: mend {} and say it again",
        path.display()
    ))
}

fn write(machine: &Machine, source: &Source, text: &str, current: Option<&[u8]>) -> Result<(), Failure> {
    let target = &machine.config;
    if let Some(directory) = target.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::Other(format!("{}: {error}", directory.display())))?;
    }
    if let Some(current) = current {
        let kept = keep(target, current)?;
        say(&format!("the old configuration is kept as {}", kept.display()));
    }
    super::audit(
        machine,
        "config_migrated",
        &format!("from={} file={}", source.module, source.path.display()),
    )?;
    secure_file::replace(target, text.as_bytes(), 0o600)?;
    changed(&format!("configuration migrated from={} file={}", source.module, source.path.display()));
    say(&format!("{} written", target.display()));
    if machine.places.store.exists()
        && let Err(failure) = super::publish_now(machine)
    {
        warn(&format!("it is not published yet: {failure}. Say oauth2ctl publish"));
    }
    Ok(())
}

/// A copy of what is replaced; one that was kept before is never overwritten.
fn keep(target: &Path, current: &[u8]) -> Result<PathBuf, Failure> {
    let base = format!("{}.before-migrate", target.display());
    let names = std::iter::once(base.clone()).chain((2..100).map(|n| format!("{base}.{n}")));
    for path in names.map(PathBuf::from) {
        match std::fs::read(&path) {
            Ok(kept) if kept == current => return Ok(path),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                secure_file::replace(&path, current, 0o600)?;
                return Ok(path);
            }
            Err(error) => return Err(Failure::Other(format!("{}: {error}", path.display()))),
        }
    }
    Err(Failure::Conflict(format!("{base} and 98 more exist: take some away")))
}

fn next_steps(machine: &Machine) {
    if !machine.places.store.exists() {
        say("next: oauth2ctl store migrate");
    }
    say(
        "next: oauth2ctl login NAME tries it; oauth2ctl enable sshd lets people in whom this machine has never seen",
    );
    say(
        "People in /etc/passwd sign in only where the PAM profile is oauth2-local: pam-auth-update --disable oauth2 --enable oauth2-local",
    );
}
