//! What the PAM module, the NSS module and the admin command have in common.
//!
//! Nothing here talks to a network, to PAM or to NSS. The order of the modules is their order of dependency:
//! each uses only those above it.

mod words;

pub mod types;

pub mod text;

pub mod clock;
pub mod paths;

pub mod secure_file;

pub mod etc;
pub mod identity;

pub mod first_login;

#[cfg(feature = "config")]
pub mod unique_keys;

#[cfg(feature = "config")]
pub mod config;

pub mod snapshot;

pub mod prospective;

#[cfg(feature = "store")]
pub mod store;
