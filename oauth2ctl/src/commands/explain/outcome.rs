//! What the person would get, and what PAM would be answered.

use crate::failure::Failure;
use crate::output::{answer, field, table};
use crate::terminal::Terminal;
use pam_oauth2::login::{self, Explanation, Login, Machine, Phases};
use pam_oauth2::name_service::limit_lookups;
use pam_oauth2::outcome::Reply;
use pam_oauth2::provision::DryRun;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::config::Provider;
use shared::identity::account::Account;
use shared::identity::claims::Claims;
use shared::store::Store;
use shared::store::publish::Inputs;
use std::collections::BTreeMap;

/// The account and its groups, and the groups that are not given.
pub(super) fn grants(machine: &Machine, claims: &Claims, explanation: &Explanation) -> Result<(), Failure> {
    let Some(account) = &explanation.account else { return Ok(()) };
    let inputs = machine.inputs()?;
    let given = given(machine, &inputs, account, explanation)?;
    let left_out = left_out(&inputs, claims, explanation);
    field(
        "account",
        json!({
            "name": account.name.as_str(),
            "uid": account.uid.get(),
            "gid": account.gid.get(),
            "home": account.home,
            "shell": account.shell,
        }),
    );
    let groups: Vec<Value> = given
        .iter()
        .map(|(name, (gid, origin))| json!({"name": name, "gid": gid, "origin": origin}))
        .collect();
    field("groups", groups);
    let refused: Vec<Value> =
        left_out.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    field("groups_left_out", refused);
    let mut rows = vec![
        vec!["login name".to_owned(), account.name.to_string()],
        vec!["uid, gid".into(), format!("{}, {}", account.uid, account.gid)],
        vec!["home, shell".into(), format!("{}, {}", account.home, account.shell)],
    ];
    rows.extend(
        given.iter().map(|(name, (gid, origin))| vec!["group".into(), format!("{name} ({gid}), {origin}")]),
    );
    rows.extend(left_out.iter().map(|(name, why)| vec!["not given".into(), format!("{name}: {why}")]));
    answer("");
    table(&rows);
    Ok(())
}

/// name -> (gid, whose word it is).
fn given(
    machine: &Machine,
    inputs: &Inputs,
    account: &Account,
    explanation: &Explanation,
) -> Result<BTreeMap<String, (u32, &'static str)>, Failure> {
    let mut given = BTreeMap::new();
    let gid_of = |name: &str| inputs.local.group(name).map(|line| line.gid);
    if let Ok(decision) = &explanation.decision {
        for group in &decision.groups {
            given.insert(group.name.to_string(), (group.gid.get(), "group_map"));
        }
    }
    for name in inputs.config.groups.local.iter().filter(|name| inputs.may_grant(name.as_str())) {
        given.insert(name.to_string(), (gid_of(name.as_str()).unwrap_or_default(), "local_groups"));
    }
    // What an administrator gave this person alone.
    let store = Store::open(&machine.places)?;
    for name in store.local_group_names(&account.name)?.iter().filter(|name| inputs.may_grant(name)) {
        given.entry(name.clone()).or_insert((gid_of(name).unwrap_or_default(), "oauth2ctl user add"));
    }
    let people = &inputs.config.accounts.people_group;
    let gid = gid_of(people.as_str()).unwrap_or(inputs.config.accounts.people_gid.get());
    given.insert(people.to_string(), (gid, "people_group"));
    Ok(given)
}

/// (group, why it is not given).
fn left_out(inputs: &Inputs, claims: &Claims, explanation: &Explanation) -> Vec<(String, String)> {
    let mapped = &inputs.config.mapping.group_map;
    let unmapped = claims.groups.iter().filter(|id| !mapped.contains_key(*id));
    let mut left_out: Vec<(String, String)> = unmapped
        .map(|id| (shared::text::printable(id, 128), "the provider's group is not in group_map".to_owned()))
        .collect();
    for name in inputs.ungranted_groups() {
        let why = match inputs.local.group(name) {
            None => "missing in /etc/group",
            Some(_) => {
                "its gid is that of a privileged group, and allow_privileged_groups does not name that"
            }
        };
        left_out.push((name.to_owned(), why.to_owned()));
    }
    if let Ok(decision) = &explanation.decision {
        left_out.extend(decision.warnings.iter().map(|warning| ("group_map".to_owned(), warning.clone())));
    }
    left_out
}

/// What PAM is answered, by service.
pub(super) struct Services(Vec<Answers>);

struct Answers {
    service: String,
    auth: Reply,
    after: Phases,
    now: Phases,
}

impl Services {
    pub(super) fn of(
        machine: &Machine,
        name: &str,
        services: &[String],
        claims: &Claims,
        explanation: &Explanation,
    ) -> Result<Self, Failure> {
        let clock = SystemClock::new();
        let connect = |provider: &Provider| login::https(provider, limit_lookups);
        let answers = services.iter().map(|service| {
            let mut dry = DryRun;
            let mut host = Terminal::new(machine, name, service);
            let mut trial = Login {
                machine,
                host: &mut host,
                connect: &connect,
                clock: &clock,
                provisioner: &mut dry,
                counters: None,
            };
            let decision = login::explain(&mut trial, claims)?.decision;
            let auth = decision.map_or_else(|exit| exit.reply(), |_| Reply::Success);
            let now = login::phases(&mut trial, None)?;
            let Some(signed_in) = &explanation.signed_in else {
                return Ok(Answers { service: service.clone(), auth, after: now, now });
            };
            // Whoever has signed in is published, for every program.
            let mut everywhere = Terminal { prospective: true, ..Terminal::new(machine, name, service) };
            trial.host = &mut everywhere;
            let after = login::phases(&mut trial, Some(signed_in))?;
            Ok::<_, Failure>(Answers { service: service.clone(), auth, after, now })
        });
        Ok(Self(answers.collect::<Result<_, _>>()?))
    }

    pub(super) fn report(&self, explanation: &Explanation) {
        let objects: Vec<Value> = self.0.iter().map(Answers::object).collect();
        field("services", objects);
        let head = ["SERVICE", "AUTH", "ACCOUNT", "SETCRED", "SESSION", "ACCOUNT WITHOUT IT"];
        let mut rows = vec![head.iter().map(|&title| title.to_owned()).collect::<Vec<_>>()];
        rows.extend(self.0.iter().map(Answers::row));
        answer("");
        if explanation.signed_in.is_some() {
            answer(
                "What PAM is answered; account, setcred and session after the sign-in, the last column without it:",
            );
        } else {
            answer("What PAM is answered as things are:");
        }
        table(&rows);
    }
}

impl Answers {
    fn row(&self) -> Vec<String> {
        let replies =
            [self.auth, self.after.account, self.after.setcred, self.after.session, self.now.account];
        [self.service.clone()].into_iter().chain(replies.map(code)).collect()
    }

    fn object(&self) -> Value {
        json!({
            "service": self.service,
            "auth": code(self.auth),
            "account": code(self.after.account),
            "setcred": code(self.after.setcred),
            "session": code(self.after.session),
            "account_without_sign_in": code(self.now.account),
        })
    }
}

/// The name of the code, as in pam(3).
fn code(reply: Reply) -> String {
    format!("{:?}", reply.code())
}
