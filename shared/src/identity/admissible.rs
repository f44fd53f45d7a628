//! Admissibility (rule 5): may this name be *given* to a person? Asked when a name is prospective, reserved or first
//! recorded; never of a row that exists.

use crate::etc::LocalNames;

/// Users and groups of base-passwd, sysusers.d, of the packages of Debian, Ubuntu, Fedora and Enterprise Linux, and of
/// common daemons, one a line, sorted. A person with such a name would be taken for the service by `chown`, by
/// `AllowGroups`, by sudoers, or by the package that later creates the account.
const RESERVED: &str = include_str!("reserved_names.txt");

/// Why a name may not be given to a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inadmissible {
    /// On the reserved list, or dotted below a name of it.
    #[error("the name, or its part before the first dot, is reserved for services")]
    Reserved,
    /// A user or group of the machine itself has the name, or the name is dotted below one.
    #[error("the machine's own user or group {0} has the name")]
    Local(String),
    /// The configuration uses the name for a group.
    #[error("the configuration uses the name for a group")]
    Configured,
}

/// Is the name on the reserved list? Compared without case.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.lines().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// The reserved list, for whoever asks about many names.
#[cfg(feature = "config")]
pub(crate) fn reserved_names() -> impl Iterator<Item = &'static str> {
    RESERVED.lines()
}

/// May a person be given this name? `configured` are the names of `group_map`, `local_groups` and
/// `allow_privileged_groups`.
///
/// # Errors
/// Who else has the name.
pub fn check<'a>(
    name: &str,
    local: &LocalNames,
    configured: impl IntoIterator<Item = &'a str>,
) -> Result<(), Inadmissible> {
    // chown(1) reads "a.b" as user a, group b, where it finds no user "a.b".
    let head = if name.contains('@') { None } else { name.split_once('.').map(|(head, _)| head) };
    if is_reserved(name) || head.is_some_and(is_reserved) {
        return Err(Inadmissible::Reserved);
    }
    let taken = |own: &&str| own.eq_ignore_ascii_case(name) || head.is_some() && is_dotted_below(name, own);
    if let Some(own) = local.names().find(taken) {
        return Err(Inadmissible::Local(own.to_owned()));
    }
    if configured.into_iter().any(|configured| configured.eq_ignore_ascii_case(name)) {
        return Err(Inadmissible::Configured);
    }
    Ok(())
}

fn is_dotted_below(name: &str, own: &str) -> bool {
    name.len() > own.len()
        && name.as_bytes().get(own.len()) == Some(&b'.')
        && name.get(..own.len()).is_some_and(|head| head.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalNames {
        LocalNames::parse(b"bob:x:1000:1000::/home/bob:/bin/sh\n", b"builders:x:1500:\n")
    }

    #[test]
    fn the_reserved_list_is_long_sorted_and_lower_case() {
        let names: Vec<&str> = RESERVED.lines().collect();
        assert!(names.len() > 500, "{}", names.len());
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(names.iter().all(|name| !name.bytes().any(|b| b.is_ascii_uppercase())));
        for name in
            ["root", "sudo", "redis", "docker", "www-data", "wheel", "systemd-network", "oauth2-users"]
        {
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn names_of_services_and_of_the_machine_are_not_given_to_people() {
        let refused = |name| check(name, &local(), ["idp-staff"]).unwrap_err();
        assert_eq!(refused("sudo"), Inadmissible::Reserved);
        assert_eq!(refused("REDIS"), Inadmissible::Reserved);
        assert_eq!(refused("root.root"), Inadmissible::Reserved);
        assert_eq!(refused("bob"), Inadmissible::Local("bob".into()));
        assert_eq!(refused("bob.smith"), Inadmissible::Local("bob".into()));
        assert_eq!(refused("builders"), Inadmissible::Local("builders".into()));
        assert_eq!(refused("idp-staff"), Inadmissible::Configured);
    }

    #[test]
    fn names_of_people_are_admissible() {
        for name in ["ann", "bob@example.com", "bob.smith@example.com", "bobby", "root@example.com"] {
            assert_eq!(check(name, &local(), ["idp-staff"]), Ok(()), "{name}");
        }
    }
}
