//! Our token in nsswitch.conf(5): in `passwd:` and `group:`, and nowhere else. Everything but the one line, and within it
//! everything but the token, stays as it is. Package scripts do the same without a program of ours
//! (nss_oauth2/nsswitch/nsswitch.awk): a test compares the two.

/// The name of our source.
const OURS: &str = "oauth2";

/// The databases that we serve.
const DATABASES: [&str; 2] = ["passwd", "group"];

/// A piece of a line's sources: where it stands, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    start: usize,
    text: &'a str,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_action(&self) -> bool {
        self.text.starts_with('[')
    }

    /// `[SUCCESS=merge]`: the answers of this source and of the next are united.
    fn merges(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        self.is_action() && text.split(['[', ']', ' ', '\t']).any(|word| word == "success=merge")
    }
}

/// The text with our token directly after `files` or `compat` and their actions; at the end where there is neither.
pub(crate) fn with_token(text: &str) -> String {
    edit(text, insert)
}

/// The text without our token and its actions.
pub(crate) fn without_token(text: &str) -> String {
    edit(text, remove)
}

/// Do both databases name us?
pub(crate) fn is_complete(text: &str) -> bool {
    DATABASES
        .iter()
        .all(|database| shared::etc::nsswitch_sources(text, database).iter().any(|source| source == OURS))
}

fn edit(text: &str, change: fn(&str) -> Option<String>) -> String {
    let mut edited = String::with_capacity(text.len().saturating_add(32));
    for line in text.split_inclusive('\n') {
        edited.push_str(&edit_line(line, change).unwrap_or_else(|| line.to_owned()));
    }
    edited
}

/// `None`: not a line of ours, or nothing to change in it.
fn edit_line(line: &str, change: fn(&str) -> Option<String>) -> Option<String> {
    let (body, rest) = line.split_at(line.find(['#', '\n', '\r']).unwrap_or(line.len()));
    let (database, sources) = body.split_once(':')?;
    if !DATABASES.contains(&database.trim_matches([' ', '\t'])) {
        return None;
    }
    Some(format!("{database}:{}{rest}", change(sources)?))
}

fn insert(sources: &str) -> Option<String> {
    let tokens = tokens(sources);
    if tokens.iter().any(|token| token.text == OURS) {
        return None;
    }
    let local = tokens.iter().position(|token| matches!(token.text, "files" | "compat"));
    let actions = |from: usize| tokens.iter().skip(from + 1).take_while(|token| token.is_action()).count();
    // The last token before ours.
    let before = match local {
        Some(local) => Some(local + actions(local)),
        None => tokens.len().checked_sub(1),
    };
    let Some(before) = before else {
        return Some(format!(" {OURS}{sources}"));
    };
    let follows = before + 1 < tokens.len();
    let merges =
        local.is_some_and(|local| tokens.get(local..=before).unwrap_or_default().iter().any(Token::merges));
    // What was merged with the next source still is, now through ours.
    let action = if merges && follows { " [SUCCESS=merge]" } else { "" };
    let (head, tail) = sources.split_at(tokens.get(before)?.end());
    let space = if follows && !tail.starts_with([' ', '\t']) { " " } else { "" };
    Some(format!("{head} {OURS}{action}{space}{tail}"))
}

fn remove(sources: &str) -> Option<String> {
    let mut left = sources.to_owned();
    let mut changed = false;
    // From the end, so that the places of what comes before stay right.
    let tokens = tokens(sources);
    for (n, token) in tokens.iter().enumerate().rev().filter(|(_, token)| token.text == OURS) {
        let last = tokens.iter().skip(n + 1).take_while(|token| token.is_action()).last().unwrap_or(token);
        let mut start = token.start;
        // The blank before goes with it; where nothing is before, the blank after.
        let head = left.get(..start)?;
        if n > 0 {
            start = head.trim_end_matches([' ', '\t']).len();
        }
        let mut end = last.end();
        let tail = left.get(end..)?;
        if n == 0 {
            end += tail.len() - tail.trim_start_matches([' ', '\t']).len();
        }
        if n == 0 && left.get(end..).is_some_and(str::is_empty) {
            start = 0;
        }
        let glue = if n > 0 && left.get(end..).is_some_and(|tail| tail.starts_with(|c| c != ' ' && c != '\t'))
        {
            " "
        } else {
            ""
        };
        left.replace_range(start..end, glue);
        changed = true;
    }
    changed.then_some(left)
}

/// Sources and [actions], which need no blank between them.
fn tokens(sources: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = sources.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if blank > 0 {
            at += blank;
            continue;
        }
        let length = if rest.starts_with('[') {
            rest.find(']').map_or(rest.len(), |end| end + 1)
        } else {
            rest.find([' ', '\t', '[']).unwrap_or(rest.len())
        };
        tokens.push(Token { start: at, text: rest.get(..length).unwrap_or_default() });
        at += length;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (as it was, with our token). Undoing gives the first again, byte for byte.
    const FORMS: [(&str, &str); 16] = [
        ("passwd: files\n", "passwd: files oauth2\n"),
        ("passwd:         files systemd\n", "passwd:         files oauth2 systemd\n"),
        ("group:\tfiles\tsystemd # mine\n", "group:\tfiles oauth2\tsystemd # mine\n"),
        ("passwd:files\n", "passwd:files oauth2\n"),
        ("passwd: compat\n", "passwd: compat oauth2\n"),
        ("passwd: sss files\n", "passwd: sss files oauth2\n"),
        ("passwd: sss\n", "passwd: sss oauth2\n"),
        ("group: files [SUCCESS=merge] sss\n", "group: files [SUCCESS=merge] oauth2 [SUCCESS=merge] sss\n"),
        (
            "group: files[SUCCESS=merge]systemd\n",
            "group: files[SUCCESS=merge] oauth2 [SUCCESS=merge] systemd\n",
        ),
        ("group: files [SUCCESS=merge]\n", "group: files [SUCCESS=merge] oauth2\n"),
        (
            "passwd: files [!UNAVAIL=return NOTFOUND=continue] sss\n",
            "passwd: files [!UNAVAIL=return NOTFOUND=continue] oauth2 sss\n",
        ),
        ("passwd: files myoauth2\n", "passwd: files oauth2 myoauth2\n"),
        ("  passwd : files # no newline", "  passwd : files oauth2 # no newline"),
        ("passwd: files#x\n", "passwd: files oauth2#x\n"),
        ("passwd:\ngroup: files\n", "passwd: oauth2\ngroup: files oauth2\n"),
        (
            "# passwd: files\nshadow: files\ngshadow: files\ninitgroups: files\nsudoers: files\nhosts: files dns\n",
            "# passwd: files\nshadow: files\ngshadow: files\ninitgroups: files\nsudoers: files\nhosts: files dns\n",
        ),
    ];

    #[test]
    fn sixteen_forms_get_the_token_once_and_lose_it_without_a_trace() {
        for (before, after) in FORMS {
            assert_eq!(with_token(before), after, "{before:?}");
            assert_eq!(with_token(after), after, "twice is once: {before:?}");
            // The one blank that stood nowhere before is the exception that the whole file's undo covers.
            let back = without_token(after);
            let same = before.replace("]systemd", "] systemd");
            assert_eq!(back, same, "{before:?}");
            assert_eq!(without_token(&back), back);
        }
    }

    /// What the package scripts make of a file.
    fn by_script(action: &str, text: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../nss_oauth2/nsswitch/nsswitch-edit");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nsswitch.conf");
        std::fs::write(&file, text).unwrap();
        let status =
            std::process::Command::new("/bin/sh").args([script, action]).arg(&file).status().unwrap();
        assert!(status.success(), "{action} {text:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::read_to_string(&file).unwrap()
    }

    /// Adds, adds again, takes out, and takes out again, both ways.
    fn compare(text: &str) {
        let with = with_token(text);
        let without = without_token(&with);
        assert_eq!(by_script("add", text), with, "add {text:?}");
        assert_eq!(by_script("add", &with), with_token(&with), "add again {text:?}");
        assert_eq!(by_script("del", &with), without, "del {text:?}");
        assert_eq!(by_script("del", &without), without_token(&without), "del again {text:?}");
        assert_eq!(by_script("del", text), without_token(text), "del at once {text:?}");
    }

    #[test]
    fn package_scripts_and_this_program_agree_on_the_sixteen_forms_to_the_byte() {
        FORMS.iter().for_each(|(before, _)| compare(before));
    }

    /// Every line that these pieces make, in one file, and some of them as a file without an end.
    #[test]
    fn package_scripts_and_this_program_agree_on_generated_forms_to_the_byte() {
        let starts = ["passwd:", "  group :", "passwd:\t ", "shadow: ", "passwdx:", "#group:"];
        let words =
            ["", "files", "compat", "oauth2", "sss", "myoauth2", "files[SUCCESS=merge]", "[success=Merge]"];
        let blanks = [" ", "\t ", ""];
        let tails = ["", " [SUCCESS=merge NOTFOUND=return]", " oauth2[NOTFOUND=return]", " systemd"];
        let ends = ["", " ", " # files oauth2", "#x", "\r", "[unclosed"];
        let mut text = String::new();
        for (n, start) in starts.iter().enumerate() {
            for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
                for (blank, tail) in
                    blanks.iter().flat_map(|blank| tails.iter().map(move |tail| (blank, tail)))
                {
                    let end = ends[(text.len() + n) % ends.len()];
                    text.push_str(&format!("{start}{a}{blank}{b}{tail}{end}\n"));
                }
            }
        }
        assert!(text.lines().count() > 4000);
        compare(&text);
        ["", "\n", "passwd: files", "group: oauth2", "passwd:", "\n\npasswd: sss [x]", "passwd: files\n\n"]
            .into_iter()
            .for_each(compare);
    }

    #[test]
    fn only_our_own_token_and_its_actions_are_taken_out() {
        let cases = [
            ("passwd: oauth2 files\n", "passwd: files\n"),
            ("passwd: files oauth2 [NOTFOUND=return] sss\n", "passwd: files sss\n"),
            ("passwd: oauth2\n", "passwd:\n"),
            ("passwd: files myoauth2 oauth2x\n", "passwd: files myoauth2 oauth2x\n"),
            ("shadow: files oauth2\n", "shadow: files oauth2\n"),
            ("passwd: files oauth2 # oauth2 is ours\n", "passwd: files # oauth2 is ours\n"),
        ];
        for (before, after) in cases {
            assert_eq!(without_token(before), after);
        }
    }

    #[test]
    fn both_databases_must_name_us() {
        assert!(is_complete("passwd: files oauth2\ngroup: files oauth2\n"));
        assert!(!is_complete("passwd: files oauth2\ngroup: files\n"));
        assert!(!is_complete("passwd: files myoauth2\ngroup: files oauth2\n"));
        assert!(!is_complete(""));
    }
}
