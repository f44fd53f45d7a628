//! The proof of the account stacks (design, section 4): two published rows with random names, one reserved, one
//! confirmed. A stack that does not ask our account phase either admits the first or refuses the second. A name that
//! nobody knows would prove nothing: every stack refuses it.

use super::publish_now;
use crate::failure::Failure;
use crate::pam;
use pam_oauth2::login::{Machine, PROBE_PREFIX};
use pam_oauth2::name_service;
use shared::clock::{Clock, SystemClock};
use shared::config::Config;
use shared::identity::account::Account;
use shared::identity::ids::derive_uid;
use shared::store::{RowState, Store};
use shared::types::{Gid, LoginName};
use std::io::Read;
use std::path::Path;

/// Services whose account phase must hold, under the names of the distributions; one without a file is not installed.
pub(super) const SERVICES: [&str; 4] = ["sshd", "cron", "crond", "su"];

/// Where libpam looks for them.
pub(super) const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

pub(super) fn prove(machine: &Machine, config: &Config) -> Result<(), Failure> {
    crate::output::progress("proving the account stacks …");
    let probes = [(probe(config)?, RowState::Reserved), (probe(config)?, RowState::Confirmed)];
    let verdict = with_probes(machine, &probes, || {
        let [(reserved, _), (confirmed, _)] = &probes;
        SERVICES
            .into_iter()
            .try_for_each(|service| check(service, reserved.name.as_str(), confirmed.name.as_str()))
    });
    // Also rows that a crash of an earlier run left behind.
    set(machine, &[])?;
    verdict
}

fn with_probes(
    machine: &Machine,
    probes: &[(Account, RowState)],
    check: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    set(machine, probes)?;
    check()
}

fn set(machine: &Machine, probes: &[(Account, RowState)]) -> Result<(), Failure> {
    Store::open(&machine.places)?.set_probes(probes, SystemClock::new().unix_seconds())?;
    publish_now(machine)
}

fn check(service: &str, reserved: &str, confirmed: &str) -> Result<(), Failure> {
    if !DIRECTORIES.iter().any(|directory| Path::new(directory).join(service).exists()) {
        return match service {
            "sshd" => {
                Err(Failure::Other("/etc/pam.d/sshd does not exist: is OpenSSH's server installed?".into()))
            }
            _ => Ok(()),
        };
    }
    for name in [reserved, confirmed] {
        if name_service::user_by_name(name).ok().flatten().is_none() {
            return Err(Failure::Other(format!("{name} does not resolve: is libnss_oauth2.so.2 installed?")));
        }
    }
    let admits = |name| {
        pam::account_admits(service, name).map_err(|code| {
            Failure::Other(format!("libpam cannot start the service {service} (code {code})"))
        })
    };
    if admits(reserved)? {
        return Err(Failure::Other(format!(
            "/etc/pam.d/{service} lets in a name that nobody has verified: an account line before ours admits everybody. \
             First logins stay off"
        )));
    }
    if !admits(confirmed)? {
        return Err(Failure::Other(format!(
            "/etc/pam.d/{service} does not ask pam_oauth2_device.so in its account phase, or refuses afterwards: run \
             oauth2ctl enable pam. First logins stay off"
        )));
    }
    Ok(())
}

/// A row with a random name. Its uid is derived from it like any other; nobody knows it beforehand.
fn probe(config: &Config) -> Result<Account, Failure> {
    for _ in 0..16 {
        let name = LoginName::parse(&format!("{PROBE_PREFIX}{:016x}", random()?))
            .map_err(|error| Failure::Other(error.to_string()))?;
        let accounts = &config.accounts;
        let Some(uid) = derive_uid(&name, &accounts.uid_range, &accounts.id_key) else { continue };
        let taken = name_service::has_id(uid.get()).unwrap_or(true);
        if !taken {
            return Ok(Account {
                gid: Gid::from(uid),
                uid,
                gecos: String::new(),
                home: "/nonexistent".into(),
                shell: "/bin/sh".into(),
                supplementary: Vec::new(),
                name,
            });
        }
    }
    Err(Failure::Other("no free uid for a probe: is uid_range full?".into()))
}

fn random() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Failure::Other(format!("/dev/urandom: {error}")))?;
    Ok(u64::from_ne_bytes(bytes))
}
