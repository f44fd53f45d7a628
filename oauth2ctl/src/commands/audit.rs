//! `audit …`.

use crate::cli::{Audit, ExportFormat, Which};
use crate::date;
use crate::failure::Failure;
use crate::output::{actor, answer, changed, confirm, field, manner, say, table};
use pam_oauth2::login::Machine;
use serde_json::{Value, json};
use shared::clock::{Clock, Day, SystemClock};
use shared::store::{By, Event, EventFilter, Store};
use shared::text::printable;
use std::io::Write;
use std::time::Duration;

/// Between two looks of --follow.
const TICK: Duration = Duration::from_millis(500);

pub(super) fn run(machine: &Machine, command: Audit) -> Result<(), Failure> {
    match command {
        Audit::Log { which, follow } => log(machine, &which, follow),
        Audit::Export { which, format } => export(machine, &which, format),
        Audit::Prune { before } => prune(machine, before),
    }
}

fn log(machine: &Machine, which: &Which, follow: bool) -> Result<(), Failure> {
    if follow && manner().json {
        return Err(Failure::Usage("--follow has no end, and --json one object at the end".into()));
    }
    let mut wanted = filter(which);
    let events = Store::open(&machine.places)?.events(&wanted)?;
    table(&events.iter().map(row).collect::<Vec<_>>());
    field("events", events.iter().map(object).collect::<Vec<_>>());
    wanted.after = events.last().map_or(0, |event| event.id);
    if follow { tail(machine, &mut wanted) } else { Ok(()) }
}

/// What happens from now on, until nobody reads any more.
fn tail(machine: &Machine, wanted: &mut EventFilter) -> Result<(), Failure> {
    let clock = SystemClock::new();
    loop {
        clock.sleep(TICK);
        for event in Store::open(&machine.places)?.events(wanted)? {
            wanted.after = event.id;
            let line = row(&event).join("  ");
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(());
            }
        }
    }
}

fn export(machine: &Machine, which: &Which, format: ExportFormat) -> Result<(), Failure> {
    let events = Store::open(&machine.places)?.events(&filter(which))?;
    for event in &events {
        answer(&match format {
            ExportFormat::Jsonl => object(event).to_string(),
            ExportFormat::Cef => cef(event, &machine.name),
        });
    }
    field("events", events.iter().map(object).collect::<Vec<_>>());
    Ok(())
}

fn prune(machine: &Machine, before: Day) -> Result<(), Failure> {
    let mut store = Store::open(&machine.places)?;
    let moment = date::start(before);
    let count = store.count_events_before(moment)?;
    if count == 0 {
        say(&format!("no change: nothing is older than {}", before));
        field("deleted", 0);
        return Ok(());
    }
    confirm(&format!("{count} event(s) before {} are deleted.", before))?;
    let by = By { actor: &actor(), now: SystemClock::new().unix_seconds() };
    let deleted = store.prune_events(moment, by)?;
    changed(&format!("audit pruned before={} deleted={deleted}", before));
    say(&format!("{deleted} event(s) deleted"));
    field("deleted", deleted);
    Ok(())
}

fn filter(which: &Which) -> EventFilter {
    EventFilter {
        since: which.since.map_or(0, |since| since.unix(SystemClock::new().unix_seconds())),
        login_name: which.user.clone(),
        kind: which.kind.clone(),
        after: 0,
    }
}

fn row(event: &Event) -> Vec<String> {
    let name = if event.login_name.is_empty() { "-" } else { &event.login_name };
    [&date::moment(event.at), &event.kind, name, &event.actor, &event.detail]
        .map(|text| printable(text, 512))
        .to_vec()
}

fn object(event: &Event) -> Value {
    let name = Some(&event.login_name).filter(|name| !name.is_empty());
    json!({
        "id": event.id,
        "at": date::moment(event.at),
        "kind": event.kind,
        "user": name,
        "actor": event.actor,
        "detail": event.detail,
    })
}

/// ArcSight's Common Event Format: seven fields between bars, then key=value.
fn cef(event: &Event, host: &str) -> String {
    let severity = match event.kind.as_str() {
        "locked" | "removed" | "store_restored" | "audit_pruned" => 6,
        _ => 3,
    };
    let kind = in_header(&event.kind);
    let title = in_header(&event.kind.replace('_', " "));
    let mut line = format!(
        "CEF:0|oauth2-login|oauth2ctl|{}|{kind}|{title}|{severity}|externalId={} rt={} dvchost={} suser={}",
        in_header(env!("CARGO_PKG_VERSION")),
        event.id,
        event.at.saturating_mul(1000),
        in_extension(host),
        in_extension(&event.actor),
    );
    if !event.login_name.is_empty() {
        line.push_str(&format!(" duser={}", in_extension(&event.login_name)));
    }
    if !event.detail.is_empty() {
        line.push_str(&format!(" msg={}", in_extension(&event.detail)));
    }
    line
}

/// In the header `\` and `|` are escaped, and a line break cannot be.
fn in_header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// In the extension `\` and `=` are escaped, and line breaks.
fn in_extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cef_escapes_what_would_end_a_field() {
        let event = Event {
            id: 7,
            at: 2,
            kind: "a|b\\c".into(),
            login_name: "ann".into(),
            actor: "root (sudo: x=y)".into(),
            detail: "one\ntwo=3|4\\".into(),
        };
        assert_eq!(
            cef(&event, "host"),
            format!(
                "CEF:0|oauth2-login|oauth2ctl|{}|a\\|b\\\\c|a\\|b\\\\c|3|externalId=7 rt=2000 dvchost=host \
                 suser=root (sudo: x\\=y) duser=ann msg=one\\ntwo\\=3|4\\\\",
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}
