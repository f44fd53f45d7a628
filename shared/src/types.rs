//! Value types: parsed once at the boundary, valid ever after.

use crate::words::{HIGH, bytes_between, each_word, eight, equal_bytes};
use std::fmt;
use zeroize::Zeroizing;

/// Longest login or group name, in bytes.
pub const NAME_MAX: usize = 64;

/// A user id that may belong to a person: at least 1000, and none of the values the kernel gives a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(u32);

/// A group id that may belong to a group of people: at least 1000, and none of the values the kernel gives a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(u32);

/// Ids below belong to the machine itself.
pub const FIRST_ID: u32 = 1000;

/// Overflow id (65534), its 16-bit "unset" (65535) and (uid_t)-1.
const SPECIAL_IDS: [u32; 3] = [65_534, 65_535, u32::MAX];

/// An id that cannot belong to a person or to a group of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id {0} is below 1000 or has a meaning of its own")]
pub struct IdError(pub u32);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// # Errors
            /// The id is below 1000, 65534, 65535 or 4294967295.
            pub fn new(id: u32) -> Result<Self, IdError> {
                if id < FIRST_ID || SPECIAL_IDS.contains(&id) { Err(IdError(id)) } else { Ok(Self(id)) }
            }

            /// The number.
            #[must_use]
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(Uid);
id!(Gid);

impl Gid {
    /// The gid of a group of /etc/group, for supplementary membership: any number but root's group and the special
    /// ones.
    ///
    /// # Errors
    /// The id is 0, 65534, 65535 or 4294967295.
    pub fn of_local_group(id: u32) -> Result<Self, IdError> {
        if id == 0 || SPECIAL_IDS.contains(&id) { Err(IdError(id)) } else { Ok(Self(id)) }
    }
}

impl From<Uid> for Gid {
    /// The private group of a person has the number of the person.
    fn from(uid: Uid) -> Self {
        Self(uid.0)
    }
}

/// Why a string is no login or group name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("the name is empty")]
    Empty,
    /// More than [`NAME_MAX`] bytes.
    #[error("the name is longer than 64 bytes")]
    TooLong,
    /// A byte outside `[A-Za-z0-9_.@+-]`.
    #[error("the name holds a character other than a-z 0-9 _ . @ + -")]
    Character,
    /// A capital letter where names are lower case.
    #[error("the name holds a capital letter")]
    Capital,
    /// Begins with one of `. @ + -`.
    #[error("the name begins with a character other than a letter, a digit or _")]
    FirstCharacter,
    /// No letter at all: a number is an id to chown(1) and to many others.
    #[error("the name holds no letter")]
    NoLetter,
    /// `..` or a final dot.
    #[error("the name holds two dots in a row or ends in one")]
    Dots,
    /// `0.x`: chown(1) reads it as uid and group.
    #[error("the part before the first dot is a number")]
    NumberBeforeDot,
}

/// Syntax of login and group names (rule 5). Capitals are syntax only where the configuration preserves case, which
/// is decided where a name is made; a reader accepts both.
fn check_name(name: &[u8]) -> Result<(), NameError> {
    let first = name.first().ok_or(NameError::Empty)?;
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    let (mut letters, mut others, mut dots) = (0, 0, 0);
    each_word(name, |word| {
        letters |= letters_of(word);
        dots |= equal_bytes(word, b'.');
        others |= !allowed(word) & HIGH;
    });
    if others != 0 {
        return Err(NameError::Character);
    }
    if !(first.is_ascii_alphanumeric() || *first == b'_') {
        return Err(NameError::FirstCharacter);
    }
    if letters == 0 {
        return Err(NameError::NoLetter);
    }
    if dots == 0 { Ok(()) } else { check_dots(name) }
}

/// The high bit of every letter.
fn letters_of(word: u64) -> u64 {
    // With the bit that tells small from capital.
    bytes_between(word | eight(0x20), b'a', b'z')
}

/// The high bit of every byte that a name may hold.
fn allowed(word: u64) -> u64 {
    let signs = b"_.@+-".iter().fold(0, |found, sign| found | equal_bytes(word, *sign));
    letters_of(word) | bytes_between(word, b'0', b'9') | signs
}

fn check_dots(name: &[u8]) -> Result<(), NameError> {
    if name.windows(2).any(|pair| pair == b"..") || name.ends_with(b".") {
        return Err(NameError::Dots);
    }
    let mut parts = name.split(|byte| *byte == b'.');
    let numeric = parts.next().is_some_and(|head| head.iter().all(u8::is_ascii_digit));
    if numeric && !name.contains(&b'@') { Err(NameError::NumberBeforeDot) } else { Ok(()) }
}

/// The text, if it has the syntax of a [`LoginName`]. Allocates nothing (the NSS module asks for every lookup).
#[must_use]
pub fn login_name(name: &[u8]) -> Option<&str> {
    check_name(name).ok().and_then(|()| std::str::from_utf8(name).ok())
}

/// Is this the syntax of a [`LoginName`]?
#[must_use]
pub fn is_login_name(name: &[u8]) -> bool {
    check_name(name).is_ok()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// The name breaks the syntax; [`NameError`] says how.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check_name(name.as_bytes())?;
                Ok(Self(name.to_owned()))
            }

            /// As [`Self::parse`], and refuses capitals.
            ///
            /// # Errors
            /// The name breaks the syntax; [`NameError`] says how.
            pub fn parse_lower(name: &str) -> Result<Self, NameError> {
                if name.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(NameError::Capital);
                }
                Self::parse(name)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of an account, as in passwd(5). See rule 5 of the design for the syntax; whether a name may be *given*
    /// to somebody is another question ([`crate::identity::admissible`]).
    LoginName
);
name!(
    /// The name of a group, as in group(5); same syntax as [`LoginName`].
    GroupName
);

/// An issuer identifier (OpenID Connect Core §2): a URL, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

/// A subject identifier (OpenID Connect Core §2): opaque, unique within its issuer, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// An identifier that is empty, too long or holds control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} is empty, longer than 255 bytes or holds a control character")]
pub struct IdentifierError(&'static str);

fn check_identifier(text: &str, what: &'static str) -> Result<String, IdentifierError> {
    // OpenID Connect Core §2: a sub must not exceed 255 ASCII characters. The same bound serves issuers.
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err(IdentifierError(what));
    }
    Ok(text.to_owned())
}

impl Issuer {
    /// # Errors
    /// Empty, longer than 255 bytes, or a control character.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        check_identifier(text, "issuer").map(Self)
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Subject {
    /// # Errors
    /// Empty, longer than 255 bytes, or a control character.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        check_identifier(text, "subject").map(Self)
    }

    /// The identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A secret string: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the string over.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, to be sent to the party it belongs to and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_accepted() {
        for name in ["ann", "john.doe@example.com", "a", "_x", "0a", "a+b@c", "Ann", "4you.team", "1.2@a.de"]
        {
            assert!(LoginName::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        let cases = [
            ("", NameError::Empty),
            ("0", NameError::NoLetter),
            ("0.0", NameError::NoLetter),
            ("0.root", NameError::NumberBeforeDot),
            ("-x", NameError::FirstCharacter),
            ("@a", NameError::FirstCharacter),
            ("a:b", NameError::Character),
            ("a b", NameError::Character),
            ("a\n", NameError::Character),
            ("\u{212a}elvin", NameError::Character),
            ("a..b", NameError::Dots),
            ("a.", NameError::Dots),
        ];
        for (name, error) in cases {
            assert_eq!(LoginName::parse(name), Err(error), "{name:?}");
        }
        assert_eq!(LoginName::parse(&"a".repeat(65)), Err(NameError::TooLong));
        assert!(LoginName::parse(&"a".repeat(64)).is_ok());
        assert_eq!(LoginName::parse_lower("Ann"), Err(NameError::Capital));
    }

    #[test]
    fn every_byte_is_judged_wherever_it_stands() {
        for byte in 0..=255_u8 {
            let allowed = byte.is_ascii_alphanumeric() || b"_.@+-".contains(&byte);
            for length in 3..20 {
                for at in 1..length - 1 {
                    let mut name = vec![b'1'; length];
                    (name[0], name[length - 1], name[at]) = (b'_', b'x', byte);
                    assert_eq!(is_login_name(&name), allowed, "{name:?}");
                    assert_eq!(login_name(&name).map(str::as_bytes), allowed.then_some(&name[..]));
                    name[length - 1] = b'1';
                    assert_eq!(is_login_name(&name), byte.is_ascii_alphabetic(), "{name:?}");
                }
            }
        }
    }

    /// The syntax once more, byte by byte.
    fn is_name(name: &[u8]) -> bool {
        let text = String::from_utf8_lossy(name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@+-".contains(c);
        let before_dot = text.split('.').next().unwrap_or_default();
        (1..=64).contains(&name.len())
            && text.chars().all(allowed)
            && text.contains(|c: char| c.is_ascii_alphabetic())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && !text.contains("..")
            && !text.ends_with('.')
            && !(text.contains('.') && !text.contains('@') && before_dot.chars().all(|c| c.is_ascii_digit()))
    }

    #[test]
    fn the_syntax_is_the_same_read_eight_bytes_at_once() {
        let bytes = b"aZ09_.@-\0\xe9";
        for length in 0..=5_u32 {
            for number in 0..bytes.len().pow(length) {
                let end: Vec<_> =
                    (0..length).map(|place| bytes[number / bytes.len().pow(place) % bytes.len()]).collect();
                for before in ["", "1234", "12345678"] {
                    let name = [before.as_bytes(), &end].concat();
                    assert_eq!(is_login_name(&name), is_name(&name), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn ids_of_the_machine_are_refused() {
        for id in [0, 999, 65_534, 65_535, u32::MAX] {
            assert!(Uid::new(id).is_err() && Gid::new(id).is_err(), "{id}");
        }
        assert_eq!(Uid::new(1000).map(Uid::get), Ok(1000));
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(***)");
    }
}
