//! One at a time makes accounts, or changes their expiry.

use rustix::fs::FlockOperation;
use shared::clock::Clock;
use shared::store::Places;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// Beside the publication lock.
const LOCK: &str = "useradd.lock";

/// How long one waits for the others.
const PATIENCE: Duration = Duration::from_secs(45);

/// Takes the lock; released when the file is closed. Nobody waits beyond `deadline`.
///
/// # Errors
/// The system's error with the path; another one does not end.
pub(super) fn lock(places: &Places, clock: &dyn Clock, deadline: Duration) -> io::Result<File> {
    let path = places.lock.with_file_name(LOCK);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(named)?;
    let give_up = clock.monotonic().saturating_add(PATIENCE).min(deadline);
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if clock.monotonic() < give_up => {
                clock.sleep(Duration::from_millis(10));
            }
            Err(errno) => return Err(named(errno.into())),
        }
    }
}
