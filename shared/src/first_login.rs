//! The parameter file of prospective entries, `private/first-login` (design, section 4): everything that the NSS module
//! needs to say who *could* sign in, resolved from the configuration by `oauth2ctl enable sshd` and by every
//! publication. Its presence says that the account stacks have been proved. Flat text, so that the NSS module needs no
//! JSON; root only, for it holds the id key.

use crate::identity::ids::{IdKey, IdRange, derive_uid};
use crate::types::{Gid, GroupName, LoginName, Uid};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

/// First line of the file; another number is another format.
const MAGIC: &str = "oauth2-first-login 1";

/// Largest file that is read, in bytes.
pub const LIMIT: u64 = 1024 * 1024;

/// What a prospective entry is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstLogin {
    /// SHA-256 of the configuration this was resolved from.
    pub config_digest: [u8; 32],
    /// Which stack was proved: `oauth2` or `oauth2-local`.
    pub profile: String,
    /// Range of uids.
    pub uid_range: IdRange,
    /// Range of gids; the uids of people may not be in it.
    pub gid_range: IdRange,
    /// Key of the derivation.
    pub id_key: IdKey,
    /// `uid_overrides`.
    pub uid_overrides: BTreeMap<LoginName, Uid>,
    /// Template of the home directory; `{name}` stands for the login name.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Capitals are allowed in login names.
    pub preserve_case: bool,
    /// A home directory of exactly the derived uid counts as the person's own.
    pub adopt_homes: bool,
    /// Names that may sign in without a reservation.
    pub patterns: Vec<String>,
    /// Everybody's group.
    pub people_group: GroupName,
    /// Its gid.
    pub people_gid: Gid,
    /// Names that the configuration uses for groups: never a person's.
    pub refused_names: Vec<String>,
}

/// Why the parameter file was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FirstLoginError {
    /// Not the first line this version writes.
    #[error("the parameter file of first logins has another format: run oauth2ctl enable sshd")]
    Format,
    /// A line is unknown, missing or has a bad value.
    #[error("the parameter file of first logins is damaged at {0:?}: run oauth2ctl enable sshd")]
    Line(String),
}

impl FirstLogin {
    /// The uid that belongs to a name: the override, else the derived one.
    #[must_use]
    pub fn uid(&self, name: &LoginName) -> Option<Uid> {
        self.uid_overrides.get(name).copied().or_else(|| derive_uid(name, &self.uid_range, &self.id_key))
    }

    /// The home directory that belongs to a name.
    #[must_use]
    pub fn home(&self, name: &LoginName) -> String {
        self.home.replace("{name}", name.as_str())
    }

    /// May this name sign in without a reservation?
    #[must_use]
    pub fn admits(&self, name: &LoginName) -> bool {
        self.patterns.iter().any(|pattern| matches_pattern(pattern, name.as_str()))
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{MAGIC}\n");
        let mut line = |key: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key} {value}");
        };
        line("config_digest", &to_hex(&self.config_digest));
        line("profile", &self.profile);
        line("uid_range", &range_text(&self.uid_range));
        line("gid_range", &range_text(&self.gid_range));
        if let Some(key) = self.id_key.expose() {
            line("id_key", &to_hex(key));
        }
        for (name, uid) in &self.uid_overrides {
            line("uid_override", &format!("{name} {uid}"));
        }
        line("home", &self.home);
        line("shell", &self.shell);
        line("preserve_case", if self.preserve_case { "1" } else { "0" });
        if self.adopt_homes {
            line("adopt_homes", "1");
        }
        self.patterns.iter().for_each(|pattern| line("pattern", pattern));
        line("people_group", &format!("{} {}", self.people_group, self.people_gid));
        self.refused_names.iter().for_each(|name| line("refused_name", name));
        text
    }

    /// Parses the file's text.
    ///
    /// # Errors
    /// Anything that [`Self::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, FirstLoginError> {
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return Err(FirstLoginError::Format);
        }
        let mut draft = Draft::default();
        for line in lines {
            draft.take(line).ok_or_else(|| FirstLoginError::Line(key_of(line).to_owned()))?;
        }
        draft.finish()
    }
}

/// Only the key: a value may be secret.
fn key_of(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[derive(Default)]
struct Draft {
    config_digest: Option<[u8; 32]>,
    profile: Option<String>,
    uid_range: Option<IdRange>,
    gid_range: Option<IdRange>,
    id_key: IdKey,
    uid_overrides: BTreeMap<LoginName, Uid>,
    home: Option<String>,
    shell: Option<String>,
    preserve_case: Option<bool>,
    adopt_homes: bool,
    patterns: Vec<String>,
    people_group: Option<(GroupName, Gid)>,
    refused_names: Vec<String>,
}

impl Draft {
    fn take(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once(' ')?;
        match key {
            "config_digest" => self.config_digest = Some(from_hex(value)?.try_into().ok()?),
            "profile" => self.profile = Some(value.to_owned()),
            "uid_range" => self.uid_range = Some(parse_range(value)?),
            "gid_range" => self.gid_range = Some(parse_range(value)?),
            "id_key" => self.id_key = IdKey::new(from_hex(value)?),
            "uid_override" => {
                let (name, uid) = pair(value)?;
                self.uid_overrides.insert(LoginName::parse(name).ok()?, Uid::new(uid).ok()?);
            }
            "home" => self.home = Some(value.to_owned()),
            "shell" => self.shell = Some(value.to_owned()),
            "preserve_case" => self.preserve_case = Some(value == "1"),
            "adopt_homes" => self.adopt_homes = true,
            "pattern" => self.patterns.push(value.to_owned()),
            "people_group" => {
                let (name, gid) = pair(value)?;
                self.people_group = Some((GroupName::parse(name).ok()?, Gid::of_local_group(gid).ok()?));
            }
            "refused_name" => self.refused_names.push(value.to_owned()),
            _ => return None,
        }
        Some(())
    }

    fn finish(self) -> Result<FirstLogin, FirstLoginError> {
        let missing = |key: &str| FirstLoginError::Line(key.to_owned());
        let (people_group, people_gid) = self.people_group.ok_or_else(|| missing("people_group"))?;
        Ok(FirstLogin {
            config_digest: self.config_digest.ok_or_else(|| missing("config_digest"))?,
            profile: self.profile.ok_or_else(|| missing("profile"))?,
            uid_range: self.uid_range.ok_or_else(|| missing("uid_range"))?,
            gid_range: self.gid_range.ok_or_else(|| missing("gid_range"))?,
            id_key: self.id_key,
            uid_overrides: self.uid_overrides,
            home: self.home.ok_or_else(|| missing("home"))?,
            shell: self.shell.ok_or_else(|| missing("shell"))?,
            preserve_case: self.preserve_case.ok_or_else(|| missing("preserve_case"))?,
            adopt_homes: self.adopt_homes,
            patterns: self.patterns,
            people_group,
            people_gid,
            refused_names: self.refused_names,
        })
    }
}

/// Does `name` match a pattern in which `*` stands for any run of characters?
#[must_use]
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(tail)
}

fn pair<T: FromStr>(value: &str) -> Option<(&str, T)> {
    let (first, second) = value.split_once(' ')?;
    Some((first, second.parse().ok()?))
}

fn range_text(range: &IdRange) -> String {
    format!("{} {}", range.first(), range.last())
}

fn parse_range(value: &str) -> Option<IdRange> {
    let (first, last) = value.split_once(' ')?;
    IdRange::new(first.parse().ok()?, last.parse().ok()?).ok()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identity::ids::{GID_RANGE, UID_RANGE};

    pub(crate) fn sample() -> FirstLogin {
        FirstLogin {
            config_digest: [7; 32],
            profile: "oauth2".into(),
            uid_range: UID_RANGE,
            gid_range: GID_RANGE,
            id_key: IdKey::new(vec![0, 255, 16]),
            uid_overrides: [(LoginName::parse("ann").unwrap(), Uid::new(4242).unwrap())].into(),
            home: "/home/{name}".into(),
            shell: "/bin/bash".into(),
            preserve_case: false,
            adopt_homes: true,
            patterns: vec!["*@example.com".into(), "ann".into()],
            people_group: GroupName::parse("oauth2-users").unwrap(),
            people_gid: Gid::new(GID_RANGE.last()).unwrap(),
            refused_names: vec!["idp-staff".into()],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(FirstLogin::parse(&sample().to_text()), Ok(sample()));
    }

    #[test]
    fn a_damaged_file_is_refused_without_showing_a_value() {
        let text = sample().to_text();
        assert_eq!(FirstLogin::parse("oauth2-first-login 2\n"), Err(FirstLoginError::Format));
        let cut = text.replace("shell /bin/bash\n", "");
        assert_eq!(FirstLogin::parse(&cut), Err(FirstLoginError::Line("shell".into())));
        let bad = text.replace("id_key 00ff10", "id_key 00ff1");
        assert_eq!(FirstLogin::parse(&bad), Err(FirstLoginError::Line("id_key".into())));
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "ann", true),
            ("ann", "ann", true),
            ("ann", "anna", false),
            ("*@*", "ann", false),
            ("*@*", "ann@example.com", true),
            ("*@example.com", "ann@example.com", true),
            ("*@example.com", "ann@example.com.evil", false),
            ("a*n*", "ann", true),
            ("a*n*b", "ann", false),
            ("aa*aa", "aaa", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
