//! The newest published database, kept mapped for a process that looks up often.
//!
//! How a new one is noticed:
//!
//! * A publisher sets a byte in the old file ([`super::super::RETIRED_BYTE`]) before it renames the new one over it. Every
//!   process sees the byte through its mapping, without a system call, and from then on compares the path with what is
//!   mapped at every question. So an answer out of a file without the byte is as new as the question. A publisher that
//!   cannot set it waits until everybody has compared the path ([`INTERVAL`]).
//! * Where a mapping may miss what is written to its file ([`MappedFile::shows_writes`]), the path is compared before
//!   anything is said to be absent: somebody who was just published is found at once.
//! * In case the file was replaced in another way, one thread a second compares the path. The clock is the coarse one,
//!   which is read without a system call and is exact to some milliseconds.
//!
//! When the path shows no usable file, the old mapping is given up and the answer is that error, as in a process that has
//! just started; only where the process has run out of descriptors or memory is the old one used on.

use super::coarse_milliseconds;
use super::mapped::{Identity, MappedFile};
use super::slots::{Pin, Slots};
use crate::snapshot::{Layout, Snapshot, SnapshotError};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Between two looks at the path that no publisher has asked for.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The newest published database at a path. Made for a static: what it maps stays mapped until it is replaced.
pub struct SharedSnapshot {
    path: &'static str,
    mapped: &'static Mapped,
}

/// What a process has mapped. All zero when it is new: in a static of its own it takes no room in the module's file.
pub struct Mapped {
    /// When the path was last compared, in milliseconds of the coarse clock.
    compared: AtomicU32,
    slots: Slots<Published>,
}

struct Published {
    file: MappedFile,
    layout: Layout,
}

/// A database to be read now.
enum Held<'s> {
    Kept(Pin<'s, Published>),
    /// No slot was free, or another thread was faster with its own.
    Once(Published),
}

/// What is known about the age of a database.
#[derive(Clone, Copy)]
enum Age {
    /// It was the newest when this question was asked, or later.
    Now,
    /// It was at an earlier one, at most [`INTERVAL`] ago where the process has not run out of descriptors or memory.
    Before,
}

impl Deref for Held<'_> {
    type Target = Published;

    fn deref(&self) -> &Published {
        match self {
            Self::Kept(pin) => pin,
            Self::Once(published) => published,
        }
    }
}

impl Held<'_> {
    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot::reopen(self.file.bytes(), self.layout)
    }
}

impl Mapped {
    /// Nothing yet.
    #[must_use]
    #[allow(clippy::new_without_default)] // for statics
    pub const fn new() -> Self {
        Self { compared: AtomicU32::new(0), slots: Slots::new() }
    }
}

impl SharedSnapshot {
    /// The database at `path`, a file of root's. Nothing is opened yet.
    #[must_use]
    pub const fn new(path: &'static str, mapped: &'static Mapped) -> Self {
        Self { path, mapped }
    }

    /// What `ask` finds in the newest database. It is asked once more when it finds nothing, or fails, and a newer one
    /// had been published by then.
    ///
    /// # Errors
    /// There is no usable file, or what `ask` fails with.
    pub fn query<R>(
        &self,
        mut ask: impl FnMut(Snapshot<'_>) -> Result<Option<R>, SnapshotError>,
    ) -> Result<Option<R>, SnapshotError> {
        let (held, age) = self.newest()?;
        let answer = ask(held.snapshot());
        // An error may be that of a file which somebody has mended meanwhile.
        if matches!((&answer, age), (Ok(Some(_)), _) | (Ok(None), Age::Now)) {
            return answer;
        }
        match self.newer_than(&held)? {
            Some(newer) => ask(newer.snapshot()),
            None => answer,
        }
    }

    #[inline(never)] // once in the module, not in each of its entry points
    fn newest(&self) -> Result<(Held<'_>, Age), SnapshotError> {
        match self.mapped.slots.pin() {
            Some(pin) if !pin.file.is_retired() && !self.must_compare() => {
                let age = if pin.file.shows_writes() { Age::Now } else { Age::Before };
                Ok((Held::Kept(pin), age))
            }
            pin => self.renewed(pin),
        }
    }

    /// True once in an [`INTERVAL`], for one of the threads.
    fn must_compare(&self) -> bool {
        let (now, before) = (coarse_milliseconds(), self.mapped.compared.load(Ordering::Relaxed));
        // Also when the clock has gone back, as it does for a process that enters a time namespace.
        u128::from(now.wrapping_sub(before)) >= INTERVAL.as_millis()
            && self
                .mapped
                .compared
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    #[cold]
    fn renewed<'s>(&'s self, pin: Option<Pin<'s, Published>>) -> Result<(Held<'s>, Age), SnapshotError> {
        let Some(pin) = pin else { return Ok((self.open(None)?, Age::Now)) };
        let held = Held::Kept(pin);
        match self.newer_than(&held) {
            Ok(Some(newer)) => Ok((newer, Age::Now)),
            Ok(None) => Ok((held, Age::Now)),
            // What is found in the old one is an answer; before anybody is absent, the path is asked again.
            Err(SnapshotError::Resources(_)) => Ok((held, Age::Before)),
            Err(error) => Err(error),
        }
    }

    /// Another file than `held` that stands at the path now.
    fn newer_than<'s>(&'s self, held: &Held<'s>) -> Result<Option<Held<'s>>, SnapshotError> {
        let seen = match held {
            Held::Kept(pin) => Some(pin),
            Held::Once(_) => None,
        };
        match Identity::at(self.path) {
            Ok(identity) if identity == held.file.identity() => Ok(None),
            Err(error) => Err(self.give_up(seen, error)),
            Ok(_) => self.open(seen).map(Some),
        }
    }

    #[cold]
    fn open<'s>(&'s self, seen: Option<&Pin<'s, Published>>) -> Result<Held<'s>, SnapshotError> {
        // Before the file is opened: it is at least as new as this.
        self.mapped.compared.store(coarse_milliseconds(), Ordering::Relaxed);
        let published = Published::open(self.path).map_err(|error| self.give_up(seen, error))?;
        Ok(self
            .mapped
            .slots
            .replace(seen, published)
            .map_or_else(|published| self.once(seen, published), Held::Kept))
    }

    /// What could not be kept is used once. The outdated one must not answer the next question instead.
    fn once<'s>(&'s self, seen: Option<&Pin<'s, Published>>, published: Published) -> Held<'s> {
        if let Some(pin) = seen {
            self.mapped.slots.clear(pin);
        }
        Held::Once(published)
    }

    fn give_up(&self, seen: Option<&Pin<'_, Published>>, error: SnapshotError) -> SnapshotError {
        if let (Some(pin), false) = (seen, matches!(error, SnapshotError::Resources(_))) {
            self.mapped.slots.clear(pin);
        }
        error
    }
}

impl Published {
    fn open(path: &str) -> Result<Self, SnapshotError> {
        let file = MappedFile::open(path)?;
        let layout = Snapshot::open(file.bytes())?.layout;
        Ok(Self { file, layout })
    }
}
