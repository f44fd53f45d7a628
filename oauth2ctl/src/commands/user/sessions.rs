//! What of a person goes on running after their account is shut: sessions, processes, lingering services, at jobs. It is
//! ended by uid, and only where the number is nobody else's.

use crate::failure::Failure;
use crate::image::is_image;
use crate::output::progress;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use shared::clock::{Clock, SystemClock};
use shared::etc::LocalNames;
use shared::types::Uid;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a process has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last of them may take to be gone after SIGKILL.
const LAST: Duration = Duration::from_secs(5);
/// Between two looks.
const TICK: Duration = Duration::from_millis(20);

/// Made by systemd where it runs (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
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
}

/// Is the number theirs alone? What /etc/passwd gives to somebody else is not ours to end.
pub(super) fn check_owner(owner: &Owner<'_>, local: &LocalNames) -> Result<(), Failure> {
    let uid = owner.uid.get();
    match local.passwd.iter().find(|line| line.uid == uid && line.name != owner.name) {
        Some(line) => Err(Failure::Conflict(format!(
            "uid {uid} of {} is also {}'s in /etc/passwd: end by hand what is to end",
            owner.name, line.name
        ))),
        None => Ok(()),
    }
}

/// Ends everything of theirs.
///
/// # Errors
/// The number is somebody else's too, or something does not end.
pub(super) fn end(owner: &Owner<'_>, local: &LocalNames) -> Result<Ended, Failure> {
    check_owner(owner, local)?;
    let mut ended = Ended { at_jobs: remove_at_jobs(owner)?, ..Ended::default() };
    ended.linger = stop_lingering(owner)?;
    if is_image() {
        return Ok(ended);
    }
    let uid = owner.uid.get();
    ended.processes = processes_of(uid).len();
    if ended.processes == 0 {
        return Ok(ended);
    }
    progress(&format!("ending {} process(es) of {}", ended.processes, owner.name));
    if Path::new(SYSTEMD).is_dir()
        && let Some(loginctl) = tool("loginctl")
    {
        // Nobody may be known to logind: then the processes are ended one by one.
        let _ = Commands.run(&loginctl, &["terminate-user", &uid.to_string()]);
    }
    signal_all(uid, Signal::TERM);
    if !gone(uid, GRACE, None) {
        ended.killed = processes_of(uid).len();
        // A process may start others meanwhile.
        if !gone(uid, LAST, Some(Signal::KILL)) {
            return Err(Failure::Other(format!(
                "a process of {} does not end, not even by SIGKILL",
                owner.name
            )));
        }
    }
    Ok(ended)
}

/// Waits for the last of them; with a signal, it is sent at each look.
fn gone(uid: u32, patience: Duration, signal: Option<Signal>) -> bool {
    let clock = SystemClock::new();
    loop {
        if let Some(signal) = signal {
            signal_all(uid, signal);
        }
        if processes_of(uid).is_empty() {
            return true;
        }
        if clock.monotonic() >= patience {
            return false;
        }
        clock.sleep(TICK);
    }
}

fn signal_all(uid: u32, signal: Signal) {
    for pid in processes_of(uid) {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may be another process's by now: the descriptor is of the one that is looked at here, or of one
        // that is gone.
        if real_uid(pid) == Some(uid) {
            let _ = pidfd_send_signal(process, signal);
        }
    }
}

/// Processes whose real uid this is: what somebody else's program does for a moment under this number is not theirs.
/// Those that have ended and only wait to be noticed do not count.
pub(super) fn processes_of(uid: u32) -> Vec<Pid> {
    all_processes().into_iter().filter(|(_, owner)| *owner == uid).map(|(pid, _)| pid).collect()
}

/// Every process, with its real uid.
pub(super) fn all_processes() -> Vec<(Pid, u32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw);
    let pids = entries.flatten().filter_map(number);
    pids.filter_map(|pid| Some((pid, real_uid(pid)?))).collect()
}

fn real_uid(pid: Pid) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next();
    if matches!(field("State:")?, "Z" | "X") {
        return None;
    }
    field("Uid:")?.parse().ok()
}

fn linger_file(name: &str) -> PathBuf {
    Path::new(LINGER).join(name)
}

pub(super) fn lingers(name: &str) -> bool {
    std::fs::symlink_metadata(linger_file(name)).is_ok()
}

fn stop_lingering(owner: &Owner<'_>) -> Result<bool, Failure> {
    if !lingers(owner.name) {
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
    let uid = owner.uid.to_string();
    let theirs = at_jobs()?.into_iter().filter(|(_, who)| who == owner.name || *who == uid);
    Ok(theirs.map(|(job, _)| job).collect())
}

fn remove_at_jobs(owner: &Owner<'_>) -> Result<Vec<String>, Failure> {
    let jobs = at_jobs_of(owner)?;
    let Some(atrm) = tool("atrm").filter(|_| !jobs.is_empty()) else { return Ok(jobs) };
    let words: Vec<&str> = jobs.iter().map(String::as_str).collect();
    Commands.run(&atrm, &words).map_err(|error| Failure::Other(error.to_string()))?;
    Ok(jobs)
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
        let owner = |name, uid| Owner { name, uid: Uid::new(uid).unwrap() };
        assert!(check_owner(&owner("bob", 5000), &local).is_ok());
        assert!(check_owner(&owner("ann", 5001), &local).is_ok());
        assert!(check_owner(&owner("ann", 5000), &local).is_err());
    }

    #[test]
    fn a_process_has_its_real_uid() {
        let me = rustix::process::getuid().as_raw();
        assert!(processes_of(me).contains(&rustix::process::getpid()));
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
