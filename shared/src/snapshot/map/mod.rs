//! Mapping the published database.
#![allow(unsafe_code)] // one call of libc

mod mapped;
mod shared;
mod slots;

pub use mapped::MappedFile;
pub use shared::{INTERVAL, Mapped, SharedSnapshot};

/// The kernel's coarse monotonic clock, modulo 2^32 (seven weeks): only differences are used. Read from the vDSO
/// (clock_gettime(2)), without a system call.
fn coarse_milliseconds() -> u32 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec of this frame; on failure, which this clock does not know, it stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    (now.tv_sec as u32).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u32)
}
