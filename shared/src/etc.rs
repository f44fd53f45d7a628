//! /etc/passwd, /etc/group and nsswitch.conf, parsed by ourselves: from inside NSS no other NSS source may be asked,
//! and step 0 of a login must need nothing but these files.

use std::io;
use std::path::Path;

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdLine {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLine {
    /// Group name.
    pub name: String,
    /// Group id.
    pub gid: u32,
}

/// The machine's own accounts and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalNames {
    /// Lines of /etc/passwd that have a name and a uid.
    pub passwd: Vec<PasswdLine>,
    /// Lines of /etc/group that have a name and a gid.
    pub group: Vec<GroupLine>,
}

impl LocalNames {
    /// Parses both files. Lines that passwd(5) or group(5) would not make an entry of are passed over, as libc does.
    #[must_use]
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        let passwd = id_lines(passwd).map(|(name, uid)| PasswdLine { name, uid }).collect();
        let group = id_lines(group).map(|(name, gid)| GroupLine { name, gid }).collect();
        Self { passwd, group }
    }

    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read: then nothing may be concluded about who is local.
    pub fn read(passwd: &Path, group: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read(passwd)?, &std::fs::read(group)?))
    }

    /// The account of this name.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&PasswdLine> {
        self.passwd.iter().find(|line| line.name == name)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupLine> {
        self.group.iter().find(|line| line.name == name)
    }

    /// Is this number a uid or a gid of the machine's own?
    #[must_use]
    pub fn has_id(&self, id: u32) -> bool {
        self.passwd.iter().any(|line| line.uid == id) || self.group.iter().any(|line| line.gid == id)
    }

    /// Every name of a user or a group.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.passwd
            .iter()
            .map(|line| line.name.as_str())
            .chain(self.group.iter().map(|line| line.name.as_str()))
    }
}

/// (first field, third field as a number) of every line that has both.
fn id_lines(text: &[u8]) -> impl Iterator<Item = (String, u32)> + '_ {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let id = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
        Some((String::from_utf8_lossy(name).into_owned(), id))
    })
}

/// The ranges of subuid(5) or subgid(5), as (first, last): whoever has one *is* those ids in a container.
#[must_use]
pub fn subordinate_ranges(text: &str) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut numbers = line.split(':').skip(1).map(str::parse::<u32>);
        let (first, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some((first, first.saturating_add(count.checked_sub(1)?)))
    };
    text.lines().filter_map(range).collect()
}

/// The sources of one database of nsswitch.conf(5), in order, without their [actions].
#[must_use]
pub fn nsswitch_sources(text: &str, database: &str) -> Vec<String> {
    let line = text.lines().find_map(|line| {
        let (name, sources) = line.split('#').next()?.split_once(':')?;
        (name.trim() == database).then_some(sources)
    });
    let mut in_action = false;
    let mut sources = Vec::new();
    for token in line.unwrap_or_default().replace('[', " [").replace(']', "] ").split_whitespace() {
        in_action |= token.starts_with('[');
        if !in_action {
            sources.push(token.to_owned());
        }
        in_action &= !token.ends_with(']');
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_name_or_number_are_passed_over() {
        let names = LocalNames::parse(
            b"root:x:0:0::/root:/bin/sh\n+::::::\n\nbad:x:y:1\nann:x:1000:",
            b"sudo:x:27:ann\n",
        );
        assert_eq!(names.passwd.len(), 2);
        assert_eq!(names.user("ann").map(|line| line.uid), Some(1000));
        assert!(names.has_id(27) && names.has_id(0) && !names.has_id(1));
        assert_eq!(names.names().collect::<Vec<_>>(), ["root", "ann", "sudo"]);
    }

    #[test]
    fn subordinate_ranges_are_first_and_last() {
        let text = "ann:100000:65536\n1000:165536:1\nbad\nnone:5:0\nx:4294967290:99\n";
        assert_eq!(
            subordinate_ranges(text),
            [(100_000, 165_535), (165_536, 165_536), (4_294_967_290, u32::MAX)]
        );
    }

    #[test]
    fn nsswitch_actions_are_no_sources() {
        let text =
            "# x\npasswd:   files [SUCCESS=merge  NOTFOUND=return]oauth2 sss # winbind\ngroup: files\n";
        assert_eq!(nsswitch_sources(text, "passwd"), ["files", "oauth2", "sss"]);
        assert_eq!(nsswitch_sources(text, "group"), ["files"]);
        assert!(nsswitch_sources(text, "shadow").is_empty());
    }
}
