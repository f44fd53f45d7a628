//! The PAM stack and nsswitch.conf where authselect looks after both (Enterprise Linux, Fedora): our vendor profile is
//! selected with the features that are on, and what was selected before comes back from a backup.

use super::profile::{PROFILE, in_stack, is_in_auth};
use crate::failure::Failure;
use pam_oauth2::login::LOCAL_PROFILE;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TOOL: &str = "/usr/bin/authselect";
const VENDOR: &str = "/usr/share/authselect/vendor/oauth2";
const DIRECTORY: &str = "/etc/pam.d";

/// The backup that `disable pam` and the removal of the package restore.
const BACKUP: &str = "pre-oauth2";

/// The feature without which pam_localuser jumps over our module: there is one profile here, not two.
const LOCAL_SIGN_IN: &str = "with-local-sign-in";

/// Profiles that serve nobody but users of /etc/passwd: ours can take their place.
const REPLACED: [&str; 3] = ["local", "minimal", PROFILE];

/// Where authselect writes, and where it keeps what it wrote, for `authselect check`.
const PLACES: [&str; 2] = ["/etc/authselect", "/var/lib/authselect"];
const FILES: [&str; 9] = [
    "authselect.conf",
    "dconf-db",
    "dconf-locks",
    "fingerprint-auth",
    "nsswitch.conf",
    "password-auth",
    "postlogin",
    "smartcard-auth",
    "system-auth",
];

/// Stacks that services include.
const STACKS: [&str; 2] = ["system-auth", "password-auth"];

/// What is selected.
struct Selection {
    profile: String,
    features: Vec<String>,
}

/// Does authselect look after this machine's PAM stack?
pub(super) fn is_here() -> bool {
    Path::new(TOOL).exists() && !Path::new("/usr/sbin/pam-auth-update").exists()
}

/// Does it look after this nsswitch.conf?
pub(super) fn looks_after(nsswitch: &Path) -> bool {
    is_here()
        && std::fs::read_link(nsswitch).is_ok_and(|target| target.to_string_lossy().contains("authselect"))
}

/// Every file that a selection may change.
pub(super) fn files() -> Vec<PathBuf> {
    PLACES.iter().flat_map(|place| FILES.iter().map(|file| Path::new(place).join(file))).collect()
}

/// The profile that stands in every stack, in both phases.
pub(super) fn active() -> Option<&'static str> {
    let mut found =
        STACKS.iter().map(|stack| in_stack(&[DIRECTORY], stack).filter(|_| is_in_auth(&[DIRECTORY], stack)));
    let first = found.next().flatten()?;
    found.all(|other| other == Some(first)).then_some(first)
}

/// Our profile can take the place of what is selected.
///
/// # Errors
/// It cannot: why, and what else can be done.
pub(super) fn check() -> Result<(), Failure> {
    let selection = selection()?;
    if !REPLACED.contains(&selection.profile.as_str()) {
        return Err(Failure::Conflict(format!(
            "authselect's profile {0} is selected, and oauth2 would shut out the people whom {0} knows: make a custom profile \
             (authselect create-profile {0}-oauth2 --base-on {0}), put the lines of pam_oauth2_device(8) into its system-auth \
             and password-auth and oauth2 into its nsswitch.conf, and select it",
            selection.profile
        )));
    }
    if !Path::new(VENDOR).join("system-auth").is_file() {
        return Err(Failure::Conflict(format!("{VENDOR} is missing: install the package pam-oauth2 again")));
    }
    let known = run(&["list-features", PROFILE])?;
    let strange: Vec<&str> = selection
        .features
        .iter()
        .map(String::as_str)
        .filter(|feature| !known.lines().any(|line| line.trim() == *feature))
        .collect();
    if !strange.is_empty() {
        return Err(Failure::Conflict(format!(
            "authselect's profile oauth2 has no feature {}: authselect disable-feature, if you can do without",
            strange.join(", ")
        )));
    }
    run(&["check"]).map(drop).map_err(|_| {
        Failure::Conflict(
            "files of authselect were edited by hand (authselect check names them), and a selection would lose those edits: \
             authselect apply-changes first, or a custom profile with them"
                .into(),
        )
    })
}

/// The command that selects the profile, for a reader.
pub(super) fn show(profile: &str) -> String {
    let arguments = selection().map(|selection| arguments(&selection, profile)).unwrap_or_default();
    format!("{DIRECTORY} and nsswitch.conf, by {TOOL} {}", arguments.join(" "))
}

/// Selects the profile.
///
/// # Errors
/// [`check`], and what authselect says.
pub(super) fn switch_on(profile: &str) -> Result<(), Failure> {
    check()?;
    let selection = selection()?;
    if selection.profile != PROFILE {
        // One of an earlier time is not what stands here now.
        let _ = run(&["backup-remove", BACKUP]);
    }
    let arguments = arguments(&selection, profile);
    run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    if active() == Some(profile) {
        return Ok(());
    }
    Err(Failure::Conflict(
        "authselect selected oauth2, but /etc/pam.d does not have it: system-auth and password-auth there are not its links \
         any more (authselect select --force makes them anew)"
            .into(),
    ))
}

/// What `disable pam` would do, for a reader.
pub(super) fn show_off() -> String {
    format!("{DIRECTORY} and nsswitch.conf, by {TOOL} backup-restore {BACKUP}")
}

/// Puts back what was selected before; `false` where that is not known, and the profile for local people alone was taken.
///
/// # Errors
/// What authselect says.
pub(super) fn switch_off() -> Result<bool, Failure> {
    let selection = selection()?;
    if selection.profile != PROFILE {
        return Err(Failure::Conflict(format!(
            "authselect's profile {} is not ours, but names our module: take its lines out there",
            selection.profile
        )));
    }
    let restored = run(&["backup-restore", BACKUP]).is_ok();
    if !restored {
        select_local(&selection)?;
    }
    if in_some_stack().is_some() {
        return Err(Failure::Conflict(
            "the profile was not switched off: authselect wrote other files than those in /etc/pam.d".into(),
        ));
    }
    let _ = run(&["backup-remove", BACKUP]);
    Ok(restored)
}

fn select_local(selection: &Selection) -> Result<(), Failure> {
    let features = selection.features.iter().map(String::as_str).filter(|name| *name != LOCAL_SIGN_IN);
    let select = |profile| {
        run(&["select", profile, "--force", "--quiet"]
            .into_iter()
            .chain(features.clone())
            .collect::<Vec<_>>())
    };
    select("local").or_else(|_| select("minimal")).map(drop)
}

/// The profile that stands in the account phase of some stack.
pub(super) fn in_some_stack() -> Option<&'static str> {
    STACKS.iter().find_map(|stack| in_stack(&[DIRECTORY], stack))
}

fn arguments(selection: &Selection, profile: &str) -> Vec<String> {
    let mut arguments = vec!["select".to_owned(), PROFILE.to_owned()];
    arguments.extend(selection.features.iter().filter(|feature| *feature != LOCAL_SIGN_IN).cloned());
    if profile == LOCAL_PROFILE {
        arguments.push(LOCAL_SIGN_IN.to_owned());
    }
    // What was there before us is kept, not an earlier choice of features of ours.
    if selection.profile != PROFILE {
        arguments.push(format!("--backup={BACKUP}"));
    }
    arguments.push("--quiet".to_owned());
    arguments
}

fn selection() -> Result<Selection, Failure> {
    let nothing = || {
        Failure::Conflict(
            "authselect is installed, but nothing is selected: authselect select local (or minimal) first, or put the lines of \
             pam_oauth2_device(8) into the PAM stack by hand"
                .into(),
        )
    };
    let text = run(&["current", "--raw"]).map_err(|_| nothing())?;
    let mut words = text.split_whitespace().map(str::to_owned);
    let profile = words.next().ok_or_else(nothing)?;
    Ok(Selection { profile, features: words.collect() })
}

fn run(arguments: &[&str]) -> Result<String, Failure> {
    let failed = |what: String| Failure::Other(format!("{TOOL} {}: {what}", arguments.join(" ")));
    let output = Command::new(TOOL)
        .args(arguments)
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")])
        .stdin(Stdio::null())
        // A Ctrl-C of the administrator must not stop it half-way.
        .process_group(0)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(profile: &str, features: &[&str]) -> Selection {
        let features = features.iter().map(|&feature| feature.to_owned()).collect();
        Selection { profile: profile.to_owned(), features }
    }

    #[test]
    fn a_selection_keeps_the_features_and_a_backup_of_what_was_before() {
        let before = selected("local", &["with-faillock", "without-nullok"]);
        let wanted = "select oauth2 with-faillock without-nullok --backup=pre-oauth2 --quiet";
        assert_eq!(arguments(&before, "oauth2").join(" "), wanted);
    }

    #[test]
    fn our_own_profile_is_not_what_was_before() {
        let before = selected("oauth2", &["with-local-sign-in", "with-faillock"]);
        assert_eq!(arguments(&before, "oauth2").join(" "), "select oauth2 with-faillock --quiet");
        let wanted = "select oauth2 with-faillock with-local-sign-in --quiet";
        assert_eq!(arguments(&before, "oauth2-local").join(" "), wanted);
    }
}
