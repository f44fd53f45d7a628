//! One file per command.

mod audit;
mod authselect;
mod config;
mod doctor;
mod enable;
mod explain;
mod group;
mod id_files;
mod ids;
mod local_expiry;
mod login;
mod manual;
mod migrate;
mod nsswitch;
mod profile;
mod proof;
mod publish;
mod setup;
mod sshd;
mod sshd_limits;
mod sshd_lines;
mod stack;
mod status;
mod store;
mod sudo;
mod user;

pub(crate) use doctor::Doctor;

use crate::cli::{Cli, Command, Completion, Config, Disable, Enable, Login, Man};
use crate::failure::Failure;
use crate::output::{changed, progress};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::config::{ConfigError, Loaded, load_as_if};
use shared::store::publish::{self as store_publish, Published, Want};
use shared::store::{By, Store as LiveStore, StoreError};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs a command.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    // What is said of the program itself needs nothing of a machine.
    match &cli.command {
        Command::Completion(Completion { shell }) => return manual::completion(*shell),
        Command::Man(Man { directory }) => return manual::pages(directory),
        Command::Config(Config::Schema) => return config::schema(),
        _ => {}
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::NotRoot);
    }
    if let Some(root) = &cli.root {
        crate::image::enter(root)?;
    }
    crate::output::log_to_syslog();
    // Every message and every file beside it names it in full.
    let config = std::path::absolute(cli.config).map_err(|error| Failure::Other(error.to_string()))?;
    let machine = Machine::this(config);
    // What a roll back would put back is not to be changed by another command first.
    if matches!(cli.command, Command::Enable(_) | Command::Disable(_)) {
        setup::settled()?;
    }
    match cli.command {
        Command::Setup(setup) => setup::run(&machine, &setup),
        Command::Enable(Enable::Nss { dry_run }) => nsswitch::enable(&machine, dry_run),
        Command::Enable(Enable::Pam { dry_run }) => stack::enable(&machine, dry_run),
        Command::Enable(Enable::Sudo { dry_run }) => sudo::enable(&machine, dry_run),
        Command::Disable(Disable::Nss { dry_run }) => nsswitch::disable(&machine, dry_run),
        Command::Disable(Disable::Pam { dry_run }) => stack::disable(&machine, dry_run),
        Command::Disable(Disable::Sudo { dry_run }) => sudo::disable(&machine, dry_run),
        Command::Enable(Enable::Sshd { no_drop_in }) => enable::enable(&machine, !no_drop_in),
        Command::Disable(Disable::Sshd) => enable::disable(&machine),
        Command::Doctor(doctor) => doctor::run(&machine, &doctor),
        Command::Login(Login { name, record, service }) => login::run(&machine, &name, &service, record),
        Command::Explain(request) => explain::run(&machine, &request),
        Command::User(command) => user::run(&machine, command),
        Command::Group(command) => group::run(&machine, command),
        Command::Ids(command) => ids::run(&machine, command),
        Command::Audit(command) => audit::run(&machine, command),
        Command::Status => status::run(&machine),
        Command::Publish => publish::run(&machine),
        Command::Store(command) => store::run(&machine, command),
        Command::Config(command) => config::run(&machine, command),
        Command::Migrate(request) => migrate::run(&machine, &request),
        Command::Completion(_) | Command::Man(_) => Ok(()),
    }
}

/// The configuration as it would be if a file of it had this text.
fn load_with(machine: &Machine, file: &Path, text: &str) -> Result<Loaded, ConfigError> {
    let nsswitch = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
    let planned = BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]);
    load_as_if(&machine.config, machine.places.owner, &nsswitch, &planned)
}

/// Makes the whole file anew: what was wrong with the old one is gone then.
fn publish_now(machine: &Machine) -> Result<(), Failure> {
    progress("publishing …");
    store_publish::publish(&machine.places, &|| machine.inputs(), Want::Rebuild, &SystemClock::new())?;
    Ok(())
}

/// Publishes a change of a few people: among 100 000 in a fiftieth of the time that the whole file takes, unless a name or a
/// uid changes hands.
fn publish_change(machine: &Machine) -> Result<(), Failure> {
    store_publish::publish(&machine.places, &|| machine.inputs(), Want::UpToDate, &SystemClock::new())?;
    Ok(())
}

/// Publishes what an earlier command could not, or what changed in /etc meanwhile. `false`: nothing was missing, and no file was touched.
fn publish_missing(machine: &Machine) -> Result<bool, Failure> {
    let done =
        store_publish::publish(&machine.places, &|| machine.inputs(), Want::UpToDate, &SystemClock::new())?;
    let was_missing = done != Published::Current;
    if was_missing {
        changed("published what was not");
    }
    Ok(was_missing)
}

/// Keeps a change of this machine in the audit trail too, beside those of people. Where there is no store yet, the system
/// log has it alone.
fn audit(machine: &Machine, kind: &str, detail: &str) -> Result<(), Failure> {
    let by = By { actor: &crate::output::actor(), now: SystemClock::new().unix_seconds() };
    match LiveStore::open(&machine.places) {
        Ok(mut store) => Ok(store.audit(kind, detail, by)?),
        Err(StoreError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
