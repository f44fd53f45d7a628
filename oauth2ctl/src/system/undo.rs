//! What stood in a system file before `enable`, so that `disable` can put it back byte for byte.

use super::{Change, FileState, UNDO, make_undo_directory, put, read};
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One file of one `enable`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    before: FileState,
    after: FileState,
}

/// How a file was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// As it stood before, byte for byte.
    Exactly,
    /// Somebody changed it since, or nothing is known about it: our part is to be taken out by itself.
    Not,
}

/// Where the record of a part of the machine is: `nss`, `pam`, `sudo` …
pub(crate) fn record(part: &str) -> PathBuf {
    Path::new(UNDO).join(format!("{part}.json"))
}

/// Keeps what stands there now, before the change is made. What was kept by an earlier `enable` is the older truth only as
/// long as the file is still as that one left it.
pub(crate) fn keep(part: &str, changes: &[Change]) -> Result<(), Failure> {
    keep_but_for_ours(part, changes, |_| false)
}

/// The same for files that are ours as a whole: one of ours, whoever edited it, is not what stood there before.
pub(crate) fn keep_but_for_ours(
    part: &str,
    changes: &[Change],
    is_ours: impl Fn(&FileState) -> bool,
) -> Result<(), Failure> {
    make_undo_directory()?;
    let earlier = load(part)?;
    let kept: Vec<Kept> = changes
        .iter()
        .map(|change| {
            let is_older = |old: &&Kept| old.after == change.before || is_ours(&change.before);
            let old = earlier.iter().filter(|old| old.path == change.path).find(is_older);
            let before = old.map_or(&change.before, |old| &old.before);
            let before = if is_ours(before) { FileState::Absent } else { before.clone() };
            Kept { path: change.path.clone(), before, after: change.after.clone() }
        })
        .collect();
    let text = serde_json::to_vec(&kept).map_err(|error| Failure::Other(error.to_string()))?;
    put(&record(part), &FileState::Absent.with_bytes(&text, 0o600)).map(drop)
}

/// Puts every file of a part back, if all of them are still as `enable` left them, and forgets the record.
pub(crate) fn put_back(part: &str) -> Result<Undone, Failure> {
    let kept = load(part)?;
    let untouched =
        !kept.is_empty() && kept.iter().all(|file| read(&file.path).is_ok_and(|now| now == file.after));
    if untouched {
        kept.iter().rev().try_for_each(|file| put(&file.path, &file.before).map(drop))?;
    }
    forget(part)?;
    Ok(if untouched { Undone::Exactly } else { Undone::Not })
}

/// What `put_back` would make of the files, if they are all still as `enable` left them.
pub(crate) fn planned(part: &str) -> Result<Option<Vec<Change>>, Failure> {
    let kept = load(part)?;
    let mut changes = Vec::new();
    for file in kept {
        let now = read(&file.path)?;
        if now != file.after {
            return Ok(None);
        }
        changes.push(Change { path: file.path, before: now, after: file.before });
    }
    Ok(if changes.is_empty() { None } else { Some(changes) })
}

/// What stood at a path before, and what an `enable` made of it.
pub(crate) fn kept(part: &str, path: &Path) -> Result<Option<(FileState, FileState)>, Failure> {
    Ok(load(part)?.into_iter().find(|file| file.path == path).map(|file| (file.before, file.after)))
}

/// Forgets what was kept.
pub(crate) fn forget(part: &str) -> Result<(), Failure> {
    put(&record(part), &FileState::Absent).map(drop)
}

fn load(part: &str) -> Result<Vec<Kept>, Failure> {
    let path = record(part);
    match read(&path)? {
        FileState::Absent => Ok(Vec::new()),
        kept => serde_json::from_slice(kept.bytes())
            .map_err(|error| Failure::Other(format!("{} is damaged ({error}): remove it", path.display()))),
    }
}
