//! PAM's handle as a [`Host`].

use super::names;
use crate::host::{Answer, Host, HostError, Resolved};
use pam::constants::{PAM_ERROR_MSG, PAM_PROMPT_ECHO_ON, PamFlag};
use pam::conv::Conv;
use pam::items::{RHost, Service, User};
use pam::module::PamHandle;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Item type PAM_CONV (pam_get_item(3)).
const PAM_CONV: c_int = 5;

/// struct pam_conv (pam_conv(3)). Only looked at: the conversation itself goes through pam-bindings.
#[repr(C)]
struct RawConversation {
    call: *const c_void,
    data: *const c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_get_item(handle: *const PamHandle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_getenv(handle: *const PamHandle, name: *const c_char) -> *const c_char;
}

/// PAM_SILENT of pam_authenticate(3): no messages.
const SILENT: PamFlag = 0x8000;

/// The host of one call.
pub(super) struct PamHost<'a> {
    handle: &'a mut PamHandle,
    silent: bool,
}

impl<'a> PamHost<'a> {
    pub(super) fn new(handle: &'a mut PamHandle, flags: PamFlag) -> Self {
        Self { handle, silent: flags & SILENT != 0 }
    }
}

impl Host for PamHost<'_> {
    /// Bytes that are no UTF-8 become U+FFFD, which no login name holds.
    fn user(&mut self) -> Result<String, HostError> {
        if let Ok(Some(user)) = self.handle.get_item::<User<'_>>() {
            return Ok(user.to_string_lossy().into_owned());
        }
        self.handle.get_user(None).map_err(|_| HostError::NoUser)
    }

    fn service(&self) -> String {
        let service = self.handle.get_item::<Service<'_>>().ok().flatten();
        service.map(|service| service.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn rhost(&self) -> Option<String> {
        let rhost = self.handle.get_item::<RHost<'_>>().ok().flatten()?;
        Some(rhost.to_string_lossy().into_owned()).filter(|rhost| !rhost.is_empty())
    }

    /// sshd's `password` method answers nothing but password prompts. Its conversation, unlike the one of
    /// keyboard-interactive, comes without data of its own (OpenSSH auth-pam.c, `passwd_conv`); seen here, a password
    /// that somebody typed costs the provider nothing, and nobody gets a code that no one can read.
    fn can_prompt(&self) -> bool {
        !(is_sshd() && self.conversation_is_bare())
    }

    /// sshd tells PAM what it has accepted so far, one method a line (OpenSSH auth-pam.c, `expose_authinfo`); PAM's
    /// environment, unlike the process', is nobody's but the host's.
    fn lacks_publickey(&self) -> bool {
        (self.service() == "sshd" || is_sshd()) && !names_publickey(&self.accepted_methods())
    }

    fn show(&mut self, text: &str) {
        if self.silent {
            return;
        }
        if let Ok(Some(conversation)) = self.handle.get_item::<Conv<'_>>() {
            // Nothing depends on it: a host may answer a message with a null response, which counts as an error.
            let _ = conversation.send(PAM_ERROR_MSG, text);
        }
    }

    fn ask(&mut self, text: &str) -> Result<Answer, HostError> {
        release_memory();
        let conversation = self.handle.get_item::<Conv<'_>>().ok().flatten().ok_or(HostError::NoPrompt)?;
        let answer = conversation.send(PAM_PROMPT_ECHO_ON, text).map_err(|_| HostError::NoPrompt)?;
        // The bytes are wiped when they are dropped.
        match answer {
            None => Err(HostError::NoPrompt),
            Some(bytes) if bytes.as_bytes().is_empty() => Ok(Answer::Enter),
            Some(_) => Ok(Answer::Text),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        names::user_by_name(name)
    }

    fn groups(&self, name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError> {
        names::groups_of(name, gid)
    }

    fn has_id(&self, id: u32) -> Result<bool, HostError> {
        names::has_id(id)
    }
}

impl PamHost<'_> {
    /// `publickey ssh-ed25519 AAAA…` and the like, a line each.
    fn accepted_methods(&self) -> String {
        // SAFETY: the handle is that of the running call, which pam_getenv(3) only reads; the name is a C string.
        let value = unsafe { pam_getenv(self.handle, c"SSH_AUTH_INFO_0".as_ptr()) };
        if value.is_null() {
            return String::new();
        }
        // SAFETY: not null, so a C string of libpam's, which it keeps at least until the environment is changed: not
        // before this copy is made.
        unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned()
    }

    fn conversation_is_bare(&self) -> bool {
        let mut item = ptr::null();
        // SAFETY: the handle is that of the running call; `item` is valid for the write.
        let result = unsafe { pam_get_item(self.handle, PAM_CONV, &mut item) };
        // SAFETY: on success a PAM_CONV item that is not null points to a struct pam_conv, which libpam keeps.
        result == 0 && !item.is_null() && unsafe { (*item.cast::<RawConversation>()).data.is_null() }
    }
}

fn names_publickey(methods: &str) -> bool {
    methods.lines().any(|line| line.starts_with("publickey "))
}

/// Is this process one of OpenSSH's servers (also while its file is being replaced by an upgrade)?
fn is_sshd() -> bool {
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    program.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"sshd"))
}

/// Gives free heap back to the system: a person may take minutes, and hundreds may be waiting.
fn release_memory() {
    // SAFETY: malloc_trim(3) may be called at any time from any thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accepted_key_counts_as_one() {
        assert!(names_publickey("publickey ssh-ed25519 AAAAC3Nz\n"));
        assert!(names_publickey("password\npublickey ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA\n"));
        for methods in
            ["", "\n", "publickey", "password", "keyboard-interactive/pam\n", "hostbased publickey x\n"]
        {
            assert!(!names_publickey(methods), "{methods:?}");
        }
    }
}
