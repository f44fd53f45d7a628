//! Files that decide who may sign in: opened without following a link, judged on the open descriptor, read whole.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Owner of every file this package trusts.
pub const ROOT: u32 = 0;

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SecureFileError {
    /// It is not there.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// It cannot be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link, a directory, a FIFO, a device.
    #[error("{0} is not a regular file")]
    NotRegular(PathBuf),
    /// Somebody else's file.
    #[error("{path} belongs to uid {owner}, not to uid {expected}: chown {expected} {path}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it must be.
        expected: u32,
    },
    /// Others can write to it.
    #[error("{path} is writable by others (mode {mode:04o}): chmod go-w {path}")]
    Writable {
        /// The file.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Larger than anything it could sensibly hold.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

impl SecureFileError {
    fn io(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing(path.to_owned());
        }
        // O_NOFOLLOW on a symbolic link.
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return Self::NotRegular(path.to_owned());
        }
        Self::Io { path: path.to_owned(), source }
    }
}

/// What was read, and who else can read it.
#[derive(Debug)]
pub struct SecureContents {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Group or others may read it.
    pub readable_by_others: bool,
}

/// Reads a file of at most `limit` bytes that only `owner` can write.
///
/// # Errors
/// See [`SecureFileError`]; each variant names the path.
pub fn read(path: &Path, owner: u32, limit: u64) -> Result<SecureContents, SecureFileError> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed())
        .open(path)
        .map_err(|source| SecureFileError::io(path, source))?;
    let metadata = file.metadata().map_err(|source| SecureFileError::io(path, source))?;
    if !metadata.is_file() {
        return Err(SecureFileError::NotRegular(path.to_owned()));
    }
    if metadata.uid() != owner {
        return Err(SecureFileError::Owner { path: path.to_owned(), owner: metadata.uid(), expected: owner });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(SecureFileError::Writable { path: path.to_owned(), mode });
    }
    let bytes = read_capped(&file, path, limit)?;
    Ok(SecureContents { bytes, readable_by_others: mode & 0o044 != 0 })
}

fn read_capped(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, SecureFileError> {
    let mut bytes = Vec::new();
    let cap = limit.saturating_add(1);
    let read = file.take(cap).read_to_end(&mut bytes).map_err(|source| SecureFileError::io(path, source))?;
    if read as u64 > limit {
        return Err(SecureFileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Replaces a file in one step: written beside it, synced, renamed, the directory synced. A crash leaves the old file
/// or the new one.
///
/// # Errors
/// The system's error with the path; the old file is untouched then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SecureFileError> {
    let fail = |source| SecureFileError::io(path, source);
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // Left over from a crash, or laid there: either way not ours to write through.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(OFlags::CLOEXEC.bits().cast_signed())
        .open(&beside)
        .map_err(fail)?;
    // The umask of the host process is not ours to rely on.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(|errno| fail(errno.into()))?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(fail)?;
    sync_directory_of(path)
}

/// Makes a rename or a removal in the directory of `path` durable.
///
/// # Errors
/// The system's error with the path.
pub fn sync_directory_of(path: &Path) -> Result<(), SecureFileError> {
    // A name alone is one in the working directory.
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| SecureFileError::io(directory, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"hello", mode).unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_of_ours_is_read_whole() {
        let (_dir, path) = file(0o600);
        let contents = read(&path, me(), 5).unwrap();
        assert_eq!(contents.bytes, b"hello");
        assert!(!contents.readable_by_others);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path, me(), 5).unwrap().readable_by_others);
    }

    #[test]
    fn a_file_that_others_control_is_refused() {
        let (dir, path) = file(0o620);
        assert!(matches!(read(&path, me(), 5), Err(SecureFileError::Writable { mode: 0o620, .. })));
        assert!(matches!(read(&path, me() + 1, 5), Err(SecureFileError::Owner { .. })));
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(read(&link, me(), 5), Err(SecureFileError::NotRegular(_))));
        assert!(matches!(read(dir.path(), me(), 5), Err(SecureFileError::NotRegular(_))));
        assert!(matches!(read(&dir.path().join("no"), me(), 5), Err(SecureFileError::Missing(_))));
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let (_dir, path) = file(0o600);
        assert!(matches!(read(&path, me(), 4), Err(SecureFileError::TooLarge { limit: 4, .. })));
    }

    #[test]
    fn a_name_alone_is_in_the_working_directory() {
        sync_directory_of(Path::new("f")).unwrap();
        sync_directory_of(Path::new("/")).unwrap();
    }

    #[test]
    fn replacing_leaves_nothing_beside_the_file() {
        let (dir, path) = file(0o600);
        std::fs::write(dir.path().join("f.new"), "left over").unwrap();
        replace(&path, b"again", 0o644).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"again");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
