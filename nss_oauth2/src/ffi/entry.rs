//! The symbols that libc looks for (nss(5)): `_nss_oauth2_` and the name of a function.
//!
//! What glibc promises, and every `SAFETY` below relies on: names are C strings; `result`, `buffer` with its length
//! and `errnop` are the caller's own for the time of the call (nss/getXXbyYY_r.c, nss/getXXent_r.c); the array of
//! initgroups_dyn came from malloc (grp/initgroups.c).

use super::buffer::{Room, put_group, put_passwd};
use super::grouplist::GroupList;
use super::status::guard;
use crate::enumeration::{Groups, People};
use crate::lookup::{self, Answer, GroupEntry, LookupError, Outcome, PasswdEntry};
use crate::prospective::{self, Prospect, Sources};
use libc::{c_char, c_int, c_long, gid_t, size_t, uid_t};
use libnss::group::CGroup;
use libnss::passwd::CPasswd;
use shared::identity::account::Account;
use shared::paths;
use shared::snapshot::{Mapped, SharedSnapshot};
use std::ffi::CStr;

static DATABASE: SharedSnapshot = SharedSnapshot::new(paths::NSS_DB, &MAPPED);
static MAPPED: Mapped = Mapped::new();
static PEOPLE: People = People::new();
static GROUPS: Groups = Groups::new();

/// # Safety
/// As getpwnam_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getpwnam_r(
    name: *const c_char,
    result: *mut CPasswd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: PasswdEntry<'_>| unsafe { put_passwd(entry, result, Room::new(buffer, length)) };
    let body = || {
        // SAFETY: see the head of the file.
        let name = unsafe { bytes(name) };
        let published = || lookup::passwd_by_name(&DATABASE, name, copy);
        or_prospective(name, published, |account| copy(account.into()))
    };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, body) }
}

/// # Safety
/// As getpwuid_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getpwuid_r(
    uid: uid_t,
    result: *mut CPasswd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: PasswdEntry<'_>| unsafe { put_passwd(entry, result, Room::new(buffer, length)) };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, || lookup::passwd_by_uid(&DATABASE, uid, copy)) }
}

/// # Safety
/// None: takes nothing of the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_setpwent(_stay_open: c_int) -> c_int {
    PEOPLE.rewind();
    // SAFETY: null is allowed.
    unsafe { guard(std::ptr::null_mut(), || Ok(Outcome::Found)) }
}

/// # Safety
/// As getpwent_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getpwent_r(
    result: *mut CPasswd,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: PasswdEntry<'_>| unsafe { put_passwd(entry, result, Room::new(buffer, length)) };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, || PEOPLE.next(&DATABASE, copy)) }
}

/// # Safety
/// None: takes nothing of the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_endpwent() -> c_int {
    // SAFETY: as there.
    unsafe { _nss_oauth2_setpwent(0) }
}

/// # Safety
/// As getgrnam_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getgrnam_r(
    name: *const c_char,
    result: *mut CGroup,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: GroupEntry<'_>| unsafe { put_group(entry, result, Room::new(buffer, length)) };
    let body = || {
        // SAFETY: see the head of the file.
        let name = unsafe { bytes(name) };
        let published = || lookup::group_by_name(&DATABASE, name, copy);
        or_prospective(name, published, |account| copy(GroupEntry::prospective(account)))
    };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, body) }
}

/// # Safety
/// As getgrgid_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getgrgid_r(
    gid: gid_t,
    result: *mut CGroup,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: GroupEntry<'_>| unsafe { put_group(entry, result, Room::new(buffer, length)) };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, || lookup::group_by_gid(&DATABASE, gid, copy)) }
}

/// # Safety
/// None: takes nothing of the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_setgrent(_stay_open: c_int) -> c_int {
    GROUPS.rewind();
    // SAFETY: null is allowed.
    unsafe { guard(std::ptr::null_mut(), || Ok(Outcome::Found)) }
}

/// # Safety
/// As getgrent_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_getgrent_r(
    result: *mut CGroup,
    buffer: *mut c_char,
    length: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: see the head of the file.
    let copy = |entry: GroupEntry<'_>| unsafe { put_group(entry, result, Room::new(buffer, length)) };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, || GROUPS.next(&DATABASE, copy)) }
}

/// # Safety
/// None: takes nothing of the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_endgrent() -> c_int {
    // SAFETY: as there.
    unsafe { _nss_oauth2_setgrent(0) }
}

/// # Safety
/// As glibc's sources: `start`, `size` and `groups` describe an array of malloc's, which may be moved.
#[unsafe(no_mangle)]
unsafe extern "C" fn _nss_oauth2_initgroups_dyn(
    name: *const c_char,
    skip: gid_t,
    start: *mut c_long,
    size: *mut c_long,
    groups: *mut *mut gid_t,
    limit: c_long,
    errnop: *mut c_int,
) -> c_int {
    let body = || {
        // SAFETY: see the head of the file.
        let name = unsafe { bytes(name) };
        // SAFETY: see the head of the file.
        let list = unsafe { GroupList::new(skip, start, size, groups, limit) };
        let published = || {
            lookup::supplementary(&DATABASE, name, |mut gids| {
                list.enter(|places, skip| gids.copy_to(places, skip))
            })
        };
        or_prospective(name, published, |account| {
            list.enter_each(account.supplementary.iter().map(|gid| gid.get()))
        })
    };
    // SAFETY: see the head of the file.
    unsafe { guard(errnop, body) }
}

/// What is published; and if that is nothing, and this is root's sshd, what `serve` makes of the account that the
/// first login would make.
fn or_prospective(
    name: &[u8],
    published: impl Fn() -> Answer,
    serve: impl Fn(&Account) -> Result<(), LookupError>,
) -> Answer {
    let answer = published()?;
    if answer == Outcome::Found || !prospective::root_inside_sshd() {
        return Ok(answer);
    }
    match prospective::prospect(&DATABASE, name, Sources::of_machine())? {
        Prospect::Absent => Ok(Outcome::Absent),
        Prospect::Published => published(),
        Prospect::Account(account) => serve(&account).map(|()| Outcome::Found),
    }
}

/// # Safety
/// `name` is null or a C string that stays as it is for `'a`.
unsafe fn bytes<'a>(name: *const c_char) -> &'a [u8] {
    if name.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }.to_bytes()
}
