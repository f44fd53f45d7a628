//! The `log` facade over pam_syslog(3), which knows the host, the service and the phase and leaves the host's own
//! openlog(3) alone; and, where `logs=` names one, a file beside it.

use super::login_id;
use log::{LevelFilter, Log, Metadata, Record};
use pam::module::PamHandle;
use shared::text::printable;
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest line, in bytes.
const LINE_LIMIT: usize = 1024;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

thread_local! {
    /// The handle of the call that runs on this thread.
    static HANDLE: Cell<*const PamHandle> = const { Cell::new(ptr::null()) };
}

/// The file of the call that runs now. Hosts call one phase at a time; a second thread waits.
static FILE: Mutex<Option<File>> = Mutex::new(None);

struct PamLog;

impl Log for PamLog {
    /// Only this package speaks: what a library logs may hold what must not be logged.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pam_oauth2") || metadata.target().starts_with("shared")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = printable(&record.args().to_string(), LINE_LIMIT);
        // The line that says how a login ended has it among its fields.
        if let Some(id) = login_id::current().filter(|_| !line.starts_with("result=")) {
            line.push_str(" id=");
            line.push_str(&id);
        }
        if let Ok(mut file) = FILE.lock()
            && let Some(file) = file.as_mut()
        {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let _ = writeln!(file, "{now} {} {line}", record.level());
        }
        let handle = HANDLE.get();
        let Ok(line) = CString::new(line) else { return };
        if !handle.is_null() {
            let priority = libc::LOG_AUTHPRIV | priority(record.level());
            // SAFETY: the handle is that of the running call (`Logging` clears it before the call ends); the format
            // takes one string, and `line` is one.
            unsafe { pam_syslog(handle, priority, c"%s".as_ptr(), line.as_ptr()) };
        }
    }

    fn flush(&self) {}
}

fn priority(level: log::Level) -> c_int {
    match level {
        log::Level::Error => libc::LOG_ERR,
        log::Level::Warn => libc::LOG_WARNING,
        log::Level::Info => libc::LOG_NOTICE,
        log::Level::Debug | log::Level::Trace => libc::LOG_DEBUG,
    }
}

/// Logging for the time of one call.
pub(super) struct Logging;

impl Logging {
    /// Starts it. A log file that others could have laid or can read into is not used.
    pub(super) fn start(handle: &PamHandle, level: LevelFilter, file: Option<&Path>) -> Self {
        static LOG: PamLog = PamLog;
        // An error means that an earlier call of this process has set it: it is the same one.
        let _ = log::set_logger(&LOG);
        log::set_max_level(level);
        HANDLE.set(ptr::from_ref(handle));
        if let Some(path) = file {
            match open(path) {
                Ok(file) => set_file(Some(file)),
                Err(reason) => log::warn!("logs={} is not used: {reason}", path.display()),
            }
        }
        Self
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        HANDLE.set(ptr::null());
        set_file(None);
        login_id::end();
    }
}

fn set_file(file: Option<File>) {
    if let Ok(mut current) = FILE.lock() {
        *current = file;
    }
}

fn open(path: &Path) -> Result<File, String> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let directory = std::fs::symlink_metadata(parent).map_err(|error| error.to_string())?;
    if !directory.is_dir() || directory.uid() != 0 || directory.mode() & 0o022 != 0 {
        return Err("others can write to its directory".into());
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.uid() != 0 || metadata.nlink() != 1 || metadata.mode() & 0o077 != 0 {
        return Err("it is not a regular file of root's, mode 0600, with one link".into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_log_file_that_others_could_reach_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        if rustix::process::geteuid().is_root() {
            assert!(open(&path).is_ok());
            std::fs::hard_link(&path, dir.path().join("second")).unwrap();
            assert!(open(&path).is_err());
        }
        let link = dir.path().join("link");
        symlink("/dev/null", &link).unwrap();
        assert!(open(&link).is_err());
        assert!(open(Path::new("/tmp/pam_oauth2_device")).is_err());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open(&dir.path().join("new")).is_err());
    }

    #[test]
    fn libraries_do_not_speak_through_our_log() {
        let target = |target| PamLog.enabled(&Metadata::builder().target(target).build());
        assert!(target("pam_oauth2::login") && target("shared::store"));
        assert!(!target("rustls::client") && !target("hyper"));
    }
}
