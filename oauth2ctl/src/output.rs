//! What the administrator reads, and what the system log keeps.

use std::io::Write;

/// A line on standard output. Who closed it does not want to read on.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "oauth2ctl: {line}");
}

/// Changes are also told to the system log. Without one (a container, an image being built) the terminal is enough.
pub(crate) fn log_to_syslog() {
    let formatter = syslog::Formatter3164 {
        facility: syslog::Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "oauth2ctl".into(),
        pid: std::process::id(),
    };
    if let Ok(logger) = syslog::unix(formatter)
        && log::set_boxed_logger(Box::new(syslog::BasicLogger::new(logger))).is_ok()
    {
        log::set_max_level(log::LevelFilter::Info);
    }
}

/// Who gave the command: the real user. Who used sudo is told beside it, as the environment has it: it proves nothing.
pub(crate) fn actor() -> String {
    let real = rustix::process::getuid().as_raw();
    let name = if real == 0 { "root".to_owned() } else { name_of(real).unwrap_or(format!("uid {real}")) };
    let sudo = std::env::var("SUDO_USER").unwrap_or_default();
    if sudo.is_empty() { name } else { format!("{name} (sudo: {})", shared::text::printable(&sudo, 64)) }
}

fn name_of(uid: u32) -> Option<String> {
    let passwd = std::fs::read(shared::paths::PASSWD).ok()?;
    let local = shared::etc::LocalNames::parse(&passwd, b"");
    local.passwd.into_iter().find(|line| line.uid == uid).map(|line| line.name)
}

/// Notes a change in the system log.
pub(crate) fn changed(what: &str) {
    log::info!("{what} by={}", shared::text::log_value(&actor()));
}

/// Columns padded to the widest cell.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(cells.join("  ").trim_end());
    }
}
