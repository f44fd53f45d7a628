//! Why the published database gave no answer.

use rustix::io::Errno;

/// Why the published database gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// There is no file.
    #[error("the published database does not exist: run oauth2ctl publish")]
    Missing,
    /// No descriptor or no memory left: ask again later.
    #[error("no resources to read the published database: {0}")]
    Resources(Errno),
    /// The system refuses to open, stat or map the file.
    #[error("the published database cannot be opened: {0}")]
    Unreadable(Errno),
    /// A symbolic link, a directory, a FIFO, a device.
    #[error("the published database is not a regular file")]
    NotRegular,
    /// Not root's.
    #[error("the published database belongs to uid {0}, not to root")]
    Owner(u32),
    /// Others can write to it.
    #[error("the published database is writable by others (mode {0:04o})")]
    Writable(u32),
    /// Larger than any machine's people.
    #[error("the published database has {0} bytes, more than is ever mapped")]
    TooLarge(u64),
    /// Not a published database of the format this code reads.
    #[error("not a published database of this format: {0}")]
    Format(&'static str),
    /// The file contradicts itself.
    #[error("the published database is damaged: {0}")]
    Damaged(&'static str),
    /// A row says something that must not be served.
    #[error("a row of the published database is refused: {0}")]
    Refused(&'static str),
}

impl SnapshotError {
    /// Sorts what the system says about the path or the descriptor.
    pub(super) fn system(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR => Self::Missing,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Self::Resources(errno),
            // O_NOFOLLOW met a symbolic link.
            Errno::LOOP => Self::NotRegular,
            _ => Self::Unreadable(errno),
        }
    }
}
