//! A configuration that is being made out of another.

use serde_json::{Map, Value, json};
use shared::config::keys;
use shared::identity::admissible::is_reserved;
use shared::identity::privileged::is_privileged;

/// A configuration, and every point in which it means something else than the one before.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) map: Map<String, Value>,
    pub(super) notes: Vec<String>,
}

impl Draft {
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }

    /// Where the key says nothing yet.
    pub(super) fn set_if_absent(&mut self, key: &str, value: impl Into<Value>) {
        self.map.entry(key).or_insert_with(|| value.into());
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// null counts as absent.
    pub(super) fn keep_null_out(&mut self) {
        self.map.retain(|_, value| !value.is_null());
    }

    /// Secrets left out.
    pub(super) fn shown(&self) -> Map<String, Value> {
        let shown = |(name, value): (&String, &Value)| {
            let value = keys::find(name).map_or_else(|| value.clone(), |key| key.shown(value));
            (name.clone(), value)
        };
        self.map.iter().map(shown).collect()
    }

    /// Groups of /etc/group that everybody is put into. What makes people as good as root is not granted by a migration.
    pub(super) fn local_groups(&mut self, names: &[String]) {
        let (guarded, plain): (Vec<&String>, Vec<&String>) =
            names.iter().partition(|name| is_privileged(name) || is_reserved(name));
        if !plain.is_empty() {
            self.set("local_groups", json!(plain));
            self.note(
                "local_groups: memberships come through the name service; /etc/group is not edited any more",
            );
        }
        for name in guarded {
            self.note(format!(
                "{name} is a privileged group or one of a service: nobody is put into it any more. If that is meant, name it \
                 in \"local_groups\" and in \"allow_privileged_groups\""
            ));
        }
    }

    /// People who have accounts keep them; the machine's other users notice nothing but that they may sign in too.
    pub(super) fn people_exist_already(&mut self) {
        self.set_if_absent("provisioning", "none");
        self.set_if_absent("local_users", "allow");
        self.note(
            "accounts: \"provisioning\": \"none\" makes nobody an account; \"store\" or \"useradd\" would, for people whom \
             this machine has never seen",
        );
    }

    /// What is the same whichever module it was.
    pub(super) fn common_notes(&mut self) {
        for note in [
            "names: the provider's name is compared after lower-casing (\"username_case\": \"preserve\" compares exactly)",
            "people: the first sign-in binds a name to the provider's subject; the same name of another subject is refused then",
            "root, services, names below uid 1000 and members of privileged groups do not sign in this way; the latter do when \
             \"allowed_users\" or oauth2ctl user bind names them",
            "the account phase answers too: a lock, a removal or an expiry also ends logins by SSH key, cron jobs and su",
            "time: a sign-in ends after \"login_grace\" (120 s) less ten seconds; set LoginGraceTime of sshd to 300 and \
             \"login_grace\" too where people need longer",
        ] {
            self.note(note);
        }
    }
}
