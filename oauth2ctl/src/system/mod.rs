//! Changes of the system's own files, each of which can be taken back byte for byte.

mod diff;
mod file;
pub(crate) mod journal;
pub(crate) mod nsswitch;
mod pam_file;
pub(crate) mod replaced;
pub(crate) mod undo;

use diff::{Around, diff};
pub(crate) use file::{FileState, put, read};

use crate::failure::Failure;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Where what stood before is kept; mode 0700.
pub(crate) const UNDO: &str = "/var/lib/pam_oauth2_device/private/undo";

/// Every directory of ours on the way to what is kept, with its mode.
const DIRECTORIES: [(&str, u32); 3] =
    [(shared::paths::STATE_DIR, 0o755), (shared::paths::PRIVATE_DIR, 0o700), (UNDO, 0o700)];

/// Makes the directory of what is kept, and those above it.
pub(crate) fn make_undo_directory() -> Result<(), Failure> {
    DIRECTORIES.into_iter().try_for_each(|(path, mode)| make_directory(Path::new(path), mode))
}

/// Makes a directory; one that is there is left as it is.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Other(format!("{}: {error}", path.display()));
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
        // The umask of whoever calls must not decide who can resolve names.
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed),
    }
}

/// A wanted change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file.
    pub(crate) path: std::path::PathBuf,
    /// What it is now.
    pub(crate) before: FileState,
    /// What it is to be.
    pub(crate) after: FileState,
}

impl Change {
    /// The change that gives a file this text. A file that is there keeps mode and owner, a new one gets `mode` and root.
    ///
    /// # Errors
    /// The path is no regular file, or cannot be read.
    pub(crate) fn to_text(
        path: impl Into<std::path::PathBuf>,
        text: &str,
        mode: u32,
    ) -> Result<Self, Failure> {
        let path = path.into();
        let before = read(&path)?;
        let after = before.with_bytes(text.as_bytes(), mode);
        Ok(Self { path, before, after })
    }

    /// Is there nothing to do?
    pub(crate) fn is_nothing(&self) -> bool {
        self.before == self.after
    }

    /// Makes the change.
    ///
    /// # Errors
    /// The file is not any more what was looked at, and maybe shown; or the system's error.
    pub(crate) fn make(&self) -> Result<bool, Failure> {
        let now = read(&self.path)?;
        if now != self.before && now != self.after {
            return Err(Failure::Conflict(format!(
                "{} was changed meanwhile: try again",
                self.path.display()
            )));
        }
        put(&self.path, &self.after)
    }

    /// The change for a reader; `secrets` are shown as `***`.
    pub(crate) fn show(&self, secrets: &[String]) -> String {
        diff(&self.path, &self.before, &self.after, secrets, Around::Some)
    }

    /// The change for a reader, with the whole file around it.
    pub(crate) fn show_whole(&self, secrets: &[String]) -> String {
        diff(&self.path, &self.before, &self.after, secrets, Around::Everything)
    }
}
