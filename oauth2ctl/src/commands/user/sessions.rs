//! What of a person goes on running after their account is shut: sessions, processes, lingering services, at jobs. It is
//! ended by uid, and only where the number is nobody else's.

use super::processes::{self, Numbers};
use crate::failure::Failure;
use crate::image::is_image;
use crate::output::warn;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use pam_oauth2::name_service;
use serde::Serialize;
use shared::etc::LocalNames;
use shared::types::Uid;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Made by systemd where it runs (sd_booted(3)).
pub(super) const SYSTEMD: &str = "/run/systemd/system";
const LINGER: &str = "/var/lib/systemd/linger";

/// What was ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Ended {
    /// Processes that were there.
    pub(super) processes: usize,
    /// Those that only SIGKILL ended.
    pub(super) killed: usize,
    /// Services of theirs would have run on without a session.
    pub(super) linger: bool,
    /// Numbers of at jobs.
    pub(super) at_jobs: Vec<String>,
}

impl Ended {
    pub(super) fn is_something(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn sentence(&self, name: &str) -> String {
        let mut parts = Vec::new();
        match (self.processes, self.killed) {
            (0, _) => {}
            (all, 0) => parts.push(format!("{all} process(es) ended")),
            (all, killed) => parts.push(format!("{all} process(es) ended, {killed} of them by SIGKILL")),
        }
        if self.linger {
            parts.push("lingering switched off".to_owned());
        }
        if !self.at_jobs.is_empty() {
            parts.push(format!("{} at job(s) removed", self.at_jobs.len()));
        }
        if parts.is_empty() {
            format!("{name}: nothing was running")
        } else {
            format!("{name}: {}", parts.join(", "))
        }
    }
}

/// Whom to look for.
#[derive(Clone, Debug)]
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) uid: Uid,
    /// The name is theirs: what carries it alone is theirs too.
    pub(super) by_name: bool,
}

impl<'a> Owner<'a> {
    /// Of a namesake in /etc/passwd, who has another uid, is what carries the name: ranges, lingering, at jobs.
    pub(super) fn new(name: &'a str, uid: Uid, local: &LocalNames) -> Self {
        let by_name = local.user(name).is_none_or(|line| line.uid == uid.get());
        Self { name, uid, by_name }
    }

    /// Is this owner of a range of subordinate ids, or of an at job, them? subuid(5) and atq(1) have names and numbers.
    pub(super) fn owns(&self, owner: &str) -> bool {
        self.by_name && owner == self.name || owner == self.uid.to_string()
    }
}

/// Is the number theirs alone? What /etc/passwd, or another source, gives to somebody else is not ours to end.
pub(super) fn check_owner(owner: &Owner<'_>, local: &LocalNames) -> Result<(), Failure> {
    let uid = owner.uid.get();
    let conflict = |name: &str, place: &str| {
        Err(Failure::Conflict(format!(
            "uid {uid} of {} is also {name}'s {place}: end by hand what is to end",
            owner.name
        )))
    };
    if let Some(line) = local.passwd.iter().find(|line| line.uid == uid && line.name != owner.name) {
        return conflict(&line.name, "in /etc/passwd");
    }
    match name_service::user_by_id(uid) {
        Ok(Some(user)) if user.name != owner.name => {
            conflict(&user.name, &format!("now (getent passwd {uid})"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Other(format!("whose uid {uid} is, is not known: {error}"))),
    }
}

/// Ends everything of theirs; what does not end keeps nothing else from it. Says what was ended, also beside a failure.
///
/// # Errors
/// The number is somebody else's too, or something does not end.
pub(super) fn end(owner: &Owner<'_>, local: &LocalNames) -> (Ended, Result<(), Failure>) {
    let mut ended = Ended::default();
    if let Err(failure) = check_owner(owner, local) {
        return (ended, Err(failure));
    }
    let mut failures = Vec::new();
    let numbers = Numbers::of(owner, local).unwrap_or_else(|failure| {
        failures.push(failure);
        Numbers::of_one(owner.uid)
    });
    // Processes first: whoever is shut out must not go on while tools are waited for.
    failures.extend(processes::end(owner.name, &numbers, &mut ended).err());
    match stop_lingering(owner) {
        Ok(linger) => ended.linger = linger,
        Err(failure) => failures.push(failure),
    }
    match remove_at_jobs(owner) {
        Ok(jobs) => ended.at_jobs = jobs,
        Err(failure) => failures.push(failure),
    }
    // What a job or a lingering service has started meanwhile.
    failures.extend(processes::end(owner.name, &numbers, &mut ended).err());
    numbers.foreign().iter().for_each(|line| warn(line));
    failures.extend(numbers.unknown());
    (ended, all_or(failures))
}

/// One failure as it is, several in one: a conflict where each of them is one.
pub(super) fn all_or(mut failures: Vec<Failure>) -> Result<(), Failure> {
    match (failures.pop(), failures.is_empty()) {
        (None, _) => Ok(()),
        (Some(only), true) => Err(only),
        (Some(last), false) => {
            let mut sentences: Vec<String> = failures.iter().map(ToString::to_string).collect();
            sentences.push(last.to_string());
            sentences.dedup();
            let is_conflict =
                failures.iter().chain([&last]).all(|failure| matches!(failure, Failure::Conflict(_)));
            let kind = if is_conflict { Failure::Conflict } else { Failure::Other };
            Err(kind(sentences.join("; ")))
        }
    }
}

fn linger_file(name: &str) -> PathBuf {
    Path::new(LINGER).join(name)
}

pub(super) fn lingers(owner: &Owner<'_>) -> bool {
    owner.by_name && std::fs::symlink_metadata(linger_file(owner.name)).is_ok()
}

fn stop_lingering(owner: &Owner<'_>) -> Result<bool, Failure> {
    if !lingers(owner) {
        return Ok(false);
    }
    if !is_image()
        && Path::new(SYSTEMD).is_dir()
        && let Some(loginctl) = tool("loginctl")
    {
        let _ = Commands.run(&loginctl, &["disable-linger", "--", owner.name]);
    }
    // What logind does itself; it does not know somebody who was removed any more.
    match std::fs::remove_file(linger_file(owner.name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Other(format!("{}: {error}", linger_file(owner.name).display())))
        }
        _ => Ok(true),
    }
}

/// (number, owner) of every at job, as atq(1) prints them: the whole list, as a cut one would name wrong owners.
pub(super) fn at_jobs() -> Result<Vec<(String, String)>, Failure> {
    let Some(atq) = tool("atq") else { return Ok(Vec::new()) };
    let failed = |what: String| Failure::Other(format!("{atq}: {what}"));
    let done = Command::new(&atq)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !done.status.success() {
        return Err(failed(done.status.to_string()));
    }
    let job = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next_back()?.to_owned()))
    };
    Ok(String::from_utf8_lossy(&done.stdout).lines().filter_map(job).collect())
}

/// at(1) names an owner whom nobody knows any more by the number.
pub(super) fn at_jobs_of(owner: &Owner<'_>) -> Result<Vec<String>, Failure> {
    let theirs = at_jobs()?.into_iter().filter(|(_, who)| owner.owns(who));
    Ok(theirs.map(|(job, _)| job).collect())
}

fn remove_at_jobs(owner: &Owner<'_>) -> Result<Vec<String>, Failure> {
    let jobs = at_jobs_of(owner)?;
    let Some(atrm) = tool("atrm").filter(|_| !jobs.is_empty()) else { return Ok(jobs) };
    let words: Vec<&str> = jobs.iter().map(String::as_str).collect();
    match Commands.run(&atrm, &words) {
        Ok(()) => Ok(jobs),
        // A job that has begun meanwhile, or that somebody else has removed, is none any more.
        Err(_) if !at_jobs_of(owner)?.iter().any(|job| jobs.contains(job)) => Ok(jobs),
        Err(error) => Err(Failure::Other(error.to_string())),
    }
}

/// A program of the distribution, by its absolute path.
pub(super) fn tool(name: &str) -> Option<String> {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    places.iter().map(|place| format!("{place}/{name}")).find(|path| Path::new(path).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_somebody_elses_in_etc_passwd_is_left_alone() {
        let local = LocalNames::parse(b"bob:x:5000:5000::/home/bob:/bin/sh\n", b"");
        let owner = |name, uid| Owner::new(name, Uid::new(uid).unwrap(), &local);
        assert!(check_owner(&owner("bob", 5000), &local).is_ok());
        assert!(check_owner(&owner("ann", 5001), &local).is_ok());
        assert!(check_owner(&owner("ann", 5000), &local).is_err());
    }

    #[test]
    fn what_carries_the_name_alone_is_a_namesakes_of_etc_passwd() {
        let local = LocalNames::parse(b"bob:x:1001:1001::/home/bob:/bin/sh\n", b"");
        let owns = |name, uid, owner| Owner::new(name, Uid::new(uid).unwrap(), &local).owns(owner);
        assert!(!owns("bob", 5000, "bob") && owns("bob", 5000, "5000"));
        assert!(owns("bob", 1001, "bob") && owns("ann", 5001, "ann") && !owns("ann", 5001, "bob"));
    }

    #[test]
    fn several_conflicts_are_a_conflict_and_with_another_failure_they_are_a_failure() {
        let conflict = |text: &str| Failure::Conflict(text.to_owned());
        assert!(all_or(Vec::new()).is_ok());
        assert!(
            matches!(all_or(vec![conflict("a"), conflict("b")]), Err(Failure::Conflict(all)) if all == "a; b")
        );
        let mixed = all_or(vec![conflict("a"), Failure::Other("b".into())]);
        assert!(matches!(mixed, Err(Failure::Other(all)) if all == "a; b"));
    }

    #[test]
    fn nothing_running_is_said_in_a_sentence() {
        assert_eq!(Ended::default().sentence("ann"), "ann: nothing was running");
        let ended = Ended { processes: 3, killed: 1, linger: true, at_jobs: vec!["7".into()] };
        assert_eq!(
            ended.sentence("ann"),
            "ann: 3 process(es) ended, 1 of them by SIGKILL, lingering switched off, 1 at job(s) removed"
        );
    }
}
