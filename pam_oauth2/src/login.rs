//! The pipeline of one call (design, section 3), over a host, a network, a clock and a provisioner.

mod account;
mod auth;
mod explain;
mod grounds;
mod known;
mod resident;
mod session;
mod trial;

pub use account::account;
pub use auth::{Admission, LOCAL_PROFILE, Login, authenticate, https, settings};
pub use explain::{Explanation, Phases, SignedIn, explain, phases};
pub(crate) use resident::has_no_password;
pub use session::{open_session, setcred};
pub use trial::ask_for_code;

use crate::outcome::{LoginError, NotOurs, Reply};
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::store::Places;
use shared::store::publish::{Inputs, PublishError};
use std::path::{Path, PathBuf};

/// Names of the rows that `oauth2ctl enable` makes to prove the stacks; nobody signs in as one.
pub const PROBE_PREFIX: &str = "oauth2-probe-";

/// The files of a machine. A test brings its own.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Store, published database, parameters.
    pub places: Places,
    /// config.json.
    pub config: PathBuf,
    /// passwd(5).
    pub passwd: PathBuf,
    /// group(5).
    pub group: PathBuf,
    /// shadow(5).
    pub shadow: PathBuf,
    /// nsswitch.conf(5).
    pub nsswitch: PathBuf,
    /// Its name, for the prompt.
    pub name: String,
}

impl Machine {
    /// This machine, with the configuration that the PAM line names.
    #[must_use]
    pub fn this(config: PathBuf) -> Self {
        Self {
            places: Places::under(Path::new("/")),
            config,
            passwd: shared::paths::PASSWD.into(),
            group: shared::paths::GROUP.into(),
            shadow: shared::paths::SHADOW.into(),
            nsswitch: shared::paths::NSSWITCH.into(),
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// What a publication is made from, as it is now.
    ///
    /// # Errors
    /// Configuration, /etc/passwd or /etc/group.
    pub fn inputs(&self) -> Result<Inputs, PublishError> {
        let config = self.load_config()?.config;
        let local = LocalNames::read(&self.passwd, &self.group).map_err(PublishError::Etc)?;
        Ok(Inputs { config, local })
    }

    /// /etc/passwd and /etc/group.
    ///
    /// # Errors
    /// [`LoginError::Etc`].
    pub fn local(&self) -> Result<LocalNames, LoginError> {
        LocalNames::read(&self.passwd, &self.group).map_err(LoginError::Etc)
    }

    /// Loads the configuration.
    ///
    /// # Errors
    /// See [`shared::config::ConfigError`].
    pub fn load_config(&self) -> Result<shared::config::Loaded, shared::config::ConfigError> {
        // Without nsswitch.conf libc asks `files` only.
        let nsswitch = std::fs::read_to_string(&self.nsswitch).unwrap_or_default();
        shared::config::load(&self.config, self.places.owner, &nsswitch)
    }

    /// The entry that a name nobody knows would get inside sshd, if first logins are enabled.
    #[must_use]
    pub fn prospective(&self, name: &str) -> Option<Account> {
        let parameters = known::parameters(self).ok().flatten()?;
        known::prospective_account(self, name, &self.local().ok()?, &parameters).ok()
    }

    /// Is there a parameter file of first logins that cannot be used?
    #[must_use]
    pub fn first_logins_are_damaged(&self) -> bool {
        known::parameters(self).is_err()
    }

    fn nss_db(&self) -> &str {
        self.places.nss_db.to_str().unwrap_or_default()
    }
}

/// How a call ends without success.
#[derive(Debug)]
pub enum Exit {
    /// Not our business.
    NotOurs(NotOurs),
    /// A refusal or a fault.
    Failed(LoginError),
}

impl Exit {
    /// What the host is answered.
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            Self::NotOurs(_) => Reply::NotOurs,
            Self::Failed(error) => Reply::Failed(error.class().0),
        }
    }
}

impl<E: Into<LoginError>> From<E> for Exit {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests;
