//! getpwnam_r(3) and its relatives.

use crate::host::{HostError, Resolved};
use libc::{c_char, c_int, size_t};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr;

/// Where the buffer stops growing: more than any entry of passwd(5), and groups with very many members.
const MAX_BUFFER: usize = 16 * 1024 * 1024;

/// NGROUPS_MAX of <linux/limits.h>.
const MAX_GROUPS: usize = 65_536;

/// The passwd entry of a name.
///
/// # Errors
/// [`HostError::NameService`].
pub fn user_by_name(name: &str) -> Result<Option<Resolved>, HostError> {
    // A name with NUL is nobody's.
    let Ok(name) = CString::new(name) else { return Ok(None) };
    lookup(
        // SAFETY: all five pointers are valid for the call: `name` is NUL-ended, the others are `lookup`'s own.
        |entry, buffer, length, result| unsafe {
            libc::getpwnam_r(name.as_ptr(), entry, buffer, length, result)
        },
        resolved,
    )
}

/// The passwd entry of a uid.
///
/// # Errors
/// [`HostError::NameService`].
pub fn user_by_id(uid: u32) -> Result<Option<Resolved>, HostError> {
    lookup(
        // SAFETY: the pointers are `lookup`'s own and valid for the call.
        |entry, buffer, length, result| unsafe { libc::getpwuid_r(uid, entry, buffer, length, result) },
        resolved,
    )
}

fn resolved(entry: &libc::passwd) -> Resolved {
    Resolved {
        name: text(entry.pw_name),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
        home: text(entry.pw_dir),
        shell: text(entry.pw_shell),
    }
}

/// Does any source know a user or a group with this number?
///
/// # Errors
/// [`HostError::NameService`].
pub fn has_id(id: u32) -> Result<bool, HostError> {
    Ok(user_by_id(id)?.is_some() || has_group(id)?)
}

/// Numbers and names of the groups that a user is in, `gid` among them.
///
/// # Errors
/// [`HostError::NameService`]: more groups than the kernel takes, no memory, or a number that has no name.
pub fn groups_of(name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError> {
    let nameless = HostError::NameService(libc::ENOENT);
    let named = |gid| Ok((gid, group_name(gid)?.ok_or(nameless)?));
    gids_of(name, gid)?.into_iter().map(named).collect()
}

fn group_name(gid: u32) -> Result<Option<String>, HostError> {
    lookup(
        // SAFETY: the pointers are `lookup`'s own and valid for the call.
        |entry, buffer, length, result| unsafe { libc::getgrgid_r(gid, entry, buffer, length, result) },
        |entry: &libc::group| text(entry.gr_name),
    )
}

/// getgrouplist(3).
fn gids_of(name: &str, gid: u32) -> Result<Vec<u32>, HostError> {
    let Ok(name) = CString::new(name) else { return Ok(Vec::new()) };
    let mut gids = vec![0; 64];
    loop {
        let mut count = c_int::try_from(gids.len()).unwrap_or(c_int::MAX);
        // SAFETY: `name` is NUL-ended, and `gids` has room for `count` entries.
        let result = unsafe { libc::getgrouplist(name.as_ptr(), gid, gids.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or(0);
        if result >= 0 {
            gids.truncate(count);
            return Ok(gids);
        }
        if count <= gids.len() || count > MAX_GROUPS {
            return Err(HostError::NameService(libc::ERANGE));
        }
        gids.resize(count, 0);
    }
}

fn has_group(gid: u32) -> Result<bool, HostError> {
    let found = lookup(
        // SAFETY: the pointers are `lookup`'s own and valid for the call.
        |entry, buffer, length, result| unsafe { libc::getgrgid_r(gid, entry, buffer, length, result) },
        |_: &libc::group| (),
    )?;
    Ok(found.is_some())
}

/// Calls a reentrant lookup with a growing buffer. Such functions return 0 and a null result for "nobody"; some
/// sources say ENOENT or ESRCH instead (getpwnam_r(3)).
fn lookup<E, T>(
    call: impl Fn(*mut E, *mut c_char, size_t, *mut *mut E) -> c_int,
    read: impl Fn(&E) -> T,
) -> Result<Option<T>, HostError> {
    let mut buffer: Vec<c_char> = vec![0; 4096];
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut result = ptr::null_mut();
        match call(entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut result) {
            // SAFETY: on success the function points `result` at the `entry` it has filled; its strings lie in
            // `buffer`, which lives until `read` has copied them.
            0 if !result.is_null() => return Ok(Some(read(unsafe { &*result }))),
            0 | libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::ERANGE if buffer.len() < MAX_BUFFER => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            errno => return Err(HostError::NameService(errno)),
        }
    }
}

fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: not null, and libc ends the strings of an entry with NUL within the caller's buffer.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_and_nobody_else_is_made_up() {
        assert_eq!(user_by_name("root").unwrap().unwrap().uid, 0);
        assert_eq!(user_by_name("no-such-user-here").unwrap(), None);
        assert_eq!(user_by_name("a\0b").unwrap(), None);
        assert!(groups_of("root", 0).unwrap().contains(&(0, "root".into())));
        assert_eq!(user_by_id(0).unwrap().unwrap().name, "root");
        assert!(has_group(0).unwrap());
        assert_eq!(user_by_id(1_999_999_999).unwrap(), None);
        assert!(!has_id(1_999_999_999).unwrap());
    }
}
