//! `enable sshd` and `disable sshd`: the parameter file of first logins, and sshd's drop-in.

use super::{authselect, profile, proof, sshd};
use crate::failure::Failure;
use crate::output::{changed, say, warn};
use crate::system;
use pam_oauth2::login::{LOCAL_PROFILE, Machine};
use shared::clock::{Clock, SystemClock};
use shared::config::{Config, LocalUsers, Provisioning};
use shared::etc::{nsswitch_sources, subordinate_ranges};
use shared::store::{Store, parameters};

pub(super) fn enable(machine: &Machine, drop_in: bool) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let config = machine.load_config()?.config;
    if config.provisioning == Provisioning::None {
        return Err(Failure::Other(
            "nothing to enable: with \"provisioning\": \"none\" people exist already, and sshd knows them. It needs the PAM \
             profile oauth2-local and \"KbdInteractiveAuthentication yes\""
                .into(),
        ));
    }
    let migrated = Store::migrate(&machine.places, clock.today())?;
    super::store::migrated(machine, &migrated)?;
    let before = system::read(&machine.places.first_login)?;
    // An earlier proof says nothing about the machine of now: until the new one holds, first logins are off.
    parameters::disable(&machine.places, &clock)?;
    name_service(machine)?;
    subordinate_ids(&config)?;
    sshd::check()?;
    if drop_in {
        sshd::check_include()?;
    }
    proof::prove(machine, &config)?;
    let profile = profile(&config)?;
    say("proved: the account stacks refuse whom nobody has verified, and admit who was");
    super::publish_now(machine)?;
    let people = config.accounts.people_group.as_str();
    let written = drop_in && sshd::write_drop_in(&sshd::drop_in(people, None)?)?;
    // Last: strangers may come from here on.
    parameters::enable(&machine.places, &machine.inputs()?, profile, &clock)?;
    if migrated.applied == 0 && !written && system::read(&machine.places.first_login)? == before {
        say("no change: first logins were on; the stacks were proved again, and everything published anew");
        return Ok(());
    }
    say(&format!("{}: written", machine.places.first_login.display()));
    changed("first logins enabled service=sshd");
    super::audit(machine, "enabled", "sshd")?;
    match config.accounts.first_login.as_slice() {
        [] => say("\"first_login\" is empty: only people who are known can sign in"),
        patterns => say(&format!("names that may sign in for the first time: {}", patterns.join(" "))),
    }
    Ok(())
}

/// The profile that was proved, if it is one for this configuration.
fn profile(config: &Config) -> Result<&'static str, Failure> {
    let found = profile::in_stack(&proof::DIRECTORIES, "sshd")
        .ok_or_else(|| Failure::Other("/etc/pam.d/sshd does not name pam_oauth2_device.so itself".into()))?;
    let switch = if authselect::is_here() {
        "run oauth2ctl enable pam".to_owned()
    } else {
        format!("run pam-auth-update --disable {found} --enable {LOCAL_PROFILE}")
    };
    match (config.provisioning, config.local_users) {
        (Provisioning::Useradd, _) if found != LOCAL_PROFILE => Err(Failure::Other(format!(
            "\"provisioning\": \"useradd\" needs the PAM profile {LOCAL_PROFILE}, which does not jump over users of \
             /etc/passwd: {switch}"
        ))),
        (_, LocalUsers::Allow) if found != LOCAL_PROFILE => {
            warn(&format!(
                "users of /etc/passwd cannot sign in in a browser, though \"local_users\" allows it: {switch}"
            ));
            Ok(found)
        }
        _ => Ok(found),
    }
}

pub(super) fn disable(machine: &Machine) -> Result<(), Failure> {
    let enabled = parameters::disable(&machine.places, &SystemClock::new())?;
    let dropped = sshd::remove_drop_in()?;
    if enabled || dropped {
        changed("first logins disabled service=sshd");
        super::audit(machine, "disabled", "sshd")?;
        say("first logins are off; whoever has signed in before stays known");
        if dropped {
            say("they sign in by browser only where sshd_config itself has KbdInteractiveAuthentication yes");
        }
    } else {
        say("no change: first logins were off");
    }
    Ok(())
}

/// Whoever holds a range of subuid(5) is those ids in a container of their own.
fn subordinate_ids(config: &Config) -> Result<(), Failure> {
    let accounts = &config.accounts;
    for (file, range, key) in
        [("/etc/subuid", accounts.uid_range, "uid_range"), ("/etc/subgid", accounts.gid_range, "gid_range")]
    {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let clash = subordinate_ranges(&text)
            .into_iter()
            .find(|(first, last)| *first <= range.last() && range.first() <= *last);
        if let Some((first, last)) = clash {
            return Err(Failure::Other(format!(
                "{file} gives {first}-{last} away, which overlaps \"{key}\""
            )));
        }
    }
    Ok(())
}

/// Without these lines sshd could not resolve anybody of ours.
fn name_service(machine: &Machine) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&machine.nsswitch).unwrap_or_default();
    for database in ["passwd", "group"] {
        if !nsswitch_sources(&text, database).iter().any(|source| source == "oauth2") {
            return Err(Failure::Other(format!(
                "{}: \"{database}:\" does not list oauth2: add it directly after files",
                machine.nsswitch.display()
            )));
        }
    }
    Ok(())
}
