//! What a check found, and how it is told: to a person, to a program.

use super::fix::Fix;
use crate::output::{self, Color, answer, colored, field};
use serde_json::{Value, json};

/// How a check ended; the order is the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// There is nothing of the kind on this machine.
    NotApplicable,
    /// As it should be.
    Ok,
    /// It could not be found out.
    NotAsked,
    /// Worth a look; people can sign in.
    Warning,
    /// Somebody who should get in does not, or somebody gets in who should not.
    Fault,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "-",
            Self::Ok => "ok",
            Self::NotAsked => "not asked",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::NotAsked => "not_asked",
            other => other.word(),
        }
    }

    fn color(self) -> Option<Color> {
        match self {
            Self::NotApplicable => None,
            Self::Ok => Some(Color::Green),
            Self::NotAsked | Self::Warning => Some(Color::Yellow),
            Self::Fault => Some(Color::Red),
        }
    }
}

/// What a check found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) state: State,
    /// What it saw; for [`State::NotAsked`], why not.
    pub(super) saw: String,
    /// What follows from it, in one sentence; empty where all is well.
    pub(super) consequence: String,
    /// The one command that mends it.
    pub(super) remedy: String,
    /// What `--fix` may do about it.
    pub(super) fixes: Vec<Fix>,
}

/// A finding either way: `Err` leaves a check early.
pub(super) type Verdict = Result<Finding, Finding>;

impl Finding {
    fn new(state: State, saw: impl Into<String>) -> Self {
        let saw = shared::text::printable(&saw.into().replace('\n', "; "), 600);
        Self { state, saw, consequence: String::new(), remedy: String::new(), fixes: Vec::new() }
    }

    pub(super) fn ok(saw: impl Into<String>) -> Self {
        Self::new(State::Ok, saw)
    }

    pub(super) fn not_applicable(saw: impl Into<String>) -> Self {
        Self::new(State::NotApplicable, saw)
    }

    pub(super) fn not_asked(why: impl Into<String>) -> Self {
        Self::new(State::NotAsked, why)
    }

    pub(super) fn warning(saw: impl Into<String>, consequence: &str, remedy: impl Into<String>) -> Self {
        Self { consequence: consequence.into(), remedy: remedy.into(), ..Self::new(State::Warning, saw) }
    }

    pub(super) fn fault(saw: impl Into<String>, consequence: &str, remedy: impl Into<String>) -> Self {
        Self { consequence: consequence.into(), remedy: remedy.into(), ..Self::new(State::Fault, saw) }
    }

    pub(super) fn with_fix(self, fix: Fix) -> Self {
        Self { fixes: [self.fixes, vec![fix]].concat(), ..self }
    }

    /// Several findings of one check as one: the gravest speaks, and the others of its kind are told beside it.
    pub(super) fn gravest(findings: Vec<Self>) -> Option<Self> {
        let state = findings.iter().map(|finding| finding.state).max()?;
        let fixes: Vec<Fix> = findings.iter().flat_map(|finding| finding.fixes.clone()).collect();
        let mut same = findings.into_iter().filter(|finding| finding.state == state);
        let mut first = same.next()?;
        for other in same {
            first.saw = format!("{}; {}", first.saw, other.saw);
        }
        if fixes.len() > 1 && !first.fixes.is_empty() {
            first.remedy = "oauth2ctl doctor --fix".into();
        }
        Some(Self { fixes, ..first })
    }

    fn is_trouble(&self) -> bool {
        matches!(self.state, State::Warning | State::Fault)
    }
}

/// A word for a command that somebody will paste into a root shell: whatever a provider or a file put into it, it stays one
/// word and runs nothing.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", shared::text::printable(word, 1024).replace('\'', "'\\''"))
}

/// One line of the report.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) finding: Finding,
}

/// Tells all of it: a line for each check, then what is wrong in full, faults last, then the sum.
pub(super) fn tell(lines: &[Line]) {
    field("checks", lines.iter().map(as_json).collect::<Vec<Value>>());
    field("summary", summary_as_json(lines));
    let quiet = output::manner().quiet;
    let shown = |line: &&Line| !quiet || line.finding.state >= State::NotAsked;
    let rows: Vec<Vec<String>> = lines.iter().filter(shown).map(row).collect();
    output::table(&rows);
    let mut troubles: Vec<&Line> = lines.iter().filter(|line| line.finding.is_trouble()).collect();
    troubles.sort_by_key(|line| line.finding.state);
    for line in troubles {
        let finding = &line.finding;
        answer("");
        answer(&format!("{} {} {}: {}", state(finding.state), line.id, line.title, finding.saw));
        answer(&format!("    {}", finding.consequence));
        answer(&format!("    mend it: {}", finding.remedy));
    }
    if !quiet {
        answer("");
        answer(&summary(lines));
    }
}

fn row(line: &Line) -> Vec<String> {
    vec![state(line.finding.state), line.id.into(), line.title.into(), line.finding.saw.clone()]
}

fn state(state: State) -> String {
    state.color().map_or_else(|| state.word().to_owned(), |color| colored(state.word(), color))
}

fn count(lines: &[Line], state: State) -> usize {
    lines.iter().filter(|line| line.finding.state == state).count()
}

fn summary(lines: &[Line]) -> String {
    let of = |state, word| match count(lines, state) {
        0 => None,
        number => Some(format!("{number} {word}")),
    };
    let parts = [
        of(State::Ok, "ok"),
        of(State::NotApplicable, "not applicable"),
        of(State::NotAsked, "not asked"),
        of(State::Warning, "warning(s)"),
        of(State::Fault, "fault(s)"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn summary_as_json(lines: &[Line]) -> Value {
    let states = [State::Ok, State::NotApplicable, State::NotAsked, State::Warning, State::Fault];
    states.into_iter().map(|state| (state.key().to_owned(), json!(count(lines, state)))).collect()
}

fn as_json(line: &Line) -> Value {
    let finding = &line.finding;
    json!({
        "id": line.id,
        "title": line.title,
        "state": finding.state.key(),
        "saw": finding.saw,
        "consequence": finding.consequence,
        "remedy": finding.remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_gravest_finding_speaks_and_names_those_like_it() {
        let fix = |path: &str| Fix::Mode(PathBuf::from(path), 0o600);
        let merged = Finding::gravest(vec![
            Finding::ok("a"),
            Finding::fault("b", "B.", "mend b").with_fix(fix("/b")),
            Finding::warning("c", "C.", "mend c"),
            Finding::fault("d", "D.", "mend d").with_fix(fix("/d")),
        ])
        .unwrap();
        assert_eq!((merged.state, merged.saw.as_str()), (State::Fault, "b; d"));
        assert_eq!(merged.consequence, "B.");
        assert_eq!(merged.remedy, "oauth2ctl doctor --fix", "one command for both");
        assert_eq!(merged.fixes.len(), 2);
        assert!(Finding::gravest(vec![]).is_none());
    }

    #[test]
    fn a_word_of_somebody_elses_runs_nothing_in_a_remedy() {
        assert_eq!(quoted("https://id.example.com:8443/a"), "https://id.example.com:8443/a");
        assert_eq!(quoted("https://i/?a=1&b=$(id)"), "'https://i/?a=1&b=$(id)'");
        assert_eq!(quoted("'; reboot\n#"), "''\\''; reboot#'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn what_was_seen_is_one_printable_line() {
        assert_eq!(Finding::ok("a\nb\u{1b}[31m").saw, "a; b[31m");
    }
}
