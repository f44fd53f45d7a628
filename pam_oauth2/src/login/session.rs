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
    is_home_ours(&row, config.provisioning)?;
    Ok(home::ensure(&row.entry.name, row.entry.uid, &row.entry.home, &config.accounts, commands))
}

/// May this package make the home directory? Of an account that it did not make, it may not.
pub(super) fn is_home_ours(row: &known::Row, provisioning: Provisioning) -> Result<(), Exit> {
    let is_ours = row.is_served || provisioning == Provisioning::Useradd;
    if is_ours { Ok(()) } else { Err(Exit::NotOurs(NotOurs::LocalUser)) }
}

pub(super) fn confirmed(machine: &Machine, host: &mut dyn Host) -> Result<known::Row, Exit> {
    let name = host.user()?;
    if matches!(residence(machine, &name)?, Residence::Stranger | Residence::NotOurs) {
        return Err(Exit::NotOurs(NotOurs::LocalUser));
    }
    match known::standing(machine, &name)? {
        Some(Standing::Row(row)) if row.state == State::Confirmed => Ok(row),
        _ => Err(Exit::NotOurs(NotOurs::Name)),
    }
}
