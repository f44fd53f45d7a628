//! A lock on an account that useradd made. People in /etc/passwd are local people to pam_unix: where this package's own
//! account phase cannot answer, the account's day of expiry does.

use super::tools::Tools;
use crate::home::{CommandError, RunCommand};
use shared::types::LoginName;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// 1970-01-02, in days: no administrator's own choice, and not 0, which shadow(5) leaves undefined.
const OURS: &str = "1";

/// Why the expiry of an account could not be undone.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// shadow(5).
    #[error("shadow cannot be read: {0}")]
    Shadow(#[from] io::Error),
    /// usermod(8).
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Lets the account expire: `usermod --expiredate 1`. A day that an administrator had set before is lost.
///
/// # Errors
/// See [`CommandError`].
pub fn expire(commands: &dyn RunCommand, name: &LoginName) -> Result<(), CommandError> {
    Tools { commands }.expire(name, OURS)
}

/// Undoes [`expire`] where `shadow` (/etc/shadow) says that the day is ours; `false`: it is not, and nothing was done.
///
/// # Errors
/// See [`ExpiryError`].
pub fn unexpire(commands: &dyn RunCommand, shadow: &Path, name: &LoginName) -> Result<bool, ExpiryError> {
    if !is_ours(shadow, name)? {
        return Ok(false);
    }
    Tools { commands }.expire(name, "")?;
    Ok(true)
}

fn is_ours(shadow: &Path, name: &LoginName) -> io::Result<bool> {
    for line in BufReader::new(std::fs::File::open(shadow)?).split(b'\n') {
        let line = line?;
        let mut fields = line.split(|byte| *byte == b':');
        // Name, password, and five numbers before the day of expiry (shadow(5)).
        if fields.next() == Some(name.as_str().as_bytes()) {
            return Ok(fields.nth(6) == Some(OURS.as_bytes()));
        }
    }
    Ok(false)
}
