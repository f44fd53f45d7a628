//! `oauth2ctl completion` and `oauth2ctl man`: made from these very definitions.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Print a completion script for a shell
///
/// The packages install these scripts. It needs neither root nor a configuration.
///
/// Example: `oauth2ctl completion bash > /usr/share/bash-completion/completions/oauth2ctl`
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Write the manual pages into a directory
///
/// oauth2ctl.8, and a page for each command. It needs neither root nor a configuration.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The directory, which must exist
    pub(crate) directory: PathBuf,
}
