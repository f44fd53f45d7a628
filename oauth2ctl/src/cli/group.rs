//! `oauth2ctl group …`.

use clap::Subcommand;
use shared::types::{Gid, GroupName};

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Groups of "group_map", with gid and members
    List,
    /// One group, by its local name or its id at the provider
    Show {
        /// Local name, or id at the provider
        group: String,
    },
    /// Show a group of the provider under a name of this machine
    ///
    /// Writes config.d/50-groups.json beside the configuration, once the whole configuration is valid with it, and
    /// publishes. People become members at their next sign-in.
    ///
    /// Example: oauth2ctl group map 9f3c0e5a-6a4f-4c8e-9d0e-2f1b7c1d5e11 developers
    Map {
        /// The group's id at the provider (Entra: object id)
        id: String,
        /// Its name here
        #[arg(value_parser = parse_name)]
        name: GroupName,
        /// A gid of its own, on this machine, before anybody is in the group
        #[arg(long, value_name = "N", value_parser = parse_gid)]
        gid: Option<Gid>,
    },
    /// Do not show a group any more; its gid stays its own
    ///
    /// Undoes `group map`. What stands in config.json itself is taken out there by hand.
    Unmap {
        /// The group's id at the provider, or its name here
        group: String,
    },
}

fn parse_name(text: &str) -> Result<GroupName, String> {
    GroupName::parse_lower(text).map_err(|error| error.to_string())
}

fn parse_gid(text: &str) -> Result<Gid, String> {
    let number: u32 = text.parse().map_err(|_| "a number is expected".to_owned())?;
    let range = shared::identity::ids::IdRange::new(number, number.saturating_add(1));
    range.map_err(|error| error.to_string())?;
    Gid::new(number).map_err(|error| error.to_string())
}
