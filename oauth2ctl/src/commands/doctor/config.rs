//! C: the configuration, and the modes of everything that is only root's to write.

use super::facts::Facts;
use super::fix::Fix;
use super::report::{Finding, Verdict, quoted};
use shared::config::{ConfigError, Fault};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const REFUSED: &str = "Nobody of the provider can sign in; local accounts are not affected.";

/// C1: it parses, and its values are good.
pub(super) fn parses(facts: &Facts<'_>) -> Verdict {
    let path = facts.machine.config.display();
    let faults = match facts.config_error() {
        None => return Ok(Finding::ok(format!("{path}: valid"))),
        Some(ConfigError::NotConfigured(_)) => {
            return Ok(Finding::not_applicable(format!("{path} does not exist: not configured yet")));
        }
        Some(ConfigError::File(_)) => return Ok(Finding::not_asked("the file is not trusted: see C2")),
        Some(ConfigError::Faults { faults, .. }) => faults,
    };
    let other: Vec<String> =
        faults.iter().filter(|fault| !is_unknown_key(fault)).map(ToString::to_string).collect();
    if other.is_empty() {
        return Ok(Finding::ok(format!("{path}: every value is good")));
    }
    Ok(Finding::fault(format!("{path}: {}", other.join("; ")), REFUSED, edit(facts)))
}

/// C3: no key that nobody knows.
pub(super) fn keys(facts: &Facts<'_>) -> Verdict {
    match facts.config_error() {
        None => {}
        Some(ConfigError::NotConfigured(_)) => return Err(Finding::not_applicable("not configured")),
        Some(ConfigError::File(_)) => return Err(Finding::not_asked("the file is not trusted: see C2")),
        Some(ConfigError::Faults { faults, .. }) => {
            if faults.iter().any(|fault| matches!(fault, Fault::Json { .. })) {
                return Err(Finding::not_asked("C1: the file is no JSON"));
            }
            let unknown: Vec<String> =
                faults.iter().filter(|fault| is_unknown_key(fault)).map(ToString::to_string).collect();
            if !unknown.is_empty() {
                return Ok(Finding::fault(unknown.join("; "), REFUSED, edit(facts)));
            }
        }
    }
    let warnings: Vec<&str> =
        facts.config_warnings().iter().map(String::as_str).filter(is_about_keys).collect();
    if warnings.is_empty() {
        return Ok(Finding::ok("every key is known"));
    }
    let consequence = "What such a key asks for is not done, or not as it was meant.";
    Ok(Finding::warning(warnings.join("; "), consequence, edit(facts)))
}

/// What concerns modes is C2's, and nsswitch.conf is N1's.
fn is_about_keys(warning: &&str) -> bool {
    !warning.contains("chmod") && !warning.contains("nsswitch.conf")
}

fn is_unknown_key(fault: &Fault) -> bool {
    matches!(fault, Fault::Unknown { .. })
}

fn edit(facts: &Facts<'_>) -> String {
    format!("editor {} && oauth2ctl config validate && oauth2ctl publish", facts.machine.config.display())
}

/// C2: what decides who comes in is root's alone, and what everybody reads can be read.
pub(super) fn modes(facts: &Facts<'_>) -> Verdict {
    let findings: Vec<Finding> = files(facts).iter().filter_map(Owned::look).collect();
    let seen = files(facts).iter().filter(|file| file.path.exists()).count();
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok(format!("{seen} files and directories"))))
}

/// A file or directory, and what its mode must be like.
struct Owned {
    path: PathBuf,
    /// The mode that this package gives it.
    mode: u32,
    /// Bits that must not be set.
    forbidden: u32,
    /// Bits that must be set.
    needed: u32,
    /// It holds a secret: reading it is as bad as writing.
    secret: bool,
}

fn files(facts: &Facts<'_>) -> Vec<Owned> {
    let machine = facts.machine;
    let directory = |path: PathBuf, mode: u32| Owned {
        path,
        mode,
        forbidden: !mode & 0o077,
        needed: mode & 0o055,
        secret: mode == 0o700,
    };
    let file = |path: PathBuf, secret| Owned { path, mode: 0o600, forbidden: 0o077, needed: 0, secret };
    let above = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    let places = &machine.places;
    let secrets = secret_files(facts);
    let holds_secret = holds_secret(facts);
    let configuration = above(&machine.config);
    let mut files = vec![
        Owned { needed: 0, ..directory(configuration.clone(), 0o755) },
        file(machine.config.clone(), holds_secret),
        directory(above(&places.nss_db), 0o755),
        directory(above(&places.store), 0o700),
        file(places.store.clone(), true),
        file(places.first_login.clone(), true),
        Owned { path: places.nss_db.clone(), mode: 0o644, forbidden: 0o022, needed: 0o044, secret: false },
        directory(above(Path::new(shared::paths::LIMITS)), 0o700),
    ];
    let drop_ins = std::fs::read_dir(configuration.join("config.d"));
    files.extend(drop_ins.into_iter().flatten().flatten().map(|entry| file(entry.path(), holds_secret)));
    files.extend(secrets.into_iter().map(|path| file(path, true)));
    files
}

/// How a file of somebody else's becomes root's: by somebody who has read it. Never `--fix`.
fn take_over(path: &Path, mode: u32) -> String {
    let path = quoted(&path.to_string_lossy());
    format!(
        "stat {path} # read what is in it; if it is what you want: chown root:root {path} && chmod {mode:o} {path}"
    )
}

impl Owned {
    fn look(&self) -> Option<Finding> {
        let path = &self.path;
        let shown = path.display();
        let metadata = std::fs::symlink_metadata(path).ok()?;
        if metadata.is_symlink() {
            let consequence = "A link is not followed where a file decides who may sign in.";
            return Some(Finding::fault(
                format!("{shown} is a symbolic link"),
                consequence,
                format!("ls -l {shown}"),
            ));
        }
        let mode = metadata.mode() & 0o777;
        if metadata.uid() != 0 {
            let saw = format!("{shown} belongs to uid {}", metadata.uid());
            let consequence = "It is not trusted: whoever owns it could decide who signs in.";
            return Some(Finding::fault(saw, consequence, take_over(path, self.mode)));
        }
        let (saw, remedy) =
            (format!("{shown} has mode {mode:04o}"), format!("chmod {:o} {shown}", self.mode));
        let finding = if mode & self.forbidden & 0o022 != 0 {
            Finding::fault(saw, "Others than root can change it, so it is not trusted.", remedy)
        } else if mode & self.needed != self.needed {
            Finding::fault(saw, "Programs that do not run as root cannot resolve anybody.", remedy)
        } else if mode & self.forbidden != 0 && self.secret {
            Finding::fault(saw, "Everybody on this machine can read what is secret in it.", remedy)
        } else if mode & self.forbidden != 0 {
            Finding::warning(saw, "Everybody on this machine can read how sign-in is set up.", remedy)
        } else {
            return None;
        };
        Some(finding.with_fix(Fix::Mode(path.clone(), self.mode)))
    }
}

/// A key of the configuration, wherever it stands, as text.
fn written(facts: &Facts<'_>, key: &str) -> Option<String> {
    let configuration = &facts.machine.config;
    let directory = configuration.parent().unwrap_or(Path::new("/")).join("config.d");
    let drop_ins = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(configuration.clone()).chain(drop_ins).find_map(|path| {
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        Some(value.get(key)?.as_str()?.to_owned())
    })
}

fn secret_files(facts: &Facts<'_>) -> Vec<PathBuf> {
    ["client_secret_file", "id_key_file"]
        .iter()
        .filter_map(|key| written(facts, key))
        .map(PathBuf::from)
        .collect()
}

fn holds_secret(facts: &Facts<'_>) -> bool {
    written(facts, "client_secret").is_some()
}

/// C4: secrets are not in a repository, whose copies nobody takes back.
pub(super) fn version_control(facts: &Facts<'_>) -> Verdict {
    let mut secrets = secret_files(facts);
    if holds_secret(facts) {
        secrets.push(facts.machine.config.clone());
    }
    if secrets.is_empty() {
        return Err(Finding::not_applicable("the configuration holds no secret"));
    }
    let findings = secrets.iter().filter_map(|path| in_repository(path)).collect();
    Ok(Finding::gravest(findings)
        .unwrap_or_else(|| Finding::ok(format!("{} secret(s), in no repository", secrets.len()))))
}

fn in_repository(path: &Path) -> Option<Finding> {
    let root = path.ancestors().skip(1).find(|above| above.join(".git").exists())?;
    let inside = path.strip_prefix(root).ok()?.to_str()?;
    // The index names every tracked file in plain bytes (git's index-format.txt, versions 2 and 3).
    let index = std::fs::read(root.join(".git/index")).unwrap_or_default();
    let tracked = index.windows(inside.len()).any(|window| window == inside.as_bytes());
    let (root, shown) = (root.display(), path.display());
    let remedy = format!("git -C {root} rm --cached {inside} && echo {inside} >>{root}/.gitignore");
    if tracked {
        let consequence =
            "Every copy of the repository holds the secret; after taking it out, change it at the provider.";
        return Some(Finding::fault(format!("{shown} is in the repository of {root}"), consequence, remedy));
    }
    let ignored = std::fs::read_to_string(format!("{root}/.gitignore"))
        .is_ok_and(|text| text.lines().any(|line| line.trim_start_matches('/') == inside));
    // etckeeper commits whatever is new, by itself, every day.
    if Path::new("/etc/etckeeper").exists() && !ignored {
        let consequence = "etckeeper puts it into its repository with the next commit.";
        let remedy = format!("echo {inside} >>{root}/.gitignore");
        return Some(Finding::warning(format!("{shown} is not in {root}/.gitignore"), consequence, remedy));
    }
    None
}

/// C5: without a key everybody can compute whose uid a name gets.
pub(super) fn id_key(facts: &Facts<'_>) -> Verdict {
    let config = facts.config()?;
    if config.provisioning == shared::config::Provisioning::None {
        return Err(Finding::not_applicable("\"provisioning\" is none: uids are not ours"));
    }
    if config.accounts.id_key.expose().is_some() {
        return Ok(Finding::ok("uids are derived under a key"));
    }
    Ok(Finding::warning(
        "no id_key_file",
        "Somebody who can choose a login name at the provider can find one that blocks another person's uid.",
        "oauth2ctl ids new-key /etc/pam_oauth2_device/id.key # then \"id_key_file\" with this path into the configuration, and \
         oauth2ctl publish; whoever is in the store keeps their uid, everybody else gets another one than before",
    ))
}
