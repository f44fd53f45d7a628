//! `oauth2ctl ids …`.

use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Ids {
    /// Write down who has which uid and gid, and who had it
    ///
    /// The map holds people (with home directory, shell, binding and groups), groups, and every name and number that is
    /// retired, so that no machine of a fleet gives one to somebody else. Other machines take it over with `ids import`.
    /// It holds the subjects of people: keep the file as you keep the store.
    Export {
        /// How
        #[arg(long, value_enum, default_value_t = MapFormat::Json)]
        format: MapFormat,
        /// A new file, mode 0600, instead of the terminal
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Take over a map of another machine
    ///
    /// Whoever is new here is reserved with their uid and gets in at their first verified sign-in; retired names and
    /// numbers are retired here. People who are known here are not changed, but that a missing binding is taken over.
    /// Where the two disagree, both sides are named and nothing is changed at all (exit code 8). The file must be root's
    /// own, and nobody else's to write.
    Import {
        /// A file of `ids export`; - is standard input
        file: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare this machine with a map
    ///
    /// Exit code 3 where they differ.
    Diff {
        /// A file of `ids export`; - is standard input
        file: PathBuf,
    },
    /// Make the key from which a fleet derives its ids
    ///
    /// 32 random bytes, mode 0600, in the file that "id_key_file" names. With a key nobody who can choose a login name at
    /// the provider can look for one with a given uid. Copy the same file to every machine of the fleet before people sign
    /// in there: uids depend on it. An existing file is never overwritten (exit code 8).
    NewKey {
        /// The file to make, where "id_key_file" is not configured yet
        file: Option<PathBuf>,
    },
}

/// How a map is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapFormat {
    /// One object
    Json,
    /// One line an entry (RFC 4180)
    Csv,
}
