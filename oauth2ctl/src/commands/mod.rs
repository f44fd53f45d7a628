//! One file per command.

mod config;
mod doctor;
mod enable;
mod explain;
mod local_expiry;
mod login;
mod manual;
mod migrate;
mod nsswitch;
mod profile;
mod proof;
mod setup;
mod sshd;
mod stack;
mod sudo;
mod user;

pub(crate) use doctor::Doctor;

use crate::cli::{Cli, Command, Completion, Config, Disable, Enable, Login, Man, Store};
use crate::failure::Failure;
use crate::output::{changed, say, warn};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::store::publish::{self, Want};
use shared::store::{By, Migrated, Store as LiveStore, StoreError};

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
    let machine = Machine::this(cli.config);
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
        Command::Publish => publish(&machine),
        Command::Store(Store::Migrate) => migrate(&machine),
        Command::Config(command) => config::run(&machine, command),
        Command::Migrate(request) => migrate::run(&machine, &request),
        Command::Completion(_) | Command::Man(_) => Ok(()),
    }
}

/// Publishes everything anew, with the configuration of now.
fn publish(machine: &Machine) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let loaded = machine.load_config()?;
    loaded.warnings.iter().for_each(|warning| warn(&warning.to_string()));
    // Rows that an `enable` left behind when it was killed.
    let mut store = LiveStore::open(&machine.places)?;
    if store.people()?.iter().any(|person| person.probe) {
        store.set_probes(&[], clock.unix_seconds())?;
    }
    drop(store);
    let inputs = machine.inputs()?;
    for name in inputs.ungranted_groups() {
        warn(&format!(
            "nobody gets the local group {name}: it is missing in /etc/group (groupadd -- {name}), or has the \
             gid of a privileged group"
        ));
    }
    publish_now(machine)?;
    // Who is denied is decided by the configuration of now.
    let settled = local_expiry::settle(machine);
    sshd::refresh_drop_in(loaded.config.accounts.people_group.as_str())?;
    if machine.first_logins_are_damaged() {
        return Err(Failure::Other(format!(
            "published; but {} is damaged or of another version: run oauth2ctl enable sshd",
            machine.places.first_login.display()
        )));
    }
    settled?;
    say("published");
    Ok(())
}

fn publish_now(machine: &Machine) -> Result<(), Failure> {
    publish::publish(&machine.places, &|| machine.inputs(), Want::Rebuild, &SystemClock::new())?;
    Ok(())
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

fn migrate(machine: &Machine) -> Result<(), Failure> {
    let done = LiveStore::migrate(&machine.places, SystemClock::new().today())?;
    if done.applied == 0 {
        say("no change: the store has the schema of this version");
    } else {
        say(&format!("{}: {} migration(s) applied", machine.places.store.display(), done.applied));
    }
    migrated(&done);
    Ok(())
}

/// The system log, and where the store is that was.
fn migrated(done: &Migrated) {
    if done.applied > 0 {
        changed("store migrated");
    }
    if let Some(backup) = &done.backup {
        say(&format!("the store as it was before is kept as {}", backup.display()));
    }
}
