//! The expiry of local accounts that useradd mode made, in line with the store and the configuration.

use crate::failure::Failure;
use pam_oauth2::Commands;
use pam_oauth2::login::Machine;
use pam_oauth2::provision::useradd::{LocalExpiry, Tools};
use shared::clock::SystemClock;
use shared::config::Provisioning;
use std::time::Duration;

/// Settles all of them: locked, removed, denied, expired or none of it.
pub(super) fn settle(machine: &Machine) -> Result<(), Failure> {
    let inputs = machine.inputs()?;
    if inputs.config.provisioning != Provisioning::Useradd {
        return Ok(());
    }
    let clock = SystemClock::new();
    let expiry = LocalExpiry {
        tools: Tools { commands: &Commands, clock: &clock, deadline: Duration::MAX },
        places: &machine.places,
        shadow: &machine.shadow,
        config: &inputs.config,
        local: &inputs.local,
    };
    expiry.settle_all().map_err(|error| {
        Failure::Other(format!(
            "the expiry of a local account is not settled: {error}. The account phase of this package is up to date all the \
             same; oauth2ctl publish tries again"
        ))
    })
}
