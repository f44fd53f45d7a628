//! From files to a [`Config`].

use super::raw::{self, Fault, Fields};
use super::{Config, resolve};
use crate::secure_file::{self, SecureFileError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest configuration that is read, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// A configuration, and what an administrator should hear about it.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The machine has not been set up.
    #[error("{0} does not exist: this machine is not configured yet")]
    NotConfigured(PathBuf),
    /// A file cannot be trusted or read.
    #[error(transparent)]
    File(#[from] SecureFileError),
    /// The contents are wrong; every fault is listed.
    #[error("{path}: {}", list(faults))]
    Faults {
        /// The configuration file.
        path: PathBuf,
        /// All of them.
        faults: Vec<Fault>,
    },
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One file of the configuration.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub map: Map<String, Value>,
}

/// The files of the configuration: `path`, then `config.d/*.json` beside it, which are laid over it in the order of their
/// names.
///
/// # Errors
/// See [`ConfigError`].
pub fn layers(path: &Path, owner: u32) -> Result<Vec<Layer>, ConfigError> {
    Files { owner, planned: &BTreeMap::new(), readable: Vec::new() }.layers(path)
}

/// Every file of the configuration that is no JSON object, with what its parser missed. [`load`] stops at the first.
#[must_use]
pub fn broken_files(path: &Path, owner: u32) -> Vec<(PathBuf, Fault)> {
    let planned = BTreeMap::new();
    let mut open = Files { owner, planned: &planned, readable: Vec::new() };
    let files = std::iter::once(path.to_owned()).chain(drop_ins(path, &planned).unwrap_or_default());
    files
        .filter_map(|file| match raw::parse(&open.bytes(&file).ok()?) {
            Ok(_) => None,
            Err(fault) => Some((file, fault)),
        })
        .collect()
}

/// Loads `path` and `config.d/*.json` beside it, which are laid over it in the order of their names.
/// `owner` is the uid that every file must belong to; `nsswitch` the text of nsswitch.conf, on which two defaults depend.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(path: &Path, owner: u32, nsswitch: &str) -> Result<Loaded, ConfigError> {
    load_as_if(path, owner, nsswitch, &BTreeMap::new())
}

/// Like [`load`], as if the files of `planned` were there already with these contents: what a change would mean, before it
/// is made.
///
/// # Errors
/// See [`ConfigError`].
pub fn load_as_if(
    path: &Path,
    owner: u32,
    nsswitch: &str,
    planned: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let mut open = Files { owner, planned, readable: Vec::new() };
    let mut map = Map::new();
    for layer in open.layers(path)? {
        raw::merge(&mut map, layer.map);
    }
    let mut fields = Fields::new(map.clone());
    let config = resolve::config(&mut fields, nsswitch, |file| open.secret(file), &mut warnings);
    match config {
        Some(mut config) if fields.faults.is_empty() => {
            config.digest = digest(&map, &config);
            if config.provider.client_secret.is_some() {
                warnings.extend(open.readable.iter().map(|file| {
                    format!(
                        "{} holds or names a secret and others can read it: chmod 600 {0}",
                        file.display()
                    )
                }));
            }
            Ok(Loaded { config, warnings })
        }
        _ => Err(ConfigError::Faults { path: path.to_owned(), faults: fields.faults }),
    }
}

struct Files<'a> {
    owner: u32,
    /// Those that others can read.
    readable: Vec<PathBuf>,
    /// Files that are not written yet.
    planned: &'a BTreeMap<PathBuf, Vec<u8>>,
}

impl Files<'_> {
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, SecureFileError> {
        if let Some(bytes) = self.planned.get(path) {
            return Ok(bytes.clone());
        }
        let contents = secure_file::read(path, self.owner, LIMIT)?;
        if contents.readable_by_others {
            self.readable.push(path.to_owned());
        }
        Ok(contents.bytes)
    }

    fn layers(&mut self, path: &Path) -> Result<Vec<Layer>, ConfigError> {
        let base = self.object(path).map_err(|error| match error {
            ConfigError::File(SecureFileError::Missing(path)) => ConfigError::NotConfigured(path),
            error => error,
        })?;
        let mut layers = vec![Layer { path: path.to_owned(), map: base }];
        for path in drop_ins(path, self.planned)? {
            layers.push(Layer { map: self.object(&path)?, path });
        }
        Ok(layers)
    }

    fn object(&mut self, path: &Path) -> Result<Map<String, Value>, ConfigError> {
        raw::parse(&self.bytes(path)?)
            .map_err(|fault| ConfigError::Faults { path: path.to_owned(), faults: vec![fault] })
    }

    /// A secret in a file of its own, without the newline that editors leave.
    fn secret(&mut self, path: &Path) -> Result<Vec<u8>, SecureFileError> {
        let mut bytes = self.bytes(path)?;
        while bytes.last().is_some_and(u8::is_ascii_whitespace) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

/// `config.d/*.json` beside the configuration, sorted by name. Only its absence means that there are none: a file that
/// could not be seen may be the one that restricts who comes in.
fn drop_ins(path: &Path, planned: &BTreeMap<PathBuf, Vec<u8>>) -> Result<Vec<PathBuf>, SecureFileError> {
    let directory = path.parent().unwrap_or(Path::new("/")).join("config.d");
    let fail = |source| SecureFileError::Io { path: directory.clone(), source };
    let mut files: Vec<PathBuf> =
        planned.keys().filter(|file| file.parent() == Some(&directory)).cloned().collect();
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        entries => entries.map_err(fail)?,
    };
    for entry in entries {
        let file = entry.map_err(fail)?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            files.push(file);
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// SHA-256 over the merged JSON (whose keys serde_json keeps sorted) and the id key, which stands in another file.
fn digest(map: &Map<String, Value>, config: &Config) -> [u8; 32] {
    let mut hash = Sha256::new();
    // A map of JSON values always serialises.
    hash.update(serde_json::to_vec(map).unwrap_or_default());
    hash.update(config.accounts.id_key.expose().unwrap_or_default());
    // Their defaults depend on nsswitch.conf.
    hash.update(format!("\n{:?} {:?}", config.provisioning, config.local_users));
    config.accounts.first_login.iter().for_each(|pattern| hash.update(format!("\n{pattern}")));
    hash.finalize().into()
}
