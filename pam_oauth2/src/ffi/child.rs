//! Running a helper from inside another program: that program may ignore SIGCHLD, or reap every child in a handler.

use crate::home::{CommandError, RunCommand};
use shared::text::printable;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr;

/// How much of a helper's stderr is kept, in bytes.
const STDERR_LIMIT: u64 = 2048;

/// Runs helpers with the default SIGCHLD disposition, restored afterwards.
pub(super) struct Commands;

impl RunCommand for Commands {
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), CommandError> {
        let _default = DefaultSigchld::set();
        let start = |source| CommandError::Start { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Not in the terminal's foreground group: a Ctrl-C of the person must not stop it half-way.
            .process_group(0)
            .spawn()
            .map_err(start)?;
        let mut stderr = Vec::new();
        if let Some(pipe) = child.stderr.take() {
            let _ = pipe.take(STDERR_LIMIT).read_to_end(&mut stderr);
        }
        let status = child.wait().map_err(start)?;
        if status.success() {
            return Ok(());
        }
        let stderr = printable(&String::from_utf8_lossy(&stderr).replace('\n', " "), 500);
        Err(CommandError::Failed { program: program.to_owned(), status: status.to_string(), stderr })
    }
}

/// SIGCHLD at its default while this lives: with SIG_IGN the kernel reaps the child and wait(2) fails; a handler of the
/// host could reap it first.
struct DefaultSigchld {
    before: libc::sigaction,
}

impl DefaultSigchld {
    fn set() -> Option<Self> {
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: all zero is a valid sigaction: SIG_DFL, empty mask, no flags.
        let default: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: both pointers are valid for the call; SIGCHLD may be changed by any program.
        let result = unsafe { libc::sigaction(libc::SIGCHLD, &default, before.as_mut_ptr()) };
        // SAFETY: sigaction returned 0 and has filled `before`.
        (result == 0).then(|| Self { before: unsafe { before.assume_init() } })
    }
}

impl Drop for DefaultSigchld {
    fn drop(&mut self) {
        // SAFETY: `before` is what the kernel gave us for this signal.
        unsafe { libc::sigaction(libc::SIGCHLD, &self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_waited_for_even_where_the_host_ignores_its_children() {
        // SAFETY: SIG_IGN for SIGCHLD harms no other test: they start no children.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert!(Commands.run("/bin/true", &[]).is_ok());
        let failed = Commands.run("/bin/sh", &["-c", "echo no >&2; exit 3"]);
        assert!(matches!(failed, Err(CommandError::Failed { stderr, .. }) if stderr == "no "));
        assert!(matches!(Commands.run("/no/such", &[]), Err(CommandError::Start { .. })));
        // SAFETY: back to the default.
        let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        assert_eq!(before, libc::SIG_IGN);
    }
}
