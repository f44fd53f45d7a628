//! What an administrator can do about a refusal, as a command: the end of the log line.

use super::{Barred, LoginError};
use shared::prospective::Absent;
use shared::store::RecordError;

impl LoginError {
    /// `detail=` of the log line: what happened, and the command that would settle it.
    #[must_use]
    pub fn detail(&self, requested: &str) -> String {
        match self.remedy(&word(requested)) {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }

    fn remedy(&self, name: &str) -> Option<String> {
        let remedy = match self {
            Self::Barred(Barred::Locked) | Self::Record(RecordError::Locked) => {
                format!("oauth2ctl user unlock {name} lets them in again")
            }
            Self::Barred(Barred::Denied) => format!("oauth2ctl user show {name} says by which rule"),
            Self::Barred(Barred::Expired) => {
                format!("oauth2ctl user expire {name} DATE sets another day")
            }
            Self::Barred(Barred::Removed) | Self::Absent(Absent::Tombstoned(_)) => former(name),
            Self::Record(RecordError::Tombstoned) => {
                "oauth2ctl user add NAME, with the name they had here, lets the same person in again".into()
            }
            Self::Absent(Absent::NotAdmitted) => format!("oauth2ctl user add {name} reserves the name"),
            Self::Absent(Absent::UidCollision { .. }) | Self::Record(RecordError::UidCollision) => {
                format!("oauth2ctl user add {name} --uid N settles it on this machine")
            }
            Self::Absent(Absent::HomeExists { .. }) => {
                format!("oauth2ctl user add {name} --adopt-home, if it is theirs")
            }
            Self::Record(RecordError::SubjectMismatch { issuer, subject }) => format!(
                "oauth2ctl user bind {name} {} {} --force, if it is the same person",
                word(issuer.as_str()),
                word(subject.as_str())
            ),
            Self::Record(RecordError::KnownAs(old)) => {
                format!("oauth2ctl user rename {old} {name}, if the provider renamed them")
            }
            _ => return None,
        };
        Some(remedy)
    }
}

/// What is published does not say who had the name.
fn former(name: &str) -> String {
    format!(
        "oauth2ctl user show {name} says whose it was: who was renamed signs in under the new name, who was removed only \
         after oauth2ctl user add {name}"
    )
}

/// A word of a command line: nothing in it can end the word, or forge a field of the log.
fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.@+-:/%,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.escape_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::types::{Issuer, LoginName, Subject};

    #[test]
    fn a_refusal_names_the_command_that_settles_it() {
        let name = |name| LoginName::parse(name).unwrap();
        let mismatch = RecordError::SubjectMismatch {
            issuer: Issuer::parse("https://idp.example").unwrap(),
            subject: Subject::parse("s 1").unwrap(),
        };
        let cases: [(LoginError, &str); 9] = [
            (LoginError::Barred(Barred::Locked), "oauth2ctl user unlock ann "),
            (LoginError::Barred(Barred::Expired), "oauth2ctl user expire ann "),
            (LoginError::Barred(Barred::Removed), "oauth2ctl user add ann"),
            (Absent::Tombstoned(name("ann")).into(), "oauth2ctl user add ann"),
            (Absent::NotAdmitted.into(), "oauth2ctl user add ann "),
            (Absent::UidCollision { uid: 5000 }.into(), "oauth2ctl user add ann --uid N"),
            (RecordError::KnownAs(name("old")).into(), "oauth2ctl user rename old ann"),
            (mismatch.into(), "oauth2ctl user bind ann https://idp.example \"s 1\" --force"),
            (RecordError::Tombstoned.into(), "oauth2ctl user add NAME"),
        ];
        for (error, command) in cases {
            let detail = error.detail("ann");
            assert!(detail.contains(command), "{detail}");
        }
        assert_eq!(LoginError::TypedText.detail("ann"), LoginError::TypedText.to_string());
    }

    #[test]
    fn a_word_of_a_remedy_cannot_forge_a_field() {
        assert_eq!(word("x\" result=admitted"), "\"x\\\" result=admitted\"");
        assert_eq!(word(""), "\"\"");
    }
}
