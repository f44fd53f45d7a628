//! Credentials and session.

use super::known::{self, Standing};
use super::resident::{Residence, residence};
use super::{Exit, Machine};
use crate::home::{self, HomeError, HomeOutcome, RunCommand};
use crate::host::Host;
use crate::outcome::NotOurs;
use shared::config::Provisioning;
use shared::snapshot::State;

/// A confirmed name of ours? No input or output that can fail decides more than that.
///
/// # Errors
/// [`Exit::NotOurs`] for everybody else; setcred refuses nobody.
pub fn setcred(machine: &Machine, host: &mut dyn Host) -> Result<(), Exit> {
    confirmed(machine, host).map(|_| ())
}

/// Makes the home directory of a confirmed person where it is missing.
///
/// # Errors
/// [`Exit::NotOurs`]; the inner error is a warning: the session goes on.
pub fn open_session(
    machine: &Machine,
    host: &mut dyn Host,
    commands: &dyn RunCommand,
) -> Result<Result<HomeOutcome, HomeError>, Exit> {
    let row = confirmed(machine, host)?;
    let config = machine.load_config()?.config;
    if !row.is_served && config.provisioning != Provisioning::Useradd {
        return Err(Exit::NotOurs(NotOurs::LocalUser));
    }
    Ok(home::ensure(&row.entry.name, row.entry.uid, &row.entry.home, &config.accounts, commands))
}

fn confirmed(machine: &Machine, host: &mut dyn Host) -> Result<known::Row, Exit> {
    let name = host.user()?;
    if matches!(residence(machine, &name)?, Residence::Stranger | Residence::NotOurs) {
        return Err(Exit::NotOurs(NotOurs::LocalUser));
    }
    match known::standing(machine, &name)? {
        Some(Standing::Row(row)) if row.state == State::Confirmed => Ok(row),
        _ => Err(Exit::NotOurs(NotOurs::Name)),
    }
}
