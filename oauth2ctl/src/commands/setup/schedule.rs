//! What brings the roll back when its time is over: a timer of systemd, or a process of our own.

use crate::failure::Failure;
use pam_oauth2::Commands;
use pam_oauth2::home::RunCommand;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const UNIT: &str = "oauth2ctl-setup-roll-back";

/// Sees to it that the roll back comes by itself, whatever becomes of this process and its terminal.
pub(super) fn schedule(config: &Path, time: Duration) -> Result<(), Failure> {
    let program =
        std::env::current_exe().map_err(|error| Failure::Other(format!("/proc/self/exe: {error}")))?;
    let program = program.to_string_lossy().into_owned();
    let config = config.to_string_lossy();
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

/// Stops it.
pub(super) fn unschedule() {
    if Path::new("/run/systemd/system").is_dir() {
        let _ = Commands.run("/usr/bin/systemctl", &["stop", &format!("{UNIT}.timer")]);
    }
}
