//! setpwent, getpwent, endpwent and the same for groups: where the enumeration is. libc keeps one per process and
//! calls with a lock held, so a position is all there is to keep, and it survives a new publication: entries come in
//! the order of their ids.

use crate::lookup::{self, Answer, GroupEntry, LookupError, Outcome, PasswdEntry};
use shared::snapshot::SharedSnapshot;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The last id that was served.
struct Position(AtomicU32);

impl Position {
    const fn start() -> Self {
        Self(AtomicU32::new(0))
    }

    /// No entry has the id 0, so it stands for the start.
    fn last(&self) -> Option<u32> {
        Some(self.0.load(Relaxed)).filter(|id| *id != 0)
    }

    fn set(&self, id: u32) {
        self.0.store(id, Relaxed);
    }
}

/// getpwent(3).
pub struct People {
    last: Position,
}

impl People {
    /// At the start.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: Position::start() }
    }

    /// Back to the start.
    pub fn rewind(&self) {
        self.last.set(0);
    }

    /// The next entry. It stays the next one until `copy` has succeeded: the caller comes back with a larger buffer.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub fn next(
        &self,
        database: &SharedSnapshot,
        mut copy: impl FnMut(PasswdEntry<'_>) -> Result<(), LookupError>,
    ) -> Answer {
        let mut served = 0;
        let answer = lookup::passwd_after(database, self.last.last(), |entry| {
            served = entry.uid;
            copy(entry)
        })?;
        if answer == Outcome::Found {
            self.last.set(served);
        }
        Ok(answer)
    }
}

impl Default for People {
    fn default() -> Self {
        Self::new()
    }
}

/// getgrent(3): first the groups with rows of their own, then the private ones.
pub struct Groups {
    private: AtomicBool,
    last: Position,
}

impl Groups {
    /// At the start.
    #[must_use]
    pub const fn new() -> Self {
        Self { private: AtomicBool::new(false), last: Position::start() }
    }

    /// Back to the start.
    pub fn rewind(&self) {
        self.private.store(false, Relaxed);
        self.last.set(0);
    }

    /// The next entry; as [`People::next`].
    ///
    /// # Errors
    /// See [`LookupError`].
    pub fn next(
        &self,
        database: &SharedSnapshot,
        mut copy: impl FnMut(GroupEntry<'_>) -> Result<(), LookupError>,
    ) -> Answer {
        let mut served = 0;
        let mut remember = |entry: GroupEntry<'_>| {
            served = entry.gid;
            copy(entry)
        };
        let mut answer = Outcome::Absent;
        if !self.private.load(Relaxed) {
            answer = lookup::group_after(database, self.last.last(), &mut remember)?;
        }
        if answer == Outcome::Absent {
            if !self.private.swap(true, Relaxed) {
                self.last.set(0);
            }
            answer = lookup::private_group_after(database, self.last.last(), &mut remember)?;
        }
        if answer == Outcome::Found {
            self.last.set(served);
        }
        Ok(answer)
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}
