//! M: mandatory access control, and the kernel's FIPS mode.

use super::facts::Facts;
use super::fix::Fix;
use super::report::{Finding, State, Verdict};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ENFORCE: &str = "/sys/fs/selinux/enforce";
const MODULE: &str = "pam_oauth2";
/// Where the module's own log belongs.
const LOGS: &str = "/var/log/pam_oauth2_device";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
const ABSTRACTIONS: &str = "/etc/apparmor.d/abstractions";
const FIPS: &str = "/proc/sys/crypto/fips_enabled";

/// What a program prints; `None` where it is not there or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let program = ["/usr/sbin", "/sbin", "/usr/bin"]
        .map(|directory| Path::new(directory).join(program))
        .into_iter()
        .find(|path| path.exists())?;
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// M1: the policy module is loaded, our files have its labels, and nothing was denied today.
pub(super) fn selinux(facts: &Facts<'_>) -> Verdict {
    let Ok(enforce) = std::fs::read_to_string(ENFORCE) else {
        return Err(Finding::not_applicable("SELinux is not on"));
    };
    let consequence = "sshd may not reach the provider, or programs may not resolve anybody.";
    let Some(modules) = output("semodule", &["-l"]) else {
        return Err(Finding::not_asked("semodule is not installed"));
    };
    if !modules.lines().any(|line| line.split_whitespace().next() == Some(MODULE)) {
        let saw = format!("the policy module {MODULE} is not loaded");
        return Ok(Finding::fault(saw, consequence, "dnf install pam-oauth2-selinux"));
    }
    let findings = labelled(facts).iter().filter_map(|path| wrong_label(path, consequence)).collect();
    if let Some(finding) = Finding::gravest(findings) {
        return Ok(finding);
    }
    let denied = output("ausearch", &["-m", "AVC", "-ts", "today"]).unwrap_or_default();
    let denials = denied.lines().filter(|line| line.contains("oauth2") && line.contains("denied")).count();
    if denials > 0 {
        let remedy = "ausearch -m AVC -ts today | grep oauth2 | audit2why";
        return Ok(Finding::warning(format!("{denials} denial(s) today"), consequence, remedy));
    }
    let mode = if enforce.trim() == "1" { "enforcing" } else { "permissive" };
    Ok(Finding::ok(format!("{mode}, module {MODULE}, labels as the policy has them")))
}

fn labelled(facts: &Facts<'_>) -> Vec<PathBuf> {
    let places = &facts.machine.places;
    [&facts.machine.config, &places.nss_db, &places.store, &places.first_login, Path::new(LOGS)]
        .into_iter()
        .filter(|path| path.exists())
        .map(Path::to_owned)
        .collect()
}

/// matchpathcon(8) -V says whether a file has the label of the policy.
fn wrong_label(path: &Path, consequence: &str) -> Option<Finding> {
    let shown = path.to_str()?;
    if output("matchpathcon", &["-V", shown]).is_some_and(|said| said.contains("verified")) {
        return None;
    }
    let finding = Finding::fault(
        format!("{shown} has another label than the policy says"),
        consequence,
        format!("restorecon -R {shown}"),
    );
    Some(finding.with_fix(Fix::Context(path.to_owned())))
}

/// M2: programs with a profile may read the published database.
pub(super) fn apparmor(facts: &Facts<'_>) -> Verdict {
    let enabled = std::fs::read_to_string(APPARMOR).is_ok_and(|text| text.starts_with('Y'));
    if !enabled || !Path::new(ABSTRACTIONS).exists() {
        return Err(Finding::not_applicable("AppArmor is not on"));
    }
    let database = facts.machine.places.nss_db.to_string_lossy().into_owned();
    let included = std::fs::read_dir(format!("{ABSTRACTIONS}/nameservice.d"));
    let mut files: Vec<PathBuf> =
        included.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.push(format!("{ABSTRACTIONS}/nameservice").into());
    let names_it = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&database));
    if files.iter().any(names_it) {
        return Ok(Finding::ok("profiles that resolve names may read nss.db"));
    }
    Ok(Finding::fault(
        format!("no file of {ABSTRACTIONS}/nameservice.d names {database}"),
        "Programs with an AppArmor profile cannot resolve anybody of ours.",
        "apt-get install --reinstall libnss-oauth2",
    ))
}

/// M3: our cryptography is not what FIPS mode promises.
pub(super) fn fips(facts: &Facts<'_>) -> Verdict {
    if !std::fs::read_to_string(FIPS).is_ok_and(|text| text.trim() == "1") {
        return Err(Finding::not_applicable("FIPS mode is not on"));
    }
    if facts.of("P1").state != State::Ok {
        return Err(Finding::not_applicable("FIPS mode is on, and nobody signs in through us"));
    }
    Ok(Finding::warning(
        "the kernel is in FIPS mode",
        "Sign-ins use a cryptographic library that is not a validated module; rules that demand one demand the remedy.",
        "oauth2ctl disable pam",
    ))
}
