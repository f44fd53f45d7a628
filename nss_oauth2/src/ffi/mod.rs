//! The edge to libc: everything of this crate that is `unsafe`.
#![allow(unsafe_code)] // C calls in with raw pointers

mod buffer;
mod entry;
// Elsewhere libc's own is asked.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod find_object;
mod grouplist;
mod status;
