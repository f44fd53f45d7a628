//! The command line.

mod audit;
mod config;
mod group;
mod help;
mod ids;
mod manual;
mod migrate;
mod setup;
mod store;
mod trial;
mod user;

pub(crate) use crate::commands::Doctor;
pub(crate) use audit::{Audit, ExportFormat, Which};
pub(crate) use config::Config;
pub(crate) use group::Group;
pub(crate) use help::EXIT_STATUS;
pub(crate) use ids::{Ids, MapFormat};
pub(crate) use manual::{Completion, Man, Shell};
pub(crate) use migrate::{Migrate, Module};
pub(crate) use setup::{Kind, Setup, SetupAction};
pub(crate) use store::Store;
pub(crate) use trial::{Explain, Login};
pub(crate) use user::{Add, Lock, PersonState, User};

use crate::output::{Manner, terminal_width};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

/// Administration of sign-in with OAuth 2.0 / OpenID Connect.
///
/// First steps: `oauth2ctl setup --dry-run`, `oauth2ctl setup --confirm 10m`, `oauth2ctl doctor`, a login by ssh from another
/// terminal. Keep a root shell open while you do.
#[derive(Debug, Parser)]
#[command(version, name = "oauth2ctl", after_long_help = AFTER)]
pub(crate) struct Cli {
    /// Another configuration than /etc/pam_oauth2_device/config.json
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE", default_value = shared::paths::CONFIG_FILE, hide_default_value = true)]
    pub(crate) config: PathBuf,
    /// Work on the machine whose root directory is DIR, such as an image that is being built
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// One JSON object on standard output instead of text; "changed" says whether anything was
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Say nothing of what goes well
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    quiet: bool,
    /// No colours, also on a terminal
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    no_color: bool,
    /// Answer every "are you sure" with yes
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    yes: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Above the options that every command has.
const EVERYWHERE: &str = "Options of every command";

/// What holds for every command.
const AFTER: &str = "Every command that changes something may be said again: it says \"no change\" then, and publishes what \
    an earlier run could not. A change is told to the system log and kept in the audit trail of the store, with the real user \
    who gave the command; SUDO_USER stands beside it as information.";

/// The width of what is written where no terminal says one.
const COLUMNS: usize = 100;

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// It is wrong, or asks for help.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let command = help::with_exit_status(Self::command(), AFTER);
        let command = help::wrapped(command, terminal_width().unwrap_or(COLUMNS));
        Self::from_arg_matches(&command.try_get_matches()?)
    }

    /// How to speak.
    pub(crate) fn manner(&self) -> Manner {
        Manner { json: self.json, quiet: self.quiet, no_color: self.no_color, yes: self.yes }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Setup(Box<Setup>),
    /// Put a part of this package into effect: sshd (first logins), nss, pam or sudo
    #[command(subcommand)]
    Enable(Enable),
    /// Take back what `enable` did: sshd, nss, pam or sudo
    #[command(subcommand)]
    Disable(Disable),
    /// Look at everything that a sign-in needs, and name the command that mends what is wrong
    ///
    /// Each line says a check's state, what it saw and, where something is wrong, what follows from it and the one command
    /// that mends it. Nothing is changed, but for two rows that prove the account stacks (P2) and are gone afterwards; a
    /// device code is asked for that nobody will approve (O4).
    ///
    /// C configuration, P PAM, S sshd, N names and ids, M SELinux, AppArmor and FIPS mode, O the provider, H homes, B
    /// break-glass, U upgrades and disk, X other identity software. A check that needs another one which failed is not
    /// asked.
    ///
    /// Exit code: 0 all is well, 3 warnings or a check that could not be asked, 1 faults, 5 no configuration and no fault.
    ///
    /// Examples: oauth2ctl doctor; oauth2ctl doctor --check O --check S2; oauth2ctl doctor --prom
    /// /var/lib/prometheus/node-exporter/oauth2.prom (every few minutes, from a timer)
    Doctor(Doctor),
    Login(Login),
    Explain(Explain),
    /// People: list, reserve, lock, expire, rename and remove them
    #[command(subcommand)]
    User(User),
    /// Groups of the provider, and their names on this machine
    #[command(subcommand)]
    Group(Group),
    /// Uids and gids, the same on every machine of a fleet
    #[command(subcommand)]
    Ids(Ids),
    /// The audit trail: who changed what, and who signed in for the first time
    #[command(subcommand)]
    Audit(Audit),
    /// How this machine stands, on one screen
    ///
    /// Exit code 5 where it is not configured yet. What is wrong, and what mends it: oauth2ctl doctor
    Status,
    /// Publish what the store, the configuration and /etc say now
    ///
    /// Every change of a person does it by itself. Needed after a change of the configuration, of /etc/passwd or of
    /// /etc/group. What is published already is compared first: a second run says "no change" and touches nothing.
    Publish,
    /// The live store: check, migrate, back it up, restore it
    #[command(subcommand)]
    Store(Store),
    /// The configuration: show, validate
    #[command(subcommand)]
    Config(Config),
    Migrate(Migrate),
    Completion(Completion),
    #[command(hide = true)]
    Man(Man),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Enable {
    /// First logins through sshd
    ///
    /// Proves first, by two rows made for the purpose, that the account stacks of sshd, cron and su refuse a name that
    /// nobody has verified and admit one that was. Only then does sshd see entries for names that may sign in.
    ///
    /// Refuses "UsePAM no", and ranges that overlap /etc/subuid or /etc/subgid. Then writes the parameters of first logins,
    /// publishes, and writes /etc/ssh/sshd_config.d/20-oauth2.conf (keyboard-interactive for the group oauth2-users);
    /// sshd_config must include that directory.
    Sshd {
        /// Do not write the sshd drop-in that turns on keyboard-interactive for oauth2-users
        #[arg(long)]
        no_drop_in: bool,
    },
    /// The name service: oauth2 in "passwd:" and "group:" of nsswitch.conf
    ///
    /// The word is put directly after files or compat; nothing else in the file changes. From then on every program can
    /// resolve the people whom this machine knows. It lets nobody in by itself. Where authselect looks after the file,
    /// enable pam writes it.
    Nss {
        /// Show the change, and make none
        #[arg(long)]
        dry_run: bool,
    },
    /// The PAM profile, by pam-auth-update or authselect
    ///
    /// Which one follows from the configuration: oauth2 jumps over users of /etc/passwd; oauth2-local, for "provisioning":
    /// "useradd" or "none" and for "local_users": "allow", does not. Files that were edited by hand are left alone, and
    /// the command says so.
    ///
    /// authselect's profile oauth2 takes the place of local or minimal, with the features that are on, and writes
    /// nsswitch.conf too; what was selected is kept as the backup pre-oauth2. The feature with-local-sign-in is what
    /// oauth2-local is elsewhere.
    Pam {
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// A sign-in by browser for sudo: "sudo" in "services" of config.json
    ///
    /// People of ours have no password that sudo could ask for. Whom sudo lets do what stays a matter of sudoers.
    Sudo {
        /// Show the change, and make none
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Disable {
    /// First logins through sshd, and its drop-in; whoever has signed in before stays known
    ///
    /// They sign in by browser only where sshd_config itself has "KbdInteractiveAuthentication yes".
    Sshd,
    /// The name service; nsswitch.conf is put back byte for byte where nobody changed it since
    ///
    /// People of ours are unknown to the machine from then on, and first logins are off.
    Nss {
        /// Show the change, and make none
        #[arg(long)]
        dry_run: bool,
    },
    /// The PAM profile: nobody of ours gets in any more, also by key
    ///
    /// Users of /etc/passwd log in as before. People stay known, and get in again after `oauth2ctl enable pam`. Where
    /// authselect looks after the stack, its backup pre-oauth2 is restored.
    Pam {
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// "sudo" in "services"; config.json is put back byte for byte where nobody changed it since
    Sudo {
        /// Show the change, and make none
        #[arg(long)]
        dry_run: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
