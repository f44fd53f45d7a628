//! What has to change so that the machine is as the configuration wants it.

use super::super::{nsswitch, profile, proof, sshd, stack};
use super::draft::Draft;
use crate::failure::Failure;
use crate::system::{self, Change, FileState};
use pam_oauth2::login::Machine;
use shared::config::{Config, Provisioning, load_as_if};
use shared::first_login::{self, FirstLogin};
use shared::secure_file;
use shared::store::Store;
use std::collections::BTreeMap;
use std::path::Path;

/// The changes, in the order in which they are made.
pub(super) struct Plan {
    /// The configuration as it will be.
    pub(super) config: Config,
    /// The secret's file and config.json.
    pub(super) files: Vec<Change>,
    /// nsswitch.conf.
    pub(super) nsswitch: Option<Change>,
    /// The PAM profile to switch on.
    pub(super) profile: Option<&'static str>,
    /// sshd_config's Include.
    pub(super) include: Option<Change>,
    /// sshd's drop-in.
    pub(super) drop_in: Option<Change>,
    /// The store, the proof of the stacks, the publication, the parameters of first logins.
    pub(super) enable: bool,
}

/// sshd is there, is sound, and asks PAM.
///
/// # Errors
/// It does not.
pub(super) fn check_sshd() -> Result<(), Failure> {
    sshd::check().map_err(|failure| match failure {
        Failure::Other(text) if text.contains("UsePAM no") => Failure::Refused(text),
        other => other,
    })
}

impl Plan {
    /// `limits` stand in sshd's drop-in; without them there is to be none.
    ///
    /// # Errors
    /// The configuration is not one, or a file cannot be edited.
    pub(super) fn of(machine: &Machine, draft: &Draft, limits: Option<&str>) -> Result<Self, Failure> {
        let wanted = draft.state();
        let mut files = Vec::new();
        if let Some(secret) = &draft.secret {
            let path = draft.secret_path();
            let after = FileState::Absent.with_bytes(format!("{secret}\n").as_bytes(), 0o600);
            files.push(Change { before: system::read(&path)?, path, after });
        }
        files.push(Change { path: machine.config.clone(), before: draft.before().clone(), after: wanted });
        let config = resolve(machine, &files)?;
        files.retain(|change| !change.is_nothing());
        let some = |change: Change| Some(change).filter(|change| !change.is_nothing());
        let serves = config.provisioning != Provisioning::None;
        // Where authselect looks after it, it comes with the profile.
        let editable = nsswitch::file(machine).is_some();
        let listed = editable || !serves || nsswitch::is_complete(machine);
        let nsswitch = if serves && editable { some(nsswitch::change(machine)?) } else { None };
        let profile =
            Some(profile::wanted(&config)).filter(|wanted| stack::active() != Some(wanted) || !listed);
        if profile.is_some() {
            stack::check()?;
        }
        let (mut include, mut file) = (None, None);
        if limits.is_some() && serves {
            include = some(sshd::include()?);
            file = some(sshd::drop_in(config.accounts.people_group.as_str(), limits)?);
        }
        let mut plan = Self { config, files, nsswitch, profile, include, drop_in: file, enable: false };
        plan.enable = serves && (!plan.is_nothing() || !is_enabled(machine, &plan.config));
        Ok(plan)
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.changes().next().is_none() && self.profile.is_none() && !self.enable
    }

    /// What is to become of files that nobody but setup writes.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.files.iter().chain(&self.nsswitch).chain(&self.include).chain(&self.drop_in)
    }

    /// Every change for a reader.
    pub(super) fn show(&self, secrets: &[String]) -> Vec<String> {
        let mut shown: Vec<String> = self.files.iter().map(|change| change.show_whole(secrets)).collect();
        let others = self.changes().skip(self.files.len());
        shown.extend(others.map(|change| change.show(secrets)));
        if let Some(change) = &self.include {
            shown.extend(newly_read(&change.path));
        }
        shown.extend(self.profile.map(stack::show));
        if self.enable {
            shown.push(format!(
                "{}: the store, if there is none; the account stacks proved; published; first logins: {}",
                shared::paths::STATE_DIR,
                match self.config.accounts.first_login.as_slice() {
                    [] => "nobody".to_owned(),
                    patterns => patterns.join(" "),
                }
            ));
        }
        shown
    }
}

/// Drop-ins of others that an Include brings to life.
fn newly_read(config: &Path) -> Option<String> {
    let directory = config.parent()?.join("sshd_config.d");
    let names = std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".conf")).collect();
    names.sort();
    (!names.is_empty()).then(|| format!("with that line sshd also reads {}", names.join(", ")))
}

/// What the configuration will mean, before it is written.
fn resolve(machine: &Machine, files: &[Change]) -> Result<Config, Failure> {
    let planned: BTreeMap<_, _> = files
        .iter()
        .filter(|change| change.after != FileState::Absent)
        .map(|change| (change.path.clone(), change.after.bytes().to_vec()))
        .collect();
    let nsswitch =
        system::nsswitch::with_token(&std::fs::read_to_string(&machine.nsswitch).unwrap_or_default());
    Ok(load_as_if(&machine.config, machine.places.owner, &nsswitch, &planned)?.config)
}

/// Are first logins on, under this configuration and a stack that was proved for it?
fn is_enabled(machine: &Machine, config: &Config) -> bool {
    let places = &machine.places;
    let parameters = secure_file::read(&places.first_login, places.owner, first_login::LIMIT)
        .ok()
        .and_then(|file| FirstLogin::parse(std::str::from_utf8(&file.bytes).ok()?).ok());
    let in_stack = profile::in_stack(&proof::DIRECTORIES, "sshd");
    parameters.is_some_and(|parameters| {
        parameters.config_digest == config.digest && Some(parameters.profile.as_str()) == in_stack
    }) && Store::open(places).is_ok()
        && places.nss_db.exists()
}
