//! What of a person goes on running after their account is shut: sessions, processes, lingering services, at jobs. It is
//! ended by uid, and only where the number is nobody else's.

use super::kill_as;
use crate::failure::Failure;
use crate::image::is_image;
use crate::output::progress;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use pam_oauth2::name_service;
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
    /// The name is theirs: what carries it alone is theirs too.
    pub(super) by_name: bool,
}

impl<'a> Owner<'a> {
    pub(super) fn new(name: &'a str, uid: Uid) -> Self {
        Self { name, uid, by_name: true }
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
    // Processes first: whoever is shut out must not go on while tools are waited for.
    failures.extend(end_processes(owner, &mut ended).err());
    match stop_lingering(owner) {
        Ok(linger) => ended.linger = linger,
        Err(failure) => failures.push(failure),
    }
    match remove_at_jobs(owner) {
        Ok(jobs) => ended.at_jobs = jobs,
        Err(failure) => failures.push(failure),
    }
    // What a job or a lingering service has started meanwhile.
    failures.extend(end_processes(owner, &mut ended).err());
    (ended, all_or(failures))
}

/// One failure as it is, several in one.
pub(super) fn all_or(mut failures: Vec<Failure>) -> Result<(), Failure> {
    match (failures.pop(), failures.is_empty()) {
        (None, _) => Ok(()),
        (Some(only), true) => Err(only),
        (Some(last), false) => {
            let mut sentences: Vec<String> = failures.iter().map(ToString::to_string).collect();
            sentences.push(last.to_string());
            sentences.dedup();
            Err(Failure::Other(sentences.join("; ")))
        }
    }
}

fn end_processes(owner: &Owner<'_>, ended: &mut Ended) -> Result<(), Failure> {
    let uid = owner.uid.get();
    let count = if is_image() { 0 } else { processes_of(uid).len() };
    if count == 0 {
        return Ok(());
    }
    ended.processes += count;
    progress(&format!("ending {count} process(es) of {}", owner.name));
    if Path::new(SYSTEMD).is_dir()
        && let Some(loginctl) = tool("loginctl")
    {
        // Nobody may be known to logind: then the processes are ended one by one.
        let _ = Commands.run(&loginctl, &["terminate-user", &uid.to_string()]);
    }
    signal_all(uid, Signal::TERM);
    if gone(uid, GRACE, || {}) {
        return Ok(());
    }
    ended.killed += processes_of(uid).len();
    // A process may start others meanwhile: the kernel ends them all at one moment. Where it does not, they are ended one
    // by one, as often as it takes.
    let kill = || {
        if !kill_as::kill_all_of(owner.uid) {
            signal_all(uid, Signal::KILL);
        }
    };
    if gone(uid, LAST, kill) {
        return Ok(());
    }
    Err(Failure::Other(format!("a process of {} does not end, not even by SIGKILL", owner.name)))
}

/// Waits for the last of them, and does something before each look. One look may miss a process that starts another and
/// ends meanwhile: two in a row have to find nobody.
fn gone(uid: u32, patience: Duration, each_time: impl Fn()) -> bool {
    let clock = SystemClock::new();
    let mut was_empty = false;
    loop {
        each_time();
        let is_empty = processes_of(uid).is_empty();
        if is_empty && was_empty {
            return true;
        }
        if clock.monotonic() >= patience {
            return false;
        }
        was_empty = is_empty;
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
    // Where only the thread that began has ended, the others run on.
    let state = field("State:")?;
    if state == "X" || state == "Z" && !has_other_threads(pid) {
        return None;
    }
    field("Uid:")?.parse().ok()
}

fn has_other_threads(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).is_ok_and(|tasks| tasks.count() > 1)
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
    let uid = owner.uid.to_string();
    let theirs = at_jobs()?.into_iter().filter(|(_, who)| owner.by_name && who == owner.name || *who == uid);
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
        let owner = |name, uid| Owner::new(name, Uid::new(uid).unwrap());
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
    fn a_process_whose_first_thread_has_ended_is_there() {
        // ctypes, as Python itself offers no way to end one thread of the process from inside.
        let script = "import ctypes, threading, time\n\
                      threading.Thread(target=lambda: (time.sleep(0.2), print('up', flush=True), time.sleep(600))).start()\n\
                      ctypes.CDLL(None).syscall(60 if __import__('platform').machine() == 'x86_64' else 93, 0)";
        let mut child =
            Command::new("/usr/bin/python3").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let pid = Pid::from_child(&child);
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
        let (is_zombie, uid) = (status.contains("State:\tZ"), real_uid(pid));
        child.kill().unwrap();
        assert!(is_zombie, "{status}");
        assert_eq!(uid, Some(rustix::process::getuid().as_raw()));
        // Killed and not yet waited for: it has ended.
        let clock = SystemClock::new();
        while real_uid(pid).is_some() && clock.monotonic() < LAST {
            clock.sleep(TICK);
        }
        assert_eq!(real_uid(pid), None);
        child.wait().unwrap();
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
