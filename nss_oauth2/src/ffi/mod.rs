//! The edge to libc: everything of this crate that is `unsafe`.
#![allow(unsafe_code)] // C calls in with raw pointers

mod buffer;
mod entry;
mod grouplist;
mod status;
