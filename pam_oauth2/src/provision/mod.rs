//! Provisioning (step 9): what an admission makes of the machine.

pub mod store;

pub mod useradd;

use crate::admission::{Admitted, Revoked};
use crate::outcome::LoginError;
use shared::config::{Config, Provisioning};
use std::time::Duration;

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioned {
    /// The first sign-in of this person.
    pub first: bool,
    /// Local names of groups that were added.
    pub added: Vec<String>,
    /// Local names of groups that were taken away.
    pub removed: Vec<String>,
    /// Sentences for the log: what could not be done, though the person comes in.
    pub warnings: Vec<String>,
}

/// Makes an account for somebody who was admitted, and for nobody else; shuts out whom the provider's groups let in no longer.
pub trait Provisioner {
    /// Records the sign-in and makes the account resolvable. What it runs ends at `deadline`, on the clock of the login.
    ///
    /// # Errors
    /// The person does not come in.
    fn provision(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        deadline: Duration,
    ) -> Result<Provisioned, LoginError>;

    /// Refuses a person's keys, cron jobs and su too, until their next admitted sign-in. `false`: nothing was to be written.
    ///
    /// # Errors
    /// It could not be recorded or published: the other ways in are open as before.
    fn revoke(&mut self, revoked: &Revoked) -> Result<bool, LoginError>;
}

/// Writes nothing: the administrator's trial login.
#[derive(Debug)]
pub struct DryRun;

impl Provisioner for DryRun {
    fn provision(&mut self, admitted: &Admitted, _: &Config, _: Duration) -> Result<Provisioned, LoginError> {
        Ok(Provisioned { first: admitted.known().is_none(), ..Provisioned::default() })
    }

    fn revoke(&mut self, _: &Revoked) -> Result<bool, LoginError> {
        Ok(false)
    }
}

/// The mode of the configuration.
pub struct ByMode<'a> {
    /// `useradd`, and with it the store.
    pub useradd: useradd::UseraddProvisioner<'a>,
}

impl Provisioner for ByMode<'_> {
    fn provision(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        deadline: Duration,
    ) -> Result<Provisioned, LoginError> {
        match config.provisioning {
            Provisioning::Useradd => self.useradd.provision(admitted, config, deadline),
            Provisioning::Store | Provisioning::None => {
                self.useradd.store.provision(admitted, config, deadline)
            }
        }
    }

    fn revoke(&mut self, revoked: &Revoked) -> Result<bool, LoginError> {
        self.useradd.revoke(revoked)
    }
}
