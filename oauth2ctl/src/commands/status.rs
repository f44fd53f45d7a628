//! `status`.

use super::{profile, proof};
use crate::failure::Failure;
use crate::output::{field, table};
use pam_oauth2::login::{LOCAL_PROFILE, Machine};
use serde::Serialize;
use shared::clock::{Clock, SystemClock};
use shared::config::{Config, ConfigError, LocalUsers, Provisioning};
use shared::etc::nsswitch_sources;
use shared::store::Store;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

#[derive(Serialize)]
struct Status {
    configured: bool,
    config: String,
    config_error: Option<String>,
    provider: Option<String>,
    provisioning: Option<&'static str>,
    pam_profile: Option<&'static str>,
    pam_profile_fits: Option<bool>,
    nss: bool,
    first_logins: &'static str,
    people: BTreeMap<&'static str, usize>,
    last_sign_in: Option<String>,
    store_error: Option<String>,
    nss_db_age_seconds: Option<u64>,
}

pub(super) fn run(machine: &Machine) -> Result<(), Failure> {
    let (config, error) = match machine.load_config() {
        Ok(loaded) => (Some(loaded.config), None),
        Err(error) => (None, Some(error)),
    };
    let status = look(machine, config.as_ref(), error.as_ref());
    table(&rows(&status));
    field("status", &status);
    match error {
        Some(ConfigError::NotConfigured(path)) => Err(Failure::NotConfigured(format!(
            "this machine is not configured yet: {} does not exist (oauth2ctl setup)",
            path.display()
        ))),
        _ => Ok(()),
    }
}

fn look(machine: &Machine, config: Option<&Config>, error: Option<&ConfigError>) -> Status {
    let text = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
    let has_token = |database| nsswitch_sources(&text, database).iter().any(|source| source == "oauth2");
    let pam_profile = profile::in_stack(&proof::DIRECTORIES, "sshd");
    let first_logins = match machine.places.first_login.exists() {
        true if machine.first_logins_are_damaged() => "damaged",
        true => "on",
        false => "off",
    };
    let mut status = Status {
        configured: config.is_some(),
        config: machine.config.display().to_string(),
        config_error: error.map(ToString::to_string),
        provider: config.and_then(provider),
        provisioning: config.map(|config| match config.provisioning {
            Provisioning::Store => "store",
            Provisioning::Useradd => "useradd",
            Provisioning::None => "none",
        }),
        pam_profile,
        pam_profile_fits: config.map(|config| fits(config, pam_profile)),
        nss: has_token("passwd") && has_token("group"),
        first_logins,
        people: BTreeMap::new(),
        last_sign_in: None,
        store_error: None,
        nss_db_age_seconds: age(machine),
    };
    if let Err(failure) = people(machine, config, &mut status) {
        status.store_error = Some(failure.to_string());
    }
    status
}

fn people(machine: &Machine, config: Option<&Config>, status: &mut Status) -> Result<(), Failure> {
    let store = Store::open(&machine.places)?;
    let today = SystemClock::new().today();
    let mut last = None;
    for person in store.people()?.iter().filter(|person| !person.probe) {
        let state = super::user::state_of(person, config, today);
        *status.people.entry(state).or_insert(0) += 1;
        last = last.max(person.confirmed_day);
    }
    status.people.insert("removed", store.removed()?.len());
    status.last_sign_in = last.map(|day| day.to_string());
    Ok(())
}

fn provider(config: &Config) -> Option<String> {
    let provider = &config.provider;
    let entra = provider.entra.as_ref().map(|_| "Microsoft Entra ID".to_owned());
    let issuer = provider.issuer.as_ref().map(|issuer| issuer.as_str().to_owned());
    entra.or(issuer).or_else(|| provider.device_url.clone())
}

/// People of /etc/passwd are asked only where the profile does not jump over them.
fn fits(config: &Config, profile: Option<&str>) -> bool {
    let local = config.provisioning != Provisioning::Store || config.local_users == LocalUsers::Allow;
    match profile {
        None => false,
        Some(profile) => !local || profile == LOCAL_PROFILE,
    }
}

fn age(machine: &Machine) -> Option<u64> {
    let modified = u64::try_from(std::fs::metadata(&machine.places.nss_db).ok()?.mtime()).ok()?;
    Some(SystemClock::new().unix_seconds().saturating_sub(modified))
}

fn rows(status: &Status) -> Vec<Vec<String>> {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let yes = |is: bool| if is { "yes" } else { "no" };
    let people: Vec<String> = status.people.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let configured = match &status.config_error {
        None => status.config.clone(),
        Some(error) => format!("no: {error}"),
    };
    let profile = match (status.pam_profile, status.pam_profile_fits) {
        (Some(profile), Some(false)) => format!("{profile} (this configuration needs {LOCAL_PROFILE})"),
        (profile, _) => or_dash(profile),
    };
    let published = match status.nss_db_age_seconds {
        Some(age) => format!("{} ago", duration(age)),
        None => "never".into(),
    };
    let mut rows = vec![
        ("configured", configured),
        ("provider", or_dash(status.provider.as_deref())),
        ("provisioning", or_dash(status.provisioning)),
        ("PAM profile of sshd", profile),
        ("oauth2 in nsswitch.conf", yes(status.nss).to_owned()),
        ("first logins", status.first_logins.to_owned()),
        ("people", status.store_error.clone().unwrap_or_else(|| people.join(", "))),
        ("last sign-in", or_dash(status.last_sign_in.as_deref())),
        ("published", published),
    ];
    rows.drain(..).map(|(key, value)| vec![key.to_owned(), value]).collect()
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
