//! `oauth2ctl config …`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and list every fault
    ///
    /// Reads config.json and config.d/*.json as a login does. A fault names its file, with line and column where the text is
    /// no JSON, else with the key, and the nearest known key where one is misspelt. The provider is not asked: `oauth2ctl
    /// login` does that.
    ///
    /// Ends with 0 when a login would take the configuration, with 1 when it would not, with 5 when there is none.
    Validate,
    /// Show the configuration that is in effect, defaults included
    ///
    /// Every key with its value; what is not written down is marked as a default. Secrets are shown as ***.
    ///
    /// Example: `oauth2ctl config show --origin`
    Show {
        /// Say from which file each value comes
        #[arg(long)]
        origin: bool,
    },
    /// Print the value of one key, its default where it is not written down
    ///
    /// A string is printed without quotes, everything else as JSON; nothing is printed where there is no value. A secret is
    /// printed as ***.
    ///
    /// Ends with 4 when there is no such key.
    ///
    /// Example: `oauth2ctl config get limits.starts_per_minute`
    Get {
        /// Key of config.json; a dot steps into an object
        key: String,
    },
    /// Print the JSON Schema (draft 2020-12) of config.json
    ///
    /// For editors, which complete and check keys by it. It needs neither root nor a configuration. `oauth2ctl config
    /// validate` finds more: what contradicts what, and files that cannot be read.
    ///
    /// Example: `oauth2ctl config schema > config.schema.json`
    Schema,
}
