//! The commands of shadow-utils, as this package calls them. Every name stands behind `--`.

use crate::home::{CommandError, RunCommand, TIME_LIMIT};
use crate::outcome::LoginError;
use shared::clock::Clock;
use shared::identity::account::Account;
use shared::types::LoginName;
use std::path::Path;
use std::time::Duration;

/// Where the distributions install them.
const DIRECTORIES: [&str; 2] = ["/usr/sbin", "/sbin"];

/// useradd(8) and the others.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Runs them.
    pub commands: &'a dyn RunCommand,
    /// Time.
    pub clock: &'a dyn Clock,
    /// None of them runs on after this, on that clock.
    pub deadline: Duration,
}

impl Tools<'_> {
    /// Makes the user; with `own_group` the private group too. `-U` alone would take the next free gid: the bounds leave
    /// it none but the right one.
    pub(super) fn useradd(self, account: &Account, own_group: bool) -> Result<(), CommandError> {
        let (uid, gid) = (account.uid.to_string(), account.gid.to_string());
        let (least, most) = (format!("GID_MIN={gid}"), format!("GID_MAX={gid}"));
        let bad_name = if is_plain(&account.name) { None } else { self.bad_name_option()? };
        let mut arguments = vec!["-u", &uid];
        if own_group {
            arguments.extend(["-U", "-K", &least, "-K", &most]);
        } else {
            arguments.extend(["-g", &gid]);
        }
        arguments.extend(["-d", &account.home, "-s", &account.shell, "-c", &account.gecos, "-M"]);
        arguments.extend(bad_name);
        arguments.extend(["--", account.name.as_str()]);
        self.run("useradd", &arguments)
    }

    /// Never `-r`: a home, or mail, was not made by this call.
    pub(super) fn userdel(self, name: &LoginName) -> Result<(), CommandError> {
        self.run("userdel", &["--", name.as_str()])
    }

    pub(super) fn groupdel(self, name: &LoginName) -> Result<(), CommandError> {
        self.run("groupdel", &["--", name.as_str()])
    }

    /// `date` as usermod(8) reads it: days since 1970-01-01; empty, never.
    pub(super) fn expire(self, name: &LoginName, date: &str) -> Result<(), CommandError> {
        self.run("usermod", &["--expiredate", date, "--", name.as_str()])
    }

    /// What this useradd calls the option that lets a name with `@` pass; versions differ, and some need none.
    fn bad_name_option(self) -> Result<Option<&'static str>, CommandError> {
        let help = self.output("useradd", &["--help"])?;
        let knows = |option: &&str| help.split([' ', ',', '\n']).any(|word| word == *option);
        Ok(["--badname", "--badnames"].into_iter().find(knows))
    }

    fn run(self, tool: &str, arguments: &[&str]) -> Result<(), CommandError> {
        self.output(tool, arguments).map(drop)
    }

    fn output(self, tool: &str, arguments: &[&str]) -> Result<String, CommandError> {
        let program = path(tool);
        let left = self.deadline.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return Err(CommandError::NoTime { program });
        }
        self.commands.output(&program, arguments, left.min(TIME_LIMIT))
    }
}

/// A name that every useradd takes.
fn is_plain(name: &LoginName) -> bool {
    let mut bytes = name.as_str().bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

fn path(tool: &str) -> String {
    let paths = DIRECTORIES.map(|directory| format!("{directory}/{tool}"));
    let [first, ..] = &paths;
    paths.iter().find(|path| Path::new(path).is_file()).unwrap_or(first).clone()
}

pub(super) fn failed(command: &'static str, error: &CommandError) -> LoginError {
    LoginError::Useradd { command, detail: error.to_string() }
}

pub(super) fn reason(error: Option<&CommandError>) -> String {
    error.map_or_else(|| "the command ended well".into(), ToString::to_string)
}
