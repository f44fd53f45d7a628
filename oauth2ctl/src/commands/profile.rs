//! Which of our PAM profiles is in the stack of a service: the one that jumps over users of /etc/passwd, or the one that
//! does not (debian/pam-configs).

use pam_oauth2::login::LOCAL_PROFILE;
use shared::config::{Config, LocalUsers, Provisioning};
use std::path::Path;

/// The profile that jumps over users of /etc/passwd.
pub(super) const PROFILE: &str = "oauth2";

/// Files that a stack may include, one in the other.
const DEPTH: usize = 8;

/// The profile in the account phase of a service; `None` if our module does not stand there. `directories` are those that
/// libpam searches.
pub(super) fn in_stack(directories: &[&str], service: &str) -> Option<&'static str> {
    let lines = lines(directories, service, "account");
    let ours = lines.iter().position(|line| is_ours(line))?;
    let jumps =
        lines.get(..ours).is_some_and(|before| before.iter().any(|line| line.contains("pam_localuser.so")));
    Some(if jumps { PROFILE } else { LOCAL_PROFILE })
}

/// Does our module stand in the auth phase of a service?
pub(super) fn is_in_auth(directories: &[&str], service: &str) -> bool {
    lines(directories, service, "auth").iter().any(|line| is_ours(line))
}

/// The profile that a configuration needs: whose people may stand in /etc/passwd, must not have the stack jump over them.
pub(super) fn wanted(config: &Config) -> &'static str {
    match (config.provisioning, config.local_users) {
        (Provisioning::Store, LocalUsers::Ignore) => PROFILE,
        _ => LOCAL_PROFILE,
    }
}

/// The lines of one phase of a service, with those of included files in their places (pam.d(5)).
pub(super) fn lines(directories: &[&str], service: &str, phase: &str) -> Vec<String> {
    lines_of(directories, service, phase, DEPTH)
}

fn lines_of(directories: &[&str], file: &str, wanted: &str, depth: usize) -> Vec<String> {
    let text = directories
        .iter()
        .find_map(|directory| std::fs::read_to_string(Path::new(directory).join(file)).ok());
    let mut lines = Vec::new();
    for line in text.unwrap_or_default().lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let included = match words.as_slice() {
            ["@include", file] => Some(*file),
            [phase, "include" | "substack", file, ..] if is_phase(phase, wanted) => Some(*file),
            [phase, ..] if is_phase(phase, wanted) => {
                lines.push(line.to_owned());
                None
            }
            _ => None,
        };
        if let (Some(file), Some(depth)) = (included, depth.checked_sub(1)) {
            lines.extend(lines_of(directories, file, wanted, depth));
        }
    }
    lines
}

fn is_phase(phase: &str, wanted: &str) -> bool {
    phase.trim_start_matches('-').eq_ignore_ascii_case(wanted)
}

/// Does the line name our module, under one of its two names?
pub(super) fn is_ours(line: &str) -> bool {
    line.contains("pam_oauth2_device.so") || line.contains("pam_oauth2.so")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(files: &[(&str, &str)]) -> Option<&'static str> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        in_stack(&["/nonexistent", directory.path().to_str().unwrap()], "sshd")
    }

    #[test]
    fn the_profile_is_the_one_that_stands_in_the_account_phase() {
        let stack = "auth required pam_localuser.so\n@include common-account\nsession optional pam_oauth2_device.so\n";
        let ours = "account [success=end default=ignore] pam_oauth2_device.so\n";
        let jump = format!("account [success=1 default=ignore] pam_localuser.so\n{ours}");
        assert_eq!(profile(&[("sshd", stack), ("common-account", &jump)]), Some("oauth2"));
        assert_eq!(profile(&[("sshd", stack), ("common-account", ours)]), Some("oauth2-local"));
        let after = format!("{ours}account required pam_localuser.so\n");
        assert_eq!(profile(&[("sshd", stack), ("common-account", &after)]), Some("oauth2-local"));
        assert_eq!(profile(&[("sshd", stack), ("common-account", "account required pam_unix.so\n")]), None);
        assert_eq!(
            profile(&[("sshd", "account include system-auth"), ("system-auth", &jump)]),
            Some("oauth2")
        );
        assert_eq!(profile(&[("sshd", "account include sshd\n")]), None, "a file that includes itself");
        assert_eq!(profile(&[]), None);
    }
}
