//! `publish`.

use super::{local_expiry, publish_now, sshd};
use crate::failure::Failure;
use crate::output::{changed, field, progress, say, warn};
use pam_oauth2::login::Machine;
use shared::clock::{Clock, SystemClock};
use shared::secure_file;
use shared::store::{Store, check};

/// Publishes everything anew, with the configuration of now; what is published already is not touched.
pub(super) fn run(machine: &Machine) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let loaded = machine.load_config()?;
    loaded.warnings.iter().for_each(|warning| warn(&warning.to_string()));
    // Rows that an `enable` left behind when it was killed.
    let mut store = Store::open(&machine.places)?;
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
    progress("comparing what is published with the store …");
    let differences = check::differences(&machine.places, &|| machine.inputs(), &clock)?;
    let parameters = parameter_file(machine);
    if differences.is_empty() {
        // The parameter file of first logins follows the configuration too.
        super::publish_missing(machine)?;
    } else {
        publish_now(machine)?;
    }
    // Who is denied is decided by the configuration of now.
    let settled = local_expiry::settle(machine);
    sshd::refresh_drop_in(loaded.config.accounts.people_group.as_str())?;
    if machine.first_logins_are_damaged() {
        return Err(Failure::Other(format!(
            "published; but {} is damaged or of another version: run oauth2ctl enable sshd",
            machine.places.first_login.display()
        )));
    }
    if !differences.is_empty() {
        super::audit(machine, "published", &differences.join("; "))?;
    }
    report(&differences, parameter_file(machine) != parameters);
    settled
}

fn report(differences: &[String], has_new_parameters: bool) {
    if has_new_parameters {
        changed("parameters of first logins published");
        say("the parameters of first logins are those of the configuration now");
    }
    if differences.is_empty() && !has_new_parameters {
        say("no change: what is published is what the store and the configuration say");
    } else if !differences.is_empty() {
        changed("published");
        differences.iter().for_each(|line| say(&format!("was not published: {line}")));
        say("published");
    }
    field("differences", differences);
    field("parameters_changed", has_new_parameters);
}

fn parameter_file(machine: &Machine) -> Option<Vec<u8>> {
    let file =
        secure_file::read(&machine.places.first_login, machine.places.owner, shared::first_login::LIMIT);
    file.ok().map(|file| file.bytes)
}
