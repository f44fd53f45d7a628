//! `id=` of the log: what joins the lines of one login. Several people sign in at once, and a name may be tried by several.

use pam::module::PamHandle;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Key of what is kept on the handle: the account phase of the same login says the same.
const KEY: &str = "pam_oauth2_device_id";

/// 24 bits: enough to tell the logins of an hour from each other, short enough to be read out. It proves nothing.
const BITS: u64 = 0xff_ffff;

#[derive(Clone, Copy)]
struct LoginId(u64);

thread_local! {
    /// Of the call that runs on this thread.
    static CURRENT: Cell<Option<LoginId>> = const { Cell::new(None) };
}

/// From here on lines of this call have the login's id.
pub(super) fn begin(handle: &mut PamHandle) {
    // SAFETY: only this function stores under this key, and only a LoginId.
    let kept = unsafe { handle.get_data::<LoginId>(KEY) }.ok().copied();
    let id = kept.unwrap_or_else(|| LoginId(RandomState::new().hash_one(KEY) & BITS));
    if kept.is_none() {
        // Without it the next phase has another id: nothing but the reading is harder.
        let _ = handle.set_data(KEY, Box::new(id));
    }
    CURRENT.set(Some(id));
}

/// The call is over.
pub(super) fn end() {
    CURRENT.set(None);
}

/// Six hexadecimal digits; none in phases that are no part of a login.
pub(super) fn current() -> Option<String> {
    CURRENT.get().map(|id| format!("{:06x}", id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_six_digits_whatever_its_number() {
        for (number, text) in [(0, "000000"), (BITS, "ffffff"), (0x7f_3a91, "7f3a91")] {
            CURRENT.set(Some(LoginId(number)));
            assert_eq!(current().unwrap(), text);
        }
        end();
        assert_eq!(current(), None);
    }
}
