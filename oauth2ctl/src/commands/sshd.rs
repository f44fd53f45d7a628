//! sshd's drop-in: keyboard-interactive for our people only. Turned on for everybody it would reopen password logins on
//! a machine that has PasswordAuthentication no.

use crate::failure::Failure;
use crate::output::say;
use shared::secure_file;
use std::path::Path;
use std::process::Command;

const DROP_IN: &str = "/etc/ssh/sshd_config.d/20-oauth2.conf";
const CONFIG: &str = "/etc/ssh/sshd_config";
const SSHD: &str = "/usr/sbin/sshd";

/// sshd's configuration is sound, and asks PAM.
pub(super) fn check() -> Result<(), Failure> {
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
    if String::from_utf8_lossy(&output.stdout).lines().any(|line| line == "usepam no") {
        return Err(Failure::Other(
            "sshd has UsePAM no: nobody would be asked who may come in. Set UsePAM yes in /etc/ssh/sshd_config".into(),
        ));
    }
    Ok(())
}

/// Does sshd read the directory of drop-ins? Where it does not, ours would lie there without any effect.
pub(super) fn check_include() -> Result<(), Failure> {
    let text =
        std::fs::read_to_string(CONFIG).map_err(|error| Failure::Other(format!("{CONFIG}: {error}")))?;
    let is_include = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && words.any(|pattern| pattern.contains("sshd_config.d/"))
    };
    if text.lines().any(is_include) {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "{CONFIG} does not include its drop-ins: make \"Include /etc/ssh/sshd_config.d/*.conf\" its first line, or turn \
         KbdInteractiveAuthentication on by hand and say --no-drop-in"
    )))
}

/// Writes the drop-in; takes it back if sshd does not accept it.
pub(super) fn write_drop_in(people_group: &str) -> Result<(), Failure> {
    let text = format!(
        "# Written by oauth2ctl enable sshd, removed by oauth2ctl disable sshd.\n\
         Match Group {people_group}\n    KbdInteractiveAuthentication yes\n"
    );
    let path = Path::new(DROP_IN);
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let before = std::fs::read(path).ok();
    secure_file::replace(path, text.as_bytes(), 0o644)?;
    if let Err(failure) = check() {
        match before {
            Some(before) => secure_file::replace(path, &before, 0o644)?,
            None => {
                let _ = std::fs::remove_file(path);
            }
        }
        return Err(failure);
    }
    say(&format!("{DROP_IN}: written; make sshd read it with: systemctl reload ssh"));
    Ok(())
}

/// Brings a drop-in of ours in line with the configuration; there may be none.
pub(super) fn refresh_drop_in(people_group: &str) -> Result<(), Failure> {
    if Path::new(DROP_IN).exists() { write_drop_in(people_group) } else { Ok(()) }
}

/// Removes the drop-in; `false` if there was none.
pub(super) fn remove_drop_in() -> Result<bool, Failure> {
    match std::fs::remove_file(DROP_IN) {
        Ok(()) => {
            say(&format!("{DROP_IN}: removed; make sshd forget it with: systemctl reload ssh"));
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::Other(format!("{DROP_IN}: {error}"))),
    }
}
