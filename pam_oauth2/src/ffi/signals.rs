//! The host's signals stay on the host's threads: the HTTP client has a thread of its own while a step runs, and a new
//! thread takes over the mask of whoever starts it (pthread_create(3)).

use super::resolver::limit_lookups;
use crate::login;
use crate::oauth::{Connect, Http, HttpError};
use shared::config::Provider;
use std::mem::MaybeUninit;
use std::ptr;

/// The way to the provider, whose threads take no signal.
pub(super) fn connector(provider: &Provider) -> Box<dyn Connect> {
    Box::new(Quiet(login::https(provider, limit_lookups)))
}

struct Quiet(Box<dyn Connect>);

impl Connect for Quiet {
    fn connect(&self) -> Result<Box<dyn Http + '_>, HttpError> {
        let _blocked = AllBlocked::set();
        self.0.connect()
    }
}

/// Every signal blocked on this thread while this lives.
struct AllBlocked {
    before: libc::sigset_t,
}

impl AllBlocked {
    fn set() -> Option<Self> {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the pointer is valid for the write.
        if unsafe { libc::sigfillset(all.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: `all` was filled above; `before` is valid for the write.
        let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: pthread_sigmask returned 0 and has filled `before`.
        (result == 0).then(|| Self { before: unsafe { before.assume_init() } })
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(signal: libc::c_int) -> bool {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: a null set only reads the mask into `mask`.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), signal) == 1
        }
    }

    #[test]
    fn a_thread_that_starts_meanwhile_takes_no_signal_and_ours_takes_them_again() {
        let guard = AllBlocked::set();
        assert!(std::thread::spawn(|| blocked(libc::SIGTERM)).join().unwrap());
        drop(guard);
        assert!(!blocked(libc::SIGTERM));
    }
}
