//! Running a helper from inside another program: that program may ignore SIGCHLD, or reap every child in a handler.

use crate::home::{CommandError, RunCommand};
use shared::text::printable;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr;
use std::time::{Duration, Instant};

/// How much of what a helper prints is kept, in bytes each of stdout and stderr.
const PRINT_LIMIT: usize = 16 * 1024;

/// How much of its stderr goes into an error, in bytes.
const DETAIL_LIMIT: usize = 500;

/// How long a helper's end may go unnoticed where one of its own children keeps the pipes open.
const TICK: Duration = Duration::from_millis(20);

/// Runs helpers with the default SIGCHLD disposition, restored afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Commands;

impl RunCommand for Commands {
    fn output(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<String, CommandError> {
        execute(program, arguments, limit)
    }
}

fn execute(program: &str, arguments: &[&str], limit: Duration) -> Result<String, CommandError> {
    let _default = DefaultSigchld::set();
    let start = |source| CommandError::Start { program: program.to_owned(), source };
    let mut child = command(program, arguments).spawn().map_err(start)?;
    let mut stdout = Pipe::from(child.stdout.take().map(OwnedFd::from));
    let mut stderr = Pipe::from(child.stderr.take().map(OwnedFd::from));
    let status = wait(&mut child, [&mut stdout, &mut stderr], limit).map_err(start)?;
    let program = program.to_owned();
    let complaint = || printable(&String::from_utf8_lossy(&stderr.text).replace('\n', " "), DETAIL_LIMIT);
    match status {
        Some(status) if status.success() => Ok(String::from_utf8_lossy(&stdout.text).into_owned()),
        Some(status) => {
            Err(CommandError::Failed { program, status: status.to_string(), stderr: complaint() })
        }
        None => Err(CommandError::TimedOut { program, seconds: limit.as_secs(), stderr: complaint() }),
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Not in the terminal's foreground group: a Ctrl-C of the person must not stop it half-way.
        .process_group(0);
    // SAFETY: between fork and exec the closure makes one system call, which is async-signal-safe and touches no memory.
    unsafe { command.pre_exec(close_descriptors_on_exec) };
    command
}

/// The host's connections and files are not the helper's, nor of a daemon that the helper may wake. On a kernel before
/// 5.11 those stay open that the host did not mark itself.
fn close_descriptors_on_exec() -> io::Result<()> {
    // SAFETY: close_range(2) with this flag only marks descriptors of this process, which is about to be replaced.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

/// Waits for the end of `child` and reads what it prints; after `limit` it is killed, with its children, and the answer
/// is `None`.
fn wait(child: &mut Child, mut pipes: [&mut Pipe; 2], limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        read_ready(&mut pipes, left.min(TICK));
        if let Some(status) = child.try_wait()? {
            // What it wrote just before: two pipes of 64 KiB hold no more than this many chunks.
            let _ = (0..64).all(|_| read_ready(&mut pipes, Duration::ZERO));
            return Ok(Some(status));
        }
        if left.is_zero() {
            let group = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
            // SAFETY: kill(2) touches no memory. The child leads a group of its own and is not reaped yet, so that its
            // number is nobody else's.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            child.wait()?;
            return Ok(None);
        }
    }
}

/// Waits at most `patience` for one of the pipes and reads from those that are ready. `false`: none was.
fn read_ready(pipes: &mut [&mut Pipe; 2], patience: Duration) -> bool {
    let poll = |pipe: &Pipe| libc::pollfd {
        // A negative one is passed over (poll(2)).
        fd: pipe.file.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut ready = pipes.each_ref().map(|pipe| poll(pipe));
    let all_closed = pipes.iter().all(|pipe| pipe.file.is_none());
    // Both ends are closed: its end is a matter of microseconds.
    let patience = if all_closed { patience.min(Duration::from_millis(1)) } else { patience };
    let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the length are those of an array that lives through the call.
    let found = unsafe { libc::poll(ready.as_mut_ptr(), ready.len() as libc::nfds_t, millis) };
    for (pipe, ready) in pipes.iter_mut().zip(ready) {
        if found > 0 && ready.revents != 0 {
            pipe.read();
        }
    }
    found > 0
}

/// One end of a pipe, and what came out of it.
struct Pipe {
    file: Option<std::fs::File>,
    text: Vec<u8>,
}

impl From<Option<OwnedFd>> for Pipe {
    fn from(end: Option<OwnedFd>) -> Self {
        Self { file: end.map(std::fs::File::from), text: Vec::new() }
    }
}

impl Pipe {
    /// Reads once, which does not block after poll(2). What is too much is thrown away: a full pipe would stop the
    /// helper, a closed one kill it.
    fn read(&mut self) {
        let mut chunk = [0; 4096];
        let length = match self.file.as_mut().map(|file| file.read(&mut chunk)) {
            Some(Ok(length)) if length > 0 => length,
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return,
            _ => {
                self.file = None;
                return;
            }
        };
        let room = PRINT_LIMIT.saturating_sub(self.text.len());
        self.text.extend(chunk.iter().take(length.min(room)));
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
    use std::sync::{Mutex, MutexGuard};

    /// SIGCHLD's disposition is the whole process's: one of these tests at a time.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    #[test]
    fn a_helper_that_hangs_is_killed_and_so_are_its_children() {
        let _alone = alone();
        let script = "echo waiting >&2; sleep 600 & sleep 600";
        let killed = execute("/bin/sh", &["-c", script], Duration::from_millis(200));
        assert!(matches!(killed, Err(CommandError::TimedOut { stderr, .. }) if stderr == "waiting "));
    }

    #[test]
    fn a_helper_is_done_when_it_ends_though_its_children_keep_the_pipes() {
        let _alone = alone();
        let printed = execute("/bin/sh", &["-c", "echo done; sleep 5 &"], Duration::from_secs(4));
        assert_eq!(printed.unwrap(), "done\n");
    }

    #[test]
    fn a_helper_that_prints_much_is_neither_stopped_nor_kept_whole() {
        let _alone = alone();
        let printed = execute("/bin/sh", &["-c", "yes | head -c 1000000"], Duration::from_secs(20));
        assert_eq!(printed.unwrap().len(), PRINT_LIMIT);
    }

    #[test]
    fn a_helper_gets_no_descriptor_environment_or_input_of_the_hosts() {
        let _alone = alone();
        let (kept, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        // SAFETY: the descriptor is open; 0 clears its close-on-exec flag, as many hosts leave it.
        assert_eq!(unsafe { libc::fcntl(kept.as_raw_fd(), libc::F_SETFD, 0) }, 0);
        let script = "set -- /proc/self/fd/*; echo $#; wc -c; tr '\\0' '\\n' < /proc/$$/environ";
        let printed = execute("/bin/sh", &["-c", script], Duration::from_secs(20)).unwrap();
        assert_eq!(printed, "4\n0\n", "0, 1, 2 and the shell's own for the directory");
    }

    #[test]
    fn a_helper_is_waited_for_even_where_the_host_ignores_its_children() {
        let _alone = alone();
        // SAFETY: SIG_IGN for SIGCHLD harms no other test: those that start children wait.
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
