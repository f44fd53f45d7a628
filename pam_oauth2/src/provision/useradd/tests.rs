//! Commands follow a script: a queue of expected argument lists and what becomes of them, empty at the end.

use super::*;
use crate::admission::{Grounds, Origin, admit};
use crate::home::CommandError;
use crate::oauth::test_support::{DEVICE, INTROSPECT, NOW, Reply, Script, TOKEN};
use crate::oauth::{Provider, Settings, Validation};
use crate::outcome::FailureClass;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::store::Places;
use shared::store::publish::{Inputs, PublishError};
use shared::types::{Gid, LoginName, Secret, Uid};
use std::cell::RefCell;
use std::collections::VecDeque;

const ID: u32 = 1_900_000_007;

/// What a scripted command does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Works,
    /// Exit status; nothing is done.
    Fails(u8),
    /// It does its work and fails nevertheless.
    WorksAndFails,
    Prints(&'static str),
}

struct Rig {
    dir: tempfile::TempDir,
    places: Places,
    etc: RefCell<LocalNames>,
    commands: RefCell<VecDeque<(String, Act)>>,
    /// SQL that runs while useradd does.
    meanwhile: RefCell<Option<&'static str>>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut places = Places::under(dir.path());
        places.owner = rustix::process::geteuid().as_raw();
        std::fs::create_dir_all(places.store.parent().unwrap().parent().unwrap()).unwrap();
        Store::migrate(&places).unwrap();
        let text = format!(
            r#"{{"client_id": "client", "client_secret": "s3cret", "oauth_device_url": "{DEVICE}",
                "oauth_token_url": "{TOKEN}", "oauth_token_introspect_url": "{INTROSPECT}",
                "provisioning": "store", "first_login": ["*"]}}"#
        );
        shared::secure_file::replace(&dir.path().join("config.json"), text.as_bytes(), 0o600).unwrap();
        let etc = RefCell::new(LocalNames::parse(b"root:x:0:0::/root:/bin/sh\n", b"root:x:0:\n"));
        Self { dir, places, etc, commands: RefCell::default(), meanwhile: RefCell::default() }
    }

    fn expect(&self, command: &str, act: Act) -> &Self {
        self.commands.borrow_mut().push_back((command.to_owned(), act));
        self
    }

    fn config(&self) -> Config {
        let path = self.dir.path().join("config.json");
        shared::config::load(&path, self.places.owner, "passwd: files oauth2\n").unwrap().config
    }

    fn account(&self, name: &str) -> Account {
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

    fn provision(&self, name: &str) -> Result<Provisioned, LoginError> {
        let (config, clock) = (self.config(), SystemClock::new());
        let store = Store::open(&self.places).unwrap();
        let id_is_taken = |_| Ok(false);
        let nobody = LocalNames::default();
        let grounds = Grounds {
            config: &config,
            local: &nobody,
            store: &store,
            id_is_taken: &id_is_taken,
            origin: Origin::Ours,
        };
        let admitted = admit(verified(name), &self.account(name), &grounds).unwrap();
        let load = || -> Result<Inputs, PublishError> {
            Ok(Inputs { config: self.config(), local: LocalNames::default() })
        };
        let mut provisioner = UseraddProvisioner {
            store: StoreProvisioner { places: &self.places, load: &load, clock: &clock, existing: false },
            commands: self,
            local: &|| Ok(self.etc.borrow().clone()),
        };
        let outcome = provisioner.provision(&admitted, &config);
        assert!(self.commands.borrow().is_empty(), "expected and never run: {:?}", self.commands.borrow());
        outcome
    }

    fn execute(&self, sql: &str) {
        rusqlite::Connection::open(&self.places.store).unwrap().execute_batch(sql).unwrap();
    }

    fn has(&self, name: &str) -> (bool, bool) {
        let etc = self.etc.borrow();
        (etc.user(name).is_some(), etc.group(name).is_some())
    }

    fn is_recorded(&self, name: &str) -> bool {
        let name = LoginName::parse(name).unwrap();
        Store::open(&self.places).unwrap().person(&name).unwrap().is_some()
    }

    /// What the real tools did where they were measured: userdel takes the private group along.
    fn work(&self, tool: &str, name: &str, makes_group: bool) {
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
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), CommandError> {
        self.output(program, arguments).map(drop)
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<String, CommandError> {
        let tool = program.strip_prefix("/usr/sbin/").or(program.strip_prefix("/sbin/")).unwrap();
        let (expected, act) =
            self.commands.borrow_mut().pop_front().expect("a command after the script's end");
        assert_eq!(format!("{tool} {}", arguments.join(" ")), expected);
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
        let failed = |status: String| {
            Err(CommandError::Failed { program: program.into(), status, stderr: "because".into() })
        };
        match act {
            Act::Works => Ok(String::new()),
            Act::Prints(text) => Ok(text.into()),
            Act::Fails(status) => failed(format!("exit status: {status}")),
            Act::WorksAndFails => failed("exit status: 14".into()),
        }
    }
}

/// Claims of `name`, through the provider: nothing else can make them.
fn verified(name: &str) -> crate::oauth::VerifiedClaims {
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

fn groupadd(name: &str) -> String {
    format!("groupadd -g {ID} -- {name}")
}

fn useradd(name: &str) -> String {
    useradd_with(name, &format!("-g {ID}"), "")
}

fn useradd_with(name: &str, group: &str, bad_name: &str) -> String {
    format!("useradd -u {ID} {group} -d /nonexistent/{name} -s /bin/bash -c  -M{bad_name} -- {name}")
}

fn reason(outcome: Result<Provisioned, LoginError>) -> (&'static str, String) {
    let error = outcome.unwrap_err();
    (error.class().1, error.to_string())
}

#[test]
fn somebody_new_gets_a_group_and_an_account_and_is_recorded() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    assert!(rig.provision("ann").unwrap().first);
    assert_eq!(rig.has("ann"), (true, true));
    assert!(rig.is_recorded("ann"));
}

#[test]
fn somebody_who_returns_runs_nothing() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    rig.provision("ann").unwrap();
    assert!(!rig.provision("ann").unwrap().first);
}

#[test]
fn an_account_left_by_a_login_that_was_killed_is_recorded_and_one_with_another_uid_is_somebody_elses() {
    let rig = Rig::new();
    rig.work("useradd", "ann", true);
    assert!(rig.provision("ann").unwrap().first);
    let rig = Rig::new();
    *rig.etc.borrow_mut() = LocalNames::parse(b"ann:x:1001:1001::/home/ann:/bin/sh\n", b"");
    assert_eq!(reason(rig.provision("ann")).0, "identity_changed");
    assert!(!rig.is_recorded("ann"));
}

#[test]
fn a_group_left_by_a_login_that_was_killed_is_used_and_no_other_one() {
    let rig = Rig::new();
    rig.work("groupadd", "ann", false);
    rig.expect(&useradd("ann"), Act::Works);
    assert!(rig.provision("ann").is_ok());
    for group in ["ann:x:1001:", "staff:x:1900000007:"] {
        let rig = Rig::new();
        *rig.etc.borrow_mut() = LocalNames::parse(b"", group.as_bytes());
        assert_eq!(reason(rig.provision("ann")).0, "useradd_failed", "{group}");
    }
}

#[test]
fn when_groupadd_fails_nothing_else_is_run() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Fails(10));
    let error = rig.provision("ann").unwrap_err();
    assert_eq!(error.class(), (FailureClass::Broken, "useradd_failed"), "never a refusal");
    let detail = error.to_string();
    assert!(detail.starts_with("groupadd: /") && detail.ends_with("exit status: 10: because"), "{detail}");
    assert!(!rig.is_recorded("ann"));
}

#[test]
fn when_useradd_fails_its_group_is_taken_away_and_a_group_that_was_there_is_not() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Fails(4));
    rig.expect("groupdel -- ann", Act::Works);
    assert!(reason(rig.provision("ann")).1.starts_with("useradd: "));
    assert_eq!(rig.has("ann"), (false, false));
    rig.work("groupadd", "ann", false);
    rig.expect(&useradd("ann"), Act::Fails(4));
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert_eq!(rig.has("ann"), (false, true));
}

#[test]
fn what_a_failing_command_has_made_all_the_same_is_taken_away() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::WorksAndFails).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::WorksAndFails);
    rig.expect("userdel -- ann", Act::Works).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "useradd_failed");
    assert_eq!(rig.has("ann"), (false, false));
}

#[test]
fn a_useradd_that_says_it_worked_and_did_not_is_a_failure() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Prints(""));
    rig.expect("groupdel -- ann", Act::Works);
    assert!(reason(rig.provision("ann")).1.contains("not in /etc/passwd"));
}

const NO_ROWS: &str = "CREATE TRIGGER full BEFORE INSERT ON identity BEGIN SELECT RAISE(ABORT, 'full'); END";

#[test]
fn when_the_store_fails_user_and_group_are_taken_away() {
    let rig = Rig::new();
    rig.meanwhile.replace(Some(NO_ROWS));
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    rig.expect("userdel -- ann", Act::Works).expect("groupdel -- ann", Act::Works);
    assert_eq!(reason(rig.provision("ann")).0, "store");
    assert_eq!(rig.has("ann"), (false, false));
}

#[test]
fn when_undoing_fails_the_error_says_what_is_left() {
    let rig = Rig::new();
    rig.meanwhile.replace(Some(NO_ROWS));
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    rig.expect("userdel -- ann", Act::Fails(8));
    let (reason, detail) = reason(rig.provision("ann"));
    assert_eq!(reason, "useradd_failed");
    assert!(detail.contains("left on this machine: user ann (") && detail.ends_with("group ann"), "{detail}");
}

#[test]
fn an_account_that_was_recorded_stays_though_it_could_not_be_published() {
    let rig = Rig::new();
    std::fs::create_dir(&rig.places.nss_db).unwrap();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    assert!(rig.provision("ann").is_err());
    assert!(rig.is_recorded("ann"));
    assert_eq!(rig.has("ann"), (true, true));
    std::fs::remove_dir(&rig.places.nss_db).unwrap();
    assert!(rig.provision("ann").is_ok(), "and the next login is a returning one");
}

#[test]
fn a_name_with_at_or_dot_asks_useradd_for_the_option_that_lets_it_pass() {
    for (help, option) in [
        ("  --badname    do not check for bad names\n", " --badname"),
        ("  -b, --badnames,  x\n", " --badnames"),
        ("  -b, --base-dir BASE_DIR\n", ""),
    ] {
        let (rig, name) = (Rig::new(), "john.doe@example.com");
        rig.expect(&groupadd(name), Act::Works).expect("useradd --help", Act::Prints(help));
        rig.expect(&useradd_with(name, &format!("-g {ID}"), option), Act::Works);
        assert!(rig.provision(name).is_ok(), "{help}");
    }
}

#[test]
fn where_groupadd_refuses_a_name_useradd_makes_the_group_with_the_same_number() {
    let (rig, name) = (Rig::new(), "ann@example.com");
    let own = format!("-U -K GID_MIN={ID} -K GID_MAX={ID}");
    rig.expect(&groupadd(name), Act::Fails(3)).expect("useradd --help", Act::Prints("--badname"));
    rig.expect(&useradd_with(name, &own, " --badname"), Act::Works);
    assert!(rig.provision(name).is_ok());
    assert_eq!(rig.has(name), (true, true));
}

#[test]
fn a_name_that_groupadd_has_no_room_for_is_refused_before_anything_is_run() {
    let rig = Rig::new();
    assert_eq!(reason(rig.provision(&"a".repeat(33))).0, "useradd_failed");
    let longest = "a".repeat(32);
    rig.expect(&groupadd(&longest), Act::Works).expect(&useradd(&longest), Act::Works);
    assert!(rig.provision(&longest).is_ok());
    assert!(LoginName::parse("-x").is_err(), "nor does such a name exist");
}

#[test]
fn somebody_with_a_row_stays_served_by_the_store() {
    let rig = Rig::new();
    rig.expect(&groupadd("ann"), Act::Works).expect(&useradd("ann"), Act::Works);
    rig.provision("ann").unwrap();
    rig.work("userdel", "ann", false);
    assert!(rig.provision("ann").is_ok(), "known");
    rig.execute("UPDATE identity SET state = 'reserved'");
    let provisioned = rig.provision("ann").unwrap();
    assert!(provisioned.warnings[0].contains("not by /etc/passwd"), "{provisioned:?}");
}

#[test]
fn an_expiry_is_undone_only_where_it_is_ours() {
    let (rig, ann) = (Rig::new(), LoginName::parse("ann").unwrap());
    rig.expect("usermod --expiredate 1 -- ann", Act::Prints(""));
    expire(&rig, &ann).unwrap();
    let shadow = rig.dir.path().join("shadow");
    for (line, ours) in [
        ("ann:!:20779:0:99999:7::1:", true),
        ("ann:!:20779:0:99999:7:::", false),
        ("ann:!:20779:0:99999:7::21000:", false),
        ("ann2:!:20779:0:99999:7::1:", false),
        ("ann:!", false),
    ] {
        std::fs::write(&shadow, format!("root:*:1:0:99999:7::1:\n{line}\n")).unwrap();
        if ours {
            rig.expect("usermod --expiredate  -- ann", Act::Prints(""));
        }
        assert_eq!(unexpire(&rig, &shadow, &ann).unwrap(), ours, "{line}");
    }
    assert!(rig.commands.borrow().is_empty());
    assert!(unexpire(&rig, &rig.dir.path().join("none"), &ann).is_err());
}
