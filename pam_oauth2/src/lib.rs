//! The PAM module: sign-in by the OAuth 2.0 Device Authorization Grant (RFC 8628).
//!
//! The order of the modules is their order of dependency. [`login`] is the pipeline; it sees the host, the network, the
//! clock and the store through arguments. Everything unsafe is in `ffi`.

pub mod host;

pub mod args;

pub mod oauth;

pub mod limits;

pub mod outcome;

pub mod admission;

pub mod provision;

pub mod home;

pub mod prompt;

pub mod login;

mod ffi;

/// Runs programs, for the admin command: as the module does.
pub use ffi::child::Commands;

/// The machine's name service, for the admin command: the same calls as the module's.
pub mod name_service {
    pub use crate::ffi::names::{groups_of, has_id, user_by_id, user_by_name};
    pub use crate::ffi::resolver::limit_lookups;
}
