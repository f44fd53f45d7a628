//! Which days of expiry in shadow(5) are ours, and what stood there before: a file of root's own, one line per account.
//! It outlives the person's row, as their account does.

use shared::secure_file::{self, SecureFileError};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes: more accounts than a machine has.
const LIMIT: u64 = 4 * 1024 * 1024;

/// What is known about the expiry of one account; days since 1970-01-01.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The administrator's own day, if there is one.
    pub(super) before: Option<u32>,
    /// Ours: the one that stands in shadow, or the ones before and after a change that is being made.
    pub(super) ours: Vec<u32>,
}

/// The file, by uid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    path: PathBuf,
    entries: BTreeMap<u32, Entry>,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// A line that this package would not have written.
    #[error(
        "{path} is damaged: move it away (days that an administrator had set before a lock are lost then)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl Record {
    pub(super) fn read(path: &Path, owner: u32) -> Result<Self, RecordFileError> {
        let bytes = match secure_file::read(path, owner, LIMIT) {
            Ok(contents) => contents.bytes,
            Err(SecureFileError::Missing(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let entries = std::str::from_utf8(&bytes).ok().and_then(parse);
        let entries = entries.ok_or_else(|| RecordFileError::Damaged { path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), entries })
    }

    pub(super) fn get(&self, uid: u32) -> Option<&Entry> {
        self.entries.get(&uid)
    }

    /// Writes the file where that changes it. Accounts that are gone (`is_there`) take their line along.
    pub(super) fn put(
        &mut self,
        uid: u32,
        entry: Option<Entry>,
        is_there: impl Fn(u32) -> bool,
    ) -> Result<(), RecordFileError> {
        if self.entries.get(&uid) == entry.as_ref() {
            return Ok(());
        }
        self.entries.retain(|uid, _| is_there(*uid));
        match entry {
            Some(entry) => self.entries.insert(uid, entry),
            None => self.entries.remove(&uid),
        };
        let mut text = String::new();
        for (uid, entry) in &self.entries {
            let before = entry.before.map_or("-".to_owned(), |day| day.to_string());
            let ours: Vec<String> = entry.ours.iter().map(u32::to_string).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{uid} {before} {}", ours.join(","));
        }
        Ok(secure_file::replace(&self.path, text.as_bytes(), 0o600)?)
    }
}

fn parse(text: &str) -> Option<BTreeMap<u32, Entry>> {
    text.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(u32, Entry)> {
    let mut words = line.split(' ');
    let (uid, before, ours, None) = (words.next()?, words.next()?, words.next()?, words.next()) else {
        return None;
    };
    let before = if before == "-" { None } else { Some(before.parse().ok()?) };
    let ours = ours.split(',').map(|day| day.parse().ok()).collect::<Option<Vec<u32>>>()?;
    Some((uid.parse().ok()?, Entry { before, ours }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_accounts_that_are_gone_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, me) = (dir.path().join("local-expiry"), rustix::process::geteuid().as_raw());
        let mut record = Record::read(&path, me).unwrap();
        record.put(5000, Some(Entry { before: None, ours: vec![1] }), |_| true).unwrap();
        record.put(5001, Some(Entry { before: Some(21_000), ours: vec![1, 20_500] }), |_| true).unwrap();
        assert_eq!(Record::read(&path, me).unwrap(), record);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "5000 - 1\n5001 21000 1,20500\n");
        record.put(5001, None, |uid| uid != 5000).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_damaged_record_is_not_guessed_at() {
        let dir = tempfile::tempdir().unwrap();
        let (path, me) = (dir.path().join("local-expiry"), rustix::process::geteuid().as_raw());
        for text in ["5000 1\n", "5000 - \n", "x - 1\n", "5000 - 1 2\n", "5000 soon 1\n", "\n"] {
            secure_file::replace(&path, text.as_bytes(), 0o600).unwrap();
            assert!(matches!(Record::read(&path, me), Err(RecordFileError::Damaged { .. })), "{text:?}");
        }
    }
}
