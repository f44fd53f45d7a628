//! `explain`: each rule of a login with its verdict, and what the person would get. Nothing is written.

mod outcome;
mod source;

use crate::cli::Explain;
use crate::failure::Failure;
use crate::output::{Color, answer, colored, field, table, warn};
use crate::terminal::Terminal;
use outcome::{Services, grants};
use pam_oauth2::admission::Verdict;
use pam_oauth2::login::{self, Exit, Explanation, Login, Machine};
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::outcome::{FailureClass, LoginError};
use pam_oauth2::provision::DryRun;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::config::Provider;
use shared::identity::claims::Claims;

/// Services whose account phase also meets people who sign in elsewhere.
const OTHERS: [&str; 4] = ["sshd", "cron", "su", "sudo"];

pub(super) fn run(machine: &Machine, request: &Explain) -> Result<(), Failure> {
    let loaded = machine.load_config()?;
    loaded.warnings.iter().for_each(|warning| warn(warning));
    let clock = SystemClock::new();
    let source = source::read(request, &loaded.config, &clock)?;
    let mut services = loaded.config.services.clone();
    let main = services.first().cloned().unwrap_or_else(|| "sshd".to_owned());
    services.extend(
        OTHERS
            .iter()
            .filter(|other| !loaded.config.services.iter().any(|s| s == *other))
            .map(|&other| other.to_owned()),
    );

    let connect = |provider: &Provider| login::https(provider, limit_lookups);
    let mut dry = DryRun;
    let mut host = Terminal::new(machine, &request.name, &main);
    let mut trial = Login {
        machine,
        host: &mut host,
        connect: &connect,
        clock: &clock,
        provisioner: &mut dry,
        counters: None,
    };
    let explanation = login::explain(&mut trial, &source.claims)?;
    let services = Services::of(machine, &request.name, &services, &source.claims, &explanation)?;

    report_source(&source, &main);
    report_rules(&request.name, &explanation, source.groups_elsewhere);
    grants(machine, &source.claims, &explanation)?;
    services.report(&explanation);
    if loaded.config.require_publickey {
        answer("require_publickey: sshd is taken to have seen a key of theirs");
    }
    if source.groups_elsewhere && hangs_on_groups(&explanation) {
        return groups_decide(&request.name);
    }
    conclude(&request.name, explanation)
}

/// Is it for want of a group that nobody is admitted?
fn hangs_on_groups(explanation: &Explanation) -> bool {
    matches!(&explanation.decision, Err(Exit::Failed(LoginError::Policy(denied))) if denied.lacks_groups())
}

/// The groups that decide are known to Microsoft Graph alone: that is neither a yes nor a no.
fn groups_decide(name: &str) -> Result<(), Failure> {
    field("admitted", Value::Null);
    field("reason", "groups_unknown");
    let shown = shared::text::printable(name, 64);
    let sentence = format!("whether {shown} would be admitted is not known: {GROUPS_ELSEWHERE}");
    answer(&format!("\n{}", colored(&sentence, Color::Yellow)));
    Err(Failure::Warnings)
}

/// What can be said about groups that are not in the token.
const GROUPS_ELSEWHERE: &str = "the person is in more groups than fit into a token. A login asks Microsoft Graph for them, with the \
                                person's own token and the delegated permission User.Read; oauth2ctl login NAME tries it";

fn report_source(source: &source::Source, service: &str) {
    field("verified", source.verified);
    field("service", service);
    let Claims { issuer, subject, username, groups } = &source.claims;
    field(
        "claims",
        json!({"issuer": issuer.as_str(), "subject": subject.as_str(), "username": username, "groups": groups}),
    );
    if source.verified {
        answer("Verified as in a login, but for the token's age.");
    } else {
        answer(&colored("NOT VERIFIED: nobody vouches for these claims.", Color::Yellow));
    }
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let text = |text: &str| shared::text::printable(text, 255);
    table(&[
        vec!["issuer".into(), text(issuer.as_str())],
        vec!["subject".into(), text(subject.as_str())],
        vec!["the provider's name".into(), text(username)],
        vec![
            "the provider's groups".into(),
            if groups.is_empty() { "none".into() } else { text(&groups.join(" ")) },
        ],
    ]);
    if source.groups_elsewhere {
        warn(GROUPS_ELSEWHERE);
    }
}

fn report_rules(name: &str, explanation: &Explanation, groups_elsewhere: bool) {
    let mut rows = vec![vec!["RULE".to_owned(), "VERDICT".into(), "WHY".into()]];
    let mut rules: Vec<Value> = Vec::new();
    let mut add = |rule: &str, why_not: Option<(&'static str, String)>| {
        let (verdict, why) = match &why_not {
            None => (colored("admits", Color::Green), sentence(rule).to_owned()),
            Some((reason @ "groups_unknown", detail)) => {
                (colored("not known", Color::Yellow), format!("{reason}: {detail}"))
            }
            Some((reason, detail)) => (colored("refuses", Color::Red), format!("{reason}: {detail}")),
        };
        rules.push(json!({
            "rule": rule,
            "admits": why_not.is_none(),
            "reason": why_not.as_ref().map(|(reason, _)| reason),
            "detail": why,
        }));
        rows.push(vec![rule.to_owned(), verdict, why]);
    };
    match (&explanation.account, &explanation.decision) {
        (None, Err(exit)) => add("account", Some(why(name, exit))),
        _ => add("account", None),
    }
    for Verdict { rule, outcome } in &explanation.rules {
        let why_not = outcome.as_ref().err().map(|error| match error {
            LoginError::Policy(denied) if groups_elsewhere && denied.lacks_groups() => {
                ("groups_unknown", "only Microsoft Graph knows the groups".to_owned())
            }
            error => (error.class().1, error.detail(name)),
        });
        add(rule, why_not);
    }
    field("rules", rules);
    answer("");
    table(&rows);
}

/// What a rule says when it admits.
fn sentence(rule: &str) -> &'static str {
    match rule {
        "account" => "the machine holds an account for the name, and nothing bars it",
        "mapping" => "the provider's name is a login name here (username_map, username_case)",
        "requested_name" => "whoever approved is the person who asked to come in",
        "allowed_users" => "the name is in allowed_users, or there is no such list",
        "allowed_groups" => "the person is in one of allowed_groups, or there is no such list",
        "subject_binding" => "the name belongs to this issuer and subject, or to nobody yet",
        "account_unchanged" => "the account is the one on record, or the first",
        "name_admissible" => "no service, user, group or configured group has the name",
        "uid_free" => "nobody else has the uid",
        "home_free" => "the home directory is theirs, or does not exist yet",
        _ => "",
    }
}

/// Reason and sentence of an end without success.
fn why(name: &str, exit: &Exit) -> (&'static str, String) {
    match exit {
        Exit::Failed(error) => (error.class().1, error.detail(name)),
        Exit::NotOurs(not_ours) => ("not_ours", not_ours.to_string()),
    }
}

fn conclude(name: &str, explanation: Explanation) -> Result<(), Failure> {
    let shown = shared::text::printable(name, 64);
    let Err(exit) = explanation.decision else {
        field("admitted", true);
        answer(&format!("\n{}", colored(&format!("{shown} would be admitted"), Color::Green)));
        return Ok(());
    };
    field("admitted", false);
    field("revokes", explanation.revokes);
    if explanation.revokes {
        answer("This sign-in would end their keys, cron jobs and su too, until one is admitted.");
    }
    let (reason, detail) = why(name, &exit);
    field("reason", reason);
    match exit {
        Exit::Failed(error) if is_fault(&error) => Err(error.into()),
        _ => Err(Failure::Refused(format!("{shown} would be refused ({reason}): {detail}"))),
    }
}

/// Not a refusal of a person, but something that must be mended.
fn is_fault(error: &LoginError) -> bool {
    matches!(error.class().0, FailureClass::Misconfigured | FailureClass::Broken | FailureClass::Unavailable)
}
