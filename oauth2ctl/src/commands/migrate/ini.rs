//! INI files, as aad-auth and authd have them.

/// `[section]` and `key = value` lines; `#` and `;` begin a comment line.
#[derive(Debug, Default)]
pub(super) struct Ini(Vec<(String, String, String)>);

impl Ini {
    pub(super) fn parse(text: &str) -> Self {
        let mut section = String::new();
        let mut values = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim().to_owned();
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches(['"', '\'']);
                values.push((section.clone(), key.trim().to_owned(), value.to_owned()));
            }
        }
        Self(values)
    }

    /// Lays another file over this one.
    pub(super) fn extend(&mut self, over: Self) {
        self.0.extend(over.0);
    }

    /// The last value of a key that says something.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let is_it = |(s, k, value): &&(String, String, String)| s == section && k == key && !value.is_empty();
        self.0.iter().rev().find(is_it).map(|(_, _, value)| value.as_str())
    }

    /// A list separated by commas.
    pub(super) fn list(&self, section: &str, key: &str) -> Option<Vec<String>> {
        let split = |value: &str| {
            value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        self.get(section, key).map(split)
    }

    pub(super) fn sections(&self) -> Vec<&str> {
        let mut sections: Vec<&str> = self.0.iter().map(|(section, ..)| section.as_str()).collect();
        sections.dedup();
        sections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_its_section_and_the_last_one_counts() {
        let mut ini = Ini::parse("a = 1\n# a = 2\n[s]\na = \"3\"\nlist = x, y ,\nempty =\n");
        ini.extend(Ini::parse("[s]\nb=4"));
        assert_eq!(
            (ini.get("", "a"), ini.get("s", "a"), ini.get("s", "b")),
            (Some("1"), Some("3"), Some("4"))
        );
        assert_eq!(ini.list("s", "list").unwrap(), ["x", "y"]);
        assert_eq!((ini.get("s", "empty"), ini.get("t", "a")), (None, None));
        assert_eq!(ini.sections(), ["", "s"]);
    }
}
