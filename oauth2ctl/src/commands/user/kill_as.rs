//! SIGKILL to everything that runs under a uid, at one moment: what is started meanwhile is hit too.
#![allow(unsafe_code)]

use shared::clock::{Clock, SystemClock};
use shared::types::Uid;
use std::time::Duration;

/// How long the child that does it may take. Whom it is to kill may stop it before it does.
const PATIENCE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// Sends SIGKILL to every process that this uid may send one to: those whose real or saved uid it is. `false`: it could not
/// be done. No thread may run beside the caller's.
pub(super) fn kill_all_of(uid: Uid) -> bool {
    let uid = uid.get();
    // Uid has no number of the system's own; said again here, as kill(-1) is not taken back.
    if uid < 1000 {
        return false;
    }
    // SAFETY: no pointers. The child calls nothing but the kernel, and ends by _exit.
    let child = unsafe { libc::fork() };
    match child {
        0 => {
            let is_done = kill_as(uid);
            // SAFETY: ends the process at once: nothing of the parent's is flushed or dropped twice.
            unsafe { libc::_exit(i32::from(!is_done)) }
        }
        1.. => ended_well(child),
        _ => false,
    }
}

/// In the child. kill(2) never sends the caller its own signal to everybody.
fn kill_as(uid: libc::uid_t) -> bool {
    // SAFETY: no pointers. The numbers are checked on the way: whoever could send root's processes a signal (by a capability
    // that was kept, or as somebody else than meant) must not send one to everybody.
    unsafe {
        libc::setresuid(uid, uid, uid) == 0
            && libc::getuid() == uid
            && libc::geteuid() == uid
            && libc::kill(libc::getppid(), 0) == -1
            && *libc::__errno_location() == libc::EPERM
            && libc::kill(-1, libc::SIGKILL) == 0
    }
}

fn ended_well(child: libc::pid_t) -> bool {
    let clock = SystemClock::new();
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for the write; `child` is a child of this process that nobody else waits for.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if clock.monotonic() < PATIENCE => clock.sleep(TICK),
            0 => {
                // SAFETY: no pointers; the number is the child's until it has been waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                // SAFETY: as above. Also a stopped process ends by SIGKILL.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                return false;
            }
            waited => return waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    #[test]
    fn everything_of_a_uid_is_killed_and_nothing_of_another() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let start = |uid| Command::new("/bin/sleep").arg("600").uid(uid).current_dir("/").spawn().unwrap();
        let (mut theirs, mut other) = (start(1_654_321), start(1_654_322));
        let is_done = kill_all_of(Uid::new(1_654_321).unwrap());
        let survivor = other.try_wait().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        let end = theirs.wait().unwrap();
        assert!(is_done);
        assert_eq!(survivor, None);
        assert_eq!(end.signal(), Some(libc::SIGKILL));
    }
}
