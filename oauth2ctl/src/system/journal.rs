//! The journal of `setup`: what every file was that setup may touch, on the disk before the first of them changes, and what
//! setup made of it. Whatever ends a setup half-way, the next one finds the journal and puts everything back.

use super::{Change, FileState, UNDO, make_undo_directory, pam_file, put, read, replaced};
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

/// After that long a file that somebody else has changed is theirs: a boot does not bring back what it was.
const OLD: u64 = 24 * 60 * 60;

/// How long a setup waits for its confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    /// The whole time, in seconds.
    pub(crate) seconds: u64,
    /// Its end, in seconds since 1970.
    pub(crate) until: u64,
}

impl Wait {
    /// A time that begins now.
    pub(crate) fn from(now: u64, seconds: u64) -> Self {
        Self { seconds, until: now.saturating_add(seconds) }
    }

    /// What is left of it, in seconds; never more than the whole: a machine may come up with a clock that is years behind.
    pub(crate) fn left(self, now: u64) -> u64 {
        self.until.saturating_sub(now).min(self.seconds)
    }
}

/// One file that setup may touch.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    /// As it was.
    before: FileState,
    /// As setup makes it; nothing where that is not known yet.
    after: Option<FileState>,
}

/// What stands at the path of an entry now, beside what setup knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// There is nothing to put back: it is as it was, or setup has no part in what it is.
    Settled,
    /// As setup made it.
    Ours,
    /// Somebody else has changed it since.
    Others(FileState),
}

impl Entry {
    fn look(&self) -> Result<Found, Failure> {
        let now = read(&self.path)?;
        if now == self.before || self.after.as_ref() == Some(&self.before) {
            return Ok(Found::Settled);
        }
        let ours = match &self.after {
            Some(after) => now == *after,
            // Setup was killed while pam-auth-update ran.
            None => pam_file::differ_by_profiles_alone(&self.before.text(), &now.text()),
        };
        Ok(if ours || is_of_programs(&self.path) { Found::Ours } else { Found::Others(now) })
    }
}

/// Files that programs write and nobody else: ours, and pam-auth-update's notes.
fn is_of_programs(path: &Path) -> bool {
    [shared::paths::STATE_DIR, "/var/lib/pam"].iter().any(|directory| path.starts_with(directory))
}

/// A file that somebody else has changed since setup did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) path: PathBuf,
    /// As setup left it.
    pub(crate) ours: FileState,
    /// As it is.
    pub(crate) now: FileState,
}

/// What becomes of a file that somebody else has changed since setup did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// It is kept elsewhere, and what was there before setup comes back.
    GiveWay,
    /// It stays.
    Stay,
}

/// What a roll back did.
#[derive(Debug, Default)]
pub(crate) struct PutBack {
    /// Files that are as they were again.
    pub(crate) restored: Vec<PathBuf>,
    /// Those among them that somebody else had changed, and where their version is kept.
    pub(crate) kept: Vec<(PathBuf, PathBuf)>,
    /// Files that stay as somebody else has changed them.
    pub(crate) left: Vec<PathBuf>,
}

/// The journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// How far the setup is.
    pub(crate) phase: Phase,
    /// When it began, in seconds since 1970; 0 in a journal of an earlier version.
    #[serde(default)]
    pub(crate) begun: u64,
    /// When it is rolled back unless it is confirmed.
    pub(crate) wait: Option<Wait>,
    /// The configuration that setup was told to write.
    pub(crate) config: PathBuf,
    /// Every file that setup may touch.
    files: Vec<Entry>,
    /// Directories that were not there.
    new_directories: Vec<PathBuf>,
    /// There was a live store.
    pub(crate) had_store: bool,
    /// Who had signed in, and on which day last.
    pub(crate) people: BTreeMap<String, Option<u32>>,
}

impl Journal {
    /// Looks at everything that may change; nothing is written yet. Of `open` files only their programs know what they will
    /// be; of the others it is known: what a change of `planned` says, or what they are.
    pub(crate) fn of<'c>(
        config: &Path,
        files: impl IntoIterator<Item = PathBuf>,
        planned: impl IntoIterator<Item = &'c Change>,
        open: &[PathBuf],
        directories: &[&str],
    ) -> Result<Self, Failure> {
        let planned: BTreeMap<&Path, &FileState> =
            planned.into_iter().map(|change| (change.path.as_path(), &change.after)).collect();
        let entry = |path: PathBuf| {
            let before = read(&path)?;
            let is_open = open.contains(&path) || path.starts_with(shared::paths::STATE_DIR);
            let after = match planned.get(path.as_path()) {
                Some(after) => Some((*after).clone()),
                None => (!is_open).then(|| before.clone()),
            };
            Ok(Entry { path, before, after })
        };
        let absent = directories.iter().map(PathBuf::from).filter(|path| !path.exists());
        Ok(Self {
            phase: Phase::Applying,
            begun: 0,
            wait: None,
            config: config.to_owned(),
            files: files.into_iter().map(entry).collect::<Result<_, Failure>>()?,
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
        remove_left_over(&place());
        put(&place(), &FileState::Absent).map(drop)
    }

    /// Notes what the files have become whose programs have just ended.
    pub(crate) fn note(&mut self, files: &[PathBuf]) -> Result<(), Failure> {
        for entry in self.files.iter_mut().filter(|entry| files.contains(&entry.path)) {
            entry.after = Some(read(&entry.path)?);
        }
        self.write()
    }

    /// Is there nothing left to wait for? A setup that was interrupted waits for nothing.
    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.phase == Phase::Applying || self.wait.is_none_or(|wait| wait.left(now) == 0)
    }

    /// Has nobody settled it for more than a day?
    pub(crate) fn is_old(&self, now: u64) -> bool {
        let end = self.wait.map_or(0, |wait| wait.until).max(self.begun);
        now.saturating_sub(end) > OLD
    }

    /// Files that somebody else has changed since setup did. What cannot be read is a roll back's to complain of.
    pub(crate) fn edited(&self) -> Vec<Edited> {
        let look = |entry: &Entry| match entry.look() {
            Ok(Found::Others(now)) => {
                let ours = entry.after.as_ref().unwrap_or(&entry.before).clone();
                Some(Edited { path: entry.path.clone(), ours, now })
            }
            _ => None,
        };
        self.files.iter().filter_map(look).collect()
    }

    /// Puts every file back that setup changed; what `others` made of it since is kept, or stays. Tries all of them, and fails
    /// with the first failure. Files that go come first: on a full disk they make room for those that come back.
    pub(crate) fn put_back(&self, now: u64, others: Others) -> Result<PutBack, Failure> {
        let mut done = PutBack::default();
        for entry in &self.files {
            remove_left_over(&entry.path);
        }
        let mut failure = None;
        for go in [true, false] {
            for entry in self.files.iter().rev().filter(|entry| (entry.before == FileState::Absent) == go) {
                match put_one_back(entry, now, others, &mut done) {
                    Ok(()) => {}
                    // A directory that is gone with the file in it.
                    Err(_) if go && !entry.path.exists() => {}
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        failure.map_or(Ok(done), Err)
    }

    /// Removes the directories that were not there, where nothing is left in them.
    pub(crate) fn remove_directories(&self) {
        for directory in self.new_directories.iter().rev() {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

fn put_one_back(entry: &Entry, now: u64, others: Others, done: &mut PutBack) -> Result<(), Failure> {
    match entry.look()? {
        Found::Settled => return Ok(()),
        Found::Ours => {}
        Found::Others(_) if others == Others::Stay => {
            done.left.push(entry.path.clone());
            return Ok(());
        }
        Found::Others(FileState::Absent) => {}
        // Kept before it goes: where that fails, it does not go.
        Found::Others(theirs) => {
            done.kept.push((entry.path.clone(), replaced::keep(&entry.path, &theirs, now)?));
        }
    }
    put(&entry.path, &entry.before)?;
    done.restored.push(entry.path.clone());
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(begun: u64, wait: Option<Wait>) -> Journal {
        let config = Path::new("/etc/config.json");
        Journal { begun, wait, ..Journal::of(config, [], [], &[], &[]).unwrap() }
    }

    #[test]
    fn a_journal_is_old_a_day_after_the_last_moment_at_which_somebody_waited_for_it() {
        assert!(!journal(1000, None).is_old(1000 + OLD));
        assert!(journal(1000, None).is_old(1001 + OLD));
        let wait = Some(Wait::from(1000, 600));
        assert!(!journal(1000, wait).is_old(1600 + OLD));
        assert!(journal(1000, wait).is_old(1601 + OLD));
        assert!(!journal(1000, None).is_old(5), "a clock that is behind makes nothing old");
    }

    #[test]
    fn a_file_that_somebody_has_changed_stays_or_gives_way_as_it_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nsswitch.conf");
        let state = |text: &str| FileState::Absent.with_bytes(text.as_bytes(), 0o644);
        std::fs::write(&path, "before").unwrap();
        let change = Change { path: path.clone(), before: read(&path).unwrap(), after: state("ours") };
        let journal = Journal::of(Path::new("/c"), [path.clone()], [&change], &[], &[]).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        let done = journal.put_back(7, Others::Stay).unwrap();
        assert_eq!((done.left, done.restored), (vec![path.clone()], vec![]));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        put(&path, &change.after).unwrap();
        let done = journal.put_back(7, Others::Stay).unwrap();
        assert_eq!(
            (done.left, done.restored),
            (vec![], vec![path.clone()]),
            "what is ours goes all the same"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    }
}
