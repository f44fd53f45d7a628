//! X1: other software that says who may sign in here.

use super::super::profile::lines;
use super::super::proof::DIRECTORIES;
use super::facts::Facts;
use super::report::{Finding, Verdict};
use shared::etc::nsswitch_sources;

/// What is known: a word of its nsswitch source, of its PAM module, its name, and how to turn its PAM lines off.
const SOFTWARE: [(&str, &str, &str, &str); 8] = [
    ("authd", "pam_authd", "authd", "pam-auth-update --disable authd"),
    ("himmelblau", "pam_himmelblau", "Himmelblau", "pam-auth-update --disable himmelblau"),
    ("aad", "pam_aad", "aad-auth", "pam-auth-update --disable aad"),
    ("oslogin", "pam_oslogin", "Google OS Login", "google_oslogin_control deactivate"),
    ("sss", "pam_sss", "SSSD", "pam-auth-update --disable sss"),
    ("winbind", "pam_winbind", "Winbind", "pam-auth-update --disable winbind"),
    ("ldap", "pam_ldap", "LDAP", "pam-auth-update --disable ldap"),
    ("krb5", "pam_krb5", "Kerberos", "pam-auth-update --disable krb5"),
];

/// The first so many sign people in at the same providers as we do: two of a kind.
const OF_OUR_KIND: usize = 4;

pub(super) fn software(facts: &Facts<'_>) -> Verdict {
    let sources = nsswitch_sources(facts.nsswitch(), "passwd");
    let stack: Vec<String> =
        ["auth", "account"].iter().flat_map(|phase| lines(&DIRECTORIES, "sshd", phase)).collect();
    let mut findings = Vec::new();
    for (position, (source, module, name, remedy)) in SOFTWARE.iter().enumerate() {
        let resolves = sources.iter().any(|found| found == source);
        let signs_in = stack.iter().any(|line| line.contains(module));
        let places = match (resolves, signs_in) {
            (true, true) => "nsswitch.conf and the PAM stack",
            (true, false) => "nsswitch.conf",
            (false, true) => "the PAM stack",
            (false, false) => continue,
        };
        let saw = format!("{name} is in {places}");
        findings.push(if position < OF_OUR_KIND {
            let consequence =
                "Two of a kind are active: which one asks a person depends on the order of their lines.";
            Finding::warning(saw, consequence, *remedy)
        } else {
            Finding::ok(format!("{saw}, beside us"))
        });
    }
    Ok(Finding::gravest(findings).unwrap_or_else(|| Finding::ok("none")))
}
