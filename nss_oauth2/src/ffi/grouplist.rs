//! The growing array of initgroups_dyn, as glibc's own sources treat it (nss/nss_files/files-initgroups.c).

use crate::lookup::LookupError;
use libc::{c_long, gid_t};
use shared::snapshot::SnapshotError;

/// The array of libc: of `size` entries `start` are filled.
pub(super) struct GroupList {
    /// The primary group, which libc has entered already.
    skip: gid_t,
    start: *mut c_long,
    size: *mut c_long,
    groups: *mut *mut gid_t,
    /// Most entries there may be; none if it is not positive.
    limit: c_long,
    /// Entries that other sources have filled.
    before: usize,
}

impl GroupList {
    /// # Safety
    /// As long as the value lives, all pointers may be read and written by it alone; `*groups` came from malloc and has
    /// room for `*size` gids, of which `*start`, not more, are filled.
    pub(super) unsafe fn new(
        skip: gid_t,
        start: *mut c_long,
        size: *mut c_long,
        groups: *mut *mut gid_t,
        limit: c_long,
    ) -> Self {
        // SAFETY: the caller's promise.
        let before = unsafe { *start };
        Self { skip, start, size, groups, limit, before: usize::try_from(before).unwrap_or(0) }
    }

    /// Enters gids behind those of other sources, in the place of those that an earlier call has entered; on an error
    /// none. What the limit leaves no room for is cut off, as every other source does.
    pub(super) fn enter(
        &self,
        gids: impl Iterator<Item = Result<u32, SnapshotError>>,
    ) -> Result<(), LookupError> {
        self.set_filled(self.before)?;
        let mut filled = self.before;
        // SAFETY: the promise of `new`.
        let (mut room, mut array) = unsafe { (usize::try_from(*self.size).unwrap_or(0), *self.groups) };
        for gid in gids {
            let gid = gid?;
            if gid == self.skip {
                continue;
            }
            if filled >= room {
                match self.grow(room)? {
                    Some(grown) => (room, array) = grown,
                    None => break,
                }
            }
            // SAFETY: `array` has `room` entries, and `filled` is below that.
            unsafe { array.add(filled).write(gid) };
            filled += 1;
        }
        self.set_filled(filled)
    }

    fn set_filled(&self, filled: usize) -> Result<(), LookupError> {
        let filled = c_long::try_from(filled).map_err(|_| LookupError::OutOfMemory)?;
        // SAFETY: the promise of `new`.
        unsafe { *self.start = filled };
        Ok(())
    }

    /// Doubles the array, up to the limit; None where that is reached. It is never made smaller: other sources come
    /// after this one.
    fn grow(&self, room: usize) -> Result<Option<(usize, *mut gid_t)>, LookupError> {
        let limit = usize::try_from(self.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        if room >= limit {
            return Ok(None);
        }
        let larger = room.max(8).saturating_mul(2).min(limit);
        let size = c_long::try_from(larger).map_err(|_| LookupError::OutOfMemory)?;
        let bytes = larger.checked_mul(size_of::<gid_t>()).ok_or(LookupError::OutOfMemory)?;
        // SAFETY: the promise of `new`: the array is malloc's. On failure it stays as it is.
        let moved = unsafe { libc::realloc((*self.groups).cast(), bytes) }.cast::<gid_t>();
        if moved.is_null() {
            return Err(LookupError::OutOfMemory);
        }
        // SAFETY: the promise of `new`.
        unsafe { (*self.groups, *self.size) = (moved, size) };
        Ok(Some((larger, moved)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Array {
        start: c_long,
        size: c_long,
        groups: *mut gid_t,
    }

    impl Array {
        fn with(first: gid_t, size: c_long) -> Self {
            // SAFETY: room for `size` gids, the first of which is written.
            unsafe {
                let groups = libc::malloc(size as usize * size_of::<gid_t>()).cast::<gid_t>();
                groups.write(first);
                Self { start: 1, size, groups }
            }
        }

        fn enter(&mut self, gids: &[Result<u32, SnapshotError>], limit: c_long) -> Result<(), LookupError> {
            // SAFETY: the fields describe an array of malloc's.
            let list = unsafe { GroupList::new(7, &mut self.start, &mut self.size, &mut self.groups, limit) };
            list.enter(gids.iter().copied())
        }

        fn filled(&self) -> &[gid_t] {
            // SAFETY: `start` gids are filled.
            unsafe { std::slice::from_raw_parts(self.groups, self.start as usize) }
        }
    }

    impl Drop for Array {
        fn drop(&mut self) {
            // SAFETY: malloc's, and not used any more.
            unsafe { libc::free(self.groups.cast()) };
        }
    }

    #[test]
    fn gids_are_entered_behind_those_of_others_and_the_primary_one_is_not() {
        let mut array = Array::with(7, 4);
        array.enter(&[Ok(1), Ok(7), Ok(2)], -1).unwrap();
        assert_eq!(array.filled(), [7, 1, 2]);
        assert_eq!(array.size, 4);
    }

    #[test]
    fn the_array_is_doubled_up_to_the_limit() {
        let many: Vec<_> = (1000..1100).map(Ok).collect();
        let mut array = Array::with(7, 1);
        array.enter(&many, 0).unwrap();
        assert_eq!((array.start, array.size), (101, 128));
        let mut limited = Array::with(7, 1);
        limited.enter(&many, 20).unwrap();
        assert_eq!((limited.start, limited.size), (20, 20));
        assert_eq!(limited.filled()[19], 1018);
    }

    #[test]
    fn a_fault_leaves_nothing_entered() {
        let mut array = Array::with(7, 4);
        assert!(array.enter(&[Ok(1), Err(SnapshotError::Damaged(""))], -1).is_err());
        assert_eq!(array.filled(), [7]);
    }
}
