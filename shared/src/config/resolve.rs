//! From JSON fields to typed values: defaults, bounds, and what contradicts what.

use super::groups::{Groups, group_map, groups, is_guarded, provider_id};
use super::keys::nearest_in;
use super::limits::limits;
use super::provider::provider;
use super::raw::{Fault, Fields};
use super::{Accounts, Config, CreateHome, LocalUsers, Mapping, Messages, Policy, Prompt, Provisioning};
use crate::etc::nsswitch_sources;
use crate::identity::ids::{GID_RANGE, IdKey, IdRange, UID_RANGE};
use crate::secure_file::SecureFileError;
use crate::types::{Gid, GroupName, LoginName, Uid};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sources of nsswitch.conf beside which a stranger's name may be prospective without being asked for.
const HARMLESS_SOURCES: [&str; 4] = ["files", "compat", "systemd", "oauth2"];

/// Everybody's group, unless the configuration names another.
const PEOPLE_GROUP: &str = "oauth2-users";

/// Resolves the fields; faults are noted in them. `None` when something required is missing.
pub(super) fn config(
    fields: &mut Fields,
    nsswitch: &str,
    mut read_secret: impl FnMut(&Path) -> Result<Vec<u8>, SecureFileError>,
    warnings: &mut Vec<String>,
) -> Option<Config> {
    fields.refuse_null(&["allowed_groups", "allowed_users", "allowed_tenants", "first_login"]);
    let (provisioning, local_users) = provisioning(fields, nsswitch, warnings);
    let provider = provider(fields, &mut read_secret, warnings);
    let is_entra = provider.as_ref().is_some_and(|provider| provider.entra.is_some());
    let groups = groups(fields);
    let mapping = mapping(fields, is_entra, &groups);
    let policy = policy(fields, mapping.preserve_case, is_entra);
    let accounts = accounts(fields, nsswitch, mapping.preserve_case, &mut read_secret);
    let prompt = prompt(fields, warnings);
    let services = fields.list("services").unwrap_or_else(|| vec!["sshd".into()]);
    let require_publickey = fields.boolean("require_publickey", false);
    let limits = limits(fields);
    let login_grace = Duration::from_secs(fields.number("login_grace", 30..=3600).unwrap_or(120));
    let polling_timeout =
        fields.number("oauth_device_token_polling_timeout", 1..=3600).map(Duration::from_secs);
    let accounts = accounts?;
    shadowing(fields, &mapping, &groups, &accounts);
    Some(Config {
        provider: provider?,
        mapping,
        groups,
        provisioning,
        local_users,
        policy,
        accounts,
        prompt,
        services,
        require_publickey,
        limits,
        login_grace,
        polling_timeout,
        digest: [0; 32],
    })
}

/// Where accounts come from, and whether the machine's own users may sign in too. An earlier module's configuration says
/// neither: it finds its people where they are.
fn provisioning(
    fields: &mut Fields,
    nsswitch: &str,
    warnings: &mut Vec<String>,
) -> (Provisioning, LocalUsers) {
    let words =
        [("store", Provisioning::Store), ("useradd", Provisioning::Useradd), ("none", Provisioning::None)];
    let written = fields.word("provisioning", &words);
    let is_listed = nsswitch_sources(nsswitch, "passwd").iter().any(|source| source == "oauth2");
    let provisioning = written.unwrap_or(if is_listed { Provisioning::Store } else { Provisioning::None });
    if provisioning != Provisioning::None && !is_listed {
        warnings.push(
            "nsswitch.conf does not list oauth2 for passwd: nobody can sign in for the first time".into(),
        );
    }
    let words = [("ignore", LocalUsers::Ignore), ("allow", LocalUsers::Allow)];
    let local_users = fields.word("local_users", &words).unwrap_or(match written {
        Some(Provisioning::Store | Provisioning::Useradd) => LocalUsers::Ignore,
        _ => LocalUsers::Allow,
    });
    (provisioning, local_users)
}

/// Notes a fault; there is no value then.
pub(super) fn fault<T>(fields: &mut Fields, key: &str, expected: impl Into<String>) -> Option<T> {
    fields.fault(key, expected);
    None
}

fn mapping(fields: &mut Fields, is_entra: bool, groups: &Groups) -> Mapping {
    // Entra's v1.0 tokens call it upn. The earlier module fell back to sub.
    let default = if is_entra { &["preferred_username", "upn", "sub"][..] } else { &["preferred_username"] };
    let username_claims = fields
        .list("username_claims")
        .unwrap_or_else(|| default.iter().map(|&claim| claim.to_owned()).collect());
    if username_claims.is_empty() {
        fields.fault("username_claims", "a list of at least one claim");
    }
    let domains = fields.list("domains").unwrap_or_default();
    let strip = fields.word("username_map", &[("preserve", false), ("strip_domain", true)]).unwrap_or(false);
    if strip && domains.len() != 1 {
        // Two domains could hold two people of the same name.
        fields
            .faults
            .push(Fault::Conflict("\"strip_domain\" needs exactly one domain in \"domains\"".into()));
    }
    if !strip && !domains.is_empty() {
        fields
            .faults
            .push(Fault::Conflict("\"domains\" is used by \"username_map\": \"strip_domain\" only".into()));
    }
    Mapping {
        username_claims,
        preserve_case: fields.word("username_case", &[("lower", false), ("preserve", true)]).unwrap_or(false),
        strip_domain: domains.into_iter().next().filter(|_| strip).map(|domain| domain.to_ascii_lowercase()),
        subject_from_username: fields.boolean("subject_from_username", false),
        groups_claim: fields.text("groups_claim").unwrap_or_else(|| "groups".into()),
        group_map: group_map(fields, groups, is_entra),
    }
}

fn policy(fields: &mut Fields, preserve_case: bool, is_entra: bool) -> Policy {
    let names = fields.list("allowed_users").map(|users| {
        let parse = if preserve_case { LoginName::parse } else { LoginName::parse_lower };
        let (good, bad): (Vec<_>, Vec<_>) = users.iter().map(|user| parse(user)).partition(Result::is_ok);
        if !bad.is_empty() {
            fields.fault("allowed_users", "a list of login names");
        }
        good.into_iter().flatten().collect()
    });
    Policy {
        allowed_groups: fields
            .list("allowed_groups")
            .map(|groups| groups.iter().map(|group| provider_id(group, is_entra)).collect()),
        allowed_users: names,
        max_confirmation_age: fields
            .number("max_confirmation_age", 1..=36_500)
            .and_then(|days| u32::try_from(days).ok()),
    }
}

fn accounts(
    fields: &mut Fields,
    nsswitch: &str,
    preserve_case: bool,
    read_secret: &mut impl FnMut(&Path) -> Result<Vec<u8>, SecureFileError>,
) -> Option<Accounts> {
    let uid_range = range(fields, "uid_range", UID_RANGE);
    let gid_range = range(fields, "gid_range", GID_RANGE);
    if uid_range.overlaps(&gid_range) {
        fields.faults.push(Fault::Conflict("\"uid_range\" and \"gid_range\" overlap".into()));
    }
    let home = fields.text("home").unwrap_or_else(|| "/home/{name}".into());
    // The published database keeps home and shell of the longest name in one page.
    let usable = home.len() <= 128 && home.matches("{name}").count() == 1 && !home.contains([':', ' ']);
    if !home.starts_with('/') || !usable || home.split('/').any(|part| part == "..") {
        fields.fault(
            "home",
            "an absolute path of at most 128 bytes with {name} in it once, such as /home/{name}",
        );
    }
    let shell = fields.text("shell").unwrap_or_else(|| "/bin/bash".into());
    if !shell.starts_with('/') || shell.len() > 96 || shell.contains([':', ' ']) {
        fields.fault("shell", "an absolute path of at most 96 bytes");
    }
    let people_group = fields.text("people_group").unwrap_or_else(|| PEOPLE_GROUP.into());
    let people_group = match GroupName::parse_lower(&people_group) {
        Ok(name) if name.as_str() != PEOPLE_GROUP && is_guarded(name.as_str()) => {
            fault(fields, "people_group", "no name of a privileged group or of a service")
        }
        Ok(name) => Some(name),
        Err(error) => fault(fields, "people_group", format!("a group name ({error})")),
    };
    let create = [("auto", CreateHome::Auto), ("yes", CreateHome::Yes), ("no", CreateHome::No)];
    let id_key = id_key(fields, read_secret);
    let adopt_homes = fields.boolean("adopt_homes", false);
    if adopt_homes && id_key.expose().is_none() {
        let text = "\"adopt_homes\" needs \"id_key_file\": without it somebody who can choose a login name at the provider can \
                    look for one whose uid owns a home that is kept";
        fields.faults.push(Fault::Conflict(text.into()));
    }
    Some(Accounts {
        uid_range,
        gid_range,
        id_key,
        adopt_homes,
        uid_overrides: uid_overrides(fields, &gid_range, preserve_case),
        home,
        shell,
        create_home: fields.word("create_home", &create).unwrap_or(CreateHome::Auto),
        skel: absolute(fields, "skel").unwrap_or_else(|| "/etc/skel".into()),
        umask: umask(fields),
        people_group: people_group?,
        people_gid: Gid::new(gid_range.last()).ok()?,
        first_login: first_login(fields, nsswitch),
    })
}

/// An outage of another source must not turn its people into ours: beside one, strangers must be asked for.
fn first_login(fields: &mut Fields, nsswitch: &str) -> Vec<String> {
    fields.list("first_login").unwrap_or_else(|| {
        let sources = nsswitch_sources(nsswitch, "passwd");
        let harmless = sources.iter().all(|source| HARMLESS_SOURCES.contains(&source.as_str()));
        if harmless { vec!["*@*".into()] } else { Vec::new() }
    })
}

fn id_key(
    fields: &mut Fields,
    read_secret: &mut impl FnMut(&Path) -> Result<Vec<u8>, SecureFileError>,
) -> IdKey {
    let Some(file) = absolute(fields, "id_key_file") else { return IdKey::default() };
    match read_secret(&file) {
        Ok(key) if key.len() >= 16 => return IdKey::new(key),
        Ok(_) => fields.fault("id_key_file", "a file of at least 16 bytes"),
        Err(error) => fields.fault("id_key_file", format!("a readable file ({error})")),
    }
    IdKey::default()
}

fn uid_overrides(fields: &mut Fields, gid_range: &IdRange, preserve_case: bool) -> BTreeMap<LoginName, Uid> {
    let parse = if preserve_case { LoginName::parse } else { LoginName::parse_lower };
    let mut overrides = BTreeMap::new();
    for (name, value) in fields.object("uid_overrides") {
        let uid = value.as_u64().and_then(|uid| u32::try_from(uid).ok()).and_then(|uid| Uid::new(uid).ok());
        // A pinned id may lie outside the range of people, but not where no person may be at all.
        let uid = uid.filter(|uid| {
            let alone = IdRange::new(uid.get(), uid.get().saturating_add(1)).is_ok();
            alone && !gid_range.contains(uid.get()) && !overrides.values().any(|other| other == uid)
        });
        match (parse(&name), uid) {
            (Ok(name), Some(uid)) => {
                overrides.insert(name, uid);
            }
            _ => fields.fault("uid_overrides", format!("a uid of its own, 1000 or more, for \"{name}\"")),
        }
    }
    overrides
}

/// A string of octal digits, as in mkhomedir_helper(8).
fn umask(fields: &mut Fields) -> u32 {
    let Some(text) = fields.text("umask") else { return 0o077 };
    match u32::from_str_radix(&text, 8) {
        Ok(umask) if umask <= 0o777 => umask,
        _ => fault(fields, "umask", "octal digits in quotes, such as \"0077\"").unwrap_or(0o077),
    }
}

fn prompt(fields: &mut Fields, warnings: &mut Vec<String>) -> Prompt {
    if fields.has("massages") {
        warnings.push("\"massages\" is read as \"messages\": rename it".into());
    }
    if fields.has("prompt_style") {
        fields.word("prompt_style", &[("enter", ())]);
    }
    let mut messages = Messages::default();
    for (key, value) in fields.object("massages").into_iter().chain(fields.object("messages")) {
        let place = match key.as_str() {
            "prompt_complete" => &mut messages.prompt_complete,
            "prompt_no_qr_complete" => &mut messages.prompt_no_qr_complete,
            "prompt_incomplete" => &mut messages.prompt_incomplete,
            "prompt_no_qr_incomplete" => &mut messages.prompt_no_qr_incomplete,
            "prompt_code" => &mut messages.prompt_code,
            "prompt_enter" => &mut messages.prompt_enter,
            _ => {
                let nearest = nearest_in("messages", &key);
                fields.faults.push(Fault::Unknown { key: format!("messages.{key}"), nearest });
                continue;
            }
        };
        match value {
            Value::String(text) => *place = Some(text),
            _ => fields.fault(&format!("messages.{key}"), "a string"),
        }
    }
    Prompt {
        qr: fields.boolean("qr_enabled", true),
        qr_complete: fields.boolean("qr_complete", false),
        messages,
    }
}

/// The people group is nobody else's, and everybody is in it anyway.
fn shadowing(fields: &mut Fields, mapping: &Mapping, groups: &Groups, accounts: &Accounts) {
    if mapping.group_map.values().any(|name| *name == accounts.people_group) {
        fields.fault("group_map", "free of the name of the people group");
    }
    if groups.local.contains(&accounts.people_group) {
        fields.fault("local_groups", "free of the name of the people group");
    }
}

fn range(fields: &mut Fields, key: &str, default: IdRange) -> IdRange {
    let Some((first, last)) = fields.pair(key) else { return default };
    match IdRange::new(first, last) {
        Ok(range) => range,
        Err(error) => fault(fields, key, format!("a range for people ({error})")).unwrap_or(default),
    }
}

pub(super) fn absolute(fields: &mut Fields, key: &str) -> Option<PathBuf> {
    let path = PathBuf::from(fields.text(key)?);
    if path.is_absolute() { Some(path) } else { fault(fields, key, "an absolute path") }
}
