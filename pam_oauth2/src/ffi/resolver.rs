//! How long the C library may look for a host's address.
//!
//! getaddrinfo(3) cannot be interrupted, and with resolv.conf(5)'s defaults it waits for a silent name server ten seconds, for
//! two of them twenty: longer than a request may take, while a thread that outlives the call is not allowed.

use libc::{c_int, c_ulong};
use std::time::Duration;

/// The beginning of `struct __res_state` of <resolv.h>, the same on every architecture since glibc 2.2: programs are compiled
/// with it, so that it cannot change.
#[repr(C)]
struct ResState {
    /// Seconds to wait for one name server.
    retrans: c_int,
    /// How often all of them are asked.
    retry: c_int,
    options: c_ulong,
    /// Number of name servers.
    nscount: c_int,
}

/// Try the domains of the search list for a name with dots.
const RES_DNSRCH: c_ulong = 0x200;

/// Do not read resolv.conf(5) again on the way. Without it a second call would be undone: the values it finds are then the
/// ones it sets, glibc takes them for nobody's wish, and puts its own in their place.
const RES_NORELOAD: c_ulong = 0x0200_0000;

unsafe extern "C" {
    /// The resolver state of the calling thread.
    fn __res_state() -> *mut ResState;
    /// Reads resolv.conf(5) into it.
    fn __res_init() -> c_int;
}

/// Do not ask again by TCP because an answer was cut: nothing bounds that. Addresses of one host fit.
const RES_IGNTC: c_ulong = 0x20;

/// Makes the resolver of the *calling thread* give up after about `limit`: fewer seconds for each server, and no search list
/// for names with dots, each of whose entries would take as long again. What resolv.conf(5) says is not exceeded. It concerns
/// this thread until it ends; other sources than `dns`, such as `resolve`, have limits of their own, and `options use-vc` has
/// none.
pub fn limit_lookups(limit: Duration) {
    // SAFETY: it writes to the calling thread's own state only.
    if unsafe { __res_init() } != 0 {
        return;
    }
    // SAFETY: never null; the state is the calling thread's own, lives as long as the thread, and nobody else refers to it
    // while this function runs. `ResState` is its beginning.
    let state = unsafe { &mut *__res_state() };
    let seconds = c_int::try_from(limit.as_secs()).unwrap_or(c_int::MAX);
    let each = seconds / state.nscount.clamp(1, 3);
    let (retrans, retry) = if each >= 2 { (each / 2, 2) } else { (1, 1) };
    state.retrans = state.retrans.min(retrans);
    state.retry = state.retry.min(retry);
    state.options = state.options & !RES_DNSRCH | RES_NORELOAD | RES_IGNTC;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_up_in_time_and_leaves_the_others_alone() {
        for (seconds, most) in [(10, 5), (2, 1), (0, 1)] {
            let (retrans, retry, options) = std::thread::spawn(move || {
                limit_lookups(Duration::from_secs(seconds));
                limit_lookups(Duration::from_secs(seconds));
                // SAFETY: this thread's own state.
                let state = unsafe { &*__res_state() };
                (state.retrans, state.retry, state.options)
            })
            .join()
            .unwrap();
            assert!(
                retrans >= 1 && retrans <= most && (1..=2).contains(&retry),
                "{seconds}: {retrans} {retry}"
            );
            assert_eq!(options & (RES_DNSRCH | RES_NORELOAD | RES_IGNTC), RES_NORELOAD | RES_IGNTC);
        }
        // SAFETY: as above; nobody has initialised or limited the resolver of this thread.
        let untouched = unsafe { (__res_init(), (*__res_state()).options & RES_DNSRCH) };
        assert_eq!(untouched, (0, RES_DNSRCH));
    }
}
