//! `enable sshd` and `disable sshd`: the parameter file of first logins, and sshd's drop-in.

use super::{proof, sshd};
use crate::failure::Failure;
use crate::output::{changed, say};
use pam_oauth2::login::Machine;
use shared::clock::SystemClock;
use shared::etc::nsswitch_sources;
use shared::secure_file;
use shared::store::Store;
use shared::store::publish::{Inputs, Want, first_login_parameters, publish};

/// The stack that the proof is about (debian/pam-configs).
const PROFILE: &str = "oauth2";

pub(super) fn enable(machine: &Machine, drop_in: bool) -> Result<(), Failure> {
    let config = machine.load_config()?.config;
    name_service(machine)?;
    if drop_in {
        sshd::check()?;
    }
    Store::migrate(&machine.places)?;
    // An earlier proof says nothing about the stacks of now: until the new one holds, first logins are off.
    remove_parameters(machine)?;
    proof::prove(machine, &config)?;
    say("proved: the account stacks refuse whom nobody has verified, and admit who was");
    let local = machine.local()?;
    let inputs = Inputs { config: &config, local: &local };
    let text = first_login_parameters(&inputs, PROFILE)?.to_text();
    secure_file::replace(&machine.places.first_login, text.as_bytes(), 0o600)?;
    publish(&machine.places, &inputs, Want::Rebuild, &SystemClock::new())?;
    say(&format!("{}: written", machine.places.first_login.display()));
    if drop_in {
        sshd::write_drop_in(config.accounts.people_group.as_str())?;
    }
    changed("first logins enabled service=sshd");
    match config.accounts.first_login.as_slice() {
        [] => say("\"first_login\" is empty: only people who are known can sign in"),
        patterns => say(&format!("names that may sign in for the first time: {}", patterns.join(" "))),
    }
    Ok(())
}

pub(super) fn disable(machine: &Machine) -> Result<(), Failure> {
    let enabled = remove_parameters(machine)?;
    let dropped = sshd::remove_drop_in()?;
    if enabled || dropped {
        changed("first logins disabled service=sshd");
        say("first logins are off; people who have signed in before are not affected");
    } else {
        say("no change: first logins were off");
    }
    Ok(())
}

/// `false` if there were none.
fn remove_parameters(machine: &Machine) -> Result<bool, Failure> {
    let path = &machine.places.first_login;
    match std::fs::remove_file(path) {
        Ok(()) => {
            secure_file::sync_directory_of(path)?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::Other(format!("{}: {error}", path.display()))),
    }
}

/// Without these lines sshd could not resolve anybody of ours.
fn name_service(machine: &Machine) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
    for database in ["passwd", "group"] {
        if !nsswitch_sources(&text, database).iter().any(|source| source == "oauth2") {
            return Err(Failure::Other(format!(
                "{}: \"{database}:\" does not list oauth2: add it directly after files",
                machine.nsswitch.display()
            )));
        }
    }
    Ok(())
}
