//! subuid(5) and subgid(5): ranges of numbers that a person may use in containers of their own. shadow-utils give them to
//! users of /etc/passwd only; people of the store get theirs here, under the lock that shadow-utils take.

use crate::failure::Failure;
use shared::etc::subordinate_ranges;
use shared::types::Uid;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// lckpwdf(3).
const LOCK: &str = "/etc/.pwd.lock";
const PATIENCE: Duration = Duration::from_secs(15);

/// The defaults of login.defs(5): SUB_UID_MIN, SUB_UID_MAX, SUB_UID_COUNT.
const FIRST: u32 = 100_000;
const LAST: u32 = 600_100_000;
const COUNT: u32 = 65_536;

/// Gives a range to somebody who has none, the same in both files; `avoid` are numbers of others, first and last. What was
/// retired with them is theirs again. `None`: they have one.
///
/// # Errors
/// No range is free, or a file cannot be written.
pub(super) fn give(name: &str, uid: Uid, avoid: &[(u32, u32)]) -> Result<Option<(u32, u32)>, Failure> {
    if lines_of(name)?.len() >= FILES.len() {
        return Ok(None);
    }
    let _lock = lock()?;
    change_owner(&uid.to_string(), name)?;
    let texts = [read(FILES[0])?, read(FILES[1])?];
    if let Some(range) = texts.iter().flat_map(|text| ranges_in(text, name)).next()
        && texts.iter().all(|text| is_in(text, name))
    {
        return Ok(Some(range));
    }
    let mut taken: Vec<(u32, u32)> = texts.iter().flat_map(|text| subordinate_ranges(text)).collect();
    taken.extend_from_slice(avoid);
    let first = free(taken)
        .ok_or_else(|| Failure::Conflict("no range of subordinate ids is free in /etc/subuid".into()))?;
    for (file, text) in FILES.iter().zip(&texts) {
        if is_in(text, name) {
            continue;
        }
        let mut text = text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{name}:{first}:{COUNT}\n"));
        write(file, &text)?;
    }
    Ok(Some((first, first + (COUNT - 1))))
}

/// Lines of this owner, a name or a number, with the file.
pub(super) fn lines_of(owner: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for file in FILES {
        let text = read(file)?;
        lines.extend(text.lines().filter(|line| is_of(line, owner)).map(|line| format!("{line} in {file}")));
    }
    Ok(lines)
}

/// Puts the number of somebody who leaves a name where the name stood (subuid(5) takes both). The line stays, so that neither we
/// nor useradd(8) give the range to anybody else: files with those numbers may be anywhere. Whoever gets the name gets no range
/// with it, and the number is given to nobody else. `false`: there was nothing to do.
///
/// # Errors
/// A file cannot be written.
pub(super) fn retire(name: &str, uid: Uid) -> Result<bool, Failure> {
    move_to(name, &uid.to_string())
}

/// The person of the old name has a new one.
///
/// # Errors
/// A file cannot be written.
pub(super) fn rename(old: &str, new: &str) -> Result<bool, Failure> {
    move_to(old, new)
}

fn move_to(old: &str, new: &str) -> Result<bool, Failure> {
    if lines_of(old)?.is_empty() {
        return Ok(false);
    }
    let _lock = lock()?;
    change_owner(old, new)
}

/// For a caller that holds the lock.
fn change_owner(old: &str, new: &str) -> Result<bool, Failure> {
    let mut is_changed = false;
    for file in FILES {
        let text = read(file)?;
        if is_in(&text, old) {
            write(file, &with_owner(&text, old, new))?;
            is_changed = true;
        }
    }
    Ok(is_changed)
}

fn with_owner(text: &str, old: &str, new: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((owner, range)) if owner == old => format!("{new}:{range}"),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Owner, first and last number of a range.
pub(super) type Range = (String, (u32, u32));

/// Who may run processes under which numbers (subuid(5)).
///
/// # Errors
/// The file cannot be read.
pub(super) fn owners() -> Result<Vec<Range>, Failure> {
    Ok(owners_in(&read(FILES[0])?))
}

fn owners_in(text: &str) -> Vec<Range> {
    let owner = |line: &str| Some((line.split(':').next()?.to_owned(), *subordinate_ranges(line).first()?));
    text.lines().filter_map(owner).collect()
}

fn ranges_in(text: &str, owner: &str) -> Vec<(u32, u32)> {
    owners_in(text).into_iter().filter(|(other, _)| other == owner).map(|(_, range)| range).collect()
}

fn is_of(line: &str, owner: &str) -> bool {
    line.split(':').next() == Some(owner)
}

fn is_in(text: &str, owner: &str) -> bool {
    text.lines().any(|line| is_of(line, owner))
}

/// The lowest range that overlaps none of these.
fn free(mut taken: Vec<(u32, u32)>) -> Option<u32> {
    taken.sort_unstable();
    let mut first = FIRST;
    for (from, to) in taken {
        if to >= first && from <= first.saturating_add(COUNT - 1) {
            first = to.checked_add(1)?;
        }
    }
    (first.saturating_add(COUNT - 1) <= LAST).then_some(first)
}

fn read(file: &str) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| Failure::Other(format!("{file}: {error}"))),
    }
}

fn write(file: &str, text: &str) -> Result<(), Failure> {
    let mode = std::fs::metadata(file).map_or(0o644, |metadata| metadata.mode() & 0o777);
    Ok(shared::secure_file::replace(Path::new(file), text.as_bytes(), mode)?)
}

/// shadow-utils and useradd(8) wait for it, and we for them.
fn lock() -> Result<File, Failure> {
    use shared::clock::{Clock, SystemClock};
    let failed = |error: io::Error| Failure::Other(format!("{LOCK}: {error}"));
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(LOCK).map_err(failed)?;
    let clock = SystemClock::new();
    while let Err(errno) = rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    {
        if clock.monotonic() >= PATIENCE {
            return Err(failed(errno.into()));
        }
        clock.sleep(Duration::from_millis(20));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_range_is_given() {
        assert_eq!(free(vec![]), Some(100_000));
        assert_eq!(free(vec![(100_000, 165_535)]), Some(165_536));
        assert_eq!(free(vec![(165_536, 231_071), (100_000, 165_535)]), Some(231_072));
        assert_eq!(free(vec![(165_536, 231_071)]), Some(100_000));
        assert_eq!(free(vec![(100_001, 100_001)]), Some(100_002));
        assert_eq!(free(vec![(0, u32::MAX)]), None);
    }

    #[test]
    fn a_line_is_of_its_name_and_of_no_other() {
        assert!(is_of("ann:100000:65536", "ann"));
        assert!(!is_of("anna:100000:65536", "ann"));
        assert!(!is_of("bob:100000:65536", "ann"));
    }

    #[test]
    fn a_range_that_changes_hands_keeps_its_numbers_and_every_other_line_its_bytes() {
        let text = "# ann\nann:100000:65536\nanna:165536:65536\n\nann:300000:10";
        let retired = "# ann\n4500:100000:65536\nanna:165536:65536\n\n4500:300000:10";
        assert_eq!(with_owner(text, "ann", "4500"), retired);
        assert_eq!(with_owner(retired, "4500", "ann"), text);
        assert_eq!(ranges_in(retired, "4500"), [(100_000, 165_535), (300_000, 300_009)]);
        assert_eq!(with_owner(text, "ann:100000", "x"), text);
    }

    #[test]
    fn a_line_that_is_no_range_belongs_to_nobody() {
        assert_eq!(owners_in("ann:x:1\nann:1:0\nann\n\nbob:7:3\n"), [("bob".to_owned(), (7, 9))]);
    }
}
