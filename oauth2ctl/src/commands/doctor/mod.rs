//! `doctor`: looks at everything that a sign-in needs, and names the command that mends what is wrong.
//!
//! One file for each letter of the checks. A check reads; it changes nothing. The one exception is P2, the proof of the
//! account stacks, whose two rows come and go with it.

mod accounts;
mod config;
mod facts;
mod fix;
mod homes;
mod ids;
mod names;
mod others;
mod prometheus;
mod provider;
mod report;
mod rescue;
mod security;
mod sshd;
mod sshd_limits;
mod sshd_lists;
mod stacks;
mod upkeep;

use crate::failure::Failure;
use crate::output::{changed, complain, say};
use facts::Facts;
use pam_oauth2::login::Machine;
use report::{Line, State, Verdict};
use shared::config::ConfigError;
use std::path::PathBuf;

/// What was asked for.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Doctor {
    /// Only this check, by its id (C1) or letter (C); may be given several times
    #[arg(long, value_name = "ID")]
    check: Vec<String>,
    /// Mend modes of what is root's, SELinux contexts and the publication; nothing else
    #[arg(long)]
    fix: bool,
    /// Also write the metrics for Prometheus's textfile collector to FILE
    #[arg(long, value_name = "FILE")]
    prom: Option<PathBuf>,
}

/// A check.
struct Check {
    id: &'static str,
    title: &'static str,
    run: fn(&Facts<'_>) -> Verdict,
}

const fn check(id: &'static str, title: &'static str, run: fn(&Facts<'_>) -> Verdict) -> Check {
    Check { id, title, run }
}

/// Every check, in the order of the report.
const CHECKS: [Check; 40] = [
    check("C1", "configuration", config::parses),
    check("C2", "owners and modes", config::modes),
    check("C3", "keys of the configuration", config::keys),
    check("C4", "secrets under version control", config::version_control),
    check("C5", "id key", config::id_key),
    check("P1", "PAM profile", stacks::profile),
    check("P2", "account stacks, proved", stacks::proof),
    check("P3", "local accounts pass PAM", stacks::local),
    check("P4", "one line per service", stacks::once),
    check("P5", "PAM module", stacks::module),
    check("P6", "first logins", stacks::first_logins),
    check("S1", "sshd asks PAM", sshd::use_pam),
    check("S2", "keyboard-interactive", sshd::keyboard_interactive),
    check("S3", "AuthenticationMethods", sshd::methods),
    check("S4", "LoginGraceTime", sshd_limits::grace),
    check("S5", "MaxStartups", sshd_limits::startups),
    check("S6", "PerSource limits", sshd_limits::per_source),
    check("S7", "who sshd lets in", sshd_lists::lists),
    check("N1", "nsswitch.conf", names::switch),
    check("N2", "published database", names::published),
    check("N3", "name service caches", names::caches),
    check("N4", "NSS module", names::module),
    check("N5", "ids", ids::ids),
    check("M1", "SELinux", security::selinux),
    check("M2", "AppArmor", security::apparmor),
    check("M3", "FIPS mode", security::fips),
    check("O1", "provider: network", provider::network),
    check("O2", "provider: TLS", provider::tls),
    check("O3", "provider: discovery", provider::discovery),
    check("O4", "provider: device code", provider::device),
    check("O5", "provider: keys and groups", provider::keys),
    check("O6", "clock", provider::clock),
    check("H1", "where homes are made", homes::parent),
    check("H2", "what homes are made of", homes::made_of),
    check("B1", "break-glass account", rescue::account),
    check("U1", "programs with an old module", upkeep::old_modules),
    check("U2", "schema of the store", upkeep::schema),
    check("U3", "room on the disk", upkeep::room),
    check("U4", "setup", upkeep::setup),
    check("X1", "other identity software", others::software),
];

pub(super) fn run(machine: &Machine, doctor: &Doctor) -> Result<(), Failure> {
    let wanted = wanted(&doctor.check)?;
    let (mut facts, mut lines) = examine(machine, &wanted);
    if doctor.fix && mend(machine, &lines) {
        (facts, lines) = examine(machine, &wanted);
    }
    report::tell(&lines);
    if let Some(file) = &doctor.prom {
        prometheus::write(file, &facts, &lines)?;
    }
    verdict(&facts, &lines)
}

/// The checks that were asked for; all of them where none was.
fn wanted(ids: &[String]) -> Result<Vec<&'static Check>, Failure> {
    let is_named = |check: &Check, id: &str| {
        check.id.eq_ignore_ascii_case(id) || check.id.get(..1).is_some_and(|c| c.eq_ignore_ascii_case(id))
    };
    for id in ids {
        if !CHECKS.iter().any(|check| is_named(check, id)) {
            let known: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
            return Err(Failure::Usage(format!("no check {id:?}: there are {}", known.join(" "))));
        }
    }
    let is_wanted = |check: &&Check| ids.is_empty() || ids.iter().any(|id| is_named(check, id));
    Ok(CHECKS.iter().filter(is_wanted).collect())
}

/// Asks each; those that publish or go out to the network come after those that look at what is there.
fn examine<'a>(machine: &'a Machine, wanted: &[&'static Check]) -> (Facts<'a>, Vec<Line>) {
    let facts = Facts::new(machine);
    let is_late = |check: &&&Check| check.id == "P2" || check.id.starts_with('O');
    wanted.iter().filter(|check| !is_late(check)).for_each(|check| drop(facts.of(check.id)));
    let line =
        |check: &&'static Check| Line { id: check.id, title: check.title, finding: facts.of(check.id) };
    let lines = wanted.iter().map(line).collect();
    (facts, lines)
}

/// Mends what may be mended; `true` if anything was.
fn mend(machine: &Machine, lines: &[Line]) -> bool {
    let mut mended = false;
    for fix in lines.iter().flat_map(|line| &line.finding.fixes) {
        match fix.apply(machine) {
            Ok(what) => {
                mended = true;
                say(&format!("mended: {what}"));
                changed(&format!("doctor mended {}", shared::text::log_value(&what)));
            }
            Err(failure) => complain(&failure.to_string()),
        }
    }
    if mended {
        // The store may be what is broken: the system log has the change already.
        let _ = super::audit(machine, "mended", "doctor --fix");
    }
    mended
}

/// The exit code: faults before everything, then a machine that nobody has set up, then warnings.
fn verdict(facts: &Facts<'_>, lines: &[Line]) -> Result<(), Failure> {
    let gravest = lines.iter().map(|line| line.finding.state).max();
    match (gravest, facts.config_error()) {
        (Some(State::Fault), _) => Err(Failure::Reported),
        (_, Some(ConfigError::NotConfigured(path))) => Err(Failure::NotConfigured(format!(
            "{} does not exist: this machine is not set up yet",
            path.display()
        ))),
        (Some(State::Warning | State::NotAsked), _) => Err(Failure::Warnings),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_an_id_of_its_own() {
        let mut ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        ids.sort_unstable();
        let before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), before);
    }

    #[test]
    fn a_letter_stands_for_its_checks_and_an_unknown_id_is_refused() {
        let ids = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|id| (*id).to_owned()).collect();
            super::wanted(&wanted).map(|found| found.iter().map(|check| check.id).collect::<Vec<_>>())
        };
        assert_eq!(ids(&["p2", "C1"]).unwrap(), ["C1", "P2"]);
        assert_eq!(ids(&["h"]).unwrap(), ["H1", "H2"]);
        assert_eq!(ids(&[]).unwrap().len(), CHECKS.len());
        assert!(matches!(ids(&["Z9"]), Err(Failure::Usage(_))));
    }
}
