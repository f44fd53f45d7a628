//! The command line.

mod user;

pub(crate) use user::{Add, User};

use crate::output::Manner;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Administration of sign-in with OAuth 2.0 / OpenID Connect.
///
/// First steps: write /etc/pam_oauth2_device/config.json (mode 0600), check it with `oauth2ctl config validate`, make
/// the store with `oauth2ctl store migrate`, try a login with `oauth2ctl login NAME`, then `oauth2ctl enable sshd`.
/// Keep a root shell open while you do.
#[derive(Debug, Parser)]
#[command(version, name = "oauth2ctl")]
pub(crate) struct Cli {
    /// Another configuration than /etc/pam_oauth2_device/config.json
    #[arg(long, global = true, value_name = "FILE", default_value = shared::paths::CONFIG_FILE, hide_default_value = true)]
    pub(crate) config: PathBuf,
    /// Work on the machine whose root directory is DIR, such as an image that is being built
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// One JSON object on standard output instead of text; "changed" says whether anything was
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing of what goes well
    #[arg(short, long, global = true)]
    quiet: bool,
    /// No colours, also on a terminal
    #[arg(long, global = true)]
    no_color: bool,
    /// Answer every "are you sure" with yes
    #[arg(short, long, global = true)]
    yes: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// How to speak.
    pub(crate) fn manner(&self) -> Manner {
        Manner { json: self.json, quiet: self.quiet, no_color: self.no_color, yes: self.yes }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let people whom this machine has never seen sign in
    #[command(subcommand)]
    Enable(Enable),
    /// Take back what `enable` did
    #[command(subcommand)]
    Disable(Disable),
    /// A whole login on this terminal, recording nothing
    Login {
        /// Login name
        name: String,
        /// Record the sign-in, as sshd would
        #[arg(long)]
        record: bool,
    },
    /// People
    #[command(subcommand)]
    User(User),
    /// Write the published database and the parameters of first logins anew
    Publish,
    /// The live store
    #[command(subcommand)]
    Store(Store),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Enable {
    /// First logins through sshd
    ///
    /// Proves first, by two rows made for the purpose, that the account stacks of sshd, cron and su refuse a name that
    /// nobody has verified and admit one that was. Only then does sshd see entries for names that may sign in.
    Sshd {
        /// Do not write the sshd drop-in that turns on keyboard-interactive for oauth2-users
        #[arg(long)]
        no_drop_in: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Disable {
    /// First logins through sshd, and its drop-in; whoever has signed in before stays known
    Sshd,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Make the store, or bring it to the schema of this version
    Migrate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and list every fault
    Validate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
