//! Lines of other modules in /etc/pam.d and nsswitch.conf: reported, never edited.

use super::source::Source;
use crate::output::{field, say};
use serde_json::{Value, json};
use shared::etc::nsswitch_sources;
use std::path::{Path, PathBuf};

const PAM: &str = "/etc/pam.d";
const PROFILES: &str = "/usr/share/pam-configs";

/// Names that this package's module has too.
const OURS: [&str; 2] = ["pam_oauth2_device.so", "pam_oauth2.so"];
const THEIRS: [&str; 3] = ["pam_aad.so", "pam_authd.so", "pam_authd_exec.so"];

/// A line of another module.
pub(super) struct PamLine {
    file: PathBuf,
    number: usize,
    text: String,
}

impl PamLine {
    /// The configuration that it names: config=FILE, or a path alone (the C++ module).
    pub(super) fn config(&self) -> Option<PathBuf> {
        let words = self.text.split_whitespace().skip_while(|word| !is_module(word)).skip(1);
        let mut named = words.map(|word| word.strip_prefix("config=").unwrap_or(word));
        named.find(|word| word.starts_with('/')).map(PathBuf::from)
    }

    /// Files that pam-auth-update writes are not edited by hand.
    fn is_generated(&self) -> bool {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("common-")
    }

    fn module(&self) -> &str {
        self.text.split_whitespace().find(|word| is_module(word)).unwrap_or_default()
    }

    fn is_of_our_name(&self) -> bool {
        OURS.iter().any(|name| self.module().ends_with(name))
    }

    fn edit(&self) -> String {
        if self.is_generated() {
            let module = self.module();
            return match profile(module) {
                Some(profile) => format!("pam-auth-update --disable {profile}"),
                None => format!("remove the package that {module} came with, or the line by hand"),
            };
        }
        format!("delete line {} of {}", self.number, self.file.display())
    }
}

fn is_module(word: &str) -> bool {
    OURS.iter().chain(&THEIRS).any(|module| word == *module || word.ends_with(&format!("/{module}")))
}

/// Which profile of pam-auth-update names the module?
fn profile(module: &str) -> Option<String> {
    let entries = std::fs::read_dir(PROFILES).ok()?.flatten();
    let mut names =
        entries.filter(|entry| std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains(module)));
    names.next().map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Every such line that this package's own PAM profile did not write.
pub(super) fn find() -> Vec<PamLine> {
    let entries = std::fs::read_dir(PAM).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let lines = files.iter().flat_map(|file| lines(file));
    lines.filter(|line| !(line.is_generated() && line.is_of_our_name())).collect()
}

fn lines(file: &Path) -> Vec<PamLine> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_theirs =
        |line: &str| !line.trim_start().starts_with('#') && line.split_whitespace().any(is_module);
    let numbered = text.lines().enumerate().filter(|(_, line)| is_theirs(line));
    numbered
        .map(|(n, line)| PamLine { file: file.to_owned(), number: n + 1, text: line.trim().to_owned() })
        .collect()
}

/// What is left to do by hand.
pub(super) fn report(lines: &[PamLine], source: Option<&Source>) {
    let object = |line: &PamLine| json!({"file": line.file, "line": line.number, "text": line.text, "edit": line.edit(), "served": line.is_of_our_name()});
    let objects: Vec<Value> = lines.iter().map(object).collect();
    field("pam_lines", objects);
    for line in lines {
        say(&format!("{}:{}: {}", line.file.display(), line.number, line.text));
        if line.is_of_our_name() {
            say(
                "  this package's module answers to that name, so that the line goes on working; with the PAM profile it is one too many:",
            );
        }
        say(&format!("  {}", line.edit()));
    }
    let nsswitch = std::fs::read_to_string(shared::paths::NSSWITCH).unwrap_or_default();
    for service in ["aad", "authd"] {
        let databases = ["passwd", "group", "shadow"]
            .into_iter()
            .filter(|database| nsswitch_sources(&nsswitch, database).iter().any(|source| source == service));
        let databases: Vec<&str> = databases.collect();
        if !databases.is_empty() {
            say(&format!("nsswitch.conf: take {service} out of {}", databases.join(", ")));
        }
    }
    if source.is_some_and(|source| source.module == "authd") {
        say("authd: snap remove the broker and apt remove authd, once everybody has signed in here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> PamLine {
        PamLine { file: "/etc/pam.d/sshd".into(), number: 3, text: text.into() }
    }

    #[test]
    fn a_line_names_its_configuration() {
        let config = |text| line(text).config().map(|path| path.display().to_string());
        assert_eq!(
            config("auth sufficient pam_oauth2_device.so config=/etc/x.json logs=/tmp/l"),
            Some("/etc/x.json".into())
        );
        assert_eq!(
            config("auth required /lib/security/pam_oauth2_device.so /etc/y.json"),
            Some("/etc/y.json".into())
        );
        assert_eq!(config("auth required pam_aad.so"), None);
        assert_eq!(line("auth required pam_aad.so").edit(), "delete line 3 of /etc/pam.d/sshd");
    }
}
