//! The caller's buffer, carved into strings and an aligned array of pointers. Nothing is written behind its end, and
//! the result is written only when everything has found room.

use crate::lookup::{GroupEntry, LookupError, PasswdEntry};
use libc::{c_char, size_t};
use libnss::group::CGroup;
use libnss::passwd::CPasswd;
use shared::snapshot::{Blob, SnapshotError, is_packed_names, name_ends};
use std::mem::MaybeUninit;

/// pam_unix looks a password of `x` up in shadow(5), finds nobody there, and refuses.
const PASSWORD: &[u8] = b"x";

/// What is left of the buffer.
pub(super) struct Room<'b> {
    free: &'b mut [MaybeUninit<u8>],
}

impl<'b> Room<'b> {
    /// # Safety
    /// `start` is null or points to `length` bytes that may be written, and that nobody else touches, for `'b`.
    pub(super) unsafe fn new(start: *mut c_char, length: size_t) -> Self {
        if start.is_null() {
            return Self { free: &mut [] };
        }
        // No object is larger; a caller that says SIZE_MAX means "enough".
        let length = length.min(isize::MAX.unsigned_abs());
        // SAFETY: the caller's promise; bytes that may be uninitialised have no other demand. Of a length that was made up
        // no more is touched than an entry takes, for which the caller has room.
        Self { free: unsafe { std::slice::from_raw_parts_mut(start.cast(), length) } }
    }

    fn bytes(&mut self, length: usize) -> Result<&'b mut [MaybeUninit<u8>], LookupError> {
        match std::mem::take(&mut self.free).split_at_mut_checked(length) {
            Some((taken, rest)) => {
                self.free = rest;
                Ok(taken)
            }
            None => Err(LookupError::TooSmall),
        }
    }

    /// `text` and a NUL.
    fn string(&mut self, text: &[u8]) -> Result<*mut c_char, LookupError> {
        let place = self.bytes(text.len() + 1)?;
        if let Some((last, place)) = place.split_last_mut() {
            write_bytes(place, text);
            last.write(0);
        }
        Ok(place.as_mut_ptr().cast())
    }

    /// Room for `count` pointers, where a pointer may stand.
    fn pointers(&mut self, count: usize) -> Result<&'b mut [MaybeUninit<*mut c_char>], LookupError> {
        let padding = self.free.as_ptr().align_offset(align_of::<*mut c_char>());
        self.bytes(padding)?;
        let length = count.checked_mul(size_of::<*mut c_char>()).ok_or(LookupError::TooSmall)?;
        let place = self.bytes(length)?;
        // SAFETY: `place` is ours alone for 'b, begins aligned and has `count` times the size; any bytes will do.
        Ok(unsafe { std::slice::from_raw_parts_mut(place.as_mut_ptr().cast(), count) })
    }
}

/// Copies an entry of passwd(5).
///
/// # Safety
/// `result` points to a struct passwd that may be written.
pub(super) unsafe fn put_passwd(
    entry: PasswdEntry<'_>,
    result: *mut CPasswd,
    mut room: Room<'_>,
) -> Result<(), LookupError> {
    let filled = CPasswd {
        name: room.string(entry.name.as_bytes())?,
        passwd: room.string(PASSWORD)?,
        uid: entry.uid,
        gid: entry.gid,
        gecos: room.string(entry.gecos)?,
        dir: room.string(entry.home)?,
        shell: room.string(entry.shell)?,
    };
    // SAFETY: the caller's promise.
    unsafe { result.write(filled) };
    Ok(())
}

/// Copies an entry of group(5).
///
/// # Safety
/// `result` points to a struct group that may be written.
pub(super) unsafe fn put_group(
    entry: GroupEntry<'_>,
    result: *mut CGroup,
    mut room: Room<'_>,
) -> Result<(), LookupError> {
    let filled = CGroup {
        // First, since an aligned place is most likely at the beginning.
        members: put_members(entry.members, &mut room)?,
        name: room.string(entry.name.as_bytes())?,
        passwd: room.string(PASSWORD)?,
        gid: entry.gid,
    };
    // SAFETY: the caller's promise.
    unsafe { result.write(filled) };
    Ok(())
}

/// The names as they are packed, NULs and all, and an array of pointers to them that null ends.
fn put_members(
    members: Option<(u32, Blob<'_>)>,
    room: &mut Room<'_>,
) -> Result<*mut *mut c_char, LookupError> {
    let count = members.map_or(0, |(count, _)| count as usize);
    let pointers = room.pointers(count + 1)?;
    let (last, pointers_to_names) = pointers.split_last_mut().ok_or(LookupError::TooSmall)?;
    last.write(std::ptr::null_mut());
    if let Some((_, packed)) = members {
        put_names(packed, pointers_to_names, room.bytes(packed.len())?)?;
    }
    Ok(pointers.as_mut_ptr().cast())
}

/// Copies the packed names to `place`, as long as they are, and writes a pointer to each.
fn put_names(
    packed: Blob<'_>,
    pointers: &mut [MaybeUninit<*mut c_char>],
    place: &mut [MaybeUninit<u8>],
) -> Result<(), LookupError> {
    const BAD: LookupError = LookupError::Database(SnapshotError::Damaged("a list of members"));
    // All is written through this, and `place` is not used again: the pointers to names stay good.
    let (base, room) = (place.as_mut_ptr().cast::<u8>(), place.len());
    let mut slots = pointers.iter_mut();
    // Offsets in the list: of the current name, and of the current chunk.
    let (mut name, mut chunk_start) = (0, 0);
    for chunk in packed.chunks() {
        let chunk = chunk?;
        if !is_packed_names(chunk) {
            return Err(BAD);
        }
        if chunk.len() > room - chunk_start {
            return Err(BAD);
        }
        // SAFETY: from `chunk_start` on, which is not behind its end, `place` has at least as many bytes as `chunk`, and
        // nobody else has a reference to them.
        unsafe { base.add(chunk_start).copy_from_nonoverlapping(chunk.as_ptr(), chunk.len()) };
        for end in name_ends(chunk) {
            let end = chunk_start + end;
            if end == name {
                return Err(BAD);
            }
            slots.next().ok_or(BAD)?.write(base.wrapping_add(name).cast());
            name = end + 1;
        }
        chunk_start += chunk.len();
    }
    // Every pointer has a name, and the last name its NUL.
    if slots.next().is_none() && name == packed.len() { Ok(()) } else { Err(BAD) }
}

/// Compiles to one memcpy.
fn write_bytes(place: &mut [MaybeUninit<u8>], bytes: &[u8]) {
    for (slot, byte) in place.iter_mut().zip(bytes) {
        slot.write(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::snapshot::{Group, Snapshot};
    use std::ffi::CStr;

    const ANN: PasswdEntry<'_> =
        PasswdEntry { name: "ann", uid: 5000, gid: 5001, gecos: b"", home: b"/home/ann", shell: b"/bin/sh" };

    /// The C strings of the result, or the error.
    fn put(buffer: &mut [u8]) -> Result<Vec<String>, LookupError> {
        let mut result = MaybeUninit::<CPasswd>::uninit();
        // SAFETY: `result` and `buffer` are of this frame; on success all fields are written and point into `buffer`.
        unsafe {
            put_passwd(ANN, result.as_mut_ptr(), Room::new(buffer.as_mut_ptr().cast(), buffer.len()))?;
            let CPasswd { name, passwd, gecos, dir, shell, .. } = result.assume_init();
            let text = |field: *mut c_char| CStr::from_ptr(field).to_str().unwrap().to_owned();
            Ok([name, passwd, gecos, dir, shell].map(text).to_vec())
        }
    }

    #[test]
    fn an_entry_finds_room_in_exactly_as_many_bytes_as_it_has() {
        let needed = "ann x  /home/ann /bin/sh ".len();
        assert_eq!(put(&mut vec![0xff; needed]).unwrap(), ["ann", "x", "", "/home/ann", "/bin/sh"]);
        for size in 0..needed {
            assert!(matches!(put(&mut vec![0xff; size]), Err(LookupError::TooSmall)), "{size}");
        }
    }

    #[test]
    fn no_buffer_at_all_is_too_small() {
        // SAFETY: null is allowed.
        let mut room = unsafe { Room::new(std::ptr::null_mut(), 4096) };
        assert!(matches!(room.string(b""), Err(LookupError::TooSmall)));
    }

    #[test]
    fn the_pointers_to_members_stand_where_pointers_may() {
        for shift in 0..8 {
            let mut buffer = vec![0_u8; shift + 64];
            let mut result = MaybeUninit::<CGroup>::uninit();
            let entry = GroupEntry { name: "ann", gid: 5000, members: None };
            // SAFETY: `result` and `buffer` are of this frame; on success all fields are written.
            let members = unsafe {
                let start = buffer.as_mut_ptr().add(shift).cast();
                put_group(entry, result.as_mut_ptr(), Room::new(start, 64)).unwrap();
                result.assume_init().members
            };
            assert!(members.is_aligned());
            // SAFETY: written, and aligned.
            assert!(unsafe { *members }.is_null());
        }
    }

    /// Files that the publication made; in the second, a list of members continues on another page.
    const PUBLISHED: [&[u8]; 2] = [
        include_bytes!("../../../fuzz/corpus/reader/published-few"),
        include_bytes!("../../../fuzz/corpus/reader/published-members"),
    ];

    /// The members in a buffer of `size` bytes that begins where a pointer may stand, or the error.
    fn put_members_of(group: &Group<'_>, size: usize) -> Result<Vec<String>, LookupError> {
        let mut buffer = vec![0_usize; size.div_ceil(size_of::<usize>())];
        let mut result = MaybeUninit::<CGroup>::uninit();
        let members = Some((group.member_count, group.packed_members()));
        let entry = GroupEntry { name: group.name, gid: group.gid, members };
        // SAFETY: `result` and `buffer` are of this frame; on success all fields are written and point into `buffer`.
        unsafe {
            put_group(entry, result.as_mut_ptr(), Room::new(buffer.as_mut_ptr().cast(), size))?;
            let CGroup { name, members, .. } = result.assume_init();
            assert_eq!(CStr::from_ptr(name).to_str(), Ok(group.name));
            let all = (0..).map(|place| *members.add(place)).take_while(|name| !name.is_null());
            Ok(all.map(|name| CStr::from_ptr(name).to_str().unwrap().to_owned()).collect())
        }
    }

    #[test]
    fn a_group_finds_room_with_all_its_members_in_exactly_as_many_bytes_as_it_has() {
        let mut most = 0;
        for file in PUBLISHED {
            let snapshot = Snapshot::open(file).unwrap();
            let mut after = None;
            while let Some(group) = snapshot.groups_after(after).unwrap() {
                let members = group.members().unwrap();
                let pointers = (members.len() + 1) * size_of::<*mut c_char>();
                let needed =
                    pointers + group.packed_members().len() + group.name.len() + 1 + PASSWORD.len() + 1;
                assert_eq!(put_members_of(&group, needed).unwrap(), members);
                for size in (0..needed.min(64)).chain(needed.saturating_sub(64)..needed) {
                    assert!(
                        matches!(put_members_of(&group, size), Err(LookupError::TooSmall)),
                        "{size} of {needed}"
                    );
                }
                most = most.max(needed);
                after = Some(group.gid);
            }
        }
        assert!(most > 4096, "none continues on another page");
    }
}
