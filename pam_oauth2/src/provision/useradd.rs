//! Provisioning by groupadd(8) and useradd(8): an account of /etc/passwd, with the very ids, home and shell that the host
//! was told of, then the store. What a call that fails has made, and nothing else, is undone.

mod expiry;
mod tools;

pub use expiry::{ExpiryError, expire, unexpire};

use super::store::StoreProvisioner;
use super::{Provisioned, Provisioner};
use crate::admission::{Admitted, Revoked};
use crate::home::RunCommand;
use crate::outcome::LoginError;
use rustix::fs::FlockOperation;
use shared::config::Config;
use shared::etc::LocalNames;
use shared::identity::account::Account;
use shared::store::{RowState, Store};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;
use tools::Tools;

/// groupadd's limit for a name, in bytes.
pub const NAME_LIMIT: usize = 32;

/// Beside the publication lock: one account is made at a time.
const LOCK: &str = "useradd.lock";

/// How long a login waits for others that make accounts.
const PATIENCE: Duration = Duration::from_secs(45);

/// Makes local accounts by useradd(8).
pub struct UseraddProvisioner<'a> {
    /// Records and publishes, once the account is there.
    pub store: StoreProvisioner<'a>,
    /// Runs commands.
    pub commands: &'a dyn RunCommand,
    /// /etc/passwd and /etc/group as they are now.
    pub local: &'a dyn Fn() -> io::Result<LocalNames>,
}

impl Provisioner for UseraddProvisioner<'_> {
    fn provision(&mut self, admitted: &Admitted, config: &Config) -> Result<Provisioned, LoginError> {
        let account = admitted.account();
        if admitted.known().is_some() {
            self.is_there(account)?;
            return self.store.provision(admitted, config);
        }
        // As the store asks after the account is made: what an older configuration decided makes nobody new.
        if (self.store.load)()?.config.digest != config.digest {
            return Err(LoginError::ConfigChanged);
        }
        // Another login of the same person must neither fail because of this one, nor rely on what this one undoes.
        let _lock = self.lock()?;
        if self.is_there(account)? {
            self.store.existing = true;
            // Left by a login that was killed, or made by one that has just ended.
            return self.store.provision(admitted, config);
        }
        if self.row(account)?.is_some() {
            return self.served_by_the_store(admitted, config);
        }
        let made = self.make(account)?;
        self.store.existing = true;
        let provisioned = self.store.provision(admitted, config);
        provisioned.map_err(|error| self.after_the_store(account, made, error))
    }

    fn revoke(&mut self, revoked: &Revoked) -> Result<bool, LoginError> {
        self.store.revoke(revoked)
    }
}

/// What this call has made.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    group: bool,
    user: bool,
}

impl UseraddProvisioner<'_> {
    fn tools(&self) -> Tools<'_> {
        Tools { commands: self.commands }
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

    /// The state of the person's row, if there is one.
    fn row(&self, account: &Account) -> Result<Option<RowState>, LoginError> {
        Ok(Store::open(self.store.places)?.person(&account.name)?.map(|person| person.state))
    }

    /// Somebody with a row is in the published database: useradd would refuse the name, because the name service knows
    /// it. The account that it knows is the same one.
    fn served_by_the_store(
        &mut self,
        admitted: &Admitted,
        config: &Config,
    ) -> Result<Provisioned, LoginError> {
        let mut provisioned = self.store.provision(admitted, config)?;
        let name = &admitted.account().name;
        provisioned.warnings.push(format!("{name} had a row before: served by oauth2, not by /etc/passwd"));
        Ok(provisioned)
    }

    fn lock(&self) -> Result<File, LoginError> {
        let failed = |detail| LoginError::Useradd { command: "lock", detail };
        let path = self.store.places.lock.with_file_name(LOCK);
        let io = |error: io::Error| failed(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(io)?;
        let clock = self.store.clock;
        let give_up = clock.monotonic().saturating_add(PATIENCE);
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) if clock.monotonic() < give_up => {
                    clock.sleep(Duration::from_millis(10));
                }
                Err(errno) => return Err(io(errno.into())),
            }
        }
    }

    /// Group and user, as the host was told; after a failure nothing of this call's is left, or the error says what.
    fn make(&self, account: &Account) -> Result<Made, LoginError> {
        if account.name.as_str().len() > NAME_LIMIT {
            let detail = format!("the name is longer than {NAME_LIMIT} bytes");
            return Err(LoginError::Useradd { command: "groupadd", detail });
        }
        let mut made = Made::default();
        match self.make_step_by_step(account, &mut made) {
            Ok(()) => Ok(made),
            Err(error) => Err(self.undo(account, made, error)),
        }
    }

    fn make_step_by_step(&self, account: &Account, made: &mut Made) -> Result<(), LoginError> {
        let tools = self.tools();
        let own_group = match self.group_is_there(account)? {
            true => false,
            false => match tools.groupadd(account) {
                Ok(()) => {
                    made.group = true;
                    false
                }
                // Stricter than useradd about names: useradd makes the group then, with the same number.
                Err(error) if tools::is_refused_name(&error) => true,
                Err(error) => {
                    // It may have been killed after its work.
                    made.group = self.group_is_there(account)?;
                    return Err(tools::failed("groupadd", &error));
                }
            },
        };
        let outcome = tools.useradd(account, own_group);
        // Whatever it says of itself: it may fail, or be killed, after its work.
        let there = self.is_there(account)?;
        made.user = there;
        made.group |= own_group && self.group_is_there(account)?;
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
        let taken = |detail| Err(LoginError::Useradd { command: "groupadd", detail });
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
    fn after_the_store(&self, account: &Account, made: Made, error: LoginError) -> LoginError {
        match self.row(account) {
            Ok(Some(_)) => error,
            _ => self.undo(account, made, error),
        }
    }

    /// Takes away what this call made. The files decide whether that worked: userdel(8) may take the private group along.
    fn undo(&self, account: &Account, made: Made, error: LoginError) -> LoginError {
        let mut left = Vec::new();
        let name = &account.name;
        if made.user {
            let outcome = self.tools().userdel(name);
            if self.is_there(account).unwrap_or(true) {
                left.push(format!("user {name} ({})", tools::reason(outcome.err().as_ref())));
            }
        }
        // Not while the user is there, whose primary group it is.
        if made.group && left.is_empty() && self.group_is_there(account).unwrap_or(true) {
            let outcome = self.tools().groupdel(name);
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
