//! `--fix`: owners, modes, SELinux contexts and the publication; nothing else is ever changed.

use super::super::publish_now;
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What may be mended without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// Permission bits.
    Mode(PathBuf, u32),
    /// Owner and group are root.
    Owner(PathBuf),
    /// The label that the policy has for it.
    Context(PathBuf),
    /// The published database.
    Publish,
}

impl Fix {
    /// Mends it; returns what was done, in a sentence.
    pub(super) fn apply(&self, machine: &Machine) -> Result<String, Failure> {
        match self {
            Self::Mode(path, mode) => {
                refuse_link(path)?;
                std::fs::set_permissions(path, Permissions::from_mode(*mode))
                    .map_err(|e| failed(path, &e))?;
                Ok(format!("{}: mode {mode:04o}", path.display()))
            }
            Self::Owner(path) => {
                std::os::unix::fs::lchown(path, Some(0), Some(0)).map_err(|error| failed(path, &error))?;
                Ok(format!("{}: owner root", path.display()))
            }
            Self::Context(path) => restore_context(path),
            Self::Publish => {
                publish_now(machine)?;
                Ok(format!("{}: published", machine.places.nss_db.display()))
            }
        }
    }
}

/// chmod(2) follows links, and what one points at is not what was looked at.
fn refuse_link(path: &Path) -> Result<(), Failure> {
    let metadata = std::fs::symlink_metadata(path).map_err(|error| failed(path, &error))?;
    if metadata.is_symlink() {
        return Err(Failure::Refused(format!("{} is a symbolic link", path.display())));
    }
    Ok(())
}

fn restore_context(path: &Path) -> Result<String, Failure> {
    let program = ["/usr/sbin/restorecon", "/sbin/restorecon"]
        .into_iter()
        .find(|program| Path::new(program).exists())
        .ok_or_else(|| Failure::Other("restorecon is not installed".into()))?;
    let status = Command::new(program).arg("-R").arg(path).stdin(Stdio::null()).env_clear().status();
    match status {
        Ok(status) if status.success() => Ok(format!("{}: SELinux context", path.display())),
        _ => Err(Failure::Other(format!("{program} {}: failed", path.display()))),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}
