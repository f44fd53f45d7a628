//! Why a command failed, and its exit code. Scripts rely on the numbers; the manual page lists them.

use pam_oauth2::login::Exit;
use pam_oauth2::outcome::{FailureClass, LoginError};
use shared::config::ConfigError;
use shared::secure_file::SecureFileError;
use shared::store::publish::PublishError;
use shared::store::{RosterError, StoreError};

/// A command that did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The publication.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A file.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// A trial login.
    #[error("refused ({reason}): {error}", reason = error.class().1)]
    Login {
        /// Why.
        error: LoginError,
    },
    /// A change of a person.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// Nobody of that name.
    #[error("nobody of the name {0} is known here")]
    NotFound(String),
    /// Nobody of that name any more.
    #[error("{0}")]
    NotFoundBut(String),
    /// No group of that name.
    #[error("{0} is neither a name of \"group_map\" nor a group of /etc/group")]
    NoGroup(String),
    /// The rules say no.
    #[error("{0}")]
    Refused(String),
    /// Something else is in the way.
    #[error("{0}")]
    Conflict(String),
    /// There is no configuration, or no store, yet.
    #[error("{0}")]
    NotConfigured(String),
    /// The provider does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The work is done, and something is not as it should be: the report has said what.
    #[error("")]
    Warnings,
    /// The report has said what is wrong.
    #[error("")]
    Reported,
    /// Words of the command line that do not go together.
    #[error("{0}")]
    Usage(String),
    /// Not root.
    #[error("this needs root: run it with sudo")]
    NotRoot,
    /// Anything else, in a sentence that says what to do.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::NotFoundBut(_) | Self::NoGroup(_) => 4,
            Self::Usage(_) => 2,
            Self::Warnings => 3,
            Self::NotConfigured(_) => 5,
            Self::Unreachable(_) => 6,
            Self::Refused(_) => 7,
            Self::Conflict(_) => 8,
            Self::Roster(RosterError::NotFound(_)) => 4,
            Self::Roster(RosterError::Store(StoreError::Missing(_))) => 5,
            Self::Roster(RosterError::Store(_)) => 1,
            Self::Roster(_) => 8,
            Self::Config(ConfigError::NotConfigured(_)) | Self::Store(StoreError::Missing(_)) => 5,
            Self::Login { error } => match error.class().0 {
                FailureClass::Unavailable | FailureClass::Busy => 6,
                FailureClass::Refused
                | FailureClass::Barred
                | FailureClass::TooOld
                | FailureClass::TooMany
                | FailureClass::Unknown => 7,
                FailureClass::Misconfigured | FailureClass::Broken => 1,
            },
            Self::NotRoot => 77,
            _ => 1,
        }
    }
}

impl Failure {
    /// The exit code in a word, for `--json`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.exit_code() {
            2 => "usage",
            3 => "warnings",
            4 => "not_found",
            5 => "not_configured",
            6 => "unreachable",
            7 => "refused",
            8 => "conflict",
            77 => "needs_root",
            _ => "failed",
        }
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Config(error) => Self::Config(error),
            error => Self::Login { error },
        }
    }
}

impl From<Exit> for Failure {
    fn from(exit: Exit) -> Self {
        use pam_oauth2::outcome::NotOurs;
        match exit {
            Exit::Failed(error) => error.into(),
            Exit::NotOurs(NotOurs::LocalUser) => {
                Self::Other("this is a user of /etc/passwd: this package leaves them alone".into())
            }
            Exit::NotOurs(NotOurs::NotConfigured) => {
                Self::Config(ConfigError::NotConfigured(shared::paths::CONFIG_FILE.into()))
            }
            Exit::NotOurs(NotOurs::Service) => {
                Self::Other("\"services\" of the configuration does not list this service".into())
            }
            Exit::NotOurs(NotOurs::Name) => {
                Self::Other("another source of the name service has this name".into())
            }
            Exit::NotOurs(NotOurs::Unprivileged) => Self::NotRoot,
        }
    }
}
