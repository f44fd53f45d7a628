//! Whose configuration it is, and where it is.

use super::draft::Draft;
use super::ini::Ini;
use super::pam_lines::PamLine;
use super::{LIMIT, aad, ancestor, authd, stfc};
use crate::cli::{Migrate, Module};
use crate::failure::Failure;
use pam_oauth2::login::Machine;
use serde_json::{Map, Value};
use shared::etc::nsswitch_sources;
use shared::secure_file;
use shared::unique_keys::UniqueKeys;
use std::path::{Path, PathBuf};

const AAD: &str = "/etc/aad.conf";

/// A configuration of another module.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) module: &'static str,
    contents: Contents,
}

enum Contents {
    Ancestor(Map<String, Value>),
    Stfc(Map<String, Value>),
    Aad(Ini),
    Authd(Ini),
}

/// FILE, or what is found on this machine.
pub(super) fn find(machine: &Machine, request: &Migrate, lines: &[PamLine]) -> Result<Source, Failure> {
    if let Some(file) = &request.file {
        return read(machine, file, request.from);
    }
    let mut found: Vec<Source> = Vec::new();
    for path in places(machine, lines) {
        let source = read(machine, &path, None)?;
        if request.from.is_none_or(|from| source.is_of(from)) && !found.iter().any(|other| other.path == path)
        {
            found.push(source);
        }
    }
    // Once migrated, our own configuration is no reason to ask which one is meant.
    if found.len() > 1 {
        let is_ours = |source: &Source| matches!(&source.contents, Contents::Ancestor(map) if map.contains_key("provisioning"));
        found.retain(|source| !is_ours(source));
    }
    let names: Vec<String> = found.iter().map(|source| source.path.display().to_string()).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(source), None) => Ok(source),
        (None, _) => {
            Err(Failure::NotFoundBut("no configuration of another module was found: name its file".into()))
        }
        (Some(_), Some(_)) => Err(Failure::Usage(format!("which of these: {}? Name one", names.join(", ")))),
    }
}

/// Where such configurations are, as far as they exist.
fn places(machine: &Machine, lines: &[PamLine]) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = lines.iter().filter_map(PamLine::config).collect();
    places.extend([machine.config.clone(), AAD.into()]);
    for (directory, file) in [("/var/snap", "current/broker.conf"), ("/etc", "broker.conf")] {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let brokers = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("authd-"));
        places.extend(brokers.map(|entry| entry.path().join(file)));
    }
    places.retain(|path| path.is_file());
    places.sort();
    places.dedup();
    places
}

fn read(machine: &Machine, path: &Path, from: Option<Module>) -> Result<Source, Failure> {
    // Whoever can write it would decide who signs in here.
    let bytes = secure_file::read(path, machine.places.owner, LIMIT)?.bytes;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let unreadable = |error: serde_json::Error| Failure::Other(format!("{}: {error}", path.display()));
    let json = || serde_json::from_slice::<UniqueKeys>(&bytes).map(|keys| keys.0).map_err(unreadable);
    let from = match from {
        Some(from) => from,
        None if text.trim_start().starts_with('{') && json()?.contains_key("oauth") => Module::Stfc,
        None if text.trim_start().starts_with('{') => Module::Ancestor,
        None if Ini::parse(&text).sections().contains(&"oidc") => Module::Authd,
        None => Module::AadAuth,
    };
    let (module, contents) = match from {
        Module::Ancestor => ("ancestor", Contents::Ancestor(json()?)),
        Module::Stfc => ("stfc", Contents::Stfc(json()?)),
        Module::AadAuth => ("aad-auth", Contents::Aad(Ini::parse(&text))),
        Module::Authd => ("authd", Contents::Authd(with_drop_ins(machine, path, Ini::parse(&text))?)),
    };
    Ok(Source { path: path.to_owned(), module, contents })
}

/// broker.conf.d beside broker.conf, which overrides it.
fn with_drop_ins(machine: &Machine, path: &Path, mut ini: Ini) -> Result<Ini, Failure> {
    let directory = PathBuf::from(format!("{}.d", path.display()));
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    for file in files {
        let bytes = secure_file::read(&file, machine.places.owner, LIMIT)?.bytes;
        ini.extend(Ini::parse(&String::from_utf8_lossy(&bytes)));
    }
    Ok(ini)
}

impl Source {
    fn is_of(&self, from: Module) -> bool {
        matches!(
            (&self.contents, from),
            (Contents::Ancestor(_), Module::Ancestor)
                | (Contents::Stfc(_), Module::Stfc)
                | (Contents::Aad(_), Module::AadAuth)
                | (Contents::Authd(_), Module::Authd)
        )
    }

    pub(super) fn title(&self) -> &'static str {
        match self.contents {
            Contents::Ancestor(_) => "pam_oauth2_device (Rust)",
            Contents::Stfc(_) => "pam_oauth2_device (C++, STFC and ICS-MU)",
            Contents::Aad(_) => "aad-auth",
            Contents::Authd(_) => "authd",
        }
    }

    pub(super) fn is_read_as_it_is(&self) -> bool {
        matches!(self.contents, Contents::Ancestor(_))
    }

    /// What it becomes.
    ///
    /// # Errors
    /// A file that it names cannot be read.
    pub(super) fn draft(&self, machine: &Machine, request: &Migrate) -> Result<Draft, Failure> {
        Ok(match &self.contents {
            Contents::Ancestor(map) => {
                let nsswitch = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
                let lists_oauth2 =
                    nsswitch_sources(&nsswitch, "passwd").iter().any(|source| source == "oauth2");
                ancestor::draft(map.clone(), lists_oauth2)
            }
            Contents::Stfc(map) => stfc::draft(map, request.issuer.as_deref(), machine.places.owner)?,
            Contents::Aad(ini) => aad::draft(ini),
            Contents::Authd(ini) => authd::draft(ini),
        })
    }
}
