//! An account as sshd, `id` and `ls` see it.

use crate::types::{Gid, LoginName, Uid};

/// The fields of passwd(5) and the supplementary groups of one person. The password field is always `x`, for which
/// pam_unix finds no shadow entry and refuses (design, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: LoginName,
    /// User id.
    pub uid: Uid,
    /// Primary group: the private group of the same number.
    pub gid: Gid,
    /// Comment field; empty, for nothing personal is published.
    pub gecos: String,
    /// Home directory, absolute.
    pub home: String,
    /// Login shell, absolute.
    pub shell: String,
    /// Supplementary groups, without the primary one.
    pub supplementary: Vec<Gid>,
}
