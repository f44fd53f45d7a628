//! `tests/abi/exercise.c` with the module's own code linked into it, so that a sanitizer sees both sides of every entry
//! point: `tests/sanitizers/run`. The program itself is C and uses libc's threads; nothing of Rust's standard library
//! runs but what the module calls.
#![no_main]

// Only for its symbols, which the C program calls.
use nss_oauth2 as _;

#[link(name = "exercise", kind = "static")]
unsafe extern "C" {
    fn exercise(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int;
}

#[unsafe(no_mangle)]
extern "C" fn main(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int {
    // SAFETY: the arguments are handed on as they came from libc.
    unsafe { exercise(count, arguments) }
}
