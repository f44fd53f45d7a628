//! B1: somebody can still get in, and become root, when nothing of ours works.

use super::accounts::User;
use super::facts::Facts;
use super::report::{Finding, Verdict};
use super::stacks::ask;
use std::process::{Command, Stdio};

/// Groups whose members become root, on the distributions.
const ADMINISTRATORS: [&str; 3] = ["sudo", "wheel", "admin"];

const NOBODY: &str = "When the provider or this package fails, nobody can get in and mend it.";

pub(super) fn account(facts: &Facts<'_>) -> Verdict {
    let local = facts.local();
    let others: Vec<&User> =
        local.users.iter().filter(|user| user.has_shell() && facts.is_others(&user.name)).collect();
    let (administrators, rest): (Vec<&User>, Vec<&User>) =
        others.into_iter().partition(|user| user.uid == 0 || local.is_in(user, &ADMINISTRATORS));
    let mut ways = ways_in(&administrators)?;
    if ways.is_empty() {
        // sudo writes a line to the log when it is asked: only where nobody else is found.
        let by_name: Vec<&User> = rest.into_iter().filter(|user| may_sudo(user)).collect();
        ways = ways_in(&by_name)?;
    }
    if !ways.is_empty() {
        return Ok(Finding::ok(ways.join(", ")));
    }
    let all: Vec<&str> = administrators.iter().map(|user| user.name.as_str()).collect();
    let saw = format!("no password and no key opens any of: {}", all.join(" "));
    Ok(Finding::fault(saw, NOBODY, "passwd root"))
}

/// Those who can log in, and by what.
fn ways_in(users: &[&User]) -> Result<Vec<String>, Finding> {
    let able: Vec<&User> =
        users.iter().copied().filter(|user| user.has_password || user.has_keys()).collect();
    let names: Vec<&str> = able.iter().map(|user| user.name.as_str()).collect();
    // A password opens the console, a key sshd.
    let verdicts = ask(&names, &["login", "sshd"]).map_err(|how| {
        Finding::fault(format!("the account phase: {how}"), NOBODY, "oauth2ctl doctor --check P")
    })?;
    let passes = |user: &User, service: &str| {
        verdicts
            .iter()
            .any(|verdict| verdict.name == user.name && verdict.service == service && verdict.passes())
    };
    let way = |user: &&User| {
        let password = user.has_password && (passes(user, "login") || passes(user, "sshd"));
        let key = user.has_keys() && passes(user, "sshd");
        let by = match (password, key) {
            (true, true) => "password, key",
            (true, false) => "password",
            (false, true) => "key",
            (false, false) => return None,
        };
        Some(format!("{} ({by})", user.name))
    };
    Ok(able.iter().filter_map(way).collect())
}

/// Does sudoers(5) give a person who is in none of those groups everything?
fn may_sudo(user: &User) -> bool {
    if user.uid < 1000 || !(user.has_password || user.has_keys()) {
        return false;
    }
    let output = Command::new("/usr/bin/sudo")
        .args(["-n", "-l", "-U", &user.name])
        .env_clear()
        .stdin(Stdio::null())
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("(ALL"))
}
