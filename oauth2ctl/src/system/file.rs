//! A file as a whole: its bytes, its mode, its owner. Read without following a link, written by rename.

use crate::failure::Failure;
use rustix::fs::{Mode, OFlags, XattrFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest file of the system that is touched, in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileState {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Its contents; in JSON as hexadecimal digits, for they need not be UTF-8.
        #[serde(with = "hexadecimal")]
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl FileState {
    /// The contents; nothing where there is no file.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Absent => &[],
            Self::File { bytes, .. } => bytes,
        }
    }

    /// The contents as text, whatever is not UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The same file with other contents; where there was none, one of root's with `mode`.
    pub(crate) fn with_bytes(&self, contents: &[u8], new_mode: u32) -> Self {
        let bytes = contents.to_vec();
        match self {
            Self::Absent => Self::File { bytes, mode: new_mode, uid: 0, gid: 0 },
            Self::File { mode, uid, gid, .. } => Self::File { bytes, mode: *mode, uid: *uid, gid: *gid },
        }
    }
}

/// What stands at a path. No link is followed: behind one is a file that somebody else looks after.
///
/// # Errors
/// A link, a directory, anything but a regular file; or the system's error, with the path.
pub(crate) fn read(path: &Path) -> Result<FileState, Failure> {
    let failed = |error: io::Error| failure(path, &error);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed();
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileState::Absent),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Failure::Conflict(format!(
                "{} is a symbolic link: another program looks after that file, and it stays as it is",
                path.display()
            )));
        }
        other => other.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > LIMIT {
        return Err(Failure::Conflict(format!("{} is not a file that can be edited", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(FileState::File { bytes, mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() })
}

/// Makes a path be what it is to be, in one step; `false` if it was that already. A crash leaves the one or the other.
///
/// # Errors
/// The system's error with the path; what stood there is untouched then.
pub(crate) fn put(path: &Path, wanted: &FileState) -> Result<bool, Failure> {
    if read(path)? == *wanted {
        return Ok(false);
    }
    let failed = |error: io::Error| failure(path, &error);
    match wanted {
        FileState::Absent => std::fs::remove_file(path).map_err(failed)?,
        FileState::File { bytes, mode, uid, gid } => {
            let beside = beside(path);
            let written = write(&beside, bytes, *mode, (*uid, *gid), path)
                .and_then(|()| std::fs::rename(&beside, path));
            if written.is_err() {
                let _ = std::fs::remove_file(&beside);
            }
            written.map_err(failed)?;
        }
    }
    shared::secure_file::sync_directory_of(path)?;
    Ok(true)
}

/// No program takes a file of this ending for one of its own: sshd reads `*.conf`, we `*.json`.
pub(super) const BESIDE: &str = ".oauth2-new";

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(BESIDE);
    name.into()
}

fn write(beside: &Path, bytes: &[u8], mode: u32, owner: (u32, u32), like: &Path) -> io::Result<()> {
    // Left over from a crash, or laid there: either way not ours to write through.
    match std::fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = OFlags::CLOEXEC.bits().cast_signed();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(beside)?;
    std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1))?;
    copy_attributes(like, &file);
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// SELinux context and access control list of the file that is replaced. A file system that has no such things has
/// none to lose.
fn copy_attributes(from: &Path, to: &File) {
    let mut names = vec![0_u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(from, names.as_mut_slice()) else { return };
    for name in names.get(..length).unwrap_or_default().split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 * 1024];
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if let Ok(length) = rustix::fs::lgetxattr(from, name, value.as_mut_slice()) {
            let value = value.get(..length).unwrap_or_default();
            let _ = rustix::fs::fsetxattr(to, name, value, XattrFlags::empty());
        }
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("{}: {error}", path.display()))
}

/// Bytes as hexadecimal digits.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Write;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes().chunks(2).map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        digits.collect::<Option<_>>().ok_or_else(|| D::Error::custom("no hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f.conf");
        (directory, path)
    }

    #[test]
    fn what_stood_there_comes_back_with_its_bytes_and_mode() {
        let (directory, path) = place();
        std::fs::write(&path, b"one\xff\0").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let before = read(&path).unwrap();
        let kept: FileState = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
        assert_eq!(kept, before);
        assert!(put(&path, &before.with_bytes(b"two", 0o600)).unwrap());
        assert_eq!(
            std::fs::metadata(&path).unwrap().mode() & 0o7777,
            0o640,
            "a file that is there keeps its mode"
        );
        assert!(put(&path, &kept).unwrap());
        assert_eq!(read(&path).unwrap(), before);
        assert!(put(&path, &FileState::Absent).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_touched_where_nothing_changes() {
        let (_directory, path) = place();
        std::fs::write(&path, "same").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let state = read(&path).unwrap();
        assert!(!put(&path, &state).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn a_link_is_neither_read_nor_replaced() {
        let (directory, path) = place();
        std::fs::write(directory.path().join("real"), "x").unwrap();
        symlink("real", &path).unwrap();
        assert!(matches!(read(&path), Err(Failure::Conflict(_))));
        assert!(put(&path, &FileState::Absent).is_err());
        assert!(path.is_symlink());
    }

    #[test]
    fn a_file_left_by_a_crash_is_not_written_through() {
        let (directory, path) = place();
        symlink(directory.path().join("victim"), beside(&path)).unwrap();
        let me = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        put(&path, &FileState::File { bytes: b"x".to_vec(), mode: 0o600, uid: me, gid }).unwrap();
        assert!(!directory.path().join("victim").exists());
    }
}
