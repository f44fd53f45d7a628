//! S4 to S6: sshd's limits on people who are still signing in.

use super::super::sshd_limits::{GRACE, MAX_STARTUPS, PENALTIES, PER_SOURCE, is_enough};
use super::facts::Facts;
use super::report::{Finding, Verdict};
use super::sshd::{general, set, value, with_place};

/// S4: sshd waits at least as long as this package does.
pub(super) fn grace(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let wanted = facts.config()?.login_grace.as_secs();
    let grace = value(&settings, "logingracetime").unwrap_or("0");
    if grace == "0" {
        return Ok(Finding::ok("no limit"));
    }
    if !is_enough("LoginGraceTime", grace, wanted) {
        return Ok(Finding::fault(
            with_place(facts, "LoginGraceTime", grace, &format!(", and \"login_grace\" is {wanted}")),
            "sshd ends the connection while the person is still signing in, and they read nothing.",
            set(facts, "LoginGraceTime", &wanted.to_string(), grace),
        ));
    }
    Ok(Finding::ok(format!(
        "{grace} s, \"login_grace\" is {wanted}; {GRACE} gives people time for a second factor"
    )))
}

/// S5: people who sign in hold a connection for a minute; too few of them and sshd drops the others.
pub(super) fn startups(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let text = value(&settings, "maxstartups").unwrap_or_default();
    if is_enough("MaxStartups", text, 0) {
        return Ok(Finding::ok(text));
    }
    Ok(Finding::warning(
        with_place(facts, "MaxStartups", text, ""),
        "When so many people sign in at once, sshd drops further connections at random.",
        set(facts, "MaxStartups", MAX_STARTUPS, text),
    ))
}

/// S6: an office behind one address is many people.
pub(super) fn per_source(facts: &Facts<'_>) -> Verdict {
    let settings = general(facts)?;
    let mut findings = Vec::new();
    let most = value(&settings, "persourcemaxstartups").unwrap_or("none");
    if !is_enough("PerSourceMaxStartups", most, 0) {
        findings.push(Finding::warning(
            with_place(facts, "PerSourceMaxStartups", most, ""),
            "From one address only so many people can sign in at once.",
            set(facts, "PerSourceMaxStartups", PER_SOURCE, most),
        ));
    }
    let penalties = value(&settings, "persourcepenalties").unwrap_or("no");
    let exempt = value(&settings, "persourcepenaltyexemptlist").filter(|list| *list != "none");
    if exempt.is_none() && !is_enough("PerSourcePenalties", penalties, 0) {
        findings.push(Finding::warning(
            with_place(facts, "PerSourcePenalties", penalties, ""),
            "A few people who do not finish their sign-in shut out everybody who comes from the same address.",
            set(facts, "PerSourcePenalties", PENALTIES, penalties),
        ));
    }
    let saw = match (most, penalties) {
        ("none", "no") => "none".to_owned(),
        _ => format!("PerSourceMaxStartups {most}, PerSourcePenalties {penalties}"),
    };
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok(saw)))
}
