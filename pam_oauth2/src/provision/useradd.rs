//! Provisioning by useradd(8): an account of /etc/passwd, with the very ids, home and shell that the host was told of, then
//! the store. What a call that fails has made, and nothing else, is undone.

mod expiry;
mod lock;
mod record;
mod tools;

pub use expiry::{ExpiryError, LocalExpiry};
pub use record::RecordFileError;
pub use tools::Tools;

use super::store::StoreProvisioner;
use super::{Provisioned, Provisioner};
use crate::admission::{Admitted, Origin, Revoked};
use crate::home::RunCommand;
use crate::login::has_no_password;
use crate::outcome::LoginError;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::store::{Person, Store};
use shared::types::LoginName;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The limit of shadow-utils for a name, in bytes.
pub const NAME_LIMIT: usize = 32;

/// How much longer than the login itself its undoing may take: less than the time that is kept for our sentence.
const UNDO_TIME: Duration = Duration::from_secs(5);

/// Makes local accounts by useradd(8).
pub struct UseraddProvisioner<'a> {
    /// Records and publishes, once the account is there.
    pub store: StoreProvisioner<'a>,
    /// Runs commands.
    pub commands: &'a dyn RunCommand,
    /// /etc/passwd and /etc/group as they are now.
    pub local: &'a dyn Fn() -> io::Result<LocalNames>,
    /// /etc/shadow.
    pub shadow: &'a Path,
}

impl Provisioner for UseraddProvisioner<'_> {
    fn provision(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        deadline: Duration,
    ) -> Result<Provisioned, LoginError> {
        let account = admitted.account();
        if admitted.known().is_some() {
            let is_local = self.is_there(account)?;
            let mut provisioned = self.store.provision(admitted, config, deadline)?;
            // Somebody who was shut out, or whose last return was cut short before their account was opened again.
            if is_local && self.has_day_of_ours(account) {
                provisioned.warnings.extend(self.settle(account, config, deadline)?);
            }
            return Ok(provisioned);
        }
        // As the store asks after the account is made: what an older configuration decided makes nobody new.
        if (self.store.load)()?.config.digest != config.digest {
            return Err(LoginError::ConfigChanged);
        }
        let tools = Tools { commands: self.commands, clock: self.store.clock, deadline };
        // Another login of the same person must neither fail because of this one, nor rely on what this one undoes.
        let _lock = lock::lock(self.store.places, self.store.clock, deadline)
            .map_err(|error| LoginError::Useradd { command: "lock", detail: error.to_string() })?;
        let has_row = self.row(account)?.is_some();
        if self.is_there(account)? {
            // Accounts of others are whole as they are, whatever their group.
            if has_row || admitted.origin() == Origin::Existing || self.is_complete(account)? {
                return self.take_over(tools, admitted, config);
            }
            self.clear(tools, account)?;
        }
        if has_row {
            return self.served_by_the_store(admitted, config, deadline);
        }
        let made = self.make(tools, account)?;
        self.store.existing = true;
        let provisioned = self.store.provision(admitted, config, deadline);
        provisioned.map_err(|error| self.after_the_store(tools, account, made, error))
    }

    fn revoke(&mut self, revoked: &Revoked) -> Result<bool, LoginError> {
        // The account's own expiry is for the case that nothing can be published.
        let outcome = self.store.revoke(revoked);
        let config = (self.store.load)()?.config;
        let deadline = self.store.clock.monotonic().saturating_add(REVOCATION);
        let unsettled = self.settle(revoked.account(), &config, deadline)?;
        unsettled.into_iter().for_each(|warning| log::warn!("{warning}"));
        outcome
    }
}

/// How long a refused login may take to shut the account of somebody who is revoked.
const REVOCATION: Duration = Duration::from_secs(5);

fn unsettled(name: &LoginName, error: &ExpiryError) -> String {
    format!("the expiry of {name} is not settled: {error}; run oauth2ctl publish")
}

/// What this call has made.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    group: bool,
    user: bool,
}

impl UseraddProvisioner<'_> {
    /// The account is there: left by a login that was killed, made by one that has just ended, or of somebody who was removed
    /// and comes back, for whom it is opened again.
    fn take_over(
        &mut self,
        tools: Tools<'_>,
        admitted: &Admitted,
        config: &Config,
    ) -> Result<Provisioned, LoginError> {
        self.store.existing = true;
        let mut provisioned = self.store.provision(admitted, config, tools.deadline)?;
        let (local, name) = (self.local()?, &admitted.account().name);
        let (places, shadow) = (self.store.places, self.shadow);
        let expiry = LocalExpiry { tools, places, shadow, config, local: &local };
        let settled = expiry.settle_locked(name.as_str());
        provisioned.warnings.extend(settled.err().map(|error| unsettled(name, &error)));
        Ok(provisioned)
    }

    /// Does a day of ours stand in shadow, or may one? What cannot be read is settled, which says what is wrong.
    fn has_day_of_ours(&self, account: &Account) -> bool {
        expiry::has_day_of_ours(self.store.places, account.uid.get()).unwrap_or(true)
    }

    /// Did useradd(8) come to its end? It writes shadow and group after passwd.
    fn is_complete(&self, account: &Account) -> Result<bool, LoginError> {
        let has_shadow =
            expiry::day_in(self.shadow, account.name.as_str()).map_err(LoginError::Etc)?.is_some();
        Ok(has_shadow && self.group_is_there(account)?)
    }

    /// Takes away what a useradd(8) that was killed has left of an account, so that it can be made whole: nobody has ever
    /// had it. Whoever has given it a password meanwhile has made it theirs.
    fn clear(&self, tools: Tools<'_>, account: &Account) -> Result<(), LoginError> {
        let shadow = std::fs::read(self.shadow).map_err(LoginError::Etc)?;
        if !has_no_password(&shadow, account.name.as_str()) {
            return Err(LoginError::IdentityChanged);
        }
        let outcome = tools.userdel(&account.name);
        if self.is_there(account)? {
            let detail = format!("half an account is left ({})", tools::reason(outcome.err().as_ref()));
            return Err(LoginError::Useradd { command: "userdel", detail });
        }
        Ok(())
    }

    /// Brings the account's expiry in line with what was just recorded; what fails is said, and refuses nobody.
    fn settle(
        &self,
        account: &Account,
        config: &Config,
        deadline: Duration,
    ) -> Result<Option<String>, LoginError> {
        let tools = Tools { commands: self.commands, clock: self.store.clock, deadline };
        let (places, shadow, local) = (self.store.places, self.shadow, self.local()?);
        let expiry = LocalExpiry { tools, places, shadow, config, local: &local };
        Ok(expiry.settle(account.name.as_str()).err().map(|error| unsettled(&account.name, &error)))
    }

    fn local(&self) -> Result<LocalNames, LoginError> {
        (self.local)().map_err(LoginError::Etc)
    }

    /// Does /etc/passwd hold this account? Another one of the same name is somebody else's.
    fn is_there(&self, account: &Account) -> Result<bool, LoginError> {
        match self.local()?.user(account.name.as_str()) {
            Some(line) if line.uid == account.uid.get() => Ok(true),
            Some(_) => Err(LoginError::IdentityChanged),
            None => Ok(false),
        }
    }

    /// The person's row, if there is one.
    fn row(&self, account: &Account) -> Result<Option<Person>, LoginError> {
        Ok(Store::open(self.store.places)?.person(&account.name)?)
    }

    /// Somebody with a row is in the published database: useradd would refuse the name, because the name service knows
    /// it. The account that it knows is the same one.
    fn served_by_the_store(
        &mut self,
        admitted: &Admitted,
        config: &Config,
        deadline: Duration,
    ) -> Result<Provisioned, LoginError> {
        let mut provisioned = self.store.provision(admitted, config, deadline)?;
        let name = &admitted.account().name;
        provisioned.warnings.push(format!("{name} had a row before: served by oauth2, not by /etc/passwd"));
        Ok(provisioned)
    }

    /// Group and user, as the host was told; after a failure nothing of this call's is left, or the error says what.
    fn make(&self, tools: Tools<'_>, account: &Account) -> Result<Made, LoginError> {
        if account.name.as_str().len() > NAME_LIMIT {
            let detail = format!("the name is longer than {NAME_LIMIT} bytes");
            return Err(LoginError::Useradd { command: "useradd", detail });
        }
        let mut made = Made::default();
        match self.make_step_by_step(tools, account, &mut made) {
            Ok(()) => Ok(made),
            Err(error) => Err(self.undo(tools, account, made, error)),
        }
    }

    fn make_step_by_step(
        &self,
        tools: Tools<'_>,
        account: &Account,
        made: &mut Made,
    ) -> Result<(), LoginError> {
        // One command for both: a group alone, left by a login that was killed between two, would make the name that of a
        // group of the machine, which is nobody's to have.
        let own_group = !self.group_is_there(account)?;
        let outcome = tools.useradd(account, own_group);
        // Whatever it says of itself: it may fail, or be killed, after its work.
        let there = self.is_there(account)?;
        made.user = there;
        made.group = own_group && self.group_is_there(account)?;
        outcome.map_err(|error| tools::failed("useradd", &error))?;
        if there && self.group_is_there(account)? {
            return Ok(());
        }
        let detail = "it ended well, but the account is not in /etc/passwd and /etc/group".into();
        Err(LoginError::Useradd { command: "useradd", detail })
    }

    /// Is the private group there, left by a login that was killed? Under another number it is somebody else's, and so
    /// is the number under another name.
    fn group_is_there(&self, account: &Account) -> Result<bool, LoginError> {
        let local = self.local()?;
        let (name, gid) = (account.name.as_str(), account.gid.get());
        let taken = |detail| Err(LoginError::Useradd { command: "useradd", detail });
        match local.group(name) {
            Some(line) if line.gid == gid => Ok(true),
            Some(line) => taken(format!("/etc/group has a group {name} with gid {}", line.gid)),
            None => match local.group.iter().find(|line| line.gid == gid) {
                Some(line) => taken(format!("gid {gid} belongs to the group {}", line.name)),
                None => Ok(false),
            },
        }
    }

    /// The store failed. An account whose row was recorded stays: without it the row would be served instead of the
    /// account, and useradd would refuse the name ever after.
    fn after_the_store(
        &self,
        tools: Tools<'_>,
        account: &Account,
        made: Made,
        error: LoginError,
    ) -> LoginError {
        match self.row(account) {
            Ok(Some(_)) => error,
            _ => self.undo(tools, account, made, error),
        }
    }

    /// Takes away what this call made. The files decide whether that worked: userdel(8) may take the private group along.
    fn undo(&self, tools: Tools<'_>, account: &Account, made: Made, error: LoginError) -> LoginError {
        let tools = Tools { deadline: tools.deadline.saturating_add(UNDO_TIME), ..tools };
        let mut left = Vec::new();
        let name = &account.name;
        if made.user {
            let outcome = tools.userdel(name);
            if self.is_there(account).unwrap_or(true) {
                left.push(format!("user {name} ({})", tools::reason(outcome.err().as_ref())));
            }
        }
        // Not while the user is there, whose primary group it is.
        if made.group && left.is_empty() && self.group_is_there(account).unwrap_or(true) {
            let outcome = tools.groupdel(name);
            if self.group_is_there(account).unwrap_or(true) {
                left.push(format!("group {name} ({})", tools::reason(outcome.err().as_ref())));
            }
        } else if made.group && !left.is_empty() {
            left.push(format!("group {name}"));
        }
        if left.is_empty() {
            return error;
        }
        let left = left.join(", ");
        log::error!("not undone, and left on this machine: {left}");
        LoginError::Useradd { command: "undo", detail: format!("{error}; left on this machine: {left}") }
    }
}

#[cfg(test)]
mod tests;
