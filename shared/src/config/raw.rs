//! The JSON text as typed fields. Every fault is collected, so that an administrator sees all of them at once; an
//! unknown key is a fault that names the nearest known one.

use super::keys::{KEYS, Key};
use crate::unique_keys::UniqueKeys;
use serde_json::{Map, Value};

/// A fault in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is no JSON object.
    #[error("line {line}, column {column}: {message}")]
    Json {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
        /// What the parser missed.
        message: String,
    },
    /// No such key.
    #[error("unknown key \"{key}\"{}", nearest.map(|n| format!(", did you mean \"{n}\"?")).unwrap_or_default())]
    Unknown {
        /// As written.
        key: String,
        /// The known key that is spelled most alike.
        nearest: Option<&'static str>,
    },
    /// A value of the wrong type or out of bounds.
    #[error("\"{key}\" must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
    },
    /// A key that must be there.
    #[error("\"{0}\" is missing")]
    Missing(&'static str),
    /// Two values that contradict each other.
    #[error("{0}")]
    Conflict(String),
}

/// Typed access to the keys of an object.
pub(super) struct Fields {
    map: Map<String, Value>,
    pub(super) faults: Vec<Fault>,
}

impl Fields {
    /// Looks at the keys; [`Fault::Unknown`] is noted here.
    pub(super) fn new(map: Map<String, Value>) -> Self {
        let mut faults = Vec::new();
        for key in map.keys().filter(|key| !key.starts_with('_')) {
            if !KEYS.iter().any(|known| known.name == key) {
                let nearest = super::keys::nearest(key);
                faults.push(Fault::Unknown { key: key.clone(), nearest });
            }
        }
        Self { map, faults }
    }

    pub(super) fn fault(&mut self, key: &str, expected: impl Into<String>) {
        self.faults.push(Fault::Value { key: key.to_owned(), expected: expected.into() });
    }

    /// Null where a list of who may come in is meant (a template with an undefined variable) must not let everybody in.
    pub(super) fn refuse_null(&mut self, keys: &[&str]) {
        for key in keys.iter().filter(|key| self.map.get(**key) == Some(&Value::Null)) {
            self.faults.push(Fault::Value { key: (*key).to_owned(), expected: "a list, not null".into() });
        }
    }

    /// The value, with JSON null as absent (the earlier modules' example has nulls).
    fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The string under a key, for rules that look at several keys; its faults are found where it is read.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        self.value(key)?.as_str().map(str::to_owned)
    }

    /// A non-empty string without control characters.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        match value.as_str().filter(|text| is_text(text)) {
            Some(text) => Some(text.to_owned()),
            None => {
                self.fault(key, "a non-empty string without control characters");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.value(key).map(Value::as_bool) {
            None => default,
            Some(Some(value)) => value,
            Some(None) => {
                self.fault(key, "true or false");
                default
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?.as_u64().filter(|number| bounds.contains(number));
        if value.is_none() {
            self.fault(key, format!("a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        value
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.fault(key, all.join(" or "));
        }
        found
    }

    /// A list of non-empty strings.
    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let list = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().filter(|text| is_text(text)).map(str::to_owned)).collect()
        });
        if list.is_none() {
            self.fault(key, "a list of non-empty strings");
        }
        list
    }

    /// A list of non-empty strings where there is a list at all; the key may hold something else.
    pub(super) fn array(&mut self, key: &str) -> Option<Vec<String>> {
        if self.value(key)?.is_array() { self.list(key) } else { None }
    }

    /// `[first, last]`.
    pub(super) fn pair(&mut self, key: &str) -> Option<(u32, u32)> {
        let value = self.value(key)?;
        let numbers: Option<Vec<u32>> = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_u64().and_then(|number| u32::try_from(number).ok())).collect()
        });
        if let Some([first, last]) = numbers.as_deref() {
            return Some((*first, *last));
        }
        self.fault(key, "a pair of ids, [first, last]");
        None
    }

    /// An object, as (key, value) pairs.
    pub(super) fn object(&mut self, key: &str) -> Vec<(String, Value)> {
        match self.value(key).map(Value::as_object) {
            None => Vec::new(),
            Some(Some(map)) => map.clone().into_iter().collect(),
            Some(None) => {
                self.fault(key, "an object");
                Vec::new()
            }
        }
    }
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// Parses the text of one file into an object.
pub(super) fn parse(text: &[u8]) -> Result<Map<String, Value>, Fault> {
    let object: UniqueKeys = serde_json::from_slice(text).map_err(|error| Fault::Json {
        line: error.line(),
        column: error.column(),
        message: error.to_string().split(" at line").next().unwrap_or_default().to_owned(),
    })?;
    Ok(object.0)
}

/// Lays `over` on `base`: objects are merged key by key, everything else is replaced.
pub(super) fn merge(base: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => below.extend(above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The known key most like `key`, at most three edits away.
pub(super) fn nearest(key: &str, known: &[Key]) -> Option<&'static str> {
    let near = known.iter().map(|known| (edits(key, known.name), known.name)).min();
    near.filter(|(distance, _)| *distance <= 3).map(|(_, known)| known)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest_one() {
        let map = parse(br#"{"allowed_grups": ["a"], "_note": 1, "zzzzzzzz": 1}"#).unwrap();
        let faults = Fields::new(map).faults;
        assert!(
            faults.contains(&Fault::Unknown { key: "allowed_grups".into(), nearest: Some("allowed_groups") })
        );
        assert!(faults.contains(&Fault::Unknown { key: "zzzzzzzz".into(), nearest: None }));
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn a_broken_text_is_named_by_line_and_column() {
        assert!(matches!(parse(b"{\n  \"a\": }"), Err(Fault::Json { line: 2, column: 8, .. })));
        assert!(matches!(parse(b"[]"), Err(Fault::Json { .. })));
    }

    #[test]
    fn edit_distance_counts_single_edits() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
