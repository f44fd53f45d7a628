//! What the administrator reads, what a program reads (`--json`), and what the system log keeps.
//!
//! There is one standard output, so there is one [`Sink`]: as text, lines go out as they come; as JSON, they are kept, and
//! one object is written at the end.

mod table;

pub(crate) use table::{table, terminal_width};

use crate::failure::Failure;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How to speak.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// One JSON object on standard output, at the end.
    pub(crate) json: bool,
    /// Nothing but errors and what was asked for.
    pub(crate) quiet: bool,
    /// No colours, also on a terminal.
    pub(crate) no_color: bool,
    /// Every question is answered with yes.
    pub(crate) yes: bool,
}

#[derive(Debug)]
struct Sink {
    manner: Manner,
    changed: bool,
    messages: Vec<String>,
    warnings: Vec<String>,
    fields: Vec<(String, Value)>,
}

static SINK: Mutex<Sink> = Mutex::new(Sink {
    manner: Manner { json: false, quiet: false, no_color: false, yes: false },
    changed: false,
    messages: Vec::new(),
    warnings: Vec::new(),
    fields: Vec::new(),
});

fn sink() -> MutexGuard<'static, Sink> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says how to speak; before the first word.
pub(crate) fn begin(manner: Manner) {
    sink().manner = manner;
}

/// How to speak.
pub(crate) fn manner() -> Manner {
    sink().manner
}

/// A line that tells what happened; `--quiet` leaves it out.
pub(crate) fn say(line: &str) {
    let mut sink = sink();
    match sink.manner {
        Manner { json: true, .. } => sink.messages.push(line.to_owned()),
        Manner { quiet: true, .. } => {}
        _ => put(line),
    }
}

/// What was asked for: a line that `--quiet` leaves in. In JSON the command sets a [`field`] instead.
pub(crate) fn answer(line: &str) {
    if !manner().json {
        put(line);
    }
}

/// A member of the JSON object.
pub(crate) fn field(key: &str, value: impl Serialize) {
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    sink().fields.push((key.to_owned(), value));
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "oauth2ctl: {line}");
}

/// Something that is not as it should be, and stops nothing.
pub(crate) fn warn(line: &str) {
    sink().warnings.push(line.to_owned());
    complain(&format!("warning: {line}"));
}

/// A text that somebody has to answer, without a newline of ours; under `--json` standard output is the program's alone.
pub(crate) fn prompt(text: &str) -> std::io::Result<()> {
    if manner().json {
        let mut stderr = std::io::stderr();
        return write!(stderr, "{text}").and_then(|()| stderr.flush());
    }
    let mut stdout = std::io::stdout();
    write!(stdout, "{text}").and_then(|()| stdout.flush())
}

/// What is going on, for somebody who waits: on a terminal only.
pub(crate) fn progress(line: &str) {
    let Manner { json, quiet, .. } = manner();
    let mut stderr = std::io::stderr();
    if !json && !quiet && stderr.is_terminal() {
        let _ = writeln!(stderr, "{line}");
    }
}

/// Something was changed: told to the system log, and to `--json`.
pub(crate) fn changed(what: &str) {
    log::info!("{what} by={}", shared::text::log_value(&actor()));
    sink().changed = true;
}

/// Was anything changed so far?
pub(crate) fn has_changed() -> bool {
    sink().changed
}

/// What was changed has been taken back, to the last byte.
pub(crate) fn set_changed(changed: bool) {
    sink().changed = changed;
}

/// Asks before something is lost. `Ok`: go on.
///
/// # Errors
/// The administrator said no, or nobody is there to ask and `--yes` was not given.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    let Manner { yes, json, .. } = manner();
    if yes {
        return Ok(());
    }
    if json || !std::io::stdin().is_terminal() {
        return Err(Failure::Refused(format!("{question} Say --yes if that is meant")));
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was changed".into())),
    }
}

/// The end: the JSON object, or the failure in a sentence. Returns the exit code.
pub(crate) fn finish(outcome: Result<(), Failure>) -> ExitCode {
    let code = outcome.as_ref().err().map_or(0, Failure::exit_code);
    if manner().json {
        put(&object(outcome.err().as_ref()).to_string());
    } else if let Err(failure) = outcome {
        let sentence = failure.to_string();
        if !sentence.is_empty() {
            complain(&sentence);
        }
    }
    ExitCode::from(code)
}

fn object(failure: Option<&Failure>) -> Value {
    let sink = sink();
    let mut object = Map::new();
    object.insert("changed".into(), sink.changed.into());
    object.extend(sink.fields.iter().cloned());
    object.insert("messages".into(), json!(sink.messages));
    object.insert("warnings".into(), json!(sink.warnings));
    if let Some(failure) = failure {
        let error =
            json!({"kind": failure.kind(), "message": failure.to_string(), "code": failure.exit_code()});
        object.insert("error".into(), error);
    }
    Value::Object(object)
}

/// A line on standard output. Who closed it does not want to read on.
fn put(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A colour of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    /// All is well.
    Green,
    /// Worth a look.
    Yellow,
    /// To be mended.
    Red,
}

/// Text in a colour, on a terminal that wants some (https://no-color.org).
pub(crate) fn colored(text: &str, color: Color) -> String {
    let wanted = !manner().no_color
        && std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb");
    let code = match color {
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Red => 31,
    };
    if wanted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
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
