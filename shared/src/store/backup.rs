//! The copy that is made of a store before it is migrated. It is kept: whoever wants the old version back has its store.

use super::{StoreError, connect};
use crate::clock::Day;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Copies of one day from one schema: more than a few are a fault that repeats, and would fill the disk.
const ATTEMPTS: u32 = 20;

/// Copies the store beside itself, complete and on the disk before it returns.
///
/// # Errors
/// [`StoreError::Backup`]; nothing is left then.
pub(super) fn make(store: &Path, schema: usize, today: Day) -> Result<PathBuf, StoreError> {
    let failed = |path: &Path, message: String| StoreError::Backup { path: path.to_owned(), message };
    let (path, file) =
        create(store, schema, today).map_err(|(path, error)| failed(&path, error.to_string()))?;
    copy(store, &path, &file).map_err(|message| {
        let _ = std::fs::remove_file(&path);
        failed(&path, message)
    })?;
    Ok(path)
}

/// An empty file that only its owner can read: SQLite would choose a mode by the umask of whoever calls.
fn create(store: &Path, schema: usize, today: Day) -> Result<(PathBuf, File), (PathBuf, io::Error)> {
    let mut number = 1;
    loop {
        let again = if number == 1 { String::new() } else { format!(".{number}") };
        let mut name = store.as_os_str().to_owned();
        name.push(format!(".schema-{schema}.{today}{again}"));
        let path = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < ATTEMPTS => number += 1,
            Err(error) => return Err((path, error)),
            Ok(file) => return Ok((path, file)),
        }
    }
}

/// A connection of its own reads, while the one that migrates keeps everybody else from writing.
fn copy(store: &Path, path: &Path, file: &File) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default();
    let directory = path.parent().unwrap_or(Path::new("/"));
    let canonical = directory.canonicalize().map_err(|error| error.to_string())?.join(name);
    let source = connect(store).map_err(|error| error.to_string())?;
    let into = canonical.to_str().ok_or("a path that is not UTF-8")?;
    source.execute("VACUUM INTO ?1", [into]).map_err(|error| error.to_string())?;
    file.sync_all().map_err(|error| error.to_string())?;
    crate::secure_file::sync_directory_of(path).map_err(|error| error.to_string())
}
