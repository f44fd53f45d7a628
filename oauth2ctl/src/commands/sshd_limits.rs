//! sshd's limits on people who are still signing in. Its own are made for passwords and keys: ten at a time, two minutes each.
//! A sign-in by browser takes as long as a person needs, and a whole office comes from one address.

use super::sshd::{CONFIG, DROP_IN};
use super::sshd_lines::Lines;
use std::collections::BTreeMap;
use std::path::Path;

/// How many people of one address must be able to sign in, or to fail, at the same moment.
const PEOPLE: u64 = 12;

/// Fewest unauthenticated connections at a time: each of ours stays for as long as a person needs for a browser.
const STARTUPS: u64 = 30;

/// Fewest of them from one address.
const STARTUPS_OF_ONE: u64 = 10;

/// Time for a sign-in with a second factor, in seconds.
pub(super) const GRACE: u64 = 300;

/// What sshd gives a login where nobody says otherwise, in seconds.
pub(super) const SSHDS_GRACE: u64 = 120;

pub(super) const MAX_STARTUPS: &str = "100:30:200";
/// Not all of MaxStartups for one address: a connection may wait for five minutes.
pub(super) const PER_SOURCE: &str = "30";
/// A dozen who fail at the same moment (the provider is down) stay below the threshold of 15; who fails more than once a second
/// comes to it.
pub(super) const PENALTIES: &str = "authfail:1s grace-exceeded:1s";

const HEAD: &str = "# For people who sign in in a browser, many of them from one address.";
/// What a drop-in says where the limits were declined.
const DECLINED: &str = "# sshd's limits are not ours: setup --sshd-limits no.";

/// Keywords in effect, in small letters, with their values.
pub(super) type Effective = BTreeMap<String, String>;

/// What `sshd -T` prints.
pub(super) fn parse(text: &str) -> Effective {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.to_owned())).collect()
}

/// Is a value enough? `login_grace` is how long this package waits for a person, in seconds.
pub(super) fn is_enough(keyword: &str, value: &str, login_grace: u64) -> bool {
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match keyword {
        "LoginGraceTime" => number(value) == 0 || number(value) >= login_grace,
        "MaxStartups" => number(value.split(':').next().unwrap_or_default()) >= STARTUPS,
        "PerSourceMaxStartups" => number(value) >= STARTUPS_OF_ONE,
        "PerSourcePenalties" => penalties_are_enough(value),
        _ => true,
    }
}

fn penalties_are_enough(value: &str) -> bool {
    let seconds = |name: &str| {
        let mut words = value.split_whitespace().filter_map(|word| word.split_once(':'));
        words.find(|(word, _)| *word == name).and_then(|(_, seconds)| seconds.parse::<u64>().ok())
    };
    let least = seconds("min").unwrap_or(0);
    let stays_below = |name| seconds(name).is_none_or(|penalty| penalty.saturating_mul(PEOPLE) < least);
    value == "no" || (stays_below("authfail") && stays_below("grace-exceeded"))
}

/// What is missing: keywords that this sshd knows, that are not enough by default, and that nobody but our drop-in sets.
pub(super) struct Proposal {
    lines: Vec<(&'static str, String)>,
    /// What somebody has set, and is not enough: keyword and place.
    pub(super) set_too_low: Vec<(&'static str, String)>,
}

impl Proposal {
    /// For this machine.
    pub(super) fn of(effective: &Effective, login_grace: u64) -> Self {
        Self::from(effective, &Lines::of(Path::new(CONFIG)), login_grace)
    }

    fn from(effective: &Effective, lines: &Lines, login_grace: u64) -> Self {
        let mut proposal = Self { lines: Vec::new(), set_too_low: Vec::new() };
        let directory = Path::new(DROP_IN).parent().unwrap_or(Path::new("/"));
        let wanted = [
            ("LoginGraceTime", login_grace.max(GRACE).to_string()),
            ("MaxStartups", MAX_STARTUPS.to_owned()),
            ("PerSourceMaxStartups", PER_SOURCE.to_owned()),
            ("PerSourcePenalties", PENALTIES.to_owned()),
        ];
        for (keyword, value) in wanted {
            let Some(now) = effective.get(&keyword.to_ascii_lowercase()) else { continue };
            let others: Vec<_> =
                lines.general(keyword).filter(|line| line.file != Path::new(DROP_IN)).collect();
            if let Some(other) = lines.counting(keyword, now).filter(|_| !others.is_empty()) {
                if !is_enough(keyword, now, login_grace) {
                    proposal.set_too_low.push((keyword, other.place()));
                }
            } else if !lines.reads_in_match_alone(directory) {
                proposal.lines.push((keyword, value));
            }
        }
        // Who is given no more time needs no share of his own.
        if proposal.value("LoginGraceTime").is_none() {
            proposal.lines.retain(|(keyword, _)| *keyword != "PerSourceMaxStartups");
        }
        // An address that is exempt has no penalties.
        if lines.general("PerSourcePenaltyExemptList").next().is_some() {
            proposal.lines.retain(|(keyword, _)| *keyword != "PerSourcePenalties");
        }
        proposal
    }

    /// The value that is proposed for a keyword.
    fn value(&self, keyword: &str) -> Option<&str> {
        self.lines.iter().find(|(other, _)| *other == keyword).map(|(_, value)| value.as_str())
    }

    /// The time that sshd would give a login, in seconds; `None` where somebody else says it.
    pub(super) fn grace(&self, accepted: bool) -> Option<u64> {
        let proposed = self.value("LoginGraceTime")?.parse().ok();
        if accepted { proposed } else { Some(SSHDS_GRACE) }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines for a reader.
    pub(super) fn show(&self) -> String {
        let lines = self.lines.iter().map(|(keyword, value)| format!("{keyword} {value}"));
        lines.collect::<Vec<_>>().join(", ")
    }

    /// What stands in the drop-in, before its Match block.
    pub(super) fn text(&self, accepted: bool) -> String {
        if self.is_nothing() {
            return String::new();
        }
        if !accepted {
            return format!("{DECLINED}\n");
        }
        let lines = self.lines.iter().map(|(keyword, value)| format!("{keyword} {value}\n"));
        format!("{HEAD}\n{}", lines.collect::<String>())
    }
}

/// Were they declined in this drop-in?
pub(super) fn are_declined(drop_in: &str) -> bool {
    drop_in.lines().any(|line| line == DECLINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "logingracetime 120\nmaxstartups 10:30:100\npersourcemaxstartups none\n";
    const PENALISES: &str =
        "persourcepenalties crash:90 authfail:5 noauth:1 grace-exceeded:10 max:600 min:15\n";

    fn proposal(effective: &str, config: &str, login_grace: u64) -> Proposal {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sshd_config");
        std::fs::write(&path, config).unwrap();
        Proposal::from(&parse(effective), &Lines::of(&path), login_grace)
    }

    #[test]
    fn what_nobody_has_set_is_proposed_as_far_as_this_sshd_knows_it() {
        let old = proposal(DEFAULTS, "UsePAM yes\n", 120);
        assert_eq!(old.show(), "LoginGraceTime 300, MaxStartups 100:30:200, PerSourceMaxStartups 30");
        let new = proposal(&format!("{DEFAULTS}{PENALISES}"), "", 400);
        assert!(new.show().starts_with("LoginGraceTime 400,"), "{}", new.show());
        assert!(new.show().ends_with("PerSourcePenalties authfail:1s grace-exceeded:1s"));
        assert_eq!((new.grace(true), new.grace(false)), (Some(400), Some(120)));
        assert!(new.set_too_low.is_empty());
    }

    #[test]
    fn what_somebody_has_set_stays_and_is_told_where_it_is_not_enough() {
        let text = "logingracetime 60\nmaxstartups 200:30:300\npersourcemaxstartups none\n";
        let set = proposal(text, "LoginGraceTime 60\nMaxStartups 200:30:300\n", 120);
        assert!(set.is_nothing() && set.text(true).is_empty() && set.grace(true).is_none());
        assert_eq!(set.set_too_low.len(), 1);
        assert!(set.set_too_low[0].1.ends_with("sshd_config line 1"), "{:?}", set.set_too_low);
        let exempt =
            proposal(&format!("{DEFAULTS}{PENALISES}"), "PerSourcePenaltyExemptList 192.0.2.0/24\n", 120);
        assert!(!exempt.show().contains("Penalties"));
    }

    #[test]
    fn what_is_proposed_is_enough() {
        let ours = "crash:90 authfail:1 noauth:1 grace-exceeded:1 refuseconnection:10 max:600 min:15";
        for (keyword, value) in [
            ("LoginGraceTime", "300"),
            ("MaxStartups", MAX_STARTUPS),
            ("PerSourceMaxStartups", PER_SOURCE),
            ("PerSourcePenalties", ours),
            ("PerSourcePenalties", "no"),
            ("LoginGraceTime", "0"),
            ("PerSourceMaxStartups", "none"),
        ] {
            assert!(is_enough(keyword, value, 300), "{keyword} {value}");
        }
        for (keyword, value) in [
            ("LoginGraceTime", "120"),
            ("MaxStartups", "10:30:100"),
            ("PerSourceMaxStartups", "9"),
            ("PerSourcePenalties", PENALISES.split_once(' ').unwrap().1.trim()),
        ] {
            assert!(!is_enough(keyword, value, 300), "{keyword} {value}");
        }
    }

    #[test]
    fn what_was_declined_is_remembered() {
        let proposal = proposal(DEFAULTS, "", 120);
        assert!(are_declined(&proposal.text(false)) && !are_declined(&proposal.text(true)));
    }
}
