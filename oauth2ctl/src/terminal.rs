//! The administrator's terminal as the host of a trial login.

use pam_oauth2::host::{Answer, Host, HostError, Resolved};
use pam_oauth2::login::Machine;
use pam_oauth2::name_service;
use std::io::BufRead;

/// A trial login: the terminal is the conversation.
pub(crate) struct Terminal<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) name: String,
    /// The PAM service that is tried.
    pub(crate) service: String,
    /// A name that nobody knows resolves to the entry that it would get, as in sshd.
    pub(crate) prospective: bool,
}

impl<'a> Terminal<'a> {
    /// The host of this service: sshd alone sees entries of names that nobody knows.
    pub(crate) fn new(machine: &'a Machine, name: &str, service: &str) -> Self {
        let prospective = service == "sshd";
        Self { machine, name: name.to_owned(), service: service.to_owned(), prospective }
    }
}

impl Host for Terminal<'_> {
    fn user(&mut self) -> Result<String, HostError> {
        Ok(self.name.clone())
    }

    fn service(&self) -> String {
        self.service.clone()
    }

    fn rhost(&self) -> Option<String> {
        None
    }

    /// An administrator tries the provider, not the key.
    fn lacks_publickey(&self) -> bool {
        false
    }

    fn show(&mut self, text: &str) {
        crate::output::say(text);
    }

    fn ask(&mut self, text: &str) -> Result<Answer, HostError> {
        crate::output::prompt(text).map_err(|_| HostError::NoPrompt)?;
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 && line.trim_end().is_empty() => Ok(Answer::Enter),
            Ok(read) if read > 0 => Ok(Answer::Text),
            _ => Err(HostError::NoPrompt),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        let known = name_service::user_by_name(name)?;
        let prospective = || self.machine.prospective(name).filter(|_| self.prospective);
        Ok(known.or_else(|| prospective().as_ref().map(Resolved::from)))
    }

    fn groups(&self, name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError> {
        name_service::groups_of(name, gid)
    }

    fn has_id(&self, id: u32) -> Result<bool, HostError> {
        name_service::has_id(id)
    }
}
