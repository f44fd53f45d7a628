//! Whole configurations, as an administrator writes them.

use super::*;
use std::path::Path;

pub(super) fn load_text(text: &str) -> Result<Loaded, ConfigError> {
    load_texts(text, &[], "passwd: files oauth2\n")
}

fn load_texts(text: &str, drop_ins: &[(&str, &str)], nsswitch: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    write(&path, text);
    for (name, text) in drop_ins {
        std::fs::create_dir_all(dir.path().join("config.d")).unwrap();
        write(&dir.path().join("config.d").join(name), text);
    }
    load(&path, rustix::process::geteuid().as_raw(), nsswitch)
}

fn write(path: &Path, text: &str) {
    crate::secure_file::replace(path, text.as_bytes(), 0o600).unwrap();
}

pub(super) fn faults(text: &str) -> Vec<String> {
    match load_text(text) {
        Err(ConfigError::Faults { faults, .. }) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

const SMALL: &str = r#"{"client_id": "c", "issuer": "https://idp.example", "provisioning": "store"}"#;

#[test]
fn the_smallest_configuration_gets_every_default() {
    let config = load_text(SMALL).unwrap().config;
    assert_eq!(config.provider.validation, Validation::IdToken);
    assert_eq!(config.provider.scopes, ["openid", "profile"]);
    assert_eq!(config.accounts.first_login, ["*@*"]);
    assert_eq!(config.accounts.home, "/home/{name}");
    assert_eq!(config.accounts.umask, 0o077);
    assert_eq!(config.services, ["sshd"]);
    assert_eq!(config.login_grace, Duration::from_secs(120));
    assert!(!config.require_publickey);
    assert_eq!(config.provider.proxy, None);
    assert_eq!(config.accounts.people_gid.get(), 2_147_352_575);
}

#[test]
fn an_earlier_modules_configuration_is_read_as_it_is() {
    let text = r#"{"client_id": "c", "client_secret": "hunter2", "oauth_auth_url": "https://i/a",
        "oauth_device_url": "https://i/d", "oauth_token_url": "https://i/t",
        "oauth_token_introspect_url": "https://i/n", "oauth_device_token_polling_timeout": null,
        "scopes": "openid profile", "qr_enabled": false, "massages": {"prompt_enter": "Go"}}"#;
    let loaded = load_text(text).unwrap();
    assert_eq!(loaded.config.provider.validation, Validation::Introspection);
    assert_eq!(loaded.config.prompt.messages.prompt_enter.as_deref(), Some("Go"));
    assert!(!loaded.config.prompt.qr);
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    // What it does not say depends on where people are.
    let mode = |config: &Config| (config.provisioning, config.local_users);
    assert_eq!(mode(&loaded.config), (Provisioning::Store, LocalUsers::Allow));
    let elsewhere = load_texts(text, &[], "passwd: files sss\n").unwrap().config;
    assert_eq!(mode(&elsewhere), (Provisioning::None, LocalUsers::Allow));
    assert_ne!(elsewhere.digest, loaded.config.digest);
}

#[test]
fn where_the_mode_is_written_users_of_the_machine_are_left_alone_unless_said() {
    let config = |text: &str| load_text(text).unwrap().config;
    assert_eq!(config(SMALL).local_users, LocalUsers::Ignore);
    let allow = SMALL.replace('}', r#", "local_users": "allow"}"#);
    assert_eq!(config(&allow).local_users, LocalUsers::Allow);
    let none = config(&SMALL.replace("\"store\"", "\"none\""));
    assert_eq!((none.provisioning, none.local_users), (Provisioning::None, LocalUsers::Allow));
    let unlisted = load_texts(SMALL, &[], "passwd: files\n").unwrap();
    assert!(unlisted.warnings.iter().any(|warning| warning.contains("does not list oauth2")));
}

#[test]
fn every_fault_is_reported_at_once() {
    let faults = faults(
        r#"{"issuer": "http://idp.example", "alowed_users": [], "adopt_homes": true, "qr_enabled": "yes",
            "uid_range": [60000, 70000], "umask": 77, "provisioning": "magic"}"#,
    );
    for part in [
        "\"client_id\" is missing",
        "\"issuer\" must be an https URL",
        "unknown key \"alowed_users\", did you mean \"allowed_users\"?",
        "\"adopt_homes\" needs \"id_key_file\"",
        "\"qr_enabled\" must be true or false",
        "\"uid_range\" must be a range for people",
        "\"umask\" must be",
        "\"provisioning\" must be",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
}

#[test]
fn nothing_that_could_not_be_validated_is_accepted() {
    let device = r#""oauth_device_url": "https://i/d", "oauth_token_url": "https://i/t""#;
    let lone = faults(&format!(r#"{{"client_id": "c", "provisioning": "store", {device}}}"#));
    assert!(lone[0].contains("nothing could validate a token"), "{lone:?}");
    let half =
        faults(r#"{"client_id": "c", "provisioning": "store", "oauth_token_introspect_url": "https://i/n"}"#);
    assert_eq!(half.len(), 2, "{half:?}");
    let plain =
        faults(r#"{"client_id": "c", "provisioning": "store", "issuer": "http://127.0.0.1.evil.example"}"#);
    assert!(plain[0].contains("https"), "{plain:?}");
}

#[test]
fn a_broken_text_names_line_and_column_and_a_missing_one_says_not_configured() {
    assert!(faults("{\n")[0].starts_with("line 2, column 0") || faults("{\n")[0].starts_with("line 1"));
    let missing = load(Path::new("/nonexistent/config.json"), 0, "");
    assert!(matches!(missing, Err(ConfigError::NotConfigured(_))));
}

#[test]
fn drop_ins_are_laid_over_the_configuration_in_the_order_of_their_names() {
    let over = [
        ("20-b.json", r#"{"shell": "/bin/zsh", "messages": {"prompt_code": "x"}}"#),
        ("10-a.json", r#"{"shell": "/bin/sh", "messages": {"prompt_enter": "y"}}"#),
        ("notes.txt", "no JSON"),
    ];
    let config = load_texts(SMALL, &over, "").unwrap().config;
    assert_eq!(config.accounts.shell, "/bin/zsh");
    assert_eq!(config.prompt.messages.prompt_code.as_deref(), Some("x"));
    assert_eq!(config.prompt.messages.prompt_enter.as_deref(), Some("y"));
}

#[test]
fn beside_another_directory_service_no_stranger_is_prospective_unasked() {
    let nsswitch = "passwd: files oauth2 sss\n";
    let beside = load_texts(SMALL, &[], nsswitch).unwrap().config;
    assert!(beside.accounts.first_login.is_empty());
    assert_ne!(
        beside.digest,
        load_text(SMALL).unwrap().config.digest,
        "strangers wait for the next publication"
    );
    let asked = SMALL.replace('}', r#", "first_login": ["*"]}"#);
    assert_eq!(load_texts(&asked, &[], nsswitch).unwrap().config.accounts.first_login, ["*"]);
}

#[test]
fn a_change_of_the_configuration_or_of_the_id_key_changes_the_digest() {
    let digest = |text: &str| load_text(text).unwrap().config.digest;
    assert_eq!(digest(SMALL), digest(&SMALL.replace(": ", ":")));
    assert_ne!(digest(SMALL), digest(&SMALL.replace('}', r#", "shell": "/bin/sh"}"#)));
}

#[test]
fn two_secrets_two_scopes_and_two_domains_contradict_each_other() {
    let base = SMALL.trim_end_matches('}');
    let cases = [
        (r#""scope": "a", "scopes": "b""#, "contradict each other"),
        (r#""username_map": "strip_domain", "domains": ["a", "b"]"#, "exactly one domain"),
        (r#""domains": ["a"]"#, "strip_domain"),
        (r#""group_map": {"a": "x", "b": "x"}"#, "a group name of its own"),
        (r#""people_group": "our-people", "group_map": {"a": "our-people"}"#, "people group"),
        (r#""home": "/home""#, "{name}"),
        (r#""group_map": {"a": "wheel"}"#, "privileged"),
        (r#""people_group": "docker""#, "privileged"),
        (r#""allowed_groups": null"#, "not null"),
        (r#""shell": "/bin/sh", "shell": "/bin/bash""#, "stands twice"),
        (r#""uid_overrides": {"Ann": 70000}"#, "a uid of its own"),
        (r#""uid_overrides": {"ann": 70000, "bob": 70000}"#, "a uid of its own"),
    ];
    for (extra, part) in cases {
        let faults = faults(&format!("{base}, {extra}}}"));
        assert!(faults.iter().any(|fault| fault.contains(part)), "{extra}: {faults:?}");
    }
}

#[test]
fn a_proxy_is_a_scheme_a_host_and_a_port_and_nothing_else() {
    let with = |proxy: &str| SMALL.replace('}', &format!(r#", "proxy": "{proxy}"}}"#));
    for proxy in [
        "http://proxy.example.com:3128",
        "https://proxy:443",
        "http://192.0.2.1:8080",
        "http://[2001:db8::1]:3128",
        "http://127.0.0.1:1/",
    ] {
        let config = load_text(&with(proxy)).unwrap().config;
        assert_eq!(config.provider.proxy.as_deref(), Some(proxy));
    }
    for proxy in [
        "proxy.example.com:3128",
        "http://proxy.example.com",
        "http://user:secret@proxy:3128",
        "http://user@proxy:3128",
        "http://proxy:3128/path",
        "http://proxy:3128?q",
        "http://proxy:3128#f",
        "http://:3128",
        "http://-:3128",
        "http://[::1:3128",
        "http://[zz]:3128",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:+80",
        "http://proxy:",
        "socks5://proxy:1080",
        "http://",
    ] {
        let found = faults(&with(proxy));
        assert!(
            found.len() == 1 && found[0].contains("\"proxy\" must be http://HOST:PORT"),
            "{proxy}: {found:?}"
        );
        assert!(!found[0].contains("secret"));
    }
}

#[test]
fn the_shipped_examples_are_valid() {
    for example in
        [include_str!("../../../examples/config.json"), include_str!("../../../examples/entra.json")]
    {
        let config = load_text(example).unwrap().config;
        assert_eq!(config.mapping.strip_domain.as_deref(), Some("example.com"));
    }
}

#[test]
fn a_privileged_group_must_be_named_twice() {
    let with = |more: &str| SMALL.replace('}', &format!(", {more}}}"));
    for group in [r#""local_group": "sudo""#, r#""local_groups": ["users2", "docker"]"#] {
        assert!(faults(&with(group)).join("; ").contains("allow_privileged_groups"), "{group}");
    }
    for group in [r#""group_map": {"a": "wheel"}"#, r#""group_map": {"a": "www-data"}"#] {
        assert!(faults(&with(group)).join("; ").contains("allow_privileged_groups"), "{group}");
    }
    let allowed =
        r#""local_group": "sudo", "group_map": {"a": "wheel"}, "allow_privileged_groups": ["sudo", "wheel"]"#;
    let config = load_text(&with(allowed)).unwrap().config;
    assert!(config.groups.may_grant("sudo") && !config.groups.may_grant("disk"));
    assert_eq!(config.group_names().collect::<Vec<_>>(), ["wheel", "sudo", "sudo", "wheel"]);
    for (key, part) in [
        (r#""local_group": "a b""#, "\"local_group\" must be"),
        (r#""local_groups": "users2""#, "\"local_groups\" must be"),
        (r#""local_group": "a", "local_groups": ["b"]"#, "exclude each other"),
        (r#""local_group": "oauth2-users""#, "people group"),
    ] {
        assert!(faults(&with(key)).join("; ").contains(part), "{key}");
    }
}
