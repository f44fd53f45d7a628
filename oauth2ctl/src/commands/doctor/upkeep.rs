//! U: after upgrades, and before the disk is full.

use super::facts::{Facts, runs};
use super::report::{Finding, Verdict, quoted};
use crate::system::journal::{Journal, Phase};
use crate::system::replaced;
use shared::clock::Clock;
use shared::store::{Store, StoreError, VERSION};
use std::collections::BTreeSet;
use std::path::Path;

/// Our modules, as they stand in the memory maps of processes.
const MODULES: [&str; 2] = ["libnss_oauth2.so.2", "pam_oauth2_device.so"];

/// Bytes that a publication of a large site needs twice over, and a margin below which to warn.
const LEAST_BYTES: u64 = 16 << 20;
const FEW_BYTES: u64 = 128 << 20;

/// The same in files.
const LEAST_FILES: u64 = 64;

/// U1: programs that run since before an upgrade keep the old module.
pub(super) fn old_modules(_: &Facts<'_>) -> Verdict {
    runs()?;
    let processes =
        std::fs::read_dir("/proc").map_err(|error| Finding::not_asked(format!("/proc: {error}")))?;
    let mut old = BTreeSet::new();
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let maps = std::fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        let is_old =
            |line: &str| line.ends_with("(deleted)") && MODULES.iter().any(|name| line.contains(name));
        if maps.lines().any(is_old) {
            old.insert(running(&process.path(), pid));
        }
    }
    let Some((_, remedy)) = old.first() else { return Ok(Finding::ok("none")) };
    let names: Vec<&str> = old.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Finding::warning(
        format!("{} program(s) run with an old module: {}", old.len(), names.join(", ")),
        "They do not have what the upgrade mended until they are started anew.",
        remedy.clone(),
    ))
}

/// A process's name, and the command that starts it anew: its unit's, where it has one (cgroups(7)).
fn running(process: &Path, pid: u32) -> (String, String) {
    let read = |file: &str| std::fs::read_to_string(process.join(file)).unwrap_or_default();
    let name = format!("{} ({pid})", shared::text::printable(read("comm").trim(), 32));
    let cgroup = read("cgroup");
    let unit = cgroup
        .lines()
        .filter(|line| !line.contains("user.slice"))
        .find_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")));
    let remedy =
        unit.map_or_else(|| format!("kill {pid}"), |unit| format!("systemctl restart {}", quoted(unit)));
    (name, remedy)
}

/// U2: the store has the schema of this version.
pub(super) fn schema(facts: &Facts<'_>) -> Verdict {
    let consequence = "Nobody signs in for the first time, and no sign-in is recorded.";
    let migrate = "oauth2ctl store migrate && oauth2ctl publish";
    match facts.stored() {
        Ok(people) => {
            let people = people.iter().filter(|person| !person.probe).count();
            let found = Store::open(&facts.machine.places).and_then(|store| store.schema_version());
            if let Ok(found) = found
                && found < VERSION
            {
                let saw = format!("schema {found}, and {VERSION} is this version's");
                let consequence = "People sign in as before; commands that change people are refused.";
                return Ok(Finding::warning(saw, consequence, migrate));
            }
            Ok(Finding::ok(format!("schema {VERSION}, {people} people")))
        }
        Err(StoreError::Missing(_)) if facts.config().is_err() => {
            Err(Finding::not_applicable("no store yet"))
        }
        Err(StoreError::File(_)) => Err(Finding::not_asked("the store is not trusted: see C2")),
        Err(error @ (StoreError::Missing(_) | StoreError::NotMigrated { .. })) => {
            Ok(Finding::fault(error.to_string(), consequence, migrate))
        }
        Err(error @ StoreError::TooNew { .. }) => {
            Ok(Finding::fault(error.to_string(), consequence, "apt-get install oauth2ctl libpam-oauth2"))
        }
        Err(error) => Ok(Finding::fault(error.to_string(), consequence, "oauth2ctl store restore BACKUP")),
    }
}

/// U3: a publication is written beside the old one.
pub(super) fn room(facts: &Facts<'_>) -> Verdict {
    let directory = facts.machine.places.nss_db.parent().unwrap_or(Path::new("/"));
    let directory = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let shown = directory.display();
    let fs =
        rustix::fs::statvfs(directory).map_err(|errno| Finding::not_asked(format!("{shown}: {errno}")))?;
    let bytes = fs.f_bavail.saturating_mul(fs.f_frsize);
    // Some file systems (btrfs) have no fixed number of files: they say 0 of 0.
    let few_files = fs.f_files > 0 && fs.f_favail < LEAST_FILES;
    let saw = format!("{} MiB and {} files free in {shown}", bytes >> 20, fs.f_favail);
    let remedy = "du -xh --max-depth=3 /var | sort -h | tail -n 20";
    if bytes < LEAST_BYTES || few_files {
        let consequence = "New people cannot be recorded, and locks cannot be published.";
        return Ok(Finding::fault(saw, consequence, remedy));
    }
    if bytes < FEW_BYTES {
        return Ok(Finding::warning(saw, "Soon nothing can be recorded or published any more.", remedy));
    }
    Ok(Finding::ok(saw))
}

/// Where an administrator switches off the unit that ends an unconfirmed setup at the next boot.
const MASK: &str = "/etc/systemd/system/oauth2-setup-roll-back.service";

/// U4: nothing that setup began is left half done, or waits to be taken back; and nothing that had to give way is forgotten.
pub(super) fn setup(facts: &Facts<'_>) -> Verdict {
    let half = "Files of this machine may be as setup wants them in part only.";
    let roll_back = "oauth2ctl setup roll-back";
    let now = facts.clock.unix_seconds();
    Ok(match Journal::find() {
        Ok(None) => replaced(),
        Ok(Some(journal)) if journal.phase == Phase::Applying => {
            let saw = format!("a setup was interrupted, or is running now{}", edited(&journal));
            Finding::warning(saw, half, roll_back)
        }
        Ok(Some(journal)) if journal.is_over(now) => Finding::warning(
            format!(
                "a setup was not confirmed, its time is over, and nothing has put it back{}",
                edited(&journal)
            ),
            "The machine is as that setup made it; no other setup, enable or disable begins before it is settled.",
            format!("{roll_back} # or oauth2ctl setup confirm"),
        ),
        Ok(Some(journal)) => waiting(journal.wait.map_or(0, |wait| wait.left(now)), roll_back),
        Err(error) => Finding::warning(error.to_string(), half, roll_back),
    })
}

/// What somebody else has changed since; a boot leaves that as it is when setup is long past.
fn edited(journal: &Journal) -> String {
    let files: Vec<_> = journal.edited().iter().map(|file| file.path.display().to_string()).collect();
    if files.is_empty() {
        return String::new();
    }
    format!("; since then somebody else has changed {}", files.join(", "))
}

fn waiting(left: u64, roll_back: &str) -> Finding {
    let saw = format!("a setup waits for its confirmation, for another {left} s");
    if std::fs::read_link(MASK).is_ok_and(|target| target == Path::new("/dev/null")) {
        let consequence = "It is rolled back when its time is over; after a reboot within that time it is not, and waits on.";
        return Finding::warning(saw, consequence, "systemctl unmask oauth2-setup-roll-back.service");
    }
    let consequence = "It is rolled back when its time is over.";
    Finding::warning(saw, consequence, format!("oauth2ctl setup confirm # or {roll_back}"))
}

/// What somebody else had made of a file, and a roll back replaced.
fn replaced() -> Finding {
    let kept = replaced::list();
    let Some(first) = kept.first().map(|path| path.display().to_string()) else {
        return Finding::ok("none is unfinished");
    };
    Finding::warning(
        format!("{} version(s) of files that a roll back or a disable replaced: {first}", kept.len()),
        "What somebody else had changed in these files is in force no more, and is kept there alone.",
        format!("less {first} # take over what is still wanted, then rm {first}"),
    )
}
