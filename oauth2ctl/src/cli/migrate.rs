//! `oauth2ctl migrate`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Take over from another module that signed people in here
///
/// Looks for the configuration of an earlier pam_oauth2_device (Rust: ancestor; C++ by STFC, ICS-MU and others: stfc), of
/// aad-auth or of authd, or reads FILE. It shows the configuration that it would become, and every point in which it would
/// mean something else, asks, and writes /etc/pam_oauth2_device/config.json (0600). The old one is kept beside it as
/// config.json.before-migrate. An ancestor's config.json is read by this package as it is: what would change is said all the
/// same.
///
/// Lines of those modules in /etc/pam.d are reported with the edit that takes them out. This command never edits PAM's files.
///
/// Said again it changes nothing. Ends with 4 when there is nothing to migrate, with 7 when the answer is no.
///
/// Example: `oauth2ctl migrate --dry-run`
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The other module's configuration; where it usually is, if not given
    pub(crate) file: Option<PathBuf>,
    /// Whose configuration it is; found out, if not given
    #[arg(long, value_name = "MODULE")]
    pub(crate) from: Option<Module>,
    /// The provider's issuer, for a configuration that names none (stfc)
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Show everything and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take over accounts that the other module made: all that look like it, or those named
    ///
    /// An account of /etc/passwd with a uid of 1000 or more, the home directory /home/NAME and a name that the provider gives
    /// (one with @, or any where the configuration takes the domain off) looks like it, unless it is in a privileged group;
    /// such a one must be named. Each becomes a row of the store: uid, home, cron jobs and groups stay as they are. The next
    /// sign-in binds it to the provider's subject; see also --subject.
    #[arg(long, num_args = 0.., value_name = "NAME")]
    pub(crate) take_over_users: Option<Vec<String>>,
    /// Bind an account that is taken over to a subject of the provider now (may be repeated)
    #[arg(long, num_args = 3, value_names = ["NAME", "ISSUER", "SUBJECT"], action = clap::ArgAction::Append, requires = "take_over_users")]
    pub(crate) subject: Vec<String>,
    /// File with such bindings: NAME ISSUER SUBJECT in each line
    #[arg(long, value_name = "FILE", requires = "take_over_users")]
    pub(crate) subjects: Option<PathBuf>,
}

/// A module whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Module {
    /// An earlier pam_oauth2_device in Rust, for Azure or not
    Ancestor,
    /// pam_oauth2_device in C++ (STFC, ICS-MU)
    Stfc,
    /// aad-auth (/etc/aad.conf)
    AadAuth,
    /// authd with its brokers
    Authd,
}
