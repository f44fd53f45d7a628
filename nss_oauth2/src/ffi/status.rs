//! The one table of what libc is told (design, section 8), and the guard around every entry point.

use crate::lookup::{Answer, LookupError, Outcome};
use libc::c_int;
use libnss::interop::NssStatus;
use shared::snapshot::SnapshotError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Status and errno. libc repeats the call with a larger buffer for TRYAGAIN with ERANGE, and for nothing else
/// (glibc, nss/getXXbyYY_r.c), so that pair has one meaning.
fn status(answer: &Answer) -> (NssStatus, Option<c_int>) {
    match answer {
        Ok(Outcome::Found) => (NssStatus::Success, None),
        Ok(Outcome::Absent) => (NssStatus::NotFound, Some(libc::ENOENT)),
        Err(LookupError::TooSmall) => (NssStatus::TryAgain, Some(libc::ERANGE)),
        Err(LookupError::OutOfMemory | LookupError::Database(SnapshotError::Resources(_))) => {
            (NssStatus::TryAgain, Some(libc::EAGAIN))
        }
        Err(LookupError::Database(SnapshotError::Missing)) => (NssStatus::Unavail, Some(libc::ENOENT)),
        Err(LookupError::Database(_) | LookupError::Local(_)) => FAULT,
    }
}

const FAULT: (NssStatus, Option<c_int>) = (NssStatus::Unavail, Some(libc::EIO));

/// Runs an entry point. A panic does not leave it; `errno` is left as it was, and `*errnop`, which usually is the same
/// place, is written only where there is something to say.
///
/// # Safety
/// `errnop` is null or points to an int that may be written.
pub(super) unsafe fn guard(errnop: *mut c_int, body: impl FnOnce() -> Answer) -> c_int {
    silence_panics();
    // SAFETY: glibc and musl give the address of this thread's errno, valid as long as the thread. No reference is kept:
    // libc writes there meanwhile.
    let (errno, before) = unsafe {
        let errno = libc::__errno_location();
        (errno, *errno)
    };
    let (status, code) = catch_unwind(AssertUnwindSafe(body)).map_or_else(
        |payload| {
            // Dropping it would run code that may panic once more.
            std::mem::forget(payload);
            FAULT
        },
        |answer| status(&answer),
    );
    // SAFETY: as above; this is still the same thread.
    unsafe { *errno = before };
    if let (Some(code), false) = (code, errnop.is_null()) {
        // SAFETY: the caller's promise; not null.
        unsafe { *errnop = code };
    }
    status as c_int
}

/// A panic would be printed on the standard error of the host: of sshd, of sudo, of a service that logs it. The
/// standard library is linked into this module alone, so the hook is nobody else's. No `Once`: a thread that finds one
/// half done waits, and in a child forked at that moment it would wait for ever.
fn silence_panics() {
    static SILENT: AtomicBool = AtomicBool::new(false);
    if !SILENT.load(Relaxed) && !SILENT.swap(true, Relaxed) {
        std::panic::set_hook(Box::new(|_| {}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: impl FnOnce() -> Answer) -> (c_int, c_int) {
        let mut code = 77;
        // SAFETY: `code` is an int of this frame.
        (unsafe { guard(&mut code, body) }, code)
    }

    #[test]
    fn every_answer_has_its_status_and_errno() {
        use rustix::io::Errno;
        let database = |error| Err(LookupError::Database(error));
        let cases = [
            (Ok(Outcome::Found), 1, 77),
            (Ok(Outcome::Absent), 0, libc::ENOENT),
            (Err(LookupError::TooSmall), -2, libc::ERANGE),
            (Err(LookupError::OutOfMemory), -2, libc::EAGAIN),
            (database(SnapshotError::Resources(Errno::MFILE)), -2, libc::EAGAIN),
            (database(SnapshotError::Missing), -1, libc::ENOENT),
            (database(SnapshotError::NotRegular), -1, libc::EIO),
            (database(SnapshotError::Damaged("")), -1, libc::EIO),
            (Err(LookupError::Local(std::io::ErrorKind::NotFound.into())), -1, libc::EIO),
        ];
        for (answer, status, code) in cases {
            let shown = format!("{answer:?}");
            assert_eq!(run(|| answer), (status, code), "{shown}");
        }
    }

    #[test]
    fn a_panic_becomes_a_status_and_prints_nothing() {
        assert_eq!(run(|| panic!("never seen")), (-1, libc::EIO));
    }

    #[test]
    fn errno_is_left_as_it_was() {
        // SAFETY: as in `guard`.
        let errno = || unsafe { &mut *libc::__errno_location() };
        *errno() = 4711;
        run(|| {
            *errno() = 1;
            Ok(Outcome::Found)
        });
        assert_eq!(*errno(), 4711);
    }
}
