//! aad-auth: /etc/aad.conf.

use super::draft::Draft;
use super::ini::Ini;
use serde_json::json;

/// Keys stand before the first section; a section named like a domain overrides them for its people.
pub(super) fn draft(ini: &Ini) -> Draft {
    let mut draft = Draft::default();
    let domains: Vec<&str> = ini.sections().into_iter().filter(|section| section.contains('.')).collect();
    // With one domain its section is as good as the top.
    let get = |key: &str| {
        let of_domain =
            domains.first().filter(|_| domains.len() == 1).and_then(|domain| ini.get(domain, key));
        of_domain.or_else(|| ini.get("", key)).map(str::to_owned)
    };
    if let Some(id) = get("app_id") {
        draft.set("client_id", id);
    }
    if let Some(tenant) = get("tenant_id") {
        draft.set("tenant_id", tenant);
    }
    draft.set("scope", "openid profile");
    home(&mut draft, get("homedir").as_deref());
    if let Some(shell) = get("shell") {
        draft.set("shell", shell);
    }
    draft.set("provisioning", "store");
    if domains.is_empty() {
        draft.set("first_login", json!(["*@*"]));
    } else {
        let patterns: Vec<String> = domains.iter().map(|domain| format!("*@{domain}")).collect();
        draft.set("first_login", json!(patterns));
    }
    if domains.len() > 1 {
        draft.note("sections of several domains: what they say beside each other (homedir, shell) is one for all here");
    }
    draft.note("offline_credentials_expiration: no password is kept on the machine; without the provider nobody signs in anew, but a key goes on working (\"max_confirmation_age\" ends that after some days)");
    draft.note("passwords: people approve a code in a browser, with whatever the tenant asks of them (second factors too), and type no password here");
    draft.note("uids: they are derived from the name and are not those of aad-auth. For somebody whose files must be kept: chown them, or oauth2ctl user add NAME --uid N --adopt-home");
    draft.note("the application in Entra must allow public client flows");
    draft.common_notes();
    draft
}

/// `%f` is the whole name; the other letters say what a template cannot say here.
fn home(draft: &mut Draft, template: Option<&str>) {
    let Some(template) = template else { return };
    let home = template.replace("%f", "{name}");
    if home.contains('%') {
        draft.note(format!(
            "homedir {template}: only %f has a counterpart, {{name}}; the default /home/{{name}} is taken"
        ));
    } else {
        draft.set("home", home);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_aad_conf_have_counterparts() {
        let text = "tenant_id = t\napp_id = a\nhomedir = /home/%f\nshell = /bin/zsh\noffline_credentials_expiration = 90\n";
        let draft = draft(&Ini::parse(text));
        assert_eq!((&draft.map["client_id"], &draft.map["tenant_id"]), (&json!("a"), &json!("t")));
        assert_eq!((&draft.map["home"], &draft.map["shell"]), (&json!("/home/{name}"), &json!("/bin/zsh")));
    }

    #[test]
    fn the_section_of_the_only_domain_counts() {
        let draft = draft(&Ini::parse(
            "tenant_id = t\napp_id = a\n[example.com]\napp_id = b\nhomedir = /home/%d/%u\n",
        ));
        assert_eq!(
            (&draft.map["client_id"], &draft.map["first_login"]),
            (&json!("b"), &json!(["*@example.com"]))
        );
        assert!(!draft.has("home") && draft.notes.iter().any(|note| note.contains("%d/%u")));
    }
}
