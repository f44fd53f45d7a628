//! `store …`.

use super::{local_expiry, publish_now};
use crate::cli::Store as Command;
use crate::date;
use crate::failure::Failure;
use crate::output::{Color, actor, changed, colored, complain, confirm, field, progress, say, table, warn};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::store::restore::Candidate;
use shared::store::{By, Migrated, Store, StoreError, VERSION, check};
use std::path::{Path, PathBuf};

pub(super) fn run(machine: &Machine, command: Command) -> Result<(), Failure> {
    match command {
        Command::Migrate => migrate(machine),
        Command::Check => check(machine),
        Command::Backup { file } => backup(machine, &file),
        Command::Restore { file, force } => restore(machine, &file, force),
    }
}

fn migrate(machine: &Machine) -> Result<(), Failure> {
    let done = Store::migrate(&machine.places, SystemClock::new().today())?;
    if done.applied == 0 {
        say("no change: the store has the schema of this version");
    } else {
        say(&format!("{}: {} migration(s) applied", machine.places.store.display(), done.applied));
    }
    migrated(machine, &done)
}

/// The system log, the audit trail, and where the store is that was.
pub(super) fn migrated(machine: &Machine, done: &Migrated) -> Result<(), Failure> {
    if done.applied > 0 {
        changed("store migrated");
        super::audit(machine, "store_migrated", &format!("schema={VERSION}"))?;
    }
    if let Some(backup) = &done.backup {
        say(&format!("the store as it was before is kept as {}", backup.display()));
        field("backup", backup);
    }
    Ok(())
}

fn check(machine: &Machine) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let schema = store.schema_version()?;
    let faults = store.faults()?;
    drop(store);
    let clock = SystemClock::new();
    progress("comparing what is published with the store …");
    let published = match check::differences(&machine.places, &|| machine.inputs(), &clock) {
        Ok(differences) => differences,
        Err(error) => vec![format!("not compared: {error}")],
    };
    let row = |what: &str, faults: &[String]| {
        let verdict = match faults {
            [] => colored("ok", Color::Green),
            faults => colored(&faults.join("; "), Color::Red),
        };
        vec![what.to_owned(), verdict]
    };
    table(&[
        vec!["schema".into(), format!("{schema} (this version: {VERSION})")],
        row("store", &faults),
        row("published", &published),
    ]);
    let ok = faults.is_empty() && published.is_empty();
    if faults.is_empty() && !published.is_empty() {
        complain("oauth2ctl publish makes the published database anew");
    }
    field("schema", schema);
    field("schema_of_this_version", VERSION);
    field("faults", faults);
    field("published_differences", published);
    field("ok", ok);
    if ok { Ok(()) } else { Err(Failure::Reported) }
}

fn backup(machine: &Machine, file: &Path) -> Result<(), Failure> {
    if std::fs::symlink_metadata(file).is_ok() {
        return Err(Failure::Conflict(format!(
            "{} exists already: a backup never overwrites",
            file.display()
        )));
    }
    let file = std::path::absolute(file).map_err(|error| Failure::Other(error.to_string()))?;
    progress("copying the store …");
    Store::open(&machine.places)?.backup(&file)?;
    changed(&format!("store backed up file={}", file.display()));
    super::audit(machine, "store_backed_up", &file.display().to_string())?;
    say(&format!("{}: a whole copy of the store; it holds the subjects of people", file.display()));
    field("file", file);
    Ok(())
}

fn restore(machine: &Machine, file: &Path, force: bool) -> Result<(), Failure> {
    // Fails before anything is changed where nothing could be published afterwards.
    machine.inputs()?;
    let candidate = Candidate::new(&machine.places, file)?;
    match Store::open(&machine.places) {
        Ok(now) => {
            let consequences = candidate.consequences(&now)?;
            if consequences.same {
                say(&format!("no change: the store holds what {} holds", file.display()));
                return Ok(());
            }
            for name in &consequences.returning {
                warn(&format!("{name} was removed after this backup, and is somebody again with it"));
            }
            field("returning", &consequences.returning);
            field("lost", &consequences.lost);
            field("lifted", &consequences.lifted);
            for what in &consequences.lifted {
                warn(&format!("{what} now, and not with this backup"));
            }
            if !consequences.lifted.is_empty() && !force {
                return Err(Failure::Conflict(format!(
                    "who is shut out, or bound, since this backup would not be any more: {}. Say --force if that is meant",
                    consequences.lifted.join("; ")
                )));
            }
            if !consequences.lost.is_empty() && !force {
                return Err(Failure::Conflict(format!(
                    "numbers that are somebody's would be nobody's, or somebody else's: {}. Files keep their numbers: say \
                     --force if that is meant",
                    consequences.lost.join("; ")
                )));
            }
        }
        Err(StoreError::Missing(_)) => {}
        Err(error) => warn(&format!("the store of now cannot be compared: {error}")),
    }
    confirm(&format!("The store is replaced by {}; the one of now is kept beside it.", file.display()))?;
    let clock = SystemClock::new();
    let kept = kept(&machine.places.store, clock.unix_seconds());
    let by = By { actor: &actor(), now: clock.unix_seconds() };
    candidate.take(&machine.places, &kept, by, &clock)?;
    changed(&format!("store restored file={}", file.display()));
    field("kept", &kept);
    publish_now(machine)?;
    say(&format!("restored and published; the store of before is {}", kept.display()));
    // The accounts that useradd made follow the store that is there now.
    local_expiry::settle(machine)
}

fn kept(store: &Path, now: u64) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(format!(".before-{}", date::moment(now).replace([':', '-'], "")));
    PathBuf::from(path)
}
