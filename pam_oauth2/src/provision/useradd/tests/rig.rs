//! A machine whose commands follow a script: a queue of expected argument lists, empty at the end.

use super::super::*;
use crate::admission::{Grounds, Origin, admit};
use crate::home::CommandError;
use crate::oauth::test_support::{DEVICE, INTROSPECT, NOW, Reply, Script, TOKEN};
use crate::oauth::{Provider, Settings, Validation};
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::store::Places;
use shared::store::publish::{Inputs, PublishError};
use shared::types::{Gid, LoginName, Secret, Uid};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

pub(super) const ID: u32 = 1_900_000_007;

/// What a scripted command does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Works,
    /// Exit status; nothing is done.
    Fails(u8),
    /// It does its work and fails nevertheless.
    WorksAndFails,
    Prints(&'static str),
    /// It comes as far as the group, and fails.
    MakesAGroupAndFails,
    /// It comes as far as the group, and is killed at its limit.
    MakesAGroupAndHangs,
}

pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    /// What is left of the login's time, in seconds.
    pub(super) left: Cell<u64>,
    pub(super) places: Places,
    pub(super) etc: RefCell<LocalNames>,
    pub(super) commands: RefCell<VecDeque<(String, Act)>>,
    /// How long each command could have run.
    pub(super) limits: RefCell<Vec<Duration>>,
    /// SQL that runs while useradd does.
    pub(super) meanwhile: RefCell<Option<&'static str>>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut places = Places::under(dir.path());
        places.owner = rustix::process::geteuid().as_raw();
        std::fs::create_dir_all(places.store.parent().unwrap().parent().unwrap()).unwrap();
        Store::migrate(&places, shared::clock::Day(20_000)).unwrap();
        let text = format!(
            r#"{{"client_id": "client", "client_secret": "s3cret", "oauth_device_url": "{DEVICE}",
                "oauth_token_url": "{TOKEN}", "oauth_token_introspect_url": "{INTROSPECT}",
                "provisioning": "useradd", "first_login": ["*"]}}"#
        );
        shared::secure_file::replace(&dir.path().join("config.json"), text.as_bytes(), 0o600).unwrap();
        std::fs::write(dir.path().join("shadow"), "root:*:1:0:99999:7:::\n").unwrap();
        let etc = RefCell::new(LocalNames::parse(b"root:x:0:0::/root:/bin/sh\n", b"root:x:0:\n"));
        Self {
            dir,
            left: Cell::new(60),
            places,
            etc,
            commands: RefCell::default(),
            limits: RefCell::default(),
            meanwhile: RefCell::default(),
        }
    }

    pub(super) fn expect(&self, command: &str, act: Act) -> &Self {
        self.commands.borrow_mut().push_back((command.to_owned(), act));
        self
    }

    pub(super) fn config(&self) -> Config {
        let path = self.dir.path().join("config.json");
        shared::config::load(&path, self.places.owner, "passwd: files oauth2\n").unwrap().config
    }

    pub(super) fn account(&self, name: &str) -> Account {
        Account {
            name: LoginName::parse(name).unwrap(),
            uid: Uid::new(ID).unwrap(),
            gid: Gid::new(ID).unwrap(),
            gecos: String::new(),
            home: format!("/nonexistent/{name}"),
            shell: "/bin/bash".into(),
            supplementary: Vec::new(),
        }
    }

    pub(super) fn provision(&self, name: &str) -> Result<Provisioned, LoginError> {
        self.provision_as(name, Origin::Ours)
    }

    pub(super) fn provision_as(&self, name: &str, origin: Origin) -> Result<Provisioned, LoginError> {
        let (config, clock) = (self.config(), SystemClock::new());
        let store = Store::open(&self.places).unwrap();
        let id_is_taken = |_| Ok(false);
        let nobody = LocalNames::default();
        let grounds =
            Grounds { config: &config, local: &nobody, store: &store, id_is_taken: &id_is_taken, origin };
        let admitted = admit(verified(name), &self.account(name), &grounds).unwrap();
        let load = || -> Result<Inputs, PublishError> {
            Ok(Inputs { config: self.config(), local: LocalNames::default() })
        };
        let mut provisioner = UseraddProvisioner {
            store: StoreProvisioner { places: &self.places, load: &load, clock: &clock, existing: false },
            commands: self,
            local: &|| Ok(self.etc.borrow().clone()),
            shadow: &self.dir.path().join("shadow"),
        };
        let deadline = clock.monotonic() + Duration::from_secs(self.left.get());
        let outcome = provisioner.provision(&admitted, &config, deadline);
        assert!(self.commands.borrow().is_empty(), "expected and never run: {:?}", self.commands.borrow());
        outcome
    }

    /// A line of /etc/shadow.
    pub(super) fn shadow(&self, line: &str) {
        std::fs::write(self.dir.path().join("shadow"), format!("root:*:1:0:99999:7:::\n{line}\n")).unwrap();
    }

    pub(super) fn execute(&self, sql: &str) {
        rusqlite::Connection::open(&self.places.store).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) fn has(&self, name: &str) -> (bool, bool) {
        let etc = self.etc.borrow();
        (etc.user(name).is_some(), etc.group(name).is_some())
    }

    pub(super) fn is_recorded(&self, name: &str) -> bool {
        let name = LoginName::parse(name).unwrap();
        Store::open(&self.places).unwrap().person(&name).unwrap().is_some()
    }

    /// What the real tools did where they were measured: userdel takes the private group along.
    pub(super) fn work(&self, tool: &str, name: &str, makes_group: bool) {
        let mut etc = self.etc.borrow_mut();
        let line = |kind: &str| format!("{name}:x:{ID}:{kind}");
        let added = match tool {
            "groupadd" => LocalNames::parse(b"", line("").as_bytes()),
            "useradd" if makes_group => LocalNames::parse(line("").as_bytes(), line("").as_bytes()),
            "useradd" => LocalNames::parse(line("").as_bytes(), b""),
            _ => LocalNames::default(),
        };
        etc.passwd.extend(added.passwd);
        etc.group.extend(added.group);
        if tool == "userdel" {
            etc.passwd.retain(|line| line.name != name);
        }
        if tool == "groupdel" {
            etc.group.retain(|line| line.name != name);
        }
    }
}

impl RunCommand for Rig {
    fn output(&self, program: &str, arguments: &[&str], limit: Duration) -> Result<String, CommandError> {
        let tool = program.strip_prefix("/usr/sbin/").or(program.strip_prefix("/sbin/")).unwrap();
        let (expected, act) =
            self.commands.borrow_mut().pop_front().expect("a command after the script's end");
        assert_eq!(format!("{tool} {}", arguments.join(" ")), expected);
        self.limits.borrow_mut().push(limit);
        if arguments != ["--help"] {
            assert_eq!(arguments[arguments.len() - 2], "--", "a name can never be an option");
        }
        if tool == "useradd"
            && let Some(sql) = self.meanwhile.take()
        {
            self.execute(sql);
        }
        if matches!(act, Act::Works | Act::WorksAndFails) {
            self.work(tool, arguments.last().unwrap(), arguments.contains(&"-U"));
        }
        if matches!(act, Act::MakesAGroupAndFails | Act::MakesAGroupAndHangs) {
            self.work("groupadd", arguments.last().unwrap(), false);
        }
        let failed = |status: String| {
            Err(CommandError::Failed { program: program.into(), status, stderr: "because".into() })
        };
        match act {
            Act::Works => Ok(String::new()),
            Act::Prints(text) => Ok(text.into()),
            Act::Fails(status) => failed(format!("exit status: {status}")),
            Act::WorksAndFails | Act::MakesAGroupAndFails => failed("exit status: 14".into()),
            Act::MakesAGroupAndHangs => Err(CommandError::TimedOut {
                program: program.into(),
                seconds: limit.as_secs(),
                stderr: String::new(),
            }),
        }
    }
}

/// Claims of `name`, through the provider: nothing else can make them.
pub(super) fn verified(name: &str) -> crate::oauth::VerifiedClaims {
    let device = json!({"device_code": "d", "user_code": "ABCD-EFGH",
        "verification_uri": "https://id.example.com/go", "expires_in": 600, "interval": 1});
    let token = json!({"access_token": "at", "token_type": "Bearer"});
    let claims = json!({"active": true, "username": name, "sub": name, "scope": "openid",
        "client_id": "client", "exp": NOW + 600});
    let script = Script::new(vec![
        (DEVICE, Reply::Json(200, device)),
        (TOKEN, Reply::Json(200, token)),
        (INTROSPECT, Reply::Json(200, claims)),
    ]);
    let settings = Settings {
        client_id: "client".into(),
        client_secret: Some(Secret::new("s3cret".into())),
        issuer: None,
        entra: None,
        device_url: Some(DEVICE.into()),
        token_url: Some(TOKEN.into()),
        introspection_url: Some(INTROSPECT.into()),
        scopes: vec!["openid".into()],
        validation: Validation::Introspection,
        username_claims: vec!["preferred_username".into()],
        groups_claim: "groups".into(),
        needs_groups: false,
        subject_from_username: false,
    };
    let provider = Provider::new(&settings, &script, script.clock());
    let grant = provider.start().unwrap();
    provider.poll(&grant, script.clock().monotonic() + Duration::from_secs(60)).unwrap()
}

/// The private group, with the only number that its bounds leave.
pub(super) const OWN_GROUP: &str = "-U -K GID_MIN=1900000007 -K GID_MAX=1900000007";

pub(super) fn useradd(name: &str) -> String {
    useradd_with(name, OWN_GROUP, "")
}

pub(super) fn useradd_with(name: &str, group: &str, bad_name: &str) -> String {
    format!("useradd -u {ID} {group} -d /nonexistent/{name} -s /bin/bash -c  -M{bad_name} -- {name}")
}

pub(super) fn reason(outcome: Result<Provisioned, LoginError>) -> (&'static str, String) {
    let error = outcome.unwrap_err();
    (error.class().1, error.to_string())
}
