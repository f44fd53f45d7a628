//! sshd's drop-in: keyboard-interactive for our people only. Turned on for everybody it would reopen password logins on
//! a machine that has PasswordAuthentication no.

use super::sshd_limits as limits;
use crate::failure::Failure;
use crate::output::{say, warn};
use crate::system::undo;
use crate::system::{self, Change, FileState, replaced};
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use shared::clock::{Clock, SystemClock};
use std::path::Path;
use std::process::Command;

/// The record of what stood in the drop-in's place.
const PART: &str = "sshd";

pub(super) const INCLUDE: &str = "Include /etc/ssh/sshd_config.d/*.conf";
/// The first line that we write.
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

/// The change that makes our drop-in what it is to be. Without `limits` nothing but our own block changes in it.
pub(super) fn drop_in(people_group: &str, limits: Option<&str>) -> Result<Change, Failure> {
    let now = system::read(Path::new(DROP_IN))?;
    let text = now.text();
    let whole = |limits: &str| format!("{HEAD}\n{limits}{}", block(people_group));
    let text = match limits {
        Some(limits) => whole(limits),
        None if !is_ours(&now) => whole(""),
        None => for_group(&text, people_group).unwrap_or_else(|| whole(&general_lines(&text))),
    };
    Change::to_text(DROP_IN, &text, 0o644)
}

/// The block that turns keyboard-interactive on for our people.
fn block(people_group: &str) -> String {
    format!("Match Group {people_group}\n{KEYBOARD}\n")
}

/// Did we write this file? Somebody else may have gone on with it.
fn is_ours(drop_in: &FileState) -> bool {
    drop_in.text().lines().any(|line| line == HEAD)
}

/// The drop-in with our block for this group, all else as it is; `None` where nobody can tell which block is ours.
fn for_group(text: &str, people_group: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let ours = |pair: &[&str]| matches!(pair, [first, KEYBOARD] if first.starts_with("Match Group "));
    let at = lines.windows(2).position(ours)?;
    let wanted = format!("Match Group {people_group}");
    let line = |(number, line)| if number == at { wanted.as_str() } else { line };
    Some(lines.iter().copied().enumerate().map(line).fold(String::new(), |text, line| text + line + "\n"))
}

/// What stands before the first Match block, our own lines aside.
fn general_lines(text: &str) -> String {
    let is_match =
        |line: &str| line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("match"));
    let lines = text.lines().take_while(|line| !is_match(line));
    lines.filter(|line| ![HEAD, KEYBOARD].contains(line)).map(|line| format!("{line}\n")).collect()
}

/// The lines of somebody else. `written` is what we wrote last, where that is known: a line that only looks like one of ours may
/// be an administrator's value.
fn others(text: &str, written: Option<&FileState>) -> Vec<String> {
    let written = written.map(FileState::text).unwrap_or_default();
    let known = |line: &str| [HEAD, KEYBOARD, ""].contains(&line) || written.lines().any(|ours| ours == line);
    text.lines().filter(|line| !known(line)).map(str::to_owned).collect()
}

/// Keeps a drop-in whose lines of somebody else do not stay.
fn keep_theirs(drop_in: &FileState) -> Result<(), Failure> {
    let kept = replaced::keep(Path::new(DROP_IN), drop_in, SystemClock::new().unix_seconds())?;
    warn(&format!("{DROP_IN} held lines of somebody else: it is kept as {}", kept.display()));
    Ok(())
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
    let record = undo::record(PART);
    let recorded = system::read(&record)?;
    let written = undo::kept(PART, &change.path)?.map(|(_, written)| written);
    let theirs = match is_ours(&change.before) {
        true => others(&change.before.text(), written.as_ref()),
        false => Vec::new(),
    };
    let after = change.after.text();
    let (stay, go): (Vec<String>, Vec<String>) =
        theirs.into_iter().partition(|line| after.lines().any(|kept| kept == line));
    if !go.is_empty() {
        keep_theirs(&change.before)?;
    }
    // Where lines of somebody else stay in it, the record goes on saying which are ours.
    if stay.is_empty() {
        undo::keep_but_for_ours(PART, std::slice::from_ref(change), is_ours)?;
    }
    change.make()?;
    if let Err(failure) = check() {
        system::put(&change.path, &change.before)?;
        system::put(&record, &recorded)?;
        return Err(failure);
    }
    say(&format!("{DROP_IN}: written; make sshd read it with: systemctl reload ssh"));
    Ok(true)
}

/// Brings a drop-in of ours in line with the configuration; there may be none, or one that somebody else has made theirs.
pub(super) fn refresh_drop_in(people_group: &str) -> Result<(), Failure> {
    let now = system::read(Path::new(DROP_IN))?;
    if is_ours(&now) && for_group(&now.text(), people_group).is_some() {
        return write_drop_in(&drop_in(people_group, None)?).map(drop);
    }
    if now != FileState::Absent && !now.text().contains(&format!("Match Group {people_group}")) {
        warn(&format!(
            "{DROP_IN} was edited, and stays as it is: it has no \"Match Group {people_group}\" (oauth2ctl enable sshd writes that)"
        ));
    }
    Ok(())
}

/// Removes the drop-in, or puts back what had its name before; `false` if there was none.
pub(super) fn remove_drop_in() -> Result<bool, Failure> {
    let path = Path::new(DROP_IN);
    let now = system::read(path)?;
    if now == FileState::Absent {
        undo::forget(PART)?;
        return Ok(false);
    }
    let (before, written) = undo::kept(PART, path)?.unzip();
    if !is_ours(&now) {
        undo::forget(PART)?;
        warn(&format!("{DROP_IN} is not ours any more, and stays as it is"));
        return Ok(false);
    }
    if !others(&now.text(), written.as_ref()).is_empty() {
        keep_theirs(&now)?;
    }
    system::put(path, &before.filter(|before| !is_ours(before)).unwrap_or(FileState::Absent))?;
    undo::forget(PART)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> FileState {
        FileState::Absent.with_bytes(text.as_bytes(), 0o644)
    }

    fn written() -> String {
        format!("{HEAD}\nMaxStartups 100:30:200\n{}", block("people"))
    }

    #[test]
    fn our_block_follows_the_group_and_nothing_else_moves() {
        let edited = written().replace(
            "MaxStartups 100:30:200",
            "# by hand\nMaxStartups 500:30:600\nMatch Group staff\nMatch all",
        );
        let renamed = for_group(&edited, "folk").unwrap();
        assert_eq!(renamed, edited.replace("Match Group people", "Match Group folk"));
        let no_block = edited.replace(KEYBOARD, "    X11Forwarding no");
        assert_eq!(for_group(&no_block, "folk"), None);
        assert_eq!(general_lines(&no_block), "# by hand\nMaxStartups 500:30:600\n");
    }

    #[test]
    fn a_value_of_somebody_else_is_not_taken_for_ours() {
        let ours = state(&written());
        assert!(others(&written(), Some(&ours)).is_empty());
        let edited = written().replace("100:30:200", "500:30:600");
        assert_eq!(others(&edited, Some(&ours)), ["MaxStartups 500:30:600"]);
        assert!(is_ours(&state(&format!("# a word before\n{edited}"))));
        assert!(!is_ours(&state("MaxStartups 500:30:600\n")));
    }
}
