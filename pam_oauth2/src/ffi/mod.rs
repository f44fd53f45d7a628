//! The edge to libpam and libc: everything unsafe of this crate. Each block says which promise holds and why.
#![allow(unsafe_code)]

pub(crate) mod child;
mod entry;
mod handle;
mod log;
mod login_id;
pub(crate) mod names;
pub(crate) mod resolver;
mod signals;
