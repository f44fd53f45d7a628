//! Maps of names and numbers as files: JSON, and comma-separated values (RFC 4180). What is read is checked as strictly as
//! what a person types: it becomes accounts.

use crate::cli::MapFormat;
use crate::date;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use shared::clock::Day;
use shared::identity::ids::IdRange;
use shared::store::{FormerId, IdEntry, IdPerson};
use shared::types::{GroupName, Issuer, LoginName, Subject};

/// The head of a JSON map.
const FORMAT: &str = "oauth2-ids-1";

/// The columns of the other form.
const COLUMNS: [&str; 12] = [
    "kind", "name", "uid", "gid", "home", "shell", "gecos", "locked", "expires", "issuer", "subject",
    "groups",
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    machine: String,
    entries: Vec<IdEntry>,
}

/// The text of a map.
pub(super) fn text(map: &[IdEntry], format: MapFormat, machine: &str) -> Result<String, Failure> {
    match format {
        MapFormat::Csv => {
            let mut lines = vec![COLUMNS.join(",")];
            lines.extend(map.iter().map(|entry| line(&cells(entry))));
            Ok(lines.join("\n"))
        }
        MapFormat::Json => {
            let entries = map.to_vec();
            let document = Document { format: FORMAT.into(), machine: machine.into(), entries };
            serde_json::to_string_pretty(&document).map_err(|error| Failure::Other(error.to_string()))
        }
    }
}

/// Reads either form; every entry is one that a store may hold.
pub(super) fn parse(text: &str) -> Result<Vec<IdEntry>, Failure> {
    let map = if text.trim_start().starts_with('{') {
        let document: Document =
            serde_json::from_str(text).map_err(|error| Failure::Other(format!("no map of ids: {error}")))?;
        if document.format != FORMAT {
            return Err(Failure::Other(format!("no map of ids of this version: its format is not {FORMAT}")));
        }
        document.entries
    } else {
        records(text)?
    };
    map.iter().try_for_each(check)?;
    Ok(map)
}

fn cells(entry: &IdEntry) -> [String; 12] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut cells: [String; 12] = Default::default();
    let mut put = |column: &str, value: String| {
        if let Some(cell) = COLUMNS.iter().position(|name| *name == column).and_then(|at| cells.get_mut(at)) {
            *cell = value;
        }
    };
    match entry {
        IdEntry::Group { provider_id, name, gid } => {
            put("kind", "group".into());
            put("name", name.clone());
            put("gid", gid.to_string());
            put("groups", provider_id.clone());
        }
        IdEntry::Person(person) => {
            put("kind", "person".into());
            put("name", person.name.clone());
            put("uid", person.uid.to_string());
            put("gid", person.uid.to_string());
            put("home", person.home.clone());
            put("shell", person.shell.clone());
            put("gecos", person.gecos.clone());
            put("locked", if person.locked { "yes".into() } else { String::new() });
            put("expires", person.expires_day.map_or_else(String::new, |day| Day(day).to_string()));
            put("issuer", text(&person.issuer));
            put("subject", text(&person.subject));
            put("groups", person.groups.join(" "));
        }
        IdEntry::Removed(former) | IdEntry::FormerUid(former) => {
            let kind = if matches!(entry, IdEntry::Removed(_)) { "removed" } else { "former_uid" };
            put("kind", kind.into());
            put("name", former.name.clone());
            put("uid", former.uid.to_string());
            put("issuer", text(&former.issuer));
            put("subject", text(&former.subject));
        }
        IdEntry::FormerName { name, uid } => {
            put("kind", "former_name".into());
            put("name", name.clone());
            put("uid", uid.to_string());
        }
    }
    cells
}

fn line(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",")
}

fn records(text: &str) -> Result<Vec<IdEntry>, Failure> {
    let mut rows = rows(text).into_iter();
    if rows.next().is_none_or(|head| head != COLUMNS) {
        return Err(Failure::Other(format!("no map of ids: the first line must be {}", COLUMNS.join(","))));
    }
    rows.enumerate()
        .map(|(number, row)| {
            record(&row)
                .ok_or_else(|| Failure::Other(format!("no map of ids: entry {} is no entry", number + 1)))
        })
        .collect()
}

fn record(row: &[String]) -> Option<IdEntry> {
    if row.len() != COLUMNS.len() {
        return None;
    }
    let cell = |column: &str| {
        let at = COLUMNS.iter().position(|name| *name == column)?;
        row.get(at).map(String::as_str)
    };
    let some = |column: &str| cell(column).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |column: &str| cell(column)?.parse::<u32>().ok();
    let name = cell("name")?.to_owned();
    let former = || {
        Some(FormerId {
            name: name.clone(),
            uid: number("uid")?,
            issuer: some("issuer"),
            subject: some("subject"),
        })
    };
    Some(match cell("kind")? {
        "group" => IdEntry::Group { provider_id: some("groups")?, name, gid: number("gid")? },
        "removed" => IdEntry::Removed(former()?),
        "former_uid" => IdEntry::FormerUid(former()?),
        "former_name" => IdEntry::FormerName { name, uid: number("uid")? },
        "person" => IdEntry::Person(IdPerson {
            uid: number("uid")?,
            home: some("home")?,
            shell: some("shell")?,
            gecos: some("gecos").unwrap_or_default(),
            locked: match cell("locked")? {
                "" => false,
                "yes" => true,
                _ => return None,
            },
            expires_day: match some("expires") {
                Some(day) => Some(date::parse(&day).ok()?.0),
                None => None,
            },
            issuer: some("issuer"),
            subject: some("subject"),
            groups: cell("groups")?.split_whitespace().map(str::to_owned).collect(),
            name,
        }),
        _ => return None,
    })
}

/// Records of RFC 4180.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

/// Is it an entry that this package could have written?
fn check(entry: &IdEntry) -> Result<(), Failure> {
    let (name, id) = match entry {
        IdEntry::Group { name, gid, .. } => (name, *gid),
        IdEntry::Person(person) => (&person.name, person.uid),
        IdEntry::Removed(former) | IdEntry::FormerUid(former) => (&former.name, former.uid),
        IdEntry::FormerName { name, uid } => (name, *uid),
    };
    let shown = shared::text::printable(name, 64);
    let refused = |what: &str| Err(Failure::Refused(format!("the entry of {shown}: {what}")));
    let is_name = match entry {
        IdEntry::Group { .. } => GroupName::parse(name).is_ok(),
        _ => LoginName::parse(name).is_ok(),
    };
    if !is_name {
        return refused("it cannot be a name");
    }
    if let Err(error) = IdRange::new(id, id.saturating_add(1)) {
        return refused(&error.to_string());
    }
    let (issuer, subject) = match entry {
        IdEntry::Person(person) => (&person.issuer, &person.subject),
        IdEntry::Removed(former) | IdEntry::FormerUid(former) => (&former.issuer, &former.subject),
        _ => (&None, &None),
    };
    if issuer.is_some() != subject.is_some()
        || issuer.as_ref().is_some_and(|issuer| Issuer::parse(issuer).is_err())
        || subject.as_ref().is_some_and(|subject| Subject::parse(subject).is_err())
    {
        return refused("issuer and subject belong together");
    }
    match entry {
        IdEntry::Person(person) if !is_path(&person.home) => refused("its home directory is no path"),
        IdEntry::Person(person) if !is_path(&person.shell) => refused("its shell is no path"),
        IdEntry::Person(person) if !is_field(&person.gecos, 64) => refused("its full name is none"),
        IdEntry::Group { provider_id, .. } if !is_field(provider_id, 512) || provider_id.is_empty() => {
            refused("its id at the provider is none")
        }
        _ => Ok(()),
    }
}

/// As of `home` and `shell` in the configuration.
fn is_path(path: &str) -> bool {
    let clean = path.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    path.starts_with('/') && path.len() > 1 && clean && is_field(path, 128) && !path.contains([':', ' '])
}

fn is_field(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Vec<IdEntry> {
        let former = |name: &str, uid| FormerId {
            name: name.into(),
            uid,
            issuer: Some("https://i".into()),
            subject: Some("a,\"b\"".into()),
        };
        vec![
            IdEntry::Group { provider_id: "s".into(), name: "staff".into(), gid: 2_130_706_500 },
            IdEntry::Person(IdPerson {
                name: "ann".into(),
                uid: 4000,
                home: "/home/ann".into(),
                shell: "/bin/bash".into(),
                gecos: "Ann, B".into(),
                locked: true,
                expires_day: Some(20_779),
                issuer: Some("https://i".into()),
                subject: Some("x".into()),
                groups: vec!["s".into()],
            }),
            IdEntry::Removed(former("bob", 4001)),
            IdEntry::FormerUid(former("carl", 4002)),
            IdEntry::FormerName { name: "anna".into(), uid: 4000 },
        ]
    }

    #[test]
    fn a_map_is_read_as_it_was_written_in_both_forms() {
        for format in [MapFormat::Json, MapFormat::Csv] {
            assert_eq!(parse(&text(&map(), format, "host").unwrap()).unwrap(), map(), "{format:?}");
        }
    }

    #[test]
    fn what_could_not_be_an_account_is_refused() {
        let bad = |change: &dyn Fn(&mut IdPerson)| {
            let mut map = map();
            let Some(IdEntry::Person(person)) = map.get_mut(1) else { panic!() };
            change(person);
            parse(&text(&map, MapFormat::Json, "host").unwrap()).is_err()
        };
        assert!(bad(&|person| person.uid = 0));
        assert!(bad(&|person| person.uid = 999));
        assert!(bad(&|person| person.uid = 65_534));
        assert!(bad(&|person| person.name = "Root:0".into()));
        assert!(bad(&|person| person.home = "/home/../etc".into()));
        assert!(bad(&|person| person.shell = "bash".into()));
        assert!(bad(&|person| person.gecos = "x\ny".into()));
        assert!(bad(&|person| person.subject = None));
        assert!(!bad(&|_| {}));
        for text in ["", "{}", "kind,name\n", "{\"format\":\"oauth2-ids-2\",\"machine\":\"\",\"entries\":[]}"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
