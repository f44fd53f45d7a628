//! config.json in the making: what is there already, then the options, then the answers.

use super::kind;
use crate::cli::{Kind, Setup};
use crate::failure::Failure;
use crate::system::{self, FileState};
use pam_oauth2::login::Machine;
use serde_json::{Map, Value, json};
use shared::config::ConfigError;
use shared::etc::nsswitch_sources;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Sources of `passwd:` that know no people of another directory.
const HARMLESS: [&str; 4] = ["files", "compat", "systemd", "oauth2"];

/// What a client without its own proposal is asked to confirm again after, in days.
pub(super) const AGE: u64 = 30;

/// `login_grace` where it is not written, in seconds.
const GRACE: u64 = 120;

/// Largest secret, in bytes.
const SECRET_LIMIT: u64 = 64 * 1024;

/// The configuration to be.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: Option<Kind>,
    pub(super) map: Map<String, Value>,
    /// Written to a file of its own.
    pub(super) secret: Option<String>,
    /// There was no configuration.
    pub(super) fresh: bool,
    /// `passwd:` has sources whose people an outage there would turn into ours.
    beside_others: bool,
    /// What the file was.
    before: FileState,
    path: PathBuf,
}

impl Draft {
    /// What is configured now.
    ///
    /// # Errors
    /// The file is none that can be edited, or no JSON object.
    pub(super) fn of(machine: &Machine) -> Result<Self, Failure> {
        let before = system::read(&machine.config)?;
        let fresh = before == FileState::Absent;
        let map = match serde_json::from_slice(before.bytes()) {
            Ok(map) => map,
            Err(_) if fresh => Map::new(),
            // The loader says where the fault is.
            Err(error) => {
                return Err(machine.load_config().err().map_or(
                    Failure::Other(format!("{}: {error}", machine.config.display())),
                    |error: ConfigError| error.into(),
                ));
            }
        };
        let kind = kind::of(&map);
        let nsswitch = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
        let sources = nsswitch_sources(&nsswitch, "passwd");
        let beside_others = sources.iter().any(|source| !HARMLESS.contains(&source.as_str()));
        Ok(Self { kind, map, secret: None, fresh, beside_others, before, path: machine.config.clone() })
    }

    /// Names that may come unannounced, where nobody said which; `None` for nobody.
    pub(super) fn proposal(&self) -> Option<&'static str> {
        (!self.beside_others).then(|| kind::pattern(self.kind, self.text("username_map")))
    }

    /// The file of the client's secret.
    pub(super) fn secret_path(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("/")).join("client-secret")
    }

    /// The string under a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.map.get(key).and_then(Value::as_str)
    }

    /// The number of seconds under a key.
    pub(super) fn seconds(&self, key: &str) -> Option<u64> {
        self.map.get(key).and_then(Value::as_u64)
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Lays the options over it.
    ///
    /// # Errors
    /// An option that is no answer.
    pub(super) fn apply(&mut self, options: &Setup) -> Result<(), Failure> {
        if let Some(kind) = options.provider {
            self.turn_to(kind);
        }
        let wrong = |option: &str, why: String| Failure::Usage(format!("--{option}: {why}"));
        if let (Some(tenant), Some(kind)) = (&options.tenant, self.kind) {
            self.set_place(kind, tenant).map_err(|why| wrong("tenant", why))?;
        }
        if let (Some(issuer), Some(kind)) = (&options.issuer, self.kind) {
            self.set_place(kind, issuer).map_err(|why| wrong("issuer", why))?;
        }
        if let Some(id) = &options.client_id {
            self.set("client_id", id.trim());
        }
        if let Some(file) = &options.secret_file {
            self.set_secret(read_secret(file)?);
        }
        if let Some(file) = &options.ca_file {
            let path = file.to_str().filter(|path| path.starts_with('/') && Path::new(path).is_file());
            let path =
                path.ok_or_else(|| wrong("ca-file", "the absolute path of a file is needed".into()))?;
            self.set("ca_file", path);
        }
        if let Some(scope) = &options.scope {
            self.map.remove("scopes");
            self.set("scope", scope.as_str());
        }
        if !options.allow_group.is_empty() {
            self.set("allowed_groups", json!(options.allow_group));
        }
        self.apply_names(options)?;
        if let Some(age) = &options.max_confirmation_age {
            self.set_age(age).map_err(|why| wrong("max-confirmation-age", why))?;
        }
        if let Some(provisioning) = &options.provisioning {
            self.set("provisioning", provisioning.as_str());
        }
        Ok(())
    }

    fn apply_names(&mut self, options: &Setup) -> Result<(), Failure> {
        let wrong = |option: &str, why: String| Failure::Usage(format!("--{option}: {why}"));
        if let Some(domain) = &options.strip_domain {
            self.strip(domain).map_err(|why| wrong("strip-domain", why))?;
        }
        if !options.domain.is_empty() {
            let domains: Result<Vec<_>, _> =
                options.domain.iter().map(|domain| kind::domain(domain)).collect();
            let domains = domains.map_err(|why| wrong("domain", why))?;
            self.keep_whole_names();
            self.set("first_login", domains.iter().map(|domain| format!("*@{domain}")).collect::<Vec<_>>());
        }
        if !options.first_login.is_empty() {
            let patterns = options.first_login.iter().filter(|pattern| !pattern.is_empty());
            self.set("first_login", patterns.cloned().collect::<Vec<_>>());
        }
        Ok(())
    }

    /// Names of one domain lose it.
    pub(super) fn strip(&mut self, domain: &str) -> Result<(), String> {
        let domain = kind::domain(domain)?;
        self.set("username_map", "strip_domain");
        self.set("domains", json!([domain]));
        // What is left of a name has no @ that the default pattern could match.
        match self.map.get("first_login") {
            Some(patterns) if *patterns == json!(["*@*"]) => self.set("first_login", json!(["*"])),
            None if !self.fresh => self.set("first_login", json!(Vec::from_iter(self.proposal()))),
            _ => {}
        }
        Ok(())
    }

    /// Names stay as the provider has them.
    pub(super) fn keep_whole_names(&mut self) {
        self.map.remove("username_map");
        self.map.remove("domains");
    }

    pub(super) fn set_age(&mut self, age: &str) -> Result<(), String> {
        match age.trim() {
            "none" => {
                self.map.remove("max_confirmation_age");
                // Remembered: a fresh configuration gets the proposal where nothing was said.
                self.map.insert("max_confirmation_age".into(), Value::Null);
                Ok(())
            }
            days => match days.parse::<u32>() {
                Ok(days @ 1..=36_500) => {
                    self.set("max_confirmation_age", days);
                    Ok(())
                }
                _ => Err("a number of days from 1 to 36500, or none".into()),
            },
        }
    }

    /// The secret goes to a file of its own.
    pub(super) fn set_secret(&mut self, secret: String) {
        self.map.remove("client_secret");
        self.set("client_secret_file", self.secret_path().display().to_string());
        self.secret = Some(secret);
    }

    /// Another kind of provider than before keeps nothing of the earlier one's address.
    pub(super) fn turn_to(&mut self, kind: Kind) {
        let was_entra = self.map.contains_key("tenant_id");
        if was_entra != (kind == Kind::Entra) {
            ["issuer", "tenant_id", "allowed_tenants"].iter().for_each(|key| drop(self.map.remove(*key)));
        }
        if kind == Kind::Google {
            self.set("issuer", kind::GOOGLE);
        }
        self.kind = Some(kind);
    }

    /// Where the provider is: an issuer, or a tenant.
    pub(super) fn set_place(&mut self, kind: Kind, text: &str) -> Result<(), String> {
        let place = kind::place(kind, text)?;
        let key = if kind == Kind::Entra { "tenant_id" } else { "issuer" };
        self.set(key, place);
        Ok(())
    }

    /// What nobody was asked, and nobody said. `grace` is the time that sshd gives a login, in seconds.
    pub(super) fn complete(&mut self, grace: Option<u64>) {
        if !self.map.contains_key("provisioning") {
            self.set("provisioning", "store");
        }
        if !self.fresh {
            self.drop_empty_age();
            return;
        }
        if !self.map.contains_key("max_confirmation_age") {
            self.set("max_confirmation_age", AGE);
        }
        self.drop_empty_age();
        if !self.map.contains_key("first_login") {
            self.set("first_login", json!(Vec::from_iter(self.proposal())));
        }
        // Our own deadline must come before sshd's: else nobody reads why it is over.
        if let Some(grace) = grace.map(|grace| grace.clamp(30, 3600)).filter(|grace| *grace != GRACE) {
            self.map.entry("login_grace").or_insert(grace.into());
        }
        for (key, value) in kind::defaults(self.kind, self.map.contains_key("allowed_groups")) {
            self.map.entry(key).or_insert(value);
        }
    }

    fn drop_empty_age(&mut self) {
        if self.map.get("max_confirmation_age") == Some(&Value::Null) {
            self.map.remove("max_confirmation_age");
        }
    }

    /// What the file is to be. One that says the same already is left as it is, whatever its form.
    pub(super) fn state(&self) -> FileState {
        match self.contents() {
            // It is root's alone: nobody else has to know who the client is, and it may hold a secret.
            FileState::File { bytes, .. } => FileState::File { bytes, mode: 0o600, uid: 0, gid: 0 },
            FileState::Absent => FileState::Absent,
        }
    }

    fn contents(&self) -> FileState {
        let same = serde_json::from_slice::<Map<String, Value>>(self.before.bytes())
            .is_ok_and(|before| before == self.map);
        if same {
            return self.before.clone();
        }
        let text = format!("{:#}\n", Value::Object(self.map.clone()));
        self.before.with_bytes(text.as_bytes(), 0o600)
    }

    /// What the file was.
    pub(super) fn before(&self) -> &FileState {
        &self.before
    }

    /// Everything in it that must not be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let before: Option<Map<String, Value>> = serde_json::from_slice(self.before.bytes()).ok();
        let written = [before.as_ref(), Some(&self.map)]
            .into_iter()
            .flatten()
            .filter_map(|map| map.get("client_secret").and_then(Value::as_str).map(str::to_owned));
        written.chain(self.secret.clone()).collect()
    }
}

/// The secret in a file, or on standard input; without the newline that editors leave.
fn read_secret(file: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::Usage(format!("--secret-file {}: {what}", file.display()));
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(SECRET_LIMIT).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(SECRET_LIMIT).read_to_string(&mut text))
    };
    read.map_err(|error| failed(error.to_string()))?;
    let secret = text.trim_end();
    if secret.is_empty() { Err(failed("it is empty".into())) } else { Ok(secret.to_owned()) }
}
