//! A machine in a temporary directory: a store, its publications, and the reader.

use super::publish::{Inputs, Published, Want, publish};
use super::*;
use crate::clock::{Day, SystemClock};
use crate::config::{self, Config};
use crate::etc::LocalNames;
use crate::identity::account::Account;
use crate::snapshot::MappedFile;
use crate::types::{Gid, GroupName, Issuer, LoginName, Subject, Uid};
use std::path::PathBuf;

pub(super) struct Machine {
    pub(super) dir: tempfile::TempDir,
    pub(super) places: Places,
    pub(super) config: Config,
    pub(super) local: LocalNames,
}

pub(super) fn machine(extra: &str) -> Machine {
    let dir = tempfile::tempdir().unwrap();
    let owner = rustix::process::geteuid().as_raw();
    let state = dir.path().join("state");
    let private = state.join("private");
    let places = Places {
        store: private.join("store.db"),
        lock: private.join("publish.lock"),
        first_login: private.join("first-login"),
        nss_db: state.join("nss.db"),
        owner,
    };
    let path = dir.path().join("config.json");
    let json = format!(
        r#"{{"client_id":"c","issuer":"https://i","provisioning":"store","group_map":{{"s":"idp-staff"}}{extra}}}"#
    );
    std::fs::write(&path, json).unwrap();
    let config = config::load(&path, owner, "passwd: files oauth2\n").unwrap().config;
    Store::migrate(&places, Day(20_000)).unwrap();
    Machine { dir, places, config, local: LocalNames::parse(b"root:x:0:0::/:/bin/sh\n", b"adm:x:4:\n") }
}

pub(super) fn account(name: &str, uid: u32) -> Account {
    let uid = Uid::new(uid).unwrap();
    Account {
        name: LoginName::parse(name).unwrap(),
        uid,
        gid: Gid::from(uid),
        gecos: String::new(),
        home: format!("/home/{name}"),
        shell: "/bin/bash".into(),
        supplementary: Vec::new(),
    }
}

pub(super) fn staff(gid: u32) -> GroupClaim {
    GroupClaim {
        provider_id: "s".into(),
        name: GroupName::parse("idp-staff").unwrap(),
        gid: Gid::new(gid).unwrap(),
    }
}

pub(super) fn name(name: &str) -> LoginName {
    LoginName::parse(name).unwrap()
}

impl Machine {
    pub(super) fn store(&self) -> Store {
        Store::open(&self.places).unwrap()
    }

    pub(super) fn person(&self, login: &str) -> Person {
        self.store().person(&name(login)).unwrap().unwrap()
    }

    pub(super) fn sign_in(
        &self,
        name: &str,
        uid: u32,
        subject: &str,
        groups: &[GroupClaim],
    ) -> Result<Recorded, RecordError> {
        self.sign_in_on(Day(20_000), name, uid, subject, groups)
    }

    pub(super) fn sign_in_on(
        &self,
        today: Day,
        name: &str,
        uid: u32,
        subject: &str,
        groups: &[GroupClaim],
    ) -> Result<Recorded, RecordError> {
        self.record(today, &account(name, uid), subject, groups)
    }

    pub(super) fn sign_in_as(&self, account: &Account, subject: &str) -> Result<Recorded, RecordError> {
        self.record(Day(20_000), account, subject, &[])
    }

    fn record(
        &self,
        today: Day,
        account: &Account,
        subject: &str,
        groups: &[GroupClaim],
    ) -> Result<Recorded, RecordError> {
        let publish_day = self.config.policy.max_confirmation_age.is_some();
        Store::open(&self.places).unwrap().record(&SignIn {
            account,
            issuer: &Issuer::parse("https://i").unwrap(),
            subject: &Subject::parse(subject).unwrap(),
            groups,
            today,
            now: 1,
            publish_day,
            existing: false,
        })
    }

    pub(super) fn publish(&self, want: Want) -> Published {
        publish(&self.places, &|| Ok(self.inputs()), want, &SystemClock::new()).unwrap()
    }

    pub(super) fn inputs(&self) -> Inputs {
        Inputs { config: self.config.clone(), local: self.local.clone() }
    }

    pub(super) fn open(&self) -> MappedFile {
        MappedFile::open_owned_by(self.places.nss_db.to_str().unwrap(), self.places.owner).unwrap()
    }

    pub(super) fn integrity(&self) -> String {
        let connection = rusqlite::Connection::open(&self.places.nss_db).unwrap();
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    }

    pub(super) fn execute(&self, sql: &str) {
        rusqlite::Connection::open(&self.places.store).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) fn leftovers(&self) -> Vec<PathBuf> {
        let state = self.places.nss_db.parent().unwrap();
        let files = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.is_file() && *path != self.places.nss_db).collect()
    }
}
