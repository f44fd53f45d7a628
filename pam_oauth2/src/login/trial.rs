//! Does the provider answer this machine?

use super::auth::settings;
use crate::oauth::{Connect, DeviceGrant, Provider, ProviderError};
use shared::clock::Clock;
use shared::config::Config;

/// Finds the provider's endpoints and asks for a code, as a login does. Nobody is to use the code: it expires.
///
/// # Errors
/// The provider cannot be reached, refuses this client, or answers what no login could use.
pub fn ask_for_code(
    config: &Config,
    connect: &dyn Connect,
    clock: &dyn Clock,
) -> Result<DeviceGrant, ProviderError> {
    Provider::new(&settings(config), connect, clock).start()
}
