//! `oauth2ctl audit …`.

use crate::date;
use clap::{Args, Subcommand, ValueEnum};
use shared::clock::Day;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// What happened to people and to this machine, and who did it
    ///
    /// Sign-ins that were refused are in the system log, not here.
    ///
    /// Example: oauth2ctl audit log --since 7d --user ann
    Log {
        #[command(flatten)]
        which: Which,
        /// Go on with what happens from now on, until it is interrupted
        #[arg(long, short)]
        follow: bool,
    },
    /// The same for other programs, one line an event
    Export {
        #[command(flatten)]
        which: Which,
        /// How
        #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
        format: ExportFormat,
    },
    /// Delete events from before a day
    ///
    /// One event that says so stays.
    Prune {
        /// First day (UTC) that is kept, YYYY-MM-DD
        #[arg(long, value_name = "DATE", value_parser = date::parse)]
        before: Day,
    },
}

/// Which events.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Not before this day (UTC), or not longer ago than 90m, 12h, 7d
    #[arg(long, value_name = "DATE|DURATION", value_parser = date::parse_since)]
    pub(crate) since: Option<date::Since>,
    /// About this person
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Of this kind, such as first_sign_in, locked, removed
    #[arg(long = "result", visible_alias = "kind", value_name = "KIND")]
    pub(crate) kind: Option<String>,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A JSON object a line
    Jsonl,
    /// ArcSight Common Event Format, version 0
    Cef,
}
