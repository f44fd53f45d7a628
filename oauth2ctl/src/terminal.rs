//! The administrator's terminal as the host of a trial login.

use pam_oauth2::host::{Answer, Host, HostError, Resolved};
use pam_oauth2::login::Machine;
use pam_oauth2::name_service;
use std::io::{BufRead, Write};

/// A trial login: the terminal is the conversation, and a name that nobody knows resolves to the entry that it would
/// get inside sshd.
pub(crate) struct Terminal<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) name: String,
}

impl Host for Terminal<'_> {
    fn user(&mut self) -> Result<String, HostError> {
        Ok(self.name.clone())
    }

    fn service(&self) -> String {
        "sshd".into()
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
        let mut stdout = std::io::stdout();
        write!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|_| HostError::NoPrompt)?;
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 && line.trim_end().is_empty() => Ok(Answer::Enter),
            Ok(read) if read > 0 => Ok(Answer::Text),
            _ => Err(HostError::NoPrompt),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        let known = name_service::user_by_name(name)?;
        Ok(known.or_else(|| self.machine.prospective(name).as_ref().map(Resolved::from)))
    }

    fn groups(&self, name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError> {
        name_service::groups_of(name, gid)
    }

    fn has_id(&self, id: u32) -> Result<bool, HostError> {
        name_service::has_id(id)
    }
}
