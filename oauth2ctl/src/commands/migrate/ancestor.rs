//! An earlier pam_oauth2_device in Rust, with or without Azure. Its keys are ours.

use super::draft::Draft;
use serde_json::{Map, Value};
use shared::config::keys;

/// Where Microsoft signs people in, as an earlier module's addresses have it: the tenant follows.
const MICROSOFT: &str = "https://login.microsoftonline.com/";

pub(super) fn draft(map: Map<String, Value>, lists_oauth2: bool) -> Draft {
    let mut draft = Draft { map, notes: Vec::new() };
    draft.keep_null_out();
    // Once written by this command, or by hand for this package, there is nothing left to change.
    let is_ours = draft.has("provisioning");
    rename(&mut draft, "scopes", "scope");
    rename(&mut draft, "massages", "messages");
    if draft.map.remove("oauth_auth_url").is_some() {
        draft.note("oauth_auth_url is not used by the device flow: left out");
    }
    let unknown: Vec<String> =
        draft.map.keys().filter(|key| !key.starts_with('_') && keys::find(key).is_none()).cloned().collect();
    for key in unknown {
        draft.map.remove(&key);
        draft.note(format!("{key} means nothing here: left out"));
    }
    if is_ours {
        return draft;
    }
    let azure = tenant(&mut draft);
    if let Some(Value::String(group)) = draft.map.remove("local_group") {
        draft.local_groups(&[group]);
    }
    if azure && lists_oauth2 {
        draft.set_if_absent("provisioning", "store");
        draft.set_if_absent("local_users", "allow");
        draft.note(
            "accounts: people whom this machine has never seen get an account of the store, with a uid derived from the name, \
             not one by useradd; those in /etc/passwd keep theirs",
        );
    } else {
        draft.people_exist_already();
    }
    if azure {
        draft.note("the signature, issuer, tenant, audience and age of the id_token are verified; guests are refused (\"allow_guests\")");
        draft.note(
            "people in more groups than fit into a token: Microsoft Graph is asked (permission User.Read)",
        );
    } else {
        draft.note(
            "the token: every configured scope must have been granted where the provider says which were (their order never \
             matters), the client must be this one, and there must be a sub (\"subject_from_username\" takes the name for it)",
        );
    }
    draft.note("logs: they go to the system log, and to the file of logs= only where nobody but root can write its directory");
    draft.common_notes();
    draft
}

fn rename(draft: &mut Draft, old: &str, new: &str) {
    let Some(value) = draft.map.remove(old) else { return };
    if !draft.has(new) {
        draft.set(new, value);
    }
    draft.note(format!("{old} is spelled {new}"));
}

/// Is it the Azure variant? Then its tenant is written down where the addresses show it: the default of that variant,
/// common, would let any of Microsoft's customers in.
fn tenant(draft: &mut Draft) -> bool {
    let address = |draft: &Draft, key: &str| draft.map.get(key).and_then(Value::as_str).map(str::to_owned);
    let found = address(draft, "oauth_token_url").or_else(|| address(draft, "oauth_device_url"));
    let of_address = found
        .and_then(|url| Some(url.strip_prefix(MICROSOFT)?.split('/').next().unwrap_or_default().to_owned()));
    if let (false, Some(tenant)) = (draft.has("tenant_id"), &of_address)
        && !tenant.is_empty()
    {
        draft.set("tenant_id", tenant.as_str());
        draft.note(format!("tenant_id is {tenant}, as in the addresses"));
    }
    let tenant = address(draft, "tenant_id");
    if tenant.as_deref().is_some_and(|tenant| ["common", "organizations"].contains(&tenant)) {
        draft.note("at this tenant_id any of Microsoft's customers could sign in under any name: \"allowed_tenants\" must say who is trusted");
    }
    if tenant.is_some() && draft.map.remove("oauth_token_introspect_url").is_some() {
        draft.note("Microsoft has no introspection: oauth_token_introspect_url is left out");
    }
    tenant.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Draft {
        draft(value.as_object().cloned().unwrap(), true)
    }

    #[test]
    fn both_spellings_become_one() {
        let draft = of(
            json!({"client_id": "c", "scopes": "openid", "massages": {"prompt_enter": "Go"}, "oauth_auth_url": "https://i/a"}),
        );
        assert_eq!(draft.map["scope"], "openid");
        assert_eq!(draft.map["messages"]["prompt_enter"], "Go");
        assert!(!draft.has("scopes") && !draft.has("massages") && !draft.has("oauth_auth_url"));
        assert_eq!(
            (&draft.map["provisioning"], &draft.map["local_users"]),
            (&json!("none"), &json!("allow"))
        );
    }

    #[test]
    fn said_again_nothing_changes() {
        let azure = json!({"client_id": "c", "oauth_token_url": format!("{MICROSOFT}contoso.com/oauth2/v2.0/token"),
            "scope": "openid profile", "local_group": "builders"});
        let once = of(azure);
        assert_eq!(once.map["tenant_id"], "contoso.com");
        assert_eq!(once.map["provisioning"], "store");
        assert_eq!(once.map["local_groups"], json!(["builders"]));
        let twice = of(Value::Object(once.map.clone()));
        assert_eq!(twice.map, once.map);
        assert!(twice.notes.is_empty(), "{:?}", twice.notes);
    }

    #[test]
    fn a_privileged_group_is_not_granted_by_a_migration() {
        let draft = of(json!({"client_id": "c", "tenant_id": "contoso.com", "local_group": "sudo"}));
        assert!(!draft.has("local_groups") && !draft.has("allow_privileged_groups"));
        assert!(
            draft.notes.iter().any(|note| note.contains("sudo") && note.contains("allow_privileged_groups"))
        );
    }
}
