//! The table's file: `/run/pam_oauth2_device/limits`, on a file system that is empty after a boot.

use super::table::{KEY_SIZE, SIZE, Table};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat, openat};
use rustix::io::Errno;
use shared::clock::Clock;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the lock is tried: whoever holds it does for some hundred microseconds.
const TRIES: u32 = 50;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// Why there are no counters. It never ends a login.
#[derive(Debug, thiserror::Error)]
pub(super) enum CountersError {
    /// Not there, not writable, full.
    #[error("{path}: {source}")]
    Io {
        /// Directory or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else could have laid it there, read it, or hold its lock.
    #[error("{0} is not what it should be: owner, mode, links or kind")]
    NotOurs(PathBuf),
    /// Somebody holds the lock.
    #[error("{0} stays locked")]
    Locked(PathBuf),
    /// No random bytes for a key.
    #[error("no random bytes")]
    NoKey,
}

/// Changes the table under its lock. Missing, it is made; what is no table is begun anew.
pub(super) fn update<T>(
    path: &Path,
    owner: u32,
    clock: &dyn Clock,
    change: impl FnOnce(&mut Table) -> T,
) -> Result<T, CountersError> {
    let fail = |source: io::Error| CountersError::Io { path: path.to_owned(), source };
    let file = open(path, owner)?;
    lock(&file, path, clock)?;
    let mut bytes = vec![0; SIZE];
    let is_whole = file.metadata().map_err(fail)?.len() == SIZE as u64;
    if is_whole {
        file.read_exact_at(&mut bytes, 0).map_err(fail)?;
    }
    let mut table = match Table::parse(&bytes).filter(|_| is_whole) {
        Some(table) => table,
        None => {
            log::debug!("{} begins anew", path.display());
            file.set_len(SIZE as u64).map_err(fail)?;
            Table::new(random_key()?)
        }
    };
    let result = change(&mut table);
    // Whoever is killed in the middle of it leaves some counters old and some new: each stands for itself.
    file.write_all_at(&table.bytes(), 0).map_err(fail)?;
    Ok(result)
}

/// Judged on the open descriptors. The lock belongs to whoever can open the file, even for reading: it must be root alone.
fn open(path: &Path, owner: u32) -> Result<File, CountersError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |errno: Errno| CountersError::Io { path, source: errno.into() }
    };
    let directory = path.parent().unwrap_or(Path::new("/"));
    // tmpfiles.d makes it at boot; before the first boot after an installation nobody has. What is wrong shows below.
    let _ = DirBuilder::new().mode(0o700).create(directory);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty()).map_err(fail(directory))?;
    let status = fstat(&opened).map_err(fail(directory))?;
    if status.st_uid != owner || status.st_mode & 0o022 != 0 {
        return Err(CountersError::NotOurs(directory.to_owned()));
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let name = path.file_name().unwrap_or_default();
    let file = openat(&opened, name, flags, Mode::from_raw_mode(0o600)).map_err(fail(path))?;
    let status = fstat(&file).map_err(fail(path))?;
    let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    if !is_file || status.st_uid != owner || status.st_nlink != 1 || status.st_mode & 0o077 != 0 {
        return Err(CountersError::NotOurs(path.to_owned()));
    }
    Ok(file.into())
}

/// Never waits for anybody: gives up after a tenth of a second. The lock goes with the descriptor.
fn lock(file: &File, path: &Path, clock: &dyn Clock) -> Result<(), CountersError> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) => clock.sleep(PAUSE),
            Err(errno) => return Err(CountersError::Io { path: path.to_owned(), source: errno.into() }),
        }
    }
    Err(CountersError::Locked(path.to_owned()))
}

fn random_key() -> Result<[u8; KEY_SIZE], CountersError> {
    let mut key = [0; KEY_SIZE];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| CountersError::NoKey)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
