//! pam_oauth2_device in C++ (STFC, ICS-MU). It believed what the userinfo endpoint said.

use super::draft::Draft;
use crate::failure::Failure;
use serde_json::{Map, Value, json};
use shared::secure_file;
use std::path::Path;

/// Its name for people who are let through to the next module.
const BYPASS: &str = "*bypass*";

/// A configuration of that module; an object may stand in a file of its own.
struct Old<'a> {
    map: &'a Map<String, Value>,
    owner: u32,
}

impl Old<'_> {
    /// An object, written here or in the file that a string names.
    fn object(&self, within: &Map<String, Value>, key: &str) -> Result<Map<String, Value>, Failure> {
        match within.get(key) {
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(Value::String(file)) if file.starts_with('/') => {
                let bytes = secure_file::read(Path::new(file), self.owner, super::LIMIT)?.bytes;
                serde_json::from_slice(&bytes).map_err(|error| Failure::Other(format!("{file}: {error}")))
            }
            _ => Ok(Map::new()),
        }
    }

    fn section(&self, key: &str) -> Result<Map<String, Value>, Failure> {
        self.object(self.map, key)
    }
}

pub(super) fn draft(map: &Map<String, Value>, issuer: Option<&str>, owner: u32) -> Result<Draft, Failure> {
    let old = Old { map, owner };
    let mut draft = Draft::default();
    let oauth = old.section("oauth")?;
    let client = old.object(&oauth, "client")?;
    for (from, key, to) in [
        (&client, "id", "client_id"),
        (&client, "secret", "client_secret"),
        (&oauth, "scope", "scope"),
        (&oauth, "device_endpoint", "oauth_device_url"),
        (&oauth, "token_endpoint", "oauth_token_url"),
    ] {
        if let Some(text) = text(from, key) {
            draft.set(to, text);
        }
    }
    if let Some(claim) = text(&oauth, "username_attribute") {
        draft.set("username_claims", json!([claim]));
    }
    prove(&mut draft, issuer);
    suffix(&mut draft, &oauth);
    who_may_come_in(&old, &mut draft)?;
    rest(&old, &mut draft)?;
    draft.people_exist_already();
    draft.common_notes();
    Ok(draft)
}

/// Userinfo says whose token it is, not for whom it was made: any client's token would do.
fn prove(draft: &mut Draft, issuer: Option<&str>) {
    match issuer {
        Some(issuer) => {
            draft.set("issuer", issuer);
            draft.note("the person is proved by the id_token of the issuer, no longer by userinfo, which is asked for a missing name only");
        }
        None => draft.note(
            "userinfo_endpoint does not prove for which client a token was made, and is not enough here: say --issuer with the \
             provider's issuer (its discovery document names it), or add oauth_token_introspect_url by hand",
        ),
    }
}

/// remote name == local name + suffix.
fn suffix(draft: &mut Draft, oauth: &Map<String, Value>) {
    let Some(suffix) = text(oauth, "local_username_suffix") else { return };
    match suffix.strip_prefix('@') {
        Some(domain) => {
            draft.set("username_map", "strip_domain");
            draft.set("domains", json!([domain]));
            draft.note(format!("local_username_suffix: the domain {domain} is taken off every name"));
        }
        None => draft.note(format!(
            "local_username_suffix {suffix:?} has no counterpart: the login name is the provider's name whole"
        )),
    }
}

fn who_may_come_in(old: &Old<'_>, draft: &mut Draft) -> Result<(), Failure> {
    let is_on = |section: &Map<String, Value>| section.get("access") == Some(&Value::Bool(true));
    let group = old.section("group")?;
    let (ldap, cloud) = (old.section("ldap")?, old.section("cloud")?);
    let mut users = old.section("users")?;
    users.remove(BYPASS);
    if let (true, Some(name)) = (is_on(&group), text(&group, "service_name")) {
        draft.set("allowed_groups", json!([name]));
        draft.note(format!(
            "group.service_name: allowed_groups holds {name}; the id_token must have the claim \"groups\""
        ));
    }
    if !users.is_empty() {
        mapped(draft, &users);
    }
    for (name, section) in [("ldap", !ldap.is_empty()), ("cloud", is_on(&cloud))] {
        if section {
            draft.note(format!("{name}: there is no such lookup here; whoever it let in needs allowed_groups or allowed_users"));
        }
    }
    if !draft.has("allowed_groups") && !draft.has("allowed_users") {
        // It let nobody in of whom none of these said so; nor do we until somebody says who.
        draft.set("allowed_users", json!([]));
        draft.note("nobody is let in until allowed_users or allowed_groups says who: nothing of the old rules could be kept");
    } else if draft.has("allowed_groups") && draft.has("allowed_users") {
        draft.note(
            "allowed_groups and allowed_users must both admit a person; before, one of them was enough",
        );
    }
    Ok(())
}

/// remote name -> local names. Only people of one name on both sides are the same here.
fn mapped(draft: &mut Draft, users: &Map<String, Value>) {
    let mut allowed: Vec<String> = Vec::new();
    for (remote, locals) in users {
        for local in locals.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if local.eq_ignore_ascii_case(remote) {
                allowed.push(local.to_ascii_lowercase());
            } else {
                let (remote, local) =
                    (shared::text::printable(remote, 64), shared::text::printable(local, 64));
                draft.note(format!(
                    "users: {remote} does not sign in as {local} any more, only under the provider's name"
                ));
            }
        }
    }
    allowed.sort();
    allowed.dedup();
    draft.set("allowed_users", json!(allowed));
}

fn rest(old: &Old<'_>, draft: &mut Draft) -> Result<(), Failure> {
    let level = old.section("qr")?.get("error_correction_level").and_then(Value::as_i64).unwrap_or(-1);
    draft.set("qr_enabled", level >= 0);
    let tls = old.section("tls")?;
    match (text(&tls, "ca_bundle"), text(&tls, "ca_path")) {
        (Some(file), _) => {
            draft.set("ca_file", file);
            draft.note("tls.ca_bundle: ca_file is trusted instead of the system's certificates");
        }
        (None, Some(_)) => draft.note(
            "tls.ca_path: a directory is not read; put the certificates into one file and name it as ca_file",
        ),
        (None, None) => {}
    }
    if old.section("users")?.contains_key(BYPASS) {
        draft.note(format!("{BYPASS}: local people are let through to the next module without a list"));
    }
    if old.map.contains_key("http_basic_auth") {
        draft.note("http_basic_auth: how the client authenticates follows from the provider's discovery");
    }
    Ok(())
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extra: Value) -> Draft {
        let mut map = json!({"oauth": {
            "client": {"id": "c", "secret": "s"}, "scope": "openid profile offline_access",
            "device_endpoint": "https://iam.example/devicecode", "token_endpoint": "https://iam.example/token",
            "userinfo_endpoint": "https://iam.example/userinfo", "username_attribute": "preferred_username"}});
        map.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        draft(map.as_object().unwrap(), Some("https://iam.example/"), 0).unwrap()
    }

    #[test]
    fn what_has_a_counterpart_is_kept() {
        let draft = of(
            json!({"qr": {"error_correction_level": 1}, "group": {"access": true, "service_name": "staff"}}),
        );
        assert_eq!((&draft.map["client_id"], &draft.map["client_secret"]), (&json!("c"), &json!("s")));
        assert_eq!(draft.map["oauth_token_url"], "https://iam.example/token");
        assert_eq!(draft.map["username_claims"], json!(["preferred_username"]));
        assert_eq!(
            (&draft.map["allowed_groups"], &draft.map["qr_enabled"]),
            (&json!(["staff"]), &json!(true))
        );
        assert!(!draft.has("allowed_users"));
    }

    #[test]
    fn a_map_of_users_lets_in_whoever_has_one_name() {
        let draft = of(json!({"users": {"ann": ["ann", "root"], "*bypass*": ["localu"], "Bob": ["bob"]}}));
        assert_eq!(draft.map["allowed_users"], json!(["ann", "bob"]));
        assert!(draft.notes.iter().any(|note| note.contains("root")));
    }

    #[test]
    fn rules_that_cannot_be_kept_let_nobody_in() {
        let draft =
            of(json!({"ldap": {"host": "ldap://x"}, "group": {"access": false, "service_name": "staff"}}));
        assert_eq!(draft.map["allowed_users"], json!([]));
        assert!(!draft.has("allowed_groups"));
    }
}
