//! Versions of files that somebody else had made of them, and that had to give way: nobody's bytes are lost.

use super::{FileState, UNDO, make_directory, make_undo_directory, put, read};
use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// Where they are; mode 0700.
pub(crate) fn place() -> PathBuf {
    Path::new(UNDO).join("replaced")
}

/// Keeps what somebody else made of a file, root's alone: it may hold a secret. Returns where it is.
///
/// # Errors
/// It could not be written, and must not give way then.
pub(crate) fn keep(path: &Path, theirs: &FileState, now: u64) -> Result<PathBuf, Failure> {
    make_undo_directory()?;
    make_directory(&place(), 0o700)?;
    keep_in(&place(), path, theirs, now)
}

fn keep_in(directory: &Path, path: &Path, theirs: &FileState, now: u64) -> Result<PathBuf, Failure> {
    let name = path.to_string_lossy().trim_start_matches('/').replace('/', "-");
    let state = FileState::Absent.with_bytes(theirs.bytes(), 0o600);
    // One of an earlier roll back of the same second is not replaced either.
    let mut second = now;
    loop {
        let kept = directory.join(format!("{name}.{second}"));
        match read(&kept)? {
            FileState::Absent => return put(&kept, &state).map(|_| kept),
            there if there == state => return Ok(kept),
            _ => second = second.saturating_add(1),
        }
    }
}

/// What is kept, the oldest first.
pub(crate) fn list() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(place()) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}
