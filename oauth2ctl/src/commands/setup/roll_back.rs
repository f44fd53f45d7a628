//! `setup confirm`, `setup roll-back`, and the one that comes by itself.

use super::super::sshd;
use crate::failure::Failure;
use crate::output::{changed, say, warn};
use crate::system::journal::{Journal, Phase};
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use pam_oauth2::login::Machine;
use rustix::fs::FlockOperation;
use rustix::io::FdFlags;
use shared::clock::{Clock, SystemClock};
use shared::store::{Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LOCK: &str = "/run/oauth2ctl-setup.lock";
const UNIT: &str = "oauth2ctl-setup-roll-back";

/// How often the process that waits looks whether there is still something to wait for.
const TICK: Duration = Duration::from_secs(1);

/// One setup, or roll back, at a time.
pub(super) struct Lock(File);

impl Lock {
    /// What is started from now on holds the lock too: a pam-auth-update that outlives a setup that was killed must have
    /// ended before anything is put back.
    pub(super) fn share(&self) {
        let _ = rustix::io::fcntl_setfd(&self.0, FdFlags::empty());
    }
}

/// Waits for whoever is changing files now.
pub(super) fn lock() -> Result<Lock, Failure> {
    let failed = |error: std::io::Error| Failure::Other(format!("{LOCK}: {error}"));
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(LOCK);
    let file = file.map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
    Ok(Lock(file))
}

/// Who has signed in, and on which day last.
pub(super) fn people(store: &Store) -> Result<BTreeMap<String, Option<u32>>, Failure> {
    let people = store.people()?.into_iter().filter(|person| !person.probe);
    Ok(people
        .map(|person| (person.account.name.to_string(), person.confirmed_day.map(|day| day.0)))
        .collect())
}

/// `setup confirm`.
pub(super) fn confirm(machine: &Machine) -> Result<(), Failure> {
    let _lock = lock()?;
    match Journal::find()?.map(|journal| journal.phase) {
        None => {
            say("no change: no setup waits for a confirmation");
            Ok(())
        }
        Some(Phase::Applying) => {
            Err(Failure::Conflict("the setup was interrupted: oauth2ctl setup roll-back undoes it".into()))
        }
        Some(Phase::Waiting) => keep(machine, "confirmed"),
    }
}

fn keep(machine: &Machine, why: &str) -> Result<(), Failure> {
    Journal::remove()?;
    unschedule();
    changed(&format!("setup {why}"));
    super::super::audit(machine, "setup_confirmed", why)?;
    say("what setup changed stays");
    Ok(())
}

/// `setup roll-back`.
pub(super) fn now(machine: &Machine) -> Result<(), Failure> {
    let _lock = lock()?;
    match Journal::find()? {
        None => {
            say("no change: no setup was interrupted, and none waits for a confirmation");
            Ok(())
        }
        Some(journal) => {
            unschedule();
            take_back(machine, &journal)
        }
    }
}

/// Undoes a setup that was interrupted, but none that another process has brought to its end meanwhile.
pub(super) fn interrupted(machine: &Machine) -> Result<(), Failure> {
    let _lock = lock()?;
    match Journal::find()? {
        None => Ok(()),
        Some(journal) if journal.phase == Phase::Waiting => Err(waits()),
        Some(journal) => {
            unschedule();
            take_back(machine, &journal)
        }
    }
}

/// One setup must be settled before the next.
pub(super) fn waits() -> Failure {
    Failure::Conflict(
        "an earlier setup waits for its confirmation: oauth2ctl setup confirm keeps it, oauth2ctl setup roll-back takes it \
         back"
        .into(),
    )
}

/// At the time that `setup --confirm` named. Without systemd this process is the clock, too.
pub(super) fn when_unconfirmed(machine: &Machine) -> Result<(), Failure> {
    let clock = SystemClock::new();
    loop {
        let Some(journal) = Journal::find()? else { return Ok(()) };
        let Some(deadline) = journal.deadline else { return Ok(()) };
        if clock.unix_seconds() >= deadline {
            break;
        }
        clock.sleep(TICK);
    }
    let _lock = lock()?;
    let Some(journal) = Journal::find()? else { return Ok(()) };
    if journal.phase == Phase::Waiting && somebody_new(machine, &journal) {
        return keep(machine, "a new login");
    }
    take_back(machine, &journal)
}

/// Has anybody signed in whom the machine had not confirmed that day, when it was set up?
fn somebody_new(machine: &Machine, journal: &Journal) -> bool {
    let now = Store::open(&machine.places).map_err(Failure::from).and_then(|store| people(&store));
    now.is_ok_and(|now| {
        now.iter().any(|(name, day)| day.is_some() && journal.people.get(name).copied().flatten() < *day)
    })
}

/// Puts everything back, and forgets the journal only when all of it is done.
pub(super) fn take_back(machine: &Machine, journal: &Journal) -> Result<(), Failure> {
    crate::interrupts::hold();
    let restored = journal.put_back().map_err(|failure| {
        Failure::Other(format!(
            "not everything could be put back ({failure}): mend that, and run oauth2ctl setup roll-back"
        ))
    })?;
    restored.iter().for_each(|path| say(&format!("{}: as it was", path.display())));
    if journal.had_store {
        // Of a proof that was killed.
        Store::open(&machine.places)?.set_probes(&[], SystemClock::new().unix_seconds())?;
        if machine.config.exists()
            && let Err(failure) = super::super::publish_now(machine)
        {
            warn(&format!("nothing could be published ({failure}): run oauth2ctl publish"));
        }
        changed("setup rolled back");
        super::super::audit(machine, "setup_rolled_back", "")?;
    } else {
        remove_store(machine)?;
        changed("setup rolled back");
    }
    Journal::remove()?;
    journal.remove_directories();
    sshd::reload();
    say("everything is as it was before setup");
    Ok(())
}

/// Does the store keep an id, of somebody who is here, was here or shares a group?
fn keeps_ids(machine: &Machine) -> Result<bool, Failure> {
    let store = match Store::open(&machine.places) {
        // Setup was killed, or the disk was full, before the first table: there is nothing in it.
        Err(StoreError::NotMigrated { found: 0, .. }) => return Ok(false),
        store => store?,
    };
    Ok(!people(&store)?.is_empty() || !store.id_map()?.is_empty())
}

/// A store that setup made, and that nobody needs: one that keeps ids stays, and so does one that cannot be read.
fn remove_store(machine: &Machine) -> Result<(), Failure> {
    let places = &machine.places;
    let shown = places.store.display();
    if std::fs::symlink_metadata(&places.store).is_ok() {
        match keeps_ids(machine) {
            Ok(false) => {}
            Ok(true) => {
                warn(&format!("{shown} keeps ids of people or groups already, and stays"));
                return Ok(());
            }
            Err(failure) => {
                warn(&format!("{shown} stays, for whether it keeps ids cannot be found out: {failure}"));
                return Ok(());
            }
        }
    }
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    // What SQLite and a publication leave beside their files when they are killed.
    let (journal, half) = (beside(&places.store, "-journal"), beside(&places.nss_db, ".new"));
    for file in [&places.nss_db, &half, &places.lock, &places.store, &journal] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Other(format!("{}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sees to it that the roll back comes by itself, whatever becomes of this process and its terminal.
pub(super) fn schedule(machine: &Machine, time: Duration) -> Result<(), Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::Other(format!("/proc/self/exe: {error}")))?;
    let program = program.to_string_lossy().into_owned();
    let config = machine.config.to_string_lossy();
    let command = ["--config", &config, "setup", "roll-back", "--when-unconfirmed"];
    unschedule();
    if Path::new("/run/systemd/system").is_dir() {
        let active = format!("--on-active={}s", time.as_secs().saturating_add(1));
        let unit = format!("--unit={UNIT}");
        let arguments = ["--quiet", "--collect", "--timer-property=AccuracySec=1s", &unit, &active, &program];
        let arguments: Vec<&str> = arguments.into_iter().chain(command).collect();
        return Commands
            .run("/usr/bin/systemd-run", &arguments)
            .map_err(|error| Failure::Other(format!("the roll back cannot be scheduled: {error}")));
    }
    // A session of its own: the end of the terminal does not reach it. It ends by itself at the time named.
    let status = Command::new("/usr/bin/setsid")
        .args(["--fork", &program])
        .args(command)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Other(format!("the roll back cannot be scheduled: setsid: {status}"))),
        Err(error) => Err(Failure::Other(format!("the roll back cannot be scheduled: setsid: {error}"))),
    }
}

fn unschedule() {
    if Path::new("/run/systemd/system").is_dir() {
        let _ = Commands.run("/usr/bin/systemctl", &["stop", &format!("{UNIT}.timer")]);
    }
}
