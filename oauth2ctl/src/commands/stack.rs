//! `enable pam` and `disable pam`: our profile in the distribution's PAM stack, by the distribution's own tool: pam-auth-
//! update here, or authselect beside.

use super::authselect;
use super::profile::{PROFILE, in_stack, is_in_auth, wanted};
use crate::failure::Failure;
use crate::output::{answer, changed, field, say};
use crate::system::{self, Change, undo};
use pam_oauth2::login::{LOCAL_PROFILE, Machine};
use shared::clock::SystemClock;
use shared::store::parameters;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The record of what the stack was.
const PART: &str = "pam";

const TOOL: &str = "/usr/sbin/pam-auth-update";
const DIRECTORY: &str = "/etc/pam.d";
const STATE: &str = "/var/lib/pam";
const PROFILES: &str = "/usr/share/pam-configs";
const PHASES: [&str; 5] = ["auth", "account", "password", "session", "session-noninteractive"];

/// Files that pam-auth-update writes. `seen` among them says which profiles an administrator has had a chance to decline:
/// it is put back by a roll back of setup, but not by `disable`, or the next upgrade would turn the profile on again.
pub(super) fn files() -> Vec<PathBuf> {
    if authselect::is_here() {
        return authselect::files();
    }
    let mut files = with_undo();
    files.push(Path::new(STATE).join("seen"));
    files
}

fn with_undo() -> Vec<PathBuf> {
    let common = PHASES.iter().map(|phase| Path::new(DIRECTORY).join(format!("common-{phase}")));
    common.chain(PHASES.iter().map(|phase| Path::new(STATE).join(phase))).collect()
}

/// The profile that stands in the common stack, in both phases.
pub(super) fn active() -> Option<&'static str> {
    if authselect::is_here() {
        return authselect::active();
    }
    in_stack(&[DIRECTORY], "common-account").filter(|_| is_in_auth(&[DIRECTORY], "common-auth"))
}

/// The lines of a profile, for a reader.
pub(super) fn show(profile: &str) -> String {
    if authselect::is_here() {
        return authselect::show(profile);
    }
    let text = std::fs::read_to_string(Path::new(PROFILES).join(profile)).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with(['\t', ' ']) || line.ends_with(':'));
    let lines = lines.map(|line| format!("\n  + {}", line.trim_end()));
    format!("{DIRECTORY}/common-*, by {TOOL} --package --enable {profile}{}", lines.collect::<String>())
}

/// Is there what it takes?
pub(super) fn check() -> Result<(), Failure> {
    if authselect::is_here() {
        return authselect::check();
    }
    if Path::new(TOOL).exists() {
        return Ok(());
    }
    Err(Failure::Conflict(
        "there is neither pam-auth-update nor authselect here: put the lines of pam_oauth2_device(8) into the PAM stack by hand"
            .into(),
    ))
}

/// Switches the profile on, and off the other one.
pub(super) fn switch_on(profile: &str) -> Result<(), Failure> {
    if authselect::is_here() {
        return authselect::switch_on(profile);
    }
    check()?;
    if !Path::new(PROFILES).join(profile).is_file() {
        return Err(Failure::Conflict(format!("{PROFILES}/{profile} is missing: install the package again")));
    }
    let other = if profile == PROFILE { LOCAL_PROFILE } else { PROFILE };
    let before = states()?;
    keep(&before)?;
    run(&["--package", "--disable", other, "--enable", profile])?;
    keep(&before)?;
    if active() == Some(profile) {
        return Ok(());
    }
    Err(by_hand("the profile was not switched on"))
}

fn by_hand(what: &str) -> Failure {
    Failure::Conflict(format!(
        "{what}: /etc/pam.d/common-* were edited by hand, and pam-auth-update leaves such files alone. Run \
         pam-auth-update --force, which makes them anew from the profiles and loses those edits, or edit in the lines of \
         pam_oauth2_device(8)"
    ))
}

fn states() -> Result<Vec<Change>, Failure> {
    let read = |path: PathBuf| {
        let before = system::read(&path)?;
        Ok(Change { path, after: before.clone(), before })
    };
    with_undo().into_iter().map(read).collect()
}

/// Keeps what the files were, beside what they are now.
fn keep(before: &[Change]) -> Result<(), Failure> {
    let now = |change: &Change| Ok(Change { after: system::read(&change.path)?, ..change.clone() });
    undo::keep(PART, &before.iter().map(now).collect::<Result<Vec<_>, Failure>>()?)
}

fn run(arguments: &[&str]) -> Result<(), Failure> {
    let failed = |what: String| Failure::Other(format!("{TOOL}: {what}"));
    let output = Command::new(TOOL)
        .args(arguments)
        .env_clear()
        // Debconf must not ask: what it would ask, the administrator has been asked here.
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ])
        .stdin(Stdio::null())
        // A Ctrl-C of the administrator must not stop it half-way.
        .process_group(0)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}

pub(super) fn enable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    check()?;
    let profile = wanted(&machine.load_config()?.config);
    if active() == Some(profile) {
        say(&format!("no change: the profile {profile} is in the PAM stack"));
        return Ok(());
    }
    answer(&show(profile));
    field("profile", profile);
    if dry_run {
        return Ok(());
    }
    switch_on(profile)?;
    changed(&format!("pam profile enabled profile={profile}"));
    super::audit(machine, "enabled", &format!("pam {profile}"))?;
    say(&format!("the profile {profile} is in the PAM stack of every service"));
    Ok(())
}

pub(super) fn disable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    let by_authselect = authselect::is_here();
    if !by_authselect {
        check()?;
    }
    let found =
        if by_authselect { authselect::in_some_stack() } else { in_stack(&[DIRECTORY], "common-account") };
    let Some(profile) = found else {
        say("no change: no profile of ours is in the PAM stack");
        return if dry_run { Ok(()) } else { undo::forget(PART) };
    };
    answer(&if by_authselect {
        authselect::show_off()
    } else {
        format!("{DIRECTORY}/common-*, by {TOOL} --package --disable {profile}")
    });
    field("profile", profile);
    if dry_run {
        return Ok(());
    }
    // What was proved of the stacks does not hold any more.
    parameters::disable(&machine.places, &SystemClock::new())?;
    let exact = if by_authselect { authselect::switch_off()? } else { switch_off()? };
    changed(&format!("pam profile disabled profile={profile}"));
    super::audit(machine, "disabled", &format!("pam {profile}"))?;
    say(if exact {
        "the PAM stack is what it was before, byte for byte"
    } else {
        "the PAM stack was made anew without our lines"
    });
    say("nobody of ours gets in now; first logins are off");
    Ok(())
}

/// Takes the profile out; was everything put back as it stood before, byte for byte?
fn switch_off() -> Result<bool, Failure> {
    let exact = undo::planned(PART)?;
    run(&["--package", "--disable", PROFILE, LOCAL_PROFILE])?;
    for change in exact.iter().flatten() {
        system::put(&change.path, &change.after)?;
    }
    undo::forget(PART)?;
    if in_stack(&[DIRECTORY], "common-account").is_some() {
        return Err(by_hand("the profile was not switched off"));
    }
    Ok(exact.is_some())
}
