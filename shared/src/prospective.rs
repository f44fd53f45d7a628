//! The prospective entry (design, section 4): the account that a person the machine has never seen would get. Pure;
//! the NSS module serves it inside root's sshd, the PAM module asks it *why* a name is absent, `oauth2ctl login`
//! resolves by it.

use crate::etc::LocalNames;
use crate::first_login::FirstLogin;
use crate::identity::account::Account;
use crate::identity::admissible::{self, Inadmissible};
use crate::snapshot::Snapshot;
use crate::types::{Gid, LoginName, NameError};
use std::os::unix::fs::MetadataExt;

/// Why a name has no prospective entry. Each has a name for the log ([`Absent::reason`]) and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// No login name at all.
    #[error("{0}")]
    Syntax(#[from] NameError),
    /// No pattern of `first_login` admits it, and nobody reserved it.
    #[error("no pattern of first_login admits the name")]
    NotAdmitted,
    /// A name that must never be a person's.
    #[error("{0}")]
    Inadmissible(#[from] Inadmissible),
    /// The name belonged to somebody who was removed.
    #[error("the name belonged to somebody who was removed")]
    Tombstoned(LoginName),
    /// The derived uid is somebody else's.
    #[error("uid {uid} of the name is taken: settle it with uid_overrides")]
    UidCollision {
        /// The uid.
        uid: u32,
    },
    /// The home directory exists, and nobody knows whose keys are in it.
    #[error("{home} exists, but was not made for this person: move it away")]
    HomeExists {
        /// The directory.
        home: String,
    },
    /// The published database cannot be read.
    #[error("the published database cannot be read: run oauth2ctl publish")]
    Unreadable,
}

impl Absent {
    /// The reason as the log has it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "name_not_admissible",
            Self::NotAdmitted => "absent",
            Self::Inadmissible(_) => "reserved_name",
            Self::Tombstoned(_) => "tombstoned",
            Self::UidCollision { .. } => "uid_collision",
            Self::HomeExists { .. } => "home_exists",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What the published database knows about a number and a removed name.
pub trait Published {
    /// Is the number a uid or gid of somebody published, or of somebody who was removed?
    ///
    /// # Errors
    /// [`Absent::Unreadable`].
    fn has_id(&self, id: u32) -> Result<bool, Absent>;

    /// Did the name belong to somebody who was removed?
    ///
    /// # Errors
    /// [`Absent::Unreadable`].
    fn is_tombstoned(&self, name: &LoginName) -> Result<bool, Absent>;

    /// Is it the name of a provider's group?
    ///
    /// # Errors
    /// [`Absent::Unreadable`].
    fn is_group(&self, name: &LoginName) -> Result<bool, Absent>;
}

impl Published for Snapshot<'_> {
    fn has_id(&self, id: u32) -> Result<bool, Absent> {
        let person = self.person_by_uid(id).map_err(|_| Absent::Unreadable)?.is_some();
        let group = self.group_by_gid(id).map_err(|_| Absent::Unreadable)?.is_some();
        let removed = self.uid_is_tombstoned(id).map_err(|_| Absent::Unreadable)?;
        Ok(person || group || removed)
    }

    fn is_tombstoned(&self, name: &LoginName) -> Result<bool, Absent> {
        self.name_is_tombstoned(name.as_str().as_bytes()).map_err(|_| Absent::Unreadable)
    }

    fn is_group(&self, name: &LoginName) -> Result<bool, Absent> {
        Ok(self.group_by_name(name.as_str().as_bytes()).map_err(|_| Absent::Unreadable)?.is_some())
    }
}

/// The machine around a name.
pub struct Surroundings<'a> {
    /// /etc/passwd and /etc/group.
    pub local: &'a LocalNames,
    /// The published database.
    pub published: &'a dyn Published,
    /// Is there anything at this path but a directory of this uid's own, where one is given (one lstat; every fault but "no
    /// such file" counts as yes)?
    pub exists: &'a dyn Fn(&str, Option<u32>) -> bool,
}

/// The account that `name` would get at its first login. The caller has looked for a published entry before.
///
/// # Errors
/// Why there is none.
pub fn account(name: &str, parameters: &FirstLogin, around: &Surroundings<'_>) -> Result<Account, Absent> {
    let name = if parameters.preserve_case { LoginName::parse(name) } else { LoginName::parse_lower(name) }?;
    let configured = parameters.refused_names.iter().map(String::as_str);
    admissible::check(name.as_str(), around.local, configured)?;
    // refused_names is what group_map was when the parameters were made; what is published may be newer.
    if name.as_str() == parameters.people_group.as_str() || around.published.is_group(&name)? {
        return Err(Inadmissible::Configured.into());
    }
    if around.published.is_tombstoned(&name)? {
        return Err(Absent::Tombstoned(name));
    }
    if !parameters.admits(&name) {
        return Err(Absent::NotAdmitted);
    }
    let account = derive(name, parameters)?;
    let uid = account.uid.get();
    // Settled by hand for somebody else, who may not have signed in here yet.
    let pinned =
        parameters.uid_overrides.iter().any(|(name, other)| *name != account.name && other.get() == uid);
    if pinned || around.local.has_id(uid) || around.published.has_id(uid)? {
        return Err(Absent::UidCollision { uid });
    }
    if (around.exists)(&account.home, parameters.adopt_homes.then_some(uid)) {
        return Err(Absent::HomeExists { home: account.home });
    }
    Ok(account)
}

/// The fields that belong to a name, whoever else may have them.
///
/// # Errors
/// [`Absent::UidCollision`] if the range yields no usable uid.
pub fn derive(name: LoginName, parameters: &FirstLogin) -> Result<Account, Absent> {
    let uid = parameters.uid(&name).ok_or(Absent::UidCollision { uid: 0 })?;
    Ok(Account {
        uid,
        gid: Gid::from(uid),
        gecos: String::new(),
        home: parameters.home(&name),
        shell: parameters.shell.clone(),
        supplementary: vec![parameters.people_gid],
        name,
    })
}

/// Is there anything at `path` but a directory that belongs to `adopter`? One lstat; only "no such file" is a no.
#[must_use]
pub fn exists(path: &str, adopter: Option<u32>) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(there) => !there.is_dir() || adopter != Some(there.uid()),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::first_login::tests::sample;

    #[derive(Default)]
    struct Fake {
        id: Option<u32>,
        tombstone: Option<&'static str>,
        broken: bool,
    }

    impl Published for Fake {
        fn has_id(&self, id: u32) -> Result<bool, Absent> {
            if self.broken { Err(Absent::Unreadable) } else { Ok(self.id == Some(id)) }
        }

        fn is_tombstoned(&self, name: &LoginName) -> Result<bool, Absent> {
            Ok(self.tombstone == Some(name.as_str()))
        }

        fn is_group(&self, name: &LoginName) -> Result<bool, Absent> {
            Ok(name.as_str() == "a-former-group")
        }
    }

    fn ask(name: &str, published: &Fake, home_exists: bool) -> Result<Account, Absent> {
        let local = LocalNames::parse(b"bob:x:1883979822:1000::/:/bin/sh\n", b"");
        let mut parameters = sample();
        parameters.id_key = crate::identity::ids::IdKey::default();
        parameters.uid_overrides.clear();
        parameters.patterns.push("a*".into());
        account(name, &parameters, &Surroundings { local: &local, published, exists: &|_, _| home_exists })
    }

    #[test]
    fn an_admitted_name_gets_its_derived_account() {
        let account = ask("john@example.com", &Fake::default(), false).unwrap();
        assert_eq!(account.home, "/home/john@example.com");
        assert_eq!(account.gid.get(), account.uid.get());
        assert_eq!(account.supplementary, [sample().people_gid]);
    }

    #[test]
    fn a_uid_that_is_settled_for_somebody_else_is_taken() {
        let axel = ask("axel", &Fake::default(), false).unwrap();
        let mut parameters = sample();
        parameters.id_key = crate::identity::ids::IdKey::default();
        parameters.patterns = vec!["*".into()];
        parameters.uid_overrides = [(LoginName::parse("zoe").unwrap(), axel.uid)].into();
        let ask = |name| {
            let (local, published) = (LocalNames::default(), Fake::default());
            account(
                name,
                &parameters,
                &Surroundings { local: &local, published: &published, exists: &|_, _| false },
            )
        };
        assert_eq!(ask("axel").unwrap_err().reason(), "uid_collision");
        assert_eq!(ask("zoe").unwrap().uid, axel.uid);
    }

    #[test]
    fn every_reason_to_be_absent_is_named() {
        let uid = ask("axel", &Fake::default(), false).unwrap().uid.get();
        let cases = [
            ("Axel", Fake::default(), false, "name_not_admissible"),
            ("0", Fake::default(), false, "name_not_admissible"),
            ("sudo", Fake::default(), false, "reserved_name"),
            ("bob", Fake::default(), false, "reserved_name"),
            ("idp-staff", Fake::default(), false, "reserved_name"),
            ("a-former-group", Fake::default(), false, "reserved_name"),
            ("zoe", Fake::default(), false, "absent"),
            ("ann", Fake::default(), false, "uid_collision"), // bob of /etc/passwd has the uid that ann derives
            ("axel", Fake { id: Some(uid), ..Fake::default() }, false, "uid_collision"),
            ("axel", Fake { tombstone: Some("axel"), ..Fake::default() }, false, "tombstoned"),
            ("axel", Fake { broken: true, ..Fake::default() }, false, "unreadable"),
            ("axel", Fake::default(), true, "home_exists"),
        ];
        for (name, published, home_exists, reason) in cases {
            assert_eq!(ask(name, &published, home_exists).unwrap_err().reason(), reason, "{name}");
        }
    }
}
