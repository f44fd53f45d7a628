//! The growing array of initgroups_dyn, as glibc's own sources treat it (nss/nss_files/files-initgroups.c).

use crate::lookup::LookupError;
use libc::{c_long, gid_t};
use shared::snapshot::SnapshotError;
use std::mem::MaybeUninit;

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
    /// none. What the limit leaves no room for is cut off, as every other source does. `copy` gets places and the gid
    /// to leave out, and fills as many as it can from the front.
    pub(super) fn enter(
        &self,
        mut copy: impl FnMut(&mut [MaybeUninit<gid_t>], gid_t) -> Result<usize, SnapshotError>,
    ) -> Result<(), LookupError> {
        self.set_filled(self.before)?;
        let mut filled = self.before;
        // SAFETY: the promise of `new`.
        let (mut room, mut array) = unsafe { (usize::try_from(*self.size).unwrap_or(0), *self.groups) };
        loop {
            if let Some(free @ 1..) = room.checked_sub(filled) {
                // SAFETY: `array` has `room` entries, and those from `filled` on hold nothing.
                let places = unsafe { std::slice::from_raw_parts_mut(array.add(filled).cast(), free) };
                filled += copy(places, self.skip)?;
                if filled < room {
                    break;
                }
            }
            // No room is made for nobody.
            let mut next = MaybeUninit::uninit();
            if copy(std::slice::from_mut(&mut next), self.skip)? == 0 {
                break;
            }
            match self.grow(room)? {
                Some(grown) => (room, array) = grown,
                None => break,
            }
            // SAFETY: `grow` has made the array longer than `filled`, which was its end.
            unsafe { array.add(filled).cast::<MaybeUninit<gid_t>>().write(next) };
            filled += 1;
        }
        self.set_filled(filled)
    }

    /// As [`Self::enter`], for gids that are not in a file.
    pub(super) fn enter_each(&self, gids: impl Iterator<Item = gid_t>) -> Result<(), LookupError> {
        let mut gids = gids.filter(|gid| *gid != self.skip);
        self.enter(|places, _| {
            Ok(places.iter_mut().zip(&mut gids).map(|(place, gid)| place.write(gid)).count())
        })
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

        fn list(&mut self, limit: c_long) -> GroupList {
            // SAFETY: the fields describe an array of malloc's, and outlive the list.
            unsafe { GroupList::new(7, &mut self.start, &mut self.size, &mut self.groups, limit) }
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
        array.list(-1).enter_each([1, 7, 2].into_iter()).unwrap();
        assert_eq!(array.filled(), [7, 1, 2]);
        assert_eq!(array.size, 4);
    }

    #[test]
    fn the_array_is_doubled_up_to_the_limit() {
        let mut array = Array::with(7, 1);
        array.list(0).enter_each(1000..1100).unwrap();
        assert_eq!((array.start, array.size), (101, 128));
        let mut limited = Array::with(7, 1);
        limited.list(20).enter_each(1000..1100).unwrap();
        assert_eq!((limited.start, limited.size), (20, 20));
        assert_eq!(limited.filled()[19], 1018);
    }

    #[test]
    fn a_fault_leaves_nothing_entered() {
        let mut array = Array::with(7, 4);
        let fault = |places: &mut [MaybeUninit<gid_t>], _| {
            places[0].write(1);
            Err(SnapshotError::Damaged(""))
        };
        assert!(array.list(-1).enter(fault).is_err());
        assert_eq!(array.filled(), [7]);
    }
}
