//! The account phase of a PAM service, as libpam runs it.
#![allow(unsafe_code)]

use libc::{c_char, c_int, c_void};
use std::ffi::CString;
use std::ptr;

/// PAM_SUCCESS and PAM_CONV_ERR (pam(3), Linux-PAM's _pam_types.h).
const SUCCESS: c_int = 0;
const CONV_ERR: c_int = 19;
/// PAM_SILENT.
const SILENT: c_int = 0x8000;

#[repr(C)]
struct Conversation {
    call: extern "C" fn(c_int, *mut *const c_void, *mut *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_acct_mgmt(handle: *mut c_void, flags: c_int) -> c_int;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
}

/// Nobody is there to answer.
extern "C" fn silent(_: c_int, _: *mut *const c_void, _: *mut *mut c_void, _: *mut c_void) -> c_int {
    CONV_ERR
}

/// Runs pam_acct_mgmt(3) of a service for a user. `Ok(true)`: PAM_SUCCESS; `Ok(false)`: refused.
///
/// # Errors
/// libpam cannot start: its code.
pub(crate) fn account_admits(service: &str, user: &str) -> Result<bool, c_int> {
    let (Ok(service), Ok(user)) = (CString::new(service), CString::new(user)) else { return Err(CONV_ERR) };
    let conversation = Conversation { call: silent, data: ptr::null_mut() };
    let mut handle = ptr::null_mut();
    // SAFETY: both strings are NUL-ended and outlive the transaction, as does `conversation`, which has the layout of
    // struct pam_conv; `handle` is valid for the write.
    let started = unsafe { pam_start(service.as_ptr(), user.as_ptr(), &conversation, &mut handle) };
    if started != SUCCESS || handle.is_null() {
        return Err(started);
    }
    // SAFETY: `handle` comes from the pam_start above and has not been ended.
    let verdict = unsafe { pam_acct_mgmt(handle, SILENT) };
    // SAFETY: as above; nothing uses the handle afterwards.
    unsafe { pam_end(handle, verdict) };
    Ok(verdict == SUCCESS)
}
