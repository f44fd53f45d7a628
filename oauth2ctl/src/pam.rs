//! The account phase of a PAM service, as libpam runs it, and whether a shared object loads: both in a child process where
//! a faulty module must not take this one with it.
#![allow(unsafe_code)]

use libc::{c_char, c_int, c_void};
use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::path::Path;
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
    fn pam_strerror(handle: *mut c_void, status: c_int) -> *const c_char;
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
    Ok(account_code(service, user)? == SUCCESS)
}

/// Runs pam_acct_mgmt(3) of a service for a user, and returns what it says.
///
/// # Errors
/// libpam cannot start: its code.
pub(crate) fn account_code(service: &str, user: &str) -> Result<c_int, c_int> {
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
    Ok(verdict)
}

/// A code of libpam in its own words.
pub(crate) fn describe(code: c_int) -> String {
    // SAFETY: Linux-PAM does not look at the handle here, and returns a string of its own that lives as long as the program.
    let text = unsafe { pam_strerror(ptr::null_mut(), code) };
    if text.is_null() {
        return format!("code {code}");
    }
    // SAFETY: not null, NUL-ended, and never freed (see above).
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Does the dynamic linker take this shared object? `Err` holds its own words.
pub(crate) fn load(path: &Path) -> Result<(), String> {
    let Some(path) = path.to_str().and_then(|path| CString::new(path).ok()) else {
        return Err("path".into());
    };
    // SAFETY: `path` is NUL-ended. The object's constructors run, as they do in every program that uses it.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: returns null or a NUL-ended string that lives until the next call of the family in this thread.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return Err("refused without a word".into());
    }
    // SAFETY: see above; copied at once.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Runs `work` in a child process, which is killed after `seconds`, and returns what it says. No thread may run beside the
/// caller's: the child has only the one that forked.
///
/// # Errors
/// The child did not come to its end; a sentence says how it ended.
pub(crate) fn isolated(seconds: u32, work: impl FnOnce() -> String) -> Result<String, String> {
    let (mut reader, mut writer) = std::io::pipe().map_err(|error| error.to_string())?;
    // SAFETY: one thread, so the child's memory is consistent; it leaves by _exit below whatever happens.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no pointers; SIGALRM's default action ends the process.
        unsafe { libc::alarm(seconds) };
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let done = said.is_ok_and(|said| writer.write_all(said.as_bytes()).is_ok());
        // SAFETY: ends the process at once: nothing of the parent's is flushed or dropped twice.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    drop(writer);
    if child < 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    let mut said = String::new();
    let read = reader.read_to_string(&mut said);
    let mut status = 0;
    // SAFETY: `status` is valid for the write; `child` is a child of this process that nobody else waits for.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    match (read, status) {
        (Ok(_), 0) => Ok(said),
        _ if libc::WIFSIGNALED(status) => Err(format!("it was killed by signal {}", libc::WTERMSIG(status))),
        _ => Err("it ended early".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_heard_and_how_it_dies_is_told() {
        assert_eq!(isolated(10, || "all well".into()), Ok("all well".into()));
        // SAFETY: the child's own end.
        assert_eq!(isolated(10, || unsafe { libc::abort() }), Err("it was killed by signal 6".into()));
        assert_eq!(isolated(10, || std::process::exit(3)), Err("it ended early".into()));
    }

    #[test]
    fn a_code_has_words() {
        assert_eq!(describe(0), "Success");
    }

    #[test]
    fn what_is_no_shared_object_is_said_to_be_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not ELF").unwrap();
        assert!(load(file.path()).unwrap_err().contains("too short"));
    }
}
