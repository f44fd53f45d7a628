//! `oauth2ctl store …`.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Make the store, or bring it to the schema of this version
    ///
    /// A store that is changed is copied first, to store.db.schema-N.DATE beside it (0600); the copy is kept and its path
    /// printed. Without the copy, or if the migration fails, the store stays as it was. Until then people sign in on the old
    /// store; the commands of `oauth2ctl user` that change something are refused.
    Migrate,
    /// Is the store whole, and is what is published what it says?
    ///
    /// SQLite's integrity check of both files, every row parsed, the published database made anew and compared. Changes
    /// nothing. Exit code 1 with a fault; `oauth2ctl publish` mends the published database, `store restore` the store.
    Check,
    /// Copy the store to a new file, mode 0600
    ///
    /// Consistent whatever is going on meanwhile. It holds the subjects of people, and no token. An existing file is not
    /// overwritten (exit code 8).
    ///
    /// Example: oauth2ctl store backup /root/oauth2-$(date +%F).db
    Backup {
        /// The file to make
        file: PathBuf,
    },
    /// Take a backup instead of the store that is there, and publish it
    ///
    /// The backup must be root's own, whole, and of this version or an older one. The store of now is kept beside it.
    /// Where numbers would be nobody's again, or somebody else's, it is refused (exit code 8) unless --force is given:
    /// files on disk keep their numbers. The same where somebody was locked, shut out, given an earlier expiry or another
    /// binding since: the backup does not know of it, and lets them in again. Who that is, is said first.
    Restore {
        /// A file of `store backup`
        file: PathBuf,
        /// Although numbers that are known now would be unknown or somebody else's, or locks and the like would be lifted
        #[arg(long)]
        force: bool,
    },
}
