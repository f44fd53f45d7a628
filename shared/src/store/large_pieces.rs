//! Copying a file in large pieces.
#![allow(unsafe_code)] // one call of libc, without pointers

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes: what one entry of a page table's second level maps, on x86_64 and on aarch64 with pages of 4 KiB.
const PIECE: usize = 2 << 20;

/// Copies a file to a new one of mode 0600 by writes of 2 MiB, each at a multiple of that.
///
/// A file system with large folios (XFS since Linux 6.6, ext4 since 6.16) keeps in one piece in memory what came in one
/// write. Whoever maps the file takes one page fault for the piece, and the processor one entry of its translation cache.
/// Written page by page, as by SQLite, it takes a page fault for every 64 KiB at best, and an entry for every 4 KiB.
/// Elsewhere it is a copy like any other.
///
/// The disk begins with each piece while the next one is copied, so that little is left for the fsync(2) of the caller, which
/// alone says that the file is on the disk.
///
/// # Errors
/// Of open(2), read(2) and write(2); `to` may be there in part then.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut piece = Vec::new();
    // In a sign-in inside sshd: a failure, not the end of the process.
    piece.try_reserve_exact(PIECE).map_err(|_| ErrorKind::OutOfMemory)?;
    piece.resize(PIECE, 0);
    loop {
        let length = fill(&mut source, &mut piece)?;
        target.write_all(piece.get(..length).unwrap_or_default())?;
        begin_writing(&target);
        if length < PIECE {
            return Ok(());
        }
    }
}

/// Lets the kernel begin to write to the disk what is in the page cache alone (sync_file_range(2)). Where it does not, the
/// fsync takes the longer.
fn begin_writing(file: &File) {
    // SAFETY: a number that is an open file's, and integers; 0 bytes from 0 on is all of the file.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Reads until `piece` is full or the file is over; gives the number of bytes.
fn fill(source: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = piece.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_copy_has_the_bytes_of_the_file_and_is_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 4096] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + n / PIECE) as u8).collect();
            std::fs::write(&from, &bytes).unwrap();
            copy(&from, &to).unwrap();
            assert!(std::fs::read(&to).unwrap() == bytes, "{length}");
            assert_eq!(to.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
            std::fs::remove_file(&to).unwrap();
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_over() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        assert_eq!(copy(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
    }
}
