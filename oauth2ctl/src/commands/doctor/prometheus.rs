//! `--prom FILE`: metrics for the textfile collector of Prometheus's node exporter.

use super::facts::Facts;
use super::provider;
use super::report::{Line, State};
use crate::failure::Failure;
use shared::secure_file;
use shared::store::RowState;
use std::fmt::Write as _;
use std::path::Path;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Writes the file in one step: the collector never reads half of it.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(file: &Path, facts: &Facts<'_>, lines: &[Line]) -> Result<(), Failure> {
    Ok(secure_file::replace(file, text(facts, lines).as_bytes(), 0o644)?)
}

fn text(facts: &Facts<'_>, lines: &[Line]) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, values: &[(String, u64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    metric("oauth2_doctor_status", "0 ok, 1 warning, 2 fault, 3 could not be asked.", &statuses(lines));
    if facts.stored().is_ok() {
        metric("oauth2_users", "People in the store, by state.", &users(facts));
    }
    if let Some(age) = facts.age() {
        let help = "Seconds since the last publication, doctor's own probe not counted.";
        metric("oauth2_nss_db_age_seconds", help, &[(String::new(), age.as_secs())]);
    }
    if let Some(is_up) = provider::is_up(lines) {
        let help = "1 where the provider gives this client a device code.";
        metric("oauth2_provider_up", help, &[(String::new(), u64::from(is_up))]);
    }
    let last = facts.people().iter().filter(|person| !person.probe).filter_map(|person| person.confirmed_day);
    if let Some(day) = last.max() {
        let help = "Start of the UTC day of the last verified sign-in: the store keeps days.";
        metric("oauth2_last_success_timestamp", help, &[(String::new(), u64::from(day.0) * DAY)]);
    }
    text.push_str(
        "# oauth2_logins_total{result,reason} is not here: the store has no sign-in that changed nothing, and no refusal. Count \
         result= and reason= of pam_oauth2_device's lines in the log.\n",
    );
    text
}

fn statuses(lines: &[Line]) -> Vec<(String, u64)> {
    let number = |state| match state {
        State::NotApplicable => None,
        State::Ok => Some(0),
        State::Warning => Some(1),
        State::Fault => Some(2),
        State::NotAsked => Some(3),
    };
    let labelled = |line: &Line| Some((format!("{{check=\"{}\"}}", line.id), number(line.finding.state)?));
    lines.iter().filter_map(labelled).collect()
}

fn users(facts: &Facts<'_>) -> Vec<(String, u64)> {
    [RowState::Reserved, RowState::Confirmed, RowState::Locked]
        .into_iter()
        .map(|state| {
            let people = facts.people().iter().filter(|person| !person.probe && person.state == state);
            (format!("{{state=\"{}\"}}", state.as_str()), u64::try_from(people.count()).unwrap_or(u64::MAX))
        })
        .collect()
}
