//! What was begun is brought to its end: from here on neither Ctrl-C nor the end of the terminal stops this process.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Signals that somebody sends who wants to stop a command, or who goes away.
const INTERRUPTS: [libc::c_int; 5] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP];

/// Blocks them until the process ends, for it and for the programs that it starts.
pub(crate) fn hold() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is valid for the write.
    if unsafe { libc::sigemptyset(set.as_mut_ptr()) } != 0 {
        return;
    }
    for signal in INTERRUPTS {
        // SAFETY: the set was initialised above, and the number is a signal's.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: the set was initialised above; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_held_does_not_arrive() {
        std::thread::spawn(|| {
            hold();
            // SAFETY: sends a signal to this very thread, which has it blocked.
            unsafe { libc::raise(libc::SIGTERM) };
        })
        .join()
        .unwrap();
    }
}
