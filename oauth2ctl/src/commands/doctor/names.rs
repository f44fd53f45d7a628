//! N1 to N4: the name service on its way from nsswitch.conf to a row.

use super::facts::{Facts, runs};
use super::fix::Fix;
use super::report::{Finding, Verdict};
use super::stacks::{library_directories, of_root};
use shared::clock::Clock;
use shared::config::Provisioning;
use shared::etc::nsswitch_sources;
use shared::store::publish::{Inputs, PublishError};
use shared::store::{Agreement, CompareError, compare};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const MODULE: &str = "libnss_oauth2.so.2";
const SERVICE: &str = "oauth2";

/// Programs that remember that a name is absent.
const CACHES: [&str; 3] = ["nscd", "unscd", "gnscd"];

/// N1: both databases ask us, directly after the files, with nothing before that ends the search.
pub(super) fn switch(facts: &Facts<'_>) -> Verdict {
    if facts.config().is_ok_and(|config| config.provisioning == Provisioning::None) {
        return Err(Finding::not_applicable("\"provisioning\" is none: nobody is resolved by us"));
    }
    let file = facts.machine.nsswitch.display().to_string();
    let findings =
        ["passwd", "group"].iter().filter_map(|database| listed(facts.nsswitch(), database, &file)).collect();
    Ok(Finding::gravest(findings)
        .unwrap_or_else(|| Finding::ok("passwd and group ask oauth2 after the files")))
}

fn listed(text: &str, database: &str, file: &str) -> Option<Finding> {
    let sources = nsswitch_sources(text, database);
    let consequence = "sshd resolves nobody of ours, so nobody of ours can log in.";
    let put = format!(
        "sed -i -E '/^{database}:/{{s/ oauth2( |$)/\\1/;s/^({database}:[[:space:]]+(files|compat))/\\1 oauth2/}}' {file}"
    );
    let Some(ours) = sources.iter().position(|source| source == SERVICE) else {
        return Some(Finding::fault(format!("{database}: does not list oauth2"), consequence, put));
    };
    let before = sources.get(..ours).unwrap_or_default();
    if ends_before(text, database) {
        let remedy = format!("sed -i -E '/^{database}:/s/ *\\[NOTFOUND=return\\]//I' {file}");
        let saw = format!("{database}: has [NOTFOUND=return] before oauth2");
        return Some(Finding::fault(saw, consequence, remedy));
    }
    if before.is_empty() {
        let consequence =
            "Local names are looked up here first: a provider's name could stand before a local one.";
        return Some(Finding::fault(format!("{database}: asks oauth2 before files"), consequence, put));
    }
    let between = before.iter().find(|source| !matches!(source.as_str(), "files" | "compat"))?;
    Some(Finding::warning(
        format!("{database}: asks {between} before oauth2"),
        "A lookup of one of ours waits for the other source, and an outage there is one here.",
        put,
    ))
}

/// `[NOTFOUND=return]` among the actions before our token: libc stops there for whoever is not in the files.
fn ends_before(text: &str, database: &str) -> bool {
    let line = text.lines().find_map(|line| {
        let (name, sources) = line.split('#').next()?.split_once(':')?;
        (name.trim() == database).then(|| sources.to_ascii_lowercase())
    });
    let line = line.unwrap_or_default();
    let before = line.split(|c: char| c.is_whitespace() || c == ']').position(|word| word == SERVICE);
    let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || c == ']').collect();
    words
        .get(..before.unwrap_or(0))
        .unwrap_or_default()
        .iter()
        .any(|word| word.trim_start_matches('[').starts_with("notfound=return"))
}

/// N2: what is published is what the store and the configuration of now say.
pub(super) fn published(facts: &Facts<'_>) -> Verdict {
    facts.config()?;
    let publish = "oauth2ctl publish";
    let unresolved = "Nobody of ours can be resolved.";
    let inputs = match facts.machine.inputs() {
        Ok(inputs) => inputs,
        Err(PublishError::Config(_)) => return Err(Finding::not_asked("the configuration cannot be used")),
        Err(error) => return Err(Finding::not_asked(error.to_string())),
    };
    let fault = |saw: String, consequence| Finding::fault(saw, consequence, publish).with_fix(Fix::Publish);
    let stale = |saw: &str| {
        let consequence = "Programs still see the machine as it was before the change.";
        Finding::warning(saw, consequence, publish).with_fix(Fix::Publish)
    };
    Ok(match settled(facts, &inputs) {
        Ok(Agreement::Same { people, groups }) => Finding::ok(format!(
            "{people} people, {groups} groups, published {} ago",
            in_words(facts.age().unwrap_or_default())
        )),
        Ok(Agreement::Behind) => fault("the store has changed since the publication".into(), STALE),
        Ok(Agreement::OtherInputs) => {
            stale("the configuration, /etc/passwd or /etc/group has changed since the publication")
        }
        Ok(Agreement::OtherStore) => fault("it was made from another store".into(), STALE),
        Ok(Agreement::Differs(what)) => fault(format!("it differs from the store in {what}"), STALE),
        Err(CompareError::Published(error)) => fault(error.to_string(), unresolved),
        Err(CompareError::Store(_)) => return Err(Finding::not_asked("the store cannot be read: see U2")),
        Err(CompareError::Inputs(error)) => {
            Finding::fault(error.to_string(), "Nothing can be published.", "oauth2ctl config validate")
        }
    })
}

/// A login that is being recorded at this moment is published a moment later.
fn settled(facts: &Facts<'_>, inputs: &Inputs) -> Result<Agreement, CompareError> {
    for _ in 0..10 {
        match compare(&facts.machine.places, inputs) {
            Ok(Agreement::Behind) => facts.clock.sleep(Duration::from_millis(100)),
            other => return other,
        }
    }
    compare(&facts.machine.places, inputs)
}

const STALE: &str = "Somebody may be let in who is locked, or not be resolved who is known.";

fn in_words(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// N3: a cache that remembers "absent" breaks the first login of everybody who was looked up before.
pub(super) fn caches(_: &Facts<'_>) -> Verdict {
    runs()?;
    let Some(cache) = running(&CACHES) else { return Ok(Finding::ok("no nscd is running")) };
    let text = std::fs::read_to_string("/etc/nscd.conf").unwrap_or_default();
    let is_off = |database: &str| {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .any(|words| matches!(words.as_slice(), ["enable-cache", of, "no"] if *of == database))
    };
    if is_off("passwd") && is_off("group") {
        return Ok(Finding::ok(format!("{cache} is running, and does not cache passwd and group")));
    }
    Ok(Finding::fault(
        format!("{cache} is running and caches passwd or group"),
        "It remembers that a name was absent, and the first login fails for as long.",
        format!("systemctl disable --now {cache}"),
    ))
}

/// A program of one of these names that runs now.
fn running(names: &[&str]) -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        names.contains(&name.trim()).then(|| name.trim().to_owned())
    })
}

/// N4: a fresh process finds the module, loads it, and is given an entry.
pub(super) fn module(facts: &Facts<'_>) -> Verdict {
    if facts.config().is_ok_and(|config| config.provisioning == Provisioning::None) {
        return Err(Finding::not_applicable("\"provisioning\" is none: nobody is resolved by us"));
    }
    let reinstall = if Path::new("/usr/bin/apt-get").exists() {
        "apt-get install --reinstall libnss-oauth2"
    } else {
        "dnf reinstall nss-oauth2"
    };
    let consequence = "Nobody of ours can be resolved.";
    let found: Vec<PathBuf> = library_directories("")
        .iter()
        .map(|directory| directory.join(MODULE))
        .filter(|path| path.exists())
        .collect();
    if found.is_empty() {
        return Ok(Finding::fault(format!("{MODULE} is not installed"), consequence, reinstall));
    }
    if let Some(finding) = found.iter().find_map(|path| of_root(path, consequence, reinstall)) {
        return Ok(finding);
    }
    let loads = crate::pam::isolated(20, || crate::pam::load(Path::new(MODULE)).err().unwrap_or_default())
        .and_then(|said| if said.is_empty() { Ok(()) } else { Err(said) });
    if let Err(how) = loads {
        let remedy = if how.contains("No such file") { "ldconfig" } else { reinstall };
        return Ok(Finding::fault(format!("{MODULE}: {how}"), consequence, remedy));
    }
    let config = facts.config()?;
    facts.needs("N2")?;
    let group = config.accounts.people_group.as_str();
    if facts.machine.local().is_ok_and(|local| local.group(group).is_some()) {
        return Ok(Finding::ok(format!("{MODULE} loads; {group} is a group of /etc/group")));
    }
    let asked = Command::new("/usr/bin/getent")
        .args(["-s", SERVICE, "group", group])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match asked {
        Ok(status) if status.success() => Ok(Finding::ok(format!("{MODULE} answers a fresh process"))),
        Ok(_) => {
            let saw = format!("a fresh process is not told of the group {group}");
            Ok(Finding::fault(saw, consequence, reinstall))
        }
        Err(error) => Ok(Finding::not_asked(format!("getent: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(line: &str) -> Option<String> {
        listed(&format!("passwd: {line}\n"), "passwd", "f").map(|finding| finding.saw)
    }

    #[test]
    fn our_token_stands_after_the_files_and_nothing_ends_the_search_before_it() {
        for good in ["files oauth2", "files oauth2 systemd", "compat oauth2", "files [SUCCESS=merge] oauth2"]
        {
            assert_eq!(state(good), None, "{good}");
        }
        assert_eq!(
            state("files oauth2 [NOTFOUND=return] sss"),
            None,
            "after us it is the administrator's affair"
        );
        assert!(state("files").unwrap().contains("does not list"));
        assert!(state("oauth2 files").unwrap().contains("before files"));
        assert!(state("files sss oauth2").unwrap().contains("asks sss before"));
        for stopped in ["files [NOTFOUND=return] oauth2", "files [notfound=return]oauth2"] {
            assert!(state(stopped).unwrap().contains("NOTFOUND"), "{stopped}");
        }
    }

    #[test]
    fn an_age_is_told_in_the_unit_that_fits() {
        let told = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!([told(5), told(600), told(10_000), told(700_000)], ["5 s", "10 min", "2 h", "8 days"]);
    }
}
