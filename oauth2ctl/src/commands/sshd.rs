//! sshd's drop-in: keyboard-interactive for our people only. Turned on for everybody it would reopen password logins on
//! a machine that has PasswordAuthentication no.

use super::sshd_limits as limits;
use crate::failure::Failure;
use crate::output::{say, warn};
use crate::system::undo::{self, Undone};
use crate::system::{self, Change, FileState, replaced};
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use shared::clock::{Clock, SystemClock};
use std::path::Path;
use std::process::Command;

/// The record of what stood in the drop-in's place.
const PART: &str = "sshd";

pub(super) const INCLUDE: &str = "Include /etc/ssh/sshd_config.d/*.conf";
/// The first line of our drop-in.
const HEAD: &str = "# Written by oauth2ctl enable sshd, removed by oauth2ctl disable sshd.";
pub(super) const DROP_IN: &str = "/etc/ssh/sshd_config.d/20-oauth2.conf";
pub(super) const CONFIG: &str = "/etc/ssh/sshd_config";
const SSHD: &str = "/usr/sbin/sshd";
const KEYBOARD: &str = "    KbdInteractiveAuthentication yes";

/// sshd's configuration is sound, and asks PAM.
pub(super) fn check() -> Result<(), Failure> {
    effective().map(drop)
}

/// The keywords in effect for root, as sshd itself resolves them.
pub(super) fn effective() -> Result<String, Failure> {
    if crate::image::is_image() {
        // Made by the service where one runs; the boot empties /run again.
        system::make_directory(Path::new("/run/sshd"), 0o755)?;
    }
    let output = Command::new(SSHD).args(["-T", "-C", "user=root,host=localhost,addr=127.0.0.1"]).output();
    let output = output.map_err(|error| Failure::Other(format!("{SSHD}: {error}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        // /run/sshd is made by the service: without it sshd says nothing about its configuration.
        if stderr.contains("privilege separation directory") {
            return Err(Failure::Other(format!("{}: start sshd once (systemctl start ssh)", stderr.trim())));
        }
        return Err(Failure::Other(format!("sshd's configuration is faulty already: {}", stderr.trim())));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    if lines.lines().any(|line| line == "usepam no") {
        return Err(Failure::Other(
            "sshd has UsePAM no: nobody would be asked who may come in. Set UsePAM yes in /etc/ssh/sshd_config".into(),
        ));
    }
    Ok(lines)
}

/// Does sshd read the directory of drop-ins? Where it does not, ours would lie there without any effect.
pub(super) fn check_include() -> Result<(), Failure> {
    if include()?.is_nothing() {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "{CONFIG} does not include its drop-ins: make \"{INCLUDE}\" its first line, or turn \
         KbdInteractiveAuthentication on by hand and say --no-drop-in"
    )))
}

/// The change that makes sshd read its drop-ins.
pub(super) fn include() -> Result<Change, Failure> {
    let path = Path::new(CONFIG);
    let before = system::read(path)?;
    if before == FileState::Absent {
        return Err(Failure::Other(format!("{CONFIG} does not exist: is OpenSSH's server installed?")));
    }
    let text = before.text();
    let is_include = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && words.any(|pattern| pattern.contains("sshd_config.d/"))
    };
    let after = if text.lines().any(is_include) {
        before.clone()
    } else {
        before.with_bytes(&[INCLUDE.as_bytes(), b"\n", before.bytes()].concat(), 0o644)
    };
    Ok(Change { path: path.to_owned(), before, after })
}

/// The change that makes our drop-in what it is to be. Without `limits` those that stand in it stay.
pub(super) fn drop_in(people_group: &str, limits: Option<&str>) -> Result<Change, Failure> {
    let now = system::read(Path::new(DROP_IN))?.text();
    let limits = limits.map_or_else(|| limits_of(&now), str::to_owned);
    let text = format!("{HEAD}\n{limits}Match Group {people_group}\n{KEYBOARD}\n");
    Change::to_text(DROP_IN, &text, 0o644)
}

/// What stands in a drop-in of ours before its Match block.
fn limits_of(text: &str) -> String {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return String::new();
    }
    lines.take_while(|line| limits::is_ours(line)).map(|line| format!("{line}\n")).collect()
}

/// Is every line of a drop-in of ours? Another line is somebody else's.
fn is_all_ours(text: &str) -> bool {
    let is_match = |line: &str| line.starts_with("Match Group ");
    text.lines().all(|line| line == HEAD || line == KEYBOARD || is_match(line) || limits::is_ours(line))
}

/// Were sshd's limits left alone by the wish of somebody?
pub(super) fn limits_are_declined() -> Result<bool, Failure> {
    Ok(limits::are_declined(&system::read(Path::new(DROP_IN))?.text()))
}

/// Writes the drop-in; takes it back if sshd does not accept it. `false`: it was there.
pub(super) fn write_drop_in(change: &Change) -> Result<bool, Failure> {
    if change.is_nothing() {
        return Ok(false);
    }
    undo::keep(PART, std::slice::from_ref(change))?;
    change.make()?;
    if let Err(failure) = check() {
        undo::put_back(PART)?;
        return Err(failure);
    }
    say(&format!("{DROP_IN}: written; make sshd read it with: systemctl reload ssh"));
    Ok(true)
}

/// Brings a drop-in of ours in line with the configuration; there may be none.
pub(super) fn refresh_drop_in(people_group: &str) -> Result<(), Failure> {
    if Path::new(DROP_IN).exists() { write_drop_in(&drop_in(people_group, None)?).map(drop) } else { Ok(()) }
}

/// Removes the drop-in, or puts back what had its name before; `false` if there was none.
pub(super) fn remove_drop_in() -> Result<bool, Failure> {
    let path = Path::new(DROP_IN);
    let now = system::read(path)?;
    if now == FileState::Absent {
        undo::forget(PART)?;
        return Ok(false);
    }
    if undo::put_back(PART)? == Undone::Not {
        if !now.text().starts_with(HEAD) {
            warn(&format!("{DROP_IN} is not ours any more, and stays as it is"));
            return Ok(false);
        }
        if !is_all_ours(&now.text()) {
            let kept = replaced::keep(path, &now, SystemClock::new().unix_seconds())?;
            warn(&format!("{DROP_IN} held lines of somebody else: it is kept as {}", kept.display()));
        }
        system::put(path, &FileState::Absent)?;
    }
    say(&format!("{DROP_IN}: removed; make sshd forget it with: systemctl reload ssh"));
    Ok(true)
}

/// Makes a running sshd read its configuration again. Sessions go on. Without `wait`, whenever systemd gets to it.
pub(super) fn reload(wait: bool) {
    let unit = ["ssh", "sshd"].into_iter().find(|unit| {
        ["/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"]
            .iter()
            .any(|directory| Path::new(directory).join(format!("{unit}.service")).is_file())
    });
    let unit = unit.unwrap_or("ssh");
    if crate::image::is_image() {
        return;
    }
    let service = format!("{unit}.service");
    let command = ["try-reload-or-restart", &service, "--no-block"];
    let command = command.get(..if wait { 2 } else { 3 }).unwrap_or(&command);
    let reloaded =
        Path::new("/run/systemd/system").is_dir() && Commands.run("/usr/bin/systemctl", command).is_ok();
    if reloaded {
        say(&format!("{unit}.service reads its configuration again"));
    } else {
        say(
            "no systemd runs here: make sshd read its configuration again, for example with: kill -HUP its process",
        );
    }
}
