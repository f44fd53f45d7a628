//! `libnss_oauth2.so.2`: the published people and groups, for every process that asks libc for a name.
//!
//! It is loaded into setuid programs, into daemons that fork while their threads look up, into programs that close
//! every descriptor. So a lookup takes no lock, keeps no descriptor, allocates nothing on a hit, writes to no stream,
//! and turns every fault, a panic included, into a status of nss(5).

pub mod lookup;

pub mod prospective;

pub mod enumeration;

mod ffi;
