//! The byte in the published file that tells every process which has it mapped that another takes its place.

use crate::snapshot::{PAGE_SIZE, RETIRED_BYTE};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What is published until another file is renamed over it.
pub(super) struct Retiring {
    file: Option<File>,
    told: bool,
}

impl Retiring {
    /// Marks the file at `nss_db`.
    pub(super) fn mark(nss_db: &Path) -> Self {
        let Ok(file) = open(nss_db) else { return Self { file: None, told: false } };
        let told = file.as_ref().is_none_or(|file| write(file, true).is_ok());
        Self { file, told }
    }

    /// Does everybody know who has the file mapped? Not where it could not be written: a full disk on which its block is
    /// shared with a copy (reflink), a lease that another program holds (fcntl(2), F_SETLEASE), no descriptor left.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// It stays the published one.
    pub(super) fn take_back(self) {
        if let Some(file) = self.file {
            let _ = write(&file, false);
        }
    }
}

/// Takes back the mark of a publisher that died before its rename.
pub(super) fn take_back(nss_db: &Path) {
    if let Ok(Some(file)) = open(nss_db) {
        let _ = write(&file, false);
    }
}

/// None: what stands there, if anything, is nothing that could be mapped.
fn open(nss_db: &Path) -> io::Result<Option<File>> {
    // O_NONBLOCK: neither a FIFO nor a lease is waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    match OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(nss_db) {
        Ok(file) => {
            let metadata = file.metadata()?;
            Ok(Some(file).filter(|_| metadata.is_file() && metadata.len() >= PAGE_SIZE as u64))
        }
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Ok(None),
            _ => Err(error),
        },
    }
}

fn write(file: &File, retired: bool) -> io::Result<()> {
    let modified = file.metadata()?.modified()?;
    file.write_all_at(&[u8::from(retired)], RETIRED_BYTE as u64)?;
    // Who has it mapped compares the time as well, and would map the same file once more.
    let _ = file.set_modified(modified);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_mark_changes_one_byte_and_no_time_and_can_be_taken_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("nss.db");
        std::fs::write(&path, [0; PAGE_SIZE]).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_456_789);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let marked = Retiring::mark(&path);
        assert!(marked.is_told());
        let bytes = std::fs::read(&path).unwrap();
        let set: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        assert_eq!((set, bytes[RETIRED_BYTE]), (vec![RETIRED_BYTE], 1));
        marked.take_back();
        assert_eq!(std::fs::read(&path).unwrap(), [0; PAGE_SIZE]);
        assert_eq!(path.metadata().unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn what_nobody_can_have_mapped_needs_no_mark_and_gets_none() {
        let place = tempfile::tempdir().unwrap();
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        std::fs::write(&file, [0; PAGE_SIZE]).unwrap();
        symlink(&file, &link).unwrap();
        assert!(Retiring::mark(&link).is_told());
        assert_eq!(std::fs::read(&file).unwrap(), [0; PAGE_SIZE]);
        std::fs::write(&file, [0; 100]).unwrap();
        assert!(Retiring::mark(&file).is_told());
        assert_eq!(std::fs::read(&file).unwrap(), [0; 100]);
        assert!(Retiring::mark(place.path()).is_told());
        assert!(Retiring::mark(&place.path().join("nothing")).is_told());
    }
}
