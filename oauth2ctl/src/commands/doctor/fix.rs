//! `--fix`: modes, SELinux contexts and the publication; nothing else is ever changed.

use super::super::publish_now;
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What may be mended without asking. An owner is not: a file of somebody else's would be trusted from then on, and nobody
/// has read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// Permission bits of what is root's.
    Mode(PathBuf, u32),
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
                set_mode(path, machine.places.owner, *mode)?;
                Ok(format!("{}: mode {mode:04o}", path.display()))
            }
            Self::Context(path) => restore_context(path),
            Self::Publish => {
                publish_now(machine)?;
                Ok(format!("{}: published", machine.places.nss_db.display()))
            }
        }
    }
}

/// Judged on the open descriptor: chmod(2) follows links, and a second name of a file may be a name of anything.
fn set_mode(path: &Path, owner: u32, mode: u32) -> Result<(), Failure> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = file.map_err(|error| failed(path, &error))?;
    let found = file.metadata().map_err(|error| failed(path, &error))?;
    let refused = |why: &str| Err(Failure::Refused(format!("{}: {why}: look at it", path.display())));
    if found.uid() != owner {
        return refused("it belongs to somebody else");
    }
    if !found.is_dir() && !found.is_file() {
        return refused("it is neither a file nor a directory");
    }
    if found.is_file() && found.nlink() != 1 {
        return refused("the file has a second name");
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(|errno| failed(path, &errno.into()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_mode_is_set_on_what_was_looked_at_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let me = rustix::process::geteuid().as_raw();
        let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        for name in ["own", "twice"] {
            std::fs::write(path(name), "").unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o666)).unwrap();
        }
        std::fs::hard_link(path("twice"), path("second")).unwrap();
        symlink(path("own"), path("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        for name in ["link", "second", "fifo", "nothing"] {
            assert!(set_mode(&path(name), me, 0o600).is_err(), "{name}");
        }
        assert!(set_mode(&path("own"), me + 1, 0o600).is_err(), "somebody else's");
        assert_eq!((mode("own"), mode("twice")), (0o666, 0o666));
        set_mode(&path("own"), me, 0o600).unwrap();
        set_mode(place.path(), me, 0o755).unwrap();
        assert_eq!((mode("own"), mode("")), (0o600, 0o755));
    }
}
