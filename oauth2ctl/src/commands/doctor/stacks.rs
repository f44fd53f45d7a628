//! P: the PAM stacks. What they say is read; what they do is asked of libpam itself.

use super::super::profile::{in_stack, is_ours, lines};
use super::super::proof::{self, DIRECTORIES, SERVICES};
use super::facts::{Facts, runs};
use super::fix::Fix;
use super::report::{Finding, State, Verdict};
use crate::pam;
use pam_oauth2::login::LOCAL_PROFILE;
use shared::config::{Config, LocalUsers, Provisioning};
use shared::first_login::{self, FirstLogin};
use shared::secure_file::{self, SecureFileError};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The module's file, and one that every libpam has beside it.
const MODULE: &str = "pam_oauth2_device.so";
const NEIGHBOUR: &str = "pam_permit.so";

/// Services in which local accounts must pass.
const LOCAL_SERVICES: [&str; 3] = ["sshd", "login", "sudo"];

/// Seconds that the account phases of a few accounts may take together.
const PATIENCE: u32 = 20;

/// PAM_SUCCESS, and PAM_NEW_AUTHTOK_REQD, which only asks for a new password (_pam_types.h).
const PASSES: [i32; 2] = [0, 12];

/// The command that puts our lines into the common stacks.
fn enable_profile(facts: &Facts<'_>) -> String {
    let local = facts.config().is_ok_and(wants_local_profile);
    let (wanted, other) = if local { (LOCAL_PROFILE, "oauth2") } else { ("oauth2", LOCAL_PROFILE) };
    if Path::new("/usr/sbin/pam-auth-update").exists() {
        format!(
            "pam-auth-update --force --package --disable {other} --enable {wanted} # hand edits of /etc/pam.d/common-* are lost"
        )
    } else {
        "oauth2ctl enable pam".into()
    }
}

fn wants_local_profile(config: &Config) -> bool {
    config.provisioning == Provisioning::Useradd || config.local_users == LocalUsers::Allow
}

/// P1: our lines stand in every phase that sshd asks.
pub(super) fn profile(facts: &Facts<'_>) -> Verdict {
    if !exists("sshd") {
        return Err(Finding::not_applicable("/etc/pam.d/sshd does not exist"));
    }
    let missing: Vec<&str> = ["auth", "account", "session"]
        .into_iter()
        .filter(|phase| !lines(&DIRECTORIES, "sshd", phase).iter().any(|line| is_ours(line)))
        .collect();
    if missing.is_empty() {
        let profile = in_stack(&DIRECTORIES, "sshd").unwrap_or("oauth2");
        return Ok(Finding::ok(format!("profile {profile}")));
    }
    let saw = format!("sshd's stack has no line of ours in: {}", missing.join(", "));
    let remedy = enable_profile(facts);
    Ok(match missing.contains(&"account") {
        true => Finding::fault(saw, "Nobody of ours gets in, and no lock or removal is enforced.", remedy),
        false if missing.contains(&"auth") => {
            Finding::fault(saw, "Nobody is asked to sign in at the provider.", remedy)
        }
        false => Finding::warning(saw, "Home directories are not made at the first login.", remedy),
    })
}

/// An account line that ends the phase with success before ours is asked.
fn admits_everybody(line: &str) -> bool {
    let control = line.split_whitespace().nth(1).unwrap_or_default();
    !is_ours(line) && control == "sufficient"
}

/// A line of ours that refuses everybody where our module errs or is missing.
fn dies(line: &str) -> bool {
    let control = line.split_whitespace().nth(1).unwrap_or_default();
    is_ours(line) && (line.contains("default=die") || matches!(control, "required" | "requisite"))
}

/// The command that takes the first such line out of sshd's account phase. None where pam-auth-update wrote it: other
/// lines count on its place there, and it makes them anew as a whole.
fn without_line(is_wrong: fn(&str) -> bool) -> Option<String> {
    let quotable = |line: &String| is_wrong(line) && !line.contains('\'');
    let wrong = lines(&DIRECTORIES, "sshd", "account").into_iter().find(quotable)?;
    let file = ["sshd", "common-account", "password-auth", "system-auth"].into_iter().find_map(|file| {
        let path = Path::new("/etc/pam.d").join(file);
        let text = std::fs::read_to_string(&path).ok()?;
        let above = text.split("here are the per-package modules").next()?;
        above.lines().any(|line| line.trim() == wrong).then_some(path)
    })?;
    let escaped: String =
        wrong.chars().flat_map(|c| if "[]*.\\/^$'".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
    Some(format!("sed -i '/^{escaped}$/d' {}", file.display()))
}

fn exists(service: &str) -> bool {
    DIRECTORIES.iter().any(|directory| Path::new(directory).join(service).exists())
}

/// P2: of two published rows, the stacks refuse the one that nobody has verified and admit the other.
pub(super) fn proof(facts: &Facts<'_>) -> Verdict {
    let config = facts.config()?;
    if config.provisioning == Provisioning::None {
        return Err(Finding::not_applicable("\"provisioning\" is none: nobody is resolved by us"));
    }
    runs()?;
    if let Some(file) = nologin() {
        return Err(Finding::not_asked(format!("{file} lets in nobody but root")));
    }
    // Its rows are published, and so is everything else with them: only where that changes nothing.
    facts.needs("P5")?;
    facts.needs("N2")?;
    if facts.of("N2").state != State::Ok {
        return Err(Finding::not_asked("N2: what is published is not what would be published now"));
    }
    let services: Vec<&str> = SERVICES.into_iter().filter(|service| exists(service)).collect();
    match proof::prove(facts.machine, config) {
        Ok(()) => Ok(Finding::ok(format!("{} refuse an unverified name", services.join(", ")))),
        Err(failure) => {
            let saw = failure.to_string();
            let saw = saw.trim_end_matches(". First logins stay off");
            let consequence =
                "A name that nobody has verified gets in with a key, or nobody of ours gets in at all.";
            let remedy = without_line(admits_everybody).unwrap_or_else(|| enable_profile(facts));
            Ok(Finding::fault(saw, consequence, remedy))
        }
    }
}

/// P3: root and a local person pass.
pub(super) fn local(facts: &Facts<'_>) -> Verdict {
    let person = facts.local().first_person(|name| facts.is_others(name));
    let names: Vec<&str> = std::iter::once("root").chain(person.map(|user| user.name.as_str())).collect();
    let verdicts = ask(&names, &LOCAL_SERVICES).map_err(|how| {
        Finding::fault(format!("the account phase: {how}"), SHUT_OUT, enable_profile(facts))
    })?;
    let refused: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !verdict.passes())
        .map(|verdict| format!("{} in {}: {}", verdict.name, verdict.service, pam::describe(verdict.code)))
        .collect();
    if refused.is_empty() {
        let services: BTreeSet<&str> = verdicts.iter().map(|verdict| verdict.service.as_str()).collect();
        let services: Vec<&str> = services.into_iter().collect();
        return Ok(Finding::ok(format!("{} pass {}", names.join(" and "), services.join(", "))));
    }
    let remedy = nologin()
        .map(|file| format!("rm {file}"))
        .or_else(|| without_line(dies))
        .unwrap_or_else(|| enable_profile(facts));
    Ok(Finding::fault(refused.join("; "), SHUT_OUT, remedy))
}

/// The file by which pam_nologin(8) shuts everybody but root out.
fn nologin() -> Option<&'static str> {
    ["/etc/nologin", "/var/run/nologin"].into_iter().find(|file| Path::new(file).exists())
}

const SHUT_OUT: &str = "Accounts of this machine cannot log in: keep the root shell open that you have.";

/// What the account phase of a service says about a name.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) service: String,
    pub(super) code: i32,
}

impl Account {
    pub(super) fn passes(&self) -> bool {
        PASSES.contains(&self.code)
    }
}

/// Asks each service that is there about each name, in a child process: a module that crashes must not take us with it.
///
/// # Errors
/// How the child ended.
pub(super) fn ask(names: &[&str], services: &[&str]) -> Result<Vec<Account>, String> {
    let services: Vec<&str> = services.iter().copied().filter(|service| exists(service)).collect();
    let said = pam::isolated(PATIENCE, || {
        let mut said = String::new();
        for (name, service) in
            names.iter().flat_map(|name| services.iter().map(move |service| (name, service)))
        {
            let code = pam::account_code(service, name).unwrap_or_else(|code| code);
            said.push_str(&format!("{name} {service} {code}\n"));
        }
        said
    })?;
    Ok(said.lines().filter_map(account).collect())
}

fn account(line: &str) -> Option<Account> {
    let mut words = line.split(' ');
    let (name, service, code) = (words.next()?, words.next()?, words.next()?);
    Some(Account { name: name.into(), service: service.into(), code: code.parse().ok()? })
}

/// P4: an earlier module's line beside ours would ask twice.
pub(super) fn once(_: &Facts<'_>) -> Verdict {
    let mut twice = Vec::new();
    let files = DIRECTORIES.iter().flat_map(std::fs::read_dir).flatten().flatten();
    let services: BTreeSet<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    for service in services.iter().filter(|service| !service.starts_with("common-")) {
        for phase in ["auth", "account"] {
            let ours = lines(&DIRECTORIES, service, phase);
            let count = ours.iter().filter(|line| is_ours(line)).count();
            if count > 1 {
                twice.push((service.clone(), phase, count));
            }
        }
    }
    let Some((service, ..)) = twice.first() else { return Ok(Finding::ok("no service asks twice")) };
    let saw: Vec<String> = twice
        .iter()
        .map(|(service, phase, count)| format!("{service} has {count} lines in {phase}"))
        .collect();
    Ok(Finding::warning(
        saw.join("; "),
        "The second line repeats the first one's verdict; whoever changes one of them will wonder about the other.",
        format!("sed -i '/^[^#]*pam_oauth2\\(_device\\)\\?\\.so/d' /etc/pam.d/{service}"),
    ))
}

/// P5: the module is where libpam looks, root's, and loads.
pub(super) fn module(_: &Facts<'_>) -> Verdict {
    let reinstall = if Path::new("/usr/bin/apt-get").exists() {
        "apt-get install --reinstall libpam-oauth2"
    } else {
        "dnf reinstall pam-oauth2"
    };
    let consequence = "Nobody of the provider can sign in; local accounts still can.";
    let directories = library_directories("security");
    let (searched, other): (Vec<PathBuf>, Vec<PathBuf>) =
        directories.into_iter().partition(|directory| directory.join(NEIGHBOUR).exists());
    let Some(path) = searched.iter().map(|directory| directory.join(MODULE)).find(|path| path.exists())
    else {
        let saw = format!("{MODULE} is not beside {NEIGHBOUR}");
        return Ok(Finding::fault(saw, consequence, reinstall));
    };
    if let Some(finding) = of_root(&path, consequence, reinstall) {
        return Ok(finding);
    }
    if let Err(how) = pam::isolated(PATIENCE, || pam::load(&path).err().unwrap_or_default())
        .and_then(|said| if said.is_empty() { Ok(()) } else { Err(said) })
    {
        let saw = format!("{}: {how}", path.display());
        return Ok(Finding::fault(saw, "Every program that loads it may fail with it.", reinstall));
    }
    match other.iter().map(|directory| directory.join(MODULE)).find(|path| path.exists()) {
        Some(stray) => Ok(Finding::warning(
            format!("a second copy: {}", stray.display()),
            "libpam does not look there, and nobody will upgrade it.",
            format!("rm {}", stray.display()),
        )),
        None => Ok(Finding::ok(format!("{} loads", path.display()))),
    }
}

/// Only root may write to what every root program loads, or put another file in its place.
pub(super) fn of_root(module: &Path, consequence: &str, reinstall: &str) -> Option<Finding> {
    let directory = module.parent().unwrap_or(Path::new("/"));
    let findings =
        [owned(directory, 0o755, consequence, reinstall), owned(module, 0o644, consequence, reinstall)];
    Finding::gravest(findings.into_iter().flatten().collect())
}

fn owned(path: &Path, wanted: u32, consequence: &str, reinstall: &str) -> Option<Finding> {
    let metadata = std::fs::metadata(path).ok()?;
    let shown = path.display();
    if metadata.uid() != 0 {
        let saw = format!("{shown} belongs to uid {}", metadata.uid());
        // Whoever owned it may have written what is in it: the package brings its own file.
        let remedy = match metadata.is_dir() {
            true => format!(
                "ls -la {shown} # if that is what you want: chown root:root {shown} && chmod {wanted:o} {shown}"
            ),
            false => reinstall.to_owned(),
        };
        return Some(Finding::fault(saw, "Its owner can run anything as root.", remedy));
    }
    let mode = metadata.mode() & 0o777;
    let consequence = match mode {
        _ if mode & 0o022 != 0 => "Others than root can change what runs as root.",
        _ if mode & 0o444 != 0o444 => consequence,
        _ => return None,
    };
    let saw = format!("{shown} has mode {mode:04o}");
    let finding = Finding::fault(saw, consequence, format!("chmod {wanted:o} {shown}"));
    Some(finding.with_fix(Fix::Mode(path.to_owned(), wanted)))
}

/// Directories of shared objects on the distributions, each once; `below` is a directory in them, or empty.
pub(super) fn library_directories(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for base in ["/usr/lib64", "/usr/lib", "/lib64", "/lib"].map(Path::new) {
        let multiarch = std::fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.path());
        let multiarch = multiarch.filter(|path| path.to_string_lossy().contains("-linux-gnu"));
        for directory in std::iter::once(base.to_owned()).chain(multiarch) {
            // /lib is a link to /usr/lib on machines of today.
            if let Ok(directory) = directory.join(below).canonicalize()
                && !found.contains(&directory)
            {
                found.push(directory);
            }
        }
    }
    found
}

/// P6: what was proved is what stands there now, and what it was made from is the configuration of now.
pub(super) fn first_logins(facts: &Facts<'_>) -> Verdict {
    let config = facts.config()?;
    let in_stack = in_stack(&DIRECTORIES, "sshd");
    if wants_local_profile(config)
        && let Some(found) = in_stack.filter(|found| *found != LOCAL_PROFILE)
    {
        let saw = format!("the profile is {found}; people of /etc/passwd need {LOCAL_PROFILE}");
        let consequence = "People of /etc/passwd are not asked to sign in, and no lock of ours binds them.";
        let remedy = enable_profile(facts);
        // In the store mode only those are concerned who are in /etc/passwd, if anybody.
        return Ok(match config.provisioning {
            Provisioning::Store => Finding::warning(saw, consequence, remedy),
            _ => Finding::fault(saw, consequence, remedy),
        });
    }
    if config.provisioning == Provisioning::None {
        return Err(Finding::not_applicable("\"provisioning\" is none: people exist already"));
    }
    let enable = "oauth2ctl enable sshd";
    let path = &facts.machine.places.first_login;
    let parameters = match secure_file::read(path, facts.machine.places.owner, first_login::LIMIT) {
        Ok(file) => String::from_utf8_lossy(&file.bytes).into_owned(),
        Err(SecureFileError::Missing(_)) if config.accounts.first_login.is_empty() => {
            return Ok(Finding::ok("off, as \"first_login\" says"));
        }
        Err(SecureFileError::Missing(_)) => {
            return Ok(Finding::warning("off", "Only people who are known here can sign in.", enable));
        }
        Err(error) => {
            return Ok(Finding::fault(error.to_string(), "Nobody can sign in for the first time.", enable));
        }
    };
    Ok(match FirstLogin::parse(&parameters) {
        Err(error) => Finding::fault(error.to_string(), "Nobody can sign in for the first time.", enable),
        Ok(known) if in_stack.is_some_and(|found| found != known.profile) => Finding::fault(
            format!(
                "proved with profile {}, and {} is in the stack",
                known.profile,
                in_stack.unwrap_or_default()
            ),
            "The proof says nothing about the stack of now.",
            enable,
        ),
        Ok(known) if known.config_digest != config.digest => Finding::warning(
            "the configuration has changed since the last publication",
            "Nobody can sign in for the first time, and what changed has no effect yet.",
            "oauth2ctl publish",
        ),
        Ok(_) => Finding::ok(format!("on, for {}", config.accounts.first_login.join(" "))),
    })
}
