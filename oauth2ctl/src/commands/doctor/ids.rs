//! N5: nobody else has, or will be given, the numbers of our people.

use super::facts::Facts;
use super::report::{Finding, Verdict};
use pam_oauth2::name_service;
use shared::config::{Config, Provisioning};
use shared::etc::subordinate_ranges;
use std::collections::BTreeMap;

const LASTLOG: &str = "/var/log/lastlog";

/// A lastlog(8) file of more than this, in bytes, is one that backups and copies choke on.
const LASTLOG_MOST: u64 = 1 << 30;

/// At most so many people are looked up in the other sources.
const SAMPLE: usize = 200;

/// SSSD's range for the ids of Active Directory, where nothing else is written (sssd-ad(5)).
const SSSD_RANGE: (u32, u32) = (200_000, 2_000_200_000);

const SHARED: &str = "Two accounts would share a number, and own each other's files.";

pub(super) fn ids(facts: &Facts<'_>) -> Verdict {
    let config = facts.config()?;
    if config.provisioning == Provisioning::None {
        return Err(Finding::not_applicable("\"provisioning\" is none: uids are not ours"));
    }
    let mut findings = local_users(facts, config);
    findings.extend(subordinate(config));
    findings.extend(login_defs(config));
    findings.extend(sssd(config));
    findings.extend(other_sources(facts));
    findings.extend(lastlog());
    let (uids, gids) = (config.accounts.uid_range, config.accounts.gid_range);
    let saw = format!(
        "uids {}-{}, gids {}-{} are ours alone",
        uids.first(),
        uids.last(),
        gids.first(),
        gids.last()
    );
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok(saw)))
}

/// Users of /etc/passwd with a number of ours, or one number twice.
fn local_users(facts: &Facts<'_>, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_uid: BTreeMap<u32, &str> = BTreeMap::new();
    for user in &facts.local().users {
        if let Some(first) = by_uid.insert(user.uid, &user.name) {
            let saw = format!("{first} and {} both have uid {}", user.name, user.uid);
            findings.push(Finding::warning(saw, SHARED, free(&user.name)));
        }
        let holder = facts.people().iter().find(|person| person.account.uid.get() == user.uid);
        if let Some(person) = holder.filter(|person| person.account.name.as_str() != user.name) {
            let saw = format!("{} of /etc/passwd has uid {} of {}", user.name, user.uid, person.account.name);
            findings.push(Finding::fault(saw, SHARED, free(&user.name)));
        } else if holder.is_none() && contains(config, user.uid) {
            let saw = format!("{} of /etc/passwd has uid {}, in \"uid_range\"", user.name, user.uid);
            let consequence = "The person whose name leads to this uid cannot sign in (uid_collision).";
            findings.push(Finding::warning(saw, consequence, free(&user.name)));
        }
    }
    findings
}

fn contains(config: &Config, uid: u32) -> bool {
    overlaps(config, (uid, uid))
}

fn overlaps(config: &Config, (first, last): (u32, u32)) -> bool {
    let accounts = &config.accounts;
    [accounts.uid_range, accounts.gid_range]
        .iter()
        .any(|range| first <= range.last() && range.first() <= last)
}

fn free(name: &str) -> String {
    format!(
        "usermod -u $(awk -F: '$3>=1000&&$3<60000&&$3>m{{m=$3}}END{{print m+1}}' /etc/passwd) {name} && oauth2ctl publish"
    )
}

fn subordinate(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let Some((first, last)) = subordinate_ranges(line).first().copied() else { continue };
            if overlaps(config, (first, last)) {
                let saw = format!("{file} gives {first}-{last} away");
                let consequence = "Whoever holds that range is our people inside a container of their own.";
                findings.push(Finding::fault(saw, consequence, format!("sed -i '/^{line}$/d' {file}")));
            }
        }
    }
    findings
}

/// useradd(8) takes new numbers from these ranges.
fn login_defs(config: &Config) -> Vec<Finding> {
    let file = "/etc/login.defs";
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let number = |key: &str| {
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()?.parse::<u32>().ok())?
        })
    };
    let ranges = [
        ("UID_MIN", "UID_MAX", 60_000),
        ("GID_MIN", "GID_MAX", 60_000),
        ("SUB_UID_MIN", "SUB_UID_MAX", 600_100_000),
    ];
    ranges
        .into_iter()
        .filter_map(|(least, most, default)| {
            let last = number(most).unwrap_or(default);
            let range = (number(least).unwrap_or(1000), last);
            overlaps(config, range).then(|| {
                let saw = format!("{file}: {least} {} to {most} {last} overlaps ours", range.0);
                let remedy = format!("sed -i -E 's/^({most}[[:space:]]+).*/\\1{default}/' {file}");
                Finding::warning(
                    saw,
                    "useradd may give away a number that belongs to a person of ours.",
                    remedy,
                )
            })
        })
        .collect()
}

/// SSSD computes numbers too, from what a directory says.
fn sssd(config: &Config) -> Option<Finding> {
    let file = "/etc/sssd/sssd.conf";
    let text = std::fs::read_to_string(file).ok()?;
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    let provider = value("id_provider").unwrap_or_default();
    let maps =
        provider == "ad" || value("ldap_id_mapping").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let number = |key, default| value(key).and_then(|value| value.parse().ok()).unwrap_or(default);
    let range = (
        number("ldap_idmap_range_min", SSSD_RANGE.0),
        number("ldap_idmap_range_max", SSSD_RANGE.1).saturating_sub(1),
    );
    (maps && overlaps(config, range)).then(|| {
        let saw = format!("{file}: ids {}-{} overlap ours", range.0, range.1);
        let first = config.accounts.uid_range.first();
        let remedy = format!(
            "sed -i '/^id_provider/a ldap_idmap_range_max = {first}' {file} && systemctl restart sssd"
        );
        Finding::warning(saw, SHARED, remedy)
    })
}

/// Another source of the name service that knows one of our names by another number, or our number by another name.
fn other_sources(facts: &Facts<'_>) -> Vec<Finding> {
    let visible = facts.people().iter().filter(|person| !person.existing && !person.probe).take(SAMPLE);
    visible
        .filter_map(|person| {
            let name = person.account.name.as_str();
            let found = name_service::user_by_name(name).ok().flatten()?;
            (found.uid != person.account.uid.get()).then(|| {
                let saw = format!(
                    "{name} has uid {} in the name service, and {} here",
                    found.uid, person.account.uid
                );
                let consequence = "Another source has the name, so the person of ours cannot sign in.";
                Finding::fault(saw, consequence, format!("oauth2ctl user pin {name} --uid {}", found.uid))
            })
        })
        .collect()
}

/// It has a place for every uid up to the highest that ever logged in.
fn lastlog() -> Option<Finding> {
    let length = std::fs::metadata(LASTLOG).ok()?.len();
    (length > LASTLOG_MOST).then(|| {
        let saw = format!("{LASTLOG} looks {} GiB long", length >> 30);
        let consequence = "Backups and copies that do not know of sparse files fill the disk with it.";
        Finding::warning(saw, consequence, format!("truncate -s 0 {LASTLOG}"))
    })
}
