//! Who somebody is, under which name and number, and whether they may come in. Pure: no file, no clock, no network.

pub mod account;
pub mod admissible;
pub mod claims;
pub mod ids;
#[cfg(feature = "config")]
pub mod mapping;
#[cfg(feature = "config")]
pub mod policy;
#[cfg(feature = "config")]
pub mod privileged;
