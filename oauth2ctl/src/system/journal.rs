//! The journal of `setup`: what every file was that setup may touch, on the disk before the first of them changes. Whatever
//! ends a setup half-way, the next one finds the journal and puts everything back.

use super::{FileState, UNDO, make_undo_directory, put, read};
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How far a setup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Files are being changed.
    Applying,
    /// Everything is done, and waits for a confirmation.
    Waiting,
}

/// The journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// How far the setup is.
    pub(crate) phase: Phase,
    /// When it is rolled back unless it is confirmed, in seconds since 1970.
    pub(crate) deadline: Option<u64>,
    /// Every file that setup may touch, as it was.
    files: Vec<(PathBuf, FileState)>,
    /// Directories that were not there.
    new_directories: Vec<PathBuf>,
    /// There was a live store.
    pub(crate) had_store: bool,
    /// Who had signed in, and on which day last.
    pub(crate) people: BTreeMap<String, Option<u32>>,
}

impl Journal {
    /// Looks at everything that may change; nothing is written yet.
    pub(crate) fn of(
        files: impl IntoIterator<Item = PathBuf>,
        directories: &[&str],
        deadline: Option<u64>,
    ) -> Result<Self, Failure> {
        let files: Result<Vec<_>, Failure> =
            files.into_iter().map(|path| read(&path).map(|state| (path, state))).collect();
        let absent = directories.iter().map(PathBuf::from).filter(|path| !path.exists());
        Ok(Self {
            phase: Phase::Applying,
            deadline,
            files: files?,
            new_directories: absent.collect(),
            had_store: Path::new(shared::paths::STORE).exists(),
            people: BTreeMap::new(),
        })
    }

    /// The journal that is there.
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        let path = place();
        match read(&path)? {
            FileState::Absent => Ok(None),
            state => serde_json::from_slice(state.bytes()).map(Some).map_err(|error| {
                Failure::Other(format!("{} is damaged ({error}): look at it and remove it", path.display()))
            }),
        }
    }

    /// Writes it, so that it survives whatever comes.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        make_undo_directory()?;
        let text = serde_json::to_vec(self).map_err(|error| Failure::Other(error.to_string()))?;
        put(&place(), &FileState::Absent.with_bytes(&text, 0o600)).map(drop)
    }

    /// Forgets it: what was changed stays.
    pub(crate) fn remove() -> Result<(), Failure> {
        put(&place(), &FileState::Absent).map(drop)
    }

    /// Puts every file back; what is as it was is not touched. Tries all of them, and fails with the first failure.
    /// Files that go come first: on a full disk they make room for those that come back.
    pub(crate) fn put_back(&self) -> Result<Vec<&Path>, Failure> {
        let mut changed = Vec::new();
        for (path, _) in &self.files {
            remove_left_over(path);
        }
        let mut failure = None;
        for go in [true, false] {
            for (path, state) in
                self.files.iter().rev().filter(|(_, state)| (*state == FileState::Absent) == go)
            {
                match put(path, state) {
                    Ok(true) => changed.push(path.as_path()),
                    Ok(false) => {}
                    // A directory that is gone with the file in it.
                    Err(_) if go && !path.exists() => {}
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        failure.map_or(Ok(changed), Err)
    }

    /// Removes the directories that were not there, where nothing is left in them.
    pub(crate) fn remove_directories(&self) {
        for directory in self.new_directories.iter().rev() {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// What a change that was killed in the middle left beside the file: ours, and pam-auth-update's. An administrator may have
/// put a `.new` of their own beside any other file.
fn remove_left_over(path: &Path) {
    let others = match path.parent().and_then(Path::to_str) {
        Some("/etc/pam.d") => Some(".pam-new"),
        Some("/var/lib/pam" | shared::paths::PRIVATE_DIR) => Some(".new"),
        _ => None,
    };
    for ending in [super::file::BESIDE].into_iter().chain(others) {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let _ = std::fs::remove_file(name);
    }
}

fn place() -> PathBuf {
    Path::new(UNDO).join("setup.json")
}
