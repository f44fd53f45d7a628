//! Where a keyword of sshd stands: sshd_config(5) read with its Includes, in the order in which sshd reads it.

use std::path::{Path, PathBuf};

/// Files that include each other end somewhere (sshd's own limit).
const DEPTH: usize = 16;

/// One line that sets a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The file.
    pub(super) file: PathBuf,
    /// Its number there, from 1.
    pub(super) number: usize,
    /// The keyword as it is written.
    pub(super) keyword: String,
    /// What follows it.
    pub(super) value: String,
    /// It stands in a Match block.
    pub(super) in_match: bool,
}

impl Line {
    /// `FILE line N`, for a reader.
    pub(super) fn place(&self) -> String {
        format!("{} line {}", self.file.display(), self.number)
    }
}

/// All lines that sshd reads, in its order.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// Patterns of Include, and whether they stand in a Match block.
    includes: Vec<(PathBuf, bool)>,
}

impl Lines {
    /// Reads sshd_config. A file that cannot be read has no lines: sshd itself complains of it.
    pub(super) fn of(config: &Path) -> Self {
        let mut lines = Self::default();
        lines.read(config, false, DEPTH);
        lines
    }

    /// The lines of a keyword outside all Match blocks.
    pub(super) fn general(&self, keyword: &str) -> impl Iterator<Item = &Line> {
        self.all(keyword).filter(|line| !line.in_match)
    }

    /// Every line of a keyword.
    pub(super) fn all(&self, keyword: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.keyword.eq_ignore_ascii_case(keyword))
    }

    /// The line whose value counts, by sshd's own word of what counts. Of most keywords that is the first line; of MaxStartups,
    /// and before OpenSSH 10 of PerSourceMaxStartups, the last.
    pub(super) fn counting(&self, keyword: &str, effective: &str) -> Option<&Line> {
        let is_effective = |line: &&Line| {
            line.value.eq_ignore_ascii_case(effective) || effective.starts_with(&format!("{}:", line.value))
        };
        let last = keyword.to_ascii_lowercase().ends_with("maxstartups");
        let (first, last_one) = (self.general(keyword).next(), self.general(keyword).last());
        let expected = if last { last_one } else { first };
        expected.filter(is_effective).or_else(|| self.general(keyword).find(is_effective)).or(expected)
    }

    /// Are the files of a directory read inside a Match block alone? General keywords are a fault there.
    pub(super) fn reads_in_match_alone(&self, directory: &Path) -> bool {
        let mut includes =
            self.includes.iter().filter(|(path, _)| path.parent() == Some(directory)).peekable();
        includes.peek().is_some() && includes.all(|(_, in_match)| *in_match)
    }

    fn read(&mut self, file: &Path, began_in_match: bool, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let text = std::fs::read(file).unwrap_or_default();
        // A Match in an included file ends with that file.
        let mut in_match = began_in_match;
        for (number, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let Some((keyword, value)) = split(line) else { continue };
            if keyword.eq_ignore_ascii_case("match") {
                in_match = !value.eq_ignore_ascii_case("all") || began_in_match;
            } else if keyword.eq_ignore_ascii_case("include") {
                for pattern in value.split_whitespace().map(|word| word.trim_matches('"')) {
                    let pattern = Path::new("/etc/ssh").join(pattern);
                    let files = included(&pattern);
                    self.includes.push((pattern, in_match));
                    files.iter().for_each(|path| self.read(path, in_match, depth));
                }
            } else {
                let file = file.to_owned();
                let (keyword, value) = (keyword.to_owned(), value.to_owned());
                self.lines.push(Line { file, number: number.saturating_add(1), keyword, value, in_match });
            }
        }
    }
}

/// Keyword and value; `=` may stand between them, and quotes around the value.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start().trim_start_matches('=').trim_start();
    let rest = rest.split(" #").next().unwrap_or_default().trim_end();
    Some((keyword, rest.trim_matches('"')))
}

/// The files of a pattern of Include, in the order of glob(7): * and ? in the last part of the path alone, as everybody writes it.
fn included(pattern: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) =
        (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    if !name.contains(['*', '?', '[']) {
        return if pattern.is_file() { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|file| {
                (!file.starts_with('.') || name.starts_with('.')) && matches(name.as_bytes(), file.as_bytes())
            })
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// glob(7), but for sets of characters.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], text) => {
            matches(rest, text) || matches!(text, [_, after @ ..] if matches(pattern, after))
        }
        ([b'?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([p, pattern @ ..], [t, text @ ..]) if p == t => matches(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().to_str().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text.replace("HERE", here)).unwrap();
        }
        let config = directory.path().join("sshd_config");
        (directory, config)
    }

    #[test]
    fn lines_are_found_in_the_order_in_which_sshd_reads_them() {
        let (directory, config) = place(&[
            (
                "sshd_config",
                "# LoginGraceTime 1\nInclude HERE/*.conf\nlogingracetime=60\nMaxStartups \"9\" # why\n",
            ),
            ("20-b.conf", "\n  LoginGraceTime 20\nMaxStartups 20\nMatch User x\nLoginGraceTime 3\n"),
            ("10-a.conf", "LoginGraceTime 10\n"),
            (".hidden.conf", "LoginGraceTime 4\n"),
            ("30-c.conf.off", "LoginGraceTime 5\n"),
        ]);
        let lines = Lines::of(&config);
        let found: Vec<_> = lines.general("LoginGraceTime").map(|line| line.value.as_str()).collect();
        assert_eq!(found, ["10", "20", "60"]);
        let counting = lines.counting("LoginGraceTime", "10").unwrap();
        assert_eq!(
            (counting.file.as_path(), counting.number),
            (directory.path().join("10-a.conf").as_path(), 1)
        );
        // Of MaxStartups the last one counts.
        let counting = lines.counting("MaxStartups", "9:30:9").unwrap();
        assert_eq!((counting.file.as_path(), counting.number), (config.as_path(), 4));
        assert!(lines.counting("UsePAM", "yes").is_none());
    }

    #[test]
    fn a_file_that_is_included_in_a_match_block_sets_nothing_in_general() {
        let (directory, config) = place(&[
            ("sshd_config", "Match User x\nInclude HERE/20-b.conf\nMatch all\nInclude HERE/30-c.conf\n"),
            ("20-b.conf", "LoginGraceTime 20\nMatch all\nLoginGraceTime 21\n"),
            ("30-c.conf", "LoginGraceTime 30\n"),
        ]);
        let lines = Lines::of(&config);
        assert!(!lines.reads_in_match_alone(directory.path()));
        let found: Vec<_> = lines.general("LoginGraceTime").map(|line| line.value.as_str()).collect();
        assert_eq!(found, ["30"]);
        std::fs::write(&config, format!("Match User x\nInclude {}/*.conf\n", directory.path().display()))
            .unwrap();
        assert!(Lines::of(&config).reads_in_match_alone(directory.path()));
        assert!(!Lines::of(&config).reads_in_match_alone(Path::new("/etc/ssh")));
    }

    #[test]
    fn files_that_include_themselves_come_to_an_end() {
        let (_directory, config) = place(&[("sshd_config", "Include HERE/sshd_config\nUsePAM yes\n")]);
        assert!(Lines::of(&config).general("UsePAM").count() >= 1);
    }
}
