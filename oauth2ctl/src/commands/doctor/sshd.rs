//! S: what sshd would do for one of ours and for a local user, by its own word (`sshd -T -C`).

use super::facts::Facts;
use super::report::{Finding, Verdict, quoted};
use shared::config::{Config, Provisioning};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

const SSHD: &str = "/usr/sbin/sshd";
const ACCESS_CONF: &str = "/etc/security/access.conf";

/// Fewest unauthenticated connections at a time: each of ours stays for as long as a person needs for a browser.
const STARTUPS: u64 = 30;

/// Keywords in small letters, and the values of their lines.
pub(super) type Settings = BTreeMap<String, Vec<String>>;

/// The command that sets a keyword that no Match block may hold: at the top, before any drop-in, and nowhere else, for of
/// most keywords the first value wins, and of MaxStartups and its like the last.
fn set(keyword: &str, value: &str) -> String {
    format!(
        "sed -i -e '1i {keyword} {value}' -e '/^[[:space:]]*{keyword}[[:space:]]/Id' /etc/ssh/sshd_config \
         && sshd -t && systemctl reload ssh"
    )
}

/// The command that sets a keyword for our people alone.
fn set_for_people(config: &Config, setting: &str) -> String {
    let group = &config.accounts.people_group;
    format!(
        "printf '\\nMatch Group {group}\\n    {setting}\\n' >>/etc/ssh/sshd_config && sshd -t && systemctl reload ssh"
    )
}

/// What sshd says for a user from an address that is nobody's (RFC 5737).
fn settings(facts: &Facts<'_>, user: &str) -> Result<Settings, Finding> {
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

fn parse(text: &str) -> Settings {
    let mut settings = Settings::new();
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        settings.entry(keyword.to_ascii_lowercase()).or_default().push(value.to_owned());
    }
    settings
}

fn value<'s>(settings: &'s Settings, keyword: &str) -> Option<&'s str> {
    settings.get(keyword)?.first().map(String::as_str)
}

/// What sshd says for root: most keywords are the same for everybody.
fn general(facts: &Facts<'_>) -> Result<Settings, Finding> {
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
            "UsePAM no",
            "sshd admits keys of people who are locked, removed or were never verified, and cannot show the prompt.",
            set("UsePAM", "yes"),
        ),
    })
}

/// A name that sshd would treat as one of ours.
fn one_of_ours(facts: &Facts<'_>, config: &Config) -> Result<String, Finding> {
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
            "oauth2ctl enable sshd && sshd -t && systemctl reload ssh",
        ));
    }
    let person = facts.local().first_person(|other| facts.is_others(other) && other != name);
    let local = person.map_or(Ok(general), |user| settings(facts, &user.name))?;
    if is_on(&local) && value(&local, "passwordauthentication") == Some("no") {
        return Ok(Finding::warning(
            "KbdInteractiveAuthentication yes also for local users, who have PasswordAuthentication no",
            "Local users and root can log in by password again, which this machine had turned off.",
            "sed -i 's/^KbdInteractiveAuthentication yes/KbdInteractiveAuthentication no/I' /etc/ssh/sshd_config \
             && oauth2ctl enable sshd && sshd -t && systemctl reload ssh",
        ));
    }
    Ok(Finding::ok(format!("on for {name}")))
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
        return Ok(Finding::fault(
            format!("AuthenticationMethods {methods}"),
            "No list of methods has keyboard-interactive, so nobody can sign in at the provider.",
            set_for_people(config, "AuthenticationMethods keyboard-interactive publickey"),
        ));
    }
    Ok(Finding::ok(methods))
}

/// S4: sshd waits at least as long as this package does.
pub(super) fn grace(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let config = facts.config()?;
    let grace: u64 = value(&settings, "logingracetime").and_then(|value| value.parse().ok()).unwrap_or(0);
    let wanted = config.login_grace.as_secs();
    if grace == 0 {
        return Ok(Finding::ok("no limit"));
    }
    if grace < wanted {
        return Ok(Finding::fault(
            format!("LoginGraceTime {grace}, and \"login_grace\" is {wanted}"),
            "sshd ends the connection while the person is still signing in, and they read nothing.",
            set("LoginGraceTime", &wanted.to_string()),
        ));
    }
    Ok(Finding::ok(format!(
        "{grace} s, \"login_grace\" is {wanted}; 300 gives people time for a second factor"
    )))
}

/// S5: people who sign in hold a connection for a minute; too few of them and sshd drops the others.
pub(super) fn startups(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let text = value(&settings, "maxstartups").unwrap_or_default();
    let begin: u64 = text.split(':').next().and_then(|begin| begin.parse().ok()).unwrap_or(u64::MAX);
    if begin < STARTUPS {
        return Ok(Finding::warning(
            format!("MaxStartups {text}"),
            "When so many people sign in at once, sshd drops further connections at random.",
            set("MaxStartups", "100:30:200"),
        ));
    }
    Ok(Finding::ok(text))
}

/// S6: an office behind one address is many people.
pub(super) fn per_source(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let mut findings = Vec::new();
    let most = value(&settings, "persourcemaxstartups").and_then(|value| value.parse::<u64>().ok());
    if let Some(most) = most.filter(|most| *most < 10) {
        findings.push(Finding::warning(
            format!("PerSourceMaxStartups {most}"),
            "From one address only so many people can sign in at once.",
            set("PerSourceMaxStartups", "10"),
        ));
    }
    let penalties = value(&settings, "persourcepenalties");
    let exempt = value(&settings, "persourcepenaltyexemptlist").filter(|list| *list != "none");
    match (penalties, exempt) {
        (Some(penalties), None) if penalties != "no" => findings.push(Finding::warning(
            format!("PerSourcePenalties {penalties}"),
            "A few people who do not finish their sign-in shut out everybody who comes from the same address.",
            set("PerSourcePenalties", "no"),
        )),
        _ => {}
    }
    let nothing = if penalties.is_none() && most.is_none() { "none" } else { "no penalties for one address" };
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok(nothing)))
}

/// S7: lists of who may come in, whose `@` means something else than in a login name.
pub(super) fn lists(facts: &Facts<'_>) -> Verdict {
    let general = general(facts)?;
    let mut findings: Vec<Finding> = Vec::new();
    for keyword in ["AllowUsers", "DenyUsers"] {
        findings.extend(at_signs(&general, keyword));
    }
    let access = std::fs::read_to_string(ACCESS_CONF).unwrap_or_default();
    findings.extend(access.lines().filter_map(access_line));
    let config = facts.config()?;
    let name = one_of_ours(facts, config).unwrap_or_else(|_| "oauth2-doctor-asks".into());
    let ours = settings(facts, &name).unwrap_or_else(|_| general.clone());
    findings.extend(shut_out(&ours, config, &name));
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok("no list shuts people out")))
}

/// What only somebody who knows the machine's people can decide: in words.
fn edit(how: &str) -> String {
    format!("editor /etc/ssh/sshd_config # {how}; then sshd -t && systemctl reload ssh")
}

fn at_signs(settings: &Settings, keyword: &str) -> Option<Finding> {
    let patterns = settings.get(&keyword.to_ascii_lowercase())?;
    let found = patterns.iter().flat_map(|line| line.split_whitespace()).find(|word| word.contains('@'))?;
    let (user, host) = found.split_once('@')?;
    // Whom a list lets in must not be locked for that.
    let remedy = match keyword {
        "DenyUsers" => format!("oauth2ctl user lock {}", quoted(found)),
        _ => edit(&format!("{} is the login name, for ? stands for any character", found.replace('@', "?"))),
    };
    Some(Finding::warning(
        format!("{keyword} {found}"),
        &format!("sshd reads it as user {user} from host {host}, not as a login name."),
        remedy,
    ))
}

/// access.conf(5): `permission : users : origins`; user@host there too, @netgroup aside.
fn access_line(line: &str) -> Option<Finding> {
    let line = line.trim();
    let users = line.split(':').nth(1).filter(|_| line.starts_with(['+', '-']))?;
    let found = users.split_whitespace().find(|user| user.find('@').is_some_and(|at| at > 0))?;
    Some(Finding::warning(
        format!("{ACCESS_CONF}: {line}"),
        "pam_access reads what follows the @ as a host, not as part of a login name.",
        match line.starts_with('-') {
            true => format!("oauth2ctl user lock {}", quoted(found)),
            false => format!("editor {ACCESS_CONF} # name a group of theirs in parentheses instead"),
        },
    ))
}

/// Lists that leave our people out.
fn shut_out(settings: &Settings, config: &Config, name: &str) -> Option<Finding> {
    let listed = |keyword: &str| settings.get(keyword).map(|lines| lines.join(" "));
    let matches_any = |patterns: &str, text: &str| patterns.split_whitespace().any(|p| glob(p, text));
    let people = config.accounts.people_group.as_str();
    if let Some(patterns) = listed("allowgroups") {
        let mut groups = std::iter::once(people).chain(config.group_names());
        if !groups.any(|group| matches_any(&patterns, group)) {
            return Some(Finding::fault(
                format!("AllowGroups {patterns}"),
                "sshd lets nobody of the provider in: their group is not in the list.",
                format!(
                    "sed -i 's/^AllowGroups .*/& {people}/I' /etc/ssh/sshd_config && sshd -t && systemctl reload ssh"
                ),
            ));
        }
    }
    if let Some(patterns) = listed("denygroups").filter(|patterns| matches_any(patterns, people)) {
        return Some(Finding::fault(
            format!("DenyGroups {patterns}"),
            "sshd lets nobody of the provider in.",
            format!(
                "sed -i 's/^\\(DenyGroups .*\\) {people}/\\1/I' /etc/ssh/sshd_config && sshd -t && systemctl reload ssh"
            ),
        ));
    }
    let patterns = listed("allowusers").filter(|patterns| !matches_any(patterns, name))?;
    Some(Finding::warning(
        format!("AllowUsers {patterns}"),
        "sshd lets in only who is in this list, whatever the provider says.",
        // Nothing to paste: another list in its place shuts out whoever is only in this one.
        edit(&format!(
            "add their login names to AllowUsers; or write AllowGroups in its place, with {people} and every group of the \
             local administrators (sshd asks both lists: whoever is not in each of them is shut out)"
        )),
    ))
}

/// sshd's patterns, but for `?`.
fn glob(pattern: &str, text: &str) -> bool {
    shared::first_login::matches_pattern(pattern, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_sign_in_a_list_is_a_host_and_is_told() {
        let settings = parse("denyusers mallory@example.com\nallowusers bob\nallowusers ann\n");
        assert_eq!(settings.get("allowusers").map(Vec::len), Some(2));
        assert!(at_signs(&settings, "AllowUsers").is_none());
        let finding = at_signs(&settings, "DenyUsers").unwrap();
        assert!(finding.consequence.contains("user mallory from host example.com"));
        assert_eq!(finding.remedy, "oauth2ctl user lock mallory@example.com");
        let denied = access_line("- : mallory@example.com : ALL").unwrap();
        assert_eq!(denied.remedy, "oauth2ctl user lock mallory@example.com");
        for line in ["# - : a@b : ALL", "- : @netgroup : ALL", "+ : root : LOCAL", ""] {
            assert!(access_line(line).is_none(), "{line}");
        }
    }

    #[test]
    fn whom_a_list_lets_in_is_not_locked_for_the_at_sign() {
        let allowed = at_signs(&parse("allowusers ann@example.com\n"), "AllowUsers").unwrap();
        assert!(allowed.remedy.contains("ann?example.com"), "{}", allowed.remedy);
        let allowed = [allowed, access_line("+ : ann@example.com : ALL").unwrap()];
        assert!(allowed.iter().all(|finding| !finding.remedy.contains("lock")));
    }
}
