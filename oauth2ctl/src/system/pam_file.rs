//! What pam-auth-update makes of a file of /etc/pam.d when a profile is switched on or off.

use std::collections::BTreeSet;
use std::path::Path;

/// What it makes its lines from.
const PROFILES: &str = "/usr/share/pam-configs";

const PHASES: [&str; 4] = ["auth", "account", "password", "session"];

/// Do the two texts say the same, but for lines that stand in profiles of this machine? Somebody's own line is in none.
pub(super) fn differ_by_profiles_alone(before: &str, now: &str) -> bool {
    let files = std::fs::read_dir(Path::new(PROFILES)).into_iter().flatten().flatten();
    let profiles: Vec<String> = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    differ_by_lines_of(&profiles, before, now)
}

fn differ_by_lines_of(profiles: &[String], before: &str, now: &str) -> bool {
    let lines = profiles.iter().flat_map(|profile| profile.lines());
    let known: BTreeSet<String> =
        lines.filter(|line| line.starts_with(char::is_whitespace)).map(without_jumps).collect();
    // In the profile the phase stands above the line, in the file at its beginning.
    let is_known = |line: &str| {
        let (phase, rest) = line.split_once(char::is_whitespace).unwrap_or_default();
        PHASES.contains(&phase.trim_start_matches('-')) && known.contains(&without_jumps(rest))
    };
    let others =
        |text: &str| text.lines().filter(|line| !is_known(line)).map(str::to_owned).collect::<Vec<_>>();
    others(before) == others(now)
}

/// `[success=end …]` of a profile is `[success=2 …]` in the file, and `[success=1 …]` in another place.
fn without_jumps(line: &str) -> String {
    let word = |word: &str| match word.split_once('=') {
        Some((action, jump)) if is_jump(jump.trim_end_matches(']')) => {
            format!("{action}=#{}", if jump.ends_with(']') { "]" } else { "" })
        }
        _ => word.to_owned(),
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn is_jump(value: &str) -> bool {
    value == "end" || (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: &str = "Name: Unix\nAuth-Type: Primary\nAuth:\n\
        \t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\nAuth-Initial:\n\
        \t[success=end default=ignore]\tpam_unix.so nullok\n";
    const OURS: &str = "Auth:\n\t[success=1 default=ignore]\tpam_localuser.so\n\
        \t[success=end auth_err=die default=ignore]\tpam_oauth2_device.so\n";
    const BEFORE: &str = "# a comment\n\
        auth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
        auth\trequisite\tpam_deny.so\n";
    const WITH_US: &str = "# a comment\n\
        auth\t[success=1 default=ignore]\tpam_localuser.so \n\
        auth\t[success=3 auth_err=die default=ignore]\tpam_oauth2_device.so\n\
        auth\t[default=ignore success=12]\tpam_unix.so nullok try_first_pass\n\
        auth\trequisite\tpam_deny.so\n";

    fn differ(before: &str, now: &str) -> bool {
        let unix = UNIX.replace(
            "[success=end default=ignore]\tpam_unix.so nullok try",
            "[default=ignore success=end]\tpam_unix.so nullok try",
        );
        !differ_by_lines_of(&[unix, OURS.to_owned()], before, now)
    }

    #[test]
    fn lines_of_profiles_and_their_jumps_are_no_edit_of_anybody() {
        assert!(!differ(BEFORE, BEFORE));
        assert!(!differ(BEFORE, WITH_US));
        assert!(!differ(WITH_US, BEFORE));
    }

    #[test]
    fn every_other_line_is_somebodys() {
        let others = [
            WITH_US.replace("pam_deny.so\n", "pam_deny.so\nauth required pam_faildelay.so\n"),
            WITH_US.replace(" nullok", " nullok debug"),
            WITH_US.replace("# a comment\n", ""),
            BEFORE.replace("success=1", "success=ok"),
            BEFORE.replace("auth\t[success", "#auth\t[success"),
            String::new(),
        ];
        for text in others {
            assert!(differ(BEFORE, &text), "{text}");
        }
    }
}
