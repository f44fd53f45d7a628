//! `setup confirm`, `setup roll-back`, and the one that comes by itself.

use super::super::sshd;
use super::schedule::{schedule, unschedule};
use crate::failure::Failure;
use crate::output::{answer, changed, confirm, field, say, warn};
use crate::system::journal::{Edited, Journal, Others, Phase, PutBack, Wait};
use crate::system::{Change, replaced};
use pam_oauth2::login::Machine;
use rustix::fs::FlockOperation;
use rustix::io::FdFlags;
use shared::clock::{Clock, SystemClock};
use shared::store::{Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK: &str = "/run/oauth2ctl-setup.lock";

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
pub(super) fn confirmed(machine: &Machine) -> Result<(), Failure> {
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
pub(super) fn now() -> Result<(), Failure> {
    if !by_hand(|_| Ok(false))? {
        say("no change: no setup was interrupted, and none waits for a confirmation");
    }
    Ok(())
}

/// Undoes a setup that was interrupted, or whose time is over and nothing came; but none that another process has brought to
/// its end meanwhile.
pub(super) fn unfinished(machine: &Machine) -> Result<(), Failure> {
    by_hand(|journal| {
        if !journal.is_over(SystemClock::new().unix_seconds()) {
            return Err(waits());
        }
        let is_confirmed = journal.phase == Phase::Waiting && somebody_new(machine, journal);
        if is_confirmed {
            keep(machine, "a new login")?;
        }
        Ok(is_confirmed)
    })
    .map(drop)
}

/// Takes a setup back for somebody who is there to be asked, unless `ends` brings it to another end. `false`: there is none.
/// Whoever is asked may be gone for lunch: the lock is not held meanwhile, for the roll back that comes by itself, and `setup
/// confirm`, wait for it.
fn by_hand(ends: impl Fn(&Journal) -> Result<bool, Failure>) -> Result<bool, Failure> {
    let mut agreed: Vec<Edited> = Vec::new();
    loop {
        let lock = lock()?;
        let Some(journal) = Journal::find()? else { return Ok(false) };
        if ends(&journal)? {
            return Ok(true);
        }
        let edited = journal.edited();
        if edited.iter().all(|file| agreed.contains(file)) {
            unschedule();
            return take_back(&journal, Occasion::AnyTime).map(|_| true);
        }
        drop(lock);
        ask_about_others(&journal.config, &edited)?;
        agreed = edited;
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

/// Nothing may be built on a setup that is half done, or that nobody has confirmed in time.
pub(super) fn unsettled(journal: &Journal) -> Failure {
    let what = match journal.phase {
        Phase::Applying => "an earlier setup was interrupted, or is running now",
        Phase::Waiting => "an earlier setup was not confirmed, and its time is over",
    };
    Failure::Conflict(format!("{what}: run oauth2ctl setup roll-back first"))
}

/// At the time that `setup --confirm` named. Without systemd this process is the clock, too.
pub(super) fn when_unconfirmed() -> Result<(), Failure> {
    let clock = SystemClock::new();
    let begun = Instant::now();
    let mut longest = None;
    loop {
        let Some(Wait { seconds, until }) = Journal::find()?.and_then(|journal| journal.wait) else {
            return Ok(());
        };
        let left = Wait { seconds, until }.left(clock.unix_seconds());
        // A clock that is set back must not put it off.
        let longest = *longest.get_or_insert(Duration::from_secs(left));
        if left == 0 || begun.elapsed() >= longest {
            break;
        }
        clock.sleep(TICK);
    }
    let _lock = lock()?;
    Journal::find()?.map_or(Ok(()), |journal| settle(&journal, Occasion::AnyTime))
}

/// At boot, before anybody can sign in: what was there to bring the roll back is gone.
pub(super) fn at_boot() -> Result<(), Failure> {
    let held = lock()?;
    let Some(journal) = Journal::find()? else { return Ok(()) };
    let now = SystemClock::new().unix_seconds();
    let left = journal.wait.map_or(0, |wait| wait.left(now));
    if journal.is_over(now) {
        return settle(&journal, Occasion::Boot);
    }
    drop(held);
    if let Err(failure) = schedule(&journal.config, Duration::from_secs(left)) {
        log::error!("{failure}: the setup that waits for its confirmation is rolled back now");
        // Nothing else would bring it: too early is better than never.
        let _lock = lock()?;
        return Journal::find()?.map_or(Ok(()), |journal| settle(&journal, Occasion::Boot));
    }
    say(&format!("a setup waits for its confirmation, and is rolled back in {left} s"));
    Ok(())
}

/// The end of an unconfirmed setup, and of one that was cut off. Nobody is there to ask.
fn settle(journal: &Journal, occasion: Occasion) -> Result<(), Failure> {
    let machine = Machine::this(journal.config.clone());
    if journal.phase == Phase::Waiting && somebody_new(&machine, journal) {
        return keep(&machine, "a new login");
    }
    take_back(journal, occasion).map(drop)
}

/// Has anybody signed in whom the machine had not confirmed that day, when it was set up?
fn somebody_new(machine: &Machine, journal: &Journal) -> bool {
    let now = Store::open(&machine.places).map_err(Failure::from).and_then(|store| people(&store));
    now.is_ok_and(|now| {
        now.iter().any(|(name, day)| day.is_some() && journal.people.get(name).copied().flatten() < *day)
    })
}

/// Shows what somebody else has made of files since, and asks before it gives way.
fn ask_about_others(config: &Path, edited: &[Edited]) -> Result<(), Failure> {
    let secret = config.parent().unwrap_or(Path::new(shared::paths::CONFIG_DIR));
    answer("Somebody else has changed these files since setup did:");
    for Edited { path, ours, now } in edited {
        // Secrets of before, of setup and of now: too many to tell them from the rest.
        if path.starts_with(secret) {
            answer(&format!("\n{} (not shown: it may hold a secret)", path.display()));
        } else {
            let change = Change { path: path.clone(), before: ours.clone(), after: now.clone() };
            answer(&format!("\n{}", change.show(&[])));
        }
    }
    answer("");
    field("changed_since", edited.iter().map(|file| &file.path).collect::<Vec<_>>());
    confirm(&format!(
        "Put these back too, as they were before setup? What stands there now is kept in {}.",
        replaced::place().display()
    ))
}

/// When a setup is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    AnyTime,
    /// Systemd waits for this command before it starts sshd, and must not be waited for. Nobody knows how long the machine has
    /// gone on since: what somebody else has changed stays then, if setup is long past.
    Boot,
}

/// Puts everything back, and forgets the journal only when all of it is done. `false`: a store stays that setup made.
pub(super) fn take_back(journal: &Journal, occasion: Occasion) -> Result<bool, Failure> {
    crate::interrupts::hold();
    let machine = Machine::this(journal.config.clone());
    let now = SystemClock::new().unix_seconds();
    let others =
        if occasion == Occasion::Boot && journal.is_old(now) { Others::Stay } else { Others::GiveWay };
    let PutBack { restored, kept, left } = journal.put_back(now, others).map_err(|failure| {
        Failure::Other(format!(
            "not everything could be put back ({failure}): mend that, and run oauth2ctl setup roll-back"
        ))
    })?;
    restored.iter().for_each(|path| say(&format!("{}: as it was", path.display())));
    kept.iter().for_each(|(path, kept)| tell_kept(path, kept));
    if !left.is_empty() {
        if !restored.is_empty() {
            changed("setup rolled back in part");
        }
        return Err(stays(&left));
    }
    let whole = if journal.had_store {
        serve_again(&machine);
        true
    } else {
        remove_store(&machine)?
    };
    changed("setup rolled back");
    if journal.had_store
        && let Err(failure) = super::super::audit(&machine, "setup_rolled_back", "")
    {
        warn(&format!("the roll back stands in the system log alone: {failure}"));
    }
    Journal::remove()?;
    journal.remove_directories();
    sshd::reload(occasion == Occasion::AnyTime);
    say("everything is as it was before setup");
    Ok(whole)
}

/// Somebody has gone on with these files since: the journal stays for whoever decides about them.
fn stays(left: &[PathBuf]) -> Failure {
    let left: Vec<_> = left.iter().map(|path| path.display().to_string()).collect();
    let text = format!(
        "a setup was cut off, or not confirmed, more than a day ago, and somebody else has changed {} since: left as it is \
         (oauth2ctl setup roll-back shows what it was, and asks)",
        left.join(", ")
    );
    log::error!("{text}");
    Failure::Conflict(text)
}

/// On the terminal, and in the system log: nobody may be looking.
fn tell_kept(path: &Path, kept: &Path) {
    let text = format!(
        "{} had been changed since setup by somebody else, and is what it was before setup; their version is {}",
        path.display(),
        kept.display()
    );
    log::warn!("{text}");
    warn(&text);
}

/// A store that was there before goes on serving. That it cannot be read must not keep the files from coming back.
fn serve_again(machine: &Machine) {
    // Of a proof that was killed.
    let cleared = Store::open(&machine.places)
        .and_then(|mut store| store.set_probes(&[], SystemClock::new().unix_seconds()));
    if let Err(failure) = cleared {
        warn(&format!("the store is as it is, and not in order: {failure} (oauth2ctl doctor --check U2)"));
        return;
    }
    if machine.config.exists()
        && let Err(failure) = super::super::publish_now(machine)
    {
        warn(&format!("nothing could be published ({failure}): run oauth2ctl publish"));
    }
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

/// A store that setup made, and that nobody needs: one that keeps ids stays, and so does one that cannot be read. `false`: it
/// stays.
fn remove_store(machine: &Machine) -> Result<bool, Failure> {
    let places = &machine.places;
    let shown = places.store.display();
    if std::fs::symlink_metadata(&places.store).is_ok() {
        match keeps_ids(machine) {
            Ok(false) => {}
            Ok(true) => {
                warn(&format!("{shown} keeps ids of people or groups already, and stays"));
                return Ok(false);
            }
            Err(failure) => {
                warn(&format!("{shown} stays, for whether it keeps ids cannot be found out: {failure}"));
                return Ok(false);
            }
        }
    }
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    // What SQLite and a publication leave beside their files when they are killed.
    let left = [".new", ".new-journal", ".new.packed", ".new.packed-journal"];
    let mut files: Vec<PathBuf> = left.map(|ending| beside(&places.nss_db, ending)).into();
    files.push(beside(&places.store, "-journal"));
    files.extend([&places.nss_db, &places.lock, &places.store].map(|path| path.to_path_buf()));
    for file in &files {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Other(format!("{}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(true)
}
