//! S7: who may come in, by sshd's lists and pam_access's.

use super::facts::Facts;
use super::report::{Finding, Verdict, quoted};
use super::sshd::{RELOAD, Settings, edit, general, one_of_ours, settings};
use crate::commands::sshd_lines::{Line, Lines};
use shared::config::Config;

const ACCESS_CONF: &str = "/etc/security/access.conf";

/// S7: lists of who may come in, whose `@` means something else than in a login name.
pub(super) fn lists(facts: &Facts<'_>) -> Verdict {
    let general = general(facts)?;
    let mut findings: Vec<Finding> = Vec::new();
    for keyword in ["AllowUsers", "DenyUsers"] {
        findings.extend(at_signs(&general, facts.sshd_lines(), keyword));
    }
    let access = std::fs::read_to_string(ACCESS_CONF).unwrap_or_default();
    findings.extend(access.lines().filter_map(access_line));
    let config = facts.config()?;
    let name = one_of_ours(facts, config).unwrap_or_else(|_| "oauth2-doctor-asks".into());
    let ours = settings(facts, &name).unwrap_or_else(|_| general.clone());
    findings.extend(shut_out(&ours, facts.sshd_lines(), config, &name));
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok("no list shuts people out")))
}

/// Where that stands, in brackets.
fn place(line: Option<&Line>) -> String {
    line.map(|line| format!(" ({})", line.place())).unwrap_or_default()
}

fn at_signs(settings: &Settings, lines: &Lines, keyword: &str) -> Option<Finding> {
    let patterns = settings.get(&keyword.to_ascii_lowercase())?;
    let found = patterns.iter().flat_map(|line| line.split_whitespace()).find(|word| word.contains('@'))?;
    let (user, host) = found.split_once('@')?;
    let line = lines.all(keyword).find(|line| line.value.split_whitespace().any(|word| word == found));
    // Whom a list lets in must not be locked for that.
    let remedy = match keyword {
        "DenyUsers" => format!("oauth2ctl user lock {}", quoted(found)),
        _ => edit(
            line,
            &format!("{} is the login name, for ? stands for any character", found.replace('@', "?")),
        ),
    };
    Some(Finding::warning(
        format!("{keyword} {found}{}", place(line)),
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
fn shut_out(settings: &Settings, lines: &Lines, config: &Config, name: &str) -> Option<Finding> {
    let listed = |keyword: &str| settings.get(keyword).map(|lines| lines.join(" "));
    let matches_any = |patterns: &str, text: &str| patterns.split_whitespace().any(|p| glob(p, text));
    let people = config.accounts.people_group.as_str();
    if let Some(patterns) = listed("allowgroups") {
        let mut groups = std::iter::once(people).chain(config.group_names());
        if !groups.any(|group| matches_any(&patterns, group)) {
            let line = of_list(lines, "AllowGroups", &patterns);
            return Some(Finding::fault(
                format!("AllowGroups {patterns}{}", place(line)),
                "sshd lets nobody of the provider in: their group is not in the list.",
                let_in(line, people),
            ));
        }
    }
    if let Some(patterns) = listed("denygroups").filter(|patterns| matches_any(patterns, people)) {
        let denies = |line: &&Line| matches_any(&line.value, people);
        let line = lines.general("DenyGroups").find(denies).or_else(|| lines.all("DenyGroups").find(denies));
        return Some(Finding::fault(
            format!("DenyGroups {patterns}{}", place(line)),
            "sshd lets nobody of the provider in.",
            no_longer_deny(line, people),
        ));
    }
    let patterns = listed("allowusers").filter(|patterns| !matches_any(patterns, name))?;
    let line = lines.all("AllowUsers").next();
    Some(Finding::warning(
        format!("AllowUsers {patterns}{}", place(line)),
        "sshd lets in only who is in this list, whatever the provider says.",
        // Nothing to paste: another list in its place shuts out whoever is only in this one.
        edit(
            line,
            &format!(
                "add their login names to AllowUsers; or write AllowGroups in its place, with {people} and every group of the \
                 local administrators (sshd asks both lists: whoever is not in each of them is shut out)"
            ),
        ),
    ))
}

/// For sed: the words of a list, up to a comment behind them.
const WORDS: &str = "\\([[:space:]=]\\+[^#[:space:]][^[:space:]]*\\)\\+";

/// The line that a list in effect comes from: one that holds for everybody, unless that one does not count.
fn of_list<'l>(lines: &'l Lines, keyword: &'l str, patterns: &str) -> Option<&'l Line> {
    let is_part = |line: &&Line| {
        line.value.split_whitespace().all(|word| patterns.split_whitespace().any(|other| other == word))
    };
    lines.general(keyword).find(is_part).or_else(|| lines.all(keyword).find(is_part))
}

/// Our people's group in a line of AllowGroups.
fn let_in(line: Option<&Line>, people: &str) -> String {
    in_line(line, &format!("s/^[[:space:]]*AllowGroups{WORDS}/& {people}/I"), &format!("add {people}"))
}

/// Our people's group out of a line of DenyGroups.
fn no_longer_deny(line: Option<&Line>, people: &str) -> String {
    if !line.is_some_and(|line| line.value.split_whitespace().any(|word| word == people)) {
        return edit(line, &format!("{people} must not match"));
    }
    // sshd does not start with an empty list.
    let change = match line.is_some_and(|line| line.value == people) {
        true => "d".to_owned(),
        false => {
            format!(
                "s/^\\([[:space:]]*DenyGroups\\({WORDS}\\)\\?\\)[[:space:]=]\\+{people}\\([[:space:]]\\|$\\)/\\1 /I"
            )
        }
    };
    in_line(line, &change, &format!("take {people} out"))
}

/// The command that edits one line where it stands. One in a Match block is somebody's intention: in words only.
fn in_line(line: Option<&Line>, change: &str, how: &str) -> String {
    match line {
        Some(line) if !line.in_match => {
            format!("sed -i '{}{change}' {} && {RELOAD}", line.number, quoted(&line.file.to_string_lossy()))
        }
        line => edit(line, how),
    }
}

/// sshd's patterns, but for `?`.
fn glob(pattern: &str, text: &str) -> bool {
    shared::first_login::matches_pattern(pattern, text)
}

#[cfg(test)]
mod tests {
    use super::super::sshd::parse;
    use super::*;

    #[test]
    fn an_at_sign_in_a_list_is_a_host_and_is_told() {
        let settings = parse("denyusers mallory@example.com\nallowusers bob\nallowusers ann\n");
        assert_eq!(settings.get("allowusers").map(Vec::len), Some(2));
        assert!(at_signs(&settings, &Lines::default(), "AllowUsers").is_none());
        let finding = at_signs(&settings, &Lines::default(), "DenyUsers").unwrap();
        assert!(finding.consequence.contains("user mallory from host example.com"));
        assert_eq!(finding.remedy, "oauth2ctl user lock mallory@example.com");
        let denied = access_line("- : mallory@example.com : ALL").unwrap();
        assert_eq!(denied.remedy, "oauth2ctl user lock mallory@example.com");
        for line in ["# - : a@b : ALL", "- : @netgroup : ALL", "+ : root : LOCAL", ""] {
            assert!(access_line(line).is_none(), "{line}");
        }
    }

    /// What the command of a remedy makes of sshd's configuration.
    fn mended(text: &str, remedy: impl Fn(&Lines) -> String) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sshd_config");
        std::fs::write(&path, text).unwrap();
        let remedy = remedy(&Lines::of(&path));
        let sed = remedy.split(" && ").next().filter(|first| first.starts_with("sed")).unwrap_or("true");
        assert!(std::process::Command::new("sh").args(["-c", sed]).status().unwrap().success(), "{sed}");
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn a_group_goes_into_the_list_that_counts_and_not_into_its_comment() {
        let add = |lines: &Lines| let_in(of_list(lines, "AllowGroups", "sudo adm"), "people");
        for (before, after) in [
            ("AllowGroups sudo # of old\n", "AllowGroups sudo people # of old\n"),
            ("allowgroups=sudo adm\n", "allowgroups=sudo adm people\n"),
            ("  AllowGroups\tsudo  \n", "  AllowGroups\tsudo people  \n"),
            (
                "Match User x\nAllowGroups sudo\nMatch all\nAllowGroups adm\n",
                "Match User x\nAllowGroups sudo\nMatch all\nAllowGroups adm people\n",
            ),
            // Somebody's intention: nothing to paste.
            ("Match User x\nAllowGroups sudo\n", "Match User x\nAllowGroups sudo\n"),
        ] {
            assert_eq!(mended(before, add), after);
        }
    }

    #[test]
    fn a_group_goes_out_of_the_list_and_a_list_of_nobody_goes_as_a_whole() {
        let out = |lines: &Lines| no_longer_deny(lines.all("DenyGroups").next(), "people");
        for (before, after) in [
            ("DenyGroups people\nUsePAM yes\n", "UsePAM yes\n"),
            ("DenyGroups bad people # people\n", "DenyGroups bad # people\n"),
            ("DenyGroups people bad\n", "DenyGroups bad\n"),
            ("DenyGroups peoples people worse\n", "DenyGroups peoples worse\n"),
            ("DenyGroups p*\n", "DenyGroups p*\n"),
        ] {
            assert_eq!(mended(before, out), after);
        }
    }

    #[test]
    fn whom_a_list_lets_in_is_not_locked_for_the_at_sign() {
        let allowed =
            at_signs(&parse("allowusers ann@example.com\n"), &Lines::default(), "AllowUsers").unwrap();
        assert!(allowed.remedy.contains("ann?example.com"), "{}", allowed.remedy);
        let allowed = [allowed, access_line("+ : ann@example.com : ALL").unwrap()];
        assert!(allowed.iter().all(|finding| !finding.remedy.contains("lock")));
    }
}
