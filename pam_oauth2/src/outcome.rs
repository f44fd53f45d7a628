//! Every way a call can end, and the one table that turns it into a PAM code, a log line and a sentence.

mod remedy;

use crate::host::HostError;
use crate::limits::OverLimit;
use crate::oauth::{ProviderError, ProviderErrorKind};
use pam::constants::PamResultCode;
use shared::config::ConfigError;
use shared::identity::policy::Denied;
use shared::prospective::Absent;
use shared::snapshot::SnapshotError;
use shared::store::publish::PublishError;
use shared::store::{RecordError, StoreError};
use shared::types::LoginName;

/// Not our business: the host goes on as if this module were not there. Never the answer to an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// A user of /etc/passwd.
    #[error("a user of /etc/passwd, or of whoever else keeps the account: this package leaves them alone")]
    LocalUser,
    /// A caller without root's rights in the auth phase.
    #[error("the caller is not root")]
    Unprivileged,
    /// No config.json.
    #[error("this machine is not configured yet")]
    NotConfigured,
    /// `services` does not list this one.
    #[error("\"services\" does not list the service")]
    Service,
    /// Somebody else's name service knows the name, or nobody does.
    #[error("another source of the name service has the name, or nobody has")]
    Name,
}

/// Why a person is refused before any network, by what is published of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// An administrator's lock.
    Locked,
    /// The policy does not permit the name.
    Denied,
    /// The account's day is over.
    Expired,
    /// The name belonged to somebody who was removed.
    Removed,
    /// Nobody has signed in under this name yet (account phase).
    Unconfirmed,
    /// A row made to prove the stacks.
    Probe,
    /// getpwnam_r and the published entry differ (account phase).
    IdentityChanged,
}

impl Barred {
    fn reason(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Denied => "not_allowed",
            Self::Expired => "account_expired",
            Self::Removed => "tombstoned",
            Self::Unconfirmed => "unconfirmed",
            Self::Probe => "probe",
            Self::IdentityChanged => "identity_changed",
        }
    }
}

/// Why a login is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// /etc/passwd or /etc/group.
    #[error("/etc/passwd or /etc/group cannot be read: {0}")]
    Etc(std::io::Error),
    /// The name has no entry, and this is why.
    #[error(transparent)]
    Absent(#[from] Absent),
    /// First logins are not enabled.
    #[error("nobody of this name is known, and first logins are not enabled: run oauth2ctl enable sshd")]
    NotEnabled,
    /// The configuration changed since the parameters of first logins were made.
    #[error("the configuration changed: run oauth2ctl publish")]
    ConfigChanged,
    /// `useradd` mode behind a stack that jumps over local users.
    #[error(
        "\"provisioning\": \"useradd\" needs the PAM profile oauth2-local: enable it, then run oauth2ctl enable sshd"
    )]
    WrongProfile,
    /// `useradd` mode and a name that useradd(8) would refuse.
    #[error("the name is longer than the 32 bytes that useradd takes")]
    TooLongForUseradd,
    /// The parameters of first logins.
    #[error("the parameters of first logins cannot be used: {0}")]
    FirstLogin(String),
    /// The name is published, but the host does not resolve it.
    #[error("the name is published, but the name service does not know it: is oauth2 in nsswitch.conf?")]
    NotResolved,
    /// Refused by what is published.
    #[error("the account is barred")]
    Barred(Barred),
    /// sshd has seen no key of the person, and `require_publickey` asks for one.
    #[error("require_publickey: sshd has seen no key (AuthenticationMethods publickey,keyboard-interactive)")]
    PublickeyRequired,
    /// A stranger started too much.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The last confirmation is too old.
    #[error("the last sign-in was more than {days} days ago")]
    TooOld {
        /// `max_confirmation_age`.
        days: u32,
    },
    /// The published database.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something was typed where Enter was asked for.
    #[error("something was typed where only Enter was asked for")]
    TypedText,
    /// The sign-in at the provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] Denied),
    /// Binding or recording.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The local account could not be made.
    #[error("{command}: {detail}")]
    Useradd {
        /// The step that failed: lock, useradd, undo.
        command: &'static str,
        /// Why, and what is left of it on the machine.
        detail: String,
    },
    /// The host holds another account than the one that was recorded.
    #[error("the account that the host holds is not the one that was recorded")]
    IdentityChanged,
    /// A fault of this program.
    #[error("a fault of this program was caught")]
    Panic,
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Record(error.into())
    }
}

/// What a failure means to the host and to whoever counts failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The person said no, cannot prove who they are, or is not let in.
    Refused,
    /// The account is shut.
    Barred,
    /// The confirmation is too old.
    TooOld,
    /// There is no such person here.
    Unknown,
    /// Too many sign-ins from one address.
    TooMany,
    /// Too many requests of this machine: nobody is to blame.
    Busy,
    /// The provider, or the prompt, cannot be reached.
    Unavailable,
    /// The configuration is wrong.
    Misconfigured,
    /// Store, publication or this program failed.
    Broken,
}

/// What a call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The person is in, or may be.
    Success,
    /// Not our business.
    NotOurs,
    /// Refused or failed.
    Failed(FailureClass),
}

impl Reply {
    /// Its PAM code.
    #[must_use]
    pub fn code(self) -> PamResultCode {
        match self {
            Self::Success => PamResultCode::PAM_SUCCESS,
            Self::NotOurs => PamResultCode::PAM_IGNORE,
            Self::Failed(class) => class.code(),
        }
    }
}

impl FailureClass {
    /// The PAM code of a class (design, section 8).
    #[must_use]
    pub fn code(self) -> PamResultCode {
        match self {
            Self::Refused => PamResultCode::PAM_AUTH_ERR,
            Self::Barred => PamResultCode::PAM_PERM_DENIED,
            Self::TooOld => PamResultCode::PAM_ACCT_EXPIRED,
            Self::Unknown => PamResultCode::PAM_USER_UNKNOWN,
            Self::TooMany | Self::Busy => PamResultCode::PAM_MAXTRIES,
            Self::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
            Self::Misconfigured => PamResultCode::PAM_SERVICE_ERR,
            Self::Broken => PamResultCode::PAM_SYSTEM_ERR,
        }
    }

    /// `result=` of the log line; fail2ban counts `refused` only.
    #[must_use]
    pub fn result(self) -> &'static str {
        match self {
            Self::Refused | Self::Barred | Self::TooOld | Self::Unknown | Self::TooMany => "refused",
            Self::Unavailable | Self::Busy => "unavailable",
            Self::Misconfigured | Self::Broken => "error",
        }
    }
}

impl LoginError {
    /// Class and `reason=` of the log line: the one table.
    #[must_use]
    pub fn class(&self) -> (FailureClass, &'static str) {
        use FailureClass as Class;
        match self {
            Self::Config(_) => (Class::Misconfigured, "config_error"),
            Self::FirstLogin(_) => (Class::Misconfigured, "config_error"),
            Self::WrongProfile => (Class::Misconfigured, "wrong_profile"),
            Self::TooLongForUseradd => (Class::Unknown, "name_not_admissible"),
            Self::Etc(_) => (Class::Broken, "etc_unreadable"),
            Self::Absent(absent @ Absent::Tombstoned(_)) => (Class::Barred, absent.reason()),
            Self::Absent(absent @ Absent::Unreadable) => (Class::Broken, absent.reason()),
            Self::Absent(absent) => (Class::Unknown, absent.reason()),
            Self::NotEnabled => (Class::Unknown, "not_enabled"),
            Self::ConfigChanged => (Class::Unknown, "config_changed"),
            Self::NotResolved => (Class::Unknown, "not_resolved"),
            Self::Barred(barred) => (Class::Barred, barred.reason()),
            Self::PublickeyRequired => (Class::Barred, "publickey_required"),
            Self::OverLimit(OverLimit::Starts(_)) => (Class::TooMany, "too_many_starts"),
            Self::OverLimit(OverLimit::Requests(_)) => (Class::Busy, "too_many_requests"),
            Self::TooOld { .. } => (Class::TooOld, "confirmation_too_old"),
            Self::Snapshot(_) => (Class::Broken, "published_database"),
            Self::Host(HostError::NoPrompt) => (Class::Unavailable, "no_prompt"),
            Self::Host(_) => (Class::Broken, "host"),
            Self::TypedText => (Class::Refused, "typed_text"),
            Self::Provider(error) => provider_class(error.kind()),
            Self::Policy(denied) => (Class::Refused, policy_reason(denied)),
            Self::Record(error) => record_class(error),
            Self::Publish(_) => (Class::Broken, "publication"),
            Self::Useradd { .. } => (Class::Broken, "useradd_failed"),
            Self::IdentityChanged => (Class::Refused, "identity_changed"),
            Self::Panic => (Class::Broken, "panic"),
        }
    }

    /// One plain sentence for the person: what happened and what to do, nothing that helps a stranger.
    #[must_use]
    pub fn user_message(&self, requested: &str) -> String {
        let requested = shared::text::printable(requested, shared::types::NAME_MAX);
        match self {
            Self::Policy(Denied::WrongPerson { approved }) => wrong_person(approved, &requested),
            Self::TypedText => "Nothing is typed here but Enter. Please connect again.".into(),
            Self::Provider(error) => provider_sentence(error.kind()).into(),
            Self::Policy(_) | Self::Barred(_) => "You are not allowed to sign in here.".into(),
            Self::PublickeyRequired => {
                "This machine wants an SSH key as well. Please connect again with your key.".into()
            }
            Self::OverLimit(OverLimit::Starts(_)) => {
                "Too many sign-ins were started from your address. Please try again in a minute.".into()
            }
            Self::OverLimit(OverLimit::Requests(_)) => {
                "Too many people are signing in at the moment. Please try again in a minute.".into()
            }
            Self::TooOld { .. } => {
                "Your last sign-in in a browser is too long ago. Please sign in again.".into()
            }
            Self::Record(RecordError::SubjectMismatch { .. } | RecordError::KnownAs(_)) => {
                format!("{requested} belongs to another account here. Please ask your administrator.")
            }
            _ => "Sign-in is not possible at the moment. Please ask your administrator.".into(),
        }
    }
}

fn wrong_person(approved: &LoginName, requested: &str) -> String {
    format!("You signed in as {approved}, but this login is for {requested}.")
}

fn provider_class(kind: ProviderErrorKind) -> (FailureClass, &'static str) {
    use FailureClass as Class;
    match kind {
        ProviderErrorKind::Unreachable => (Class::Unavailable, "provider_unreachable"),
        ProviderErrorKind::Certificate => (Class::Unavailable, "provider_certificate"),
        ProviderErrorKind::BadAnswer => (Class::Misconfigured, "provider_answer"),
        ProviderErrorKind::Misconfigured => (Class::Misconfigured, "provider_refuses_client"),
        ProviderErrorKind::Denied => (Class::Refused, "denied"),
        ProviderErrorKind::Expired => (Class::Refused, "expired"),
        ProviderErrorKind::NotPermitted => (Class::Refused, "not_allowed"),
        ProviderErrorKind::BadToken => (Class::Refused, "bad_token"),
    }
}

fn provider_sentence(kind: ProviderErrorKind) -> &'static str {
    match kind {
        ProviderErrorKind::Unreachable | ProviderErrorKind::Certificate => {
            "The sign-in service cannot be reached at the moment. Please try again later."
        }
        ProviderErrorKind::Misconfigured | ProviderErrorKind::BadAnswer => {
            "Sign-in is not set up correctly on this machine. Please ask your administrator."
        }
        ProviderErrorKind::Denied => "The sign-in was declined.",
        ProviderErrorKind::Expired => "The code was not approved in time. Please connect again.",
        ProviderErrorKind::NotPermitted => "You are not allowed to sign in here.",
        ProviderErrorKind::BadToken => {
            "The answer of the sign-in service could not be verified. Please ask your administrator."
        }
    }
}

fn policy_reason(denied: &Denied) -> &'static str {
    match denied {
        Denied::WrongPerson { .. } => "wrong_person",
        Denied::Mapping(_) => "name_not_admissible",
        Denied::NotAllowedUser | Denied::NotInAllowedGroup => "not_allowed",
        Denied::NoGroups { .. } => "no_groups",
    }
}

fn record_class(error: &RecordError) -> (FailureClass, &'static str) {
    use FailureClass as Class;
    match error {
        RecordError::SubjectMismatch { .. } => (Class::Refused, "subject_mismatch"),
        RecordError::KnownAs(_) => (Class::Refused, "renamed"),
        RecordError::Tombstoned => (Class::Barred, "tombstoned"),
        RecordError::Locked => (Class::Barred, "locked"),
        RecordError::UidCollision => (Class::Refused, "uid_collision"),
        RecordError::AccountChanged => (Class::Refused, "identity_changed"),
        RecordError::Store(_) => (Class::Broken, "store"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_is_answered_with_success_or_ignore() {
        use FailureClass::{
            Barred, Broken, Busy, Misconfigured, Refused, TooMany, TooOld, Unavailable, Unknown,
        };
        for class in [Refused, Barred, TooOld, Unknown, TooMany, Busy, Unavailable, Misconfigured, Broken] {
            assert!(
                !matches!(class.code(), PamResultCode::PAM_SUCCESS | PamResultCode::PAM_IGNORE),
                "{class:?}"
            );
        }
    }

    #[test]
    fn an_outage_is_never_counted_as_a_refusal() {
        for kind in [ProviderErrorKind::Unreachable, ProviderErrorKind::Certificate] {
            assert_eq!(provider_class(kind).0.result(), "unavailable");
        }
        assert_eq!(LoginError::Panic.class().0.result(), "error");
    }

    #[test]
    fn the_wrong_person_reads_both_names() {
        let approved = LoginName::parse("bob").unwrap();
        let error = LoginError::Policy(Denied::WrongPerson { approved });
        assert_eq!(error.user_message("ann"), "You signed in as bob, but this login is for ann.");
    }
}
