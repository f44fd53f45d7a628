//! The home directory at session start, by mkhomedir_helper(8): it fills it from the skeleton, sets owner and mode, and
//! lets SELinux label it, which is more than this module should know.

use shared::config::{Accounts, CreateHome};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Where the distributions install the helper.
const HELPERS: [&str; 2] = ["/usr/sbin/mkhomedir_helper", "/sbin/mkhomedir_helper"];

/// File system types whose directories others make: statfs(2), AUTOFS_SUPER_MAGIC and NFS_SUPER_MAGIC. The type of
/// the number differs between architectures.
const REMOTE: [i128; 2] = [0x0187, 0x6969];

/// How long a helper may take. useradd(8) and its relatives wait 15 s for each other's lock.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Runs a program to its end.
pub trait RunCommand {
    /// Runs `program` by its absolute path with these arguments and no environment, and returns what it printed on stdout,
    /// capped. After `limit` it is killed.
    ///
    /// # Errors
    /// It cannot be started, its exit status is not 0, or it was killed; with what it printed on stderr.
    fn output(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<String, CommandError>;

    /// As [`Self::output`], with [`TIME_LIMIT`].
    ///
    /// # Errors
    /// As [`Self::output`].
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), CommandError> {
        self.output(program, arguments, TIME_LIMIT).map(drop)
    }
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Not startable.
    #[error("{program}: {source}")]
    Start {
        /// Its path.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    #[error("{program} ended with {status}: {stderr}")]
    Failed {
        /// Its path.
        program: String,
        /// Exit status or signal.
        status: String,
        /// What it printed on stderr, printable and capped.
        stderr: String,
    },
    /// There was no time left for it.
    #[error("{program} was not started: the time that a login has is over")]
    NoTime {
        /// Its path.
        program: String,
    },
    /// It took too long and was killed.
    #[error("{program} was killed after {seconds} s: {stderr}")]
    TimedOut {
        /// Its path.
        program: String,
        /// How long it had.
        seconds: u64,
        /// What it printed on stderr, printable and capped.
        stderr: String,
    },
}

/// What was done about a home directory.
#[derive(Debug, PartialEq, Eq)]
pub enum HomeOutcome {
    /// It is there, and it is the person's.
    Present,
    /// It was made.
    Made,
    /// It is not ours to make (`create_home`, an automounter, NFS).
    LeftAlone(&'static str),
}

/// Why there is no home directory. A warning: the session goes on.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Something else is in its place.
    #[error("{0} is no directory of the person's own: it was not made for this account")]
    NotTheirs(String),
    /// Somebody else could have put a link on the way.
    #[error("a directory above {0} is a link, or not one that only root can write to")]
    Parent(String),
    /// No mkhomedir_helper.
    #[error("mkhomedir_helper is not installed: install libpam-modules-bin, or set create_home to no")]
    NoHelper,
    /// It failed.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Makes the home directory of a confirmed account where it is missing.
///
/// # Errors
/// See [`HomeError`].
pub fn ensure(
    name: &str,
    uid: u32,
    home: &str,
    accounts: &Accounts,
    commands: &dyn RunCommand,
) -> Result<HomeOutcome, HomeError> {
    match std::fs::symlink_metadata(home) {
        Ok(metadata) if metadata.is_dir() && metadata.uid() == uid => return Ok(HomeOutcome::Present),
        Ok(_) => return Err(HomeError::NotTheirs(home.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Err(HomeError::Parent(home.to_owned())),
    }
    let parent = Path::new(home).parent().unwrap_or(Path::new("/"));
    match accounts.create_home {
        CreateHome::No => return Ok(HomeOutcome::LeftAlone("create_home is no")),
        CreateHome::Auto if is_remote(parent) => {
            return Ok(HomeOutcome::LeftAlone("the directory above is an automounter's or on NFS"));
        }
        _ => {}
    }
    if !parent.ancestors().all(is_roots_own) {
        return Err(HomeError::Parent(home.to_owned()));
    }
    let helper = HELPERS.iter().find(|helper| Path::new(helper).is_file()).ok_or(HomeError::NoHelper)?;
    let umask = format!("{:04o}", accounts.umask);
    let skel = accounts.skel.to_str().unwrap_or("/etc/skel");
    commands.run(helper, &[name, &umask, skel])?;
    Ok(HomeOutcome::Made)
}

/// Is the directory that is there already one that an administrator may give to this uid: its own, in a place where only
/// root makes directories?
#[must_use]
pub fn is_adoptable(home: &str, uid: u32) -> bool {
    let parent = Path::new(home).parent().unwrap_or(Path::new("/"));
    let is_theirs = |metadata: std::fs::Metadata| metadata.is_dir() && metadata.uid() == uid;
    std::fs::symlink_metadata(home).is_ok_and(is_theirs) && parent.ancestors().all(is_roots_own)
}

fn is_remote(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|statfs| REMOTE.contains(&i128::from(statfs.f_type)))
}

/// A directory, no link, that nobody but root can write to.
fn is_roots_own(directory: &Path) -> bool {
    std::fs::symlink_metadata(directory)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0)
}
