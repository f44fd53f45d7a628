//! Processes of a person: under their uid, and under their subordinate uids (subuid(5)), as containers of theirs have them.

use super::sessions::{Ended, Owner, SYSTEMD, tool};
use super::{kill_as, subids};
use crate::failure::Failure;
use crate::image::is_image;
use crate::output::progress;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use pam_oauth2::name_service;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use shared::clock::{Clock, SystemClock};
use shared::etc::LocalNames;
use shared::types::Uid;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How long a process has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last of them may take to be gone after SIGKILL.
const LAST: Duration = Duration::from_secs(5);
/// Between two looks.
const TICK: Duration = Duration::from_millis(20);

/// The numbers that processes of one person have.
pub(super) struct Numbers {
    uid: Uid,
    /// First and last.
    subordinate: Vec<(u32, u32)>,
    /// Numbers within these that are also somebody else's: of /etc/passwd, or another owner's range.
    others: Vec<subids::Range>,
    /// What was found out about subordinate numbers under which something runs.
    known: RefCell<BTreeMap<u32, Holder>>,
}

/// Who else has a subordinate number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    Somebody(String),
    /// Whether anybody has it was not to be found out.
    Unknown(String),
}

impl Numbers {
    /// The uid alone.
    pub(super) fn of_one(uid: Uid) -> Self {
        Self { uid, subordinate: Vec::new(), others: Vec::new(), known: RefCell::default() }
    }

    /// The uid, and what /etc/subuid gives to the name, where it is theirs, or to the number.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of(owner: &Owner<'_>, local: &LocalNames) -> Result<Self, Failure> {
        let (theirs, mut others): (Vec<_>, Vec<_>) =
            subids::owners()?.into_iter().partition(|(name, _)| owner.owns(name));
        let subordinate = theirs.into_iter().map(|(_, range)| range).collect();
        others.extend(local.passwd.iter().map(|line| (line.name.clone(), (line.uid, line.uid))));
        Ok(Self { subordinate, others, ..Self::of_one(owner.uid) })
    }

    fn contains(&self, uid: u32) -> bool {
        uid == self.uid.get() || self.is_subordinate(uid) && self.holder(uid) == Holder::Nobody
    }

    fn is_subordinate(&self, uid: u32) -> bool {
        // A range that reaches down to the machine's own users is a mistake, and not ours to act on.
        Uid::new(uid).is_ok() && self.subordinate.iter().any(|range| is_within(uid, *range))
    }

    fn holder(&self, uid: u32) -> Holder {
        let mut known = self.known.borrow_mut();
        let holder = || {
            if let Some((name, _)) = self.others.iter().find(|(_, range)| is_within(uid, *range)) {
                return Holder::Somebody(name.clone());
            }
            match name_service::user_by_id(uid) {
                Ok(None) => Holder::Nobody,
                Ok(Some(user)) => Holder::Somebody(user.name),
                Err(error) => Holder::Unknown(error.to_string()),
            }
        };
        known.entry(uid).or_insert_with(holder).clone()
    }

    /// What was left alone under subordinate numbers because it is somebody else's too: a sentence for each of these. It may go on
    /// for ever, so that nothing waits for its end.
    pub(super) fn foreign(&self) -> Vec<String> {
        let mut foreign: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (uid, holder) in self.known.borrow().iter() {
            if let Holder::Somebody(name) = holder {
                foreign.entry(name.clone()).or_default().push(uid.to_string());
            }
        }
        let sentence = |(name, uids): (String, Vec<String>)| {
            format!(
                "something runs under uid {}, which /etc/subuid gives to uid {}, but which is also {name}'s: it is left \
                 alone, end by hand what is to end",
                uids.join(", "),
                self.uid
            )
        };
        foreign.into_iter().map(sentence).collect()
    }

    /// What was left alone because nobody could say whose it is.
    pub(super) fn unknown(&self) -> Vec<Failure> {
        let known = self.known.borrow();
        let unknown = known.iter().filter_map(|(uid, holder)| match holder {
            Holder::Unknown(error) => Some(Failure::Other(format!(
                "whose uid {uid} is, under which something runs, is not known: {error}"
            ))),
            _ => None,
        });
        unknown.collect()
    }

    /// What runs under these numbers, with the number.
    pub(super) fn processes(&self) -> Vec<(Pid, u32)> {
        all_processes().into_iter().filter(|(_, uid)| self.contains(*uid)).collect()
    }
}

pub(super) fn is_within(uid: u32, (first, last): (u32, u32)) -> bool {
    (first..=last).contains(&uid)
}

/// Ends them all, and counts them.
///
/// # Errors
/// One of them does not end.
pub(super) fn end(name: &str, numbers: &Numbers, ended: &mut Ended) -> Result<(), Failure> {
    let count = if is_image() { 0 } else { numbers.processes().len() };
    if count == 0 {
        return Ok(());
    }
    ended.processes += count;
    progress(&format!("ending {count} process(es) of {name}"));
    if Path::new(SYSTEMD).is_dir()
        && let Some(loginctl) = tool("loginctl")
    {
        // Nobody may be known to logind: then the processes are ended one by one.
        let _ = Commands.run(&loginctl, &["terminate-user", &numbers.uid.to_string()]);
    }
    signal_all(numbers, Signal::TERM);
    if gone(numbers, GRACE, || {}) {
        return Ok(());
    }
    ended.killed += numbers.processes().len();
    if gone(numbers, LAST, || kill_all(numbers)) {
        return Ok(());
    }
    Err(Failure::Other(format!("a process of {name} does not end, not even by SIGKILL")))
}

/// A process may start others meanwhile: the kernel ends all of one number at one moment. Where it does not, they are ended one
/// by one, as often as it takes.
fn kill_all(numbers: &Numbers) {
    let uids: BTreeSet<u32> = numbers.processes().into_iter().map(|(_, uid)| uid).collect();
    // Each of them, whatever becomes of another.
    let failed = uids.into_iter().filter(|uid| !Uid::new(*uid).is_ok_and(kill_as::kill_all_of)).count();
    if failed > 0 {
        signal_all(numbers, Signal::KILL);
    }
}

/// Waits for the last of them, and does something before each look. One look may miss a process that starts another and
/// ends meanwhile: two in a row have to find nobody.
fn gone(numbers: &Numbers, patience: Duration, each_time: impl Fn()) -> bool {
    let clock = SystemClock::new();
    let mut was_empty = false;
    loop {
        each_time();
        let is_empty = numbers.processes().is_empty();
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

fn signal_all(numbers: &Numbers, signal: Signal) {
    for (pid, _) in numbers.processes() {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may be another process's by now: the descriptor is of the one that is looked at here, or of one
        // that is gone.
        if real_uid(pid).is_some_and(|uid| numbers.contains(uid)) {
            let _ = pidfd_send_signal(process, signal);
        }
    }
}

/// Every process, with its real uid: what somebody else's program does for a moment under a number is not its owner's. Those
/// that have ended and only wait to be noticed do not count.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Command, Stdio};

    fn numbers(uid: u32, subordinate: &[(u32, u32)], others: &[(&str, (u32, u32))]) -> Numbers {
        let others = others.iter().map(|(name, range)| ((*name).to_owned(), *range)).collect();
        Numbers { subordinate: subordinate.to_vec(), others, ..Numbers::of_one(Uid::new(uid).unwrap()) }
    }

    #[test]
    fn what_runs_under_a_subordinate_uid_ends_and_what_is_somebody_elses_too_does_not() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let start = |uid| Command::new("/bin/sleep").arg("600").uid(uid).current_dir("/").spawn().unwrap();
        let mut theirs = [start(1_754_321), start(1_754_400), start(1_754_499)];
        let mut others = [start(1_754_401), start(1_754_500), start(1_754_399)];
        let shared = [("bob", (1_754_401, 1_754_401)), ("carl", (1_754_390, 1_754_399))];
        let numbers = numbers(1_754_321, &[(1_754_390, 1_754_499)], &shared);
        let mut ended = Ended::default();
        let outcome = end("ann", &numbers, &mut ended);
        let survivors = others.each_mut().map(|process| process.try_wait().unwrap().is_none());
        others.iter_mut().for_each(|process| process.kill().unwrap());
        let signals = theirs.each_mut().map(|process| process.wait().unwrap().signal());
        others.iter_mut().for_each(|process| assert!(process.wait().unwrap().signal().is_some()));
        assert!(outcome.is_ok());
        assert_eq!((ended.processes, signals), (3, [Some(libc::SIGTERM); 3]));
        assert_eq!(survivors, [true; 3]);
        let foreign = numbers.foreign();
        assert_eq!(foreign.len(), 2, "{foreign:?}");
        assert!(foreign.iter().any(|line| line.contains("uid 1754401,") && line.contains("bob's")));
        assert!(numbers.unknown().is_empty());
    }

    #[test]
    fn a_range_over_the_machines_own_numbers_reaches_none_of_them() {
        let numbers = numbers(1_754_321, &[(0, 2000)], &[]);
        for uid in [0, 1, 999] {
            assert!(!numbers.contains(uid), "{uid}");
        }
        assert!(numbers.contains(1_754_321) && !numbers.contains(1_754_322));
    }

    #[test]
    fn a_process_has_its_real_uid() {
        let me = rustix::process::getuid().as_raw();
        assert!(all_processes().contains(&(rustix::process::getpid(), me)));
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
}
