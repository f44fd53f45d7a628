//! A change for a reader: the lines that go and the lines that come, with two lines around them.

use super::FileState;
use std::path::Path;

/// Lines shown before and after a change.
const CONTEXT: usize = 2;

/// More lines than this are not compared one by one.
const LINES_MAX: usize = 2000;

/// One line of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// How much of the file around a change is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// Two lines.
    Some,
    /// All of it.
    Everything,
}

/// What changes at a path; `secrets` are shown as `***`.
pub(crate) fn diff(
    path: &Path,
    before: &FileState,
    after: &FileState,
    secrets: &[String],
    shown: Around,
) -> String {
    let mut text = match (before, after) {
        (FileState::Absent, FileState::File { mode, .. }) => {
            format!("{} (new, mode {mode:04o})", path.display())
        }
        (FileState::File { .. }, FileState::Absent) => format!("{} (removed)", path.display()),
        (FileState::File { mode: old, .. }, FileState::File { mode: new, .. }) if old != new => {
            format!("{} (mode {old:04o} -> {new:04o})", path.display())
        }
        _ => path.display().to_string(),
    };
    let (before, after) = (mask(&before.text(), secrets), mask(&after.text(), secrets));
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let changed: Vec<bool> = lines.iter().map(|line| !matches!(line, Line::Same(_))).collect();
    let mut gap = false;
    for (n, line) in lines.iter().enumerate() {
        let around = n.saturating_sub(CONTEXT)..=n.saturating_add(CONTEXT);
        if shown == Around::Some && !around.into_iter().any(|n| changed.get(n) == Some(&true)) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push_str("\n    …");
        }
        let (sign, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push_str(&format!("\n  {sign} {line}"));
    }
    text
}

fn mask(text: &str, secrets: &[String]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

/// The longest common subsequence decides which lines are the same. Files of configuration are short.
fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    if before.len() > LINES_MAX || after.len() > LINES_MAX {
        let gone = before.iter().map(|line| Line::Gone(line));
        return gone.chain(after.iter().map(|line| Line::New(line))).collect();
    }
    let width = after.len().saturating_add(1);
    let mut lengths = vec![0_usize; before.len().saturating_add(1).saturating_mul(width)];
    let at = |i: usize, j: usize| i.saturating_mul(width).saturating_add(j);
    let get = |lengths: &[usize], i, j| lengths.get(at(i, j)).copied().unwrap_or(0);
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            let length = if old == new {
                get(&lengths, i + 1, j + 1) + 1
            } else {
                get(&lengths, i + 1, j).max(get(&lengths, i, j + 1))
            };
            if let Some(place) = lengths.get_mut(at(i, j)) {
                *place = length;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (before.get(i), after.get(j)) {
            (Some(old), Some(new)) if old == new => {
                lines.push(Line::Same(old));
                (i, j) = (i + 1, j + 1);
            }
            (Some(old), new) if new.is_none() || get(&lengths, i + 1, j) >= get(&lengths, i, j + 1) => {
                lines.push(Line::Gone(old));
                i += 1;
            }
            (_, Some(new)) => {
                lines.push(Line::New(new));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> FileState {
        FileState::Absent.with_bytes(text.as_bytes(), 0o600)
    }

    #[test]
    fn a_change_shows_the_lines_that_go_and_come_and_two_around() {
        let before = file("1\n2\n3\npasswd: files\n5\n6\n7\n");
        let after = file("1\n2\n3\npasswd: files oauth2\n5\n6\n7\n");
        let text = diff(Path::new("/f"), &before, &after, &[], Around::Some);
        assert_eq!(
            text,
            "/f\n    …\n    2\n    3\n  - passwd: files\n  + passwd: files oauth2\n    5\n    6"
        );
    }

    #[test]
    fn a_new_and_a_removed_file_say_so() {
        assert_eq!(
            diff(Path::new("/f"), &FileState::Absent, &file("a\n"), &[], Around::Some),
            "/f (new, mode 0600)\n  + a"
        );
        assert_eq!(
            diff(Path::new("/f"), &file("a\n"), &FileState::Absent, &[], Around::Some),
            "/f (removed)\n  - a"
        );
    }

    #[test]
    fn the_whole_file_can_be_shown() {
        let (before, after) = (file("1\n2\n3\n4\n"), file("1\n2\n3\n5\n"));
        let text = diff(Path::new("/f"), &before, &after, &[], Around::Everything);
        assert_eq!(text, "/f\n    1\n    2\n    3\n  - 4\n  + 5");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let text = diff(
            Path::new("/f"),
            &FileState::Absent,
            &file("key s3cret\n"),
            &["s3cret".into(), String::new()],
            Around::Some,
        );
        assert_eq!(text, "/f (new, mode 0600)\n  + key ***");
    }
}
