//! S: what sshd would do for one of ours and for a local user, by its own word (`sshd -T -C`).

use super::super::sshd::{CONFIG, DROP_IN};
use super::super::sshd_lines::Line;
use super::facts::Facts;
use super::report::{Finding, Verdict, quoted};
use shared::config::{Config, Provisioning};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

const SSHD: &str = "/usr/sbin/sshd";

/// What makes a change of a file of sshd's one of sshd.
pub(super) const RELOAD: &str = "sshd -t && systemctl reload ssh";

const KEYBOARD: &str = "KbdInteractiveAuthentication";
const METHODS: &str = "AuthenticationMethods";

/// Keywords in small letters, and the values of their lines.
pub(super) type Settings = BTreeMap<String, Vec<String>>;

/// The command that sets a keyword that no Match block may hold: in the line whose value counts, in whatever file that stands;
/// where there is none, at the top, before any drop-in.
pub(super) fn set(facts: &Facts<'_>, keyword: &str, value: &str, now: &str) -> String {
    let edit = match facts.sshd_lines().counting(keyword, now) {
        Some(line) => {
            format!(
                "sed -i '{}s/.*/{keyword} {value}/' {}",
                line.number,
                quoted(&line.file.to_string_lossy())
            )
        }
        None => format!("sed -i '1i {keyword} {value}' {CONFIG}"),
    };
    format!("{edit} && {RELOAD}")
}

/// What sshd has, and where that stands.
pub(super) fn with_place(facts: &Facts<'_>, keyword: &str, now: &str, more: &str) -> String {
    let place = facts.sshd_lines().counting(keyword, now).map(|line| format!(" ({})", line.place()));
    format!("{keyword} {now}{more}{}", place.unwrap_or_default())
}

/// What only somebody who knows the machine's people can decide: in words, with the place.
pub(super) fn edit(line: Option<&Line>, how: &str) -> String {
    let place = line.map_or_else(
        || CONFIG.to_owned(),
        |line| format!("+{} {}", line.number, quoted(&line.file.to_string_lossy())),
    );
    format!("editor {place} # {how}; then {RELOAD}")
}

/// The command that sets a keyword for our people alone.
fn set_for_people(config: &Config, setting: &str) -> String {
    let group = &config.accounts.people_group;
    format!("printf '\\nMatch Group {group}\\n    {setting}\\n' >>{CONFIG} && {RELOAD}")
}

/// What sshd says for a user from an address that is nobody's (RFC 5737).
pub(super) fn settings(facts: &Facts<'_>, user: &str) -> Result<Settings, Finding> {
    let known = facts.sshd.borrow().get(user).cloned();
    known.unwrap_or_else(|| {
        let asked = ask(user);
        facts.sshd.borrow_mut().insert(user.to_owned(), asked.clone());
        asked
    })
}

fn ask(user: &str) -> Result<Settings, Finding> {
    if !Path::new(SSHD).exists() {
        return Err(Finding::not_applicable(format!("no {SSHD}")));
    }
    let connection = format!("user={user},host=client.invalid,addr=192.0.2.1");
    let output = Command::new(SSHD).args(["-T", "-C", &connection]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Finding::not_asked(format!("{SSHD}: {error}")))?;
    if output.status.success() {
        return Ok(parse(&String::from_utf8_lossy(&output.stdout)));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // The directory is made by the service; without it sshd says nothing about its configuration.
    if said.contains("privilege separation directory") {
        return Err(Finding::not_asked(format!("{said}: start sshd once")));
    }
    let consequence = "sshd does not start again with this configuration.";
    Err(Finding::fault(said, consequence, "sshd -t; editor /etc/ssh/sshd_config"))
}

pub(super) fn parse(text: &str) -> Settings {
    let mut settings = Settings::new();
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        settings.entry(keyword.to_ascii_lowercase()).or_default().push(value.to_owned());
    }
    settings
}

pub(super) fn value<'s>(settings: &'s Settings, keyword: &str) -> Option<&'s str> {
    settings.get(keyword)?.first().map(String::as_str)
}

/// What sshd says for root: most keywords are the same for everybody.
pub(super) fn general(facts: &Facts<'_>) -> Result<Settings, Finding> {
    // What is wrong with sshd's configuration as a whole is S1's to say.
    settings(facts, "root").map_err(|finding| match finding.state {
        super::report::State::Fault => Finding::not_asked("S1 failed"),
        _ => finding,
    })
}

/// S1: otherwise nobody is asked who may come in.
pub(super) fn use_pam(facts: &Facts<'_>) -> Verdict {
    let settings = settings(facts, "root")?;
    Ok(match value(&settings, "usepam") {
        Some("yes") => Finding::ok("UsePAM yes"),
        _ => Finding::fault(
            with_place(facts, "UsePAM", "no", ""),
            "sshd admits keys of people who are locked, removed or were never verified, and cannot show the prompt.",
            set(facts, "UsePAM", "yes", "no"),
        ),
    })
}

/// A name that sshd would treat as one of ours.
pub(super) fn one_of_ours(facts: &Facts<'_>, config: &Config) -> Result<String, Finding> {
    if config.provisioning == Provisioning::None {
        let person = facts.local().first_person(|_| true);
        let nobody = || Finding::not_asked("nobody in /etc/passwd could sign in");
        return person.map(|user| user.name.clone()).ok_or_else(nobody);
    }
    let known = facts.people().iter().find(|person| !person.probe && !person.existing);
    if let Some(person) = known {
        return Ok(person.account.name.as_str().to_owned());
    }
    let stranger = "oauth2-doctor-asks";
    config
        .accounts
        .first_login
        .iter()
        .map(|pattern| pattern.replace('*', stranger))
        .find(|name| facts.machine.prospective(name).is_some())
        .ok_or_else(|| Finding::not_asked("nobody is known, and first logins are off: see P6"))
}

/// S2: our people are asked by keyboard-interactive, and local people by nothing that was turned off for them.
pub(super) fn keyboard_interactive(facts: &Facts<'_>) -> Verdict {
    let general = general(facts)?;
    let config = facts.config()?;
    let name = one_of_ours(facts, config)?;
    let ours = settings(facts, &name)?;
    // Before OpenSSH 8.7 it had the other name.
    let is_on = |settings: &Settings| {
        let keyword = ["kbdinteractiveauthentication", "challengeresponseauthentication"];
        keyword.iter().find_map(|keyword| value(settings, keyword)) == Some("yes")
    };
    if !is_on(&ours) {
        return Ok(Finding::fault(
            format!("KbdInteractiveAuthentication no for {name}"),
            "Nobody can be shown the address and the code of a sign-in.",
            keyboard_remedy(facts),
        ));
    }
    let person = facts.local().first_person(|other| facts.is_others(other) && other != name);
    let local = person.map_or(Ok(general), |user| settings(facts, &user.name))?;
    if is_on(&local) && value(&local, "passwordauthentication") == Some("no") {
        return Ok(Finding::warning(
            "KbdInteractiveAuthentication yes also for local users, who have PasswordAuthentication no",
            "Local users and root can log in by password again, which this machine had turned off.",
            // Ours stays on: in the drop-in, for our people alone.
            set(facts, KEYBOARD, "no", "yes").replace(RELOAD, &format!("oauth2ctl enable sshd && {RELOAD}")),
        ));
    }
    Ok(Finding::ok(format!("on for {name}")))
}

/// The drop-in turns it on; where it does not, another Match block comes first, and its value counts.
fn keyboard_remedy(facts: &Facts<'_>) -> String {
    let is_in_the_way = |line: &&Line| line.in_match && line.value.eq_ignore_ascii_case("no");
    match facts.sshd_lines().all(KEYBOARD).find(is_in_the_way).filter(|_| Path::new(DROP_IN).exists()) {
        Some(line) => edit(Some(line), "this Match block comes before ours: leave our people out of it"),
        None => format!("oauth2ctl enable sshd && {RELOAD}"),
    }
}

/// S3: a list of methods that our people can go through.
pub(super) fn methods(facts: &Facts<'_>) -> Verdict {
    let general = general(facts)?;
    let config = facts.config()?;
    let settings = match one_of_ours(facts, config) {
        Ok(name) => settings(facts, &name)?,
        Err(_) => general,
    };
    let methods = value(&settings, "authenticationmethods").unwrap_or("any");
    let lists: Vec<&str> = methods.split_whitespace().collect();
    let is_ours = |list: &&&str| list.split(',').any(|method| method.starts_with("keyboard-interactive"));
    if methods == "any" && config.require_publickey {
        return Ok(Finding::warning(
            "AuthenticationMethods any, and \"require_publickey\"",
            "A key alone opens a session without a sign-in at the provider.",
            set_for_people(config, "AuthenticationMethods publickey,keyboard-interactive"),
        ));
    }
    if methods != "any" && !lists.iter().any(|list| is_ours(&list)) {
        // A line of a Match block comes before whatever is written for our people at the end.
        let lines = facts.sshd_lines();
        let in_match = lines.all(METHODS).find(|line| line.in_match && line.value == methods);
        let remedy = match in_match {
            Some(_) => edit(
                in_match,
                "add keyboard-interactive to this list, or leave our people out of its Match block",
            ),
            None => set_for_people(config, "AuthenticationMethods keyboard-interactive publickey"),
        };
        let place =
            in_match.or_else(|| lines.counting(METHODS, methods)).map(|line| format!(" ({})", line.place()));
        return Ok(Finding::fault(
            format!("{METHODS} {methods}{}", place.unwrap_or_default()),
            "No list of methods has keyboard-interactive, so nobody can sign in at the provider.",
            remedy,
        ));
    }
    Ok(Finding::ok(methods))
}
