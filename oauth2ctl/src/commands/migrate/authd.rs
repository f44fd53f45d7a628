//! authd: the broker.conf of one of its brokers.

use super::draft::Draft;
use super::ini::Ini;
use serde_json::{Value, json};

const MICROSOFT: &str = "https://login.microsoftonline.com/";

pub(super) fn draft(ini: &Ini) -> Draft {
    let mut draft = Draft::default();
    for key in ["client_id", "client_secret"] {
        if let Some(value) = ini.get("oidc", key) {
            draft.set(key, value);
        }
    }
    issuer(&mut draft, ini.get("oidc", "issuer").unwrap_or_default());
    draft.set("provisioning", "store");
    who_may_come_in(&mut draft, ini);
    if let Some(base) = ini.get("users", "home_base_dir") {
        draft.set("home", format!("{}/{{name}}", base.trim_end_matches('/')));
    }
    if let Some(groups) = ini.list("users", "extra_groups") {
        draft.local_groups(&groups);
    }
    if ini.get("users", "owner_extra_groups").is_some() {
        draft.note("owner_extra_groups: oauth2ctl user add OWNER --group G puts one person into a group of /etc/group");
    }
    draft.note("passwords: there is no local password; without the provider nobody signs in anew, but a key goes on working");
    draft.note("uids: they are derived from the name and are not those of authd. For somebody whose files must be kept: chown them, or oauth2ctl user add NAME --uid N --adopt-home");
    draft.note("the graphical login is not served; ssh, and the services that \"services\" lists, are");
    draft.common_notes();
    draft
}

fn issuer(draft: &mut Draft, issuer: &str) {
    match issuer.strip_prefix(MICROSOFT).and_then(|rest| rest.split('/').next()) {
        Some(tenant) => {
            draft.set("tenant_id", tenant);
            draft.set("scope", "openid profile");
        }
        None => {
            draft.set("issuer", issuer);
            draft.set("scope", "openid profile email");
            draft.set("username_claims", json!(["email"]));
            draft.note("the person's name is the e-mail address, which counts only when the provider calls it verified");
        }
    }
}

fn who_may_come_in(draft: &mut Draft, ini: &Ini) {
    let owner = ini.get("users", "owner").map(str::to_ascii_lowercase);
    let listed = ini.list("users", "allowed_users").unwrap_or_else(|| vec!["OWNER".into()]);
    if listed.iter().all(|user| user != "ALL") {
        let mut allowed: Vec<String> =
            listed.iter().filter(|user| *user != "OWNER").map(|user| user.to_ascii_lowercase()).collect();
        if listed.iter().any(|user| user == "OWNER") {
            match owner {
                Some(owner) => allowed.push(owner),
                None => draft.note(
                    "owner: nobody becomes the owner by signing in first; allowed_users must name the person",
                ),
            }
        }
        draft.set("allowed_users", json!(allowed));
    }
    let suffixes = ["ssh_allowed_suffixes_first_auth", "ssh_allowed_suffixes"];
    let suffixes = suffixes.iter().find_map(|key| ini.list("users", key)).unwrap_or_default();
    let patterns: Vec<Value> = suffixes
        .iter()
        .map(|suffix| if suffix.starts_with('*') { suffix.clone() } else { format!("*{suffix}") })
        .map(Value::from)
        .collect();
    draft.set("first_login", Value::Array(patterns));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_broker_have_counterparts() {
        let text = "[oidc]\nissuer = https://login.microsoftonline.com/t/v2.0\nclient_id = c\n[users]\nallowed_users = OWNER, Bob@x.org\n\
                    owner = Ann@x.org\nhome_base_dir = /srv/home/\nssh_allowed_suffixes_first_auth = @x.org,@y.org\nextra_groups = builders,docker\n";
        let draft = draft(&Ini::parse(text));
        assert_eq!((&draft.map["tenant_id"], &draft.map["home"]), (&json!("t"), &json!("/srv/home/{name}")));
        assert_eq!(draft.map["allowed_users"], json!(["bob@x.org", "ann@x.org"]));
        assert_eq!(draft.map["first_login"], json!(["*@x.org", "*@y.org"]));
        assert_eq!(draft.map["local_groups"], json!(["builders"]));
        assert!(draft.notes.iter().any(|note| note.starts_with("docker")));
    }

    #[test]
    fn nobody_comes_in_where_the_first_would_have_been_the_owner() {
        let draft = draft(&Ini::parse(
            "[oidc]\nissuer = https://accounts.google.com\nclient_id = c\nclient_secret = s\n",
        ));
        assert_eq!((&draft.map["allowed_users"], &draft.map["first_login"]), (&json!([]), &json!([])));
        assert_eq!(draft.map["username_claims"], json!(["email"]));
    }

    #[test]
    fn all_means_everybody() {
        let draft = draft(&Ini::parse(
            "[oidc]\nissuer = https://idp.example\nclient_id = c\n[users]\nallowed_users = ALL\n",
        ));
        assert!(!draft.has("allowed_users"));
    }
}
