//! `login NAME`: the same pipeline as under sshd, with the terminal as its host.

use crate::failure::Failure;
use crate::output::{answer, changed, field, say, warn};
use crate::terminal::Terminal;
use pam_oauth2::Commands;
use pam_oauth2::login::{self, Login, Machine};
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::provision::store::StoreProvisioner;
use pam_oauth2::provision::useradd::UseraddProvisioner;
use pam_oauth2::provision::{ByMode, DryRun, Provisioner};
use shared::clock::SystemClock;
use shared::config::Provider;
use shared::etc::LocalNames;

pub(super) fn run(machine: &Machine, name: &str, service: &str, record: bool) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let mut host = Terminal::new(machine, name, service);
    let load = || machine.inputs();
    let store = StoreProvisioner { places: &machine.places, load: &load, clock: &clock, existing: false };
    let local = || LocalNames::read(&machine.passwd, &machine.group);
    let shadow = machine.shadow.as_path();
    let useradd = UseraddProvisioner { store, commands: &Commands, local: &local, shadow };
    let mut by_mode = ByMode { useradd };
    let mut dry = DryRun;
    let provisioner: &mut dyn Provisioner = if record { &mut by_mode } else { &mut dry };
    let connect = |provider: &Provider| login::https(provider, limit_lookups);
    let mut login =
        Login { machine, host: &mut host, connect: &connect, clock: &clock, provisioner, counters: None };
    let admission = login::authenticate(&mut login, true)?;
    admission.provisioned.warnings.iter().for_each(|warning| warn(&warning.to_string()));
    let account = &admission.account;
    field("name", account.name.as_str());
    field("uid", account.uid.get());
    field("gid", account.gid.get());
    field("home", &account.home);
    field("first", admission.provisioned.first);
    field("recorded", record);
    let how = if admission.provisioned.first { "for the first time" } else { "again" };
    answer(&format!("{} signs in {how}: uid {}, home {}", account.name, account.uid, account.home));
    if record {
        changed(&format!("login recorded user={} uid={}", account.name, account.uid));
    } else {
        say("nothing was recorded (--record records it)");
    }
    Ok(())
}
