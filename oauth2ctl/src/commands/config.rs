//! `config validate`.

use crate::failure::Failure;
use crate::output::{complain, say, warn};
use pam_oauth2::login::Machine;
use shared::config::ConfigError;

/// Lists every fault, one a line.
pub(super) fn validate(machine: &Machine) -> Result<(), Failure> {
    match machine.load_config() {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| warn(&warning.to_string()));
            say(&format!("{}: valid", machine.config.display()));
            Ok(())
        }
        Err(ConfigError::Faults { path, faults }) => {
            faults.iter().for_each(|fault| complain(&format!("{}: {fault}", path.display())));
            Err(Failure::Other(format!("{} fault(s)", faults.len())))
        }
        Err(error) => Err(error.into()),
    }
}
