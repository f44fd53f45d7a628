//! A machine in a temporary directory, a host and a provider that follow scripts.

use super::*;
use crate::limits::Counters;

/// What the host is expected to be asked, and its answer.
pub(super) type Prompts = VecDeque<(&'static str, Result<Answer, HostError>)>;

pub(super) struct Stage {
    pub(super) dir: tempfile::TempDir,
    pub(super) machine: Machine,
}

pub(super) struct ScriptedHost<'a> {
    pub(super) stage: &'a Stage,
    pub(super) name: String,
    pub(super) prompts: RefCell<Prompts>,
    /// getpwnam_r's answer, where it is not what the package's own NSS module says.
    pub(super) resolves: Option<RefCell<VecDeque<Option<Resolved>>>>,
    pub(super) ids: Vec<u32>,
    /// getgrouplist's answer, besides the primary group.
    pub(super) groups: Vec<(u32, String)>,
    /// How long the person takes to answer a prompt, on the script's clock.
    pub(super) thinks: Option<(Script, std::time::Duration)>,
    /// What happens while the person reads the code.
    pub(super) meanwhile: Option<fn(&Stage)>,
    /// How long a name lookup takes, on the script's clock.
    pub(super) lookup: Option<(Script, std::time::Duration)>,
    pub(super) rhost: Option<&'static str>,
    pub(super) lacks_publickey: bool,
}

impl Stage {
    pub(super) fn new(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let places = Places {
            store: at("state/private/store.db"),
            lock: at("state/private/publish.lock"),
            first_login: at("state/private/first-login"),
            nss_db: at("state/nss.db"),
            owner: rustix::process::geteuid().as_raw(),
        };
        std::fs::write(at("passwd"), "root:x:0:0::/root:/bin/sh\nlocalu:x:1000:1000::/home/localu:/bin/sh\n")
            .unwrap();
        std::fs::write(at("group"), "root:x:0:\n").unwrap();
        std::fs::write(at("nsswitch.conf"), "passwd: files oauth2\ngroup: files oauth2\n").unwrap();
        let machine = Machine {
            places,
            config: at("config.json"),
            passwd: at("passwd"),
            group: at("group"),
            shadow: at("shadow"),
            nsswitch: at("nsswitch.conf"),
            name: "sandbox".into(),
        };
        let stage = Self { dir, machine };
        stage.configure(extra);
        Store::migrate(&stage.machine.places, TestClock::at(NOW).today()).unwrap();
        stage.enable();
        stage
    }

    pub(super) fn configure(&self, extra: &str) {
        let home = self.dir.path().join("home/{name}");
        let text = format!(
            r#"{{"client_id": "client", "client_secret": "s3cret", "oauth_device_url": "{DEVICE}",
                "oauth_token_url": "{TOKEN}", "oauth_token_introspect_url": "{INTROSPECT}",
                "provisioning": "store", "first_login": ["*"], "home": "{}",
                "group_map": {{"s": "idp-staff"}}{extra}}}"#,
            home.display()
        );
        secure_file::replace(&self.machine.config, text.as_bytes(), 0o600).unwrap();
    }

    pub(super) fn publish(&self) {
        let load = || self.machine.inputs();
        publish(&self.machine.places, &load, Want::Rebuild, &SystemClock::new()).unwrap();
    }

    pub(super) fn enable(&self) {
        let inputs = self.machine.inputs().unwrap();
        parameters::enable(&self.machine.places, &inputs, "oauth2", &SystemClock::new()).unwrap();
        self.publish();
    }

    pub(super) fn host(&self, name: &str, prompts: Prompts) -> ScriptedHost<'_> {
        ScriptedHost {
            stage: self,
            name: name.into(),
            prompts: RefCell::new(prompts),
            resolves: None,
            ids: Vec::new(),
            groups: Vec::new(),
            thinks: None,
            meanwhile: None,
            lookup: None,
            rhost: Some("192.0.2.7"),
            lacks_publickey: false,
        }
    }

    /// The file of the counters, which the first login makes.
    pub(super) fn counters(&self) -> std::path::PathBuf {
        self.dir.path().join("run/limits")
    }

    /// What anybody could see of the store: its rows, and the published file's bytes.
    pub(super) fn traces(&self) -> (usize, Vec<u8>) {
        let people = Store::open(&self.machine.places).unwrap().people().unwrap().len();
        (people, std::fs::read(&self.machine.places.nss_db).unwrap())
    }

    pub(super) fn execute(&self, sql: &str) {
        rusqlite::Connection::open(&self.machine.places.store).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) fn account(&self, name: &str) -> Result<(), Exit> {
        account(&self.machine, &mut self.host(name, Prompts::new()), &TestClock::at(NOW), false)
    }

    pub(super) fn account_reason(&self, name: &str) -> &'static str {
        match self.account(name) {
            Err(Exit::Failed(error)) => error.class().1,
            other => panic!("{name}: {other:?}"),
        }
    }
}

impl Host for ScriptedHost<'_> {
    fn user(&mut self) -> Result<String, HostError> {
        Ok(self.name.clone())
    }

    fn service(&self) -> String {
        "sshd".into()
    }

    fn rhost(&self) -> Option<String> {
        self.rhost.map(str::to_owned)
    }

    fn lacks_publickey(&self) -> bool {
        self.lacks_publickey
    }

    fn show(&mut self, text: &str) {
        panic!("unexpected text: {text}");
    }

    fn ask(&mut self, text: &str) -> Result<Answer, HostError> {
        let (part, answer) = self.prompts.borrow_mut().pop_front().expect("a prompt after the script's end");
        assert!(text.contains(part), "{part:?} in {text:?}");
        if let Some((script, time)) = &self.thinks {
            script.clock().sleep(*time);
        }
        if let Some(meanwhile) = self.meanwhile.filter(|_| part == "ABCD-EFGH") {
            meanwhile(self.stage);
        }
        answer
    }

    fn resolve(&self, name: &str) -> Result<Option<Resolved>, HostError> {
        if let Some((script, time)) = &self.lookup {
            script.clock().sleep(*time);
        }
        if let Some(scripted) = &self.resolves {
            return Ok(scripted.borrow_mut().pop_front().expect("a lookup after the script's end"));
        }
        let published = match known::standing(&self.stage.machine, name) {
            Ok(Some(known::Standing::Row(row))) => Some(row.entry),
            _ => None,
        };
        Ok(published.or_else(|| self.stage.machine.prospective(name).as_ref().map(Resolved::from)))
    }

    fn groups(&self, name: &str, gid: u32) -> Result<Vec<(u32, String)>, HostError> {
        Ok([&[(gid, name.to_owned())], self.groups.as_slice()].concat())
    }

    fn has_id(&self, id: u32) -> Result<bool, HostError> {
        Ok(self.ids.contains(&id))
    }
}

pub(super) fn first_prompts() -> Prompts {
    [("Press Enter to get a sign-in code", Ok(Answer::Enter)), ("ABCD-EFGH", Ok(Answer::Enter))].into()
}

pub(super) fn later_prompts() -> Prompts {
    [("ABCD-EFGH", Ok(Answer::Enter))].into()
}

pub(super) fn device() -> (&'static str, Reply) {
    let answer = json!({"device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example.com/go",
        "expires_in": 600, "interval": 1});
    (DEVICE, Reply::Json(200, answer))
}

pub(super) fn approved(claims: Value) -> Script {
    let token = json!({"access_token": "at", "token_type": "Bearer"});
    Script::new(vec![device(), (TOKEN, Reply::Json(200, token)), (INTROSPECT, Reply::Json(200, claims))])
}

pub(super) fn claims(name: &str, subject: &str, groups: &[&str]) -> Value {
    json!({"active": true, "username": name, "sub": subject, "groups": groups, "scope": "openid profile",
        "client_id": "client", "exp": NOW + 600})
}

pub(super) fn run(stage: &Stage, host: &mut ScriptedHost<'_>, script: &Script) -> Result<Admission, Exit> {
    let clock = script.clock();
    let load = || stage.machine.inputs();
    let mut provisioner =
        StoreProvisioner { places: &stage.machine.places, load: &load, clock, existing: false };
    let connect =
        |_: &shared::config::Provider| -> Box<dyn crate::oauth::Connect> { Box::new(script.clone()) };
    let since_boot = || clock.monotonic();
    let file = stage.counters();
    let counters =
        Counters { file: &file, owner: stage.machine.places.owner, clock, since_boot: &since_boot };
    let mut login = Login {
        machine: &stage.machine,
        host,
        connect: &connect,
        clock,
        provisioner: &mut provisioner,
        counters: Some(counters),
    };
    let outcome = authenticate(&mut login, true);
    script.played();
    assert_eq!(script.open(), 0, "a connection outlives the call");
    assert!(host.prompts.borrow().is_empty(), "prompts that were expected and never came");
    outcome
}

pub(super) fn sign_in(stage: &Stage, name: &str, subject: &str, groups: &[&str]) -> Result<Admission, Exit> {
    let known = matches!(known::standing(&stage.machine, name), Ok(Some(known::Standing::Row(_))));
    let prompts = if known { later_prompts() } else { first_prompts() };
    run(stage, &mut stage.host(name, prompts), &approved(claims(name, subject, groups)))
}

pub(super) fn reason(outcome: Result<Admission, Exit>) -> &'static str {
    match outcome {
        Err(Exit::Failed(error)) => error.class().1,
        other => panic!("{other:?}"),
    }
}
