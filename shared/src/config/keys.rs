//! Every key of config.json, once: what a misspelt one is compared with, what `oauth2ctl config` shows, and
//! what the JSON Schema is made from.

use super::{Config, Entra, LocalUsers, Provisioning, Validation};
use crate::types::GroupName;
use serde_json::{Map, Value, json};

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What holds where it is not written.
    default: Otherwise,
    /// What it is for, in a phrase.
    pub about: &'static str,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A string that is not empty.
    Text,
    /// Likewise, and nobody's to see.
    Secret,
    /// An https URL.
    Url,
    /// An absolute path.
    Path,
    /// Octal digits in quotes.
    Octal,
    /// true or false.
    Boolean,
    /// A whole number between two.
    Number(u64, u64),
    /// One of several words.
    Words(&'static [&'static str]),
    /// A list of strings.
    List,
    /// A list of strings that says who may come in: null is not the same as none.
    Guard,
    /// First and last id.
    Pair,
    /// Strings by name.
    Texts,
    /// Ids by name.
    Ids,
    /// Lists of domains by tenant, or a list of tenants.
    Tenants,
    /// An object with keys of its own.
    Object(&'static [Key]),
}

/// What holds where a key is not written.
#[derive(Clone, Copy, Debug)]
enum Otherwise {
    /// Nothing.
    No,
    /// This JSON.
    Is(&'static str),
    /// What the rest of the configuration, or the machine, makes of it.
    Of(fn(&Config) -> Value),
}

use Kind::{
    Boolean, Guard, Ids, List, Number, Object, Octal, Pair, Path, Secret, Tenants, Text, Texts, Url, Words,
};
use Otherwise::{Is, No, Of};

/// Every key, in the order of the manual page.
pub const KEYS: [Key; 56] = [
    key("client_id", Text, No, "This machine's client id at the provider"),
    key("client_secret", Secret, No, "Secret of a confidential client"),
    key("client_secret_file", Path, No, "File that holds the secret of a confidential client"),
    key("issuer", Url, No, "Issuer; discovery fills every endpoint that is not given"),
    key("tenant_id", Text, No, "Microsoft Entra ID: the tenant's id or one of its domains"),
    key(
        "azure_authority",
        Url,
        Of(|config| text(config.provider.entra.as_ref().map(|entra| &entra.authority))),
        "Microsoft Entra ID: where the tenant signs in",
    ),
    key(
        "graph_url",
        Url,
        Of(|config| text(config.provider.entra.as_ref().map(|entra| &entra.graph))),
        "Microsoft Entra ID: Microsoft Graph",
    ),
    key(
        "allowed_tenants",
        Tenants,
        Of(tenants),
        "Microsoft Entra ID: tenants that may vouch for people, and for names of which domains",
    ),
    key(
        "allow_guests",
        Boolean,
        Of(guests),
        "Microsoft Entra ID: people whose home is another tenant may come in",
    ),
    key("oauth_auth_url", Url, No, "Accepted for compatibility, unused"),
    key("oauth_device_url", Url, No, "Device authorization endpoint"),
    key("oauth_token_url", Url, No, "Token endpoint"),
    key("oauth_token_introspect_url", Url, No, "Introspection endpoint"),
    key("validation", Words(&["introspection", "id_token"]), Of(validation), "What proves who signed in"),
    key("scope", Text, Is("\"openid profile\""), "Scopes, separated by spaces"),
    key("scopes", Text, No, "Another spelling of scope"),
    key(
        "username_claims",
        List,
        Of(|config| json!(config.mapping.username_claims)),
        "Claims of which the first that is present is the person's name",
    ),
    key(
        "username_map",
        Words(&["preserve", "strip_domain"]),
        Is("\"preserve\""),
        "How the provider's name becomes a login name",
    ),
    key("domains", List, No, "The one domain that strip_domain takes off"),
    key("username_case", Words(&["lower", "preserve"]), Is("\"lower\""), "Whether capitals are kept"),
    key("subject_from_username", Boolean, Is("false"), "Introspection answers without sub are accepted"),
    key("allowed_groups", Guard, No, "Provider group ids, of which one is needed"),
    key("allowed_users", Guard, No, "Login names that may come in"),
    key("groups_claim", Text, Is("\"groups\""), "Claim of the group ids"),
    key("group_map", Texts, Is("{}"), "Local group name of a provider group id"),
    key("local_group", Text, No, "Group of /etc/group that everybody who signs in is a member of"),
    key(
        "local_groups",
        List,
        Of(|config| names(&config.groups.local)),
        "Groups of /etc/group that everybody who signs in is a member of",
    ),
    key("allow_privileged_groups", List, Is("[]"), "Privileged groups that may be granted"),
    key("provisioning", Words(&["store", "useradd", "none"]), Of(provisioning), "Where accounts come from"),
    key(
        "first_login",
        Guard,
        Of(|config| json!(config.accounts.first_login)),
        "Patterns of names that need no reservation",
    ),
    key("services", List, Is("[\"sshd\"]"), "PAM services whose auth phase is answered"),
    key("require_publickey", Boolean, Is("false"), "sshd must have accepted a key first"),
    key("limits", Object(&LIMITS), Of(limits), "What a minute may hold"),
    key("people_group", Text, Is("\"oauth2-users\""), "Everybody's group"),
    key(
        "local_users",
        Words(&["ignore", "allow"]),
        Of(local_users),
        "Whether users of /etc/passwd may sign in",
    ),
    key("home", Text, Is("\"/home/{name}\""), "Template of home directories"),
    key("shell", Path, Is("\"/bin/bash\""), "Login shell"),
    key("create_home", Words(&["auto", "yes", "no"]), Is("\"auto\""), "Whether home directories are made"),
    key("skel", Path, Is("\"/etc/skel\""), "What a new home directory is filled from"),
    key("umask", Octal, Is("\"0077\""), "Of new home directories, octal digits"),
    key(
        "adopt_homes",
        Boolean,
        Is("false"),
        "A home directory of exactly the derived uid counts as the person's own",
    ),
    key("uid_range", Pair, Is("[1879048192, 2130706431]"), "First and last uid of people"),
    key("gid_range", Pair, Is("[2130706432, 2147352575]"), "First and last gid of provider groups"),
    key("id_key_file", Path, No, "File of at least 16 secret bytes, the same on all machines of a fleet"),
    key("uid_overrides", Ids, Is("{}"), "Uids settled by hand"),
    key("max_confirmation_age", Number(1, 36_500), No, "Days after which a login by key needs a new sign-in"),
    key("oauth_device_token_polling_timeout", Number(1, 3600), No, "Seconds after which polling ends"),
    key("login_grace", Number(30, 3600), Is("120"), "Seconds that the host gives a login"),
    key("http_timeout", Number(1, 60), Is("10"), "Seconds for one request"),
    key("proxy", Text, No, "HTTP proxy, scheme://host:port"),
    key("ca_file", Path, No, "Certificate authorities trusted instead of the system's"),
    key("qr_enabled", Boolean, Is("true"), "Draw a QR code"),
    key("qr_complete", Boolean, Is("false"), "The QR code holds the code too"),
    key("messages", Object(&MESSAGES), No, "Texts of the prompt"),
    key("massages", Object(&MESSAGES), No, "The earlier modules' spelling of messages"),
    key("prompt_style", Words(&["enter"]), Is("\"enter\""), "How the person says that they have approved"),
];

/// The keys of `limits`.
const LIMITS: [Key; 2] = [
    key("starts_per_minute", Number(1, 1_000_000), Is("60"), "Codes asked for from one address"),
    key(
        "provider_requests_per_minute",
        Number(10, 1_000_000),
        Is("600"),
        "Requests of the whole machine to the provider",
    ),
];

/// The keys of `messages`.
const MESSAGES: [Key; 6] = [
    key("prompt_complete", Text, No, "With a complete URL and a QR code"),
    key("prompt_no_qr_complete", Text, No, "With a complete URL, no QR code"),
    key("prompt_incomplete", Text, No, "Without a complete URL, with a QR code"),
    key("prompt_no_qr_incomplete", Text, No, "Without a complete URL, no QR code"),
    key("prompt_code", Text, No, "Before the code"),
    key("prompt_enter", Text, No, "Before Enter is awaited"),
];

const fn key(name: &'static str, kind: Kind, default: Otherwise, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

impl Key {
    /// What holds where the key is not written; null for nothing.
    #[must_use]
    pub fn default(&self, config: &Config) -> Value {
        match self.default {
            Of(of) => of(config),
            _ => self.fixed_default().unwrap_or(Value::Null),
        }
    }

    pub(super) fn fixed_default(&self) -> Option<Value> {
        match self.default {
            Is(json) => serde_json::from_str(json).ok(),
            No | Of(_) => None,
        }
    }

    /// The value as it may be shown.
    #[must_use]
    pub fn shown(&self, value: &Value) -> Value {
        if matches!(self.kind, Secret) && !value.is_null() { "***".into() } else { value.clone() }
    }
}

/// The key of this name, `limits.starts_per_minute` and the like included.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    static TABLE: [Key; 56] = KEYS;
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let key = TABLE.iter().find(|key| key.name == first)?;
    match (rest, key.kind) {
        (None, _) => Some(key),
        (Some(rest), Object(keys)) => keys.iter().find(|key| key.name == rest),
        _ => None,
    }
}

/// The key that is spelled most like `key`, if one is near.
#[must_use]
pub fn nearest(key: &str) -> Option<&'static str> {
    super::raw::nearest(key, &KEYS)
}

/// The key inside the object `outer` that is spelled most like `key`.
pub(super) fn nearest_in(outer: &str, key: &str) -> Option<&'static str> {
    match find(outer)?.kind {
        Object(keys) => super::raw::nearest(key, keys),
        _ => None,
    }
}

fn text(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| text.as_str().into())
}

fn names(names: &[GroupName]) -> Value {
    names.iter().map(GroupName::as_str).collect()
}

fn tenants(config: &Config) -> Value {
    let allowed = config.provider.entra.as_ref().map(|Entra { allowed_tenants, .. }| allowed_tenants);
    let object = |tenants: &std::collections::BTreeMap<super::TenantId, Vec<String>>| {
        tenants
            .iter()
            .map(|(tenant, domains)| (tenant.to_string(), json!(domains)))
            .collect::<Map<_, _>>()
            .into()
    };
    allowed.map_or(Value::Null, object)
}

fn guests(config: &Config) -> Value {
    config.provider.entra.as_ref().map_or(Value::Null, |entra| entra.allow_guests.into())
}

fn validation(config: &Config) -> Value {
    match config.provider.validation {
        Validation::Introspection => "introspection".into(),
        Validation::IdToken => "id_token".into(),
    }
}

fn provisioning(config: &Config) -> Value {
    match config.provisioning {
        Provisioning::Store => "store".into(),
        Provisioning::Useradd => "useradd".into(),
        Provisioning::None => "none".into(),
    }
}

fn local_users(config: &Config) -> Value {
    match config.local_users {
        LocalUsers::Ignore => "ignore".into(),
        LocalUsers::Allow => "allow".into(),
    }
}

fn limits(config: &Config) -> Value {
    let super::Limits { starts_per_minute, provider_requests_per_minute } = config.limits;
    json!({
        "starts_per_minute": starts_per_minute,
        "provider_requests_per_minute": provider_requests_per_minute,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{faults, load_text};
    use super::*;

    const SMALL: &str = r#"{"client_id": "c", "issuer": "https://idp.example", "provisioning": "store"}"#;

    fn with(key: &str, value: &Value) -> String {
        let mut map: Map<String, Value> = serde_json::from_str(SMALL).unwrap();
        map.insert(key.to_owned(), value.clone());
        Value::Object(map).to_string()
    }

    #[test]
    fn a_default_that_is_written_down_changes_nothing() {
        let config = load_text(SMALL).unwrap().config;
        for key in KEYS {
            let default = key.default(&config);
            if default.is_null() {
                continue;
            }
            let mut written =
                load_text(&with(key.name, &default)).unwrap_or_else(|error| panic!("{error}")).config;
            written.digest = config.digest;
            assert_eq!(written, config, "{}", key.name);
        }
    }

    #[test]
    fn a_number_or_a_word_of_the_schema_is_held_to_by_the_configuration() {
        // allow_guests alone selects Entra, which has faults of its own then.
        for key in KEYS.iter().filter(|key| key.name != "allow_guests") {
            let bad = match key.kind {
                Number(least, most) => vec![json!(least - 1), json!(most + 1), json!("1")],
                Words(_) => vec![json!("no such word"), json!(1)],
                Boolean => vec![json!("true")],
                Pair => vec![json!([1000])],
                List | Guard => vec![json!("text"), json!([""])],
                Object(_) | Texts | Ids => vec![json!("text")],
                Text | Secret | Url | Path | Octal | Tenants => vec![json!(5), json!("")],
            };
            for value in bad {
                let found = faults(&with(key.name, &value));
                assert!(
                    found.iter().any(|fault| fault.contains(key.name)),
                    "{} {value}: {found:?}",
                    key.name
                );
            }
            if let Number(least, most) = key.kind {
                assert!(
                    load_text(&with(key.name, &json!(least))).is_ok()
                        && load_text(&with(key.name, &json!(most))).is_ok()
                );
            }
        }
    }

    #[test]
    fn every_key_is_in_the_manual_page_and_in_the_schema() {
        let page = include_str!("../../../man/config.json.5");
        let schema = super::super::schema::schema();
        for key in KEYS {
            assert!(page.contains(key.name), "{}", key.name);
            assert!(schema["properties"][key.name]["description"].is_string(), "{}", key.name);
            let Object(keys) = key.kind else { continue };
            for inner in keys {
                assert!(page.contains(inner.name) && find(&format!("{}.{}", key.name, inner.name)).is_some());
            }
        }
        assert_eq!(schema["properties"]["validation"]["enum"], json!(["introspection", "id_token", null]));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let key = find("client_secret").unwrap();
        assert_eq!(key.shown(&json!("hunter2")), json!("***"));
        assert!(key.shown(&Value::Null).is_null());
        assert!(find("limits.nothing").is_none() && find("home.x").is_none());
    }
}
