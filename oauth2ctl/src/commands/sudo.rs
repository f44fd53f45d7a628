//! `enable sudo` and `disable sudo`: sudo among the `services` of the configuration, so that it asks people of ours for a
//! sign-in by browser.

use crate::failure::Failure;
use crate::output::{answer, changed, field, say, warn};
use crate::system::undo::{self, Undone};
use crate::system::{self, Change, FileState};
use pam_oauth2::login::Machine;
use serde_json::{Map, Value, json};
use shared::config::ConfigError;

/// The record of what the configuration was.
const PART: &str = "sudo";
const SERVICE: &str = "sudo";
const DEFAULT: &str = "sshd";

pub(super) fn enable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    if lists_sudo(machine)? {
        say("no change: \"services\" lists sudo");
        return Ok(());
    }
    let change = edit(machine, |services| services.push(SERVICE.into()))?;
    if show(machine, &change, dry_run)? {
        return Ok(());
    }
    undo::keep(PART, std::slice::from_ref(&change))?;
    change.make()?;
    if !lists_sudo(machine).unwrap_or(false) {
        undo::put_back(PART)?;
        return Err(Failure::Conflict(
            "\"services\" stands in a file of config.d as well, which is laid over config.json: add sudo there".into(),
        ));
    }
    finish(machine, "enabled")?;
    say(
        "sudo asks people of ours for a sign-in by browser from now on; whom it lets do what stays sudoers' matter",
    );
    Ok(())
}

pub(super) fn disable(machine: &Machine, dry_run: bool) -> Result<(), Failure> {
    if !lists_sudo(machine)? {
        say("no change: \"services\" does not list sudo");
        return if dry_run { Ok(()) } else { undo::forget(PART) };
    }
    let exact = undo::planned(PART)?.and_then(|changes| changes.into_iter().next());
    let change = match exact {
        Some(change) => change,
        None => edit(machine, |services| services.retain(|service| service != SERVICE))?,
    };
    if show(machine, &change, dry_run)? {
        return Ok(());
    }
    if undo::put_back(PART)? == Undone::Not {
        change.make()?;
        say("config.json was changed since, or by another hand: only sudo was taken out of \"services\"");
    }
    if lists_sudo(machine)? {
        return Err(Failure::Conflict(
            "a file of config.d still lists sudo in \"services\": take it out there".into(),
        ));
    }
    finish(machine, "disabled")
}

fn lists_sudo(machine: &Machine) -> Result<bool, Failure> {
    Ok(machine.load_config()?.config.services.iter().any(|service| service == SERVICE))
}

/// Shows the change; `true` if that is all that was asked for.
fn show(machine: &Machine, change: &Change, dry_run: bool) -> Result<bool, Failure> {
    let config = machine.load_config()?.config;
    let secrets: Vec<String> =
        config.provider.client_secret.iter().map(|secret| secret.expose().to_owned()).collect();
    answer(&change.show(&secrets));
    field("diff", change.show(&secrets));
    Ok(dry_run)
}

fn finish(machine: &Machine, word: &str) -> Result<(), Failure> {
    changed(&format!("service {word} service={SERVICE}"));
    super::audit(machine, word, SERVICE)?;
    // Strangers are let in only under the configuration that was published.
    if machine.places.store.exists() {
        super::publish_now(machine)?;
    } else {
        warn("nothing is published yet: run oauth2ctl setup");
    }
    Ok(())
}

/// The change of `services`. The text keeps its form where the key can be put in front.
fn edit(machine: &Machine, change: impl Fn(&mut Vec<String>)) -> Result<Change, Failure> {
    let before = system::read(&machine.config)?;
    if before == FileState::Absent {
        return Err(ConfigError::NotConfigured(machine.config.clone()).into());
    }
    let text = before.text();
    let after = edited(&text, change)
        .ok_or_else(|| Failure::Other(format!("{} is no JSON object", machine.config.display())))?;
    let after = before.with_bytes(after.as_bytes(), 0o600);
    Ok(Change { path: machine.config.clone(), before, after })
}

fn edited(text: &str, change: impl Fn(&mut Vec<String>)) -> Option<String> {
    let mut map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let old = map.get("services").and_then(Value::as_array).cloned();
    let mut services: Vec<String> = match &old {
        Some(old) => old.iter().filter_map(|service| service.as_str().map(str::to_owned)).collect(),
        None => vec![DEFAULT.to_owned()],
    };
    change(&mut services);
    let is_new = map.insert("services".into(), json!(services)).is_none();
    if is_new {
        let text = text.replacen('{', &format!("{{\n  \"services\": {},", json!(services)), 1);
        if serde_json::from_str::<Map<String, Value>>(&text).is_ok_and(|parsed| parsed == map) {
            return Some(text);
        }
    }
    Some(format!("{:#}\n", Value::Object(map)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_sudo(text: &str) -> String {
        edited(text, |services| services.push("sudo".into())).unwrap()
    }

    #[test]
    fn a_missing_key_is_put_in_front_and_the_rest_keeps_its_form() {
        let text = "{\n  \"client_id\":   \"x\"\n}";
        assert_eq!(with_sudo(text), "{\n  \"services\": [\"sshd\",\"sudo\"],\n  \"client_id\":   \"x\"\n}");
    }

    #[test]
    fn a_key_that_is_there_gets_the_service() {
        let edited: Value =
            serde_json::from_str(&with_sudo("{\"services\": [\"sshd\", \"su\"], \"a\": 1}")).unwrap();
        assert_eq!(edited, json!({"services": ["sshd", "su", "sudo"], "a": 1}));
        assert_eq!(edited_without(&edited.to_string())["services"], json!(["sshd", "su"]));
    }

    fn edited_without(text: &str) -> Value {
        serde_json::from_str(&edited(text, |services| services.retain(|s| s != "sudo")).unwrap()).unwrap()
    }

    #[test]
    fn an_empty_object_and_no_object() {
        assert_eq!(
            serde_json::from_str::<Value>(&with_sudo("{}")).unwrap()["services"],
            json!(["sshd", "sudo"])
        );
        assert!(edited("[]", |_| ()).is_none());
    }
}
