//! What several checks look at, each read once.

use super::super::sshd::CONFIG;
use super::super::sshd_lines::Lines;
use super::CHECKS;
use super::accounts::Local;
use super::provider::Greeting;
use super::report::{Finding, State};
use super::sshd::Settings;
use pam_oauth2::login::Machine;
use shared::clock::SystemClock;
use shared::config::{Config, ConfigError, Loaded};
use shared::store::{Person, Store, StoreError};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The machine, and what is known of it.
pub(super) struct Facts<'a> {
    pub(super) machine: &'a Machine,
    pub(super) clock: SystemClock,
    /// When the database was published, before a probe published it again.
    published: Option<SystemTime>,
    findings: RefCell<BTreeMap<&'static str, Finding>>,
    config: OnceCell<Result<Loaded, ConfigError>>,
    nsswitch: OnceCell<String>,
    people: OnceCell<Result<Vec<Person>, StoreError>>,
    local: OnceCell<Local>,
    pub(super) sshd: RefCell<BTreeMap<String, Result<Settings, Finding>>>,
    sshd_lines: OnceCell<Lines>,
    pub(super) greeting: OnceCell<Result<Greeting, Finding>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        let published = std::fs::metadata(&machine.places.nss_db).and_then(|file| file.modified());
        Self {
            machine,
            clock: SystemClock::new(),
            published: published.ok(),
            findings: RefCell::default(),
            config: OnceCell::new(),
            nsswitch: OnceCell::new(),
            people: OnceCell::new(),
            local: OnceCell::new(),
            sshd: RefCell::default(),
            sshd_lines: OnceCell::new(),
            greeting: OnceCell::new(),
        }
    }

    /// Where sshd's keywords stand.
    pub(super) fn sshd_lines(&self) -> &Lines {
        self.sshd_lines.get_or_init(|| Lines::of(Path::new(CONFIG)))
    }

    /// What a check finds; asked at most once.
    pub(super) fn of(&self, id: &'static str) -> Finding {
        if let Some(finding) = self.findings.borrow().get(id) {
            return finding.clone();
        }
        let Some(check) = CHECKS.iter().find(|check| check.id == id) else {
            return Finding::not_asked("there is no such check");
        };
        let finding = (check.run)(self).unwrap_or_else(|finding| finding);
        self.findings.borrow_mut().insert(id, finding.clone());
        finding
    }

    /// Goes on only where another check found nothing wrong.
    ///
    /// # Errors
    /// What this check says then.
    pub(super) fn needs(&self, id: &'static str) -> Result<(), Finding> {
        match self.of(id).state {
            State::Ok | State::Warning => Ok(()),
            State::NotApplicable => Err(Finding::not_applicable(self.of(id).saw)),
            State::Fault => Err(Finding::not_asked(format!("{id} failed"))),
            State::NotAsked => Err(Finding::not_asked(format!("{id} could not be asked"))),
        }
    }

    fn loaded(&self) -> &Result<Loaded, ConfigError> {
        self.config.get_or_init(|| self.machine.load_config())
    }

    /// The configuration.
    ///
    /// # Errors
    /// What a check says that needs one.
    pub(super) fn config(&self) -> Result<&Config, Finding> {
        match self.loaded() {
            Ok(loaded) => Ok(&loaded.config),
            Err(ConfigError::NotConfigured(_)) => Err(Finding::not_applicable("not configured")),
            Err(_) => Err(Finding::not_asked("the configuration cannot be used")),
        }
    }

    pub(super) fn config_error(&self) -> Option<&ConfigError> {
        self.loaded().as_ref().err()
    }

    /// Sentences of the configuration for its administrator.
    pub(super) fn config_warnings(&self) -> &[String] {
        self.loaded().as_ref().map_or(&[], |loaded| &loaded.warnings)
    }

    /// nsswitch.conf(5); empty where there is none.
    pub(super) fn nsswitch(&self) -> &str {
        self.nsswitch.get_or_init(|| std::fs::read_to_string(&self.machine.nsswitch).unwrap_or_default())
    }

    /// Everybody in the store; nobody where there is none.
    pub(super) fn people(&self) -> &[Person] {
        self.stored().as_deref().unwrap_or_default()
    }

    /// As [`Self::people`], with the reason where the store cannot be read.
    pub(super) fn stored(&self) -> &Result<Vec<Person>, StoreError> {
        self.people.get_or_init(|| Store::open(&self.machine.places)?.people())
    }

    /// The accounts of this machine's own files.
    pub(super) fn local(&self) -> &Local {
        self.local.get_or_init(|| Local::read(self.machine))
    }

    /// Is this a user of /etc/passwd whom this package does not know?
    pub(super) fn is_others(&self, name: &str) -> bool {
        !self.people().iter().any(|person| person.account.name.as_str() == name)
    }

    /// How long ago the database was published.
    pub(super) fn age(&self) -> Option<Duration> {
        self.published.map(|published| published.elapsed().unwrap_or_default())
    }
}

/// Nothing runs in an image.
///
/// # Errors
/// What a check says that asks what runs.
pub(super) fn runs() -> Result<(), Finding> {
    if crate::image::is_image() { Err(Finding::not_applicable("an image does not run")) } else { Ok(()) }
}
