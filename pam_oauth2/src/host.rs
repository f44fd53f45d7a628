//! The program that asks: PAM's (sshd, su …), the administrator's terminal, or a test's.

use shared::identity::account::Account;

/// What getpwnam_r(3) says about a name, or would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

impl Resolved {
    /// Is this the passwd entry of `account`?
    #[must_use]
    pub fn is(&self, account: &Account) -> bool {
        self.name == account.name.as_str()
            && (self.uid, self.gid) == (account.uid.get(), account.gid.get())
            && (self.home.as_str(), self.shell.as_str()) == (account.home.as_str(), account.shell.as_str())
    }
}

impl From<&Account> for Resolved {
    fn from(account: &Account) -> Self {
        Self {
            name: account.name.to_string(),
            uid: account.uid.get(),
            gid: account.gid.get(),
            home: account.home.clone(),
            shell: account.shell.clone(),
        }
    }
}

/// What somebody answered to a prompt that only wants Enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An empty line.
    Enter,
    /// Anything else: most likely a password typed blindly. It has been wiped.
    Text,
}

/// Why the host could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No conversation, or one that does not show prompts.
    #[error("the program cannot show a prompt: sshd needs KbdInteractiveAuthentication yes")]
    NoPrompt,
    /// The host does not say who wants in.
    #[error("the program gives no user name")]
    NoUser,
    /// getpwnam_r(3) failed with this errno.
    #[error("the name service fails with errno {0}")]
    NameService(i32),
}

/// The host of one call.
pub trait Host {
    /// The name that wants in, as typed.
    ///
    /// # Errors
    /// [`HostError::NoUser`].
    fn user(&mut self) -> Result<String, HostError>;

    /// PAM service name.
    fn service(&self) -> String;

    /// Address or name of the remote side, as the host knows it.
    fn rhost(&self) -> Option<String>;

    /// Can this host show a prompt at all, as far as can be told without showing one?
    fn can_prompt(&self) -> bool {
        true
    }

    /// Must the host have seen a key of the person by now, where the configuration asks for one, and has it not? sshd
    /// only: other programs know no keys.
    fn lacks_publickey(&self) -> bool;

    /// Tells the person something. Whether they see it is the host's matter.
    fn show(&mut self, text: &str);

    /// Shows text and waits for a line, with echo: a host that answers by itself what it believes to be a password
    /// prompt must not answer this one.
    ///
    /// # Errors
    /// [`HostError::NoPrompt`].
    fn ask(&mut self, text: &str) -> Result<Answer, HostError>;

    /// The passwd entry of a name.
    ///
    /// # Errors
    /// [`HostError::NameService`].
    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError>;

    /// Numbers and names of the groups that a user is in, the primary group among them, from every source.
    ///
    /// # Errors
    /// [`HostError::NameService`]; a group without a name is one.
    fn groups(&self, name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError>;

    /// Does any source of the name service know a user or a group with this number?
    ///
    /// # Errors
    /// [`HostError::NameService`].
    fn has_id(&self, id: u32) -> Result<bool, HostError>;
}
